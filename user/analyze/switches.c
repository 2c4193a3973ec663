// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What switches and wakes do to the state of a thread. Times only ever move forward within a
 * thread: a record that runs backwards (clocks of two CPUs, an interrupted reserve) is taken as of
 * the moment that the thread has reached, and counted. So segments have no gaps by construction.
 */
#include "timeline_internal.h"

/* TASK_DEAD, EXIT_DEAD, EXIT_ZOMBIE: the last switch of a thread */
#define STATE_DEAD (0x80 | 0x10 | 0x20)

/* A target is made at its first record, whatever that is; others only where they are named. */
struct thread *timeline_target(struct timeline *tl, uint32_t tid)
{
	struct thread *t = timeline__thread(tl, tid);
	const struct scan_tid *known;

	if (t || !tid)
		return t && t->target ? t : NULL;
	known = scan__tid(tl->scan, tid);
	if (!known || !known->target || known->died)
		return NULL;
	t = thread__found(tl, tid, known->tgid ? known->tgid : tid);
	if (t)
		t->target = true;
	return t;
}

struct thread *timeline_followed(struct timeline *tl, uint32_t tid)
{
	struct thread *t = timeline__thread(tl, tid);

	return t ? t : timeline_target(tl, tid);
}

static uint64_t forward(struct timeline *tl, const struct thread *t, uint64_t ts)
{
	if (ts >= t->since_ns)
		return ts;
	tl->repaired++;
	return t->since_ns;
}

/* ---- segments ---- */

void segment_append(struct timeline *tl, struct thread *t, const struct seg *seg)
{
	struct seg *s;

	if (vec__cnt(&t->fixups) && tl->on_fixup && seg->end > seg->begin)
		tl->on_fixup(tl->ctx, t, seg);
	if (seg->end <= seg->begin || seg->end <= tl->keep_ns)
		return;
	s = VEC_PUSH(&t->segs, struct seg);
	if (!s) {
		tl->no_memory = true;
		return;
	}
	*s = *seg;
}

void segment_open(struct thread *t, enum seg_kind kind, uint64_t ts)
{
	t->kind = kind;
	t->since_ns = ts;
	t->flags = 0;
	t->kstack = STACK_NONE;
	t->wake_ns = 0;
	t->wake_early = false;
	t->wake_flags = 0;
	t->wake_detail = 0;
}

void segment_close_run(struct timeline *tl, struct thread *t, uint64_t ts)
{
	segment_append(
		tl, t,
		&(struct seg){
			.begin = t->since_ns, .end = ts, .kind = SEG_RUN, .detail = t->cpu });
}

static void close_unknown(struct timeline *tl, struct thread *t, uint64_t ts, uint32_t reason)
{
	segment_append(
		tl, t,
		&(struct seg){
			.begin = t->since_ns, .end = ts, .kind = SEG_UNKNOWN, .detail = reason });
}

struct seg segment_blocked(const struct thread *t, uint64_t end)
{
	return (struct seg){ .begin = t->since_ns,
			     .end = end,
			     .kstack = t->kstack,
			     .kind = SEG_BLOCKED,
			     .flags = t->flags | t->wake_flags,
			     .detail = t->wake_detail };
}

/*
 * It runs at `ts`, or ran just before, and the switch that put it on the CPU was not reported. Its
 * sleep is over with its wake; what came after that, or all of it, has no name.
 */
static void close_missed(struct timeline *tl, struct thread *t, uint64_t ts)
{
	bool lost = scan__lost(tl->scan, UINT32_MAX, t->since_ns, ts);

	tl->missed += !lost && t->target;
	if (t->kind == SEG_BLOCKED && t->wake_ns && !lost) {
		struct seg seg = segment_blocked(t, t->wake_ns < ts ? t->wake_ns : ts);

		segment_append(tl, t, &seg);
		t->since_ns = seg.end;
	}
	close_unknown(tl, t, ts, lost ? REASON_LOST : REASON_MISSED);
}

void thread__kill(struct timeline *tl, struct thread *t, uint64_t ts)
{
	struct scan_tid *known = scan__tid(tl->scan, t->tid);

	t->dead_ns = ts;
	t->kind = SEG_NONE;
	HASH_DEL(tl->by_tid, t);
	if (known)
		known->died = true;
}

