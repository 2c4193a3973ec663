// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The error rates that the rule was chosen for, by a short simulation of every cell: what p can be
 * reached, how often a flat curve is called stepped, how often a step is found, how often a level
 * is. `make bench` runs the same at full length. Seeds are fixed, so the outcome is too. SHARE=N
 * makes each N-th of the runs, with the wider tolerances of so few.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/unit/curve_tables.h"
#include "user/analyze/curve_step.h"

/* A few seconds for each table; the shape that the gate asks for gets more of them. */
#define ALARM_RUNS 1000
#define GATE_RUNS  4000
#define FOUND_RUNS 300
#define FLAT_RUNS  1000
#define LEVEL_RUNS 2000

static uint32_t runs_of(uint32_t usual)
{
	const char *share = getenv("SHARE");

	return usual / (share ? (uint32_t)strtoul(share, NULL, 10) : 1);
}

/* ---- what can be reached ---- */

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
	for (size_t i = 0; i < attainables_cnt; i++) {
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

static bool is_gate(const struct table_cell *c)
{
	return c->verdict == CURVE_STEPPED && c->shape == SHAPE_NONE && c->sweeps == 3 &&
	       c->windows == 10;
}

static void check_table(enum curve_table table, uint32_t usual, uint64_t seed)
{
	struct table_cell c;
	char name[96];

	for (size_t i = 0; curve_table__cell(table, i, &c); i++) {
		uint32_t runs = runs_of(is_gate(&c) ? GATE_RUNS : usual);
		double rate;

		if (c.want < 0)
			continue;
		rate = table_cell__rate(&c, runs, seed + i);
		assert_true(rate >= 0);
		if (fabs(rate - c.want) > table_cell__tolerance(&c, rate, runs))
			fail_msg("%s: %s in %.4f, the table has %.4f (tolerance %.4f)",
				 table_cell__name(&c, name), curve_verdict_name(c.verdict), rate,
				 c.want, table_cell__tolerance(&c, rate, runs));
	}
}

static void false_alarms_are_those_of_the_table(void **state)
{
	check_table(TABLE_FALSE_ALARMS, ALARM_RUNS, 100);
}

static void steps_are_found_as_in_the_table(void **state)
{
	check_table(TABLE_DETECTION, FOUND_RUNS, 200);
}

static void flat_is_said_as_in_the_table(void **state)
{
	check_table(TABLE_FLAT, FLAT_RUNS, 300);
}

/* A true step of the very ratio that FLAT excludes is called FLAT in at most 5 %. */
static void flat_is_rarely_said_of_a_step(void **state)
{
	static const struct table_cell cells[] = {
		{ .sweeps = 3, .windows = 10, .cv = .3, .shape = SHAPE_MID },
		{ .sweeps = 3, .windows = 10, .cv = .2, .shape = SHAPE_EARLY },
		{ .sweeps = 5, .windows = 10, .cv = .5, .shape = SHAPE_MID },
		{ .sweeps = 1, .windows = 20, .cv = .2, .shape = SHAPE_EARLY },
	};
	uint32_t runs = runs_of(4 * FLAT_RUNS);

	for (size_t i = 0; i < sizeof(cells) / sizeof(cells[0]); i++) {
		struct table_cell c = cells[i];
		double rate;

		c.ratio = c.flat_ratio = 1.5;
		c.verdict = CURVE_FLAT;
		rate = table_cell__rate(&c, runs, 400 + i);
		assert_true(rate >= 0 && rate < 0.05 + 4 * sqrt(0.05 * 0.95 / runs));
	}
}

static void levels_are_found_as_in_the_table(void **state)
{
	uint32_t runs = runs_of(LEVEL_RUNS);

	for (size_t i = 0; i < level_cells_cnt; i++) {
		const struct level_cell *c = &level_cells[i];
		double rate = level_cell__rate(c, runs, 500 + i);

		if (rate < 0 || fabs(rate - c->want) > level_cell__tolerance(c, rate, runs))
			fail_msg("%u against %u sweeps, CV %.0f %%, offset %.2f, x%.3g: slower in "
				 "%.4f, the table has %.3f",
				 c->sweeps, c->sweeps, 100 * c->cv, c->offset, c->ratio, rate,
				 c->want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_attainability_table),
		cmocka_unit_test(false_alarms_are_those_of_the_table),
		cmocka_unit_test(steps_are_found_as_in_the_table),
		cmocka_unit_test(flat_is_said_as_in_the_table),
		cmocka_unit_test(flat_is_rarely_said_of_a_step),
		cmocka_unit_test(levels_are_found_as_in_the_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
