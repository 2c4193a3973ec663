/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Shared by the files of the capture only. */
#ifndef FLATPAUSE_CAPTURE_INTERNAL_H
#define FLATPAUSE_CAPTURE_INTERNAL_H

#include <bpf/libbpf.h>

#include "../../bpf/abi.h"
#include "../../bpf/config.h"
#include "capture.h"
#include "frame_set.h"
#include "kernel_shape.h"

struct flatpause_bpf;

/* One BPF program and what became of it */
struct loaded_program {
	const char *name; /* lives as long as the skeleton */
	char section[64];
	int err;  /* why it is not used; 0 = used */
	bool off; /* not asked for by the options */
	struct bpf_program *prog;
	struct bpf_link *link;
};

struct cpu_ring {
	struct capture *capture;
	uint32_t cpu;
	int fd; /* -1 = this CPU is offline */
};

struct capture {
	struct capture_opts opts;
	struct flatpause_bpf *skel;
	struct kernel_shape shape;

	struct loaded_program *programs;
	size_t programs_cnt;
	struct bpf_link *iter_link;
	struct bpf_link **sample_links; /* one a CPU */

	struct cpu_ring *rings;
	uint32_t cpus_cnt;
	struct ring_buffer *reader;

	struct capture_hook *hooks;
	size_t hooks_cnt;

	struct trace_writer *writer; /* NULL until started */
	struct frame_set frames;
	uint32_t devices[CAPTURE_DEVICES]; /* that targets write to */
	size_t devices_cnt;
	bool started, stopped;
};

/* load.c: opens, loads, and attaches all that this kernel takes */
int capture_load(struct capture *c);
int capture_attach(struct capture *c);
void capture_unload(struct capture *c);
uint64_t capture_count_misses(const struct capture *c);

/* ladder.c: the rung that each probe got; NULL programs were never tried */
int capture_choose_rungs(struct capture *c);
const struct loaded_program *capture_program(const struct capture *c, const char *name);

/* drain.c */
int capture_open_rings(struct capture *c);
void capture_close_rings(struct capture *c);
int capture_tell_last_loss(struct capture *c, uint64_t end_ns);

/* load.c: runs the task walk in `mode` (ITER_*) over `tgid` (0 = all) */
int capture_walk_tasks(struct capture *c, uint32_t mode, uint32_t tgid, uint32_t *found);

#endif
