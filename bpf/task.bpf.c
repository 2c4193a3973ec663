// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A walk over all threads: adopts a process as target, tells what stood when recording began (a
 * thread that sleeps throughout would else never be seen), and what was still open at its end.
 */
#include "kthreads.bpf.h"
#include "stacks.bpf.h"

static __always_inline void adopt(struct task_struct *task)
{
	if (interest_of(task->pid) & INTEREST_TARGET)
		return;
	interest_set(task->pid, INTEREST_TARGET);
	iter_found++;
}

/* The sleep began before we came: its begin is not known, its stack and its call are. */
static __always_inline void remember_sleeper(struct task_struct *task, u64 ts_ns)
{
	struct thread *th = bpf_task_storage_get(&threads, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!th || th->sleep_ns)
		return;
	th->sleep_ns = ts_ns;
	th->run_delay_ns = BPF_CORE_READ(task, sched_info.run_delay);
}

static __always_inline void tell_task(struct task_struct *task, u32 kind, u64 ts_ns)
{
	u32 state = task_state(task), flags = kind & INTEREST_TARGET ? FP_TASK_TARGET : 0;
	bool kthread = task->flags & PF_KTHREAD;
	u64 id = 0;

	if (task->tgid == cfg_own_tgid || (!kind && (!kthread || iter_tgid)))
		return;
	/* An idle kernel thread is told by its name; one that waits in earnest by its stack. */
	if (state &&
	    (kind || (state & (TASK_UNINTERRUPTIBLE | TASK_NOLOAD)) == TASK_UNINTERRUPTIBLE))
		id = kstack_of(task, task->pid, SCRATCH_ITER, ts_ns);
	if (state && kind)
		remember_sleeper(task, ts_ns);
	emit_task_state(task, state, flags, id, ts_ns);
}

static __always_inline void tell_open_call(struct task_struct *task, u64 ts_ns)
{
	struct thread *th = bpf_task_storage_get(&threads, task, 0, 0);
	struct ev_syscall e = {};

	if (!th || !th->enter_ns || !(interest_of(task->pid) & INTEREST_TARGET))
		return;
	ev_header(&e.h, EV_SYSCALL, sizeof(e), task->pid, EV_CTX_TASK, ts_ns);
	e.enter_ns = th->enter_ns;
	e.nr = th->nr;
	e.cls = th->desc.cls;
	e.fd = th->desc.fd_arg < 4 ? (s32)th->args[th->desc.fd_arg & 3] : -1;
	e.flags = EV_FLAG_OPEN;
	ev_output(&e, sizeof(e), ts_ns);
	if (e.cls == FP_SYS_FUTEX) {
		struct ev_futex f = {};

		ev_header(&f.h, EV_FUTEX, sizeof(f), task->pid, EV_CTX_TASK, ts_ns);
		f.enter_ns = th->enter_ns;
		f.uaddr = th->args[0];
		f.op = th->args[1];
		f.ret = FP_FUTEX_OPEN;
		ev_output(&f, sizeof(f), ts_ns);
	}
}

static __always_inline void tell_open_spans(struct task_struct *task, u64 ts_ns)
{
	struct spans *s = bpf_task_storage_get(&spans, task, 0, 0);

	if (!s)
		return;
	for (u32 op = 1; op < FP_SPAN_END; op++) {
		struct ev_span e = {};

		if (!s->of[op].begin_ns)
			continue;
		ev_header(&e.h, EV_SPAN, sizeof(e), task->pid, EV_CTX_TASK, ts_ns);
		e.begin_ns = s->of[op].begin_ns;
		e.ino = s->of[op].ino;
		e.dev = s->of[op].dev;
		e.op = op | FP_SPAN_OPEN;
		e.value_lo = saturate16(s->of[op].value);
		ev_output(&e, sizeof(e), ts_ns);
	}
}

SEC("iter/task")
int task_walk(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	u32 kind;

	if (!task)
		return 0;
	kind = interest_of(task->pid);
	if (iter_tgid && task->tgid != iter_tgid)
		return 0;
	switch (iter_mode) {
	case ITER_ADOPT:
		adopt(task);
		break;
	case ITER_TASKS:
		if (!kind && !iter_tgid && kthread_is_followed(task)) {
			kind = INTEREST_NEIGHBOUR;
			interest_set(task->pid, kind);
		}
		tell_task(task, kind, bpf_ktime_get_ns());
		break;
	case ITER_OPEN:
		tell_open_call(task, end_ns);
		tell_open_spans(task, end_ns);
		break;
	}
	return 0;
}
