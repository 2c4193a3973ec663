// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "fixer/window.h"

static char dir[] = "/tmp/test-window.XXXXXX";
static const uint64_t no_disk = 0xfe; /* of no block device: its own number stands for it */

static int set_up(void **state)
{
	(void)state;
	return !mkdtemp(dir) || setenv("FLATPAUSE_RUN_DIR", dir, 1);
}

static int tear_down(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static void each_sees_the_other(void **state)
{
	struct window a, b, other;

	(void)state;
	assert_int_equal(window__init(&a, no_disk), 0);
	assert_int_equal(window__init(&b, no_disk), 0);
	assert_int_equal(window__init(&other, no_disk + 1), 0);
	assert_false(window__is_open(&a));
	window__hold(&a, true);
	assert_true(window__is_open(&b));
	assert_false(window__is_open(&other));
	window__hold(&b, true); /* two at once */
	window__hold(&a, false);
	assert_true(window__is_open(&a));
	window__hold(&b, false);
	assert_false(window__is_open(&a));
	window__close(&a);
	window__close(&b);
	window__close(&other);
}

static void it_ends_with_who_holds_it(void **state)
{
	struct window w;
	int ready[2];
	char c;
	pid_t pid;

	(void)state;
	assert_int_equal(window__init(&w, no_disk), 0);
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		struct window mine;

		if (!window__init(&mine, no_disk))
			window__hold(&mine, true);
		if (write(ready[1], "", 1) == 1)
			pause();
		_exit(1);
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_true(window__is_open(&w));
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_false(window__is_open(&w));
	window__close(&w);
}

/* What an orchestrator does from a shell. */
static void the_shell_can_say_it(void **state)
{
	char command[160];
	struct window w;
	FILE *f;

	(void)state;
	assert_int_equal(window__init(&w, no_disk), 0);
	snprintf(command, sizeof(command), "flock -s %s/window-0:254 sh -c 'read x'", dir);
	f = popen(command, "w");
	assert_non_null(f);
	while (!window__is_open(&w))
		usleep(1000);
	fputc('\n', f);
	assert_int_equal(pclose(f), 0);
	assert_false(window__is_open(&w));
	window__close(&w);
}

static void a_directory_of_others_is_refused(void **state)
{
	struct window w;

	(void)state;
	assert_int_equal(chmod(dir, 0777), 0);
	assert_int_not_equal(window__init(&w, no_disk), 0);
	assert_false(window__is_open(&w));
	window__hold(&w, true);
	assert_int_equal(chmod(dir, 0755), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_sees_the_other),
		cmocka_unit_test(it_ends_with_who_holds_it),
		cmocka_unit_test(the_shell_can_say_it),
		cmocka_unit_test(a_directory_of_others_is_refused),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
