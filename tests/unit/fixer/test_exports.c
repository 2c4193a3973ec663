// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* A file that is home and not compared: whatever fails meanwhile, no record calls it anything else. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "fixer/beneath.h"
#include "fixer/guard.h"
#include "fixer/lock.h"
#include "fixer/recover.h"
#include "user/clock.h"

#define NAME	    "memory.bin"
#define MEMORY_NAME "1/memory.bin"

static char root[40];
static struct guard *g;

/* What its journal says of the file, one record on top of the other. */
struct told {
	json_t *file;
	int notes;
};

static int tell(const struct journal_rec *rec, json_t *body, void *arg)
{
	struct told *t = arg;

	if (rec->kind == REC_FILE)
		json_object_update(t->file, body);
	t->notes += rec->kind == REC_NOTE;
	return 0;
}

static struct told told(void)
{
	struct told t = { .file = json_object() };
	struct journal_read read;
	const char *why;

	assert_int_equal(journal__read(g->journal.fd, tell, &t, &read, &why), 0);
	return t;
}

static int notes(void)
{
	struct told t = told();

	json_decref(t.file);
	return t.notes;
}

static void copy_it(struct held *h)
{
	const struct export_hooks none = { 0 };
	struct export_counters counters = { 0 };
	struct export_worker *worker;
	struct export_result r;
	int fd = openat(g->tmpfd, MEMORY_NAME, O_CREAT | O_WRONLY, 0600);

	assert_int_equal(write(fd, "whole", 5), 5);
	close(fd);
	fd = openat(g->tmpfd, MEMORY_NAME, O_RDONLY);
	assert_int_equal(export_worker__start(&worker, &counters), 0);
	assert_int_equal(export__copy(worker, fd, g->dirfd, NAME, &none, &r), 0);
	export_worker__stop(worker);
	close(fd);
	h->seen = r.seen;
	h->file_ctime_ns = (uint64_t)(r.ctime.tv_sec * 1000000000 + r.ctime.tv_nsec);
	h->filefd = openat(g->dirfd, NAME, O_PATH);
}

/* One that the guard before left so, in a slot, for workers that have not begun. */
static int set_up(void **state)
{
	struct held *h;

	(void)state;
	g = calloc(1, sizeof(*g));
	strcpy(root, "/var/tmp/test-exports.XXXXXX");
	if (!g || !mkdtemp(root))
		return -1;
	urgent_lock__init(&g->lock);
	urgent_lock__init(&g->window_lock);
	g->dirfd = open(root, O_RDONLY | O_DIRECTORY);
	if (mkdirat(g->dirfd, "memory", 0700) || mkdirat(g->dirfd, "memory/1", 0700))
		return -1;
	g->tmpfd = openat(g->dirfd, "memory", O_RDONLY | O_DIRECTORY);
	g->conf.export_workers = 1;
	h = &g->held[0];
	*h = (struct held){ .n = 1, .linkfd = -1, .home = true, .linked = true, .dir = "." };
	strcpy(h->name, NAME);
	strcpy(h->target, "/memory/1/" NAME);
	h->dirfd = openat(g->dirfd, ".", O_PATH);
	copy_it(h);
	return journal__begin(&g->journal, memfd_create("journal", 0));
}

static int tear_down(void **state)
{
	char command[64];

	(void)state;
	if (g->held[0].n) {
		fd__close(&g->held[0].dirfd);
		fd__close(&g->held[0].filefd);
	}
	close(g->journal.fd);
	close(g->tmpfd);
	close(g->dirfd);
	free(g);
	snprintf(command, sizeof(command), "rm -rf %s", root);
	return system(command);
}

static bool wait_until(bool (*is_so)(void))
{
	const struct timespec nap = { .tv_nsec = 5000000 };
	uint64_t until = now_ns() + 10000000000ull;

	while (!is_so() && now_ns() < until)
		nanosleep(&nap, NULL);
	return is_so();
}

static void due_now(void)
{
	pthread_mutex_lock(&g->lock);
	g->held[0].closed_ns = now_ns() - GUARD_SETTLE_NS;
	g->held[0].retry_ns = 0;
	pthread_mutex_unlock(&g->lock);
}

