/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What recording costs: measured, printed and kept in the trace (REC_COST). */
#ifndef FLATPAUSE_COST_H
#define FLATPAUSE_COST_H

#include <jansson.h>
#include <stdint.h>

struct cost {
	uint64_t begin_ns;
	uint64_t cpu_ns; /* of our own threads, user and kernel */
	uint64_t wall_ns;
	uint64_t rss_bytes;  /* peak */
	uint64_t ring_bytes; /* all CPUs, a part of rss_bytes */
	uint64_t
		syscall_before_ns; /* the price of a trivial syscall of a process that is no target */
	uint64_t syscall_after_ns; /* the same with our hooks attached */
	uint64_t events;
	uint64_t bytes;
	uint64_t lost;
};

/* The least time of a getppid() in ns, over some batches: about 5 ms of work. */
uint64_t measure_syscall_ns(void);

void cost__begin(struct cost *c);
void cost__end(struct cost *c);

/* NULL = no memory */
json_t *cost__json(const struct cost *c);

#endif
