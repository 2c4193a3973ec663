// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A wait for a commit is named jbd2.commit_wait, whatever the journal's own thread was held up by.
 * Where that thread ended the wait, and its switches were recorded, it is told what it did in the
 * same interval: evidence beside the ledger, not a part of it.
 */
#include "analysis.h"

#include <stdio.h>

#define SAID_MAX   3
#define SAID_SHARE 0.05

/* Names of our own beside the causes: what a thread does that is not blocked */
#define AT_WORK	 "at work"
#define NOT_SEEN "not seen"

static const char *name_of(const struct analysis *a, const struct thread *t, const struct piece *p)
{
	switch (p->kind) {
	case SEG_RUN:
	case SEG_RUNNABLE:
		return AT_WORK;
	case SEG_BLOCKED:
		return name_blocked(a, t, p);
	default:
		return NOT_SEEN;
	}
}

int journal__wait(const struct analysis *a, const struct piece *p, struct tally *journal)
{
	const struct thread *t = NULL;
	struct pieces it;
	struct piece own;
	int err = 0;

	if (p->seg->flags & SEG_BY_TASK)
		t = timeline__thread_at(&a->tl, p->seg->detail, p->seg->end);
	if (!t || !t->journal)
		return tally__add(journal, NOT_SEEN, p->end - p->begin, 0);
	pieces__begin(&it, &a->tl, t, p->begin, p->end);
	while (!err && pieces__next(&it, &own))
		err = tally__add(journal, name_of(a, t, &own), own.end - own.begin, 0);
	return err;
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