static void switch_out(struct timeline *tl, struct thread *t, const struct ev_switch *ev,
		       uint32_t cpu)
{
	uint64_t ts = forward(tl, t, ev->h.ts_ns);
	bool ran = t->kind == SEG_RUN || t->kind == SEG_NONE ||
		   (t->kind == SEG_RUNNABLE && t->snapshot_running);

	t->snapshot_running = false;
	if (ran) { /* seen first when it leaves: it ran all the time */
		t->cpu = cpu;
		segment_close_run(tl, t, ts);
	} else {
		close_missed(tl, t, ts);
	}
	if (!(ev->flags & EV_SWITCH_PREEMPT) && (ev->prev_state & STATE_DEAD)) {
		thread__kill(tl, t, ts);
		return;
	}
	if ((ev->flags & EV_SWITCH_PREEMPT) || !ev->prev_state) {
		segment_open(t, SEG_RUNNABLE, ts);
		return;
	}
	uint64_t ran_since = t->since_ns;

	segment_open(t, SEG_BLOCKED, ts);
	if (!(ev->flags & EV_SWITCH_STACK_NEXT))
		t->kstack = stacks__find(tl->stacks, ev->kstack_id);
	if (ev->flags & EV_SWITCH_PREV_IOWAIT)
		t->flags |= SEG_IOWAIT;
	if (t->dirty_ns && t->dirty_ns >= ran_since)
		t->flags |= SEG_DIRTY;
	t->dirty_ns = 0;
	if (t->early_wake_ns && t->early_wake_ns + SKEW_NS >= ts) {
		t->wake_ns = ts;
		t->wake_detail = t->early_detail;
		t->wake_flags = t->early_flags;
		t->wake_early = true;
	}
	t->early_wake_ns = 0;
}

/* When did it become runnable: the wake says so, else the time that it stood in the runqueue. */
static uint64_t end_of_sleep(struct timeline *tl, const struct thread *t,
			     const struct ev_switch *ev, uint64_t ts)
{
	uint64_t delay = ev->flags & EV_SWITCH_RUN_DELAY ? ev->run_delay_ns : 0;

	tl->repaired += t->wake_early;
	if (t->wake_ns)
		return t->wake_ns < ts ? t->wake_ns : ts;
	return ts - t->since_ns > delay ? ts - delay : t->since_ns;
}

static void close_runnable(struct timeline *tl, struct thread *t, const struct ev_switch *ev,
			   uint64_t since, uint64_t ts, uint32_t cpu)
{
	segment_append(tl, t,
		       &(struct seg){ .begin = since,
				      .end = ts,
				      .kind = SEG_RUNNABLE,
				      .flags = ev->flags & EV_SWITCH_THROTTLED ? SEG_THROTTLED : 0,
				      .occupant = ev->h.tid,
				      .detail = cpu });
}

static void close_sleep(struct timeline *tl, struct thread *t, const struct ev_switch *ev,
			uint64_t ts, uint32_t cpu)
{
	uint64_t end = end_of_sleep(tl, t, ev, ts);
	struct seg seg;

	if (ev->flags & EV_SWITCH_STACK_NEXT && ev->kstack_id)
		t->kstack = stacks__find(tl->stacks, ev->kstack_id);
	if (ev->flags & EV_SWITCH_NEXT_IOWAIT)
		t->flags |= SEG_IOWAIT;
	seg = segment_blocked(t, end);
	segment_append(tl, t, &seg);
	t->unwoken_ns = t->wake_ns ? 0 : ts;
	close_runnable(tl, t, ev, end, ts, cpu);
}

/* It was seen to run already. With a loss in between, all since then is uncertain. */
static void close_running_twice(struct timeline *tl, struct thread *t, uint64_t ts)
{
	const struct lost_range *lost = scan__lost(tl->scan, UINT32_MAX, t->since_ns, ts);
	uint64_t from;

	if (!lost) {
		tl->missed += t->target;
		segment_close_run(tl, t, ts);
		return;
	}
	from = lost->from_ns > t->since_ns ? lost->from_ns : t->since_ns;
	segment_close_run(tl, t, from);
	t->since_ns = from;
	close_unknown(tl, t, ts, REASON_LOST);
}

static void switch_in(struct timeline *tl, struct thread *t, const struct ev_switch *ev,
		      uint32_t cpu)
{
	uint64_t ts = forward(tl, t, ev->h.ts_ns);

	switch (t->kind) {
	case SEG_NONE: /* nobody saw it leave: it slept since before the recording */
		t->flags |= SEG_PRETRACE;
		close_sleep(tl, t, ev, ts, cpu);
		break;
	case SEG_BLOCKED:
		close_sleep(tl, t, ev, ts, cpu);
		break;
	case SEG_RUNNABLE:
		close_runnable(tl, t, ev, t->since_ns, ts, cpu);
		break;
	case SEG_RUN:
		close_running_twice(tl, t, ts);
		break;
	case SEG_UNKNOWN:
		close_unknown(tl, t, ts, REASON_PRETRACE);
		break;
	}
	t->snapshot_running = false;
	t->early_wake_ns = 0; /* it was the wake of the sleep that is over now */
	segment_open(t, SEG_RUN, ts);
	t->cpu = cpu;
}

