// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* What makes a gate pass or fail, which causes it names, and the test of the level behind it. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/sample_findings.h"
#include "user/analyze/curve_level.h"
#include "user/analyze/curve_rng.h"
#include "user/analyze/gate.h"

#define WINDOWS	   10
#define SWEEPS_MAX 8
#define CNT(a)	   (sizeof(a) / sizeof((a)[0]))

/* cmocka's own compares as float, which is too coarse here */
#define assert_near(a, b, eps) assert_true(fabs((a) - (b)) <= (eps))

/* ---- the decision ---- */

struct seen {
	enum curve_verdict curve;
	enum gate_level_verdict level;
};

static enum gate_outcome outcome_of(struct seen first, const struct seen *second, bool unconfirmed)
{
	struct gate_report r = { .looks_cnt = second ? 2 : 1 };
	enum gate_outcome outcome;

	r.looks[0].curve.verdict = first.curve;
	r.looks[0].level.verdict = first.level;
	if (second) {
		r.looks[1].curve.verdict = second->curve;
		r.looks[1].level.verdict = second->level;
	}
	assert_int_equal(gate__decide(&r, unconfirmed), 0);
	assert_true(strlen(r.headline) > 0);
	outcome = r.outcome;
	gate_report__free_inside(&r);
	return outcome;
}

static void one_look_decides_what_is_clear(void **state)
{
	static const struct {
		struct seen seen;
		enum gate_outcome want;
	} cases[] = {
		{ { CURVE_FLAT, GATE_LEVEL_NONE }, GATE_PASS },
		{ { CURVE_FLAT, GATE_LEVEL_SAME }, GATE_PASS },
		{ { CURVE_FLAT, GATE_LEVEL_CANNOT_TELL }, GATE_INCONCLUSIVE },
		{ { CURVE_INCONCLUSIVE, GATE_LEVEL_NONE }, GATE_INCONCLUSIVE },
		{ { CURVE_INCONCLUSIVE, GATE_LEVEL_SAME }, GATE_INCONCLUSIVE },
		{ { CURVE_STEPPED, GATE_LEVEL_NONE }, GATE_INCONCLUSIVE },
		{ { CURVE_FLAT, GATE_LEVEL_SLOWER }, GATE_INCONCLUSIVE },
	};

	for (size_t i = 0; i < CNT(cases); i++)
		assert_int_equal(outcome_of(cases[i].seen, NULL, false), cases[i].want);
}

static void unconfirmed_fails_only_if_told(void **state)
{
	const struct seen stepped = { CURVE_STEPPED, GATE_LEVEL_NONE };
	const struct seen slower = { CURVE_FLAT, GATE_LEVEL_SLOWER };
	const struct seen open = { CURVE_INCONCLUSIVE, GATE_LEVEL_NONE };

	assert_int_equal(outcome_of(stepped, NULL, true), GATE_FAIL);
	assert_int_equal(outcome_of(slower, NULL, true), GATE_FAIL);
	assert_int_equal(outcome_of(open, NULL, true), GATE_INCONCLUSIVE);
}

static void two_looks_fail_if_they_agree(void **state)
{
	const struct seen stepped = { CURVE_STEPPED, GATE_LEVEL_SAME };
	const struct seen slower = { CURVE_FLAT, GATE_LEVEL_SLOWER };
	const struct seen both = { CURVE_STEPPED, GATE_LEVEL_SLOWER };
	const struct seen flat = { CURVE_FLAT, GATE_LEVEL_SAME };
	const struct seen open = { CURVE_INCONCLUSIVE, GATE_LEVEL_SAME };

	assert_int_equal(outcome_of(stepped, &stepped, false), GATE_FAIL);
	assert_int_equal(outcome_of(slower, &slower, false), GATE_FAIL);
	assert_int_equal(outcome_of(both, &slower, false), GATE_FAIL);
	assert_int_equal(outcome_of(stepped, &flat, false), GATE_PASS);
	assert_int_equal(outcome_of(stepped, &open, false), GATE_INCONCLUSIVE);
	/* a step here and a level there are two accidents */
	assert_int_equal(outcome_of(stepped, &slower, false), GATE_INCONCLUSIVE);
	assert_int_equal(outcome_of(slower, &stepped, false), GATE_INCONCLUSIVE);
}

