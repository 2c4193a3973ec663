/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Builds a trace from calls that read like the story it tells, on top of the real writer.
 *
 *	struct trace_builder *b = tb__open(NULL, 2);            // 2 CPUs, a file below $TMPDIR
 *
 *	tb_thread(b, 100, 100, "fc_api", FP_TASK_TARGET);
 *	tb_at(b, 10 * TB_MS);
 *	tb_block(b, 100, TB_UNINTERRUPTIBLE);                   // leaves CPU 0 at 10 ms
 *	tb_pass(b, 5 * TB_MS);
 *	tb_wake_io(b, 100, 7);                                  // woken by request 7 at 15 ms
 *	tb_resume(b, 100, "io_schedule;rq_qos_wait;wbt_wait", 2000);
 *	tb_syscall(b, 100, FP_SYS_FSYNC, 9 * TB_MS, 5, 0);      // entered at 9 ms, fd 5, returned 0
 *	tb_run(b, 1, 1, 8 * TB_MS, 20 * TB_MS, 12 * TB_MS);
 *	assert_int_equal(tb__finish(b), 0);
 *	analyze__trace(tb__path(b), ...);
 *	tb__free(b);                                            // removes the file
 *
 * There is a cursor: every record gets its time (and the current CPU). All times given are in ns
 * since the trace's start; tb_abs() turns one into what stands in the file. Records of one CPU
 * must be given in order of time, as the kernel does. Errors stick and come from tb__finish().
 *
 * Stacks are function names, innermost first, separated by ';'. The builder makes up addresses
 * and writes the matching symbol chunks. NULL or "" is "no stack" (id 0).
 */
#ifndef FLATPAUSE_TESTS_TRACE_BUILDER_H
#define FLATPAUSE_TESTS_TRACE_BUILDER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "../../bpf/abi.h"
#include "../../user/trace/format.h"

#define TB_US		   1000ull
#define TB_MS		   1000000ull
#define TB_S		   1000000000ull

#define TB_START_NS	   1000000000000ull /* what tb_abs(b, 0) is */
#define TB_START_REAL_NS   1700000000000000000ull

#define TB_INTERRUPTIBLE   1 /* TASK_* bits of prev_state */
#define TB_UNINTERRUPTIBLE 2

struct trace_builder;

/* `path` NULL: a fresh file below $TMPDIR. NULL if that is impossible. */
struct trace_builder *tb__open(const char *path, uint32_t cpus_cnt);
struct trace_builder *tb__open_compressed(const char *path, uint32_t cpus_cnt);

/* Writes what was collected (symbols, maps, descriptors, runs, marks, loss) and REC_END. */
int tb__finish(struct trace_builder *b);
int tb__finish_reason(struct trace_builder *b, int reason);

/* As a recording that was killed: what was collected is written, but no REC_END. */
int tb__cut(struct trace_builder *b);

const char *tb__path(const struct trace_builder *b);

/* Frees; removes the file if tb__open() chose its name. NULL is fine. */
void tb__free(struct trace_builder *b);

/* ---- the cursor ---- */

void tb_at(struct trace_builder *b, uint64_t ns);
void tb_pass(struct trace_builder *b, uint64_t ns);
void tb_cpu(struct trace_builder *b, uint32_t cpu);
uint64_t tb_now(const struct trace_builder *b); /* since start */
uint64_t tb_abs(const struct trace_builder *b, uint64_t ns);

/* ---- threads ---- */

/* A thread as found when recording began; runnable, or asleep on `kstack`. */
void tb_thread(struct trace_builder *b, uint32_t tid, uint32_t tgid, const char *comm,
	       uint16_t flags);
void tb_sleeper(struct trace_builder *b, uint32_t tid, uint32_t tgid, const char *comm,
		uint16_t flags, uint16_t state, const char *kstack);
void tb_fork(struct trace_builder *b, uint32_t parent, uint32_t tid, uint32_t tgid,
	     const char *comm);
