/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What recording costs: measured, printed and kept in the trace (REC_COST). */
#ifndef FLATPAUSE_COST_H
#define FLATPAUSE_COST_H

#include <jansson.h>
#include <stdint.h>

/* Of our own process; what our BPF programs cost is in the time of those that they interrupt. */
struct cost {
	uint64_t setup_cpu_ns;	  /* loading programs, reading facts */
	uint64_t cpu_ns;	  /* while recording, user and kernel */
	uint64_t wall_ns;	  /* while recording */
	uint64_t end_cpu_ns;	  /* naming symbols */
	uint64_t rss_bytes;	  /* peak while recording */
	uint64_t setup_rss_bytes; /* peak before that */
	uint64_t end_rss_bytes;	  /* peak after that */
	uint64_t ring_bytes;	  /* of all CPUs; mapped, so a part of rss_bytes */
	uint64_t
		syscall_before_ns; /* the price of a trivial syscall of a process that is no target */
	uint64_t syscall_after_ns; /* the same with our hooks attached */
	uint64_t events;
	uint64_t bytes;
	uint64_t lost;
	uint64_t phase_cpu_ns, phase_wall_ns; /* when the phase that runs now began */
};

/* The least time of a getppid() in ns, over some batches: about 5 ms of work. */
uint64_t measure_syscall_ns(void);

/* Three phases, one after the other; each call closes one. cost__begin opens the first. */
void cost__begin(struct cost *c);
void cost__setup_done(struct cost *c);
void cost__recording_done(struct cost *c);
void cost__end_done(struct cost *c);

/* NULL = no memory */
json_t *cost__json(const struct cost *c);

#endif
