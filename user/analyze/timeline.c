// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What one record does to the state of a thread. Times only ever move forward within a thread: a
 * record that runs backwards (clocks of two CPUs, an interrupted reserve) is taken as of the
 * moment that the thread has reached, and counted. So segments have no gaps by construction.
 */
#include "timeline.h"

#include <utlist.h>

/* TASK_DEAD, EXIT_DEAD, EXIT_ZOMBIE: the last switch of a thread */
#define STATE_DEAD (0x80 | 0x10 | 0x20)

/* A wake this little before its sleep began was stamped by a CPU whose clock is behind. */
#define SKEW_NS 2000

void timeline__init(struct timeline *tl, struct scan *scan, struct stacks *stacks,
		    uint64_t start_ns)
{
	memset(tl, 0, sizeof(*tl));
	tl->scan = scan;
	tl->stacks = stacks;
	tl->start_ns = start_ns;
}

static void thread__free(struct thread *t)
{
	vec__free(&t->segs);
	for (int i = 0; i < SPAN_LISTS; i++)
		vec__free(&t->spans[i]);
	vec__free(&t->samples);
	vec__free(&t->fixups);
	free(t);
}

void timeline__free(struct timeline *tl)
{
	struct thread *t, *next;

	HASH_CLEAR(hh, tl->by_tid);
	DL_FOREACH_SAFE(tl->threads, t, next)
	{
		DL_DELETE(tl->threads, t);
		thread__free(t);
	}
}

static struct thread *thread__new(struct timeline *tl, uint32_t tid, uint64_t born_ns)
{
	struct thread *t = calloc(1, sizeof(*t));

	if (!t) {
		tl->no_memory = true;
		return NULL;
	}
	t->tid = tid;
	t->tgid = scan__tgid(tl->scan, tid);
	t->born_ns = born_ns;
	t->dead_ns = UINT64_MAX;
	t->since_ns = born_ns;
	HASH_ADD(hh, tl->by_tid, tid, sizeof(t->tid), t);
	if (!t->hh.tbl) {
		tl->no_memory = true;
		free(t);
		return NULL;
	}
	DL_APPEND(tl->threads, t);
	return t;
}

struct thread *timeline__thread(const struct timeline *tl, uint32_t tid)
{
	struct thread *t = NULL;

	HASH_FIND(hh, tl->by_tid, &tid, sizeof(tid), t);
	return t;
}

struct thread *timeline__thread_at(const struct timeline *tl, uint32_t tid, uint64_t ns)
{
	struct thread *t = timeline__thread(tl, tid);

	if (t && t->born_ns <= ns)
		return t;
	DL_FOREACH (tl->threads, t) {
		if (t->tid == tid && t->born_ns <= ns && ns <= t->dead_ns)
			return t;
	}
	return NULL;
}

/* A target is made at its first record, whatever that is; others only where they are named. */
static struct thread *target_of(struct timeline *tl, uint32_t tid)
{
	struct thread *t = timeline__thread(tl, tid);
	const struct scan_tid *known;

	if (t || !tid)
		return t && t->target ? t : NULL;
	known = scan__tid(tl->scan, tid);
	if (!known || !known->target || known->died)
		return NULL;
	t = thread__new(tl, tid, tl->start_ns);
	if (t)
		t->target = true;
	return t;
}

static uint64_t forward(struct timeline *tl, const struct thread *t, uint64_t ts)
{
	if (ts >= t->since_ns)
		return ts;
	tl->repaired++;
	return t->since_ns;
}

/* ---- segments ---- */

static void append(struct timeline *tl, struct thread *t, const struct seg *seg)
{
	struct seg *s;

	if (vec__cnt(&t->fixups) && tl->on_fixup && seg->end > seg->begin)
		tl->on_fixup(tl->ctx, t, seg);
	if (!t->target || seg->end <= seg->begin || seg->end <= tl->keep_ns)
		return;
	s = VEC_PUSH(&t->segs, struct seg);
	if (!s) {
		tl->no_memory = true;
		return;
	}
	*s = *seg;
}

static void open_state(struct thread *t, enum seg_kind kind, uint64_t ts)
{
	t->kind = kind;
	t->since_ns = ts;
	t->flags = 0;
	t->kstack = STACK_NONE;
	t->wake_ns = 0;
	t->wake_flags = 0;
	t->wake_detail = 0;
}

