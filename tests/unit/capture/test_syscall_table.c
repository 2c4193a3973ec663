// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include "user/capture/syscall_table.h"

static struct sys_desc table[FP_MAX_SYSCALL];

static int fill(void **state)
{
	fill_syscall_table(table);
	return 0;
}

static void what_is_not_named_is_other(void **state)
{
	assert_int_equal(table[SYS_getppid].cls, FP_SYS_OTHER);
	assert_int_equal(table[SYS_getppid].fd_arg, SYS_NO_ARG);
	assert_int_equal(table[FP_MAX_SYSCALL - 1].cls, FP_SYS_OTHER);
}

static void openat_knows_its_arguments(void **state)
{
	const struct sys_desc *d = &table[SYS_openat];

	assert_int_equal(d->cls, FP_SYS_OPEN);
	assert_int_equal(d->fd_arg, 0);
	assert_int_equal(d->path_arg, 1);
	assert_int_equal(d->path2_arg, 2);
}

static void calls_without_descriptor_have_none(void **state)
{
	assert_int_equal(table[SYS_futex].fd_arg, SYS_NO_ARG);
	assert_int_equal(table[SYS_msync].fd_arg, SYS_NO_ARG);
	assert_int_equal(table[SYS_wait4].fd_arg, SYS_NO_ARG);
	assert_int_equal(table[SYS_fsync].fd_arg, 0);
}

static void every_row_is_within_bounds(void **state)
{
	for (int i = 0; i < FP_MAX_SYSCALL; i++) {
		assert_true(table[i].cls < FP_SYS_END);
		assert_true(table[i].fd_arg < 6 || table[i].fd_arg == SYS_NO_ARG);
		assert_true(table[i].path_arg < 6 && table[i].path2_arg < 6);
		assert_true(table[i].args_from <= 3);
		assert_true(table[i].buf <= SYS_BUF_MSGHDR);
		/* look_for_request names the connection */
		assert_true(!table[i].buf || table[i].fd_arg == 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_named_is_other),
		cmocka_unit_test(openat_knows_its_arguments),
		cmocka_unit_test(calls_without_descriptor_have_none),
		cmocka_unit_test(every_row_is_within_bounds),
	};

	return cmocka_run_group_tests_name("syscall_table", tests, fill, NULL);
}
