// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Who runs where, who waits, who wakes whom. The hooks that every process of the host pays for
 * are here: what is not of interest leaves after two look-ups in an array.
 */
#include "kthreads.bpf.h"
#include "stacks.bpf.h"

/* What stands in a runqueue this long is worth knowing the reason of. */
#define LONG_DELAY_NS 1000000

/* A sleep that lasted: the stack of `next`, which is still the one that it slept on. */
static __always_inline u64 switch_in_stack(struct task_struct *next, struct thread *th, u64 ts_ns,
					   bool *lasted)
{
	u64 sleep_ns = th->sleep_ns;

	if (!sleep_ns)
		return 0;
	th->sleep_ns = 0;
	if (!cfg_min_sleep_ns || ts_ns - sleep_ns < cfg_min_sleep_ns)
		return 0;
	th->ustack_ns = sleep_ns;
	*lasted = true;
	return kstack_of(next, next->pid, EV_CTX_TASK, ts_ns);
}

/* How long `next` stood in the runqueue, and why if that was long. */
static __always_inline u32 switch_in_delay(struct task_struct *next, const struct thread *th,
					   u16 *flags)
{
	u64 delay_ns = next->sched_info.run_delay - th->run_delay_ns;
	u64 queued_ns = next->sched_info.last_queued, clock;

	if (!queued_ns)
		return 0;
	clock = rq_clock(next);
	if (!clock)
		return 0;
	if (clock > queued_ns)
		delay_ns += clock - queued_ns;
	*flags |= EV_SWITCH_RUN_DELAY;
	if (delay_ns >= LONG_DELAY_NS && task_throttled(next) > th->throttled)
		*flags |= EV_SWITCH_THROTTLED;
	return saturate32(delay_ns);
}

static __always_inline void emit_sleep_ustack(u32 tid, u64 sleep_ns, u64 id, u64 ts_ns)
{
	struct ev_sleep_ustack *e;

	if (!id)
		return;
	e = ev_reserve(EV_SLEEP_USTACK, sizeof(*e), tid, EV_CTX_TASK, ts_ns);
	if (!e)
		return;
	e->sleep_ns = sleep_ns;
	e->ustack_id = id;
	ev_submit(e);
}

/* Stamps the begin of a sleep; with --min-sleep 0 takes both stacks here. */
static __always_inline u64 switch_out(void *ctx, struct task_struct *prev, u32 prev_tid, u32 kind,
				      bool sleeps, u64 ts_ns)
{
	struct thread *th;
	u64 id;

	th = bpf_task_storage_get(&threads, prev, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!th)
		return 0;
	th->run_delay_ns = prev->sched_info.run_delay;
	th->sleep_ns = sleeps ? ts_ns : 0;
	if (!sleeps)
		th->throttled = task_throttled(prev);
	if (!sleeps || cfg_min_sleep_ns)
		return 0;
	id = kstack_current(ctx, prev_tid, EV_CTX_TASK, ts_ns);
	if ((kind & INTEREST_TARGET) && !(prev->flags & PF_KTHREAD))
		emit_sleep_ustack(prev_tid, ts_ns,
				  ustack_current(ctx, prev->tgid, prev_tid, EV_CTX_TASK, ts_ns),
				  ts_ns);
	return id;
}

/* Follows a thread until FP_NEIGHBOURS others were adopted after it. */
static __always_inline void neighbour_add(u32 tid)
{
	u32 slot = __sync_fetch_and_add(&neighbour_next, 1) % FP_NEIGHBOURS;
	u32 *owner = bpf_map_lookup_elem(&neighbours, &slot);

	if (!owner)
		return;
	if (*owner)
		interest_clear(*owner, INTEREST_NEIGHBOUR);
	*owner = tid;
	interest_set(tid, INTEREST_NEIGHBOUR);
}

/* Our own thread is awake for a moment: who had the CPU before is who holds it. */
static __always_inline void remember_displaced(struct task_struct *prev, u32 kind_prev)
{
	struct cpu_state *cpu = this_cpu();

	if (!cpu || prev->tgid == cfg_own_tgid)
		return;
	cpu->displaced_tid = kind_prev ? 0 : prev->pid;
	cpu->displaced_tgid = prev->tgid;
	fill_comm(cpu->displaced_comm, prev->comm);
}