static void close_run(struct timeline *tl, struct thread *t, uint64_t ts)
{
	append(tl, t,
	       &(struct seg){ .begin = t->since_ns, .end = ts, .kind = SEG_RUN, .detail = t->cpu });
}

static void close_unknown(struct timeline *tl, struct thread *t, uint64_t ts, uint32_t reason)
{
	append(tl, t,
	       &(struct seg){
		       .begin = t->since_ns, .end = ts, .kind = SEG_UNKNOWN, .detail = reason });
}

static struct seg blocked_seg(const struct thread *t, uint64_t end)
{
	return (struct seg){ .begin = t->since_ns,
			     .end = end,
			     .kstack = t->kstack,
			     .kind = SEG_BLOCKED,
			     .flags = t->flags | t->wake_flags,
			     .detail = t->wake_detail };
}

static uint32_t occupant_of(struct timeline *tl, const struct thread *t, uint32_t tid)
{
	const struct thread *o;

	if (!tid)
		return OCCUPANT_IDLE;
	o = timeline__thread(tl, tid);
	if (o && o->target)
		return OCCUPANT_SELF;
	if (o && o->kthread)
		return OCCUPANT_KTHREAD;
	return OCCUPANT_OTHER;
}

/* A switch that says "runs" or "ran" where the thread was last seen asleep, or the other way. */
static uint32_t missed_reason(struct timeline *tl, const struct thread *t, uint64_t ts)
{
	tl->missed++;
	return scan__lost(tl->scan, UINT32_MAX, t->since_ns, ts) ? REASON_LOST : REASON_MISSED;
}

static void kill_thread(struct timeline *tl, struct thread *t, uint64_t ts)
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
		close_run(tl, t, ts);
	} else {
		close_unknown(tl, t, ts, missed_reason(tl, t, ts));
	}
	if (!(ev->flags & EV_SWITCH_PREEMPT) && (ev->prev_state & STATE_DEAD)) {
		kill_thread(tl, t, ts);
		return;
	}
	if ((ev->flags & EV_SWITCH_PREEMPT) || !ev->prev_state) {
		open_state(t, SEG_RUNNABLE, ts);
		return;
	}
	uint64_t ran_since = t->since_ns;

	open_state(t, SEG_BLOCKED, ts);
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
		tl->repaired++;
	}
	t->early_wake_ns = 0;
}

/* When did it become runnable: the wake says so, else the time that it stood in the runqueue. */
static uint64_t end_of_sleep(const struct thread *t, const struct ev_switch *ev, uint64_t ts)
{
	uint64_t delay = ev->flags & EV_SWITCH_RUN_DELAY ? ev->run_delay_ns : 0;

	if (t->wake_ns)
		return t->wake_ns < ts ? t->wake_ns : ts;
	return ts - t->since_ns > delay ? ts - delay : t->since_ns;
}

static void close_sleep(struct timeline *tl, struct thread *t, const struct ev_switch *ev,
			uint64_t ts)
{
	uint64_t end = end_of_sleep(t, ev, ts);
	struct seg seg;

	if (ev->flags & EV_SWITCH_STACK_NEXT && ev->kstack_id)
		t->kstack = stacks__find(tl->stacks, ev->kstack_id);
	if (ev->flags & EV_SWITCH_NEXT_IOWAIT)
		t->flags |= SEG_IOWAIT;
	seg = blocked_seg(t, end);
	append(tl, t, &seg);
	append(tl, t,
	       &(struct seg){ .begin = end,
			      .end = ts,
			      .kind = SEG_RUNNABLE,
			      .detail = occupant_of(tl, t, ev->h.tid) });
}

