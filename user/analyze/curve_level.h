/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Are the pauses longer than those of a baseline, all windows together: an exact permutation of
 * which sweeps are which. The sweep is the unit, for the windows of one share its VM and its disk;
 * a test that takes them for independent calls every other offset between sweeps a regression.
 */
#ifndef FLATPAUSE_CURVE_LEVEL_H
#define FLATPAUSE_CURVE_LEVEL_H

#include <stdint.h>
#include "../../reports/gate.h"

struct level_opts {
	double min_ratio;      /* 1.1: less is no change */
	double alpha;	       /* 0.01 */
	uint64_t seed;	       /* of the draws, where there are too many arrangements to count */
	uint32_t permutations; /* 20000 */
};

void level_opts__defaults(struct level_opts *opts);

/*
 * Both sweep-major with `windows` values > 0 a sweep. Fills *out: with fewer sweeps than a p of
 * `alpha` needs (five in each, or three against ten) the verdict is GATE_LEVEL_CANNOT_TELL where
 * the ratio is that of a change. `opts` may be NULL. 0 or -ENOMEM.
 */
int level__test(const double *baseline_ms, uint32_t baseline_sweeps, const double *ms,
		uint32_t sweeps, uint32_t windows, const struct level_opts *opts,
		struct gate_level *out);

/* How many sweeps beside a baseline of so many can have a p of `alpha`. `opts` may be NULL. */
uint32_t level__sweeps_needed(uint32_t baseline_sweeps, const struct level_opts *opts);

#endif
