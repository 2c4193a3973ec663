// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* From pauses to STEPPED, FLAT or INCONCLUSIVE, and from arms to flattened or not. */
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

#include "reports/summary.h"
#include "user/analyze/curve.h"
#include "user/analyze/curve_rng.h"

#define CNT(a)			 (sizeof(a) / sizeof((a)[0]))
#define ONE_SWEEP(a)		 (a), 1, CNT(a)
#define assert_near(a, b, error) assert_true(fabs((double)(a) - (double)(b)) <= (error))

/* As measured in the lab, ms. */
static const double backlog[] = { 25, 9, 17, 17, 28, 4915, 1384, 2497, 2461, 1574 };
static const double backlog_flat[] = { 15, 17, 24, 59, 14, 17, 14, 51, 24, 22 };
static const double backlog_tmpfs[] = { 13, 14, 15, 17, 13, 16, 14, 15, 13, 14 };
static const double full[] = { 50, 283, 1252, 821, 1216, 745 };
static const double full_tmpfs[] = { 83, 84, 83, 81, 96, 81 };
static const double aged[] = { 289, 1236, 1156, 984 };
static const double aged_fallocate[] = { 140, 472, 428, 424 };
static const double published[] = { 288, 263, 1321, 1389, 1446 };

static struct finding_curve judge(const double *ms, uint32_t sweeps, size_t windows)
{
	struct finding_curve c = { 0 };

	assert_int_equal(curve__judge(ms, sweeps, (uint32_t)windows, NULL, &c), 0);
	assert_non_null(c.why);
	return c;
}

static void free_curve(struct finding_curve *c)
{
	free(c->values_ms);
	free(c->why);
}

static void says(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("expected \"%s\" in: %s", part, text);
}

static void expect(const double *ms, uint32_t sweeps, size_t windows, enum curve_verdict verdict,
		   uint32_t at, const char *why)
{
	struct finding_curve c = judge(ms, sweeps, windows);

	if (c.verdict != verdict || c.at_window != at)
		fail_msg("%s at %u: %s", curve_verdict_name(c.verdict), c.at_window, c.why);
	says(c.why, why);
	free_curve(&c);
}

static void the_labs_curves(void **state)
{
	expect(ONE_SWEEP(backlog), CURVE_STEPPED, 6, "windows 6 to 10 take 145 times");
	expect(ONE_SWEEP(published), CURVE_STEPPED, 3, "windows 3 to 5 take 5.02 times");
	expect(ONE_SWEEP(backlog_flat), CURVE_INCONCLUSIVE, 0, "no step is shown");
	expect(ONE_SWEEP(backlog_tmpfs), CURVE_FLAT, 0, "at no window");
	/* six windows of one sweep: p = .05 at best by ranks, .06 by t */
	expect(ONE_SWEEP(full), CURVE_INCONCLUSIVE, 0, "window 3 at 8.12 times");
	expect(ONE_SWEEP(aged), CURVE_INCONCLUSIVE, 0, "4 windows");
	expect(ONE_SWEEP(aged_fallocate), CURVE_INCONCLUSIVE, 0, "4 windows");
}

static void a_stepped_curve_has_its_numbers(void **state)
{
	struct finding_curve c = judge(ONE_SWEEP(backlog));
	char text[HEADLINE_SIZE];

	assert_int_equal(c.sweeps, 1);
	assert_int_equal(c.windows, 10);
	assert_memory_equal(c.values_ms, backlog, sizeof(backlog));
	/* 25 quotients, sorted: the 13th, and with c = 4 of U(5,5) the 5th and the 21st */
	assert_near(c.ratio, 2461.0 / 17, 1e-9);
	assert_near(c.ratio_lower95, 1384.0 / 17, 1e-9);
	assert_near(c.ratio_upper95, 2461.0 / 9, 1e-9);
	assert_true(c.p > 0 && c.p < 0.001);
	says(curve_headline(text, &c), "STEPPED at window 6, x145 (90 %: 81.4 to 273), p < 0.0001");
	free_curve(&c);
}