/* It was seen to run already. With a loss in between, all since then is uncertain. */
static void close_running_twice(struct timeline *tl, struct thread *t, uint64_t ts)
{
	const struct lost_range *lost = scan__lost(tl->scan, UINT32_MAX, t->since_ns, ts);
	uint64_t from;

	tl->missed++;
	if (!lost) {
		close_run(tl, t, ts);
		return;
	}
	from = lost->from_ns > t->since_ns ? lost->from_ns : t->since_ns;
	close_run(tl, t, from);
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
		close_sleep(tl, t, ev, ts);
		break;
	case SEG_BLOCKED:
		close_sleep(tl, t, ev, ts);
		break;
	case SEG_RUNNABLE:
		append(tl, t,
		       &(struct seg){ .begin = t->since_ns,
				      .end = ts,
				      .kind = SEG_RUNNABLE,
				      .detail = occupant_of(tl, t, ev->h.tid) });
		break;
	case SEG_RUN:
		close_running_twice(tl, t, ts);
		break;
	case SEG_UNKNOWN:
		close_unknown(tl, t, ts, REASON_PRETRACE);
		break;
	}
	t->snapshot_running = false;
	open_state(t, SEG_RUN, ts);
	t->cpu = cpu;
}

static void on_switch(struct timeline *tl, const struct trace_event *ev)
{
	const struct ev_switch *sw = (const void *)ev->hdr;
	struct thread *prev = target_of(tl, sw->h.tid);
	struct thread *next = target_of(tl, sw->next_tid);

	if (prev && prev != next)
		switch_out(tl, prev, sw, ev->cpu);
	if (next && prev != next)
		switch_in(tl, next, sw, ev->cpu);
}

