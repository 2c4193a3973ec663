// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "curve_rng.h"

#include <math.h>

void curve_rng__init(struct curve_rng *rng, uint64_t seed)
{
	for (int i = 0; i < 4; i++) {
		uint64_t z = (seed += 0x9e3779b97f4a7c15ull);

		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
		z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
		rng->s[i] = z ^ (z >> 31);
	}
	rng->has_spare = false;
}

double curve_rng__uniform(struct curve_rng *rng)
{
	return ((double)(curve_rng__next(rng) >> 11) + 0.5) * 0x1p-53;
}

/* Marsaglia's polar method. */
double curve_rng__normal(struct curve_rng *rng)
{
	double u, v, r, f;

	if (rng->has_spare) {
		rng->has_spare = false;
		return rng->spare;
	}
	do {
		u = 2 * curve_rng__uniform(rng) - 1;
		v = 2 * curve_rng__uniform(rng) - 1;
		r = u * u + v * v;
	} while (r >= 1 || r == 0);
	f = sqrt(-2 * log(r) / r);
	rng->spare = v * f;
	rng->has_spare = true;
	return u * f;
}

/* Marsaglia and Tsang's gamma of shape df / 2; one degree of freedom is a squared normal. */
double curve_rng__chi2(struct curve_rng *rng, double df)
{
	double d, c;

	if (df <= 0)
		return 0;
	if (df < 2) {
		double z = curve_rng__normal(rng);

		return z * z;
	}
	d = df / 2 - 1.0 / 3;
	c = 1 / sqrt(9 * d);
	for (;;) {
		double x = curve_rng__normal(rng), v = 1 + c * x;

		if (v <= 0)
			continue;
		v = v * v * v;
		if (log(curve_rng__uniform(rng)) < x * x / 2 + d - d * v + d * log(v))
			return 2 * d * v;
	}
}
