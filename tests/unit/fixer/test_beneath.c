// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "fixer/beneath.h"

static char root[] = "/tmp/test-beneath.XXXXXX";
static int rootfd;

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(root))
		return -1;
	rootfd = open(root, O_RDONLY | O_DIRECTORY);
	return rootfd < 0 || mkdirat(rootfd, "sub", 0700) || symlinkat("/etc", rootfd, "link") ||
	       symlinkat("sub", rootfd, "inner") || symlinkat("/etc/passwd", rootfd, "file-link") ||
	       mkfifoat(rootfd, "fifo", 0600);
}

static int tear_down(void **state)
{
	char command[64];

	(void)state;
	close(rootfd);
	snprintf(command, sizeof(command), "rm -rf %s", root);
	return system(command);
}

static void make(const char *name)
{
	int fd = openat(rootfd, name, O_CREAT | O_WRONLY, 0600);

	assert_true(fd >= 0);
	close(fd);
}

static void nothing_leads_out(void **state)
{
	static const char *const bad[] = {
		"../etc",    "/etc",	      "link/passwd", "link",
		"file-link", "inner/../../x", "sub/../..",   "inner/file"
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_true(beneath__open(rootfd, bad[i], O_RDONLY, 0) < 0);
	assert_true(beneath__open(rootfd, "link/new", O_CREAT | O_RDWR, 0600) < 0);
	assert_int_equal(access("/etc/new", F_OK), -1);
}

static void only_plain_files_of_the_owner(void **state)
{
	int fd;

	(void)state;
	make("plain");
	fd = beneath__open_file(rootfd, "plain", O_RDONLY, getuid());
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(beneath__open_file(rootfd, "plain", O_RDONLY, getuid() + 1), -EPERM);
	assert_int_equal(beneath__open_file(rootfd, "sub", O_RDONLY, getuid()), -EPERM);
	assert_int_equal(beneath__open_file(rootfd, "fifo", O_RDONLY, getuid()), -EPERM);
	assert_int_equal(linkat(rootfd, "plain", rootfd, "second-name", 0), 0);
	assert_int_equal(beneath__open_file(rootfd, "plain", O_RDONLY, getuid()), -EPERM);
}

static void hostile_names(void **state)
{
	char longest[NAME_MAX + 2];

	(void)state;
	memset(longest, 'a', sizeof(longest));
	longest[NAME_MAX] = '\0';
	assert_false(name_ok(longest));
	longest[NAME_MAX - NAME_ROOM] = '\0';
	assert_true(name_ok(longest));
	assert_false(name_ok(""));
	assert_false(name_ok("."));
	assert_false(name_ok(".."));
	assert_false(name_ok("a/b"));
	assert_false(name_ok("a\nb"));
	assert_false(name_ok("a\033[2Jb"));
	assert_true(name_ok("mem ory;rm -rf $HOME.bin"));
}

static void patterns(void **state)
{
	(void)state;
	assert_true(name_matches("memory.bin", "memory.bin"));
	assert_false(name_matches("memory.bin", "memory_bin"));
	assert_true(name_matches("mem*.bin", "memory-7.bin"));
	assert_true(name_matches("mem[0-9]", "mem5"));
	assert_false(name_matches("*", ".hidden"));
	assert_false(name_matches("*", ".."));
	assert_false(name_matches("*", "a/b"));
	assert_true(name_is_literal("memory.bin"));
	assert_false(name_is_literal("memory.?in"));
}

static void own_start_time(void **state)
{
	(void)state;
	assert_true(pid_start_time(getpid()) > 0);
	assert_int_equal(pid_start_time(0), 0);
	assert_int_equal(pid_start_time(-1), 0);
	assert_int_equal(pid_start_time(0x7ffffffe), 0);
}

/* A directory is found again after it was moved, and known to be gone after it was deleted. */
static void handles(void **state)
{
	char hex[HANDLE_HEX_MAX];
	struct stat a, b;
	int fd;

	(void)state;
	assert_int_equal(mkdirat(rootfd, "moving", 0700), 0);
	fd = beneath__open(rootfd, "moving", O_PATH | O_DIRECTORY, 0);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &a), 0);
	if (handle__get(fd, hex)) {
		close(fd);
		skip(); /* this file system has no handles */
	}
	close(fd);
	assert_int_equal(renameat(rootfd, "moving", rootfd, "sub/moved"), 0);
	fd = handle__open(rootfd, hex, O_DIRECTORY);
	if (fd == -EPERM)
		skip(); /* not root */
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &b), 0);
	assert_int_equal(a.st_ino, b.st_ino);
	close(fd);
	assert_int_equal(handle__open(rootfd, "1:zz", O_DIRECTORY), -EINVAL);
	assert_int_equal(handle__open(rootfd, "1:abc", O_DIRECTORY), -EINVAL);
	assert_int_equal(handle__open(rootfd, "", O_DIRECTORY), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_leads_out),
		cmocka_unit_test(only_plain_files_of_the_owner),
		cmocka_unit_test(hostile_names),
		cmocka_unit_test(patterns),
		cmocka_unit_test(own_start_time),
		cmocka_unit_test(handles),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
