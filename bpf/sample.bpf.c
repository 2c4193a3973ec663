// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Where time on the CPU goes. The event is bound to CPUs, not to tasks (which would be scheduled
 * in and out at each switch, at 2.8 us each); what is not of interest is dropped here.
 */
#include "stacks.bpf.h"

SEC("perf_event")
int sample_cpu(void *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	u32 tid = task->pid, kind = interest_of(tid);
	u64 ts_ns, kstack_id, ustack_id = 0;
	struct ev_sample *e;

	if (!kind || recording != REC_ON)
		return 0;
	ts_ns = bpf_ktime_get_ns();
	/* The event itself comes as an interrupt: its scratch is that of interrupts. */
	kstack_id = kstack_current(ctx, tid, EV_CTX_HARDIRQ, ts_ns);
	if (!(task->flags & PF_KTHREAD))
		ustack_id = ustack_current(ctx, task->tgid, tid, EV_CTX_HARDIRQ, ts_ns);
	e = ev_reserve(EV_SAMPLE, sizeof(*e), tid, EV_CTX_TASK, ts_ns);
	if (!e)
		return 0;
	e->kstack_id = kstack_id;
	e->ustack_id = ustack_id;
	ev_submit(e);
	return 0;
}
