// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "fixer/verbs.h"

/* A verb with something of its own before and behind what it shares. */
struct some_verb {
	uint64_t before;
	struct apply_cfg fix;
	uint64_t behind;
};

static const struct param rows[] = {
	APPLY_PARAMS_FILES(struct some_verb, fix, ""),
	APPLY_PARAM_BUDGET(struct some_verb, fix, "memfd: "),
	APPLY_PARAMS_EXPORT(struct some_verb, fix, "memfd: "),
	APPLY_PARAM_COVER(struct some_verb, fix, "memfd: "),
	APPLY_PARAM_NO_PLANT(struct some_verb, fix, "fallocate: "),
	APPLY_PARAM_REDO(struct some_verb, fix, "fallocate: "),
	APPLY_PARAM_FOREGROUND(struct some_verb, fix, ""),
	{ 0 },
};

static void every_option_lands_in_its_field(void **state)
{
	static const struct params_spec spec = {
		.verb = "some", .summary = "", .usage = "", .params = rows
	};
	char *argv[] = { "some",    "--match",		"m*",	  "--size-from",
			 "7",	    "--memory",		"1M",	  "--export-rate",
			 "2M",	    "--export-workers", "3",	  "--no-readback",
			 "--cover", "--no-plant",	"--redo", "--foreground",
			 NULL };
	struct some_verb v = { .before = 1, .behind = 2 };
	struct params_result res;
	struct apply_cfg expected;

	(void)state;
	apply_cfg__defaults(&v.fix);
	apply_cfg__defaults(&expected);
	assert_int_equal(params__parse(&spec, sizeof(argv) / sizeof(argv[0]) - 1, argv, &v, &res),
			 0);
	assert_string_equal(v.fix.match, "m*");
	assert_string_equal(v.fix.size_from, "7");
	assert_int_equal(v.fix.memory_bytes, 1 << 20);
	assert_int_equal(v.fix.export_rate_bytes, 2 << 20);
	assert_int_equal(v.fix.export_workers, 3);
	assert_true(v.fix.no_readback && v.fix.cover && v.fix.no_plant && v.fix.redo &&
		    v.fix.foreground);
	/* and nowhere else */
	assert_false(v.fix.cover_or_links || v.fix.global || v.fix.mitigation || v.fix.dir);
	assert_memory_equal(&v.fix.tune, &expected.tune, sizeof(expected.tune));
	assert_int_equal(v.before + v.behind, 3);
}

/* An option that is not given stays as `apply` has it by itself. */
static void without_options_all_is_as_by_default(void **state)
{
	static const struct params_spec spec = {
		.verb = "some", .summary = "", .usage = "", .params = rows
	};
	char *argv[] = { "some", "DIR", NULL };
	struct some_verb v = { 0 };
	struct params_result res;
	struct apply_cfg expected;

	(void)state;
	apply_cfg__defaults(&v.fix);
	apply_cfg__defaults(&expected);
	assert_int_equal(params__parse(&spec, 2, argv, &v, &res), 0);
	assert_memory_equal(&v.fix, &expected, sizeof(expected));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_option_lands_in_its_field),
		cmocka_unit_test(without_options_all_is_as_by_default),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