/* ---- the level ---- */

static void fill(double *ms, uint32_t sweeps, double level, double cv, struct curve_rng *rng)
{
	for (size_t i = 0; i < (size_t)sweeps * WINDOWS; i++)
		ms[i] = level * exp(cv * curve_rng__normal(rng));
}

static struct gate_level test_level(uint32_t base_sweeps, uint32_t sweeps, double ratio)
{
	double base[SWEEPS_MAX * WINDOWS], ms[SWEEPS_MAX * WINDOWS];
	struct gate_level l;
	struct curve_rng rng;

	curve_rng__init(&rng, 5);
	fill(base, base_sweeps, 100, 0.05, &rng);
	fill(ms, sweeps, 100 * ratio, 0.05, &rng);
	assert_int_equal(level__test(base, base_sweeps, ms, sweeps, WINDOWS, NULL, &l), 0);
	return l;
}

/* Where no sweep overlaps, p is one in all choices: 1/20, 1/70, 1/252, 1/924. */
static void the_smallest_p_of_so_many_sweeps(void **state)
{
	static const double want[] = {
		[3] = 1 / 20., [4] = 1 / 70., [5] = 1 / 252., [6] = 1 / 924.
	};

	for (uint32_t k = 3; k <= 6; k++) {
		struct gate_level l = test_level(k, k, 1.5);

		assert_near(l.min_p, want[k], 1e-12);
		assert_near(l.p, want[k], 1e-12);
		assert_int_equal(l.verdict, k < 5 ? GATE_LEVEL_CANNOT_TELL : GATE_LEVEL_SLOWER);
		assert_near(l.ratio, 1.5, 0.1);
	}
}

static void five_beside_five_are_enough(void **state)
{
	assert_int_equal(level__sweeps_needed(5, NULL), 4); /* 126 choices */
	assert_int_equal(level__sweeps_needed(4, NULL), 5);
	assert_int_equal(level__sweeps_needed(3, NULL), 7);
	assert_int_equal(level__sweeps_needed(2, NULL), 13);
	assert_int_equal(level__sweeps_needed(1, NULL), 99);
	assert_int_equal(level__sweeps_needed(20, NULL), 2);
}

static void small_changes_and_falls_are_none(void **state)
{
	assert_int_equal(test_level(6, 6, 1.05).verdict, GATE_LEVEL_SAME);
	assert_int_equal(test_level(6, 6, 0.5).verdict, GATE_LEVEL_SAME);
	assert_near(test_level(6, 6, 0.5).p, 1, 1e-12);
	assert_int_equal(test_level(3, 3, 1.0).verdict, GATE_LEVEL_SAME);
}

/* p by the definition: every mask of so many bits. */
static double slow_p(const double *levels, uint32_t base, uint32_t cnt)
{
	double want = 0;
	int all = 0, hits = 0;

	for (uint32_t i = base; i < cnt; i++)
		want += levels[i];
	for (uint32_t mask = 0; mask < 1u << cnt; mask++) {
		double sum = 0;

		if (__builtin_popcount(mask) != (int)(cnt - base))
			continue;
		for (uint32_t i = 0; i < cnt; i++)
			sum += mask >> i & 1 ? levels[i] : 0;
		all++;
		hits += sum >= want - 1e-9;
	}
	return (double)hits / all;
}

static void exact_p_is_that_of_all_choices(void **state)
{
	struct curve_rng rng;

	curve_rng__init(&rng, 77);
	for (int round = 0; round < 200; round++) {
		uint32_t base = 2 + curve_rng__below(&rng, 6), n = 2 + curve_rng__below(&rng, 6);
		double levels[16], ms[16];
		struct gate_level l;

		for (uint32_t i = 0; i < base + n; i++) {
			/* few values, so that sums are tied */
			levels[i] = curve_rng__below(&rng, 4);
			ms[i] = exp(levels[i]);
		}
		assert_int_equal(level__test(ms, base, ms + base, n, 1, NULL, &l), 0);
		assert_near(l.p, slow_p(levels, base, base + n), 1e-9);
	}
}

