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
	if (!p->in_kernel)
		return "user.cpu";
	piece__context(p, t, &ctx);
	cause = stacks__classify(a->stacks, STACK_NONE, &ctx);
	/* A span is exact; a syscall only says what it is probably about. */
	*sampled = (p->spans & ~1u) == 0;
	return cause ? cause->id : "kernel.cpu_other";
}

const char *name_sample(const struct analysis *a, const struct thread *t, const struct piece *p,
			const struct sample *s)
{
	struct probe_context ctx;
	const struct cause *cause;

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

const char *name_runnable(const struct piece *p)
{
	switch (p->seg && p->seg->kind == SEG_RUNNABLE ? p->seg->detail : OCCUPANT_UNKNOWN) {
	case OCCUPANT_IDLE:
		return "cpu.runqueue.idle_exit";
	case OCCUPANT_SELF:
		return "cpu.runqueue.self";
	case OCCUPANT_KTHREAD:
		return "cpu.runqueue.kthread";
	case OCCUPANT_OTHER:
		return "cpu.runqueue.other";
	default:
		return "cpu.runqueue";
	}
}

bool waits_for_thread(const char *cause)
{
	static const char *const groups[] = { "futex.", "ipc.", "wait.", "lock.", "unknown." };

	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		if (!strncmp(cause, groups[i], strlen(groups[i])))
			return true;
	return false;
}
