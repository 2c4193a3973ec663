// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "fixer/crc32c.h"
#include "fixer/export.h"

static char root[] = "/var/tmp/test-export.XXXXXX";
static int rootfd;

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(root))
		return -1;
	rootfd = open(root, O_RDONLY | O_DIRECTORY);
	return rootfd < 0;
}

static int tear_down(void **state)
{
	char command[64];

	(void)state;
	close(rootfd);
	snprintf(command, sizeof(command), "rm -rf %s", root);
	return system(command);
}

static int source(const char *data, size_t len, off_t at, off_t size)
{
	int fd = memfd_create("source", 0);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	assert_int_equal(pwrite(fd, data, len, at), (ssize_t)len);
	return fd;
}

static const struct export_hooks no_hooks;

static void check_same(int src, const char *name, const struct export_result *r)
{
	char a[65536], b[65536];
	int fd = openat(rootfd, name, O_RDONLY);
	uint32_t crc = 0;
	ssize_t n;

	assert_true(fd >= 0);
	assert_int_equal(lseek(src, 0, SEEK_SET), 0);
	while ((n = read(src, a, sizeof(a))) > 0) {
		assert_int_equal(read(fd, b, sizeof(b)), n);
		assert_memory_equal(a, b, (size_t)n);
		crc = crc32c(crc, a, (size_t)n);
	}
	assert_int_equal(read(fd, b, 1), 0);
	assert_int_equal(crc, r->crc);
	close(fd);
}

static void every_shape_of_file(void **state)
{
	static const off_t sizes[] = { 1, 511, 4096, 4097, 300000, 262144, 5000000 };
	static const off_t ats[] = { 0, 1, 4095, 262143, 4000000 };
	struct export_result r;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (size_t k = 0; k < sizeof(ats) / sizeof(ats[0]); k++) {
			int src;

			if (ats[k] >= sizes[i])
				continue;
			src = source("x", 1, ats[k], sizes[i]);
			assert_int_equal(export__copy(src, rootfd, ".m.flatpause", &no_hooks, &r),
					 0);
			assert_int_equal(r.bytes, sizes[i]);
			check_same(src, ".m.flatpause", &r);
			assert_int_equal(unlinkat(rootfd, ".m.flatpause", 0), 0);
			close(src);
		}
	}
}

static void empty_and_all_hole(void **state)
{
	struct export_result r;
	struct stat st;
	int src = memfd_create("source", 0);

	(void)state;
	assert_int_equal(export__copy(src, rootfd, "e", &no_hooks, &r), 0);
	assert_int_equal(r.crc, 0);
	assert_int_equal(ftruncate(src, 1 << 20), 0);
	assert_int_equal(export__copy(src, rootfd, "h", &no_hooks, &r), 0);
	assert_int_equal(r.data_bytes, 0);
	assert_int_equal(fstatat(rootfd, "h", &st, 0), 0);
	assert_int_equal(st.st_size, 1 << 20);
	check_same(src, "h", &r);
	close(src);
}

static bool after_two(void *arg)
{
	return ++*(int *)arg > 2;
}

static void cancelled_leaves_nothing(void **state)
{
	static char data[1 << 20] = "data";
	int calls = 0, src = source(data, sizeof(data), 0, sizeof(data));
	struct export_hooks hooks = { .cancelled = after_two, .arg = &calls };
	struct export_result r;

	(void)state;
	assert_int_equal(export__copy(src, rootfd, "c", &hooks, &r), -ECANCELED);
	assert_int_equal(faccessat(rootfd, "c", F_OK, 0), -1);
	close(src);
}

static void another_ones_file_is_not_touched(void **state)
{
	struct export_result r;
	char text[8] = "";
	int src = source("x", 1, 0, 1), fd;

	(void)state;
	/* under the temporary name */
	fd = openat(rootfd, "t", O_CREAT | O_RDWR, 0600);
	assert_int_equal(write(fd, "mine", 4), 4);
	assert_int_equal(export__copy(src, rootfd, "t", &no_hooks, &r), -EEXIST);
	assert_int_equal(pread(fd, text, 4, 0), 4);
	assert_string_equal(text, "mine");
	close(fd);
	/* in the place of the link */
	assert_int_equal(export__copy(src, rootfd, "t2", &no_hooks, &r), 0);
	assert_int_equal(export__commit(rootfd, "t2", "t", "/our/target"), -ENOENT);
	assert_int_equal(faccessat(rootfd, "t2", F_OK, 0), -1);
	fd = openat(rootfd, "t", O_RDONLY);
	assert_int_equal(read(fd, text, 8), 4);
	close(fd);
	close(src);
}

static void commit_and_back(void **state)
{
	struct export_result r;
	struct stat st;
	int src = source("x", 1, 0, 1);

	(void)state;
	assert_int_equal(symlinkat("/our/target", rootfd, "l"), 0);
	assert_int_equal(export__copy(src, rootfd, "l2", &no_hooks, &r), 0);
	assert_int_equal(export__commit(rootfd, "l2", "l", "/our/target"), 0);
	assert_int_equal(fstatat(rootfd, "l", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_int_equal(faccessat(rootfd, "l2", F_OK, AT_SYMLINK_NOFOLLOW), -1);
	assert_int_equal(export__relink(rootfd, "l2", "l", "/our/target"), 0);
	assert_true(export__is_link(rootfd, "l", "/our/target"));
	assert_false(export__is_link(rootfd, "l", "/our/other"));
	close(src);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_shape_of_file),
		cmocka_unit_test(empty_and_all_hole),
		cmocka_unit_test(cancelled_leaves_nothing),
		cmocka_unit_test(another_ones_file_is_not_touched),
		cmocka_unit_test(commit_and_back),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
