// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <cmocka.h>

#include "fixer/guard.h"
#include "fixer/name_text.h"

#define DIR_NAME  "snap \xe4\n"
#define FILE_NAME "a\\x41 \xff.bin"
#define COMM	  "w\xe9\\x41"

static struct guard guard;

static int set_up(void **state)
{
	(void)state;
	memset(&guard, 0, sizeof(guard));
	pthread_mutex_init(&guard.lock, NULL);
	guard.fan = guard.wake = -1;
	guard.tracks[0] = (struct track){ .n = 7, .dir = DIR_NAME, .name = FILE_NAME };
	return journal__begin(&guard.journal, memfd_create("journal", 0)) ||
	       journal__append(&guard.journal, REC_INTENT,
			       conf__to_json(&(struct fix_conf){ .mitigation = MITIGATION_FALLOCATE,
								 .export_workers = 1 }),
			       0);
}

static int tear_down(void **state)
{
	(void)state;
	return close(guard.journal.fd);
}

static void check_text(json_t *file, const char *key, const char *expected)
{
	char text[NAME_MAX + 1];

	assert_true(json_is_string(json_object_get(file, key)));
	assert_int_equal(name_text__from_json(json_object_get(file, key), text, sizeof(text)), 0);
	assert_string_equal(text, expected);
}

/* What the journal says of the file, and of whoever wrote it. */
static void check_record(const char *said)
{
	struct state s;
	json_t *file;

	assert_int_equal(state__load(guard.journal.fd, "/state/1.journal", &s), 0);
	file = json_object_get(s.files, "7");
	assert_non_null(file);
	check_text(file, "dir", DIR_NAME);
	check_text(file, "name", FILE_NAME);
	check_text(file, "writer", COMM);
	assert_string_equal(json_string_value(json_object_get(file, "state")), said);
	state__free(&s);
}

static void names_of_what_was_preallocated(void **state)
{
	struct job job = { .kind = JOB_MADE,
			   .fd = -1,
			   .made = MADE_AT_OPEN,
			   .first_write = true,
			   .lost = "kept",
			   .pid = getpid() };

	(void)state;
	clerk__do(&guard, &job);
	check_record("being written");
}

static void names_of_what_was_closed(void **state)
{
	struct job job = { .kind = JOB_CLOSED, .lost = "lost", .pid = getpid() };

	(void)state;
	job.fd = memfd_create("closed", 0);
	assert_true(job.fd >= 0);
	assert_int_equal(write(job.fd, "x", 1), 1);
	clerk__do(&guard, &job);
	check_record("closed");
	close(job.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(names_of_what_was_preallocated, set_up, tear_down),
		cmocka_unit_test_setup_teardown(names_of_what_was_closed, set_up, tear_down),
	};

	prctl(PR_SET_NAME, COMM);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
