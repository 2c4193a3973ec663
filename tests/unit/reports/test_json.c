// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <math.h>

#include "reports/json.h"
#include "tests/unit/render.h"
#include "tests/unit/sample_findings.h"

static json_t *parse(char *text)
{
	json_error_t error;
	json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &error);

	if (!root)
		fail_msg("line %d: %s", error.line, error.text);
	free(text);
	return root;
}

static json_t *parse_findings(const struct findings *f)
{
	return parse(RENDER(findings__write_json(out, f)));
}

/* "4782.123456": what is written is exact, so it is summed as written. */
static uint64_t ns_of(const char *text)
{
	uint64_t ms, ns;

	assert_int_equal(sscanf(text, "%lu.%6lu", &ms, &ns), 2);
	return ms * 1000000 + ns;
}

static void test_ledger_sums_to_the_nanosecond(void **state)
{
	struct findings *f = sample_findings(1, 4, 3, "n");
	char *text = RENDER(findings__write_json(out, f)), *p = text;

	for (size_t i = 0; i < f->windows_cnt; i++) {
		uint64_t duration, sum = 0;
		char *end;

		p = strstr(p, "\"duration_ms\": ");
		duration = ns_of(p + 15);
		assert_int_equal(duration, f->windows[i].duration_ns);
		p = strstr(p, "\"ledger\": [");
		end = strchr(p, ']');
		while ((p = strstr(p, "\"ms\": ")) && p < end)
			sum += ns_of(p++ + 6);
		assert_int_equal(sum, duration);
		p = end;
	}
	free(text);
	findings__free(f);
}

static void test_keys(void **state)
{
	static const char *const keys[] = { "schema_version", "tool",  "host",	  "hooks", "loss",
					    "windows",	      "curve", "verdict", "advice" };
	struct findings *f = sample_findings(2, 5, 3, "n");
	json_t *root = parse_findings(f), *w, *thread;

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		assert_non_null(json_object_get(root, keys[i]));
	assert_int_equal(json_integer_value(json_object_get(root, "schema_version")), 1);
	assert_int_equal(json_array_size(json_object_get(root, "windows")), 10);
	w = json_array_get(json_object_get(root, "windows"), 2);
	assert_true(json_is_true(json_object_get(w, "slow")));
	thread = json_array_get(json_object_get(w, "threads"), 1);
	assert_true(json_is_true(json_object_get(thread, "passive")));
	assert_int_equal(
		json_array_size(json_object_get(json_object_get(root, "curve"), "values_ms")), 10);
	json_decref(root);
	findings__free(f);
}

static json_t *first_of(json_t *object, const char *array)
{
	json_t *x = json_array_get(json_object_get(object, array), 0);

	assert_non_null(x);
	return x;
}

static json_int_t int_of(json_t *object, const char *key)
{
	json_t *x = json_object_get(object, key);

	assert_true(json_is_integer(x));
	return json_integer_value(x);
}

/* Buckets are cumulative, as metrics have them, and their limits stand beside them. */
static void test_sizes_are_cumulative(void **state)
{
	struct findings *f = sample_findings(1, 2, 0, "n");
	json_t *root = parse_findings(f), *limits = json_object_get(root, "size_limits_bytes");
	json_t *w = first_of(root, "windows"), *sums;

	assert_int_equal(json_array_size(limits), SIZE_BUCKETS - 1);
	assert_int_equal(json_integer_value(json_array_get(limits, 0)), 512);
	assert_int_equal(json_integer_value(json_array_get(limits, 11)), 1 << 20);
	sums = json_object_get(first_of(w, "sizes"), "cumulative");
	assert_int_equal(json_array_size(sums), SIZE_BUCKETS);
	assert_int_equal(json_integer_value(json_array_get(sums, 2)), 0);
	assert_int_equal(json_integer_value(json_array_get(sums, 3)), 100); /* <= 4 KiB */
	assert_int_equal(json_integer_value(json_array_get(sums, 12)), 100);
	assert_int_equal(int_of(first_of(first_of(w, "files"), "sizes"), "bytes"), 409600);
	assert_int_equal(int_of(first_of(w, "devices"), "requests"), 321);
	json_decref(root);
	findings__free(f);
}

static void test_rounds(void **state)
{
	struct findings *f = sample_findings(1, 4, 3, "n");
	json_t *root = parse_findings(f), *rounds = json_object_get(root, "rounds"), *round;

	assert_string_equal(json_string_value(json_object_get(rounds, "windows")), "slow");
	assert_int_equal(json_array_size(json_object_get(rounds, "rounds")), 5);
	round = first_of(rounds, "rounds");
	assert_string_equal(json_string_value(json_object_get(round, "cause")), "user.cpu");
	assert_true(json_is_false(json_object_get(round, "agrees")));
	assert_int_equal(int_of(first_of(round, "rows"), "count"), 12);
	json_decref(root);
	findings__free(f);
}