static void few_windows_are_inconclusive(void **state)
{
	const double v[] = { 1, 1, 1000, 1000, 1, 1, 1000, 1000, 1, 1, 1000, 1000 };

	for (uint32_t n = 1; n <= 4; n++)
		expect(v, 1, n, CURVE_INCONCLUSIVE, 0, "record at least 5");
	expect(v, 3, 4, CURVE_INCONCLUSIVE, 0, "record at least 5");
	expect(v, 12, 1, CURVE_INCONCLUSIVE, 0, "1 window a sweep");
}

static void cold_first_windows_are_no_step(void **state)
{
	const double one[] = { 800, 20, 21, 19, 22, 20, 18, 21, 20, 22 };
	const double two[] = { 800, 700, 21, 19, 22, 20, 18, 21, 20, 22 };
	const double falls[] = { 900, 850, 880, 910, 870, 90, 80, 85, 92, 88 };

	expect(ONE_SWEEP(one), CURVE_FLAT, 0, "cold start: window 1 of sweep 1, 800 ms");
	expect(ONE_SWEEP(two), CURVE_FLAT, 0, "cold first windows: windows 1 to 2");
	expect(ONE_SWEEP(falls), CURVE_FLAT, 0, "improving: windows 1 to 5");
}

static void small_steps_are_none(void **state)
{
	const double ms9[] = { 1, 1.1, 1.2, 1.1, 1, 9, 9.1, 9.2, 9.1, 9.3 };
	const double ms11[] = { 1, 1.1, 1.2, 1.1, 1, 12.2, 12.1, 12.2, 12.1, 12.3 };
	const double twenty_percent[] = {
		1000, 1001, 999, 1002, 1000, 1200, 1201, 1199, 1202, 1200
	};
	const double thirty_percent[] = {
		1000, 1001, 999, 1002, 1000, 1300, 1301, 1299, 1302, 1300
	};

	expect(ONE_SWEEP(ms9), CURVE_INCONCLUSIVE, 0, "(a step is 10 ms)");
	expect(ONE_SWEEP(ms11), CURVE_STEPPED, 6, "11 ms more");
	expect(ONE_SWEEP(twenty_percent), CURVE_FLAT, 0, "at no window");
	expect(ONE_SWEEP(thirty_percent), CURVE_STEPPED, 6, "1.3 times");
}

/* Two of five sweeps do not rise at all: below four fifths, and no step however sure. */
static void one_drifting_sweep_is_no_step(void **state)
{
	double v[50];
	struct curve_rng rng;

	curve_rng__init(&rng, 3);
	for (int i = 0; i < 50; i++) {
		double level = i / 10 < 3 && i % 10 >= 5 ? 5000 : 100;

		v[i] = level * exp(0.02 * curve_rng__normal(&rng));
	}
	expect(v, 5, 10, CURVE_INCONCLUSIVE, 0, "only 3 of 5 sweeps rise at window 6");
	for (int i = 35; i < 40; i++)
		v[i] *= 50;
	expect(v, 5, 10, CURVE_STEPPED, 6, "4 of 5 sweeps agree");
}

static void spikes_are_told_apart(void **state)
{
	double v[] = { 20, 21, 20, 900, 20, 21, 20, 22, 20, 21 };
	struct finding_curve c = judge(ONE_SWEEP(v));

	assert_int_not_equal(c.verdict, CURVE_STEPPED);
	says(c.why, "spike: window 4 of sweep 1, 900 ms, 43.9 times its median");
	assert_near(curve__spike(&c, 1, 4, NULL), 900 / 20.5, 1e-9);
	assert_near(curve__spike(&c, 1, 5, NULL), 0, 0);
	assert_near(curve__spike(&c, 2, 1, NULL), 0, 0);
	assert_near(curve__spike(&c, 1, 11, NULL), 0, 0);
	free_curve(&c);
	/* slow windows are no spikes: each side of a step has its own median */
	c = judge(ONE_SWEEP(backlog));
	for (uint32_t i = 1; i <= 10; i++)
		assert_near(curve__spike(&c, 1, i, NULL), 0, 0);
	free_curve(&c);
}

static void equal_windows_are_flat(void **state)
{
	const double same[] = { 7, 7, 7, 7, 7, 7, 7, 7, 7, 7 };

	expect(ONE_SWEEP(same), CURVE_FLAT, 0, "at no window");
	/* five windows of one sweep bound nothing: the rarest order is one in ten */
	expect(same, 1, 5, CURVE_INCONCLUSIVE, 0, "cannot be excluded");
	expect(same, 2, 5, CURVE_FLAT, 0, "at no window");
}

