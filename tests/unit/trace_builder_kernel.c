// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The part of the builder for what the kernel does beside a thread: work items, interrupts, locks. */
#include <stdio.h>
#include <string.h>

#include "trace_builder_internal.h"

/* ---- work items ---- */

static void work(struct trace_builder *b, uint32_t tid, enum fp_work act, uint64_t work,
		 const char *func, enum ev_ctx ctx, uint32_t rq)
{
	struct ev_work e = { .h = hdr(b, EV_WORK, tid, sizeof(e)),
			     .work = work,
			     .func = tb_func(b, func),
			     .cause = FP_ID(rq),
			     .act = (uint16_t)act };

	e.h.ctx = (uint8_t)ctx;
	emit(b, &e.h);
}

void tb_work_queue(struct trace_builder *b, uint32_t tid, uint64_t item, const char *func)
{
	work(b, tid, FP_WORK_QUEUE, item, func, EV_CTX_TASK, 0);
}

void tb_work_queue_io(struct trace_builder *b, uint32_t rq, uint64_t item, const char *func)
{
	work(b, 0, FP_WORK_QUEUE, item, func, EV_CTX_SOFTIRQ, rq);
}

void tb_work_queue_ctx(struct trace_builder *b, uint32_t current, uint64_t item, const char *func,
		       enum ev_ctx ctx, uint32_t rq)
{
	work(b, current, FP_WORK_QUEUE, item, func, ctx, rq);
}

void tb_work_start(struct trace_builder *b, uint32_t worker, uint64_t item, const char *func)
{
	work(b, worker, FP_WORK_START, item, func, EV_CTX_TASK, 0);
}

void tb_work_end(struct trace_builder *b, uint32_t worker, uint64_t item, const char *func)
{
	work(b, worker, FP_WORK_END, item, func, EV_CTX_TASK, 0);
}

/* ---- interrupts, timers, quotas ---- */

static void span_ctx(struct trace_builder *b, uint32_t tid, enum fp_span op, uint64_t begin_ns,
		     uint64_t ino, uint16_t value, enum ev_ctx ctx)
{
	struct ev_span e = { .h = hdr(b, EV_SPAN, tid, sizeof(e)),
			     .begin_ns = tb_abs(b, begin_ns),
			     .ino = ino,
			     .op = (uint16_t)op,
			     .value_lo = value };

	e.h.ctx = (uint8_t)ctx;
	emit(b, &e.h);
}

void tb_irq(struct trace_builder *b, uint32_t tid, uint64_t begin_ns, uint16_t irq)
{
	span_ctx(b, tid, FP_SPAN_IRQ, begin_ns, 0, irq, EV_CTX_HARDIRQ);
}

void tb_softirq(struct trace_builder *b, uint32_t tid, uint64_t begin_ns, uint16_t vector)
{
	span_ctx(b, tid, FP_SPAN_SOFTIRQ, begin_ns, 0, vector, EV_CTX_SOFTIRQ);
}

void tb_wake_timer(struct trace_builder *b, uint32_t wakee, const char *func)
{
	tb_wake_ctx(b, 0, wakee, EV_CTX_HARDIRQ, EV_WAKE_BY_TIMER, tb_func(b, func));
}

void tb_resume_throttled(struct trace_builder *b, uint32_t tid, uint32_t run_delay_ns)
{
	tb_switch(b, 0, 0, tid, EV_SWITCH_RUN_DELAY | EV_SWITCH_THROTTLED, 0, run_delay_ns);
}

/* ---- locks and inodes ---- */

void tb_lock(struct trace_builder *b, uint32_t tid, uint64_t begin_ns, uint64_t lock,
	     uint16_t flags)
{
	span_ctx(b, tid, FP_SPAN_LOCK, begin_ns, lock, flags, EV_CTX_TASK);
}

void tb_inode_dirty(struct trace_builder *b, uint32_t tid, uint32_t dev, uint64_t ino)
{
	tb_point(b, tid, FP_POINT_INODE_DIRTY, dev, ino, 0, 0);
}

void tb_inode_dirty_by(struct trace_builder *b, uint32_t tid, enum fp_sys call, uint32_t dev,
		       uint64_t ino)
{
	tb_point(b, tid, FP_POINT_INODE_DIRTY, dev, ino, call, 0);
}

void tb_inode_deleted(struct trace_builder *b, uint32_t tid, uint32_t dev, uint64_t ino,
		      uint32_t blocks)
{
	tb_point(b, tid, FP_POINT_EXT4_TRUNCATE_ALL, dev, ino, blocks, 1);
}

/* ---- blocks in advance ---- */

void tb_extents(struct trace_builder *b, uint32_t tid, const char *who, enum fp_extents act,
		enum fp_sys call, uint32_t dev, uint64_t ino, uint64_t bytes, const char *path)
{
	const char *slash = strrchr(path, '/');
	struct ev_extents e = { .h = hdr(b, EV_EXTENTS, tid, sizeof(e)),
				.ino = ino,
				.bytes = bytes,
				.held_bytes = act == FP_EXTENTS_MADE ? bytes + 4096 : 0,
				.dev = dev,
				.tgid = tid,
				.act = (uint16_t)act,
				.call = (uint8_t)call,
				.block_bits = 12 };

	snprintf(e.comm, sizeof(e.comm), "%s", who);
	snprintf(e.name, sizeof(e.name), "%s", slash ? slash + 1 : path);
	if (slash)
		snprintf(e.dir, sizeof(e.dir), "%.*s", (int)(slash - path), path);
	emit(b, &e.h);
}
