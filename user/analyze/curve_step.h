/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Two tests for one step in a curve of `windows` consecutive values in each of `sweeps`
 * independent sweeps. Both look at every split that leaves enough windows on either side, take the
 * largest statistic, and compare it with the law of that largest statistic.
 *
 * max-rank: distribution free; blind to a step after two windows when there is one sweep.
 * max-t: on logarithms, against the normal law; sees such a step.
 */
#ifndef FLATPAUSE_CURVE_STEP_H
#define FLATPAUSE_CURVE_STEP_H

#include <stdint.h>
#include "curve_null.h"

struct step_test {
	double up, p_up;     /* the largest statistic for "later is slower" */
	uint32_t split_up;   /* windows before the step; 0 = no split is possible */
	double down, p_down; /* and for "later is faster" */
	uint32_t split_down;
};

struct step_opts {
	uint32_t draws;
	uint64_t seed;
};

/* Windows that must stand on either side of a split. */
static inline uint32_t step_margin(uint32_t windows)
{
	return windows < 4 ? 1 : 2;
}

/* `y` is sweep-major. 0 or -ENOMEM. Fewer than two windows, or all values equal: p = 1. */
int rank_step__test(const double *y, uint32_t sweeps, uint32_t windows,
		    const struct step_opts *opts, struct step_test *out);
int maxt_step__test(const double *y, uint32_t sweeps, uint32_t windows,
		    const struct step_opts *opts, struct step_test *out);

/* The laws behind them, for tables and tests. The one of ranks is without ties. */
int rank_step__law(const struct null_key *key, struct null_law *law);
int maxt_step__law(const struct null_key *key, struct null_law *law);

/*
 * Twice the centred mid-ranks of one sweep, 2R - (N + 1): whole numbers, so that sums are exact.
 * Returns 1 if there were ties, 0 if none, -ENOMEM.
 */
int centre_ranks(const double *y, uint32_t windows, int32_t *ranks);

#endif
