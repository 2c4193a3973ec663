// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Links that move, and every state in which an exporter can have been killed. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "fixer/export.h"
#include "fixer/link.h"

#define TARGET "/our/memory/1/m"
#define TMP    ".m.flatpause"

static char root[32];
static int rootfd, memory, memory_rw;
static struct seen seen;

static int set_up(void **state)
{
	char path[40];
	int fd;

	(void)state;
	strcpy(root, "/var/tmp/test-link.XXXXXX");
	if (!mkdtemp(root))
		return -1;
	rootfd = open(root, O_RDONLY | O_DIRECTORY);
	fd = memfd_create("m", 0);
	if (write(fd, "whole", 5) != 5)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	memory = open(path, O_RDONLY);
	memory_rw = open(path, O_RDWR); /* a writer as leases know one; the first is none */
	close(fd);
	return rootfd < 0 || memory < 0;
}

static int tear_down(void **state)
{
	char command[64];

	(void)state;
	close(rootfd);
	close(memory);
	if (memory_rw >= 0)
		close(memory_rw);
	snprintf(command, sizeof(command), "rm -rf %s", root);
	return system(command);
}

/* A file; its inode. */
static uint64_t file(const char *name, const char *text)
{
	int fd = openat(rootfd, name, O_CREAT | O_EXCL | O_WRONLY, 0600);
	struct stat st;

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fstat(fd, &st), 0);
	close(fd);
	return st.st_ino;
}

/* The same as an export leaves it: with the times of its memory, which was seen as it is now. */
static uint64_t copied(const char *name)
{
	uint64_t ino = file(name, "whole");
	struct stat f, m;
	struct timespec times[2];

	assert_int_equal(fstat(memory, &m), 0);
	times[0] = m.st_atim;
	times[1] = m.st_mtim;
	assert_int_equal(utimensat(rootfd, name, times, 0), 0);
	assert_int_equal(fstatat(rootfd, name, &f, 0), 0);
	seen__take(&seen, &m, &f);
	return ino;
}

static void writer_closes(void)
{
	close(memory_rw);
	memory_rw = -1;
}

/* By a writer who sets its times to what they were, and has closed it. */
static void memory_changed(void)
{
	struct timespec times[2];
	struct stat st;

	assert_int_equal(fstat(memory, &st), 0);
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	assert_int_equal(pwrite(memory_rw, "later", 5, 0), 5);
	assert_int_equal(futimens(memory, times), 0);
	writer_closes();
}

static enum home settle(uint64_t committed_ino)
{
	const struct home_step step = { .committed_ino = committed_ino, .seen = seen };

	return home__settle(rootfd, "m", TARGET, &step, memory);
}

static enum home settle_over(uint64_t over_ino)
{
	const struct home_step step = { .over_ino = over_ino };

	return home__settle(rootfd, "m", TARGET, &step, memory);
}

