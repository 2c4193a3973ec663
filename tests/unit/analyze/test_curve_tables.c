// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The error rates that the rule was chosen for, by simulation: what p can be reached, how often a
 * flat curve is called stepped, how often a step is found. Each cell is 4,000 judged curves and
 * must lie within four standard errors (ours and the table's together) of the table in which the
 * rule was published: false alarms and FLAT there from 20,000 runs (6,000 with five sweeps and
 * more), detection from 700. Seeds are fixed, so the outcome is too.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "user/analyze/curve.h"
#include "user/analyze/curve_rng.h"
#include "user/analyze/curve_step.h"

#define RUNS	   4000
#define VALUES_MAX 200
#define CNT(a)	   (sizeof(a) / sizeof((a)[0]))

/* ---- what can be reached ---- */

struct attainable {
	uint32_t windows, sweeps;
	double min_p;		  /* 0 = too small for the number of draws */
	double at05, at01, at001; /* critical values; 0 = impossible */
};

static const struct attainable attainables[] = {
	{ 5, 1, .167, 0, 0, 0 },	{ 5, 2, .019, 2.45, 0, 0 },
	{ 5, 3, .0020, 2.33, 2.67, 0 }, { 5, 5, 0, 2.07, 2.84, 3.36 },
	{ 6, 1, .051, -1, 0, 0 },	{ 6, 2, .0026, 2.16, 2.78, 0 },
	{ 6, 3, 0, 2.14, 2.67, 3.21 },	{ 8, 1, .014, 2.02, 0, 0 },
	{ 8, 2, 0, 2.25, 2.65, 3.16 },	{ 10, 1, .0042, 2.17, 2.61, 0 },
	{ 10, 2, 0, 2.26, 2.77, 3.22 }, { 10, 3, 0, 2.30, 2.83, 3.36 },
	{ 10, 5, 0, 2.29, 2.85, 3.43 }, { 15, 1, 0, 2.32, 2.71, 3.13 },
	{ 20, 3, 0, 2.47, 3.00, 3.58 }, { 50, 1, 0, 2.59, 3.09, 3.62 },
	{ 50, 5, 0, 2.66, 3.20, 3.83 },
};

/*
 * The law is stepped, so compare probabilities and not only values: at the table's value, p must
 * be alpha within what drawing leaves open; -1 stands for a cell of luck (its exact p is alpha).
 */
static void check_critical(const struct null_law *law, double value, double alpha,
			   const struct attainable *a)
{
	double draws = law->exact ? 60000 : (double)law->draws;
	double error = 4 * sqrt(alpha / draws + alpha / 60000);
	double found = null_law__critical(law, alpha);

	if (value < 0)
		return;
	if (value == 0 && !isinf(found) && null_law__p(law, found) < alpha - error)
		fail_msg("%ux%u: %g is not reached in the table, here at %.3f", a->sweeps,
			 a->windows, alpha, found);
	if (value > 0 && fabs(found - value) > 0.03 &&
	    (null_law__p(law, value + 0.02) > alpha + error ||
	     null_law__p(law, value - 0.06) < alpha - error))
		fail_msg("%ux%u: critical value %.3f of %g, the table has %.2f", a->sweeps,
			 a->windows, found, alpha, value);
}

static void the_attainability_table(void **state)
{
	for (size_t i = 0; i < CNT(attainables); i++) {
		const struct attainable *a = &attainables[i];
		struct null_key key = { NULL_RANKS, a->windows, a->sweeps, 100000, 21 };
		struct null_law law;
		double min_p;

		assert_int_equal(rank_step__law(&key, &law), 0);
		min_p = null_law__p(&law, law.stat[law.cnt - 1]);
		if (a->min_p > 0 &&
		    fabs(min_p - a->min_p) > 0.03 * a->min_p + 4 * sqrt(a->min_p / 60000))
			fail_msg("%ux%u: least p %.5f, the table has %.5f", a->sweeps, a->windows,
				 min_p, a->min_p);
		check_critical(&law, a->at05, 0.05, a);
		check_critical(&law, a->at01, 0.01, a);
		check_critical(&law, a->at001, 0.001, a);
		null_law__free_inside(&law);
	}
}

/* ---- simulated curves ---- */

enum shape { NO_STEP, MID, EARLY, RAMP };
enum noise { IID, OUTLIERS, STUDENT3, COLD_FIRST, AR };

struct cell {
	uint32_t sweeps, windows;
	double cv;
	enum shape shape;
	double ratio;
	enum noise noise;
	double phi;
	double want; /* of the table */
	enum curve_verdict verdict;
	double table_runs;
};

static double rise(const struct cell *c, uint32_t window)
{
	switch (c->shape) {
	case MID:
		return window >= c->windows / 2 ? c->ratio : 1;
	case EARLY:
		return window >= 2 ? c->ratio : 1;
	case RAMP:
		return 1 + (c->ratio - 1) * window / (c->windows - 1);
	case NO_STEP:
		break;
	}
	return 1;
}

/* In units of sigma = sqrt(ln(1 + CV^2)); `last` carries what a sweep remembers. */
static double noise(const struct cell *c, struct curve_rng *rng, uint32_t window, double *last)
{
	double sigma = sqrt(log(1 + c->cv * c->cv)), z = curve_rng__normal(rng);

	switch (c->noise) {
	case OUTLIERS:
		return sigma * z + (curve_rng__uniform(rng) < 0.05 ? log(4) : 0);
	case STUDENT3:
		return sigma * z / sqrt(curve_rng__chi2(rng, 3));
	case COLD_FIRST:
		return sigma * z + (window == 0 ? log(2.5) : 0);
	case AR:
		*last = window == 0 ? z : c->phi * *last + sqrt(1 - c->phi * c->phi) * z;
		return sigma * *last;
	case IID:
		break;
	}
	return sigma * z;
}

static void simulate(const struct cell *c, struct curve_rng *rng, double *ms)
{
	for (uint32_t k = 0; k < c->sweeps; k++) {
		double last = 0;

		for (uint32_t i = 0; i < c->windows; i++)
			*ms++ = 100 * rise(c, i) * exp(noise(c, rng, i, &last));
	}
}

static double rate_of(const struct cell *c, uint64_t seed)
{
	struct finding_curve curve = { 0 };
	struct curve_opts opts;
	struct curve_rng rng;
	double ms[VALUES_MAX];
	int hits = 0;

	curve_opts__defaults(&opts);
	opts.min_step_ms = 0; /* the table was made without the floor */
	curve_rng__init(&rng, seed);
	for (int r = 0; r < RUNS; r++) {
		simulate(c, &rng, ms);
		assert_int_equal(curve__judge(ms, c->sweeps, c->windows, &opts, &curve), 0);
		hits += curve.verdict == c->verdict;
	}
	free(curve.values_ms);
	free(curve.why);
	return (double)hits / RUNS;
}

static void check_cells(const struct cell *cells, size_t cnt, uint64_t seed)
{
	for (size_t i = 0; i < cnt; i++) {
		const struct cell *c = &cells[i];
		double rate = rate_of(c, seed + i), p = (rate + c->want) / 2;
		double error = 4 * sqrt((p * (1 - p) + 1e-4) * (1.0 / RUNS + 1 / c->table_runs));

		if (fabs(rate - c->want) > error)
			fail_msg("%ux%u CV %.0f %%, shape %d, x%.3g, noise %d: %s in %.4f, the "
				 "table has %.4f (error %.4f)",
				 c->sweeps, c->windows, 100 * c->cv, c->shape, c->ratio, c->noise,
				 curve_verdict_name(c->verdict), rate, c->want, error);
	}
}

#define ALARM(k, n, cv, noise, phi, want, runs)                             \
	{                                                                   \
		k, n, cv, NO_STEP, 1, noise, phi, want, CURVE_STEPPED, runs \
	}
#define FOUND(k, n, cv, shape, ratio, want)                              \
	{                                                                \
		k, n, cv, shape, ratio, IID, 0, want, CURVE_STEPPED, 700 \
	}
#define FLAT(k, n, cv, want, runs)                                   \
	{                                                            \
		k, n, cv, NO_STEP, 1, IID, 0, want, CURVE_FLAT, runs \
	}

static void false_alarms_are_those_of_the_table(void **state)
{
	static const struct cell cells[] = {
		ALARM(3, 5, .3, IID, 0, .0043, 20000),
		ALARM(3, 8, .3, IID, 0, .0050, 20000),
		ALARM(3, 10, .1, IID, 0, 0, 20000),
		ALARM(3, 10, .2, IID, 0, .0034, 20000),
		ALARM(3, 10, .3, IID, 0, .0065, 20000),
		ALARM(3, 10, .5, IID, 0, .0073, 20000),
		ALARM(3, 10, .3, OUTLIERS, 0, .0071, 20000),
		ALARM(3, 10, .3, STUDENT3, 0, .0046, 20000),
		ALARM(3, 10, .2, COLD_FIRST, 0, 0, 20000),
		ALARM(3, 10, .3, AR, .3, .026, 20000),
		ALARM(3, 10, .3, AR, .6, .050, 20000),
		ALARM(3, 20, .3, IID, 0, .0062, 20000),
		ALARM(5, 10, .3, IID, 0, .0042, 6000),
		ALARM(8, 10, .3, IID, 0, .0013, 6000),
		ALARM(1, 10, .3, IID, 0, .0078, 20000),
		ALARM(1, 20, .5, IID, 0, .0076, 20000),
	};

	check_cells(cells, CNT(cells), 100);
}

static void steps_are_found_as_in_the_table(void **state)
{
	static const struct cell cells[] = {
		FOUND(3, 5, .2, MID, 1.5, .61),	  FOUND(3, 5, .2, EARLY, 1.5, .63),
		FOUND(3, 8, .2, MID, 1.5, .91),	  FOUND(3, 10, .2, MID, 1.25, .38),
		FOUND(3, 10, .2, MID, 1.5, .957), FOUND(3, 10, .2, EARLY, 1.5, .828),
		FOUND(3, 10, .2, RAMP, 1.5, .56), FOUND(3, 10, .2, MID, 2, 1),
		FOUND(3, 10, .3, MID, 1.5, .689), FOUND(3, 10, .3, EARLY, 1.5, .431),
		FOUND(3, 10, .3, RAMP, 2, .777),  FOUND(3, 10, .3, EARLY, 2, .947),
		FOUND(5, 10, .3, MID, 1.5, .937), FOUND(5, 10, .3, EARLY, 1.5, .755),
		FOUND(1, 10, .2, MID, 2, .92),	  FOUND(1, 10, .2, EARLY, 2, .49),
		FOUND(1, 10, .2, EARLY, 4.9, 1),  FOUND(3, 20, .3, MID, 1.5, .958),
	};

	check_cells(cells, CNT(cells), 200);
}

static void flat_is_said_as_in_the_table(void **state)
{
	static const struct cell cells[] = {
		FLAT(3, 10, .1, 1, 20000),    FLAT(3, 10, .2, .974, 20000),
		FLAT(3, 10, .3, .682, 20000), FLAT(3, 5, .2, .875, 20000),
		FLAT(1, 10, .2, .494, 20000), FLAT(1, 20, .2, .607, 20000),
		FLAT(5, 10, .3, .926, 6000),
	};

	check_cells(cells, CNT(cells), 300);
}

/* A true step of the very ratio that FLAT excludes is called FLAT in at most 5 %. */
static void flat_is_rarely_said_of_a_step(void **state)
{
	static const struct cell cells[] = {
		{ 3, 10, .3, MID, 1.5, IID, 0, 0, CURVE_FLAT, 1 },
		{ 3, 10, .2, EARLY, 1.5, IID, 0, 0, CURVE_FLAT, 1 },
		{ 5, 10, .5, MID, 1.5, IID, 0, 0, CURVE_FLAT, 1 },
		{ 1, 20, .2, EARLY, 1.5, IID, 0, 0, CURVE_FLAT, 1 },
	};

	for (size_t i = 0; i < CNT(cells); i++)
		assert_true(rate_of(&cells[i], 400 + i) < 0.05 + 4 * sqrt(0.05 * 0.95 / RUNS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_attainability_table),
		cmocka_unit_test(false_alarms_are_those_of_the_table),
		cmocka_unit_test(steps_are_found_as_in_the_table),
		cmocka_unit_test(flat_is_said_as_in_the_table),
		cmocka_unit_test(flat_is_rarely_said_of_a_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
