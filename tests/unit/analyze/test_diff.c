// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Two recordings beside each other: which windows, what went, what came, and whose share it is. */
#include "verdict_cases.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#include "../../../reports/difference.h"
#include "../../../user/analyze/diff.h"
#include "../../../user/log.h"

static const struct difference_row *row_of(const struct difference *d, const char *cause)
{
	for (size_t i = 0; i < d->rows_cnt; i++)
		if (!strcmp(d->rows[i].cause, cause))
			return &d->rows[i];
	return NULL;
}

static bool near(double a, double b)
{
	return fabs(a - b) < 1e-6;
}

/* Windows as given, in ms of each cause: no noise, so that sums can be checked. */
static void exact_case(struct analysis *a, uint32_t windows, uint32_t step, const struct row *rows)
{
	static const struct row none[] = { { 0 } };

	begin_case(a, 1, windows, 0, none);
	for (uint32_t i = 0; i < windows; i++)
		for (size_t k = 0; rows[k].cause; k++) {
			double ms = step && i + 1 >= step ? rows[k].slow_ms : rows[k].fast_ms;

			if (ms > 0)
				add_share(&a->f->windows[i], rows[k].cause, (uint64_t)(ms * 1e6));
		}
	judge(a);
}

static const struct row before_rows[] = { { "io.throttle.wbt", 1, 900 },
					  { "jbd2.commit_wait", 2, 80 },
					  { "fs.copy", 5, 5 },
					  { "user.cpu", 3, 3 },
					  { 0 } };
static const struct row after_rows[] = { { "io.throttle.wbt", 1, 1 }, { "jbd2.commit_wait", 2, 30 },
					 { "fs.copy", 5, 14 },	      { "mm.fault.other", 0, 20 },
					 { "user.cpu", 3, 3 },	      { 0 } };

static void what_went_and_what_came(void **state)
{
	struct analysis before, after;
	struct difference d;
	double shares = 0, means[2] = { 0 };

	exact_case(&before, 10, 6, before_rows);
	exact_case(&after, 10, 6, after_rows);
	must(diff__findings(before.f, after.f, &d));
	assert_int_equal(d.from_window, 6);
	assert_int_equal(d.before.windows, 5);
	assert_true(near(d.before.median_ms, 988) && near(d.after.median_ms, 68));
	assert_true(near(d.change_ms, -920));
	assert_int_equal(row_of(&d, "io.throttle.wbt")->kind, DIFFERENCE_WENT);
	assert_true(near(row_of(&d, "io.throttle.wbt")->share, 899 / 920.0));
	assert_int_equal(row_of(&d, "jbd2.commit_wait")->kind, DIFFERENCE_SHRANK);
	assert_int_equal(row_of(&d, "fs.copy")->kind, DIFFERENCE_GREW);
	assert_true(near(row_of(&d, "fs.copy")->share, -9 / 920.0));
	assert_int_equal(row_of(&d, "mm.fault.other")->kind, DIFFERENCE_CAME);
	assert_int_equal(row_of(&d, "user.cpu")->kind, DIFFERENCE_SAME);
	assert_string_equal(d.rows[0].cause, "io.throttle.wbt");
	for (size_t i = 0; i < d.rows_cnt; i++) {
		shares += d.rows[i].share;
		means[0] += d.rows[i].before_mean_ms;
		means[1] += d.rows[i].after_mean_ms;
	}
	assert_true(near(shares, 1));
	assert_true(near(means[0], d.before.mean_ms) && near(means[1], d.after.mean_ms));
	assert_non_null(strstr(d.text, "The pauses are 15 times shorter, 988 ms before and 68.0 ms "
				       "after (medians of 5 and 5 windows, from window 6 on)."));
	assert_non_null(strstr(d.text,
			       "What went away: io.throttle.wbt (900 ms to 1.00 ms, 98 % of "
			       "the change)."));
	assert_non_null(strstr(d.text, "What shrank: jbd2.commit_wait (80.0 ms to 30.0 ms"));
	assert_non_null(strstr(d.text, "What came: mm.fault.other (0 ms to 20.0 ms)."));
	assert_non_null(strstr(d.text, "What grew: fs.copy (5.00 ms to 14.0 ms)."));
	assert_non_null(strstr(d.text, "The verdict was io.throttle.wbt and is "));
	difference__free_inside(&d);
	end_case(&before);
	end_case(&after);
}

