// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Threads: their births, names and deaths, and what lies over their segments. */
#include "timeline_internal.h"

#include <utlist.h>

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
	kernel_work__free(t->work);
	free(t);
}

void timeline__free(struct timeline *tl)
{
	struct thread *t, *next;

	work_queue__free(&tl->queued);
	cpus__free(&tl->cpus);
	HASH_CLEAR(hh, tl->by_tid);
	HASH_CLEAR(hh_last, tl->last_by_tid);
	DL_FOREACH_SAFE(tl->threads, t, next)
	{
		DL_DELETE(tl->threads, t);
		thread__free(t);
	}
}

struct thread *timeline__last(const struct timeline *tl, uint32_t tid)
{
	struct thread *t = NULL;

	HASH_FIND(hh_last, tl->last_by_tid, &tid, sizeof(tid), t);
	return t;
}

static bool make_last(struct timeline *tl, struct thread *t)
{
	if (t->older)
		HASH_DELETE(hh_last, tl->last_by_tid, t->older);
	HASH_ADD(hh_last, tl->last_by_tid, tid, sizeof(t->tid), t);
	return t->hh_last.tbl;
}

struct thread *thread__new(struct timeline *tl, uint32_t tid, uint64_t born_ns)
{
	struct thread *t = calloc(1, sizeof(*t));

	if (!t) {
		tl->no_memory = true;
		return NULL;
	}
	t->tid = tid;
	t->tgid = scan__tgid(tl->scan, tid);
	t->older = timeline__last(tl, tid);
	t->born_ns = t->older && t->older->dead_ns > born_ns ? t->older->dead_ns : born_ns;
	t->dead_ns = UINT64_MAX;
	t->since_ns = t->born_ns;
	HASH_ADD(hh, tl->by_tid, tid, sizeof(t->tid), t);
	if (t->hh.tbl && make_last(tl, t)) {
		DL_APPEND(tl->threads, t);
		return t;
	}
	if (t->hh.tbl)
		HASH_DELETE(hh, tl->by_tid, t);
	tl->no_memory = true;
	free(t);
	return NULL;
}

/* Threads that are trimmed are dead, and so are all that had their tid before them. */
static void forget(struct timeline *tl, struct thread *t)
{
	struct thread *last = timeline__last(tl, t->tid);

	DL_DELETE(tl->threads, t);
	if (last == t)
		HASH_DELETE(hh_last, tl->last_by_tid, t);
	while (last && last->older != t)
		last = last->older;
	if (last)
		last->older = NULL;
}

/*
 * The command of a run was born with it, or a little before, held until its recording stood; who
 * else is found was there before the recording.
 */
static uint64_t birth_of(const struct timeline *tl, uint32_t tgid)
{
	for (uint32_t i = 0; i < tl->scan->runs_cnt; i++) {
		const struct rec_run *run = &tl->scan->runs[i];

		if (run->pid > 0 && (uint32_t)run->pid == tgid && tl->now_ns < run->end_ns)
			return run->begin_ns < tl->now_ns ? run->begin_ns : tl->now_ns;
	}
	return tl->start_ns;
}

struct thread *thread__found(struct timeline *tl, uint32_t tid, uint32_t tgid)
{
	return thread__new(tl, tid, birth_of(tl, tgid));
}

struct thread *timeline__thread(const struct timeline *tl, uint32_t tid)
{
	struct thread *t = NULL;

	HASH_FIND(hh, tl->by_tid, &tid, sizeof(tid), t);
	return t;
}

struct thread *timeline__thread_at(const struct timeline *tl, uint32_t tid, uint64_t ns)
{
	struct thread *t = timeline__last(tl, tid);

	/* At the moment in which one dies and the next is born, it is still the former. */
	while (t && (t->born_ns > ns || (t->older && ns <= t->older->dead_ns)))
		t = t->older;
	return t && ns <= t->dead_ns ? t : NULL;
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
		segment_close_run(tl, t, end);
	else if (t->kind == SEG_BLOCKED) {
		struct seg seg = segment_blocked(t, end);

		segment_append(tl, t, &seg);
	}
	thread__kill(tl, t, end);
}

/* The parent of all kernel threads */
#define KTHREADD 2

static bool new_target(struct timeline *tl, const struct ev_task *ev)
{
	const struct thread *parent = timeline_target(tl, ev->h.tid);

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
	t->kthread = ev->h.tid == KTHREADD;
	set_comm(t, ev->comm);
	segment_open(t, SEG_RUNNABLE, ev->h.ts_ns);
}

