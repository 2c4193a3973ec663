/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What the pauses to be explained are made of, and those that they are held against. Internal. */
#ifndef FLATPAUSE_ANALYZE_CONTRAST_H
#define FLATPAUSE_ANALYZE_CONTRAST_H

#include "analysis.h"

enum contrast_kind {
	CONTRAST_NONE = 0,     /* all windows alike: there is only what holds them */
	CONTRAST_GROWTH = 1,   /* the later windows against the earlier ones */
	CONTRAST_SPIKES = 2,   /* single windows, at least two, against the rest */
	CONTRAST_BASELINE = 3, /* all of them (the slow ones) against another recording */
};

/* One cause over the slow and the fast windows. */
struct contrast_row {
	const char *cause;
	double slow_ns, fast_ns; /* means per window */
	double share;		 /* of the growth, or of the windows where nothing is to compare */
	uint32_t seen;		 /* slow windows that have a tenth of their growth from it */
	uint64_t carry_ns;	 /* mean over the slow windows */
};

struct contrast {
	enum contrast_kind kind;
	struct vec rows; /* struct contrast_row, largest share first */
	uint32_t slow_cnt, fast_cnt;
	double slow_ns, fast_ns; /* mean durations */
	double grown_ns;	 /* what the shares are of */
	double unknown_share;	 /* of the slow windows' time */
	double unknown_growth;	 /* as `share` of a row */
	struct evidence slow;	 /* sums, maxima and means over the slow windows */
	uint32_t first_slow;	 /* index of the first slow window */
	bool own_step;		 /* the run has slow windows of its own */
};

/* Whether a window is one of those to be explained. */
bool contrast__is_slow(const struct contrast *c, const struct finding_window *w);

/*
 * Contrasts the windows of `a`; with `baseline` its windows are the fast ones. 0 or -ENOMEM; free
 * it in any case.
 */
int contrast__new(struct analysis *a, const struct findings *baseline, struct contrast *c);
void contrast__free(struct contrast *c);

/* Sums of the rows under a prefix: means per slow and fast window, share as of a row. */
struct contrast_sum {
	double slow_ns, fast_ns, share;
};
struct contrast_sum contrast__sum(const struct contrast *c, const char *prefix);

#endif
