// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Commands: held before exec, their output kept, their status as it was, and none left behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "user/capture/run_command.h"

/* Until it has ended; the test's own time limit is the runner's. */
static void follow(struct command *c)
{
	while (!command__ended(c)) {
		struct pollfd fds[] = { { .fd = c->pidfd, .events = POLLIN },
					{ .fd = c->out_fd, .events = POLLIN } };

		poll(fds, 2, 1000);
		command__read(c);
	}
	command__read(c);
}

static void run(struct command *c, const char *script)
{
	char *argv[] = { (char *)"sh", (char *)"-c", (char *)script, NULL };

	assert_int_equal(command__fork(c, argv, false, NULL), 0);
	assert_int_equal(command__exec(c, argv[0]), 0);
}

static void test_output_and_status(void **state)
{
	struct command c;

	run(&c, "echo one; echo two; exit 7");
	follow(&c);
	assert_int_equal(WEXITSTATUS(c.status), 7);
	assert_int_equal(c.out_len, 8);
	assert_memory_equal(c.out, "one\ntwo\n", 8);
	command__close(&c);
}

static void test_last_bytes_are_kept(void **state)
{
	struct command c;

	run(&c, "head -c 300000 /dev/zero | tr '\\0' x; echo; echo '{\"pause_ms\":1}'");
	follow(&c);
	assert_int_equal(c.out_len, COMMAND_OUTPUT_MAX);
	assert_memory_equal(c.out + c.out_len - 15, "{\"pause_ms\":1}\n", 15);
	command__close(&c);
}

static void test_stdin_is_empty_and_group_is_its_own(void **state)
{
	struct command c;
	char expected[64];

	run(&c, "cat; ps -o pgid= -p $$ | tr -d ' '");
	follow(&c);
	snprintf(expected, sizeof(expected), "%d\n", c.pid);
	assert_int_equal(c.out_len, strlen(expected));
	assert_memory_equal(c.out, expected, c.out_len);
	command__close(&c);
}

static void test_no_such_program(void **state)
{
	char *argv[] = { (char *)"/nonexistent/program", NULL };
	struct command c;

	assert_int_equal(command__fork(&c, argv, false, NULL), 0);
	assert_int_equal(command__exec(&c, argv[0]), -ENOENT);
	command__close(&c);
}

/* A recorder that gives up between fork and exec leaves no child, and nothing was run. */
static void test_held_until_told(void **state)
{
	char *argv[] = { (char *)"sh", (char *)"-c", (char *)"echo ran", NULL };
	struct command c;
	pid_t pid;

	assert_int_equal(command__fork(&c, argv, false, NULL), 0);
	pid = c.pid;
	command__read(&c);
	assert_int_equal(c.out_len, 0);
	assert_false(command__ended(&c));
	command__close(&c);
	assert_int_equal(kill(pid, 0), -1);
}

static void test_whole_group_is_signalled(void **state)
{
	struct command c;

	/* The grandchild holds stdout: it is at its end only when both are gone. */
	run(&c, "sleep 1000 & sleep 1000");
	command__signal(&c, SIGTERM);
	follow(&c);
	assert_true(WIFSIGNALED(c.status));
	while (c.out_fd >= 0) {
		struct pollfd p = { .fd = c.out_fd, .events = POLLIN };

		assert_int_equal(poll(&p, 1, 10000), 1);
		command__read(&c);
	}
	command__close(&c);
}

/* What we ignore for ourselves, and what we have open, is none of a command's business. */
static void test_nothing_of_ours_is_inherited(void **state)
{
	unsigned long long ignored;
	struct command c;

	/* what whoever started this test left open is not what is tested */
	assert_int_equal(close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC), 0);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	run(&c, "grep SigIgn /proc/self/status; ls /proc/self/fd | tr '\\n' ' '");
	follow(&c);
	c.out[c.out_len - 1] = '\0';
	assert_int_equal(sscanf(c.out, "SigIgn: %llx", &ignored), 1);
	assert_false(ignored >> (SIGPIPE - 1) & 1);
	assert_false(ignored >> (SIGXFSZ - 1) & 1);
	/* 3 is the directory that ls reads */
	assert_non_null(strstr(c.out, "\n0 1 2 3"));
	assert_null(strstr(c.out, "0 1 2 3 4"));
	command__close(&c);
}

static void test_limit_of_open_files_is_the_given_one(void **state)
{
	char *argv[] = { (char *)"sh", (char *)"-c", (char *)"ulimit -n", NULL };
	struct rlimit nofile;
	struct command c;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &nofile), 0);
	nofile.rlim_cur = 77;
	assert_int_equal(command__fork(&c, argv, false, &nofile), 0);
	assert_int_equal(command__exec(&c, argv[0]), 0);
	follow(&c);
	assert_int_equal(c.out_len, 3);
	assert_memory_equal(c.out, "77\n", 3);
	command__close(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_output_and_status),
		cmocka_unit_test(test_last_bytes_are_kept),
		cmocka_unit_test(test_stdin_is_empty_and_group_is_its_own),
		cmocka_unit_test(test_no_such_program),
		cmocka_unit_test(test_held_until_told),
		cmocka_unit_test(test_whole_group_is_signalled),
		cmocka_unit_test(test_nothing_of_ours_is_inherited),
		cmocka_unit_test(test_limit_of_open_files_is_the_given_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
