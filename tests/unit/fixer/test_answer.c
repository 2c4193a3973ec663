// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Every writer that waits is answered once: in time by the hand, late by the watch, never twice. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "fixer/beneath.h"
#include "fixer/guard.h"
#include "fixer/lock.h"
#include "user/clock.h"

struct answers {
	struct guard *g;
	int in; /* what the kernel would read */
};

static int setup(void **state)
{
	struct answers *a = calloc(1, sizeof(*a));
	int p[2];

	assert_non_null(a);
	a->g = calloc(1, sizeof(*a->g));
	assert_non_null(a->g);
	assert_int_equal(pipe2(p, O_NONBLOCK | O_CLOEXEC), 0);
	a->in = p[0];
	a->g->fan = p[1];
	a->g->wake = -1;
	urgent_lock__init(&a->g->lock);
	a->g->since_ns = now_ns();
	*state = a;
	return 0;
}

static int teardown(void **state)
{
	struct answers *a = *state;

	close(a->in);
	close(a->g->fan);
	free(a->g);
	free(a);
	return 0;
}

static int some_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* The descriptor number of the next answer; -1 = none is out. */
static int next_answer(const struct answers *a)
{
	struct fanotify_response r;

	if (read(a->in, &r, sizeof(r)) != sizeof(r))
		return -1;
	assert_int_equal(r.response, FAN_ALLOW);
	return (int)r.fd;
}

static void test_in_time(void **state)
{
	struct answers *a = *state;
	int slot = answer__slot(a->g), fd = some_fd();
	uint64_t waited = 0;

	answer__pend(a->g, slot, fd, -1, 0, true);
	a->g->pending[slot].deadline_ns = UINT64_MAX; /* this machine may be slow */
	answer__sweep(a->g);
	assert_int_equal(next_answer(a), -1);
	assert_true(answer__job_done(a->g, slot, &waited));
	assert_int_equal(next_answer(a), fd);
	assert_false(is_open(fd));
	assert_true(waited > 0);
	answer__sweep(a->g);
	assert_int_equal(next_answer(a), -1);
	assert_int_equal(a->g->pending_cnt, 0);
}

static void test_late(void **state)
{
	struct answers *a = *state;
	int slot = answer__slot(a->g), fd = some_fd();

	a->g->since_ns -= GUARD_ANSWER_NS;
	answer__pend(a->g, slot, fd, -1, 0, true);
	answer__sweep(a->g);
	assert_int_equal(next_answer(a), fd);
	assert_true(answer__is_out(a->g, slot));
	/* the slot stays the hand's until its job is done, or it would mark another's */
	assert_int_equal(a->g->pending_cnt, 1);
	assert_false(answer__job_done(a->g, slot, NULL));
	answer__sweep(a->g);
	assert_int_equal(a->g->pending_cnt, 0);
	assert_int_equal(next_answer(a), -1);
}

static void test_directories_first(void **state)
{
	struct answers *a = *state;
	int slot = answer__slot(a->g), fd = some_fd();

	answer__pend(a->g, slot, fd, -1, 1, true);
	a->g->pending[slot].deadline_ns = UINT64_MAX;
	assert_true(answer__job_done(a->g, slot, NULL)); /* the space is there before the answer */
	answer__sweep(a->g);
	assert_int_equal(next_answer(a), -1);
	atomic_store(&a->g->plants_done, 1);
	answer__sweep(a->g);
	assert_int_equal(next_answer(a), fd);
}

static void test_full(void **state)
{
	struct answers *a = *state;

	for (int i = 0; i < GUARD_PENDING_MAX; i++) {
		int slot = answer__slot(a->g);

		assert_true(slot >= 0);
		answer__pend(a->g, slot, some_fd(), -1, 0, true);
	}
	assert_int_equal(answer__slot(a->g), -1);
	answer__all(a->g);
	for (int i = 0; i < GUARD_PENDING_MAX; i++)
		assert_true(next_answer(a) >= 0);
	assert_int_equal(next_answer(a), -1);
}

struct racing {
	struct guard *g;
	atomic_int slot; /* -1 = none is to be done */
	atomic_bool stop;
};

static void *finish_jobs(void *arg)
{
	struct racing *r = arg;

	while (!atomic_load(&r->stop)) {
		int slot = atomic_exchange(&r->slot, -1);

		if (slot >= 0)
			answer__job_done(r->g, slot, NULL);
		else
			sched_yield();
	}
	return NULL;
}

