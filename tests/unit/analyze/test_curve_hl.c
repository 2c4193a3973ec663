// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The law of U, Hodges-Lehmann and its bounds beside a slow and simple second way to get each. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "user/analyze/curve_hl.h"
#include "user/analyze/curve_rng.h"
#include "user/analyze/curve_step.h"

#define CLOSE 1e-9

/* cmocka's own compares as float, which is too coarse here */
#define assert_near(a, b, error) assert_true(fabs((double)(a) - (double)(b)) <= (error))

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void fill_normal(double *y, size_t cnt, uint64_t seed)
{
	struct curve_rng rng;

	curve_rng__init(&rng, seed);
	for (size_t i = 0; i < cnt; i++)
		y[i] = curve_rng__normal(&rng);
}

/* ---- the law of U ---- */

/* Frequencies of U of all ways to put n1 ones among n1 + n2 places, convolved. */
static int64_t slow_quantile(int n1, int n2, int strata, double alpha)
{
	static double one[4096], sum[4096], next[4096];
	int top = n1 * n2;
	double below = 0, all = 0;
	int64_t c = -1;

	memset(one, 0, sizeof(one));
	memset(sum, 0, sizeof(sum));
	for (uint32_t set = 0; set < 1u << (n1 + n2); set++) {
		int u = 0, others = 0;

		if (__builtin_popcount(set) != n1)
			continue;
		for (int i = 0; i < n1 + n2; i++) {
			if (set >> i & 1)
				u += others;
			else
				others++;
		}
		one[u]++;
		all++;
	}
	sum[0] = 1;
	for (int k = 0; k < strata; k++) {
		memset(next, 0, sizeof(next));
		for (int u = 0; u <= top * k; u++)
			for (int v = 0; v <= top; v++)
				next[u + v] += sum[u] * one[v] / all;
		memcpy(sum, next, sizeof(sum));
	}
	for (int u = 0; u <= top * strata; u++) {
		below += sum[u];
		if (below <= alpha + 1e-12)
			c = u;
	}
	return c;
}

static void u_quantiles_are_those_of_all_arrangements(void **state)
{
	const double alphas[] = { 0.1, 0.05, 0.01, 0.001 };
	int64_t c;

	for (int n1 = 1; n1 <= 7; n1++)
		for (int n2 = 1; n2 <= 7; n2++)
			for (int k = 1; k <= 4; k++)
				for (int a = 0; a < 4; a++) {
					assert_int_equal(u_quantile((uint32_t)n1, (uint32_t)n2,
								    (uint32_t)k, alphas[a], &c),
							 0);
					assert_int_equal(c, slow_quantile(n1, n2, k, alphas[a]));
				}
}

static void u_quantiles_are_those_of_the_tables(void **state)
{
	/* one-sided .05 of Mann and Whitney's tables */
	const int table[][3] = { { 3, 3, 0 },	 { 5, 5, 4 },	 { 7, 9, 15 },	 { 8, 8, 15 },
				 { 10, 10, 27 }, { 12, 20, 77 }, { 20, 20, 138 } };
	int64_t c;

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		u_quantile((uint32_t)table[i][0], (uint32_t)table[i][1], 1, 0.05, &c);
		assert_int_equal(c, table[i][2]);
	}
	u_quantile(0, 3, 1, 0.05, &c);
	assert_int_equal(c, -1);
	u_quantile(2, 4, 1, 0.05, &c); /* 1/15 */
	assert_int_equal(c, -1);
}

/* P(U <= c) and P(U <= c + 1) of one stratum, by the recurrence on counts. */
static void slow_tail(uint32_t n1, uint32_t n2, int64_t c, double *at, double *above)
{
	size_t size = (size_t)n1 * n2 + 1;
	long double *f = calloc((n2 + 1) * size, sizeof(*f)), below = 0, all = 0;

	assert_non_null(f);
	for (uint32_t j = 0; j <= n2; j++)
		f[j * size] = 1;
	for (uint32_t i = 1; i <= n1; i++)
		for (uint32_t j = 1; j <= n2; j++)
			for (size_t u = size; u-- > 0;)
				f[j * size + u] = (u >= j ? f[j * size + u - j] : 0) +
						  f[(j - 1) * size + u];
	for (size_t u = 0; u < size; u++)
		all += f[n2 * size + u];
	*at = *above = 0;
	for (size_t u = 0; u <= (size_t)c + 1; u++) {
		below += f[n2 * size + u];
		if (u == (size_t)c)
			*at = (double)(below / all);
	}
	*above = (double)(below / all);
	free(f);
}

