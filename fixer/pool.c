// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "pool.h"

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../user/clock.h"
#include "../user/host/read.h"

/* Lives on the stack of the one that waits. */
struct pool_waiter {
	pthread_cond_t given;
	char *slot;
	struct pool_waiter *next;
};

static size_t region_bytes(void)
{
	return (size_t)POOL_SLOTS * POOL_SLOT_BYTES;
}

/* "0-3,8" as the kernel writes lists of CPUs; false where it is not one. */
static bool parse_cpus(const char *text, cpu_set_t *set)
{
	CPU_ZERO(set);
	while (*text && *text != '\n') {
		char *end;
		unsigned long from = strtoul(text, &end, 10), to = from;

		if (end == text)
			return false;
		if (*end == '-')
			to = strtoul(end + 1, &end, 10);
		for (unsigned long cpu = from; cpu <= to && cpu < CPU_SETSIZE; cpu++)
			CPU_SET(cpu, set);
		text = *end == ',' ? end + 1 : end;
		if (*end && *end != ',' && *end != '\n')
			return false;
	}
	return CPU_COUNT(set) > 0;
}

/* To the node, not to one CPU: a VM may own that CPU, and first touch asks no more. */
int pool__bind_thread(void)
{
	cpu_set_t allowed, node_cpus;
	unsigned int cpu, node;
	char text[4096];

	if (getcpu(&cpu, &node) || sched_getaffinity(0, sizeof(allowed), &allowed))
		return -errno;
	if (read_text("", text, sizeof(text), "/sys/devices/system/node/node%u/cpulist", node) < 0)
		return 0; /* a kernel without NUMA has one node */
	if (!parse_cpus(text, &node_cpus))
		return -EBADMSG;
	CPU_AND(&node_cpus, &node_cpus, &allowed);
	return sched_setaffinity(0, sizeof(node_cpus), &node_cpus) ? -errno : 0;
}

int pool__init(struct pool *p, struct pool_counters *counters)
{
	long page = sysconf(_SC_PAGESIZE);

	memset(p, 0, sizeof(*p));
	p->base = mmap(NULL, region_bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);
	if (p->base == MAP_FAILED)
		return -ENOMEM;
	/* a plain memset to what is zero already may be left out by the compiler */
	for (size_t i = 0; i < region_bytes(); i += (size_t)page)
		*(volatile char *)(p->base + i) = 0;
	pthread_mutex_init(&p->lock, NULL);
	for (uint32_t i = 0; i < POOL_SLOTS; i++)
		p->free[i] = POOL_SLOTS - 1 - i;
	p->free_cnt = POOL_SLOTS;
	p->counters = counters;
	atomic_fetch_add(&counters->capacity_bytes, region_bytes());
	atomic_fetch_add(&counters->workers, 1);
	return 0;
}

void pool__destroy(struct pool *p)
{
	if (!p->base || p->base == MAP_FAILED)
		return;
	munmap(p->base, region_bytes());
	p->base = NULL;
	pthread_mutex_destroy(&p->lock);
	atomic_fetch_sub(&p->counters->capacity_bytes, region_bytes());
	atomic_fetch_sub(&p->counters->workers, 1);
}

static void count_taken(struct pool *p)
{
	atomic_fetch_add_explicit(&p->counters->acquires, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&p->counters->slots_in_use, 1, memory_order_relaxed);
}

/* While somebody waits the stack is empty: a slot goes from hand to hand. Caller holds the lock. */
static char *pop(struct pool *p)
{
	if (!p->free_cnt)
		return NULL;
	count_taken(p);
	return p->base + (size_t)p->free[--p->free_cnt] * POOL_SLOT_BYTES;
}

char *pool__try_take(struct pool *p)
{
	char *slot;

	pthread_mutex_lock(&p->lock);
	slot = pop(p);
	pthread_mutex_unlock(&p->lock);
	return slot;
}

static char *wait_for_slot(struct pool *p)
{
	struct pool_waiter w = { .slot = NULL };
	uint64_t since = now_ns();

	pthread_cond_init(&w.given, NULL);
	*(p->last ? &p->last->next : &p->first) = &w;
	p->last = &w;
	atomic_fetch_add_explicit(&p->counters->backpressure_waits, 1, memory_order_relaxed);
	while (!w.slot)
		pthread_cond_wait(&w.given, &p->lock);
	pthread_cond_destroy(&w.given);
	atomic_fetch_add_explicit(&p->counters->wait_ns, now_ns() - since, memory_order_relaxed);
	atomic_fetch_add_explicit(&p->counters->acquires, 1, memory_order_relaxed);
	return w.slot;
}

char *pool__take(struct pool *p)
{
	char *slot;

	pthread_mutex_lock(&p->lock);
	slot = pop(p);
	if (!slot)
		slot = wait_for_slot(p);
	pthread_mutex_unlock(&p->lock);
	return slot;
}

void pool__give(struct pool *p, char *slot)
{
	struct pool_waiter *w;

	pthread_mutex_lock(&p->lock);
	w = p->first;
	if (w) {
		p->first = w->next;
		if (!p->first)
			p->last = NULL;
		w->slot = slot;
		pthread_cond_signal(&w->given);
	} else {
		p->free[p->free_cnt++] = (uint32_t)((size_t)(slot - p->base) / POOL_SLOT_BYTES);
		atomic_fetch_sub_explicit(&p->counters->slots_in_use, 1, memory_order_relaxed);
	}
	pthread_mutex_unlock(&p->lock);
}
