// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Mount namespaces from trees that stand in for /proc. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <dirent.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <cmocka.h>

#include "fixer/cover/left.h"

#define ROOT_MOUNT  "1 0 254:0 / / rw - ext4 /dev/vda rw\n"
#define COVER_MOUNT "9 1 0:45 / /srv/a\\040b rw,nosuid - fuse.flatpause flatpause rw\n"

static char root[64];

static void put(const char *pid, const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/proc/%s/%s", root, pid, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void put_process(const char *pid, const char *comm, int mnt_ns, const char *mounts)
{
	char path[256], ns[32];

	snprintf(path, sizeof(path), "%s/proc/%s", root, pid);
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(path, sizeof(path), "%s/proc/%s/ns", root, pid);
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(path, sizeof(path), "%s/proc/%s/ns/mnt", root, pid);
	snprintf(ns, sizeof(ns), "mnt:[%d]", mnt_ns);
	assert_int_equal(symlink(ns, path), 0);
	put(pid, "comm", comm);
	put(pid, "mountinfo", mounts);
}

static int make_root(void **state)
{
	char path[128];

	(void)state;
	strcpy(root, "/tmp/test_left.XXXXXX");
	if (!mkdtemp(root))
		return -1;
	snprintf(path, sizeof(path), "%s/proc", root);
	return mkdir(path, 0755);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int remove_root(void **state)
{
	(void)state;
	return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* A process that may serve a cover; `uid`: real and effective. */
static void put_server(const char *pid, const char *comm, char in_state, int uid, const char *link)
{
	char path[256], status[128];

	put_process(pid, comm, 100, ROOT_MOUNT);
	snprintf(status, sizeof(status), "Name:\t%sState:\t%c (any)\nUid:\t%d\t%d\t%d\t%d\n", comm,
		 in_state, uid, uid, uid, uid);
	put(pid, "status", status);
	snprintf(path, sizeof(path), "%s/proc/%s/fd", root, pid);
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(path, sizeof(path), "%s/proc/%s/fd/0", root, pid);
	assert_int_equal(symlink("/dev/null", path), 0);
	snprintf(path, sizeof(path), "%s/proc/%s/fd/7", root, pid);
	assert_int_equal(symlink(link, path), 0);
}

static void print(const struct left_cover *c, char *text, size_t size)
{
	FILE *f = fmemopen(text, size, "w");

	assert_non_null(f);
	left_cover__print(c, f);
	assert_int_equal(fclose(f), 0);
}

static void a_namespace_that_has_what_is_gone_here(void **state)
{
	struct left_covers l;
	char text[1024];

	(void)state;
	put_process("self", "fixer\n", 100, ROOT_MOUNT);
	put_process("7", "sleep\n", 200, ROOT_MOUNT COVER_MOUNT);
	put_process("8", "sh\n", 200, ROOT_MOUNT COVER_MOUNT);
	put_process("9", "other\n", 100, ROOT_MOUNT);
	put_process("10", "container\n", 300,
		    ROOT_MOUNT "9 1 0:45 / /data ro - fuse.flatpause flatpause rw\n"
			       "10 1 0:45 / /again ro - fuse.flatpause flatpause rw\n"
			       "11 1 0:46 / /sshfs rw - fuse.sshfs host rw\n");
	assert_int_equal(left_covers__find(&l, root), 0);
	assert_int_equal(l.cnt, 2);
	for (size_t i = 0; i < l.cnt; i++) {
		bool shell = l.v[i].mnt_ns == 200;

		assert_true(l.v[i].dev == makedev(0, 45));
		assert_int_equal(l.v[i].processes, shell ? 2 : 1);
		assert_string_equal(l.v[i].point, shell ? "/srv/a b" : "/data");
		print(&l.v[i], text, sizeof(text));
		assert_non_null(strstr(text, shell ? " and 1 more" : "container (pid 10)"));
	}
	left_covers__free(&l);
}

static void none_where_it_is_still_mounted_here(void **state)
{
	struct left_covers l;

	(void)state;
	put_process("self", "fixer\n", 100, ROOT_MOUNT COVER_MOUNT);
	put_process("7", "sleep\n", 200, ROOT_MOUNT COVER_MOUNT);
	assert_int_equal(left_covers__find(&l, root), 0);
	assert_int_equal(l.cnt, 0);
	left_covers__free(&l);
}

static void lines_and_processes_that_make_no_sense(void **state)
{
	struct left_covers l;

	(void)state;
	put_process("self", "fixer\n", 100, ROOT_MOUNT);
	put_process("7", "", 200,
		    "\n - \n9 1 0:45 - fuse.flatpause\n9 1 x:y / /srv rw - fuse.flatpause f rw\n");
	put_process("8", "", 300, "");
	put_process("9x", "", 0, COVER_MOUNT);
	assert_int_equal(left_covers__find(&l, root), 0);
	assert_int_equal(l.cnt, 0);
	left_covers__free(&l);
}

/* One cover is left; who serves it, and what is said of it. */
static void find_one(struct left_cover *c, char *text, size_t size)
{
	struct left_covers l;

	put_process("self", "fixer\n", 100, ROOT_MOUNT);
	put_process("7", "sleep\n", 200, ROOT_MOUNT COVER_MOUNT);
	assert_int_equal(left_covers__find(&l, root), 0);
	assert_int_equal(l.cnt, 1);
	*c = l.v[0];
	print(c, text, size);
	left_covers__free(&l);
}

static void who_serves_it_is_known_by_his_mark(void **state)
{
	struct left_cover c;
	char text[1024];

	(void)state;
	put_server("20", "flatpause-cover\n", 'S', 0, "/memfd:flatpause-cover-0:4 (deleted)");
	put_server("21", "flatpause-cover\n", 'S', 0, "/memfd:flatpause-cover-0:45 (deleted)");
	find_one(&c, text, sizeof(text));
	assert_int_equal(c.server, 21);
	assert_false(c.stopped);
	assert_true(c.known);
	assert_non_null(strstr(text, "it is served there"));
}

static void a_server_that_is_stopped_answers_nobody(void **state)
{
	struct left_cover c;
	char text[1024];

	(void)state;
	put_server("20", "flatpause-cover\n", 'T', 0, "/memfd:flatpause-cover-0:45 (deleted)");
	find_one(&c, text, sizeof(text));
	assert_int_equal(c.server, 20);
	assert_true(c.stopped);
	assert_non_null(strstr(text, "its server (pid 20) is stopped"));
}

static void one_of_two_servers_is_stopped(void **state)
{
	struct left_cover c;
	char text[1024];

	(void)state;
	put_server("20", "flatpause-cover\n", 'T', 0, "/memfd:flatpause-cover-0:45 (deleted)");
	put_server("21", "flatpause-cover\n", 'S', 0, "/memfd:flatpause-cover-0:45 (deleted)");
	put_server("22", "flatpause-cover\n", 't', 0, "/memfd:flatpause-cover-0:45 (deleted)");
	find_one(&c, text, sizeof(text));
	assert_int_equal(c.server, 21);
	assert_false(c.stopped);
}

static void a_mark_of_another_user_or_program_is_none(void **state)
{
	struct left_cover c;
	char text[1024];

	(void)state;
	put_server("20", "flatpause-cover\n", 'S', 1000, "/memfd:flatpause-cover-0:45 (deleted)");
	put_server("21", "other\n", 'S', 0, "/memfd:flatpause-cover-0:45 (deleted)");
	find_one(&c, text, sizeof(text));
	assert_int_equal(c.server, 0);
	assert_false(c.known);
	assert_non_null(strstr(text, "what calls itself a cover"));
	assert_non_null(strstr(text, "no journal names it"));
	c.known = true;
	print(&c, text, sizeof(text));
	assert_non_null(strstr(text, "a cover that was taken away"));
	assert_non_null(strstr(text, "nobody serves it any more"));
}

static void names_do_not_reach_a_terminal_as_they_are(void **state)
{
	struct left_covers l;
	char text[1024];

	(void)state;
	put_process("self", "fixer\n", 100, ROOT_MOUNT);
	put_process("7", "s\x1b[2J\n", 200,
		    "9 1 0:45 / /srv/\033[2J\\012/root:\\040fine rw - fuse.flatpause f rw\n");
	assert_int_equal(left_covers__find(&l, root), 0);
	assert_int_equal(l.cnt, 1);
	print(&l.v[0], text, sizeof(text));
	assert_null(strchr(text, '\x1b'));
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	assert_non_null(strstr(text, "/srv/\\x1b[2J\\x0a/root: fine: "));
	assert_non_null(strstr(text, "for s\\x1b[2J (pid 7)"));
	left_covers__free(&l);
}

/* Two processes of one namespace; the one that is met first has no mountinfo, or one of no use. */
static void put_two(bool gone)
{
	char path[256];
	struct dirent *e;
	DIR *d;

	put_process("self", "fixer\n", 100, ROOT_MOUNT);
	put_process("7", "sleep\n", 200, COVER_MOUNT);
	put_process("8", "sleep\n", 200, COVER_MOUNT);
	snprintf(path, sizeof(path), "%s/proc", root);
	d = opendir(path);
	assert_non_null(d);
	do {
		e = readdir(d);
		assert_non_null(e);
	} while (strcmp(e->d_name, "7") != 0 && strcmp(e->d_name, "8") != 0);
	snprintf(path, sizeof(path), "%s/proc/%.8s/mountinfo", root, e->d_name);
	closedir(d);
	assert_int_equal(unlink(path), 0);
	assert_true(gone || !mkdir(path, 0755));
}

static void a_process_that_has_just_ended_is_followed_by_the_next(void **state)
{
	struct left_covers l;

	(void)state;
	put_two(true);
	assert_int_equal(left_covers__find(&l, root), 0);
	assert_int_equal(l.cnt, 1);
	left_covers__free(&l);
}

static void a_namespace_that_cannot_be_read_is_read_once(void **state)
{
	struct left_covers l;

	(void)state;
	put_two(false);
	assert_int_equal(left_covers__find(&l, root), 0);
	assert_int_equal(l.cnt, 0);
	left_covers__free(&l);
}

static void a_namespace_full_of_them_hides_no_other(void **state)
{
	char *mounts = malloc(1000 * 64 + 1);
	struct left_covers l;
	size_t len = 0, others = 0;

	(void)state;
	assert_non_null(mounts);
	for (int i = 0; i < 1000; i++)
		len += (size_t)sprintf(mounts + len, "9 1 0:%d / /m rw - fuse.flatpause f rw\n",
				       1000 + i);
	put_process("self", "fixer\n", 100, ROOT_MOUNT);
	put_process("7", "many\n", 200, mounts);
	put_process("8", "sleep\n", 300, COVER_MOUNT);
	free(mounts);
	assert_int_equal(left_covers__find(&l, root), 0);
	assert_int_equal(l.cnt, 257);
	for (size_t i = 0; i < l.cnt; i++)
		others += l.v[i].mnt_ns == 300;
	assert_int_equal(others, 1);
	left_covers__free(&l);
}

static void no_proc_is_an_error(void **state)
{
	struct left_covers l;

	(void)state;
	assert_true(left_covers__find(&l, root) < 0);
	assert_int_equal(l.cnt, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_namespace_that_has_what_is_gone_here, make_root,
						remove_root),
		cmocka_unit_test_setup_teardown(none_where_it_is_still_mounted_here, make_root,
						remove_root),
		cmocka_unit_test_setup_teardown(lines_and_processes_that_make_no_sense, make_root,
						remove_root),
		cmocka_unit_test_setup_teardown(who_serves_it_is_known_by_his_mark, make_root,
						remove_root),
		cmocka_unit_test_setup_teardown(a_server_that_is_stopped_answers_nobody, make_root,
						remove_root),
		cmocka_unit_test_setup_teardown(one_of_two_servers_is_stopped, make_root,
						remove_root),
		cmocka_unit_test_setup_teardown(a_mark_of_another_user_or_program_is_none,
						make_root, remove_root),
		cmocka_unit_test_setup_teardown(names_do_not_reach_a_terminal_as_they_are,
						make_root, remove_root),
		cmocka_unit_test_setup_teardown(
			a_process_that_has_just_ended_is_followed_by_the_next, make_root,
			remove_root),
		cmocka_unit_test_setup_teardown(a_namespace_that_cannot_be_read_is_read_once,
						make_root, remove_root),
		cmocka_unit_test_setup_teardown(a_namespace_full_of_them_hides_no_other, make_root,
						remove_root),
		cmocka_unit_test_setup_teardown(no_proc_is_an_error, make_root, remove_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