void timeline_on_switch(struct timeline *tl, const struct trace_event *ev)
{
	const struct ev_switch *sw = (const void *)ev->hdr;
	struct thread *prev = timeline_followed(tl, sw->h.tid);
	struct thread *next = timeline_followed(tl, sw->next_tid);

	cpus__switch(&tl->cpus, ev->cpu, sw, tl->keep_ns);
	if (prev && prev != next)
		switch_out(tl, prev, sw, ev->cpu);
	if (next && prev != next)
		switch_in(tl, next, sw, ev->cpu);
}

/*
 * A record that only a running thread makes, where no switch to it was seen: some kernels do not
 * report every switch. It slept until it was woken, if that was seen, else until now; what it slept
 * on is told by the syscall around it. Between its wake, or its preemption, and this record it ran
 * for a part that nothing tells. In a lost range nothing is concluded.
 */
void timeline_seen_running(struct timeline *tl, uint32_t tid, uint64_t ts, uint32_t cpu)
{
	struct thread *t = timeline_followed(tl, tid);

	if (t && t->snapshot_running) { /* it did not stand in the runqueue then, it ran */
		t->snapshot_running = false;
		t->kind = SEG_RUN;
	}
	if (!t || (t->kind != SEG_BLOCKED && t->kind != SEG_RUNNABLE) ||
	    ts <= t->since_ns + SKEW_NS || scan__lost(tl->scan, UINT32_MAX, t->since_ns, ts))
		return;
	if (t->kind == SEG_BLOCKED && !t->wake_ns)
		t->wake_ns = ts;
	close_missed(tl, t, ts);
	segment_open(t, SEG_RUN, ts);
	t->cpu = cpu;
}

/*
 * A neighbour that is told of again, running: it was not followed in between, so that nothing is
 * known from its last switch on.
 */
void timeline_on_adopted(struct timeline *tl, struct thread *t, uint64_t ts)
{
	if (ts <= t->since_ns)
		return;
	if (t->kind != SEG_NONE)
		close_unknown(tl, t, ts, REASON_MISSED);
	segment_open(t, SEG_RUNNABLE, ts);
	t->snapshot_running = true;
}

/*
 * A clock that is behind puts the switch before its wake: a sleep that nobody ended is told late.
 * Its end stays where the time in the runqueue put it.
 */
static bool wake_of_last_sleep(struct timeline *tl, struct thread *t, uint64_t ts, uint16_t flags,
			       uint32_t detail)
{
	uint64_t since = t->unwoken_ns;

	if (!since || ts > since + SKEW_NS)
		return false;
	t->unwoken_ns = 0;
	tl->repaired++;
	for (size_t i = vec__cnt(&t->segs); i-- > 0;) {
		struct seg *s = VEC_AT(&t->segs, struct seg, i);

		if (s->kind == SEG_BLOCKED && s->begin < since) {
			s->flags |= flags;
			s->detail = detail;
			break;
		}
	}
	return true;
}

void timeline_on_wake(struct timeline *tl, const struct ev_wake *ev)
{
	struct thread *t = timeline_followed(tl, ev->wakee_tid);
	uint16_t flags = SEG_WOKEN;
	uint32_t detail = 0;

	if (!t)
		return;
	if (ev->flags & EV_WAKE_BY_IO) {
		flags |= SEG_BY_IO;
		detail = FP_ID(ev->cause);
	} else if (ev->flags & EV_WAKE_BY_TIMER) {
		flags |= SEG_BY_TIMER;
	} else if (ev->h.ctx == EV_CTX_TASK && ev->h.tid && ev->h.tid != t->tid) {
		flags |= SEG_BY_TASK;
		detail = ev->h.tid;
	}
	if (t->kind == SEG_NONE && t->exit_ns == 0) {
		segment_open(t, SEG_BLOCKED, t->since_ns);
		t->flags |= SEG_PRETRACE;
	}
	if (wake_of_last_sleep(tl, t, ev->h.ts_ns, flags, detail))
		return;
	if (t->kind == SEG_BLOCKED && (!t->wake_ns || t->wake_early)) {
		t->wake_early = false;
		t->wake_ns = forward(tl, t, ev->h.ts_ns);
		t->wake_detail = detail;
		t->wake_flags = flags;
	} else if (t->kind == SEG_RUN || t->snapshot_running) {
		/* counts only if it falls asleep at once after it */
		t->early_wake_ns = ev->h.ts_ns;
		t->early_detail = detail;
		t->early_flags = flags;
	}
}
