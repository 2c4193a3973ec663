// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Interrupts that take the CPU from a followed thread, and the timer function that runs: who wakes
 * a sleeper that no thread wakes. Every CPU has one hard and one soft interrupt at a time, so that
 * what is open stands in `cpus`: the hooks fire for everybody, and that is the cheapest place.
 */
#include "common.bpf.h"

/*
 * Shorter ones are part of what the thread did: most are, and a record costs a tenth of this. At
 * 10000 a second they hide at most 2 % of a thread's time.
 */
#define MIN_STOLEN_NS 2000

static __always_inline void emit_stolen(u32 op, u32 tid, u8 ctx, u64 begin_ns, u64 value)
{
	struct span span = { .begin_ns = begin_ns };
	u64 ts_ns = bpf_ktime_get_ns();

	if (ts_ns - begin_ns >= MIN_STOLEN_NS && recording == REC_ON)
		emit_span(&span, op, tid, ctx, ts_ns, value);
}

SEC("?tp_btf/irq_handler_entry")
int BPF_PROG(irq_handler_entry, int irq)
{
	u32 tid = current_tid();
	struct cpu_state *cpu;

	if (!interest_of(tid))
		return 0;
	cpu = this_cpu();
	if (!cpu)
		return 0;
	cpu->irq_tid = tid;
	cpu->irq_ns = bpf_ktime_get_ns();
	return 0;
}

SEC("?tp_btf/irq_handler_exit")
int BPF_PROG(irq_handler_exit, int irq)
{
	struct cpu_state *cpu = this_cpu();

	if (!cpu || !cpu->irq_ns)
		return 0;
	emit_stolen(FP_SPAN_IRQ, cpu->irq_tid, EV_CTX_HARDIRQ, cpu->irq_ns, irq);
	cpu->irq_ns = 0;
	return 0;
}

SEC("?tp_btf/softirq_entry")
int BPF_PROG(softirq_entry, unsigned int vector)
{
	u32 tid = current_tid();
	struct cpu_state *cpu;

	if (!interest_of(tid))
		return 0;
	cpu = this_cpu();
	if (!cpu)
		return 0;
	cpu->softirq_tid = tid;
	cpu->softirq_ns = bpf_ktime_get_ns();
	return 0;
}

/* Where softirqs are threads that can be preempted (PREEMPT_RT), another may end than began. */
SEC("?tp_btf/softirq_exit")
int BPF_PROG(softirq_exit, unsigned int vector)
{
	struct cpu_state *cpu = this_cpu();

	if (!cpu || !cpu->softirq_ns)
		return 0;
	if (cpu->softirq_tid == current_tid())
		emit_stolen(FP_SPAN_SOFTIRQ, cpu->softirq_tid, EV_CTX_SOFTIRQ, cpu->softirq_ns,
			    vector);
	cpu->softirq_ns = 0;
	return 0;
}

/* ---- timers ---- */

/* What was completed before in this context is over: wakes are the timer's from here on. */
static __always_inline void forget_completion(struct cpu_state *cpu, u32 ctx)
{
	if (cpu->completing_rq && cpu->completing_ctx == ctx)
		cpu->completing_rq = 0;
}

SEC("?tp_btf/hrtimer_expire_entry")
int BPF_PROG(hrtimer_expire_entry, struct hrtimer *timer)
{
	struct cpu_state *cpu = this_cpu();

	if (!cpu)
		return 0;
	if (timer->is_soft) {
		cpu->timer_soft = (u64)timer->function;
		forget_completion(cpu, EV_CTX_SOFTIRQ);
	} else {
		cpu->timer_hard = (u64)timer->function;
		forget_completion(cpu, EV_CTX_HARDIRQ);
	}
	return 0;
}

/* The timer itself may be gone or started anew; a hard one that ends leaves the soft one's be. */
SEC("?tp_btf/hrtimer_expire_exit")
int BPF_PROG(hrtimer_expire_exit)
{
	struct cpu_state *cpu = this_cpu();

	if (!cpu)
		return 0;
	if (cpu->timer_hard)
		cpu->timer_hard = 0;
	else
		cpu->timer_soft = 0;
	return 0;
}

SEC("?tp_btf/timer_expire_entry")
int BPF_PROG(timer_expire_entry, struct timer_list *timer)
{
	struct cpu_state *cpu = this_cpu();

	if (!cpu)
		return 0;
	cpu->timer_soft = (u64)timer->function;
	forget_completion(cpu, EV_CTX_SOFTIRQ);
	return 0;
}

SEC("?tp_btf/timer_expire_exit")
int BPF_PROG(timer_expire_exit)
{
	struct cpu_state *cpu = this_cpu();

	if (cpu)
		cpu->timer_soft = 0;
	return 0;
}
