// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fixer/name_text.h"

static void check(const char *name, const char *expected)
{
	char back[NAME_MAX + 1];
	json_t *j = name_text__to_json(name), *read;
	char *text;

	assert_non_null(j);
	assert_string_equal(json_string_value(j), expected);
	/* through the text of a journal */
	text = json_dumps(j, JSON_ENCODE_ANY);
	read = json_loads(text, JSON_DECODE_ANY, NULL);
	assert_non_null(read);
	assert_int_equal(name_text__from_json(read, back, sizeof(back)), 0);
	assert_string_equal(back, name);
	json_decref(read);
	json_decref(j);
	free(text);
}

static void every_name_comes_back(void **state)
{
	(void)state;
	check("memory.bin", "memory.bin");
	check("Größe 木.bin", "Größe 木.bin");
	check("new\nline", "new\\x0aline");
	check("\033[2J", "\\x1b[2J");
	check("latin \xe4.bin", "latin \\xe4.bin");
	check("cut \xe6\x9c", "cut \\xe6\\x9c");
	check("\xc0\xaf\xed\xa0\x80\xff", "\\xc0\\xaf\\xed\\xa0\\x80\\xff");
	check("\xef\xbf\xbd", "\xef\xbf\xbd");
	check("a\\x41\\", "a\\x5cx41\\x5c");
}

static void all_bytes_in_names_of_all_lengths(void **state)
{
	unsigned int seed = 7;
	char name[NAME_MAX + 1], back[NAME_MAX + 1];

	(void)state;
	for (size_t len = 0; len <= NAME_MAX; len++) {
		json_t *j;

		for (size_t i = 0; i < len; i++)
			name[i] = (char)(1 + rand_r(&seed) % 255);
		name[len] = '\0';
		j = name_text__to_json(name);
		assert_non_null(j);
		assert_int_equal(name_text__from_json(j, back, sizeof(back)), 0);
		assert_string_equal(back, name);
		json_decref(j);
	}
}

static void what_is_none_is_refused_or_kept(void **state)
{
	char name[8];
	json_t *j = json_string("too long for this");

	(void)state;
	assert_int_equal(name_text__from_json(j, name, sizeof(name)), -ENAMETOOLONG);
	json_decref(j);
	assert_int_equal(name_text__from_json(NULL, name, sizeof(name)), 0);
	assert_string_equal(name, "");
	/* of an earlier version, which escaped nothing */
	j = json_string("\\x0\\x00");
	assert_int_equal(name_text__from_json(j, name, sizeof(name)), 0);
	assert_string_equal(name, "\\x0\\x00");
	json_decref(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_name_comes_back),
		cmocka_unit_test(all_bytes_in_names_of_all_lengths),
		cmocka_unit_test(what_is_none_is_refused_or_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
