// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The true path: what the closing thread did, and where it waited, what was done instead. Read
 * from what the machine knows of itself, never from records.
 *
 * From solid_ns on, the path alone decides when the window ends. Before it stands work that was
 * under way when the wait for it began, or somebody else's work that the path had to stand behind:
 * to shorten what the path did before that need not move the end.
 */
#include "engine.h"

#include <errno.h>
#include <string.h>

struct job {
	uint32_t task;
	uint64_t lo, hi;
	bool commit; /* for a journal commit: named by its phase */
	uint8_t depth;
};

struct walk {
	const struct run *r;
	struct truth *out;
	struct vec jobs;
	bool no_memory;
};

static void solid_from(struct walk *k, uint64_t ns)
{
	if (ns > k->out->solid_ns)
		k->out->solid_ns = ns;
}

static void put(struct walk *k, const struct job *j, const char *cause, int item, uint64_t lo,
		uint64_t hi)
{
	struct truth_piece *p;

	if (hi <= lo)
		return;
	p = VEC_PUSH(&k->out->pieces, struct truth_piece);
	if (!p) {
		k->no_memory = true;
		return;
	}
	*p = (struct truth_piece){ .begin = lo,
				   .end = hi,
				   .cause = cause,
				   .item = item,
				   .task = j->task,
				   .depth = j->depth };
}

/* The phase of a commit at `ns`, and until when; NULL = none is written. */
static const char *phase_at(const struct run *r, uint64_t ns, uint64_t *until)
{
	for (size_t i = 0; i < vec__cnt(&r->commits); i++) {
		const struct sim_commit *c = VEC_AT(&r->commits, struct sim_commit, i);

		if (!c->end_ns || ns >= c->end_ns)
			continue;
		if (ns < c->start_ns) {
			*until = c->start_ns < *until ? c->start_ns : *until;
			return NULL;
		}
		*until = ns < c->flush_ns ? c->flush_ns : ns < c->log_ns ? c->log_ns : c->end_ns;
		return ns < c->flush_ns ? "jbd2.commit_locked"
		       : ns < c->log_ns ? "jbd2.commit_flush"
					: "jbd2.commit_log";
	}
	return NULL;
}

/* A stretch of the path. Not `clear`: who was waited for in it may have been held up elsewhere. */
static void emit(struct walk *k, const struct job *j, const char *cause, int item, uint64_t lo,
		 uint64_t hi, bool clear)
{
	bool keeps = !strcmp(cause, "io.tag_wait");

	if (hi > lo && !clear)
		solid_from(k, hi);
	while (lo < hi && j->commit && !keeps) {
		uint64_t until = hi;
		const char *phase = phase_at(k->r, lo, &until);

		until = until < hi ? until : hi;
		put(k, j, phase ? phase : cause, item, lo, until);
		lo = until;
	}
	put(k, j, cause, item, lo, hi);
}