static void large_u_quantiles_are_within_a_thousandth(void **state)
{
	/* more than 2,048 pairs each, where the normal law takes over */
	const uint32_t sizes[][2] = { { 46, 46 }, { 8, 300 }, { 4, 520 }, { 2, 1030 }, { 60, 40 } };
	const double alphas[] = { 0.05, 0.01 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		for (int a = 0; a < 2; a++) {
			double at, above;
			int64_t c;

			u_quantile(sizes[i][0], sizes[i][1], 1, alphas[a], &c);
			slow_tail(sizes[i][0], sizes[i][1], c, &at, &above);
			assert_true(at < alphas[a] + 0.0015);
			assert_true(above > alphas[a] - 0.0015);
		}
}

/* ---- Hodges-Lehmann ---- */

static size_t slow_differences(const double *y, int sweeps, int n, int s, double *d)
{
	size_t cnt = 0;

	for (int k = 0; k < sweeps; k++)
		for (int i = 0; i < s; i++)
			for (int j = s; j < n; j++)
				d[cnt++] = y[k * n + j] - y[k * n + i];
	qsort(d, cnt, sizeof(*d), compare_doubles);
	return cnt;
}

static void hodges_lehmann_is_the_sorted_list(void **state)
{
	double y[40], d[400];

	for (uint64_t seed = 1; seed <= 30; seed++) {
		int sweeps = 1 + (int)(seed % 4), n = 5 + (int)(seed % 6), s = 1 + (int)(seed % 4);
		struct hl_estimate est;
		struct hl_pairs pairs;
		size_t m;
		int64_t c;

		fill_normal(y, 40, seed);
		if (seed % 3 == 0) /* ties */
			for (int i = 0; i < 40; i++)
				y[i] = round(y[i]);
		m = slow_differences(y, sweeps, n, s, d);
		assert_int_equal(
			hl_pairs__cut(&pairs, y, (uint32_t)sweeps, (uint32_t)n, (uint32_t)s), 0);
		for (size_t i = 0; i < m; i++)
			assert_near(hl_pairs__select(&pairs, i + 1), d[i], CLOSE);
		assert_int_equal(hl_pairs__estimate(&pairs, 0.05, &est), 0);
		assert_near(est.median, m % 2 ? d[m / 2] : (d[m / 2 - 1] + d[m / 2]) / 2, CLOSE);
		u_quantile((uint32_t)s, (uint32_t)(n - s), (uint32_t)sweeps, 0.05, &c);
		if (c < 0) {
			assert_true(isinf(est.lower) && isinf(est.upper));
		} else {
			assert_near(est.lower, d[c], CLOSE);
			assert_near(est.upper, d[m - 1 - (size_t)c], CLOSE);
		}
		hl_pairs__free_inside(&pairs);
	}
}

static void hodges_lehmann_of_a_hand_made_case(void **state)
{
	/* late - early: 9 8 12 11 14 13: median 11.5 */
	struct hl_pairs pairs;

	hl_pairs__cut(&pairs, (double[]){ 1, 2, 10, 13, 15 }, 1, 5, 2);
	assert_near(hl_pairs__median(&pairs), 11.5, CLOSE);
	assert_near(hl_pairs__select(&pairs, 1), 8, CLOSE);
	assert_near(hl_pairs__select(&pairs, 6), 14, CLOSE);
	hl_pairs__free_inside(&pairs);
	hl_pairs__join(&pairs, (double[]){ 3 }, 1, (double[]){ 5, 4, 9 }, 3);
	assert_near(hl_pairs__median(&pairs), 2, CLOSE);
	hl_pairs__free_inside(&pairs);
}

/* True values of late - early lie below the upper bound in 95 % of 4,000 runs, error 4 s.e. */
static void bounds_cover_what_they_promise(void **state)
{
	enum { RUNS = 4000 };
	int inside = 0, promised = 0;

	for (uint64_t r = 1; r <= RUNS; r++) {
		double y[30];
		struct hl_estimate est;
		struct hl_pairs pairs;

		fill_normal(y, 30, r * 7919);
		hl_pairs__cut(&pairs, y, 3, 10, 4);
		hl_pairs__estimate(&pairs, 0.05, &est);
		hl_pairs__free_inside(&pairs);
		inside += est.upper >= 0;
		promised += est.lower <= 0;
	}
	assert_true(inside > RUNS * (0.95 - 4 * sqrt(0.05 * 0.95 / RUNS)));
	assert_true(promised > RUNS * (0.95 - 4 * sqrt(0.05 * 0.95 / RUNS)));
	/* and are not empty promises: the law has steps of well below a hundredth here */
	assert_true(inside < RUNS * (0.965 + 4 * sqrt(0.05 * 0.95 / RUNS)));
}

static void flat_everywhere_is_every_upper_bound(void **state)
{
	int flat = 0, open = 0;

	for (uint64_t seed = 1; seed <= 200; seed++) {
		int sweeps = 1 + (int)(seed % 3), n = 5 + (int)(seed % 8);
		double y[40], limit = 0.3 + 0.2 * (double)(seed % 9);
		uint32_t split, first = 0;

		fill_normal(y, 40, seed + 1000);
		for (int s = n - 2; s >= 2; s--) {
			struct hl_estimate est;
			struct hl_pairs pairs;

			hl_pairs__cut(&pairs, y, (uint32_t)sweeps, (uint32_t)n, (uint32_t)s);
			hl_pairs__estimate(&pairs, 0.05, &est);
			hl_pairs__free_inside(&pairs);
			if (!(est.upper < limit))
				first = (uint32_t)s;
		}
		assert_int_equal(
			hl_below_everywhere(y, (uint32_t)sweeps, (uint32_t)n, limit, 0.05, &split),
			0);
		assert_int_equal(split, first);
		*(first ? &open : &flat) += 1;
	}
	assert_true(flat > 10 && open > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(u_quantiles_are_those_of_all_arrangements),
		cmocka_unit_test(u_quantiles_are_those_of_the_tables),
		cmocka_unit_test(large_u_quantiles_are_within_a_thousandth),
		cmocka_unit_test(hodges_lehmann_is_the_sorted_list),
		cmocka_unit_test(hodges_lehmann_of_a_hand_made_case),
		cmocka_unit_test(bounds_cover_what_they_promise),
		cmocka_unit_test(flat_everywhere_is_every_upper_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