static void what_is_no_pause_is_refused(void **state)
{
	const double bad[] = { 0, -1, NAN, INFINITY, -INFINITY, 1e300, 1e-300 };
	struct finding_curve c = { 0 };
	double v[10];

	for (size_t b = 0; b < CNT(bad); b++) {
		memcpy(v, backlog, sizeof(v));
		v[7] = bad[b];
		assert_int_equal(curve__judge(ONE_SWEEP(v), NULL, &c), -EINVAL);
		assert_null(c.values_ms);
	}
	assert_int_equal(curve__judge(v, 0, 10, NULL, &c), -EINVAL);
	assert_int_equal(curve__judge(v, 10, 0, NULL, &c), -EINVAL);
	assert_int_equal(curve__judge(v, UINT32_MAX, UINT32_MAX, NULL, &c), -EINVAL);
	assert_int_equal(curve__judge(v, 1, CURVE_MAX_WINDOWS + 1, NULL, &c), -EINVAL);
}

static void judging_again_gives_the_same(void **state)
{
	struct finding_curve a = judge(ONE_SWEEP(backlog)), b = judge(ONE_SWEEP(backlog_flat));

	/* over an earlier result, from the very values that stand in it */
	assert_int_equal(curve__judge(a.values_ms, 1, 10, NULL, &a), 0);
	assert_int_equal(curve__judge(backlog, 1, 10, NULL, &b), 0);
	assert_string_equal(a.why, b.why);
	assert_true(a.p == b.p && a.ratio == b.ratio && a.verdict == b.verdict);
	assert_memory_equal(a.values_ms, b.values_ms, sizeof(backlog));
	free_curve(&a);
	free_curve(&b);
}

/* ---- arms ---- */

struct compared {
	const double *before, *control, *arm;
	size_t windows;
};

static struct curve_comparison measure(struct compared in)
{
	struct finding_curve before = judge(in.before, 1, in.windows);
	struct finding_curve arm = judge(in.arm, 1, in.windows), control = { 0 };
	struct curve_comparison r;

	if (in.control)
		control = judge(in.control, 1, in.windows);
	assert_int_equal(curve__measure(&before, in.control ? &control : NULL, &arm, NULL, &r), 0);
	free_curve(&before);
	free_curve(&control);
	free_curve(&arm);
	return r;
}

static void the_mitigation_that_works_is_flattened(void **state)
{
	struct curve_comparison r =
		measure((struct compared){ backlog, backlog_tmpfs, backlog_flat, 10 });

	assert_int_equal(r.outcome, CURVE_FLATTENED);
	assert_int_equal(r.from, 6);
	assert_int_equal(r.to, 10);
	assert_near(r.before_ms, 2461, 0);
	assert_near(r.arm_ms, 22, 0);
	assert_near(r.control_ms, 14, 0);
	assert_near(r.before_fast_ms, 17, 0);
	assert_near(r.limit_ms, 24, 1e-9); /* 10 ms above the control is more than 1.5 times it */
	assert_near(r.ratio_to_before, 2461.0 / 22, 1e-9);
	assert_near(r.ratio_to_control, 22.0 / 14, 1e-9);
	assert_true(r.gain_lower95 > 20 && r.gain_lower95 < r.ratio_to_before);
	assert_near(r.arm_worst_ms, 51, 0);
	assert_true(r.shape > 0 && r.shape_lower < r.shape && r.shape < r.shape_upper);
	says(r.text, "flattened: no step");
	/* the fast windows before serve where there is no control */
	r = measure((struct compared){ backlog, NULL, backlog_flat, 10 });
	assert_int_equal(r.outcome, CURVE_FLATTENED);
	assert_near(r.limit_ms, 27, 1e-9);
}

