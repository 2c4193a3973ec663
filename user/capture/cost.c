// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "cost.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../clock.h"
#include "../host/read.h"

#define BATCHES	    20
#define BATCH_CALLS 1000

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

/* Lets the next phase have a peak of its own; where that is refused, peaks only ever grow. */
static void forget_peak_rss(void)
{
	int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, "5", 1) != 1) /* nothing to do about it, and nothing lost by it */
		errno = 0;
	close(fd);
}

static void begin_phase(struct cost *c)
{
	c->phase_wall_ns = clock_ns(CLOCK_MONOTONIC);
	c->phase_cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

static uint64_t end_phase(struct cost *c, uint64_t *rss_bytes)
{
	uint64_t cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - c->phase_cpu_ns;

	*rss_bytes = peak_rss_bytes();
	forget_peak_rss();
	return cpu_ns;
}

void cost__begin(struct cost *c)
{
	begin_phase(c);
}

void cost__setup_done(struct cost *c)
{
	c->setup_cpu_ns = end_phase(c, &c->setup_rss_bytes);
	begin_phase(c);
}

void cost__recording_done(struct cost *c)
{
	c->wall_ns = clock_ns(CLOCK_MONOTONIC) - c->phase_wall_ns;
	c->cpu_ns = end_phase(c, &c->rss_bytes);
	begin_phase(c);
}

void cost__end_done(struct cost *c)
{
	c->end_cpu_ns = end_phase(c, &c->end_rss_bytes);
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
		{ "setup_cpu_ns", c->setup_cpu_ns },
		{ "end_cpu_ns", c->end_cpu_ns },
		{ "rss_bytes", c->rss_bytes },
		{ "setup_rss_bytes", c->setup_rss_bytes },
		{ "end_rss_bytes", c->end_rss_bytes },
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