/* The hand and the watch thread at the same moment. */
static void test_race(void **state)
{
	struct answers *a = *state;
	struct racing r = { .g = a->g };
	pthread_t thread;

	atomic_store(&r.slot, -1);
	assert_int_equal(pthread_create(&thread, NULL, finish_jobs, &r), 0);
	for (int i = 0; i < 2000; i++) {
		int slot = answer__slot(a->g), fd = some_fd();

		a->g->since_ns = now_ns() - GUARD_ANSWER_NS + 1000;
		answer__pend(a->g, slot, fd, -1, 0, true);
		atomic_store(&r.slot, slot);
		while (a->g->pending_cnt)
			answer__sweep(a->g);
		assert_int_equal(next_answer(a), fd);
		assert_int_equal(next_answer(a), -1);
		assert_false(is_open(fd));
	}
	atomic_store(&r.stop, true);
	pthread_join(thread, NULL);
}

static void test_inode_is_reused(void **state)
{
	struct answers *a = *state;
	int first, second, third;
	uint32_t n;

	pthread_mutex_lock(&a->g->lock);
	first = track__new(a->g, 1, 42, 0);
	a->g->tracks[first].open = true;
	second = track__new(a->g, 2, 42, 0);
	assert_int_not_equal(first, second);
	assert_int_equal(track__find(a->g, 1, 42), first);
	assert_int_equal(track__find(a->g, 2, 42), second);
	assert_int_equal(track__find(a->g, 3, 42), -1);
	/* deleted, and its number given to a new file: what is said of the old one stays its own */
	n = a->g->tracks[first].n;
	third = track__new(a->g, 1, 42, 0);
	pthread_mutex_unlock(&a->g->lock);
	assert_int_not_equal(third, first);
	assert_int_equal(track__find(a->g, 1, 42), third);
	assert_int_equal(a->g->tracks[first].n, n);
	assert_false(a->g->tracks[first].open);
	a->g->tracks[third].n = 0;
	assert_int_equal(track__find(a->g, 1, 42), -1);
}

/* By its handle a file is told from the one that had its number before, whoever made it. */
static void test_same_number(void **state)
{
	struct answers *a = *state;
	char path[] = "/tmp/test_answer.XXXXXX";
	int fd = mkstemp(path), slot;
	uint32_t crc = handle__crc(fd, "");
	struct stat st;

	assert_true(fd >= 0);
	unlink(path);
	assert_false(fstat(fd, &st));
	if (!crc) {
		close(fd);
		skip(); /* no file handles on this /tmp */
	}
	pthread_mutex_lock(&a->g->lock);
	slot = track__new(a->g, st.st_dev, st.st_ino, crc);
	pthread_mutex_unlock(&a->g->lock);
	assert_int_equal(track__of(a->g, fd, &st), slot);
	a->g->tracks[slot].handle_crc = ~crc;
	assert_int_equal(track__of(a->g, fd, &st), -1);
	assert_int_equal(track__find(a->g, st.st_dev, st.st_ino), -1);
	close(fd);
}

/* The oldest that has no writer makes room; where all have one there is none. */
static void test_tracks_full(void **state)
{
	struct answers *a = *state;
	int slot;

	pthread_mutex_lock(&a->g->lock);
	for (uint64_t i = 1; i <= GUARD_TRACKS_MAX; i++) {
		slot = track__new(a->g, 1, i, 0);
		assert_true(slot >= 0);
		a->g->tracks[slot].open = i != 7 && i != 9;
	}
	slot = track__new(a->g, 1, 5000, 0);
	assert_true(slot >= 0);
	assert_int_equal(track__find(a->g, 1, 5000), slot);
	assert_int_equal(track__find(a->g, 1, 7), -1);
	assert_true(track__find(a->g, 1, 9) >= 0);
	a->g->tracks[track__find(a->g, 1, 5000)].open = true;
	a->g->tracks[track__find(a->g, 1, 9)].open = true;
	assert_int_equal(track__new(a->g, 1, 6000, 0), -1);
	pthread_mutex_unlock(&a->g->lock);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_in_time, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late, setup, teardown),
		cmocka_unit_test_setup_teardown(test_directories_first, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_race, setup, teardown),
		cmocka_unit_test_setup_teardown(test_inode_is_reused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_same_number, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tracks_full, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