static void a_step_that_is_left_is_not_flat(void **state)
{
	/* preallocated, and as bad as before */
	const double still[] = { 28, 11, 14, 13, 22, 1358, 4618, 1400, 2000, 1800 };
	/* ten times lower, and stepped all the same */
	const double lower[] = { 28, 11, 14, 13, 22, 258, 218, 240, 200, 180 };
	struct curve_comparison r = measure((struct compared){ backlog, backlog_tmpfs, still, 10 });

	assert_int_equal(r.outcome, CURVE_NOT_FLATTENED);
	says(r.text, "not shown to be better, not flat: still STEPPED at window 6");
	r = measure((struct compared){ backlog, backlog_tmpfs, lower, 10 });
	assert_int_equal(r.outcome, CURVE_NOT_FLATTENED);
	says(r.text, "better, not flat: still STEPPED at window 6");
	r = measure((struct compared){ backlog, backlog_tmpfs, backlog, 10 });
	assert_int_equal(r.outcome, CURVE_NOT_FLATTENED);
	assert_near(r.ratio_to_before, 1, 1e-12);
}

/* No step, but far above what the control takes. */
static void a_level_that_is_left_is_not_flat(void **state)
{
	const double level[] = { 310, 290, 300, 320, 305, 315, 295, 300, 310, 305 };
	struct curve_comparison r = measure((struct compared){ backlog, backlog_tmpfs, level, 10 });

	assert_int_equal(r.outcome, CURVE_NOT_FLATTENED);
	says(r.text, "better, not flat: median of windows 6 to 10");
	says(r.text, "24 ms is what flat may be at most, from the control");
	r = measure((struct compared){ backlog, NULL, level, 10 });
	assert_int_equal(r.outcome, CURVE_NOT_FLATTENED);
	says(r.text, "from the fast windows before");
}

/* The lab's aged disk: the writes still go to the device, but nothing grows any more. */
static void flat_at_a_level_of_its_own(void **state)
{
	static const double before[] = { 88, 208, 410, 753, 773, 819, 819, 866, 824, 889 };
	static const double tmpfs[] = { 50, 48, 53, 48, 48, 53, 48, 48, 48, 47 };
	static const double flat[] = { 208, 233, 229, 240, 231, 236, 239, 228, 241, 230 };
	static const double high[] = { 508, 533, 529, 540, 531, 536, 539, 528, 541, 530 };
	static const double noisy[] = { 208, 233, 229, 240, 231, 480, 239, 450, 241, 230 };
	struct curve_comparison r = measure((struct compared){ before, tmpfs, flat, 10 });

	assert_int_equal(r.outcome, CURVE_FLATTENED);
	assert_true(r.ratio_to_control > 4);
	says(r.text, "flat at a level of its own");
	r = measure((struct compared){ before, tmpfs, high, 10 }); /* nearer to the slow windows */
	assert_int_equal(r.outcome, CURVE_NOT_FLATTENED);
	r = measure((struct compared){ before, tmpfs, noisy, 10 }); /* not FLAT by every split */
	assert_int_equal(r.outcome, CURVE_NOT_FLATTENED);
}

static void what_cannot_be_shown_is_inconclusive(void **state)
{
	const double full_memfd[] = { 90, 95, 92, 99, 91, 94 };
	struct curve_comparison r;

	/* flat before: nothing to take away */
	r = measure((struct compared){ backlog_tmpfs, backlog_tmpfs, backlog_tmpfs, 10 });
	assert_int_equal(r.outcome, CURVE_NOT_SHOWN);
	says(r.text, "flat already");
	/* four windows: two against two prove nothing, in either arm */
	r = measure((struct compared){ aged, aged_fallocate, aged_fallocate, 4 });
	assert_int_equal(r.outcome, CURVE_NOT_SHOWN);
	assert_int_equal(r.from, 3);
	assert_near(r.ratio_to_before, 1070.0 / 426, 1e-9);
	says(r.text, "4 windows cannot show");
	/* no step proven before: the control says what flat is, or nobody does */
	r = measure((struct compared){ full, full_tmpfs, full_memfd, 6 });
	assert_int_equal(r.outcome, CURVE_FLATTENED);
	says(r.text, "before was not proven to step");
	r = measure((struct compared){ full, NULL, full_memfd, 6 });
	assert_int_equal(r.outcome, CURVE_NOT_SHOWN);
	says(r.text, "no proven step and there is no control");
	/* noise against the same noise */
	r = measure((struct compared){ backlog_flat, backlog_flat, backlog_flat, 10 });
	assert_int_equal(r.outcome, CURVE_NOT_SHOWN);
	says(r.text, "not shown to be lower than before");
}

