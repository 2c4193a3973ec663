// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The place of a trace: two recorders that want the same one, and what --force may remove. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "user/capture/output.h"

static char dir[] = "/tmp/test-output-XXXXXX";
static char path[64];

static int make_dir(void **state)
{
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/run.fpt", dir);
	return 0;
}

static int drop_dir(void **state)
{
	unlink(path);
	return rmdir(dir);
}

static void create(void)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	close(fd);
}

static void test_force_removes_what_nobody_writes(void **state)
{
	create();
	assert_int_equal(output__check(path, true), 0);
	assert_int_equal(output__clear(path), 0);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(output__clear(path), 0); /* nothing there is fine */
}

/* Another recorder has begun between our check and our removal: its trace must stay. */
static void test_force_spares_what_is_written_now(void **state)
{
	int fd;

	create();
	assert_int_equal(output__check(path, true), 0);
	fd = output__lock(path);
	assert_true(fd >= 0);
	assert_int_equal(output__clear(path), -EBUSY);
	assert_int_equal(output__lock(path), -EBUSY);
	assert_int_equal(output__check(path, true), -EBUSY);
	assert_int_equal(access(path, F_OK), 0);
	close(fd);
	assert_int_equal(output__clear(path), 0);
}

/* What was just created and is gone before it could be locked is another recorder's doing. */
static void test_lock_of_what_is_gone(void **state)
{
	unlink(path);
	assert_int_equal(output__lock(path), -EBUSY);
}

static void test_without_force_nothing_is_replaced(void **state)
{
	dev_t dev;

	create();
	assert_int_equal(output__check(path, false), -EEXIST);
	assert_int_equal(output__check(dir, true), -EEXIST);
	assert_int_equal(output__device(path, &dev), 0);
	unlink(path);
	assert_int_equal(output__check(path, false), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_force_removes_what_nobody_writes),
		cmocka_unit_test(test_force_spares_what_is_written_now),
		cmocka_unit_test(test_lock_of_what_is_gone),
		cmocka_unit_test(test_without_force_nothing_is_replaced),
	};

	return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
