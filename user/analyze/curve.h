/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Is a pause curve stepped, flat or inconclusive: N consecutive windows in each of K sweeps.
 * The tests, the rule and their error rates: stratified max-rank, max-t and Hodges-Lehmann with
 * exact bounds on log pauses; STEPPED and FLAT as defined in design.md section 6.
 */
#ifndef FLATPAUSE_CURVE_H
#define FLATPAUSE_CURVE_H

#include <stdint.h>
#include "../../reports/finding.h"

struct curve_opts {
	double min_ratio;      /* 1.25: a smaller step is none */
	double min_step_ms;    /* 10 */
	double flat_ratio;     /* 1.5: FLAT means every split's upper bound is below it */
	double alpha;	       /* 0.005 for each of the two tests */
	uint64_t seed;	       /* of the permutations; results are reproducible */
	uint32_t permutations; /* 20000 */
};

void curve_opts__defaults(struct curve_opts *opts);

/* values_ms: sweeps * windows, sweep-major, all > 0. Fills *out. 0, -EINVAL, -ENOMEM. */
int curve__judge(const double *values_ms, uint32_t sweeps, uint32_t windows,
		 const struct curve_opts *opts, struct finding_curve *out);

/*
 * Compares an arm with the one before the mitigation and, where given, with the control: ratios of
 * medians over the windows that were slow before, shape against the control, and whether the arm
 * is flattened. Fills the comparison fields of *arm. `control` may be NULL.
 */
int curve__compare(const struct finding_curve *before, const struct finding_curve *control,
		   const struct curve_opts *opts, struct arm *arm);

#endif
