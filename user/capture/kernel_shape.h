/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What the running kernel looks like, as far as the BPF side must be told before it is loaded. */
#ifndef FLATPAUSE_KERNEL_SHAPE_H
#define FLATPAUSE_KERNEL_SHAPE_H

#include <stdbool.h>
#include <stdint.h>
#include "../../bpf/config.h"

struct kernel_shape {
	uint32_t switch_state_arg; /* position of prev_state in sched_switch; 0 = none */
	uint32_t block_queue_arg;  /* 1: block tracepoints lead with the queue */
	bool bdp_dtc;		   /* balance_dirty_pages takes a dirty_throttle_control */
	bool preempt_known;
	int64_t preempt_distance; /* of the preempt count from `runqueues` */
	uint64_t jiffy_ns;
	struct text_range own_text[FP_OWN_TEXT_RANGES];
	struct text_range sched_text; /* what the kernel leaves out of a sleeper's stack */
	int fentry_err;		      /* 0 = a trampoline loads; else the -errno of the refusal */
	struct btf *btf[3];	      /* vmlinux, then the modules that may hold what we hook */
	int btf_cnt;
};

/* -ENOTSUP, said, if there is no BTF. Never fails for what is only missing. */
int kernel_shape__read(struct kernel_shape *s, bool probe_fentry);
void kernel_shape__free(struct kernel_shape *s);

/* Whether what a program's section names ("tp_btf/x", "fentry/x") exists here. */
bool kernel_shape__has(const struct kernel_shape *s, const char *section);

#endif