static void many_sweeps_are_drawn_and_reproducible(void **state)
{
	static double base[100], ms[100];
	struct gate_level a, b;
	struct curve_rng rng;

	curve_rng__init(&rng, 9);
	for (int i = 0; i < 100; i++) {
		base[i] = 100 * exp(0.2 * curve_rng__normal(&rng));
		ms[i] = 105 * exp(0.2 * curve_rng__normal(&rng));
	}
	assert_int_equal(level__test(base, 100, ms, 100, 1, NULL, &a), 0);
	assert_int_equal(level__test(base, 100, ms, 100, 1, NULL, &b), 0);
	assert_true(a.p == b.p);
	assert_near(a.min_p, 1 / 20001., 1e-12);
	assert_true(a.p > a.min_p && a.p < 0.5);
}

/* ---- causes ---- */

/* The samples' findings: io.throttle.wbt and others, slow from window 6 on. */
static void fill_evidence(struct curve_evidence *e, uint32_t sweeps, uint32_t step)
{
	struct findings *f = sample_findings(sweeps, WINDOWS, step, "n");

	assert_int_equal(curve_evidence__add_findings(e, f, sweeps, WINDOWS, "sample"), 0);
	findings__free(f);
}

static struct gate_report stepped_at(uint32_t window)
{
	struct gate_report r = { .looks_cnt = 1 };

	r.looks[0].curve = (struct finding_curve){
		.verdict = CURVE_STEPPED, .at_window = window, .sweeps = 2, .windows = WINDOWS
	};
	return r;
}

static void the_cause_that_grew_is_first(void **state)
{
	struct curve_evidence e = { 0 };
	struct gate_report r = stepped_at(6);

	fill_evidence(&e, 2, 6);
	assert_int_equal(e.sweeps, 2);
	assert_int_equal(gate__name_causes(&r, &e, NULL), 0);
	assert_true(r.causes_cnt >= 1 && r.causes_cnt <= 3);
	assert_string_equal(r.causes[0].cause, "io.throttle.wbt");
	assert_true(r.causes[0].share_after > r.causes[0].share_before);
	assert_true(r.causes[0].ms_after > r.causes[0].ms_before);
	assert_int_equal(r.causes_from, 6);
	assert_int_equal(r.causes_to, WINDOWS);
	for (size_t i = 1; i < r.causes_cnt; i++)
		assert_true(r.causes[i - 1].ms_after - r.causes[i - 1].ms_before >=
			    r.causes[i].ms_after - r.causes[i].ms_before);
	gate_report__free_inside(&r);
	curve_evidence__free_inside(&e);
}

static void nothing_is_named_without_a_ledger_or_a_regression(void **state)
{
	struct curve_evidence none = { 0 }, e = { 0 };
	struct gate_report r = stepped_at(6);

	assert_int_equal(gate__name_causes(&r, &none, NULL), 0);
	assert_int_equal(r.causes_cnt, 0);
	fill_evidence(&e, 1, 6);
	r.looks[0].curve.verdict = CURVE_FLAT;
	r.looks[0].curve.at_window = 0;
	assert_int_equal(gate__name_causes(&r, &e, NULL), 0);
	assert_int_equal(r.causes_cnt, 0);
	gate_report__free_inside(&r);
	curve_evidence__free_inside(&e);
}

static void a_level_is_explained_by_the_baseline(void **state)
{
	struct curve_evidence before = { 0 }, now = { 0 };
	struct gate_report r = { .looks_cnt = 1 };
	struct baseline_entry base;
	double ms[WINDOWS];
	struct gate_look look = { .curve = { .sweeps = 1, .windows = WINDOWS, .values_ms = ms } };

	for (int i = 0; i < WINDOWS; i++)
		ms[i] = 100 + i;
	fill_evidence(&before, 1, 0);
	fill_evidence(&now, 1, 1);
	assert_int_equal(gate__make_baseline(&look, &before, "a/b", &base), 0);
	assert_true(base.shares_cnt > 0);
	r.looks[0].curve =
		(struct finding_curve){ .verdict = CURVE_FLAT, .sweeps = 1, .windows = WINDOWS };
	r.looks[0].level.verdict = GATE_LEVEL_SLOWER;
	assert_int_equal(gate__name_causes(&r, &now, &base), 0);
	assert_true(r.causes_of_baseline);
	assert_true(r.causes_cnt > 0);
	assert_string_equal(r.causes[0].cause, "io.throttle.wbt");
	assert_int_equal(r.causes_from, 1);
	gate_report__free_inside(&r);
	baseline_entry__free_inside(&base);
	curve_evidence__free_inside(&before);
	curve_evidence__free_inside(&now);
}