static void on_wake(struct timeline *tl, const struct ev_wake *ev)
{
	struct thread *t = target_of(tl, ev->wakee_tid);
	uint8_t flags = SEG_WOKEN;
	uint32_t detail = 0;

	if (!t)
		return;
	if (ev->flags & EV_WAKE_BY_IO) {
		flags |= SEG_BY_IO;
		detail = FP_ID(ev->cause);
	} else if (ev->h.ctx == EV_CTX_TASK && ev->h.tid && ev->h.tid != t->tid) {
		flags |= SEG_BY_TASK;
		detail = ev->h.tid;
	}
	if (t->kind == SEG_NONE && t->exit_ns == 0) {
		open_state(t, SEG_BLOCKED, t->since_ns);
		t->flags |= SEG_PRETRACE;
	}
	if (t->kind == SEG_BLOCKED && !t->wake_ns) {
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

/* ---- births, deaths, names ---- */

static void set_comm(struct thread *t, const char *comm)
{
	memcpy(t->comm, comm, FP_COMM_LEN);
	t->comm[FP_COMM_LEN - 1] = '\0';
}

static void end_of_life(struct timeline *tl, struct thread *t, uint64_t ts)
{
	uint64_t end = t->exit_ns && t->exit_ns < ts ? t->exit_ns : ts;

	if (end < t->since_ns)
		end = t->since_ns;
	if (t->kind == SEG_RUN)
		close_run(tl, t, end);
	else if (t->kind == SEG_BLOCKED) {
		struct seg seg = blocked_seg(t, end);

		append(tl, t, &seg);
	}
	kill_thread(tl, t, end);
}

static bool new_target(struct timeline *tl, const struct ev_task *ev)
{
	const struct thread *parent = target_of(tl, ev->h.tid);

	return parent || scan__is_target(tl->scan, ev->tid);
}

static void on_fork(struct timeline *tl, const struct ev_task *ev)
{
	struct thread *t = timeline__thread(tl, ev->tid);
	bool target = new_target(tl, ev);

	if (t && t->born_ns == ev->h.ts_ns)
		return;
	if (t) /* its end was not seen, and its number is used again */
		end_of_life(tl, t, ev->h.ts_ns);
	t = thread__new(tl, ev->tid, ev->h.ts_ns);
	if (!t)
		return;
	t->tgid = ev->tgid;
	t->target = target;
	t->parent = ev->h.tid;
	set_comm(t, ev->comm);
	open_state(t, SEG_RUNNABLE, ev->h.ts_ns);
}

static void on_task(struct timeline *tl, const struct ev_task_state *ev)
{
	struct thread *t = timeline__thread(tl, ev->h.tid);

	if (!t)
		t = thread__new(tl, ev->h.tid, tl->start_ns);
	if (!t)
		return;
	t->tgid = ev->tgid;
	t->target = t->target || (ev->flags & FP_TASK_TARGET);
	t->kthread = ev->flags & FP_TASK_KTHREAD;
	set_comm(t, ev->comm);
	if (t->kind == SEG_NONE && !ev->state) {
		open_state(t, SEG_RUNNABLE, t->since_ns);
		t->snapshot_running = true;
	} else if (t->kind == SEG_NONE) {
		open_state(t, SEG_BLOCKED, t->since_ns);
		t->flags |= SEG_PRETRACE;
	}
	if (t->kind == SEG_BLOCKED && !t->kstack)
		t->kstack = stacks__find(tl->stacks, ev->kstack_id);
}

static void on_exec(struct timeline *tl, const struct ev_task *ev)
{
	struct thread *t = timeline__thread(tl, ev->tid ? ev->tid : ev->h.tid);

	if (!t)
		t = target_of(tl, ev->tid);
	if (!t)
		return;
	set_comm(t, ev->comm);
	t->tgid = ev->tgid;
}

static void on_exit_thread(struct timeline *tl, const struct ev_task *ev)
{
	struct thread *t = timeline__thread(tl, ev->h.tid ? ev->h.tid : ev->tid);

	if (!t)
		return;
	if (!t->target) {
		kill_thread(tl, t, ev->h.ts_ns);
		return;
	}
	t->exit_ns = ev->h.ts_ns;
	if (!t->comm[0])
		set_comm(t, ev->comm);
}

/* ---- what lies over the segments ---- */

/*
 * Spans of one list are kept sorted and apart. Where damaged input lets two of them cross, the
 * later one begins where the earlier ends.
 */
static void add_span(struct timeline *tl, uint32_t tid, int list, const struct span *in)
{
	struct thread *t = target_of(tl, tid);
	struct span span = *in, *s;

	if (t && vec__cnt(&t->spans[list])) {
		uint64_t last = VEC_LAST(&t->spans[list], struct span)->end;

		if (span.begin < last)
			span.begin = last;
	}
	if (!t || span.end <= span.begin || span.end <= tl->keep_ns)
		return;
	s = VEC_PUSH(&t->spans[list], struct span);
	if (!s) {
		tl->no_memory = true;
		return;
	}
	*s = span;
}

/* Whoever has a recorded syscall is a target, however it became one. */
static void ensure_target(struct timeline *tl, uint32_t tid)
{
	struct thread *t = timeline__thread(tl, tid);

	if (!t)
		return;
	t->target = true;
	if (t->snapshot_running) { /* it did not stand in the runqueue then, it ran */
		t->snapshot_running = false;
		t->kind = SEG_RUN;
	}
}

static void on_syscall(struct timeline *tl, const struct ev_syscall *ev)
{
	ensure_target(tl, ev->h.tid);
	add_span(tl, ev->h.tid, 0,
		 &(struct span){ .begin = ev->enter_ns,
				 .end = ev->h.ts_ns,
				 .fd = ev->fd,
				 .cls = ev->cls < FP_SYS_END ? ev->cls : FP_SYS_OTHER });
}

static void on_open(struct timeline *tl, const struct ev_open *ev)
{
	ensure_target(tl, ev->h.tid);
	add_span(tl, ev->h.tid, 0,
		 &(struct span){ .begin = ev->enter_ns,
				 .end = ev->h.ts_ns,
				 .fd = ev->fd,
				 .cls = FP_SYS_OPEN });
}

static void on_futex(struct timeline *tl, const struct ev_futex *ev)
{
	ensure_target(tl, ev->h.tid);
	add_span(tl, ev->h.tid, 0,
		 &(struct span){ .begin = ev->enter_ns,
				 .end = ev->h.ts_ns,
				 .arg = ev->uaddr,
				 .fd = -1,
				 .value = ev->op,
				 .cls = FP_SYS_FUTEX });
}

static void on_span(struct timeline *tl, const struct ev_span *ev)
{
	if (ev->op > 0 && ev->op < SPAN_LISTS)
		add_span(tl, ev->h.tid, ev->op,
			 &(struct span){ .begin = ev->begin_ns,
					 .end = ev->h.ts_ns,
					 .arg = ev->ino,
					 .dev = ev->dev,
					 .fd = -1 });
}

static void on_sample(struct timeline *tl, const struct ev_sample *ev)
{
	struct thread *t = target_of(tl, ev->h.tid);
	struct sample *s;

	if (!t || ev->h.ts_ns < tl->keep_ns)
		return;
	s = VEC_PUSH(&t->samples, struct sample);
	if (!s) {
		tl->no_memory = true;
		return;
	}
	s->ts_ns = ev->h.ts_ns;
	s->kstack = stacks__find(tl->stacks, ev->kstack_id);
	s->ustack = stacks__find(tl->stacks, ev->ustack_id);
}

static void on_sleep_ustack(struct timeline *tl, const struct ev_sleep_ustack *ev)
{
	struct thread *t = target_of(tl, ev->h.tid);

	/* It comes at the end of the syscall; a few segments may have been added since. */
	for (size_t n = t ? vec__cnt(&t->segs) : 0, seen = 0; n > 0 && seen < 32; n--, seen++) {
		struct seg *s = VEC_AT(&t->segs, struct seg, n - 1);

		if (s->begin < ev->sleep_ns)
			break;
		if (s->begin == ev->sleep_ns && s->kind == SEG_BLOCKED) {
			s->ustack = stacks__find(tl->stacks, ev->ustack_id);
			break;
		}
	}
}

static void on_dirty(struct timeline *tl, const struct ev_dirty *ev)
{
	struct thread *t = target_of(tl, ev->h.tid);

	if (t && ev->pause_ms)
		t->dirty_ns = ev->h.ts_ns;
}

void timeline__event(struct timeline *tl, const struct trace_event *ev)
{
	const void *rec = ev->hdr;

	if (ev->hdr->ts_ns > tl->now_ns)
		tl->now_ns = ev->hdr->ts_ns;
	switch (ev->hdr->kind) {
	case EV_SWITCH:
		return on_switch(tl, ev);
	case EV_WAKE:
		return on_wake(tl, rec);
	case EV_FORK:
		return on_fork(tl, rec);
	case EV_EXIT:
		return on_exit_thread(tl, rec);
	case EV_EXEC:
		return on_exec(tl, rec);
	case EV_TASK:
		return on_task(tl, rec);
	case EV_SYSCALL:
	case EV_SYSCALL_ARGS:
		return on_syscall(tl, rec);
	case EV_OPEN:
		return on_open(tl, rec);
	case EV_FUTEX:
		return on_futex(tl, rec);
	case EV_SPAN:
		return on_span(tl, rec);
	case EV_SAMPLE:
		return on_sample(tl, rec);
	case EV_SLEEP_USTACK:
		return on_sleep_ustack(tl, rec);
	case EV_DIRTY:
		return on_dirty(tl, rec);
	default:
		return;
	}
}

static void trim_thread(struct thread *t, uint64_t ns)
{
	size_t n = 0;

	while (n < vec__cnt(&t->segs) && VEC_AT(&t->segs, struct seg, n)->end <= ns)
		n++;
	vec__drop(&t->segs, n);
	for (int i = 0; i < SPAN_LISTS; i++) {
		for (n = 0;
		     n < vec__cnt(&t->spans[i]) && VEC_AT(&t->spans[i], struct span, n)->end <= ns;)
			n++;
		vec__drop(&t->spans[i], n);
	}
	for (n = 0; n < vec__cnt(&t->samples) && VEC_AT(&t->samples, struct sample, n)->ts_ns < ns;)
		n++;
	vec__drop(&t->samples, n);
}

void timeline__trim(struct timeline *tl, uint64_t ns)
{
	struct thread *t, *next;

	if (ns <= tl->keep_ns)
		return;
	tl->keep_ns = ns;
	DL_FOREACH_SAFE(tl->threads, t, next)
	{
		if (t->dead_ns != UINT64_MAX && t->dead_ns <= ns) {
			DL_DELETE(tl->threads, t);
			thread__free(t);
		} else {
			trim_thread(t, ns);
		}
	}
}

bool thread__open_seg(const struct timeline *tl, const struct thread *t, struct seg *out)
{
	uint64_t end = tl->now_ns;

	if (t->exit_ns && t->kind == SEG_RUN)
		end = t->exit_ns;
	if (t->kind == SEG_NONE || t->dead_ns != UINT64_MAX || end <= t->since_ns)
		return false;
	*out = (struct seg){ .begin = t->since_ns,
			     .end = end,
			     .kind = t->kind,
			     .detail = t->kind == SEG_RUN ? t->cpu : 0,
			     .flags = SEG_OPEN };
	if (t->kind == SEG_BLOCKED) {
		*out = blocked_seg(t, t->wake_ns && t->wake_ns < end ? t->wake_ns : end);
		out->flags |= SEG_OPEN;
	}
	return true;
}