static __always_inline void adopt_displaced(u64 ts_ns)
{
	struct cpu_state *cpu = this_cpu();
	struct ev_task_state *e;

	if (!cpu || !cpu->displaced_tid || interest_of(cpu->displaced_tid))
		return;
	neighbour_add(cpu->displaced_tid);
	e = ev_reserve(EV_TASK, sizeof(*e), cpu->displaced_tid, EV_CTX_TASK, ts_ns);
	if (!e)
		return;
	e->kstack_id = 0;
	e->tgid = cpu->displaced_tgid;
	e->state = 0;
	e->flags = 0;
	__builtin_memcpy(e->comm, cpu->displaced_comm, FP_COMM_LEN);
	ev_submit(e);
}

/*
 * A target waited long for the CPU that this thread had: who it is must be known. One that ends, or
 * we ourselves, is only named.
 */
static __always_inline void adopt_occupant(struct task_struct *prev, u32 prev_state, u64 ts_ns)
{
	if (!prev->pid)
		return;
	if (prev->tgid == cfg_own_tgid)
		adopt_displaced(ts_ns);
	else if (!(prev_state & TASK_DEAD))
		neighbour_add(prev->pid);
	emit_task_state(prev, 0, 0, 0, ts_ns);
}

/* Stacks come first: the verifier walks their loops once for each value that flags may have. */
static __always_inline void emit_switch(void *ctx, bool preempt, struct task_struct *prev,
					struct task_struct *next, u32 prev_state, u32 kind_prev,
					u32 kind_next)
{
	u32 prev_tid = prev->pid, next_tid = next->pid, delay_ns = 0;
	bool sleeps, lasted = false;
	u64 ts_ns = bpf_ktime_get_ns(), kstack_id = 0;
	struct thread *th = NULL;
	struct ev_switch *e;
	u16 flags = 0;

	if (kind_next)
		th = bpf_task_storage_get(&threads, next, 0, 0);
	if (th)
		kstack_id = switch_in_stack(next, th, ts_ns, &lasted);
	hide_value(prev_state);
	sleeps = prev_state && !preempt;
	if (kind_prev) {
		u64 id = switch_out(ctx, prev, prev_tid, kind_prev, sleeps, ts_ns);

		if (!kstack_id)
			kstack_id = id;
		if (BPF_CORE_READ_BITFIELD(prev, in_iowait))
			flags |= EV_SWITCH_PREV_IOWAIT;
	}
	if (kind_next && BPF_CORE_READ_BITFIELD(next, in_iowait))
		flags |= EV_SWITCH_NEXT_IOWAIT;
	if (lasted)
		flags |= EV_SWITCH_STACK_NEXT;
	if (preempt)
		flags |= EV_SWITCH_PREEMPT;
	if (th)
		delay_ns = switch_in_delay(next, th, &flags);
	e = ev_reserve(EV_SWITCH, sizeof(*e), prev_tid, EV_CTX_TASK, ts_ns);
	if (!e)
		return;
	e->next_tid = next_tid;
	e->prev_state = prev_state;
	e->flags = flags;
	e->kstack_id = kstack_id;
	e->run_delay_ns = delay_ns;
	e->pad = 0;
	ev_submit(e);
	if (!kind_prev && (kind_next & INTEREST_TARGET) && delay_ns >= LONG_DELAY_NS)
		adopt_occupant(prev, prev_state, ts_ns);
}

static __always_inline int on_switch(void *ctx, bool preempt, struct task_struct *prev,
				     struct task_struct *next, u32 prev_state)
{
	u32 kind_prev = interest_of(prev->pid), kind_next = interest_of(next->pid);

	if (kind_prev | kind_next)
		emit_switch(ctx, preempt, prev, next, prev_state, kind_prev, kind_next);
	if (next->tgid == cfg_own_tgid)
		remember_displaced(prev, kind_prev);
	/* The last switch of a thread that exits: its id may be given to another one now. */
	if (kind_prev && (prev_state & TASK_DEAD))
		interest_clear(prev->pid, 3);
	return 0;
}

SEC("tp_btf/sched_switch")
int sched_switch(u64 *ctx)
{
	bool preempt = ctx[0];

	if (cfg_switch_state_arg == SWITCH_STATE_SECOND)
		return on_switch(ctx, preempt, (void *)ctx[2], (void *)ctx[3], ctx[1]);
	if (cfg_switch_state_arg == SWITCH_STATE_LAST)
		return on_switch(ctx, preempt, (void *)ctx[1], (void *)ctx[2], ctx[3]);
	return on_switch(ctx, preempt, (void *)ctx[1], (void *)ctx[2], task_state((void *)ctx[1]));
}

/*
 * A foreign process is followed only if it woke a target itself, or a busy one would draw in the
 * whole host; a kernel thread that was not followed from the start, whomever it woke.
 */
