// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The two tests for a step beside a slow and simple second way to get each. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "user/analyze/curve_rng.h"
#include "user/analyze/curve_step.h"

#define CLOSE 1e-9

/* cmocka's own compares as float, which is too coarse here */
#define assert_near(a, b, error) assert_true(fabs((double)(a) - (double)(b)) <= (error))

static const struct step_opts plain = { .draws = 20000, .seed = 1 };

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

/* ---- ranks ---- */

/* By definition: 1 + the smaller ones + half of the equal others. */
static double mid_rank(const double *y, int n, int at)
{
	double rank = 1;

	for (int i = 0; i < n; i++)
		rank += y[i] < y[at] ? 1 : y[i] == y[at] && i != at ? 0.5 : 0;
	return rank;
}

static void ranks_share_the_middle_when_tied(void **state)
{
	const double y[] = { 7, 3, 7, 1, 3, 3, 9 };
	int32_t ranks[7];

	assert_int_equal(centre_ranks(y, 7, ranks), 1);
	for (int i = 0; i < 7; i++)
		assert_near((double)ranks[i], 2 * mid_rank(y, 7, i) - 8, CLOSE);
	/* 1, 3 3 3, 7 7, 9: ranks 1, 3, 5.5, 7 */
	assert_int_equal(ranks[3], 2 - 8);
	assert_int_equal(ranks[1], 6 - 8);
	assert_int_equal(ranks[0], 11 - 8);
	assert_int_equal(ranks[6], 14 - 8);
	assert_int_equal(centre_ranks((double[]){ 3, 1, 2 }, 3, ranks), 0);
}

/* z_s straight from the formula of the stratified statistic, largest over the splits. */
static double slow_max_rank(const double *y, int sweeps, int n)
{
	double best = -INFINITY;
	int m = n < 4 ? 1 : 2;

	for (int s = m; s <= n - m; s++) {
		double sum = 0, variance = 0;

		for (int k = 0; k < sweeps; k++) {
			double v = 0;

			for (int i = 0; i < n; i++) {
				double r = mid_rank(y + k * n, n, i) - (n + 1) / 2.0;

				v += r * r / (n - 1);
				if (i >= s)
					sum += r;
			}
			variance += v * s * (n - s) / n;
		}
		best = fmax(best, sum / sqrt(variance));
	}
	return best;
}

/* Counts all arrangements within sweeps; `y` is left as it was. */
static void slow_count(double *y, int sweeps, int n, int sweep, int place, double observed,
		       long *hits, long *all)
{
	if (sweep == sweeps) {
		*hits += slow_max_rank(y, sweeps, n) >= observed - CLOSE;
		(*all)++;
		return;
	}
	if (place == n) {
		slow_count(y, sweeps, n, sweep + 1, 0, observed, hits, all);
		return;
	}
	for (int i = place; i < n; i++) {
		double *v = y + sweep * n, t = v[place];

		v[place] = v[i];
		v[i] = t;
		slow_count(y, sweeps, n, sweep, place + 1, observed, hits, all);
		v[i] = v[place];
		v[place] = t;
	}
}

static void check_exact_ranks(const double *values, int sweeps, int n)
{
	double y[64], observed;
	struct step_test test;
	long hits = 0, all = 0;

	memcpy(y, values, sizeof(*y) * (size_t)(sweeps * n));
	observed = slow_max_rank(y, sweeps, n);
	slow_count(y, sweeps, n, 0, 0, observed, &hits, &all);
	assert_int_equal(rank_step__test(values, (uint32_t)sweeps, (uint32_t)n, &plain, &test), 0);
	assert_near(test.up, observed, CLOSE);
	assert_near(test.p_up, (double)hits / (double)all, CLOSE);
}

static void exact_rank_p_is_that_of_all_arrangements(void **state)
{
	check_exact_ranks((double[]){ 1, 2, 3, 4, 5 }, 1, 5);
	check_exact_ranks((double[]){ 3, 1, 5, 2, 4, 6 }, 1, 6);
	check_exact_ranks((double[]){ 3, 3, 5, 5, 4, 6 }, 1, 6); /* ties */
	check_exact_ranks((double[]){ 1, 2, 3, 5, 4, 2, 1, 3, 4, 5 }, 2, 5);
	check_exact_ranks((double[]){ 1, 1, 3, 5, 4, 2, 1, 3, 3, 5 }, 2, 5);
	check_exact_ranks((double[]){ 2, 1, 3, 4, 1, 2, 4, 3, 2, 1, 4, 3 }, 3, 4);
	check_exact_ranks((double[]){ 1, 3, 2 }, 1, 3);
	check_exact_ranks((double[]){ 1, 2, 2, 1, 1, 2 }, 3, 2);
}

