// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Tables and rounds on a terminal: 80 columns, whatever names are in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/render.h"
#include "tests/unit/sample_findings.h"
#include "user/cli/tables_text.h"

static void fits(const char *text)
{
	size_t columns = 0;

	for (const char *p = text; *p; p++) {
		assert_true((unsigned char)*p >= 0x20 || *p == '\n');
		assert_int_not_equal(*p, 0x7f);
		columns = *p == '\n' ? 0 : columns + ((*p & 0xc0) != 0x80);
		if (columns > 79)
			fail_msg("a line is longer than 79 columns: %.*s", 100, p - 79);
	}
}

static void tables_fit_with_any_name(void **state)
{
	for (size_t i = 0; i <= hostile_names_cnt; i++) {
		const char *name = i < hostile_names_cnt ? hostile_names[i] : long_name();
		struct findings *f = sample_findings(1, 6, 3, name);
		char *text = RENDER(tables__print(out, f, "", ""));

		fits(text);
		free(text);
		text = RENDER_VOID(rounds__print(out, f, "", ""));
		fits(text);
		free(text);
		findings__free(f);
	}
}

static void slow_and_fast_stand_apart(void **state)
{
	struct findings *f = sample_findings(1, 6, 3, "n");
	char *text = RENDER(tables__print(out, f, "", ""));

	assert_non_null(strstr(text, "     2.000    2.000  futex_do_wait (futex.wait)"));
	assert_non_null(strstr(text, "     0.500    0.500  rq_qos_wait (io.throttle.wbt)"));
	assert_non_null(strstr(text, "write                  400 calls")); /* 4 slow windows */
	assert_non_null(strstr(text, "copy_file_range         10 calls"));
	assert_non_null(strstr(text, "  7:3      write   slow       321"));
	assert_non_null(strstr(text, "  7:3      write   fast       321"));
	free(text);
	findings__free(f);
	f = sample_findings(1, 6, 0, "n");
	text = RENDER(tables__print(out, f, "", ""));
	assert_non_null(strstr(text, "       all           function"));
	free(text);
	findings__free(f);
}

static void nothing_is_no_table(void **state)
{
	struct findings *f = empty_findings();
	char *text = RENDER(tables__print(out, f, "", ""));

	assert_string_equal(text, "");
	free(text);
	findings__free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_fit_with_any_name),
		cmocka_unit_test(slow_and_fast_stand_apart),
		cmocka_unit_test(nothing_is_no_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
