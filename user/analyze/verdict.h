/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Which windows are slow, what their growth is made of, and how that is said. Internal. */
#ifndef FLATPAUSE_ANALYZE_VERDICT_H
#define FLATPAUSE_ANALYZE_VERDICT_H

#include "analysis.h"

enum contrast_kind {
	CONTRAST_NONE = 0,   /* all windows alike: what holds them is what can be said */
	CONTRAST_GROWTH = 1, /* the later ones are slow: what grew is what can be said */
};

/* One cause over the slow and the fast windows. */
struct cause_row {
	const char *cause;
	double slow_ns, fast_ns; /* means per window */
	double share;		 /* of the growth, or of the windows where nothing grew */
	uint32_t seen;		 /* slow windows in which it is at least 10 % */
	uint64_t carry_ns;	 /* mean over the slow windows */
};

struct contrast {
	enum contrast_kind kind;
	struct vec rows; /* struct cause_row, largest share first */
	uint32_t slow_cnt, fast_cnt;
	double slow_ns, fast_ns; /* mean durations */
	double unknown_share;	 /* of the slow windows' time */
	struct evidence slow;	 /* means per slow window */
	uint32_t first_slow;	 /* index of the first slow window */
};

/* Judges the curve, and marks the windows as slow or as spikes. */
int verdict__curve(struct analysis *a);

int contrast__new(struct analysis *a, struct contrast *c);
void contrast__free(struct contrast *c);
const struct cause_row *contrast__row(const struct contrast *c, const char *cause);

/* Sum of the rows under a prefix: "jbd2" holds "jbd2.commit_wait". */
double contrast__slow_ns(const struct contrast *c, const char *prefix);
double contrast__share(const struct contrast *c, const char *prefix);

/* The words: text, evidence and what is rejected, from the numbers. 0 or -ENOMEM. */
int verdict__say(struct analysis *a, const struct contrast *c, const struct cause_row *top);

#endif