static void five_rising_windows_are_one_in_six(void **state)
{
	struct step_test test;

	/* {3,4,5} last: 12 of 120, {4,5} last: 12, both: 4; z = 3 / sqrt(2.5 * 6/5) */
	rank_step__test((double[]){ 1, 2, 3, 4, 5 }, 1, 5, &plain, &test);
	assert_near(test.up, sqrt(3), CLOSE);
	assert_near(test.p_up, 20.0 / 120, CLOSE);
	assert_int_equal(test.split_up, 2);
	assert_near(test.p_down, 1, CLOSE);
}

static void a_fall_is_a_rise_read_backwards(void **state)
{
	double y[30], back[30];
	struct step_test a, b;

	fill_normal(y, 30, 5);
	for (int k = 0; k < 3; k++)
		for (int i = 0; i < 10; i++)
			back[k * 10 + i] = y[k * 10 + 9 - i];
	rank_step__test(y, 3, 10, &plain, &a);
	rank_step__test(back, 3, 10, &plain, &b);
	assert_near(a.up, b.down, CLOSE);
	assert_near(a.p_up, b.p_down, CLOSE);
	assert_int_equal(a.split_up, 10 - b.split_down);
	maxt_step__test(y, 3, 10, &plain, &a);
	maxt_step__test(back, 3, 10, &plain, &b);
	assert_near(a.up, b.down, 1e-6);
	assert_int_equal(a.split_up, 10 - b.split_down);
}

static void drawn_rank_p_is_near_the_exact_one(void **state)
{
	/* All five largest last: 1 of 252 splits of ten, and no other split reaches that z. */
	const double y[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 };
	struct step_test test;

	rank_step__test(y, 1, 10, &plain, &test);
	assert_int_equal(test.split_up, 5);
	assert_true(fabs(test.p_up - 1.0 / 252) < 4 * sqrt(1.0 / 252 / 20000));
	/* the same values with one tie go by their own law, not the kept one */
	rank_step__test((double[]){ 1, 2, 3, 4, 4, 6, 7, 8, 9, 10 }, 1, 10, &plain, &test);
	assert_true(fabs(test.p_up - 1.0 / 252) < 4 * sqrt(1.0 / 252 / 20000));
}

static void same_seed_same_p(void **state)
{
	double y[30], tied[30];
	struct step_test a, b;
	struct step_opts other = plain;

	fill_normal(y, 30, 9);
	for (int i = 0; i < 30; i++)
		tied[i] = round(2 * y[i]);
	rank_step__test(tied, 3, 10, &plain, &a);
	rank_step__test(tied, 3, 10, &plain, &b);
	assert_memory_equal(&a, &b, sizeof(a));
	maxt_step__test(y, 3, 10, &plain, &a);
	other.seed = 2; /* pushes another law into the cache between */
	maxt_step__test(y, 3, 10, &other, &b);
	assert_true(a.p_up != b.p_up);
	assert_true(fabs(a.p_up - b.p_up) < 0.02);
	maxt_step__test(y, 3, 10, &plain, &b);
	assert_memory_equal(&a, &b, sizeof(a));
}

static void many_shapes_do_not_grow_the_cache(void **state)
{
	double y[200];
	struct step_opts few = { .draws = 100, .seed = 3 };
	struct step_test first, again;

	fill_normal(y, 200, 4);
	rank_step__test(y, 1, 12, &few, &first);
	for (uint32_t n = 10; n < 190; n++) {
		assert_int_equal(rank_step__test(y, 1, n, &few, &again), 0);
		assert_in_range((int)(again.p_up * 1000), 0, 1000);
	}
	rank_step__test(y, 1, 12, &few, &again);
	assert_memory_equal(&first, &again, sizeof(first));
}

static void what_does_not_vary_has_no_step(void **state)
{
	const double same[] = { 0.1, 0.1, 0.1, 0.1, 0.1, 0.1 };
	struct step_test test;

	rank_step__test(same, 1, 6, &plain, &test);
	assert_near(test.p_up, 1, 0);
	maxt_step__test(same, 1, 6, &plain, &test);
	assert_near(test.p_up, 1, 0);
	rank_step__test(same, 1, 1, &plain, &test);
	assert_near(test.p_up, 1, 0);
	assert_int_equal(test.split_up, 0);
	maxt_step__test((double[]){ 1, 2 }, 1, 2, &plain, &test); /* no degree of freedom */
	assert_near(test.p_up, 1, 0);
}

/* ---- max-t ---- */