static void on_task(struct timeline *tl, const struct ev_task_state *ev)
{
	struct thread *t = timeline__thread(tl, ev->h.tid);
	bool target = ev->flags & FP_TASK_TARGET;

	if (t && t->exit_ns && !t->target) { /* its last switch was not told */
		end_of_life(tl, t, ev->h.ts_ns);
		t = NULL;
	}
	if (!t)
		t = thread__found(tl, ev->h.tid, ev->tgid);
	if (!t)
		return;
	if (!(t->target || target) && !ev->state)
		timeline_on_adopted(tl, t, ev->h.ts_ns);
	t->tgid = ev->tgid;
	t->target = t->target || target;
	t->kthread = ev->flags & FP_TASK_KTHREAD;
	t->journal = t->kthread && !strncmp(ev->comm, "jbd2/", 5);
	set_comm(t, ev->comm);
	if (t->kind == SEG_NONE && !ev->state) {
		segment_open(t, SEG_RUNNABLE, t->since_ns);
		t->snapshot_running = true;
	} else if (t->kind == SEG_NONE) {
		segment_open(t, SEG_BLOCKED, t->since_ns);
		t->flags |= SEG_PRETRACE;
	}
	if (t->kind == SEG_BLOCKED && !t->kstack)
		t->kstack = stacks__find(tl->stacks, ev->kstack_id);
}

static void on_exec(struct timeline *tl, const struct ev_task *ev)
{
	struct thread *t = timeline__thread(tl, ev->tid ? ev->tid : ev->h.tid);

	if (!t)
		t = timeline_target(tl, ev->tid);
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
	struct thread *t = timeline_followed(tl, tid);
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
					 .fd = -1,
					 .value = ev->value_lo });
}

static void on_sample(struct timeline *tl, const struct ev_sample *ev)
{
	struct thread *t = timeline_followed(tl, ev->h.tid);
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
	struct thread *t = timeline_target(tl, ev->h.tid);

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
	struct thread *t = timeline_followed(tl, ev->h.tid);

	if (t && ev->pause_ms)
		t->dirty_ns = ev->h.ts_ns;
}

/*
 * Whether the thread of a record ran when it was made, as it did where a hook in task context wrote
 * it. Calls and spans that were cut by the end of the recording say nothing of that moment.
 */
static bool made_by_running_thread(const struct ev_hdr *h)
{
	const void *rec = h;

	switch (h->kind) {
	case EV_SYSCALL:
	case EV_SYSCALL_ARGS:
		return !(((const struct ev_syscall *)rec)->flags & EV_FLAG_OPEN);
	case EV_FUTEX:
		return ((const struct ev_futex *)rec)->ret != FP_FUTEX_OPEN;
	case EV_SPAN:
		return !(((const struct ev_span *)rec)->op & FP_SPAN_OPEN);
	case EV_POINT:
	case EV_BIO:
	case EV_RQ:
	case EV_WAKE:
	case EV_WORK:
		return h->ctx == EV_CTX_TASK;
	case EV_OPEN:
	case EV_PATH:
	case EV_API:
	case EV_SLEEP_USTACK:
	case EV_SAMPLE:
	case EV_DIRTY:
	case EV_EXTENTS:
	case EV_FORK:
	case EV_EXIT:
		return true;
	default:
		return false;
	}
}

void timeline__event(struct timeline *tl, const struct trace_event *ev)
{
	const void *rec = ev->hdr;

	if (ev->hdr->ts_ns > tl->now_ns)
		tl->now_ns = ev->hdr->ts_ns;
	if (made_by_running_thread(ev->hdr))
		timeline_seen_running(tl, ev->hdr->tid, ev->hdr->ts_ns, ev->cpu);
	switch (ev->hdr->kind) {
	case EV_SWITCH:
		return timeline_on_switch(tl, ev);
	case EV_WAKE:
		return timeline_on_wake(tl, rec);
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
	case EV_WORK:
		return timeline_on_work(tl, rec);
	case EV_POINT:
		return timeline_on_point(tl, rec);
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
	kernel_work__trim(t->work, ns);
}

void timeline__trim(struct timeline *tl, uint64_t ns)
{
	struct thread *t, *next;

	if (ns <= tl->keep_ns)
		return;
	tl->keep_ns = ns;
	cpus__trim(&tl->cpus, ns);
	DL_FOREACH_SAFE(tl->threads, t, next)
	{
		if (t->dead_ns != UINT64_MAX && t->dead_ns <= ns) {
			forget(tl, t);
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
		*out = segment_blocked(t, t->wake_ns && t->wake_ns < end ? t->wake_ns : end);
		out->flags |= SEG_OPEN;
	}
	return true;
}
