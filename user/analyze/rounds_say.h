/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What the tellers of the rounds share. Internal to rounds_say.c and rounds_sums.c. */
#ifndef FLATPAUSE_ANALYZE_ROUNDS_SAY_H
#define FLATPAUSE_ANALYZE_ROUNDS_SAY_H

#include "../cli/params.h"
#include "rounds.h"

#define ROUND_ROWS_MAX 12
#define ROUND_MOST     50 /* percent of the pause: what people take for the answer */
#define ROUND_NUM      32

/* All that the rounds are told from. */
struct story {
	struct analysis *a;
	struct findings *f;
	struct round_window sum;
	struct finding_round *round; /* the one that is being written */
	bool no_memory;		     /* said at the end: once is enough */
};

int story__begin_round(struct story *s, const char *name);
void story__say(struct story *s, char **field, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
struct finding_round_row *story__add_row(struct story *s, const char *name, uint64_t count,
					 uint64_t ns);

/* The cause that the round would have named, "" = none, and whether the verdict is the same. */
int story__conclude(struct story *s, const char *cause);

/* Whether the rounds are about that window. */
bool story__counts(const struct story *s, const struct finding_window *w);

static inline const char *ns_text(uint64_t ns, char buf[ROUND_NUM])
{
	return format_ns(ns, buf, ROUND_NUM);
}

double percent_of(double part, double whole);

/* Futex sums, CPU samples, the ledger: 0 or -ENOMEM. */
int tell_futexes(struct story *s);
int tell_samples(struct story *s);
int tell_ledger(struct story *s);

#endif