/* t at split s by the definition: levels per sweep, one step, residual by residual. */
static double slow_t(const double *y, int sweeps, int n, int s)
{
	double delta = 0, squares = 0;

	for (int k = 0; k < sweeps; k++) {
		double early = 0, late = 0;

		for (int i = 0; i < n; i++)
			*(i < s ? &early : &late) += y[k * n + i];
		delta += (late / (n - s) - early / s) / sweeps;
	}
	for (int k = 0; k < sweeps; k++) {
		double level = 0;

		for (int i = 0; i < n; i++)
			level += (y[k * n + i] - (i < s ? 0 : delta)) / n;
		for (int i = 0; i < n; i++) {
			double r = y[k * n + i] - level - (i < s ? 0 : delta);

			squares += r * r;
		}
	}
	return delta /
	       sqrt(squares / (sweeps * n - sweeps - 1) * (1.0 / s + 1.0 / (n - s)) / sweeps);
}

static void max_t_is_the_t_of_its_definition(void **state)
{
	double y[40];

	for (uint64_t seed = 1; seed <= 20; seed++) {
		int sweeps = 1 + (int)(seed % 4), n = 10;
		double best = -INFINITY;
		struct step_test test;
		int at = 0;

		fill_normal(y, 40, seed);
		for (int s = 2; s <= n - 2; s++) {
			double t = slow_t(y, sweeps, n, s);

			if (t > best) {
				best = t;
				at = s;
			}
		}
		maxt_step__test(y, (uint32_t)sweeps, (uint32_t)n, &plain, &test);
		assert_near(test.up, best, 1e-6);
		assert_int_equal(test.split_up, at);
	}
}

/* Four windows have one split, so the law is Student's; with 2 degrees it has a closed form. */
static void max_t_of_one_split_is_student(void **state)
{
	struct null_key key = { NULL_MAXT, 4, 1, 20000, 11 };
	struct null_law law;

	assert_int_equal(maxt_step__law(&key, &law), 0);
	for (double t = -3; t <= 12; t += 0.75) {
		double p = 0.5 - t / (2 * sqrt(2 + t * t));
		double error = 4 * sqrt(p * (1 - p) / (double)law.draws);

		assert_true(fabs(null_law__p(&law, t) - p) < error + 1.0 / (double)law.draws);
	}
	null_law__free_inside(&law);
}

/* The short cut by window means and a chi-square against whole curves of noise. */
static void max_t_law_is_that_of_whole_curves(void **state)
{
	enum { RUNS = 20000, SWEEPS = 3, WINDOWS = 7 };
	struct null_key key = { NULL_MAXT, WINDOWS, SWEEPS, 20000, 12 };
	double *t = malloc(RUNS * sizeof(*t)), y[SWEEPS * WINDOWS];
	struct null_law law;
	struct curve_rng rng;

	assert_non_null(t);
	curve_rng__init(&rng, 13);
	for (int r = 0; r < RUNS; r++) {
		t[r] = -INFINITY;
		for (int i = 0; i < SWEEPS * WINDOWS; i++)
			y[i] = curve_rng__normal(&rng);
		for (int s = 2; s <= WINDOWS - 2; s++)
			t[r] = fmax(t[r], slow_t(y, SWEEPS, WINDOWS, s));
	}
	qsort(t, RUNS, sizeof(*t), compare_doubles);
	assert_int_equal(maxt_step__law(&key, &law), 0);
	for (double p = 0.005; p < 1; p *= 1.7) {
		double at = t[(int)(RUNS * (1 - p))];

		assert_true(fabs(null_law__p(&law, at) - p) < 4 * sqrt(p * (1 - p) / RUNS) + 1e-3);
	}
	null_law__free_inside(&law);
	free(t);
}

static void a_perfect_step_is_infinite(void **state)
{
	struct step_test test;

	maxt_step__test((double[]){ 1, 1, 1, 1, 1, 2, 2, 2, 2, 2 }, 1, 10, &plain, &test);
	assert_true(isinf(test.up) && test.up > 0);
	assert_int_equal(test.split_up, 5);
	assert_true(test.p_up < 0.0001 && test.p_up > 0);
	assert_true(test.p_down > 0.9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranks_share_the_middle_when_tied),
		cmocka_unit_test(exact_rank_p_is_that_of_all_arrangements),
		cmocka_unit_test(five_rising_windows_are_one_in_six),
		cmocka_unit_test(a_fall_is_a_rise_read_backwards),
		cmocka_unit_test(drawn_rank_p_is_near_the_exact_one),
		cmocka_unit_test(same_seed_same_p),
		cmocka_unit_test(many_shapes_do_not_grow_the_cache),
		cmocka_unit_test(what_does_not_vary_has_no_step),
		cmocka_unit_test(max_t_is_the_t_of_its_definition),
		cmocka_unit_test(max_t_of_one_split_is_student),
		cmocka_unit_test(max_t_law_is_that_of_whole_curves),
		cmocka_unit_test(a_perfect_step_is_infinite),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