static uint64_t ino_of(const char *name)
{
	struct stat st;

	assert_int_equal(fstatat(rootfd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st.st_ino;
}

static void link_at(const char *name)
{
	assert_int_equal(symlinkat(TARGET, rootfd, name), 0);
}

static bool is_there(const char *name)
{
	return !faccessat(rootfd, name, F_OK, AT_SYMLINK_NOFOLLOW);
}

static void killed_while_it_copied(void **state)
{
	(void)state;
	link_at("m");
	file(TMP, "half");
	assert_int_equal(settle(0), HOME_LINKED);
	assert_true(export__is_link(rootfd, "m", TARGET));
	assert_false(is_there(TMP));
}

static void killed_behind_the_rename(void **state)
{
	uint64_t ino = copied("m");

	(void)state;
	link_at(TMP);
	writer_closes();
	assert_int_equal(settle(ino), HOME_DURABLE);
	assert_false(is_there(TMP));
	/* and again: whoever settles may be killed too */
	assert_int_equal(settle(ino), HOME_DURABLE);
}

static void written_to_behind_the_rename(void **state)
{
	uint64_t ino = copied("m");

	(void)state;
	link_at(TMP);
	memory_changed();
	assert_int_equal(settle(ino), HOME_LINKED);
	assert_true(export__is_link(rootfd, "m", TARGET));
	assert_false(is_there(TMP));
}

static void the_same_without_the_other_name(void **state)
{
	uint64_t ino = copied("m");

	(void)state;
	memory_changed();
	assert_int_equal(settle(ino), HOME_LINKED);
	assert_true(export__is_link(rootfd, "m", TARGET));
}

static void anothers_file_came_between(void **state)
{
	uint64_t ino = copied("m"), theirs = file(TMP, "theirs");
	struct stat st;

	(void)state;
	writer_closes();
	assert_int_equal(settle(ino), HOME_GONE);
	assert_int_equal(fstatat(rootfd, "m", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(st.st_ino, theirs);
	assert_false(is_there(TMP));
}

/* Nothing was written yet; but somebody has it open, and nobody is left who would see him write. */
static void a_writer_is_at_it_behind_the_rename(void **state)
{
	uint64_t ino = copied("m");

	(void)state;
	assert_int_equal(settle(ino), HOME_LINKED);
	assert_true(export__is_link(rootfd, "m", TARGET));
}

/* Killed between the exchange and the look at what came out. */
static void anothers_file_came_out_when_the_link_came_back(void **state)
{
	uint64_t theirs = file(TMP, "theirs");

	(void)state;
	link_at("m");
	assert_int_equal(settle(theirs + 1), HOME_GONE);
	assert_int_equal(ino_of("m"), theirs);
	assert_false(is_there(TMP));
}

static void the_link_takes_the_place_of_a_file(void **state)
{
	uint64_t old = file(TMP, "old"), theirs;

	(void)state;
	link_at("m");
	assert_int_equal(settle_over(old), HOME_LINKED);
	assert_false(is_there(TMP));
	theirs = file(TMP, "theirs");
	assert_int_equal(settle_over(theirs + 1), HOME_GONE);
	assert_int_equal(ino_of("m"), theirs);
	/* not there yet */
	link_at(TMP);
	assert_int_equal(settle_over(theirs), HOME_GONE);
	assert_int_equal(ino_of("m"), theirs);
	assert_false(is_there(TMP));
}

static void anothers_file_in_its_place(void **state)
{
	struct stat st;
	uint64_t theirs = file("m", "theirs");

	(void)state;
	link_at(TMP);
	assert_int_equal(settle(0), HOME_GONE);
	assert_int_equal(fstatat(rootfd, "m", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(st.st_ino, theirs);
	assert_false(is_there(TMP));
}

static void is_found_where_it_was_moved_to(void **state)
{
	char dir[NAME_MAX + 1], name[NAME_MAX + 1];
	int linkfd, dirfd;

	(void)state;
	link_at("m");
	linkfd = link__open(rootfd, "m");
	assert_true(linkfd >= 0);
	assert_int_equal(mkdirat(rootfd, "a", 0700), 0);
	assert_int_equal(mkdirat(rootfd, "a/b", 0700), 0);
	assert_int_equal(renameat(rootfd, "m", rootfd, "a/b/n"), 0);
	dirfd = link__find(rootfd, linkfd, TARGET, dir, name);
	assert_true(dirfd >= 0);
	assert_string_equal(dir, "a/b");
	assert_string_equal(name, "n");
	close(dirfd);
	/* without a descriptor of it: by a search */
	dirfd = link__find(rootfd, -1, TARGET, dir, name);
	assert_true(dirfd >= 0);
	assert_string_equal(dir, "a/b");
	close(dirfd);
	assert_int_equal(link__names(linkfd), 1);
	assert_int_equal(unlinkat(rootfd, "a/b/n", 0), 0);
	assert_int_equal(link__names(linkfd), 0);
	assert_int_equal(link__find(rootfd, linkfd, TARGET, dir, name), -ENOENT);
	close(linkfd);
}

static void every_name_gets_the_file(void **state)
{
	uint64_t ino = copied("m");
	int fd = openat(rootfd, "m", O_PATH);

	(void)state;
	assert_int_equal(mkdirat(rootfd, "a", 0700), 0);
	link_at("a/x");
	assert_int_equal(linkat(rootfd, "a/x", rootfd, "y", 0), 0);
	assert_int_equal(symlinkat("/our/memory/2/m", rootfd, "z"), 0);
	/* of one that was killed here */
	assert_int_equal(linkat(rootfd, "m", rootfd, ".y.flatpause", 0), 0);
	/* its owner moves it, and another file to its name */
	assert_int_equal(renameat(rootfd, "m", rootfd, "moved"), 0);
	file("m", "theirs");
	assert_int_equal(link__give_all(rootfd, TARGET, fd), 2);
	assert_int_equal(ino_of("a/x"), ino);
	assert_int_equal(ino_of("y"), ino);
	assert_true(export__is_link(rootfd, "z", "/our/memory/2/m"));
	assert_false(is_there(".y.flatpause"));
	close(fd);
}

/* It has no name any more that could be given on: its bytes are in memory only. */
static void a_removed_file_gives_no_names(void **state)
{
	int fd;

	(void)state;
	file("m", "whole");
	fd = openat(rootfd, "m", O_PATH);
	link_at("y");
	assert_int_equal(unlinkat(rootfd, "m", 0), 0);
	assert_int_equal(link__give_all(rootfd, TARGET, fd), -ENOENT);
	assert_true(export__is_link(rootfd, "y", TARGET));
	close(fd);
}

static void a_file_is_found_where_it_was_moved_to(void **state)
{
	char dir[NAME_MAX + 1], name[NAME_MAX + 1];
	int fd, dirfd;

	(void)state;
	file("m", "whole");
	fd = openat(rootfd, "m", O_PATH);
	assert_int_equal(mkdirat(rootfd, "a", 0700), 0);
	assert_int_equal(renameat(rootfd, "m", rootfd, "a/n"), 0);
	file("m", "theirs");
	dirfd = link__where(rootfd, fd, dir, name);
	assert_true(dirfd >= 0);
	assert_string_equal(dir, "a");
	assert_string_equal(name, "n");
	close(dirfd);
	assert_int_equal(unlinkat(rootfd, "a/n", 0), 0);
	assert_int_equal(link__where(rootfd, fd, dir, name), -ENOENT);
	close(fd);
}

static void only_our_link_is_removed(void **state)
{
	(void)state;
	link_at("m");
	assert_int_equal(symlinkat("/our/memory/2/m", rootfd, "z"), 0);
	file("f", "theirs");
	assert_int_equal(link__remove(rootfd, "m", TARGET), 0);
	assert_false(is_there("m"));
	assert_int_equal(link__remove(rootfd, "m", TARGET), 0);
	assert_int_equal(link__remove(rootfd, "z", TARGET), 0);
	assert_int_equal(link__remove(rootfd, "f", TARGET), 0);
	assert_true(is_there("z"));
	assert_true(is_there("f"));
}

/* Whatever it is called, and however deep: the names are its owner's. */
static void any_name_and_any_depth(void **state)
{
	static const char *const names[] = { "new\nline", "latin \xe4", "m" };
	char longest[NAME_MAX + 1], other[NAME_MAX + 1];
	char dir[NAME_MAX + 1], name[NAME_MAX + 1], tmp[NAME_MAX + 32], tmp2[NAME_MAX + 32];
	int deep = openat(rootfd, ".", O_PATH), fd, dirfd;

	(void)state;
	memset(longest, 'n', NAME_MAX);
	longest[NAME_MAX] = '\0';
	strcpy(other, longest);
	other[NAME_MAX - 1] = 'm';
	export__tmp_name(tmp, sizeof(tmp), longest);
	assert_true(strlen(tmp) <= NAME_MAX);
	export__tmp_name(tmp2, sizeof(tmp2), other);
	assert_string_not_equal(tmp, tmp2);
	for (int i = 0; i < 60; i++) {
		assert_int_equal(mkdirat(deep, "a-directory-of-many", 0700), 0);
		fd = openat(deep, "a-directory-of-many", O_PATH);
		close(deep);
		deep = fd;
	}
	for (int i = 0; i < 4; i++) {
		const char *at = i < 3 ? names[i] : longest;

		assert_int_equal(symlinkat(TARGET, deep, at), 0);
		fd = link__open(deep, at);
		for (int k = 0; k < 2; k++) {
			dirfd = link__find(rootfd, k ? -1 : fd, TARGET, dir, name);
			assert_true(dirfd >= 0);
			assert_string_equal(name, at);
			assert_true(export__is_link(dirfd, name, TARGET));
			close(dirfd);
		}
		close(fd);
		unlinkat(deep, at, 0);
	}
	close(deep);
}

#define TEST(_fn) cmocka_unit_test_setup_teardown(_fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(killed_while_it_copied),
		TEST(killed_behind_the_rename),
		TEST(written_to_behind_the_rename),
		TEST(the_same_without_the_other_name),
		TEST(anothers_file_came_between),
		TEST(anothers_file_in_its_place),
		TEST(is_found_where_it_was_moved_to),
		TEST(every_name_gets_the_file),
		TEST(a_writer_is_at_it_behind_the_rename),
		TEST(anothers_file_came_out_when_the_link_came_back),
		TEST(the_link_takes_the_place_of_a_file),
		TEST(a_removed_file_gives_no_names),
		TEST(a_file_is_found_where_it_was_moved_to),
		TEST(any_name_and_any_depth),
		TEST(only_our_link_is_removed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
