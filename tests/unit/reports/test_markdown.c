// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "reports/markdown.h"
#include "reports/numbers.h"
#include "reports/summary.h"
#include "tests/unit/render.h"
#include "tests/unit/sample_findings.h"

static void test_verdict_first(void **state)
{
	struct findings *f = sample_findings(1, 10, 6, "run");
	char *text = RENDER(findings__write_markdown(out, f));
	const char *cause = strstr(text, "**Cause:** `io.throttle.wbt`");
	const char *curve = strstr(text, "```text"), *ledger = strstr(text, "| cause |");

	assert_true(!strncmp(text, "## Pause curve: STEPPED at window 6, x187", 41));
	assert_non_null(cause);
	assert_true(cause < curve && curve < ledger);
	assert_non_null(strstr(text, "<- here it steps"));
	assert_non_null(strstr(text, "`flatpause fix revert`"));
	assert_non_null(strstr(text, "Events lost: 0 of 123456"));
	free(text);
	findings__free(f);
}

/* The slowest window's path stands in order of time; stretches of less than a hundredth do not. */
static void test_path(void **state)
{
	struct findings *f = sample_findings(1, 10, 6, "run");
	char *text = RENDER(findings__write_markdown(out, f));
	const char *path = strstr(text, "Critical path of the slowest window");
	const char *wbt, *journal;

	assert_non_null(path);
	wbt = strstr(path, "| `io.throttle.wbt` | run/4243 |");
	journal = strstr(path, "| `jbd2.commit_wait` | run/4243 |");
	assert_true(wbt && journal && wbt < journal);
	assert_non_null(strstr(path, "dirtied by run/99"));
	f->windows[0].path[0].ns = f->windows[0].duration_ns / 200;
	assert_false(path_shows(&f->windows[0], 0, 8));
	assert_true(path_shows(&f->windows[0], 2, 1));
	assert_false(path_shows(&f->windows[0], 1, 1));
	free(text);
	findings__free(f);
}

/* A name must not start a row, a cell, a code block, an element or a mention. */
static void test_hostile(void **state)
{
	struct findings *plain = sample_findings(1, 3, 2, "plain");
	char *want = RENDER(findings__write_markdown(out, plain));

	for (size_t i = 0; i < hostile_names_cnt; i++) {
		struct findings *f = sample_findings(1, 3, 2, hostile_names[i]);
		char *got;

		got = RENDER(findings__write_markdown(out, f));
		assert_int_equal(count_of(got, "\n```"), count_of(want, "\n```"));
		assert_null(strstr(got, "<script"));
		assert_null(strstr(got, "<img"));
		assert_null(strstr(got, "<svg"));
		free(got);
		findings__free(f);
	}
	free(want);
	findings__free(plain);
}

/* In a code span markup is text; what could end the span is what matters. */
static void test_commands_stay_in_their_span(void **state)
{
	struct findings *f = sample_findings(1, 3, 2, "run");
	char *text;

	assert_int_equal(finding_set(&f->advice[0].command, "a `b` | c\n# d"), 0);
	text = RENDER(findings__write_markdown(out, f));
	assert_non_null(strstr(text, "run: `` a `b` | c # d ``\n"));
	free(text);
	findings__free(f);
}

static void test_empty_and_large(void **state)
{
	struct findings *f = empty_findings();
	char *text = RENDER(findings__write_markdown(out, f));

	assert_non_null(strstr(text, "INCONCLUSIVE"));
	free(text);
	findings__free(f);
	f = sample_findings(1, 1000, 500, "run");
	text = RENDER(findings__write_markdown(out, f));
	assert_non_null(strstr(text, "960 more windows"));
	assert_true(strlen(text) < 60000); /* GitHub takes 65536 characters */
	free(text);
	findings__free(f);
}

static void test_comparison(void **state)
{
	struct report *r = sample_report("n");
	char *text = RENDER(report__write_markdown(out, r));

	assert_int_equal(count_of(text, "| memfd | flat |"), 3);
	assert_int_equal(count_of(text, "**yes**"), 3);
	free(text);
	report__free(r);
}

static void test_numbers(void **state)
{
	char b[NUMBER_SIZE];

	assert_string_equal(number_ms(b, 4915), "4.92 s");
	assert_string_equal(number_ms(b, 12.34), "12.3 ms");
	assert_string_equal(number_ms(b, 999.4), "999 ms");
	assert_string_equal(number_ms(b, 0.85), "850 us");
	assert_string_equal(number_ms(b, 0), "0 ms");
	assert_string_equal(number_ms(b, NAN), "-");
	assert_string_equal(number_tick(b, 2500), "2.5 s");
	assert_string_equal(number_percent(b, 1, 0), "0.0 %");
	assert_string_equal(number_percent(b, 0.0004, 1), "0.04 %");
	assert_string_equal(number_bytes(b, 268435456), "256 MiB");
	assert_string_equal(number_p(b, 0.0069), "p = 0.0069");
	assert_string_equal(number_p(b, 0.0001), "p = 0.0001");
	assert_string_equal(number_p(b, 0.00001), "p < 0.0001");
	assert_string_equal(number_p(b, 1), "p = 1");
	assert_string_equal(number_p(b, NAN), "p = -");
	assert_true(number_round_up(0.31) == 0.5);
	assert_true(number_round_up(7) == 10);
	assert_true(number_round_up(-1) == 1);
}

static void test_cause_table(void **state)
{
	struct findings *f = sample_findings(2, 6, 4, "n");
	struct cause_table t;
	double sum = 0;

	assert_int_equal(cause_table__build(f, &t), 0);
	assert_int_equal(t.slow_windows, 6);
	assert_int_equal(t.fast_windows, 6);
	assert_string_equal(t.rows[0].cause, "io.throttle.wbt");
	for (size_t i = 0; i < t.cnt; i++)
		sum += t.rows[i].growth_ms;
	assert_true(fabs(sum - t.growth_ms) < 1e-6);
	cause_table__free_inside(&t);
	findings__free(f);
}

static void test_medians(void **state)
{
	double values[] = { 1, 2, 30, 3, 4, 50 };
	struct finding_curve c = { .values_ms = values, .sweeps = 2, .windows = 3 };

	assert_true(curve_window_median(&c, 0) == 2);
	assert_true(curve_window_median(&c, 2) == 40);
	assert_true(curve_median(&c, 1, 3) == 3.5);
	assert_true(isnan(curve_median(&c, 3, 4)));
	assert_true(isnan(curve_median(&c, 0, 1)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verdict_first),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_commands_stay_in_their_span),
		cmocka_unit_test(test_empty_and_large),
		cmocka_unit_test(test_comparison),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_path),
		cmocka_unit_test(test_cause_table),
		cmocka_unit_test(test_medians),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
