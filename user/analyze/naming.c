// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* From a piece of a thread's time to the name of its cause. */
#include "analysis.h"

static const char *name_without_cause(const struct analysis *a, const struct piece *p)
{
	const struct seg *s = p->seg;

	if (s && s->kstack != STACK_NONE)
		return "unknown.stack";
	if (s && (s->flags & SEG_PRETRACE))
		return "unknown.pretrace";
	/* Below --min-sleep no stack is taken: that is no loss, and has its own name. */
	if (s && !(s->flags & SEG_OPEN) && s->end - s->begin < a->min_sleep_ns)
		return "unknown.short_sleep";
	return "unknown.no_stack";
}

const char *name_blocked(const struct analysis *a, const struct thread *t, const struct piece *p)
{
	struct probe_context ctx;
	const struct cause *cause;

	piece__context(p, t, &ctx);
	cause = stacks__classify(a->stacks, p->seg ? p->seg->kstack : STACK_NONE, &ctx);
	return cause ? cause->id : name_without_cause(a, p);
}

const char *name_running(const struct analysis *a, const struct thread *t, const struct piece *p,
			 bool *sampled)
{
	struct probe_context ctx;
	const struct cause *cause;

	*sampled = false;
	if (p->irq)
		return "cpu.irq_steal";
	if (p->spans & 1u << FP_SPAN_LOCK) /* it does not sleep: it spins */
		return "lock.spin";
	if (!p->in_kernel) { /* but for faults, and syscalls of others: samples tell */
		*sampled = true;
		return "user.cpu";
	}
	piece__context(p, t, &ctx);
	cause = stacks__classify(a->stacks, STACK_NONE, &ctx);
	/* A span is exact; a syscall only says what it is probably about. */
	*sampled = (p->spans & ~1u) == 0;
	return cause ? cause->id : "kernel.cpu_other";
}

/* Outside of calls the kernel runs for faults, and for interrupts, which are not the thread's. */
static bool in_fault(const struct analysis *a, uint32_t kstack)
{
	uint32_t cnt;
	const char *const *names = stacks__kernel_names(a->stacks, kstack, &cnt);

	for (uint32_t i = 0; i < cnt; i++)
		if (frame_is(names[i], "exc_page_fault") ||
		    frame_is(names[i], "asm_exc_page_fault") ||
		    frame_is(names[i], "handle_mm_fault"))
			return true;
	return false;
}

const char *name_sample(const struct analysis *a, const struct thread *t, const struct piece *p,
			const struct sample *s)
{
	struct probe_context ctx;
	const struct cause *cause;

	if (s->kstack == STACK_NONE || (!p->in_kernel && t->target && !in_fault(a, s->kstack)))
		return "user.cpu";
	piece__context(p, t, &ctx);
	cause = stacks__classify(a->stacks, s->kstack, &ctx);
	return cause ? cause->id : "kernel.cpu_other";
}

const char *name_unknown(const struct piece *p)
{
	switch (p->reason) {
	case REASON_LOST:
		return "unknown.lost";
	case REASON_PRETRACE:
		return "unknown.pretrace";
	case REASON_MISSED:
		return "unknown.missed_switch";
	default:
		return "unknown.no_thread";
	}
}

const char *name_occupant(const struct thread *by, uint32_t tid)
{
	if (!tid)
		return "cpu.runqueue.idle_exit";
	if (by && by->target)
		return "cpu.runqueue.self";
	if (by && by->kthread)
		return "cpu.runqueue.kthread";
	return "cpu.runqueue.other";
}

const char *name_runnable(const struct analysis *a, const struct piece *p)
{
	const struct seg *s = p->seg && p->seg->kind == SEG_RUNNABLE ? p->seg : NULL;

	if (!s || (s->flags & SEG_OPEN))
		return "cpu.runqueue";
	if (s->flags & SEG_THROTTLED)
		return "cpu.runqueue.quota";
	return name_occupant(timeline__thread_at(&a->tl, s->occupant, s->end), s->occupant);
}