static bool has_begun(void)
{
	return g->exporters[0].worker;
}

static void begin(void)
{
	assert_int_equal(exports__start(g), 0);
	assert_true(wait_until(has_begun));
}

static bool is_put_off(void)
{
	bool off;

	pthread_mutex_lock(&g->lock);
	off = g->held[0].retry_ns && !g->held[0].taken;
	pthread_mutex_unlock(&g->lock);
	return off;
}

static bool is_let_go(void)
{
	bool free;

	pthread_mutex_lock(&g->lock);
	free = !g->held[0].n;
	pthread_mutex_unlock(&g->lock);
	return free;
}

static void end(void)
{
	atomic_store(&g->quit, true);
	exports__stop(g);
}

/* Put off, both copies there, and the journal as it was but for a note. */
static void check_kept(void)
{
	struct told t;

	assert_true(wait_until(is_put_off));
	t = told();
	assert_int_equal(json_object_size(t.file), 0);
	assert_int_equal(t.notes, 1);
	json_decref(t.file);
	assert_true(g->held[0].home && g->held[0].filefd >= 0);
	assert_int_equal(faccessat(g->tmpfd, MEMORY_NAME, F_OK, 0), 0);
}

static void check_settled(void)
{
	struct told t;

	due_now();
	assert_true(wait_until(is_let_go));
	t = told();
	assert_string_equal(record__text(t.file, "state"), "durable");
	assert_true(json_is_true(json_object_get(t.file, "settled")));
	assert_true(json_is_true(json_object_get(t.file, "read_back")));
	json_decref(t.file);
	assert_int_equal(faccessat(g->tmpfd, MEMORY_NAME, F_OK, 0), -1);
}

/* With another name of its memory nobody knows who may write to it. */
static void memory_that_may_not_be_used_is_kept(void **state)
{
	(void)state;
	assert_int_equal(linkat(g->tmpfd, MEMORY_NAME, g->tmpfd, "second", 0), 0);
	begin();
	due_now();
	check_kept();
	/* and said once */
	due_now();
	check_kept();
	assert_int_equal(notes(), 1);
	assert_int_equal(unlinkat(g->tmpfd, "second", 0), 0);
	check_settled();
	end();
}

/* As little as may be missing: its memory can be opened, the file cannot. */
static void without_a_descriptor_it_is_not_settled(void **state)
{
	struct rlimit old, low;
	int fd;

	(void)state;
	begin();
	fd = dup(g->dirfd); /* the next free number: one more, and no other */
	close(fd);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	low = old;
	low.rlim_cur = (rlim_t)fd + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	due_now();
	assert_true(wait_until(is_put_off));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	check_kept();
	check_settled();
	end();
}

static void without_its_memory_it_is_let_go(void **state)
{
	struct told t;

	(void)state;
	assert_int_equal(unlinkat(g->tmpfd, MEMORY_NAME, 0), 0);
	begin();
	due_now();
	assert_true(wait_until(is_let_go));
	end();
	t = told();
	assert_string_equal(record__text(t.file, "state"), RECOVERED_NEVER_COMPARED);
	assert_int_equal(t.notes, 1);
	json_decref(t.file);
}

static bool is_said(void)
{
	return notes();
}

/* Its owner has changed the file, and somebody has its memory open for writing. */
static void what_both_have_is_kept_twice(void **state)
{
	struct told t;
	int writer = openat(g->tmpfd, MEMORY_NAME, O_WRONLY), fd = openat(g->dirfd, NAME, O_WRONLY);

	(void)state;
	assert_int_equal(write(fd, "mine", 4), 4);
	close(fd);
	begin();
	due_now();
	assert_true(wait_until(is_said));
	end();
	close(writer);
	t = told();
	assert_null(json_object_get(t.file, "commit_ino"));
	json_decref(t.file);
	assert_false(export__is_link(g->dirfd, NAME, g->held[0].target));
	assert_int_equal(faccessat(g->tmpfd, MEMORY_NAME, F_OK, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(memory_that_may_not_be_used_is_kept, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(without_a_descriptor_it_is_not_settled, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(without_its_memory_it_is_let_go, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_both_have_is_kept_twice, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
