// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Work items: who queued what a kworker executes, so that a wait behind a worker leads on to who
 * gave it its work. Of everybody: who will be waited for is not known when the work is queued, and
 * a worker whose item has no origin is where the path would end. Items are rarer than the requests
 * and switches that are recorded anyway.
 */
#include "common.bpf.h"

static __always_inline int emit_item(u32 act, void *work, void *func, u32 cause, u8 ctx, u64 ts_ns)
{
	struct ev_work *e = ev_reserve(EV_WORK, sizeof(*e), current_tid(), ctx, ts_ns);

	if (!e)
		return 0;
	e->work = (u64)work;
	e->func = (u64)func;
	e->cause = cause;
	e->act = act;
	e->pad = 0;
	ev_submit(e);
	return 0;
}

SEC("?tp_btf/workqueue_queue_work")
int BPF_PROG(workqueue_queue_work, int cpu, void *pool, struct work_struct *work)
{
	u64 ts_ns;
	u8 in;

	if (recording != REC_ON)
		return 0;
	ts_ns = bpf_ktime_get_ns();
	in = current_ctx();
	return emit_item(FP_WORK_QUEUE, work, work->func,
			 completing_request(current_tid(), in, ts_ns), in, ts_ns);
}

/* A worker, or with a BH workqueue the softirq that interrupted somebody: ctx tells. */
SEC("?tp_btf/workqueue_execute_start")
int BPF_PROG(workqueue_execute_start, struct work_struct *work)
{
	if (recording != REC_ON)
		return 0;
	return emit_item(FP_WORK_START, work, work->func, 0, current_ctx(), bpf_ktime_get_ns());
}

/*
 * The item may be free by now: its function comes as an argument, which the verifier lets nobody
 * read as such, for its type is that of a function.
 */
SEC("?tp_btf/workqueue_execute_end")
int workqueue_execute_end(u64 *ctx)
{
	void *func = NULL;

	if (recording != REC_ON)
		return 0;
	bpf_probe_read_kernel(&func, sizeof(func), ctx + 1);
	return emit_item(FP_WORK_END, (void *)ctx[0], func, 0, current_ctx(), bpf_ktime_get_ns());
}