static void push(struct walk *k, const struct job *from, uint32_t task, uint64_t lo, uint64_t hi)
{
	struct job *j;

	if (hi <= lo)
		return;
	j = VEC_PUSH(&k->jobs, struct job);
	if (!j) {
		k->no_memory = true;
		return;
	}
	*j = (struct job){ .task = task,
			   .lo = lo,
			   .hi = hi,
			   .commit = from && (from->commit || task == task_of_journal(k->r->p)),
			   .depth = from ? from->depth + 1 : 0 };
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* The wait began in the middle of what began at `begin`. */
static void cut(struct walk *k, uint64_t begin, uint64_t a)
{
	if (begin < a)
		solid_from(k, a);
}

static void walk_rq(struct walk *k, const struct job *j, int rq, uint64_t a, uint64_t b);

/* Up to `b`, when the worker was in the middle of it. */
static void walk_work(struct walk *k, const struct job *j, int work, uint64_t a, uint64_t b)
{
	const struct sim_work *w = VEC_AT(&k->r->works, struct sim_work, work);

	push(k, j, w->worker, later(a, w->start_ns), b);
	if (a >= w->start_ns)
		return;
	emit(k, j, "wq.latency", SIM_ITEM_NONE, later(a, w->queue_ns), w->start_ns,
	     w->woken == w->worker &&
		     w->start_ns - w->queue_ns == wake_latency(k->r->p, w->worker));
	cut(k, w->queue_ns, a);
	if (a >= w->queue_ns)
		return;
	if (w->queuer >= 0)
		push(k, j, w->queuer, a, w->queue_ns);
	else
		walk_rq(k, j, w->rq, a, w->queue_ns);
}

static void walk_rq(struct walk *k, const struct job *j, int rq, uint64_t a, uint64_t b)
{
	const struct sim_rq *q = VEC_AT(&k->r->rqs, struct sim_rq, rq);
	const uint64_t from[] = { q->done_ns, q->issue_ns, q->get_ns };
	static const char *const causes[] = { "io.completion_delivery", "io.device_service",
					      "io.sched_queue" };
	uint64_t hi = b;

	for (int i = 0; i < 3 && hi > a; i++) {
		emit(k, j, causes[i], i == 1 ? q->item : SIM_ITEM_NONE, later(a, from[i]), hi,
		     i == 0 || (i == 1 && !q->deferred));
		cut(k, from[i], from[i] < hi ? a : 0);
		hi = from[i] < hi ? from[i] : hi;
	}
	if (a >= q->get_ns) /* before it has its tag, its submitter stands for it */
		return;
	if (q->work >= 0)
		walk_work(k, j, q->work, a, q->get_ns);
	else
		push(k, j, q->submitter, a, q->get_ns);
}

static void walk_blocked(struct walk *k, const struct job *j, const struct sim_span *s, uint64_t a,
			 uint64_t b)
{
	struct job elsewhere = *j;

	elsewhere.depth++;
	if (!s->walked)
		emit(k, j, s->cause, s->item, a, b, s->edge == EDGE_TIMER && !s->delayed);
	else if (s->edge == EDGE_TASK)
		push(k, j, s->by, a, b);
	else if (s->edge == EDGE_WORK)
		walk_work(k, &elsewhere, s->by, a, b);
	else
		walk_rq(k, &elsewhere, s->by, a, b);
}

/* What interrupts took of it has a name of its own. */
static void walk_running(struct walk *k, const struct job *j, const struct sim_span *s, uint64_t a,
			 uint64_t b)
{
	for (size_t i = 0; i < vec__cnt(&k->r->irqs) && a < b; i++) {
		const struct sim_irq *irq = VEC_AT(&k->r->irqs, struct sim_irq, i);
		uint64_t lo = later(irq->begin, a), hi = irq->end < b ? irq->end : b;

		if (irq->cpu != s->cpu || hi <= lo)
			continue;
		emit(k, j, s->cause, s->item, a, lo, true);
		emit(k, j, "cpu.irq_steal", SIM_ITEM_NONE, lo, hi, true);
		a = hi;
	}
	emit(k, j, s->cause, s->item, a, b, true);
}

static void walk_job(struct walk *k, const struct job *j)
{
	const struct vec *spans = &k->r->spans[j->task];

	for (size_t i = 0; i < vec__cnt(spans); i++) {
		const struct sim_span *s = VEC_AT(spans, struct sim_span, i);
		uint64_t a = later(s->begin, j->lo), b = s->end < j->hi ? s->end : j->hi;

		if (b <= a)
			continue;
		cut(k, s->begin, j->lo);
		if (s->state == SIM_RUN)
			walk_running(k, j, s, a, b);
		else if (s->state == SIM_READY)
			emit(k, j, s->cause, SIM_ITEM_NONE, a, b, !s->delayed);
		else
			walk_blocked(k, j, s, a, b);
	}
}

static int by_time(const void *x, const void *y)
{
	const struct truth_piece *a = x, *b = y;

	return a->begin < b->begin ? -1 : a->begin > b->begin;
}

int truth__walk(const struct run *r, uint64_t lo, uint64_t hi, struct truth *out)
{
	struct walk k = { .r = r, .out = out };

	memset(out, 0, sizeof(*out));
	out->solid_ns = lo;
	push(&k, NULL, 0, lo, hi);
	while (vec__cnt(&k.jobs)) {
		struct job j = *VEC_LAST(&k.jobs, struct job);

		k.jobs.end--;
		walk_job(&k, &j);
	}
	vec__free(&k.jobs);
	if (vec__cnt(&out->pieces))
		qsort(VEC_AT(&out->pieces, struct truth_piece, 0), vec__cnt(&out->pieces),
		      sizeof(struct truth_piece), by_time);
	return k.no_memory ? -ENOMEM : 0;
}

void truth__free(struct truth *t)
{
	vec__free(&t->pieces);
}
