// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Messages that nobody reads: left out and counted, never waited for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../user/log.h"

static void fill(int fd)
{
	char block[4096] = { 0 };

	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	while (write(fd, block, sizeof(block)) > 0)
		;
	assert_int_equal(fcntl(fd, F_SETFL, 0), 0); /* as a guard finds it: a write would wait */
}

static void drain(int fd, char *last, size_t size)
{
	ssize_t cnt;

	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	while ((cnt = read(fd, last, size - 1)) > 0)
		last[cnt] = '\0';
}

static void a_full_pipe_holds_nobody_up(void **state)
{
	static char text[65536];
	int ends[2], kept = dup(STDERR_FILENO);

	assert_int_equal(pipe(ends), 0);
	fill(ends[1]);
	log_init("test", LOG_NORMAL);
	log_never_wait();
	alarm(10); /* where it waits, it waits for good */
	assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	assert_int_equal(log_err(-5, "one"), -5);
	log_warn("two");
	drain(ends[0], text, sizeof(text));
	log_info("three");
	drain(ends[0], text, sizeof(text));
	dup2(kept, STDERR_FILENO);
	alarm(0);
	assert_string_equal(text, "test: warning: messages before this one that nobody read: 2\n"
				  "test: three\n");
	close(kept);
	close(ends[0]);
	close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(a_full_pipe_holds_nobody_up) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
