// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* A file that a killed guard has not compared, and its owner, a late writer or the disk at it meanwhile. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "fixer/beneath.h"
#include "fixer/revert_compare.h"
#include "user/clock.h"

#define NAME	    "memory.bin"
#define MEMORY_NAME "1/memory.bin"

static char root[40], memory_dir[64];
static int rootfd, tmpfd;
static struct export_counters counters;
static struct export_worker *worker;
static struct export_result copied;
static struct recovered found;

static ino_t ino_now(void)
{
	struct stat st;

	assert_int_equal(fstatat(rootfd, NAME, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st.st_ino;
}

/* As a guard that was killed behind its "durable" leaves it. */
static void export_it(void)
{
	const struct export_hooks none = { 0 };
	int fd = openat(tmpfd, MEMORY_NAME, O_CREAT | O_WRONLY, 0600);

	assert_int_equal(pwrite(fd, "whole", 5, 8192), 5);
	close(fd);
	fd = openat(tmpfd, MEMORY_NAME, O_RDONLY);
	assert_int_equal(export__copy(worker, fd, rootfd, NAME, &none, &copied), 0);
	close(fd);
}

static void recover_it(void)
{
	uint64_t ctime_ns = (uint64_t)(copied.ctime.tv_sec * 1000000000 + copied.ctime.tv_nsec);
	json_t *file = json_pack("{s:i, s:s, s:s, s:s, s:s, s:I, s:I, s:b, s:I}", "n", 1, "dir",
				 ".", "name", NAME, "planted_name", NAME, "state", "durable",
				 "commit_ino", (json_int_t)ino_now(), "resumed_ns", (json_int_t)1,
				 "settled", 0, "file_ctime_ns", (json_int_t)ctime_ns);

	seen__to_json(&copied.seen, file);
	assert_int_equal(recover__file(file, rootfd, tmpfd, memory_dir, &found), 0);
	assert_int_equal(found.state, RECOVERED_DURABLE);
	json_decref(file);
}

static int set_up(void **state)
{
	(void)state;
	strcpy(root, "/var/tmp/test-compare.XXXXXX");
	if (!mkdtemp(root))
		return -1;
	snprintf(memory_dir, sizeof(memory_dir), "%s/memory", root);
	rootfd = open(root, O_RDONLY | O_DIRECTORY);
	if (rootfd < 0 || mkdirat(rootfd, "memory", 0700) || mkdirat(rootfd, "memory/1", 0700))
		return -1;
	tmpfd = open(memory_dir, O_RDONLY | O_DIRECTORY);
	if (export_worker__start(&worker, &counters))
		return -1;
	export_it();
	recover_it();
	return 0;
}

static int tear_down(void **state)
{
	char command[64];

	(void)state;
	recovered__close(&found);
	export_worker__stop(worker);
	close(tmpfd);
	close(rootfd);
	snprintf(command, sizeof(command), "rm -rf %s", root);
	return system(command);
}

static int compare(void)
{
	return revert_compare__file(worker, rootfd, &found, now_ns() + 1000000000);
}

/* Asks for its memory and does not wait until it is given. */
static void a_writer_comes(void)
{
	assert_int_equal(openat(tmpfd, MEMORY_NAME, O_WRONLY | O_NONBLOCK), -1);
	assert_int_equal(errno, EWOULDBLOCK);
}

/* Other bytes under the old times. */
static void damage(void)
{
	const struct timespec times[2] = { copied.mtime, copied.mtime };
	int fd = openat(rootfd, NAME, O_WRONLY);

	assert_int_equal(pwrite(fd, "WHOLE", 5, 8192), 5);
	assert_int_equal(futimens(fd, times), 0);
	close(fd);
}

static void the_disk_knows_its_own(void)
{
	struct stat st;

	assert_int_equal(fstat(found.filefd, &st), 0);
	found.file_ctime_ns = (uint64_t)(st.st_ctim.tv_sec * 1000000000 + st.st_ctim.tv_nsec);
}

static void what_is_whole_may_go_from_memory(void **state)
{
	ino_t ino = ino_now();

	(void)state;
	assert_int_equal(compare(), 0);
	assert_int_equal(ino_now(), ino);
}

static void what_the_disk_lost_is_made_again(void **state)
{
	(void)state;
	damage();
	the_disk_knows_its_own();
	assert_int_equal(compare(), -EAGAIN);
	assert_true(export__is_link(rootfd, NAME, found.target));
}

static void nobody_knows_who_changed_it(void **state)
{
	ino_t ino = ino_now();

	(void)state;
	damage();
	assert_int_equal(compare(), -EUCLEAN);
	assert_int_equal(ino_now(), ino);
}

/* Its owner has put another in its place since it was looked at. */
static void a_newer_file_stays(void **state)
{
	ino_t theirs;

	(void)state;
	close(openat(rootfd, "new", O_CREAT | O_WRONLY, 0600));
	assert_int_equal(renameat(rootfd, "new", rootfd, NAME), 0);
	theirs = ino_now();
	a_writer_comes();
	assert_int_equal(compare(), -EAGAIN);
	assert_int_equal(ino_now(), theirs);
}

static void a_late_writer_gets_his_link_back(void **state)
{
	(void)state;
	a_writer_comes();
	assert_int_equal(compare(), -EAGAIN);
	assert_true(export__is_link(rootfd, NAME, found.target));
}

/* Whoever asks for its link again: the bytes of its owner are not replaced. */
static void what_its_owner_wrote_is_not_replaced(void **state)
{
	ino_t ino = ino_now();
	int fd = openat(rootfd, NAME, O_WRONLY);

	(void)state;
	assert_int_equal(pwrite(fd, "his", 3, 0), 3);
	close(fd);
	assert_int_equal(recovered__take_back(&found, rootfd, found.filefd, now_ns() + 1000000000),
			 -EUCLEAN);
	assert_int_equal(ino_now(), ino);
	assert_int_equal(compare(), 0);
}

/* It is shorter than what was copied of it: its error is none of the disk's. */
static void what_is_synced_stays_where_its_memory_is_unreadable(void **state)
{
	const struct timespec times[2] = { copied.mtime, copied.mtime };
	ino_t ino = ino_now();
	int fd;

	(void)state;
	found.seen.memory_bytes += 4096;
	fd = openat(rootfd, NAME, O_WRONLY);
	assert_int_equal(ftruncate(fd, (off_t)found.seen.memory_bytes), 0);
	close(fd);
	assert_int_equal(utimensat(rootfd, NAME, times, 0), 0);
	assert_int_equal(compare(), -EIO);
	assert_int_equal(ino_now(), ino);
	assert_int_equal(faccessat(tmpfd, MEMORY_NAME, F_OK, 0), 0);
}

static void without_a_descriptor_nothing_is_said(void **state)
{
	struct rlimit old, none;
	ino_t ino = ino_now();

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = old;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(compare(), -EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(ino_now(), ino);
	assert_int_equal(compare(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_whole_may_go_from_memory, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(what_the_disk_lost_is_made_again, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(nobody_knows_who_changed_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_newer_file_stays, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_late_writer_gets_his_link_back, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(what_its_owner_wrote_is_not_replaced, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(what_is_synced_stays_where_its_memory_is_unreadable,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(without_a_descriptor_nothing_is_said, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
