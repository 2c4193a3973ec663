// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "cost.h"

#include <string.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../host/read.h"

#define BATCHES	    20
#define BATCH_CALLS 1000

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

/* The minimum: what disturbs a batch only ever makes it longer. */
uint64_t measure_syscall_ns(void)
{
	uint64_t best = UINT64_MAX;

	for (int b = 0; b < BATCHES; b++) {
		uint64_t begin = clock_ns(CLOCK_MONOTONIC), took;

		for (int i = 0; i < BATCH_CALLS; i++)
			syscall(SYS_getppid);
		took = clock_ns(CLOCK_MONOTONIC) - begin;
		if (took < best)
			best = took;
	}
	return best / BATCH_CALLS;
}

void cost__begin(struct cost *c)
{
	c->begin_ns = clock_ns(CLOCK_MONOTONIC);
	c->cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

/* Not ru_maxrss: that is inherited from whoever started us. */
static uint64_t peak_rss_bytes(void)
{
	char text[4096], *line;
	unsigned long long kb;

	if (read_text("", text, sizeof(text), "/proc/self/status") <= 0)
		return 0;
	line = strstr(text, "\nVmHWM:");
	return line && sscanf(line + 7, "%llu", &kb) == 1 ? kb * 1024 : 0;
}

void cost__end(struct cost *c)
{
	c->wall_ns = clock_ns(CLOCK_MONOTONIC) - c->begin_ns;
	c->cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - c->cpu_ns;
	c->rss_bytes = peak_rss_bytes();
}

json_t *cost__json(const struct cost *c)
{
	json_t *o = json_object();
	const struct {
		const char *name;
		uint64_t value;
	} rows[] = {
		{ "wall_ns", c->wall_ns },
		{ "cpu_ns", c->cpu_ns },
		{ "events", c->events },
		{ "bytes", c->bytes },
		{ "lost", c->lost },
		{ "rss_bytes", c->rss_bytes },
		{ "ring_bytes", c->ring_bytes },
		{ "syscall_before_ns", c->syscall_before_ns },
		{ "syscall_after_ns", c->syscall_after_ns },
	};

	for (size_t i = 0; o && i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (json_object_set_new(o, rows[i].name, json_integer((json_int_t)rows[i].value))) {
			json_decref(o);
			return NULL;
		}
	}
	return o;
}