/* The other way round it is a regression, over the same windows. */
static void a_regression_is_told_too(void **state)
{
	struct analysis before, after;
	struct difference d;

	exact_case(&before, 10, 6, after_rows);
	exact_case(&after, 10, 6, before_rows);
	must(diff__findings(before.f, after.f, &d));
	assert_int_equal(d.from_window, 6);
	assert_true(near(d.change_ms, 920));
	assert_int_equal(row_of(&d, "io.throttle.wbt")->kind, DIFFERENCE_CAME);
	assert_int_equal(row_of(&d, "mm.fault.other")->kind, DIFFERENCE_WENT);
	assert_non_null(strstr(d.text, "times longer"));
	difference__free_inside(&d);
	end_case(&before);
	end_case(&after);
}

static void alike_runs_have_no_shares(void **state)
{
	struct analysis before, after;
	struct difference d;

	exact_case(&before, 10, 6, before_rows);
	exact_case(&after, 10, 6, before_rows);
	must(diff__findings(before.f, after.f, &d));
	assert_true(d.change_ms == 0);
	for (size_t i = 0; i < d.rows_cnt; i++) {
		assert_int_equal(d.rows[i].kind, DIFFERENCE_SAME);
		assert_true(isnan(d.rows[i].share));
	}
	assert_non_null(strstr(d.text, "as before"));
	assert_non_null(strstr(d.text, "in both"));
	assert_null(strstr(d.text, "What"));
	difference__free_inside(&d);
	end_case(&before);
	end_case(&after);
}

/* A run that is cut short of the step is compared as a whole. */
static void short_runs(void **state)
{
	struct analysis before, after;
	struct difference d;

	exact_case(&before, 10, 6, before_rows);
	exact_case(&after, 4, 0, after_rows);
	must(diff__findings(before.f, after.f, &d));
	assert_int_equal(d.from_window, 1);
	assert_int_equal(d.before.windows, 10);
	assert_int_equal(d.after.windows, 4);
	difference__free_inside(&d);
	end_case(&before);
	end_case(&after);
}

/* In two of five windows: the median does not see it, the mean does. */
static void rare_causes_are_told_by_their_mean(void **state)
{
	static const struct row plain[] = { { "fs.copy", 5, 5 }, { 0 } };
	struct analysis before, after;
	struct difference d;

	exact_case(&before, 5, 0, plain);
	exact_case(&after, 5, 0, plain);
	add_share(&before.f->windows[1], "io.flush", 100 * MS);
	add_share(&before.f->windows[3], "io.flush", 100 * MS);
	must(diff__findings(before.f, after.f, &d));
	assert_true(row_of(&d, "io.flush")->before_ms == 0);
	assert_true(near(row_of(&d, "io.flush")->before_mean_ms, 40));
	assert_int_equal(row_of(&d, "io.flush")->kind, DIFFERENCE_WENT);
	assert_non_null(strstr(d.text, "io.flush (on average 40.0 ms to 0 ms, 100 % of"));
	difference__free_inside(&d);
	end_case(&before);
	end_case(&after);
}

static void no_windows_are_an_error(void **state)
{
	struct findings *none = findings__new();
	struct analysis before;
	struct difference d;

	assert_non_null(none);
	exact_case(&before, 10, 6, before_rows);
	assert_int_equal(diff__findings(before.f, none, &d), -ENODATA);
	difference__free_inside(&d);
	assert_int_equal(diff__findings(none, before.f, &d), -ENODATA);
	difference__free_inside(&d);
	findings__free(none);
	end_case(&before);
}

static void json_has_it_all(void **state)
{
	struct analysis before, after;
	struct difference d;
	char *text = NULL;
	json_t *root, *row;
	size_t size, i;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	exact_case(&before, 10, 6, before_rows);
	exact_case(&after, 10, 6, before_rows);
	must(diff__findings(before.f, after.f, &d));
	must(difference__write_json(out, &d));
	assert_int_equal(fclose(out), 0);
	root = json_loads(text, 0, NULL);
	assert_non_null(root);
	assert_int_equal(json_integer_value(json_object_get(root, "schema_version")), 1);
	json_array_foreach (json_object_get(root, "causes"), i, row) {
		assert_true(json_is_null(json_object_get(row, "share"))); /* NaN is no JSON */
		assert_string_equal(json_string_value(json_object_get(row, "change")), "same");
	}
	assert_int_equal(i, 4);
	json_decref(root);
	free(text);
	difference__free_inside(&d);
	end_case(&before);
	end_case(&after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_went_and_what_came),
		cmocka_unit_test(a_regression_is_told_too),
		cmocka_unit_test(alike_runs_have_no_shares),
		cmocka_unit_test(short_runs),
		cmocka_unit_test(rare_causes_are_told_by_their_mean),
		cmocka_unit_test(no_windows_are_an_error),
		cmocka_unit_test(json_has_it_all),
	};

	log_init("flatpause", LOG_QUIET);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
