// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The law of the sum of K Mann-Whitney statistics. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "curve_hl.h"

/*
 * Above this many pairs the normal law takes over, and is within a thousandth of what is asked.
 * Two or three values against thousands are far from normal: they are counted somewhat longer.
 */
#define EXACT_PAIRS	2048
#define EXACT_PAIRS_FEW 10000
#define FEW_VALUES	3

/*
 * P(U = u) for samples of i and j values, row by row: the largest of all values is one of the i
 * (then it beats all j) or one of the j. All terms are positive, so nothing cancels.
 */
static int law_of_one(uint32_t n1, uint32_t n2, double *law)
{
	size_t size = (size_t)n1 * n2 + 1;
	double *row = calloc((n2 + 1) * size,
			     sizeof(*row)); /* row[j * size + u], of the current i */

	if (!row)
		return -ENOMEM;
	for (uint32_t j = 0; j <= n2; j++)
		row[j * size] = 1;
	for (uint32_t i = 1; i <= n1; i++)
		for (uint32_t j = 1; j <= n2; j++) {
			double *now = row + j * size, *left = now - size;
			double beats = (double)i / (i + j);

			/* downwards: now[u - j] is still that of i - 1 */
			for (size_t u = (size_t)i * j + 1; u-- > 0;)
				now[u] = (u >= j ? beats * now[u - j] : 0) + (1 - beats) * left[u];
		}
	for (size_t u = 0; u < size; u++)
		law[u] = row[n2 * size + u];
	free(row);
	return 0;
}

/* sum[0..half] becomes the law of one more summand, in place from the top. */
static void convolve(double *sum, size_t half, const double *one, size_t one_size)
{
	for (size_t u = half + 1; u-- > 0;) {
		double p = 0;

		for (size_t v = 0; v < one_size && v <= u; v++)
			p += one[v] * sum[u - v];
		sum[u] = p;
	}
}

static int exact_quantile(uint32_t n1, uint32_t n2, uint32_t strata, double alpha, int64_t *out)
{
	size_t one_size = (size_t)n1 * n2 + 1, half = (size_t)n1 * n2 * strata / 2;
	double *one = calloc(one_size, sizeof(*one)), *sum = calloc(half + 1, sizeof(*sum));
	double below = 0;
	int err = -ENOMEM;

	if (!one || !sum)
		goto out;
	/* The law is symmetric: swapping keeps the table of rows small. */
	err = n1 < n2 ? law_of_one(n2, n1, one) : law_of_one(n1, n2, one);
	if (err)
		goto out;
	sum[0] = 1;
	for (uint32_t k = 0; k < strata; k++)
		convolve(sum, half, one, one_size);
	*out = -1;
	/* the slack is for a probability that is alpha on paper: 1/20 with samples of 3 and 3 */
	for (size_t u = 0; u <= half && (below += sum[u]) <= alpha + 1e-12; u++)
		*out = (int64_t)u;
out:
	free(one);
	free(sum);
	return err;
}

/* z with Phi(z) = p, by bisection: it is asked for once per split at most. */
static double normal_quantile(double p)
{
	double lo = -40, hi = 40;

	for (int i = 0; i < 80; i++) {
		double mid = (lo + hi) / 2;

		if (erfc(-mid / M_SQRT2) / 2 < p)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

/* Cornish-Fisher with the excess kurtosis of U, and the half step of a whole-numbered law. */
static int64_t normal_u_quantile(double n1, double n2, double strata, double alpha)
{
	double n = n1 + n2, mean = strata * n1 * n2 / 2;
	double sd = sqrt(strata * n1 * n2 * (n + 1) / 12);
	double kurtosis = -1.2 * (n1 * n1 + n2 * n2 + n1 * n2 + n1 + n2) / (n1 * n2 * (n + 1)) /
			  strata;
	double z = normal_quantile(alpha), c;

	z += (z * z * z - 3 * z) / 24 * kurtosis;
	c = floor(mean + z * sd - 0.5);
	return c < 0 ? -1 : (int64_t)c;
}

static bool is_countable(uint32_t n1, uint32_t n2, uint32_t strata)
{
	uint64_t pairs = (uint64_t)n1 * n2;

	if ((n1 <= FEW_VALUES || n2 <= FEW_VALUES) && strata == 1)
		return pairs <= EXACT_PAIRS_FEW;
	return pairs <= EXACT_PAIRS / strata;
}

int u_quantile(uint32_t n1, uint32_t n2, uint32_t strata, double alpha, int64_t *out)
{
	if (!n1 || !n2 || !strata) {
		*out = -1;
		return 0;
	}
	if (is_countable(n1, n2, strata))
		return exact_quantile(n1, n2, strata, alpha, out);
	*out = normal_u_quantile(n1, n2, strata, alpha);
	return 0;
}
