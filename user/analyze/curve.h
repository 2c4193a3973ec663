/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Is a pause curve stepped, flat or inconclusive: N consecutive windows in each of K sweeps.
 * The tests, the rule and their error rates: stratified max-rank, max-t and Hodges-Lehmann with
 * exact bounds on log pauses; STEPPED and FLAT as defined in design.md section 6.
 */
#ifndef FLATPAUSE_CURVE_H
#define FLATPAUSE_CURVE_H

#include <stdbool.h>
#include <stdint.h>
#include "../../reports/finding.h"

#define CURVE_MIN_WINDOWS 5 /* fewer are inconclusive, whatever they show */
#define CURVE_MAX_WINDOWS 5000
#define CURVE_MAX_VALUES  200000 /* windows times sweeps */

struct curve_opts {
	double min_ratio;      /* 1.25: a smaller step is none */
	double min_step_ms;    /* 10 */
	double flat_ratio;     /* 1.5: FLAT means every split's upper bound is below it */
	double alpha;	       /* 0.005 for each of the two tests */
	uint64_t seed;	       /* of the permutations; results are reproducible */
	uint32_t permutations; /* 20000 */
};

void curve_opts__defaults(struct curve_opts *opts);

/* Whether a number can be a pause: finite, and between a femtosecond and thirty years. */
bool curve__is_pause_ms(double ms);

/*
 * values_ms: sweeps * windows, sweep-major, all > 0. Fills *out, which is zeroed or holds an
 * earlier result (values_ms may be the one in it). ratio_upper95 is INFINITY, ratio_lower95 0
 * where the values are too few for a bound. `opts` may be NULL. 0, -EINVAL (said), -ENOMEM.
 */
int curve__judge(const double *values_ms, uint32_t sweeps, uint32_t windows,
		 const struct curve_opts *opts, struct finding_curve *out);

/* The median of windows from..to (from 1, both included) of all sweeps; 0 if there are none. */
double curve__median_ms(const struct finding_curve *c, uint32_t from, uint32_t to);

/* The longest of them; 0 if there are none. */
double curve__worst_ms(const struct finding_curve *c, uint32_t from, uint32_t to);

/*
 * How many times the median of its side of the step a window is, where that is at least three
 * and the difference at least `min_step_ms`; else 0. Shown, never judged. Both count from 1.
 */
double curve__spike(const struct finding_curve *c, uint32_t sweep, uint32_t window,
		    const struct curve_opts *opts);

/* An arm beside the curve before and, where given, the control. Milliseconds; 0 = not there. */
struct curve_comparison {
	enum curve_outcome outcome;
	uint32_t from, to;		  /* the windows compared: those that were slow before */
	double before_ms, before_fast_ms; /* medians; fast: before the step */
	double arm_ms, arm_worst_ms;
	double control_ms;
	double limit_ms;	 /* above it an arm must be FLAT at a level of its own */
	double ratio_to_before;	 /* before_ms / arm_ms */
	double gain_lower95;	 /* lower bound of before / arm over these windows */
	double ratio_to_control; /* arm_ms / control_ms */
	/* Shape: late / early of the arm over that of the control, at the step before, 90 % CI. */
	double shape, shape_lower, shape_upper;
	char text[640]; /* one paragraph with the numbers */
};

/* 0, -EINVAL (a curve without values), -ENOMEM. `control` and `opts` may be NULL. */
int curve__measure(const struct finding_curve *before, const struct finding_curve *control,
		   const struct finding_curve *arm, const struct curve_opts *opts,
		   struct curve_comparison *out);

/* Fills the comparison fields of *arm from what was measured. 0 or -ENOMEM. */
int curve__fill_arm(struct arm *arm, const struct curve_comparison *r);

/*
 * Compares an arm with the one before the mitigation and, where given, with the control: ratios of
 * medians over the windows that were slow before, shape against the control, and whether the arm
 * is flattened. Fills the comparison fields of *arm. `control` may be NULL.
 */
int curve__compare(const struct finding_curve *before, const struct finding_curve *control,
		   const struct curve_opts *opts, struct arm *arm);

#endif
