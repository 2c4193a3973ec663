/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The noise of a pause curve within its sweeps: how wide, and how much of a window's lasts into the
 * next. Kept with a baseline; a step test is only as good as its windows are independent.
 */
#ifndef FLATPAUSE_CURVE_NOISE_H
#define FLATPAUSE_CURVE_NOISE_H

#include <stdint.h>
#include "../../reports/finding.h"

struct curve_noise {
	double sigma; /* of logarithms: 1.4826 * MAD of what the sides of the step leave */
	uint32_t nu;  /* degrees of freedom behind it */
	double phi;   /* lag-1 autocorrelation */
	uint32_t phi_pairs;
};

#define NOISE_PHI_HIGH	0.4 /* above it false alarms of a single run are several per cent */
#define NOISE_PAIRS_MIN 20  /* fewer say nothing about phi */

/* Of the sides of the step, if there is one, in each sweep. 0 or -ENOMEM. */
int curve_noise__measure(const struct finding_curve *c, struct curve_noise *out);

/* Whether windows of a sweep lean on one another more than the test can bear. */
static inline int curve_noise__is_sticky(const struct curve_noise *n)
{
	return n->phi_pairs >= NOISE_PAIRS_MIN && n->phi > NOISE_PHI_HIGH;
}

#endif
