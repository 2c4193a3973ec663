// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>

#include "fixer/pool.h"

static struct pool_counters counters;
static struct pool pool;

static int set_up(void **state)
{
	(void)state;
	memset(&counters, 0, sizeof(counters));
	return pool__bind_thread() || pool__init(&pool, &counters);
}

static int tear_down(void **state)
{
	(void)state;
	pool__destroy(&pool);
	return atomic_load(&counters.capacity_bytes) || atomic_load(&counters.workers);
}

static void take_all(char **slots)
{
	for (uint32_t i = 0; i < POOL_SLOTS; i++) {
		slots[i] = pool__try_take(&pool);
		assert_non_null(slots[i]);
	}
}

static void give_all(char **slots)
{
	for (uint32_t i = 0; i < POOL_SLOTS; i++)
		pool__give(&pool, slots[i]);
}

static void slots_are_apart_and_run_out(void **state)
{
	char *slots[POOL_SLOTS];

	(void)state;
	take_all(slots);
	for (uint32_t i = 0; i < POOL_SLOTS; i++)
		memset(slots[i], (int)i, POOL_SLOT_BYTES);
	for (uint32_t i = 0; i < POOL_SLOTS; i++) {
		assert_int_equal((uintptr_t)slots[i] % 4096, 0);
		assert_int_equal(slots[i][0], i);
		assert_int_equal(slots[i][POOL_SLOT_BYTES - 1], i);
	}
	assert_null(pool__try_take(&pool));
	assert_int_equal(atomic_load(&counters.slots_in_use), POOL_SLOTS);
	give_all(slots);
	assert_int_equal(atomic_load(&counters.slots_in_use), 0);
	assert_int_equal(atomic_load(&counters.acquires), POOL_SLOTS);
	assert_int_equal(atomic_load(&counters.backpressure_waits), 0);
}

static void the_last_given_is_taken_first(void **state)
{
	char *slots[POOL_SLOTS];

	(void)state;
	take_all(slots);
	give_all(slots);
	assert_ptr_equal(pool__try_take(&pool), slots[POOL_SLOTS - 1]);
	pool__give(&pool, slots[POOL_SLOTS - 1]);
	take_all(slots);
	pool__give(&pool, slots[1]);
	pool__give(&pool, slots[0]);
	assert_ptr_equal(pool__try_take(&pool), slots[0]);
	assert_ptr_equal(pool__try_take(&pool), slots[1]);
	give_all(slots);
}

/* ---- waiting ---- */

#define TAKERS 5

struct taker {
	pthread_t thread;
	char *slot;
	int place; /* 1 = the first that got one */
};

static atomic_int places;

static void *take(void *arg)
{
	struct taker *t = arg;

	t->slot = pool__take(&pool);
	t->place = atomic_fetch_add(&places, 1) + 1;
	return NULL;
}

static void wait_for(atomic_uint_fast64_t *counter, uint64_t value)
{
	while (atomic_load(counter) < value)
		sched_yield();
}

/* In the order of coming; each give wakes one, and its slot is that one's and nobody else's. */
static void who_waits_longest_gets_it(void **state)
{
	struct taker takers[TAKERS] = { 0 };
	char *slots[POOL_SLOTS], *given = NULL;

	(void)state;
	atomic_store(&places, 0);
	take_all(slots);
	for (int i = 0; i < TAKERS; i++) {
		pthread_create(&takers[i].thread, NULL, take, &takers[i]);
		wait_for(&counters.backpressure_waits, (uint64_t)i + 1);
	}
	given = slots[0];
	for (int i = 0; i < TAKERS; i++) {
		pool__give(&pool, given);
		/* whoever comes now, quick as he may be, finds none */
		assert_null(pool__try_take(&pool));
		pthread_join(takers[i].thread, NULL);
		assert_ptr_equal(takers[i].slot, given);
		assert_int_equal(takers[i].place, i + 1);
	}
	assert_int_equal(atomic_load(&counters.backpressure_waits), TAKERS);
	assert_true(atomic_load(&counters.wait_ns) > 0);
	assert_int_equal(atomic_load(&counters.acquires), POOL_SLOTS + TAKERS);
	assert_int_equal(atomic_load(&counters.slots_in_use), POOL_SLOTS);
	give_all(slots);
}

/* ---- many at once: no slot is had twice, none is lost ---- */

#define ROUNDS 20000

static void *churn(void *arg)
{
	atomic_int *clashes = arg;

	for (int i = 0; i < ROUNDS; i++) {
		char *slot = pool__take(&pool);
		atomic_int *owner = (atomic_int *)slot;

		if (atomic_exchange(owner, 1))
			atomic_fetch_add(clashes, 1);
		if (i % 64 == 0)
			sched_yield();
		atomic_store(owner, 0);
		pool__give(&pool, slot);
	}
	return NULL;
}

static void many_threads(void **state)
{
	pthread_t threads[TAKERS * 2];
	char *slots[POOL_SLOTS];
	atomic_int clashes = 0;

	(void)state;
	take_all(slots);
	for (uint32_t i = 0; i < POOL_SLOTS; i++)
		*(atomic_int *)slots[i] = 0;
	give_all(slots);
	for (int i = 0; i < TAKERS * 2; i++)
		pthread_create(&threads[i], NULL, churn, &clashes);
	for (int i = 0; i < TAKERS * 2; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&clashes), 0);
	assert_int_equal(atomic_load(&counters.slots_in_use), 0);
	assert_int_equal(atomic_load(&counters.acquires), POOL_SLOTS + TAKERS * 2 * ROUNDS);
	take_all(slots);
	give_all(slots);
}

/* ---- memory ---- */

static void every_page_is_there(void **state)
{
	unsigned char in[POOL_SLOTS * POOL_SLOT_BYTES / 4096];

	(void)state;
	assert_int_equal(mincore(pool.base, POOL_SLOTS * POOL_SLOT_BYTES, in), 0);
	for (size_t i = 0; i < sizeof(in); i++)
		assert_true(in[i] & 1);
	assert_int_equal(atomic_load(&counters.capacity_bytes), POOL_SLOTS * POOL_SLOT_BYTES);
	assert_int_equal(atomic_load(&counters.workers), 1);
}

static void pages_lie_on_our_node(void **state)
{
	void *pages[3] = { pool.base, pool.base + POOL_SLOT_BYTES,
			   pool.base + POOL_SLOTS * POOL_SLOT_BYTES - 4096 };
	int nodes[3] = { -1, -1, -1 };
	unsigned int cpu, node;

	(void)state;
	assert_int_equal(getcpu(&cpu, &node), 0);
	if (syscall(SYS_move_pages, 0, 3ul, pages, NULL, nodes, 0)) {
		print_message("# this kernel has no move_pages: %s\n", strerror(errno));
		skip();
	}
	for (int i = 0; i < 3; i++)
		assert_int_equal(nodes[i], node);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(slots_are_apart_and_run_out, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_last_given_is_taken_first, set_up, tear_down),
		cmocka_unit_test_setup_teardown(who_waits_longest_gets_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(many_threads, set_up, tear_down),
		cmocka_unit_test_setup_teardown(every_page_is_there, set_up, tear_down),
		cmocka_unit_test_setup_teardown(pages_lie_on_our_node, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
