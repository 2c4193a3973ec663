// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "reports/flamegraph.h"
#include "reports/folded.h"
#include "reports/html.h"
#include "reports/json.h"
#include "reports/markdown.h"
#include "tests/unit/render.h"
#include "tests/unit/sample_findings.h"

static void test_story(void **state)
{
	struct report *r = sample_report("fc_api");
	char *text = RENDER(report__write_html(out, r));
	const char *card = strstr(text, "class=\"card\""),
		   *verdict = strstr(text, "class=\"verdict\"");
	const char *plot = strstr(text, "class=\"plot\"");

	assert_true(card && card < verdict && verdict < plot);
	assert_int_equal(count_of(text, "<section "), 3);
	assert_int_equal(count_of(text, "flat now"), 6);
	/* a card says what was tried and what came of it, and so does the table of arms */
	assert_int_equal(count_of(text, "<ul class=\"tried\">"), 3);
	assert_int_equal(count_of(text, "badge good\">flattened"), 6);
	assert_int_equal(count_of(text, "badge bad\">not flattened"), 6);
	assert_non_null(strstr(text, "<p>writeback throttling (wbt): 82 % of the growth</p>"));
	assert_int_equal(count_of(text, "step at window 6"), 2); /* linear and logarithmic */
	assert_non_null(strstr(text, "writeback throttling (wbt)"));
	assert_non_null(strstr(text, "flatpause fix revert"));
	assert_non_null(strstr(text, ">passive</span>"));
	assert_non_null(strstr(text,
			       "undone by O_TRUNC at open by branch &lt;0&gt;/672 "
			       "(copy_file_range); preallocated: 256 MiB by branch &lt;0&gt;/671"));
	assert_non_null(strstr(text, "disk.wbt_lat_usec"));
	assert_non_null(strstr(text, "ext4_mb_new_blocks takes 61 ms"));
	free(text);
	report__free(r);
}

static void test_hostile(void **state)
{
	for (size_t i = 0; i < hostile_names_cnt; i++) {
		struct report *r = sample_report(hostile_names[i]);
		char *text;

		assert_int_equal(finding_set(&r->title, hostile_names[i]), 0);
		assert_int_equal(finding_set(&r->comparisons[0].name, hostile_names[i]), 0);
		assert_int_equal(finding_set(&r->comparisons[0].text, hostile_names[i]), 0);
		assert_int_equal(finding_set(&r->comparisons[0].arms[1].label, hostile_names[i]),
				 0);
		text = RENDER(report__write_html(out, r));
		assert_int_equal(count_of(text, "<script"), 1);
		assert_int_equal(count_of(text, "</script"), 1);
		assert_int_equal(count_of(text, "<img"), 0);
		free(text);
		report__free(r);
	}
}

static void test_empty(void **state)
{
	struct report none = { 0 };
	struct report *r = report_of(empty_findings());
	char *text = RENDER(report__write_html(out, &none));

	assert_non_null(strstr(text, "No pause was found"));
	free(text);
	text = RENDER(report__write_html(out, r));
	assert_non_null(strstr(text, "No pause was measured"));
	free(text);
	report__free(r);
}

static void test_without_traces(void **state)
{
	struct report *r = sample_report("n");
	char *text;

	for (size_t i = 0; i < r->comparisons[0].arms_cnt; i++) {
		findings__free(r->comparisons[0].arms[i].findings);
		r->comparisons[0].arms[i].findings = NULL;
	}
	text = RENDER(report__write_html(out, r));
	assert_int_equal(count_of(text, "<figcaption>Pause of each window"), 3);
	free(text);
	report__free(r);
}

static void test_thousand_windows(void **state)
{
	struct report *r = report_of(sample_findings(1, 1000, 500, "n"));
	char *text = RENDER(report__write_html(out, r));

	assert_int_equal(count_of(text, "<details class=\"window\""), 24);
	assert_non_null(strstr(text, "24 of 1000 windows"));
	assert_true(strlen(text) < 3 << 20);
	free(text);
	report__free(r);
}

static void test_long_names_are_cut(void **state)
{
	struct report *r = report_of(sample_findings(1, 2, 0, long_name()));
	char *text = RENDER(report__write_html(out, r));
	const char *body = strstr(text, "<main>");

	assert_non_null(body);
	assert_int_equal(count_of(text, long_name()), 0);
	assert_true(strlen(body) < 120000);
	free(text);
	report__free(r);
}

static void test_one_window(void **state)
{
	static const char *const no_numbers[] = { "nan%", "inf%", "\"nan", "\"-nan", "\"inf" };
	struct report *r = report_of(sample_findings(1, 1, 0, "n"));
	char *text = RENDER(report__write_html(out, r));

	for (size_t i = 0; i < sizeof(no_numbers) / sizeof(no_numbers[0]); i++)
		assert_null(strstr(text, no_numbers[i]));
	free(text);
	report__free(r);
}

/* ---- what the shell test looks at with other programs ---- */

static FILE *open_in(const char *dir, const char *name, size_t i, const char *suffix)
{
	char path[4096];
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s-%zu.%s", dir, name, i, suffix);
	out = fopen(path, "w");
	if (!out)
		perror(path);
	return out;
}

static int write_files(const char *dir, const char *kind, size_t i, struct report *r)
{
	const struct arm *arm = &r->comparisons[0].arms[0];
	struct flamegraph_opts opts = { .title = r->title, .id = "flame" };
	const char *const suffixes[] = { "html", "svg", "json", "report.json", "md", "folded" };
	int err = 0;

	for (size_t k = 0; k < 6 && !err; k++) {
		FILE *out = open_in(dir, kind, i, suffixes[k]);

		if (!out)
			return -errno;
		err = k == 0   ? report__write_html(out, r)
		      : k == 1 ? flame__write_svg(out, arm->findings->flame_slow, &opts)
		      : k == 2 ? findings__write_json(out, arm->findings)
		      : k == 3 ? report__write_json(out, r)
		      : k == 4 ? findings__write_markdown(out, arm->findings)
			       : flame__write_folded(out, arm->findings->flame_slow);
		if (fclose(out) && !err)
			err = -errno;
	}
	report__free(r);
	return err;
}

static int write_samples(const char *dir)
{
	int err = write_files(dir, "story", 0, sample_report("fc_api"));

	for (size_t i = 0; !err && i < hostile_names_cnt; i++)
		err = write_files(dir, "hostile", i, sample_report(hostile_names[i]));
	if (!err)
		err = write_files(dir, "long", 0, report_of(sample_findings(1, 3, 2, long_name())));
	if (!err)
		err = write_files(dir, "empty", 0, report_of(empty_findings()));
	if (!err)
		err = write_files(dir, "many", 0, report_of(sample_findings(1, 1000, 500, "run")));
	if (!err)
		err = write_files(dir, "small", 0, report_of(sample_findings(1, 3, 2, "run")));
	return err ? 1 : 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_story),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_without_traces),
		cmocka_unit_test(test_thousand_windows),
		cmocka_unit_test(test_one_window),
		cmocka_unit_test(test_long_names_are_cut),
	};

	if (argc == 3 && !strcmp(argv[1], "--write"))
		return write_samples(argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
