// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The option table: every type, both spellings, and each way to get it wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "user/cli/params.h"

struct opts {
	bool on, off;
	const char *text;
	struct param_list list;
	uint32_t number;
	uint64_t duration, size;
	double percent;
};

static const struct param params[] = {
	PARAM(struct opts, on, "on", 'o', PARAM_FLAG, NULL, "a flag"),
	PARAM(struct opts, off, "no-off", 0, PARAM_NO_FLAG, NULL, "its opposite"),
	PARAM_HEADING("with values"),
	PARAM(struct opts, text, "text", 't', PARAM_STRING, "TEXT", "a string"),
	PARAM(struct opts, list, "list", 'l', PARAM_LIST, "ITEM", "many"),
	{ .name = "number",
	  .letter = 'n',
	  .type = PARAM_U32,
	  .offset = offsetof(struct opts, number),
	  .min = 1,
	  .max = 100,
	  .arg = "N",
	  .help = "1 to 100" },
	PARAM(struct opts, duration, "gap", 'g', PARAM_DURATION, "DURATION", "a time"),
	PARAM(struct opts, size, "ring", 0, PARAM_SIZE, "SIZE", "bytes"),
	{ .name = "budget",
	  .type = PARAM_SIZE,
	  .offset = offsetof(struct opts, size),
	  .min = 1,
	  .arg = "SIZE",
	  .help = "1 or more" },
	PARAM(struct opts, percent, "max-loss", 0, PARAM_PERCENT, "PERCENT", "a share"),
	{ .name = NULL },
};

static const struct params_spec spec = {
	.verb = "test", .summary = "Tests.", .usage = "test", .params = params
};

#define ARGS_MAX 80
static struct opts opts;
static struct params_result res;

static int parse(const char *first, ...)
{
	static char *argv[ARGS_MAX]; /* res.command points into it */
	int argc = 0;
	va_list ap;

	argv[argc++] = (char *)"test";
	memset(&opts, 0, sizeof(opts));
	opts.off = true;
	va_start(ap, first);
	for (const char *a = first; a && argc < ARGS_MAX; a = va_arg(ap, const char *))
		argv[argc++] = (char *)a;
	va_end(ap);
	return params__parse(&spec, argc, argv, &opts, &res);
}

static void test_all_types(void **state)
{
	assert_int_equal(parse("--on", "--no-off", "--text", "a b", "--list", "1", "--list=2",
			       "--number", "42", "--gap=1.5s", "--ring", "4M", "--max-loss", "2.5%",
			       NULL),
			 0);
	assert_true(opts.on);
	assert_false(opts.off);
	assert_string_equal(opts.text, "a b");
	assert_int_equal(opts.list.cnt, 2);
	assert_string_equal(opts.list.v[1], "2");
	assert_int_equal(opts.number, 42);
	assert_int_equal(opts.duration, 1500000000);
	assert_int_equal(opts.size, 4 << 20);
	assert_true(opts.percent > 2.49 && opts.percent < 2.51);
}

static void test_a_limit_below_is_none_above(void **state)
{
	assert_int_equal(parse("--budget", "1", NULL), 0);
	assert_int_equal(opts.size, 1);
	assert_int_equal(parse("--budget", "1T", NULL), 0);
	assert_true(opts.size == 1ull << 40);
	assert_int_equal(parse("--ring", "0", NULL), 0);
}

static void test_letters(void **state)
{
	assert_int_equal(parse("-o", "-t", "x", "-n7", "-l", "a", "-lb", NULL), 0);
	assert_true(opts.on);
	assert_string_equal(opts.text, "x");
	assert_int_equal(opts.number, 7);
	assert_int_equal(opts.list.cnt, 2);
}

static void test_rest_and_command(void **state)
{
	assert_int_equal(parse("30s", "-o", "file", "--", "cmd", "--on", "-n", NULL), 0);
	assert_int_equal(res.rest.cnt, 2);
	assert_string_equal(res.rest.v[0], "30s");
	assert_int_equal(res.command_cnt, 3);
	assert_string_equal(res.command[1], "--on");
	assert_int_equal(parse("--", NULL), 0);
	assert_int_equal(res.command_cnt, 0);
	assert_int_equal(parse(NULL), 0);
	assert_null(res.command);
}

static void test_refused(void **state)
{
	static const char *const bad[][3] = {
		{ "--unknown" },
		{ "-x" },
		{ "--numbe", "3" },
		{ "--number" },
		{ "--number", "0" },
		{ "--number", "101" },
		{ "--number", "4294967297" },
		{ "--number", "1x" },
		{ "--number", "-1" },
		{ "--gap", "3 s" },
		{ "--gap", "3parsec" },
		{ "--gap=" },
		{ "--ring", "4MB" },
		{ "--budget", "0" },
		{ "--max-loss", "101" },
		{ "--max-loss", "-1" },
		{ "--max-loss", "nan" },
		{ "--max-loss", "1x" },
		{ "--on=1" },
		{ "-ox" },
		{ "--"
		  "with values" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (parse(bad[i][0], bad[i][1], NULL) != -EINVAL)
			fail_msg("%s %s was taken", bad[i][0], bad[i][1] ? bad[i][1] : "");
}

static void test_too_many(void **state)
{
	char *argv[2 * PARAM_LIST_MAX + 4] = { (char *)"test" };
	int argc = 1;

	for (int i = 0; i <= PARAM_LIST_MAX; i++) {
		argv[argc++] = (char *)"-l";
		argv[argc++] = (char *)"x";
	}
	memset(&opts, 0, sizeof(opts));
	assert_int_equal(params__parse(&spec, argc - 2, argv, &opts, &res), 0);
	memset(&opts, 0, sizeof(opts));
	assert_int_equal(params__parse(&spec, argc, argv, &opts, &res), -EINVAL);
}

static void test_help_wins_over_the_rest(void **state)
{
	assert_int_equal(parse("-o", "--help", "--unknown", NULL), PARAMS_HELP);
	/* but not behind --: there it belongs to the command */
	assert_int_equal(parse("--", "cmd", "--help", NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_types),
		cmocka_unit_test(test_a_limit_below_is_none_above),
		cmocka_unit_test(test_letters),
		cmocka_unit_test(test_rest_and_command),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_help_wins_over_the_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
