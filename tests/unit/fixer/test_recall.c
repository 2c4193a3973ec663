// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* A copy that another process has made, compared with its memory by what was written down of it. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "fixer/export.h"

#define FILE_BYTES 3000000

static char root[] = "/var/tmp/test-recall.XXXXXX";
static int rootfd, memory;
static struct export_counters counters;
static struct export_worker *worker;
static const struct export_hooks no_hooks;

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(root))
		return -1;
	rootfd = open(root, O_RDONLY | O_DIRECTORY);
	memory = memfd_create("memory", 0);
	if (rootfd < 0 || ftruncate(memory, FILE_BYTES) || pwrite(memory, "abc", 3, 5000) != 3 ||
	    pwrite(memory, "end", 3, FILE_BYTES - 3) != 3)
		return -1;
	return export_worker__start(&worker, &counters);
}

static int tear_down(void **state)
{
	char command[64];

	(void)state;
	close(rootfd);
	close(memory);
	export_worker__stop(worker);
	snprintf(command, sizeof(command), "rm -rf %s", root);
	return system(command);
}

static uint64_t ns_of(const struct timespec *t)
{
	return (uint64_t)(t->tv_sec * 1000000000 + t->tv_nsec);
}

static int compare_seen(const struct seen *seen, uint64_t ctime_ns, struct export_result *r)
{
	int fd = openat(rootfd, "f", O_PATH), err;

	err = export__compare(worker, memory, fd, seen, ctime_ns, &no_hooks, r);
	close(fd);
	return err;
}

/* Copied by one, compared by another, who knows its ctime or does not. */
static int compare(const struct export_result *copied, uint64_t ctime_ns)
{
	struct export_result r;
	int err = compare_seen(&copied->seen, ctime_ns, &r);

	if (err != -ESTALE) {
		assert_int_equal(r.crc, copied->crc);
		assert_int_equal(r.bytes, FILE_BYTES);
	}
	return err;
}

static void copy(struct export_result *r)
{
	unlinkat(rootfd, "f", 0);
	assert_int_equal(export__copy(worker, memory, rootfd, "f", &no_hooks, r), 0);
}

static void set_times(int fd, struct timespec t)
{
	const struct timespec times[2] = { t, t };

	assert_int_equal(futimens(fd, times), 0);
}

static void what_is_whole_is_found_whole(void **state)
{
	static const struct timespec times[] = { { 1000000000, 123456789 }, { 5, 0 }, { -5, 999 } };
	struct export_result r;

	(void)state;
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		set_times(memory, times[i]);
		copy(&r);
		assert_int_equal(r.mtime.tv_sec, times[i].tv_sec);
		assert_int_equal(compare(&r, ns_of(&r.ctime)), 0);
		assert_int_equal(compare(&r, 0), 0);
	}
}

/*
 * Other bytes under the old mtime: the disk's fault, or nobody can tell. That the ctime moved is no
 * proof that its owner wrote to it.
 */
static void other_bytes_are_told_by_the_ctime(void **state)
{
	struct export_result r;
	struct stat st;
	int fd;

	(void)state;
	copy(&r);
	fd = openat(rootfd, "f", O_RDWR);
	assert_int_equal(pwrite(fd, "x", 1, 2000000), 1);
	assert_int_equal(compare(&r, 0), -ESTALE); /* by its mtime already */
	set_times(fd, r.mtime);
	assert_int_equal(compare(&r, 0), -EUCLEAN);
	assert_int_equal(compare(&r, ns_of(&r.ctime)), -EUCLEAN);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(compare(&r, ns_of(&st.st_ctim)), -EBADMSG);
	close(fd);
}

static bool always(void *arg)
{
	(void)arg;
	return true;
}

static void a_writer_ends_it(void **state)
{
	const struct export_hooks hooks = { .cancelled = always };
	struct export_result r, again;
	int fd;

	(void)state;
	copy(&r);
	fd = openat(rootfd, "f", O_PATH);
	assert_int_equal(export__compare(worker, memory, fd, &r.seen, 0, &hooks, &again),
			 -ECANCELED);
	close(fd);
}

/* A rename, a chmod or another name moves the ctime of what the disk did not keep, too. */
static void what_is_renamed_is_still_compared(void **state)
{
	struct export_result r;
	int fd;

	(void)state;
	copy(&r);
	assert_int_equal(fchmodat(rootfd, "f", 0600, 0), 0);
	assert_int_equal(compare(&r, ns_of(&r.ctime)), 0);
	fd = openat(rootfd, "f", O_PATH);
	assert_int_equal(renameat(rootfd, "f", rootfd, "g"), 0);
	assert_int_equal(export__read_back_file(worker, fd, &no_hooks, &r), 0);
	assert_int_equal(unlinkat(rootfd, "g", 0), 0);
	assert_int_equal(export__read_back_file(worker, fd, &no_hooks, &r), -ESTALE);
	close(fd);
}

/* Shorter than it was: what it gives is not held against the file; what its owner changed is his. */
static void memory_that_cannot_be_read_is_not_the_disks_fault(void **state)
{
	struct export_result r, again;
	struct seen seen;
	int fd;

	(void)state;
	copy(&r);
	seen = r.seen;
	seen.memory_bytes += 4096;
	fd = openat(rootfd, "f", O_RDWR);
	assert_int_equal(ftruncate(fd, FILE_BYTES + 4096), 0);
	set_times(fd, r.mtime);
	assert_int_equal(compare_seen(&seen, ns_of(&r.ctime), &again), -ENODATA);
	assert_int_equal(pwrite(fd, "his", 3, 0), 3);
	assert_int_equal(compare_seen(&seen, ns_of(&r.ctime), &again), -ESTALE);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_whole_is_found_whole),
		cmocka_unit_test(other_bytes_are_told_by_the_ctime),
		cmocka_unit_test(a_writer_ends_it),
		cmocka_unit_test(what_is_renamed_is_still_compared),
		cmocka_unit_test(memory_that_cannot_be_read_is_not_the_disks_fault),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
