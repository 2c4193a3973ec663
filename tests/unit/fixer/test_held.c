// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Memory files in the hands of several workers: the oldest first, and each in one hand only. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "fixer/guard.h"
#include "fixer/lock.h"
#include "user/clock.h"

static int set_up(void **state)
{
	struct guard *g = calloc(1, sizeof(*g));

	if (!g)
		return -1;
	urgent_lock__init(&g->lock);
	*state = g;
	return 0;
}

static int tear_down(void **state)
{
	free(*state);
	return 0;
}

/* Closed so many seconds ago. */
static void hold(struct guard *g, int slot, uint64_t seconds)
{
	g->held[slot] = (struct held){ .n = (uint32_t)slot + 1, .filefd = -1, .linked = true };
	g->held[slot].closed_ns = now_ns() - seconds * 1000000000;
}

static void the_oldest_first(void **state)
{
	struct guard *g = *state;

	hold(g, 3, 5);
	hold(g, 700, 9);
	hold(g, 9, 7);
	assert_int_equal(held__take_oldest(g), 700);
	assert_int_equal(held__take_oldest(g), 9);
	held__put_down(g, 700);
	assert_int_equal(held__take_oldest(g), 700);
	assert_int_equal(held__take_oldest(g), 3);
	assert_int_equal(held__take_oldest(g), -1);
}

static void only_what_is_due(void **state)
{
	struct guard *g = *state;

	hold(g, 0, 0); /* its writer closed it this instant */
	hold(g, 1, 5);
	g->held[1].closed_ns = 0; /* still open */
	hold(g, 2, 5);
	g->held[2].linked = false;
	hold(g, 4, 5);
	g->held[4].retry_ns = now_ns() + 1000000000;
	assert_int_equal(held__take_oldest(g), -1);
	assert_false(held__take(g, 2));
	assert_false(held__take(g, 3)); /* a free slot */
	assert_true(held__take(g, 1));	/* for a look at its link it need not be closed */
	assert_false(held__take(g, 1));
}

#define WORKERS 4

struct crowd {
	struct guard *g;
	pthread_barrier_t all_are_there;
	atomic_int taken[GUARD_HELD_MAX];
};

static void *take_all(void *arg)
{
	struct crowd *c = arg;
	int slot;

	pthread_barrier_wait(&c->all_are_there);
	while ((slot = held__take_oldest(c->g)) >= 0 || atomic_load(&c->g->exporting)) {
		if (slot < 0)
			continue;
		if (atomic_fetch_add(&c->taken[slot], 1) == 0)
			atomic_fetch_sub(&c->g->exporting, 1);
		c->g->held[slot].retry_ns = UINT64_MAX;
		held__put_down(c->g, slot);
	}
	return NULL;
}

static void each_in_one_hand(void **state)
{
	static struct crowd c;
	pthread_t threads[WORKERS];

	c.g = *state;
	/* of every four slots one: who looks for the oldest goes through all of them all the same */
	for (int i = 0; i < GUARD_HELD_MAX; i += 4)
		hold(c.g, i, 1 + (uint64_t)i % 7);
	atomic_store(&c.g->exporting, GUARD_HELD_MAX / 4); /* not taken yet */
	pthread_barrier_init(&c.all_are_there, NULL, WORKERS);
	for (int i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, take_all, &c), 0);
	for (int i = 0; i < WORKERS; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&c.all_are_there);
	for (int i = 0; i < GUARD_HELD_MAX; i++)
		assert_int_equal(atomic_load(&c.taken[i]), i % 4 == 0);
}

/* Whatever was found out about its link: who has it open for writing loses nothing. */
static void nothing_goes_that_is_written_to(void **state)
{
	char dir[] = "/dev/shm/test-held.XXXXXX";
	struct guard *g = *state;
	struct held *h = &g->held[4];
	int fd;

	assert_non_null(mkdtemp(dir));
	g->tmpfd = open(dir, O_RDONLY | O_DIRECTORY);
	assert_int_equal(mkdirat(g->tmpfd, "5", 0700), 0);
	fd = openat(g->tmpfd, "5/m", O_CREAT | O_RDWR, 0600);
	hold(g, 4, 5);
	h->dirfd = h->linkfd = -1;
	strcpy(h->target, "/memory/5/m");
	g->journal.fd = open("/dev/null", O_RDWR);
	assert_true(held__take(g, 4));
	assert_int_equal(held__deleted(g, 4), -EAGAIN);
	assert_int_equal(h->n, 5);
	assert_int_equal(faccessat(g->tmpfd, "5/m", F_OK, 0), 0);
	assert_false(held__follow_link(g, h)); /* it is not looked for again */
	close(fd);
	assert_int_equal(held__deleted(g, 4), 0);
	assert_int_equal(h->n, 0);
	assert_int_equal(faccessat(g->tmpfd, "5", F_OK, 0), -1);
	close(g->journal.fd);
	close(g->tmpfd);
	assert_int_equal(rmdir(dir), 0);
}

/* With nothing known of its size nothing is reserved; what it takes is seen while it is written. */
static void growth_counts(void **state)
{
	char dir[] = "/dev/shm/test-held.XXXXXX", block[4096] = "x";
	struct guard *g = *state;
	struct held *h = &g->held[4];
	int fd;

	assert_non_null(mkdtemp(dir));
	g->tmpfd = open(dir, O_RDONLY | O_DIRECTORY);
	g->journal.fd = open("/dev/null", O_RDWR);
	g->conf.memory_bytes = 65536;
	assert_int_equal(mkdirat(g->tmpfd, "5", 0700), 0);
	fd = openat(g->tmpfd, "5/m", O_CREAT | O_RDWR, 0600);
	hold(g, 4, 5);
	h->closed_ns = 0;
	h->dirfd = h->linkfd = -1;
	h->reserved_bytes = g->used_bytes = 8192;
	strcpy(h->target, "/memory/5/m");
	for (int i = 0; i < 16; i++)
		assert_int_equal(pwrite(fd, block, 4096, i * 4096), 4096);
	held__measure(g);
	assert_int_equal(g->used_bytes, 65536);
	assert_false(g->over_budget);
	assert_int_equal(pwrite(fd, block, 4096, 1 << 30), 4096); /* not its length */
	held__measure(g);
	assert_int_equal(g->used_bytes, 69632);
	assert_true(g->over_budget);
	assert_int_equal(g->journal.seq, 1); /* said once */
	held__measure(g);
	assert_int_equal(g->journal.seq, 1);
	/* what was reserved for it stays its */
	assert_int_equal(ftruncate(fd, 4096), 0);
	held__measure(g);
	assert_int_equal(g->used_bytes, 69632);
	held__account(g, h); /* closed */
	assert_int_equal(g->used_bytes, 4096);
	held__measure(g);
	assert_false(g->over_budget);
	close(fd);
	held__drop_memory(g->tmpfd, 5, "m");
	close(g->journal.fd);
	close(g->tmpfd);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(growth_counts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nothing_goes_that_is_written_to, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_oldest_first, set_up, tear_down),
		cmocka_unit_test_setup_teardown(only_what_is_due, set_up, tear_down),
		cmocka_unit_test_setup_teardown(each_in_one_hand, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