static int add_json(struct curve_evidence *e, const char *text)
{
	json_t *root = json_loads(text, 0, NULL);
	int err;

	assert_non_null(root);
	err = curve_evidence__add_json(e, root, 1, 2, "in");
	json_decref(root);
	return err;
}

static void hostile_ledgers_are_refused(void **state)
{
	static const char *const bad[] = {
		"{\"windows\":[{\"ledger\":[]}]}",
		"{\"windows\":[{\"index\":0,\"ledger\":[]}]}",
		"{\"windows\":[{\"index\":1,\"ledger\":[{\"cause\":\"a b\",\"ms\":1}]}]}",
		"{\"windows\":[{\"index\":1,\"ledger\":[{\"cause\":\"a\\n::error::\",\"ms\":1}]}]}",
		"{\"windows\":[{\"index\":1,\"ledger\":[{\"cause\":\"\",\"ms\":1}]}]}",
		"{\"windows\":[{\"index\":1,\"ledger\":[{\"cause\":\"a\",\"ms\":-1}]}]}",
		"{\"windows\":[{\"index\":1,\"ledger\":[{\"cause\":\"a\",\"ms\":1e300}]}]}",
		"{\"windows\":[{\"index\":1,\"ledger\":[{\"cause\":1,\"ms\":1}]}]}",
		"{\"windows\":[{\"index\":1,\"ledger\":[{\"cause\":\"a\"}]}]}",
	};

	for (size_t i = 0; i < CNT(bad); i++) {
		struct curve_evidence e = { 0 };

		assert_int_equal(add_json(&e, bad[i]), -EINVAL);
		curve_evidence__free_inside(&e);
	}
}

/* Far windows, other types and unknown devices are no reason to refuse, and no reason to crash. */
static void odd_findings_add_nothing(void **state)
{
	struct curve_evidence e = { 0 };

	assert_int_equal(add_json(&e, "{\"windows\":3}"), 0);
	assert_int_equal(e.sweeps, 0);
	assert_int_equal(add_json(&e, "{\"windows\":[{\"index\":4000000000,\"ledger\":[{\"cause\":"
				      "\"a\",\"ms\":1}],\"files\":[{\"dev\":7}]}],\"host\":[]}"),
			 0);
	assert_int_equal(e.causes_cnt, 0);
	assert_string_equal(e.host_class, "");
	curve_evidence__free_inside(&e);
}

static void files_of_two_hosts_are_refused(void **state)
{
	struct curve_evidence e = { 0 };

	assert_int_equal(add_json(&e, "{\"host\":{\"kernel\":\"6.1.0\",\"cpus\":\"4\"}}"), 0);
	assert_string_equal(e.host_class, "linux-6.1/4-7cpu/?G/?/?");
	assert_int_equal(add_json(&e, "{\"host\":{\"kernel\":\"6.1.9\",\"cpus\":\"6\"}}"), 0);
	assert_int_equal(add_json(&e, "{\"host\":{\"kernel\":\"6.2.0\",\"cpus\":\"4\"}}"), -EINVAL);
	curve_evidence__free_inside(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_look_decides_what_is_clear),
		cmocka_unit_test(unconfirmed_fails_only_if_told),
		cmocka_unit_test(two_looks_fail_if_they_agree),
		cmocka_unit_test(the_smallest_p_of_so_many_sweeps),
		cmocka_unit_test(five_beside_five_are_enough),
		cmocka_unit_test(small_changes_and_falls_are_none),
		cmocka_unit_test(exact_p_is_that_of_all_choices),
		cmocka_unit_test(many_sweeps_are_drawn_and_reproducible),
		cmocka_unit_test(the_cause_that_grew_is_first),
		cmocka_unit_test(nothing_is_named_without_a_ledger_or_a_regression),
		cmocka_unit_test(a_level_is_explained_by_the_baseline),
		cmocka_unit_test(hostile_ledgers_are_refused),
		cmocka_unit_test(odd_findings_add_nothing),
		cmocka_unit_test(files_of_two_hosts_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
