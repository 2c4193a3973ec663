// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Whether a memory file and its copy are still the same, when both have the times that users gave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "fixer/seen.h"

static struct stat stat_of(time_t mtime, time_t ctime, off_t size)
{
	struct stat st = { .st_size = size };

	st.st_mtim.tv_sec = mtime;
	st.st_ctim.tv_sec = ctime;
	return st;
}

static void only_a_ctime_tells(void **state)
{
	struct stat memory = stat_of(50, 100, 7), file = stat_of(50, 101, 7), now;
	struct seen s;

	(void)state;
	seen__take(&s, &memory, &file);
	assert_true(seen__is_current(&s, &memory, &file));
	file.st_ctim.tv_sec = 110; /* renamed, linked: not changed */
	assert_true(seen__is_current(&s, &memory, &file));
	now = stat_of(50, 105, 7);
	assert_false(seen__is_current(&s, &now, &file));
	now = stat_of(1, 120, 9); /* written, and its mtime set back */
	assert_false(seen__is_current(&s, &now, &file));
}

static void what_was_changed_last_is_the_file(void **state)
{
	struct stat memory = stat_of(50, 100, 7), file = stat_of(50, 101, 7), now, his;
	struct seen s;

	(void)state;
	seen__take(&s, &memory, &file);
	his = stat_of(130, 130, 3);
	now = stat_of(120, 120, 7);
	assert_true(seen__is_current(&s, &memory, &his));
	assert_true(seen__is_current(&s, &now, &his));
	now = stat_of(140, 140, 7);
	assert_false(seen__is_current(&s, &now, &his));
}

static void a_journal_keeps_it(void **state)
{
	struct stat memory = stat_of(-50, 100, 7), file = stat_of(-50, 101, 7);
	json_t *j = json_object();
	struct seen s, t;

	(void)state;
	seen__take(&s, &memory, &file);
	seen__to_json(&s, j);
	seen__from_json(&t, j);
	assert_memory_equal(&s, &t, sizeof(s));
	assert_true(seen__is_current(&t, &memory, &file));
	json_object_clear(j); /* of an earlier version */
	seen__from_json(&t, j);
	assert_true(seen__is_current(&t, &memory, &file));
	memory.st_ctim.tv_sec = 102;
	assert_false(seen__is_current(&t, &memory, &file));
	json_decref(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_a_ctime_tells),
		cmocka_unit_test(what_was_changed_last_is_the_file),
		cmocka_unit_test(a_journal_keeps_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
