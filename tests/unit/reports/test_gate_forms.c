// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* A gate in every form that a CI reads, with names that break out of careless writers. */
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "reports/gate.h"
#include "tests/unit/render.h"
#include "tests/unit/sample_findings.h"

static const double pauses[] = { 100, 101, 99, 100, 102, 210, 205, 212, 208, 207 };

/* All strings are `name`: what is escaped once is escaped everywhere. */
static struct gate_report sample_gate(enum gate_outcome outcome, const char *name)
{
	struct gate_report r = { .outcome = outcome, .looks_cnt = 2, .took_s = 1.25 };
	struct gate_cause *c = FINDING_APPEND(&r.causes, &r.causes_cnt);

	assert_non_null(c);
	assert_int_equal(finding_set(&c->cause, name), 0);
	c->share_before = 0.03;
	c->share_after = 0.61;
	r.causes_from = 6;
	r.causes_to = 10;
	assert_int_equal(finding_set(&r.name, name), 0);
	assert_int_equal(finding_set(&r.headline, name), 0);
	assert_int_equal(finding_set(&r.text, name), 0);
	assert_int_equal(finding_set(&r.source, name), 0);
	assert_int_equal(finding_set(&r.host_class, name), 0);
	for (int i = 0; i < 2; i++) {
		struct gate_look *l = &r.looks[i];

		l->curve.verdict = CURVE_STEPPED;
		l->curve.at_window = 6;
		l->curve.sweeps = 1;
		l->curve.windows = 10;
		l->curve.values_ms = malloc(sizeof(pauses));
		assert_non_null(l->curve.values_ms);
		memcpy(l->curve.values_ms, pauses, sizeof(pauses));
		assert_int_equal(finding_set(&l->curve.why, name), 0);
		l->level = (struct gate_level){ .verdict = GATE_LEVEL_SAME, .sweeps = 1 };
	}
	return r;
}

static json_t *parse(char *text)
{
	json_error_t error;
	json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &error);

	if (!root)
		fail_msg("%s, line %d of:\n%s", error.text, error.line, text);
	free(text);
	return root;
}

static void a_cause_with_its_shares(void **state)
{
	struct gate_report r = sample_gate(GATE_FAIL, "io.throttle.wbt");
	char *text = gate_cause_text(&r, &r.causes[0]);

	assert_string_equal(text, "io.throttle.wbt 3 % -> 61 % in windows 6..10");
	free(text);
	r.causes[0].share_before = 0.004;
	r.causes_of_baseline = true;
	text = gate_cause_text(&r, &r.causes[0]);
	assert_string_equal(text, "io.throttle.wbt 0.4 % -> 61 % in windows 6..10 (before: the "
				  "baseline)");
	free(text);
	gate_report__free_inside(&r);
}

/* One line whatever the names are, and nothing in it begins a command of its own. */
static void an_annotation_is_one_line(void **state)
{
	for (size_t i = 0; i < hostile_names_cnt; i++) {
		struct gate_report r = sample_gate(GATE_FAIL, hostile_names[i]);
		char *text = RENDER(gate__write_annotation(out, &r));

		assert_int_equal(count_of(text, "\n"), 1);
		assert_int_equal(count_of(text, "\r"), 0);
		assert_memory_equal(text, "::error title=flatpause gate::", 30);
		free(text);
		gate_report__free_inside(&r);
	}
}

static void annotations_have_levels(void **state)
{
	static const char *const heads[] = { [GATE_FAIL] = "::error ",
					     [GATE_PASS] = "::notice ",
					     [GATE_INCONCLUSIVE] = "::warning " };

	for (int o = 0; o < 3; o++) {
		struct gate_report r = sample_gate((enum gate_outcome)o, "100 %\n::error::x");
		char *text = RENDER(gate__write_annotation(out, &r));

		assert_memory_equal(text, heads[o], strlen(heads[o]));
		assert_non_null(strstr(text, "100 %25%0A::error::x: "));
		free(text);
		gate_report__free_inside(&r);
	}
}

static void json_of_hostile_names(void **state)
{
	for (size_t i = 0; i < hostile_names_cnt; i++) {
		struct gate_report r = sample_gate(GATE_FAIL, hostile_names[i]);
		json_t *root = parse(RENDER(gate__write_json(out, &r)));
		json_t *grown = json_object_get(root, "grown");

		assert_string_equal(json_string_value(json_object_get(root, "gate")), "fail");
		assert_string_equal(json_string_value(json_object_get(root, "verdict")), "stepped");
		assert_true(json_is_object(json_object_get(root, "confirm")));
		assert_int_equal(json_array_size(grown), 1);
		json_decref(root);
		root = parse(RENDER(gate__write_code_quality(out, &r)));
		assert_int_equal(json_array_size(root), 1);
		json_decref(root);
		gate_report__free_inside(&r);
	}
}