static void test_unknown_is_null(void **state)
{
	struct findings *f = sample_findings(1, 2, 0, "n");
	json_t *root, *curve;

	f->curve.ratio = NAN;
	f->curve.p = INFINITY;
	f->windows[0].files[0].extents = FINDING_EXTENTS_UNKNOWN;
	f->windows[0].reported_ns = FINDING_NS_NONE;
	root = parse_findings(f);
	curve = json_object_get(root, "curve");
	assert_true(json_is_null(json_object_get(curve, "ratio")));
	assert_true(json_is_null(json_object_get(curve, "p")));
	assert_true(json_is_null(json_object_get(curve, "at_window")));
	json_decref(root);
	findings__free(f);
}

static void test_deeds_of_files(void **state)
{
	struct findings *f = sample_findings(1, 6, 3, "n"); /* slow from window 3 on */
	json_t *root = parse_findings(f), *windows = json_object_get(root, "windows");
	json_t *kept = first_of(json_array_get(windows, 0), "files");
	json_t *lost = first_of(json_array_get(windows, 5), "files"), *undone;

	assert_true(json_is_true(json_object_get(kept, "extents_kept")));
	assert_true(json_is_null(json_object_get(kept, "undone")));
	assert_true(json_is_null(json_object_get(kept, "first_written")));
	assert_int_equal(int_of(kept, "alloc_bytes"), 12 << 10);
	assert_int_equal(int_of(kept, "preallocated_bytes"), 256 << 20);
	assert_true(json_is_false(json_object_get(lost, "extents_kept")));
	assert_true(json_is_null(json_object_get(lost, "alloc_bytes")));
	undone = json_object_get(lost, "undone");
	assert_string_equal(json_string_value(json_object_get(undone, "how")), "O_TRUNC at open");
	assert_string_equal(json_string_value(json_object_get(undone, "by")), "branch <0>/672");
	assert_true(int_of(undone, "at_ns") >
		    int_of(json_object_get(lost, "preallocated"), "at_ns"));
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(lost, "first_written"), "call")),
		"copy_file_range");
	json_decref(root);
	findings__free(f);
}

static void test_empty(void **state)
{
	struct findings *f = empty_findings();
	json_t *root = parse_findings(f);

	assert_int_equal(json_array_size(json_object_get(root, "windows")), 0);
	json_decref(root);
	findings__free(f);
}

static void test_hostile_names_come_back(void **state)
{
	for (size_t i = 0; i < hostile_names_cnt; i++) {
		struct findings *f = sample_findings(1, 2, 0, hostile_names[i]);
		json_t *root = parse_findings(f);
		json_t *w = json_array_get(json_object_get(root, "windows"), 0);
		json_t *t = json_array_get(json_object_get(w, "threads"), 0);
		const char *comm = json_string_value(json_object_get(t, "comm"));

		assert_non_null(comm);
		if (!strstr(hostile_names[i], "utf-8"))
			assert_string_equal(comm, hostile_names[i]);
		else
			assert_non_null(strstr(comm, "\xef\xbf\xbd"));
		json_decref(root);
		findings__free(f);
	}
}

static void test_thousand_windows(void **state)
{
	struct findings *f = sample_findings(1, 1000, 500, "n");
	json_t *root = parse_findings(f);

	assert_int_equal(json_array_size(json_object_get(root, "windows")), 1000);
	json_decref(root);
	findings__free(f);
}

static void test_other_documents(void **state)
{
	struct report *r = sample_report("n");
	json_t *root = parse(RENDER(report__write_json(out, r)));
	json_t *arms;

	assert_int_equal(json_array_size(json_object_get(root, "comparisons")), 3);
	json_decref(root);
	root = parse(RENDER(comparison__write_json(out, &r->comparisons[0])));
	arms = json_object_get(root, "arms");
	assert_int_equal(json_array_size(arms), 4);
	assert_string_equal(json_string_value(json_object_get(json_array_get(arms, 3), "kind")),
			    "control");
	json_decref(root);
	root = parse(RENDER(curve__write_json(out, &r->comparisons[0].arms[0].curve)));
	assert_true(json_is_array(json_object_get(root, "values_ms")));
	json_decref(root);
	root = parse(RENDER(json_schema__print(out)));
	assert_non_null(json_object_get(root, "definitions"));
	json_decref(root);
	report__free(r);
}

static void test_full_disk_is_an_error(void **state)
{
	struct findings *f = sample_findings(1, 50, 0, "n");
	FILE *full = fopen("/dev/full", "w");

	assert_non_null(full);
	setvbuf(full, NULL, _IOFBF, 512);
	assert_int_not_equal(findings__write_json(full, f), 0);
	fclose(full);
	findings__free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ledger_sums_to_the_nanosecond),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_sizes_are_cumulative),
		cmocka_unit_test(test_rounds),
		cmocka_unit_test(test_unknown_is_null),
		cmocka_unit_test(test_deeds_of_files),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_hostile_names_come_back),
		cmocka_unit_test(test_thousand_windows),
		cmocka_unit_test(test_other_documents),
		cmocka_unit_test(test_full_disk_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