static __always_inline void adopt_waker(u32 wakee_kind, u64 ts_ns)
{
	struct task_struct *waker = bpf_get_current_task_btf();
	u32 tid = waker->pid;

	if (!tid || waker->tgid == cfg_own_tgid || interest_of(tid))
		return;
	if (!(waker->flags & PF_KTHREAD) && !(wakee_kind & INTEREST_TARGET))
		return;
	neighbour_add(tid);
	emit_task_state(waker, 0, 0, 0, ts_ns);
}

/* The wait for a CPU begins here, also for the quota of its group. */
static __always_inline void remember_quota(struct task_struct *wakee)
{
	u64 throttled = task_throttled(wakee);
	struct thread *th;

	if (!throttled)
		return;
	th = bpf_task_storage_get(&threads, wakee, 0, 0);
	if (th)
		th->throttled = throttled;
}

SEC("tp_btf/sched_waking")
int sched_waking(u64 *ctx)
{
	struct task_struct *wakee = (void *)ctx[0];
	u32 wakee_tid = wakee->pid, kind = interest_of(wakee_tid), tid;
	struct ev_wake *e;
	u64 ts_ns, cause;
	u16 flags = 0;
	u8 in;

	if (!kind)
		return 0;
	ts_ns = bpf_ktime_get_ns();
	in = current_ctx();
	tid = current_tid();
	if (in == EV_CTX_TASK)
		adopt_waker(kind, ts_ns);
	if (kind & INTEREST_TARGET)
		remember_quota(wakee);
	cause = completing_request(tid, in, ts_ns);
	if (cause) {
		flags = EV_WAKE_BY_IO;
	} else {
		cause = expiring_timer(in);
		flags = cause ? EV_WAKE_BY_TIMER : 0;
	}
	/* Our own hand in it (starting the command, opening its pipe) is nobody's wake. */
	if (bpf_get_current_pid_tgid() >> 32 == cfg_own_tgid && in == EV_CTX_TASK) {
		tid = 0;
		in = EV_CTX_UNKNOWN;
	}
	e = ev_reserve(EV_WAKE, sizeof(*e), tid, in, ts_ns);
	if (!e)
		return 0;
	e->wakee_tid = wakee_tid;
	e->target_cpu = task_cpu(wakee);
	e->flags = flags;
	e->cause = cause;
	ev_submit(e);
	return 0;
}

static __always_inline void emit_task(u8 kind, u32 about_tid, struct task_struct *task)
{
	struct ev_task *e = ev_reserve(kind, sizeof(*e), about_tid, EV_CTX_TASK,
				       bpf_ktime_get_ns());

	if (!e)
		return;
	e->tid = task->pid;
	e->tgid = task->tgid;
	fill_comm(e->comm, task->comm);
	ev_submit(e);
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(sched_process_fork, struct task_struct *parent, struct task_struct *child)
{
	if (parent->pid == KTHREADD_PID) {
		if (kthread_is_followed(child)) {
			interest_set(child->pid, INTEREST_NEIGHBOUR);
			emit_task_state(child, 0, 0, 0, bpf_ktime_get_ns());
		}
		return 0;
	}
	if (!(interest_of(parent->pid) & INTEREST_TARGET))
		return 0;
	if (parent->tgid != child->tgid && !follow_forks)
		return 0;
	interest_set(child->pid, INTEREST_TARGET);
	emit_task(EV_FORK, parent->pid, child);
	return 0;
}

/* It still runs to its last switch; only there the interest in it ends. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(sched_process_exit, struct task_struct *task)
{
	if (interest_of(task->pid))
		emit_task(EV_EXIT, task->pid, task);
	return 0;
}

/* A thread that execs takes over the id of its group's leader. */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(sched_process_exec, struct task_struct *task, u32 old_tid)
{
	if (old_tid != task->pid && (interest_of(old_tid) & INTEREST_TARGET)) {
		interest_clear(old_tid, 3);
		interest_set(task->pid, INTEREST_TARGET);
	}
	if (interest_of(task->pid))
		emit_task(EV_EXEC, task->pid, task);
	return 0;
}

/* Threads name themselves after they were born: without this every vCPU is "labvmm". */
SEC("tp_btf/task_rename")
int BPF_PROG(task_rename, struct task_struct *task, const char *name)
{
	struct ev_task *e;

	if (!interest_of(task->pid))
		return 0;
	e = ev_reserve(EV_EXEC, sizeof(*e), task->pid, EV_CTX_TASK, bpf_ktime_get_ns());
	if (!e)
		return 0;
	e->tid = task->pid;
	e->tgid = task->tgid;
	fill_comm(e->comm, name);
	ev_submit(e);
	return 0;
}
