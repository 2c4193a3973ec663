// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A wait for a commit is named by the phase of the commit. What the journal's thread was held up by
 * in that phase, or whoever it waited for, is told as evidence beside the ledger.
 */
#include "analysis.h"

#include <stdio.h>

#define SAID_MAX   3
#define SAID_SHARE 0.05

/* Names of our own beside the causes: what a thread does that is not blocked */
#define AT_WORK	 "at work"
#define NOT_SEEN "not seen"

int journal__note(struct tally *journal, const char *cause, uint64_t ns)
{
	bool work = !strncmp(cause, "kernel.", 7) || !strncmp(cause, "cpu.", 4);

	return tally__add(journal, work ? AT_WORK : cause, ns, 0);
}

int journal__not_seen(struct tally *journal, uint64_t ns)
{
	return tally__add(journal, NOT_SEEN, ns, 0);
}

/* The largest row after those that were said; NULL = none. */
static const struct tally_row *next_row(const struct tally *t, const struct tally_row *last)
{
	const struct tally_row *best = NULL;

	for (size_t i = 0; i < vec__cnt(&t->rows); i++) {
		const struct tally_row *r = VEC_AT(&t->rows, struct tally_row, i);

		if ((!last || r->ns < last->ns || (r->ns == last->ns && r > last)) &&
		    (!best || r->ns > best->ns))
			best = r;
	}
	return best;
}

void journal__say(const struct tally *journal, char *buf, size_t size)
{
	const struct tally_row *r = NULL;
	size_t n = 0;

	buf[0] = '\0';
	for (int said = 0; said < SAID_MAX && n < size; said++) {
		double share;

		r = next_row(journal, r);
		share = r ? r->ns / (double)journal->total_ns : 0;
		if (share < SAID_SHARE)
			return;
		n += snprintf(buf + n, size - n, "%s%.0f %% %s",
			      said ? ", " : "during these waits the journal's own thread: ",
			      100 * share, r->cause);
	}
}
