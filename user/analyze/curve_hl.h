/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Hodges-Lehmann: the median of all differences late - early within sweeps, with bounds from the
 * exact law of the number of pairs in which early is the larger (the sum of the sweeps' U). On
 * logarithms a difference is a ratio. No difference is ever stored: they are counted in sorted
 * sweeps, so that fifty sweeps of a thousand windows cost milliseconds.
 */
#ifndef FLATPAUSE_CURVE_HL_H
#define FLATPAUSE_CURVE_HL_H

#include <stdbool.h>
#include <stdint.h>

/* One sweep cut in two, each part sorted. The sizes are the same in every stratum. */
struct hl_stratum {
	double *early, *late;
};

struct hl_pairs {
	struct hl_stratum *strata;
	uint32_t strata_cnt;
	uint32_t early_cnt, late_cnt; /* per stratum, both at least 1 */
};

struct hl_estimate {
	double median;
	double lower, upper; /* one-sided at alpha each; -INFINITY, INFINITY: not to be had */
};

/* Cuts `sweeps` sweeps of `windows` values after `split` and sorts the parts. 0 or -ENOMEM. */
int hl_pairs__cut(struct hl_pairs *p, const double *y, uint32_t sweeps, uint32_t windows,
		  uint32_t split);
/* Two samples as one stratum. 0 or -ENOMEM. */
int hl_pairs__join(struct hl_pairs *p, const double *early, uint32_t early_cnt, const double *late,
		   uint32_t late_cnt);
void hl_pairs__free_inside(struct hl_pairs *p);

/* The same of one stratum alone: a view that lives as long as `p`; do not free it. */
struct hl_pairs hl_pairs__one(const struct hl_pairs *p, uint32_t stratum);

/* The rank-th smallest difference, from 1, within rounding and never below it. */
double hl_pairs__select(const struct hl_pairs *p, uint64_t rank);
double hl_pairs__median(const struct hl_pairs *p);

/* 0 or -ENOMEM. */
int hl_pairs__estimate(const struct hl_pairs *p, double alpha, struct hl_estimate *out);

/*
 * The largest u with P(U_1 + ... + U_K <= u) <= alpha, alpha < 0.5, for K pairs of samples of n1
 * and n2; -1 if there is none. Exact by convolution while K*n1*n2 is small; beyond it by the
 * normal law with its kurtosis corrected, which is then within a thousandth. 0 or -ENOMEM.
 */
int u_quantile(uint32_t n1, uint32_t n2, uint32_t strata, double alpha, int64_t *out);

/*
 * Whether for every split of the curve the upper bound of late - early is below `limit`: flat is
 * what cannot have a step anywhere. `*open_split` gets the first split that can (0 = none).
 * 0 or -ENOMEM.
 */
int hl_below_everywhere(const double *y, uint32_t sweeps, uint32_t windows, double limit,
			double alpha, uint32_t *open_split);

#endif
