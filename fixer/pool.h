/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The memory that files pass through on their way to disk: a fixed number of slots in one anonymous
 * mapping for each worker. Nothing is ever taken from the heap instead: who finds no slot waits, in
 * the order of coming, and the slot that is given back goes to the one who waits longest, past
 * everybody who comes later. So workers x slots x slot size is all that there can be.
 */
#ifndef FLATPAUSE_POOL_H
#define FLATPAUSE_POOL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* The one size: of a slot, of a write, of the step between two looks at the writers. */
#define POOL_SLOT_BYTES (512u << 10)
#define POOL_SLOTS	4u

_Static_assert(POOL_SLOT_BYTES % 4096 == 0, "slots are written by O_DIRECT");

/* Of all pools that share it; read without a lock, by other processes too. */
struct pool_counters {
	atomic_uint_fast64_t acquires;
	atomic_uint_fast64_t backpressure_waits; /* takers that found no slot: once for each */
	atomic_uint_fast64_t wait_ns;
	atomic_uint_fast64_t slots_in_use;
	atomic_uint_fast64_t capacity_bytes;
	atomic_uint_fast64_t workers;
};

struct pool_waiter;

struct pool {
	pthread_mutex_t lock;
	char *base;
	uint32_t free[POOL_SLOTS]; /* a stack: the slot given back last is taken first */
	uint32_t free_cnt;
	struct pool_waiter *first, *last;
	struct pool_counters *counters;
};

/* Bound to the NUMA node that it runs on; what it touches first lies there. 0 or -errno. */
int pool__bind_thread(void);

/*
 * Maps and touches every page: to be called on the thread that will use it, bound before.
 * -ENOMEM. `counters` must outlive the pool.
 */
int pool__init(struct pool *p, struct pool_counters *counters);
/* No slot may be out, nobody may wait. */
void pool__destroy(struct pool *p);

/* A slot, or NULL where there is none. */
char *pool__try_take(struct pool *p);
/* A slot; waits for it. */
char *pool__take(struct pool *p);
void pool__give(struct pool *p, char *slot);

#endif