/* GitLab knows an issue by its fingerprint: the same for the same series, another for another. */
static void fingerprints_stay(void **state)
{
	struct gate_report a = sample_gate(GATE_FAIL, "a"), b = sample_gate(GATE_FAIL, "b");
	char *first = RENDER(gate__write_code_quality(out, &a));
	char *again = RENDER(gate__write_code_quality(out, &a));
	char *other = RENDER(gate__write_code_quality(out, &b));
	json_t *one, *two;

	assert_string_equal(first, again);
	free(again);
	one = parse(first);
	two = parse(other);
	assert_string_not_equal(
		json_string_value(json_object_get(json_array_get(one, 0), "fingerprint")),
		json_string_value(json_object_get(json_array_get(two, 0), "fingerprint")));
	json_decref(one);
	json_decref(two);
	gate_report__free_inside(&a);
	gate_report__free_inside(&b);
}

static void a_pass_has_no_issue(void **state)
{
	struct gate_report r = sample_gate(GATE_PASS, "n");
	json_t *root = parse(RENDER(gate__write_code_quality(out, &r)));

	assert_true(json_is_array(root));
	assert_int_equal(json_array_size(root), 0);
	json_decref(root);
	gate_report__free_inside(&r);
}

/* A case for the step and one for the level; each fails for itself. */
static void junit_counts_its_cases(void **state)
{
	struct gate_report r = sample_gate(GATE_FAIL, "n");
	char *text = RENDER(gate__write_junit(out, &r));

	assert_int_equal(count_of(text, "<testcase "), 2);
	assert_int_equal(count_of(text, "<failure "), 1);
	assert_non_null(strstr(text, "tests=\"2\" failures=\"1\" errors=\"0\" skipped=\"0\""));
	free(text);
	r.looks[0].level.verdict = GATE_LEVEL_NONE;
	r.outcome = GATE_INCONCLUSIVE;
	text = RENDER(gate__write_junit(out, &r));
	assert_int_equal(count_of(text, "<testcase "), 1);
	assert_non_null(strstr(text, "tests=\"1\" failures=\"0\" errors=\"0\" skipped=\"1\""));
	free(text);
	gate_report__free_inside(&r);
}

static void junit_escapes_names(void **state)
{
	struct gate_report r = sample_gate(GATE_FAIL, "\"><failure/>\x01&]]>");
	char *text = RENDER(gate__write_junit(out, &r));

	assert_null(strstr(text, "<failure/>"));
	assert_null(strstr(text, "]]>"));
	assert_null(strchr(text, 1));
	free(text);
	gate_report__free_inside(&r);
}

static void a_summary_marks_nothing_up(void **state)
{
	struct gate_report r = sample_gate(GATE_FAIL, "| cell | `x` @somebody <b>");
	char *text = RENDER(gate__write_markdown(out, &r));

	/* two code spans, where it is no mention, and nowhere else */
	assert_int_equal(count_of(text, "@somebody"), 2);
	assert_int_equal(count_of(text, "<b>"), 2);
	assert_memory_equal(text, "### flatpause gate: FAIL", 24);
	free(text);
	gate_report__free_inside(&r);
}

static void a_full_disk_is_an_error(void **state)
{
	struct gate_report r = sample_gate(GATE_FAIL, "n");
	FILE *full = fopen("/dev/full", "w");

	assert_non_null(full);
	setvbuf(full, NULL, _IONBF, 0);
	assert_int_not_equal(gate__write_junit(full, &r), 0);
	assert_int_not_equal(gate__write_json(full, &r), 0);
	assert_int_not_equal(gate__write_markdown(full, &r), 0);
	assert_int_not_equal(gate__write_annotation(full, &r), 0);
	assert_int_not_equal(gate__write_code_quality(full, &r), 0);
	fclose(full);
	gate_report__free_inside(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cause_with_its_shares),
		cmocka_unit_test(an_annotation_is_one_line),
		cmocka_unit_test(annotations_have_levels),
		cmocka_unit_test(json_of_hostile_names),
		cmocka_unit_test(fingerprints_stay),
		cmocka_unit_test(a_pass_has_no_issue),
		cmocka_unit_test(junit_counts_its_cases),
		cmocka_unit_test(junit_escapes_names),
		cmocka_unit_test(a_summary_marks_nothing_up),
		cmocka_unit_test(a_full_disk_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
