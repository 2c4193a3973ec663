/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What the threads of the kernel work on: the work items that a worker executes, with who queued
 * each and when; the phases of a journal's commits; the inodes that a flusher writes. And who had
 * which CPU when.
 */
#ifndef FLATPAUSE_ANALYZE_KERNEL_WORK_H
#define FLATPAUSE_ANALYZE_KERNEL_WORK_H

#include <stdbool.h>
#include <stdint.h>
#include "../../bpf/abi.h"
#include "vec.h"

struct timeline;
struct thread;

/* One execution of a work item. Its address says nothing: it is used again and again. */
struct work_run {
	uint64_t work, func;
	uint64_t queue_ns; /* 0 = not seen */
	uint64_t begin, end;
	uint32_t queue_tid;   /* who queued it; 0 = not in task context */
	uint32_t queue_cause; /* the request whose completion queued it, 0 = none */
};

enum commit_phase {
	PHASE_NONE = 0,
	PHASE_LOCKED = 1,
	PHASE_FLUSH = 2,
	PHASE_LOG = 3,
};

struct phase_mark { /* from here to the next mark */
	uint64_t ns;
	enum commit_phase phase;
};

struct inode_mark { /* from here to the next mark, within the same work item */
	uint64_t ns;
	uint64_t ino; /* 0 = none any more */
	uint32_t dev;
};

struct kernel_work {
	struct vec runs;   /* struct work_run, by begin */
	struct vec phases; /* struct phase_mark */
	struct vec inodes; /* struct inode_mark */
};

void kernel_work__free(struct kernel_work *k);
void kernel_work__trim(struct kernel_work *k, uint64_t ns);

/* The work item that `t` executed just before `ns`; NULL = none. */
const struct work_run *thread__work_at(const struct thread *t, uint64_t ns);

/* The phase of the commit at `ns`, and until when (at most `*until`). */
enum commit_phase thread__phase_at(const struct thread *t, uint64_t ns, uint64_t *until);

/* The inode that it writes at `ns`; ino 0 = not known. */
struct inode_mark thread__inode_at(const struct thread *t, uint64_t ns);

void timeline_on_work(struct timeline *tl, const struct ev_work *ev);
void timeline_on_point(struct timeline *tl, const struct ev_point *ev);

/* ---- items that were queued and have not begun ---- */

struct queued_work;

struct work_queue {
	struct queued_work *items; /* by address */
};

void work_queue__free(struct work_queue *q);

/* ---- who had a CPU ---- */

struct cpu_run {
	uint64_t begin, end;
	uint32_t tid; /* 0 = idle */
};

struct cpu {
	struct vec runs; /* struct cpu_run, by time */
	uint64_t since_ns;
	uint32_t tid; /* from since_ns on, until something else is seen */
	bool known;
};

struct cpus {
	struct cpu *cpu;
	uint32_t cnt;
};

void cpus__switch(struct cpus *c, uint32_t cpu, const struct ev_switch *sw, uint64_t keep_ns);
void cpus__trim(struct cpus *c, uint64_t ns);
void cpus__free(struct cpus *c);

/*
 * Who had `cpu` at `ns`, and until when (at most `*until`); false = not seen, then `*until` is
 * where that changes.
 */
bool cpus__at(const struct cpus *c, uint32_t cpu, uint64_t ns, uint32_t *tid, uint64_t *until);

#endif