void tb_exit(struct trace_builder *b, uint32_t tid, uint32_t tgid, const char *comm);
void tb_exec(struct trace_builder *b, uint32_t tid, uint32_t tgid, const char *comm);

/* ---- scheduling ---- */

/* The whole record: the others are short for it. */
void tb_switch(struct trace_builder *b, uint32_t prev, uint16_t prev_state, uint32_t next,
	       uint16_t flags, uint64_t kstack_id, uint32_t run_delay_ns);

void tb_block(struct trace_builder *b, uint32_t tid, uint16_t state);	/* tid -> idle, asleep */
void tb_preempt(struct trace_builder *b, uint32_t prev, uint32_t next); /* prev stays runnable */
void tb_run_thread(struct trace_builder *b, uint32_t tid); /* idle -> tid, no stack, no delay */

/* idle -> tid after a sleep on `kstack`, having stood in the runqueue for run_delay_ns. */
void tb_resume(struct trace_builder *b, uint32_t tid, const char *kstack, uint32_t run_delay_ns);

void tb_wake(struct trace_builder *b, uint32_t waker, uint32_t wakee);
void tb_wake_ctx(struct trace_builder *b, uint32_t current, uint32_t wakee, enum ev_ctx ctx,
		 uint16_t flags, uint64_t cause);
void tb_wake_io(struct trace_builder *b, uint32_t wakee, uint32_t rq); /* by a completion */
void tb_wake_timer(struct trace_builder *b, uint32_t wakee, const char *func);

/* idle -> tid, which stood in the runqueue for run_delay_ns because its group was out of quota. */
void tb_resume_throttled(struct trace_builder *b, uint32_t tid, uint32_t run_delay_ns);

/* ---- stacks ---- */

uint64_t tb_kstack(struct trace_builder *b, const char *names);
uint64_t tb_func(struct trace_builder *b, const char *name); /* the address of a kernel function */
uint64_t tb_ustack(struct trace_builder *b, uint32_t tgid, const char *names);
void tb_sleep_ustack(struct trace_builder *b, uint32_t tid, uint64_t sleep_ns, uint32_t tgid,
		     const char *names);
void tb_sample(struct trace_builder *b, uint32_t tid, uint32_t tgid, const char *kstack,
	       const char *ustack);

/* ---- system calls: the cursor is their exit ---- */

void tb_syscall(struct trace_builder *b, uint32_t tid, enum fp_sys cls, uint64_t enter_ns, int fd,
		int64_t ret);
void tb_syscall_open(struct trace_builder *b, uint32_t tid, enum fp_sys cls, uint64_t enter_ns,
		     int fd); /* still running when recording ended */
void tb_syscall_args(struct trace_builder *b, uint32_t tid, enum fp_sys cls, uint64_t enter_ns,
		     int fd, int64_t ret, uint64_t a0, uint64_t a1, uint64_t a2);
void tb_open(struct trace_builder *b, uint32_t tid, uint64_t enter_ns, const char *path,
	     uint32_t oflags, uint32_t dev, uint64_t ino, int fd);
void tb_futex(struct trace_builder *b, uint32_t tid, uint64_t enter_ns, uint64_t uaddr, uint32_t op,
	      int ret);
void tb_rename(struct trace_builder *b, uint32_t tid, const char *from, const char *to, int ret);
void tb_api(struct trace_builder *b, uint32_t tid, int fd, const char *request);

/* ---- subsystems ---- */

void tb_span(struct trace_builder *b, uint32_t tid, enum fp_span op, uint64_t begin_ns,
	     uint32_t dev, uint64_t ino, uint16_t value);
void tb_point(struct trace_builder *b, uint32_t tid, enum fp_point op, uint32_t dev, uint64_t id,
	      uint32_t a, uint32_t arg_b);
void tb_bio(struct trace_builder *b, uint32_t tid, enum fp_bio act, uint32_t id, uint32_t dev,
	    uint64_t sector, uint32_t bytes, uint32_t opf);
void tb_rq(struct trace_builder *b, uint32_t tid, enum fp_rq act, uint32_t id, uint32_t dev,
	   uint64_t sector, uint32_t bytes, uint32_t opf);
