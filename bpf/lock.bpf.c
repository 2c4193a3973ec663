// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Waits of followed threads for a kernel lock: the exact begin and end, which lock, and whether it
 * was spun for. Pure spinlocks are left to the samples: nothing may be allocated under them.
 */
#include "common.bpf.h"

/* include/trace/events/lock.h */
#define LCB_F_SPIN  1
#define LCB_F_MUTEX 32

#define MIN_LOCK_NS 2000

static __always_inline bool is_spinlock(u32 flags)
{
	return (flags & (LCB_F_SPIN | LCB_F_MUTEX)) == LCB_F_SPIN;
}

static __always_inline struct span *open_lock(void)
{
	struct spans *s = bpf_task_storage_get(&spans, bpf_get_current_task_btf(), 0, 0);

	return s && s->of[FP_SPAN_LOCK].begin_ns ? &s->of[FP_SPAN_LOCK] : NULL;
}

/* A mutex is spun for first, and then begun a second time: one wait with the latter's flags. */
SEC("?tp_btf/contention_begin")
int BPF_PROG(contention_begin, void *lock, unsigned int flags)
{
	struct span *span;

	if (is_spinlock(flags) || !interest_of(current_tid()) || current_ctx() != EV_CTX_TASK)
		return 0;
	span = open_lock();
	if (span && span->ino == (u64)lock)
		span->value = flags;
	else
		span_begin(FP_SPAN_LOCK, (u64)lock, 0, flags);
	return 0;
}

SEC("?tp_btf/contention_end")
int BPF_PROG(contention_end, void *lock)
{
	struct span *span;
	u64 ts_ns;

	if (!interest_of(current_tid()))
		return 0;
	span = open_lock();
	if (!span || span->ino != (u64)lock || recording == REC_ENDING)
		return 0;
	ts_ns = bpf_ktime_get_ns();
	if (ts_ns - span->begin_ns >= MIN_LOCK_NS)
		emit_span(span, FP_SPAN_LOCK, current_tid(), EV_CTX_TASK, ts_ns, span->value);
	span->begin_ns = 0;
	return 0;
}