static void unequal_sweeps_are_inconclusive(void **state)
{
	struct finding_curve before = judge(ONE_SWEEP(backlog)), arm = judge(backlog_flat, 1, 5);
	struct finding_curve empty = { 0 }, whole = judge(ONE_SWEEP(backlog_flat));
	struct curve_comparison r;

	assert_int_equal(curve__measure(&before, NULL, &arm, NULL, &r), 0);
	assert_int_equal(r.outcome, CURVE_NOT_SHOWN);
	says(r.text, "5 windows here, 10 before");
	assert_int_equal(curve__measure(&before, &arm, &whole, NULL, &r), 0);
	assert_int_equal(r.outcome, CURVE_NOT_SHOWN);
	says(r.text, "5 windows of the control");
	assert_int_equal(curve__measure(&before, NULL, &empty, NULL, &r), -EINVAL);
	assert_int_equal(curve__measure(&empty, NULL, &arm, NULL, &r), -EINVAL);
	free_curve(&before);
	free_curve(&arm);
	free_curve(&whole);
}

static void an_arm_gets_what_was_measured(void **state)
{
	struct finding_curve before = judge(ONE_SWEEP(backlog));
	struct finding_curve control = judge(ONE_SWEEP(backlog_tmpfs));
	struct arm arm = { .kind = ARM_MITIGATED, .curve = judge(ONE_SWEEP(backlog_flat)) };

	assert_int_equal(curve__compare(&before, &control, NULL, &arm), 0);
	assert_int_equal(arm.outcome, CURVE_FLATTENED);
	assert_near(arm.ratio_to_before, 2461.0 / 22, 1e-9);
	assert_near(arm.ratio_to_control, 22.0 / 14, 1e-9);
	says(arm.text, "flattened");
	arm.kind = ARM_CONTROL; /* a control is a yardstick, not a mitigation */
	assert_int_equal(curve__compare(&before, NULL, NULL, &arm), 0);
	assert_int_equal(arm.outcome, CURVE_NOT_SHOWN);
	assert_near(arm.ratio_to_control, 0, 0);
	free_curve(&before);
	free_curve(&control);
	free_curve(&arm.curve);
	free(arm.text);
}

/* Shape: the same rise in arm and control is equivalent, whatever the levels. */
static void shapes_are_compared_without_levels(void **state)
{
	double low[30], high[30], before_ms[30];
	struct finding_curve before, control, arm;
	struct curve_comparison r;
	struct curve_rng rng;

	curve_rng__init(&rng, 8);
	for (int i = 0; i < 30; i++) {
		low[i] = 100 * exp(0.05 * curve_rng__normal(&rng));
		high[i] = 130 * exp(0.05 * curve_rng__normal(&rng));
		before_ms[i] = i % 10 < 5 ? 130 : 900;
	}
	before = judge(before_ms, 3, 10);
	control = judge(low, 3, 10);
	arm = judge(high, 3, 10);
	assert_int_equal(curve__measure(&before, &control, &arm, NULL, &r), 0);
	assert_int_equal(r.outcome, CURVE_FLATTENED);
	assert_near(r.shape, 1, 0.06);
	assert_true(r.shape_lower > 0.9 && r.shape_upper < 1.1);
	says(r.text, "equivalent");
	free_curve(&before);
	free_curve(&control);
	free_curve(&arm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_labs_curves),
		cmocka_unit_test(a_stepped_curve_has_its_numbers),
		cmocka_unit_test(few_windows_are_inconclusive),
		cmocka_unit_test(cold_first_windows_are_no_step),
		cmocka_unit_test(small_steps_are_none),
		cmocka_unit_test(one_drifting_sweep_is_no_step),
		cmocka_unit_test(spikes_are_told_apart),
		cmocka_unit_test(equal_windows_are_flat),
		cmocka_unit_test(what_is_no_pause_is_refused),
		cmocka_unit_test(judging_again_gives_the_same),
		cmocka_unit_test(the_mitigation_that_works_is_flattened),
		cmocka_unit_test(a_step_that_is_left_is_not_flat),
		cmocka_unit_test(a_level_that_is_left_is_not_flat),
		cmocka_unit_test(flat_at_a_level_of_its_own),
		cmocka_unit_test(what_cannot_be_shown_is_inconclusive),
		cmocka_unit_test(unequal_sweeps_are_inconclusive),
		cmocka_unit_test(an_arm_gets_what_was_measured),
		cmocka_unit_test(shapes_are_compared_without_levels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