void tb_dirty(struct trace_builder *b, uint32_t tid, uint32_t dev, uint32_t limit_pages,
	      uint32_t dirty_pages, uint32_t bdi_limit_pages, uint32_t bdi_dirty_pages,
	      uint16_t pause_ms);
void tb_inode_dirty(struct trace_builder *b, uint32_t tid, uint32_t dev, uint64_t ino);
/*
 * Blocks in advance, or their loss, with 4 KiB blocks: `who` is the name of `tid`; `path` has two names
 * at most, as the kernel side tells them.
 */
void tb_extents(struct trace_builder *b, uint32_t tid, const char *who, enum fp_extents act,
		enum fp_sys call, uint32_t dev, uint64_t ino, uint64_t bytes, const char *path);
void tb_inode_dirty_by(struct trace_builder *b, uint32_t tid, enum fp_sys call, uint32_t dev,
		       uint64_t ino);
void tb_inode_deleted(struct trace_builder *b, uint32_t tid, uint32_t dev, uint64_t ino,
		      uint32_t blocks);
void tb_lock(struct trace_builder *b, uint32_t tid, uint64_t begin_ns, uint64_t lock,
	     uint16_t flags); /* waited for since begin_ns, got at the cursor */

/* What took the CPU from `tid` since begin_ns; the cursor is where it got it back. */
void tb_irq(struct trace_builder *b, uint32_t tid, uint64_t begin_ns, uint16_t irq);
void tb_softirq(struct trace_builder *b, uint32_t tid, uint64_t begin_ns, uint16_t vector);

/*
 * A work item by its address: queued by `tid`, or by a completion (tid 0, `rq`) in softirq; then
 * executed by a worker from start to end.
 */
void tb_work_queue(struct trace_builder *b, uint32_t tid, uint64_t work, const char *func);
void tb_work_queue_io(struct trace_builder *b, uint32_t rq, uint64_t work, const char *func);
void tb_work_queue_ctx(struct trace_builder *b, uint32_t current, uint64_t work, const char *func,
		       enum ev_ctx ctx, uint32_t rq);
void tb_work_start(struct trace_builder *b, uint32_t worker, uint64_t work, const char *func);
void tb_work_end(struct trace_builder *b, uint32_t worker, uint64_t work, const char *func);
void tb_lost(struct trace_builder *b, uint64_t from_ns, uint64_t records);

/* Any record, as it is; its time is set if it is 0. For what has no call of its own. */
void tb_event(struct trace_builder *b, void *ev);

/* ---- what is not an event; written by tb__finish() ---- */

/* As REC_META: a JSON object; the last call counts. */
void tb_meta(struct trace_builder *b, const char *json);
void tb_cost(struct trace_builder *b, const char *json);

/* One run of the BRANCH command; reported_ns may be REC_NS_NONE. */
void tb_run(struct trace_builder *b, uint32_t sweep, uint32_t index, uint64_t begin_ns,
	    uint64_t end_ns, uint64_t reported_ns);
void tb_run_full(struct trace_builder *b, const struct rec_run *run); /* times since start */

void tb_mark(struct trace_builder *b, enum rec_mark_kind kind, const char *label); /* at cursor */
void tb_mark_by(struct trace_builder *b, enum rec_mark_kind kind, const char *label, uint32_t pid);
void tb_map(struct trace_builder *b, uint32_t tgid, uint64_t start, uint64_t end, uint32_t prot,
	    uint64_t offset, const char *path);
void tb_fd(struct trace_builder *b, uint32_t tgid, int fd, uint32_t dev, uint64_t ino,
	   uint32_t oflags, const char *path);
/* `name` is the file of .data and .bss; `tid` the thread of a stack. */
void tb_region(struct trace_builder *b, uint32_t tgid, enum rec_region_kind kind, uint64_t start,
	       uint64_t end, uint32_t tid, const char *name);
void tb_loss(struct trace_builder *b, uint32_t cpu, uint64_t records, uint64_t first_ns,
	     uint64_t last_ns);

#endif
