// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Time and CPUs. Whatever one CPU does to another takes at least ipi_ns, so that records of
 * different CPUs have the order of cause and effect, as on a real machine.
 */
#include "engine.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_TID 1000
#define MAX_NS	  (1ull << 40)

/* ---- events ---- */

void push_event(struct engine *e, uint64_t ns, enum event_kind kind, uint32_t who, uint32_t gen)
{
	if (e->events_cnt == SIM_EVENTS) {
		e->broken = true;
		return;
	}
	e->events[e->events_cnt++] =
		(struct event){ .ns = ns, .seq = e->seq++, .kind = kind, .who = who, .gen = gen };
}

static bool pop_event(struct engine *e, struct event *out)
{
	uint32_t best = 0;

	if (!e->events_cnt)
		return false;
	for (uint32_t i = 1; i < e->events_cnt; i++) {
		const struct event *a = &e->events[i], *b = &e->events[best];

		if (a->ns < b->ns || (a->ns == b->ns && a->seq < b->seq))
			best = i;
	}
	*out = e->events[best];
	e->events[best] = e->events[--e->events_cnt];
	return true;
}

uint32_t take_first(uint32_t *queue, uint32_t *cnt)
{
	uint32_t first = queue[0];

	memmove(queue, queue + 1, --*cnt * sizeof(*queue));
	return first;
}

/* ---- what is told, and what is true ---- */

struct sim_rec *record(struct engine *e, enum sim_rec_kind kind, uint32_t cpu, int task)
{
	static struct sim_rec nowhere;
	struct sim_rec *rec = VEC_PUSH(&e->r->log, struct sim_rec);

	if (!rec) {
		e->broken = true;
		rec = &nowhere;
	}
	rec->ns = e->now;
	rec->kind = kind;
	rec->cpu = cpu;
	rec->tid = task < 0 ? 0 : e->r->tid[task];
	return rec;
}

/* What the task did since then ends here. */
static void span(struct engine *e, uint32_t task, enum sim_state state, const char *cause, int item)
{
	struct task *t = &e->tasks[task];
	struct sim_span *s;

	if (t->since_ns == e->now)
		return;
	s = VEC_PUSH(&e->r->spans[task], struct sim_span);
	if (!s) {
		e->broken = true;
		return;
	}
	*s = (struct sim_span){ .begin = t->since_ns,
				.end = e->now,
				.cause = cause,
				.item = item,
				.cpu = t->cpu,
				.state = state,
				.delayed = t->delayed };
	if (state == SIM_BLOCKED) {
		s->edge = t->edge;
		s->by = t->by;
		s->walked = t->sleep.walked;
	}
	t->since_ns = e->now;
}

static void span_run(struct engine *e, uint32_t task)
{
	const struct task *t = &e->tasks[task];
	const struct step *s = &t->steps[t->step];

	span(e, task, SIM_RUN, s->name ? s->name : CAUSE_USER, s->item);
}

/* ---- switches ---- */

static void switch_record(struct engine *e, uint32_t cpu, int prev, int next, bool preempt)
{
	struct sim_rec *rec = record(e, SIM_SWITCH, cpu, prev);
	struct task *n = next < 0 ? NULL : &e->tasks[next];

	rec->other = next < 0 ? 0 : e->r->tid[next];
	if (prev >= 0 && preempt)
		rec->flags |= EV_SWITCH_PREEMPT;
	else if (prev >= 0)
		rec->act = e->tasks[prev].sleep.uninterruptible ? 2 : 1;
	if (prev >= 0 && !preempt && e->tasks[prev].sleep.iowait)
		rec->flags |= EV_SWITCH_PREV_IOWAIT;
	if (!n)
		return;
	rec->flags |= EV_SWITCH_RUN_DELAY;
	rec->run_delay_ns = e->now - n->queued_ns;
	if (n->slept) {
		rec->name = n->sleep.stack;
		rec->flags |= EV_SWITCH_STACK_NEXT;
		if (n->sleep.iowait)
			rec->flags |= EV_SWITCH_NEXT_IOWAIT;
	}
	n->slept = false;
}

static void switch_in(struct engine *e, uint32_t cpu, int prev, bool preempt)
{
	struct cpu *c = &e->cpus[cpu];
	int next = c->queue_cnt ? (int)take_first(c->queue, &c->queue_cnt) : -1;

	switch_record(e, cpu, prev, next, preempt);
	c->cur = next;
	c->run_gen++;
	c->slice_gen++;
	if (next < 0)
		return;
	span(e, next, SIM_READY, CAUSE_RUNQUEUE, SIM_ITEM_NONE);
	e->tasks[next].state = TASK_RUNNING;
	e->tasks[next].cpu = cpu;
	e->tasks[next].delayed = false;
	if (e->p->quantum_ns)
		push_event(e, e->now + e->p->quantum_ns, EVENT_SLICE, cpu, c->slice_gen);
}

/* Runs who is on this CPU until time has to pass. */
static void dispatch(struct engine *e, uint32_t cpu)
{
	struct cpu *c = &e->cpus[cpu];

	while (c->cur >= 0 && !e->broken) {
		uint32_t task = c->cur;
		struct task *t = &e->tasks[task];

		if (task__advance(e, task)) {
			c->run_end_ns = e->now + t->run_left;
			t->run_since = e->now;
			push_event(e, c->run_end_ns, EVENT_RUN_END, cpu, ++c->run_gen);
			return;
		}
		t->state = TASK_ASLEEP;
		t->slept = true;
		switch_in(e, cpu, task, false);
	}
}

static void preempt(struct engine *e, uint32_t cpu)
{
	struct cpu *c = &e->cpus[cpu];
	uint32_t task = c->cur;
	struct task *t = &e->tasks[task];

	e->r->preempted = true;
	span_run(e, task);
	t->run_left = c->run_end_ns - e->now;
	t->state = TASK_QUEUED;
	t->queued_ns = e->now;
	t->delayed = true;
	c->queue[c->queue_cnt++] = task;
	switch_in(e, cpu, task, true);
	dispatch(e, cpu);
}

/* ---- wakes ---- */

static uint32_t choose_cpu(const struct engine *e, const struct task *t)
{
	if (e->cpus[t->cpu].cur < 0)
		return t->cpu;
	for (uint32_t i = 0; i < e->p->cpus; i++)
		if (e->cpus[i].cur < 0 && !e->cpus[i].queue_cnt)
			return i;
	return t->cpu;
}

void wake(struct engine *e, uint32_t task, uint32_t cpu, int waker, enum ev_ctx ctx,
	  enum sim_edge edge, int by)
{
	struct task *t = &e->tasks[task];
	struct sim_rec *rec = record(e, SIM_WAKE, cpu, waker);

	rec->other = e->r->tid[task];
	rec->ctx = ctx;
	if (edge == EDGE_RQ) {
		rec->flags = EV_WAKE_BY_IO;
		rec->id = rq_at(e, by)->id;
	} else if (edge == EDGE_TIMER) {
		rec->flags = EV_WAKE_BY_TIMER;
		rec->name = "hrtimer_wakeup";
	}
	t->edge = edge;
	t->by = by;
	e->r->tied |= t->since_ns == e->now && t->cpu != cpu;
	span(e, task, SIM_BLOCKED, t->sleep.cause,
	     edge == EDGE_TIMER && t->steps_cnt ? t->steps[t->step].item : SIM_ITEM_NONE);
	t->state = TASK_WAKING;
	t->delayed = false;
	t->cpu = choose_cpu(e, t);
	push_event(e, e->now + wake_latency(e->p, task), EVENT_ENQUEUE, task, 0);
}

static bool in_interrupt(const struct engine *e, uint32_t cpu)
{
	return e->now < e->cpus[cpu].irq_until;
}

static void on_enqueue(struct engine *e, uint32_t task)
{
	struct task *t = &e->tasks[task];
	struct cpu *c = &e->cpus[t->cpu];

	if (in_interrupt(e, t->cpu)) {
		t->delayed = true;
		push_event(e, c->irq_until, EVENT_ENQUEUE, task, 0);
		return;
	}
	t->state = TASK_QUEUED;
	t->queued_ns = e->now;
	if (c->cur < 0) {
		c->queue[c->queue_cnt++] = task;
		switch_in(e, t->cpu, -1, false);
		dispatch(e, t->cpu);
	} else if (t->prio > e->tasks[c->cur].prio) {
		memmove(c->queue + 1, c->queue, c->queue_cnt++ * sizeof(c->queue[0]));
		c->queue[0] = task;
		preempt(e, t->cpu);
	} else {
		t->delayed = true;
		c->queue[c->queue_cnt++] = task;
	}
}

/* ---- interrupts, slices, ends ---- */

/* Takes the CPU for `ns` from whoever runs there: it ends that much later. */
void interrupt(struct engine *e, uint32_t cpu, uint64_t ns)
{
	struct cpu *c = &e->cpus[cpu];

	c->irq_until = e->now + ns;
	if (c->cur < 0)
		return;
	c->run_end_ns += ns;
	push_event(e, c->run_end_ns, EVENT_RUN_END, cpu, ++c->run_gen);
}

static void on_slice(struct engine *e, uint32_t cpu)
{
	struct cpu *c = &e->cpus[cpu];

	if (in_interrupt(e, cpu))
		push_event(e, c->irq_until, EVENT_SLICE, cpu, c->slice_gen);
	else if (!c->queue_cnt)
		push_event(e, e->now + e->p->quantum_ns, EVENT_SLICE, cpu, c->slice_gen);
	else
		preempt(e, cpu);
}

static void on_run_end(struct engine *e, uint32_t cpu)
{
	struct task *t = &e->tasks[e->cpus[cpu].cur];

	span_run(e, e->cpus[cpu].cur);
	t->run_left = 0;
	t->step++;
	dispatch(e, cpu);
}

static void on_timer(struct engine *e, uint32_t task)
{
	uint32_t cpu = e->tasks[task].cpu;
	int cur = e->cpus[cpu].cur;

	if (in_interrupt(e, cpu)) {
		e->tasks[task].delayed = true;
		push_event(e, e->cpus[cpu].irq_until, EVENT_TIMER, task, 0);
	} else {
		wake(e, task, cpu, cur, EV_CTX_HARDIRQ, EDGE_TIMER, 0);
	}
}

static void on_event(struct engine *e, const struct event *ev)
{
	e->now = ev->ns;
	switch (ev->kind) {
	case EVENT_RUN_END:
		if (ev->gen == e->cpus[ev->who].run_gen)
			on_run_end(e, ev->who);
		break;
	case EVENT_SLICE:
		if (ev->gen == e->cpus[ev->who].slice_gen)
			on_slice(e, ev->who);
		break;
	case EVENT_ENQUEUE:
		on_enqueue(e, ev->who);
		break;
	case EVENT_TIMER:
		on_timer(e, ev->who);
		break;
	case EVENT_DEV_DONE:
		device__done(e, ev->who);
		break;
	case EVENT_RQ_COMPLETE:
		device__complete(e, ev->who);
		break;
	case EVENT_RQ_WAKE:
		device__wake(e, ev->who);
		break;
	case EVENT_IRQ_END:
		device__irq_end(e, ev->who);
		break;
	}
}

/* ---- a run ---- */

/* All sleep when recording begins; the program's threads are set going one after the other. */
static void start_task(struct engine *e, uint32_t i)
{
	struct task *t = &e->tasks[i];

	t->kthread = i >= e->p->threads_cnt;
	t->prio = t->kthread ? 1 : e->p->threads[i].prio;
	t->cpu = i % e->p->cpus;
	t->work = -1;
	t->slept = true;
	t->sleep.stack = "futex_do_wait;__futex_wait;futex_wait;do_futex";
	t->sleep.cause = "futex.wait";
	e->wants[i] = -1;
	for (int d = 0; d < SIM_DEVS; d++)
		t->latest[d] = -1;
	e->r->tid[i] = FIRST_TID + i;
	if (!t->kthread)
		push_event(e, 1000 + 17 * i + e->p->seed % 7919, EVENT_TIMER, i, 0);
}

static void start(struct engine *e)
{
	e->commit = e->next_commit = -1;
	e->journal_idle = true;
	for (uint32_t i = 0; i < SIM_SEMS; i++)
		e->sem_waiter[i] = -1;
	for (uint32_t i = 0; i < 2 * SIM_MUTEXES; i++)
		e->mutexes[i].holder = -1;
	for (uint32_t i = 0; i < SIM_CPUS; i++)
		e->cpus[i].cur = -1;
	for (uint32_t i = 0; i < SIM_WORKERS; i++)
		e->worker_idle[i] = true;
	for (uint32_t i = 0; i < e->r->tasks_cnt; i++)
		start_task(e, i);
}

struct run *run__new(const struct program *p)
{
	struct run *r = calloc(1, sizeof(*r));
	struct engine *e = calloc(1, sizeof(*e));
	struct event ev;

	if (!r || !e) {
		free(r);
		free(e);
		return NULL;
	}
	r->p = p;
	r->tasks_cnt = p->threads_cnt + p->workers + 1;
	e->r = r;
	e->p = p;
	start(e);
	while (!e->broken && pop_event(e, &ev) && ev.ns < MAX_NS)
		on_event(e, &ev);
	r->last_ns = e->now;
	r->stuck = e->broken || r->end_ns <= r->begin_ns;
	free(e);
	return r;
}

void run__free(struct run *r)
{
	if (!r)
		return;
	for (uint32_t i = 0; i < SIM_TASKS; i++)
		vec__free(&r->spans[i]);
	vec__free(&r->rqs);
	vec__free(&r->works);
	vec__free(&r->commits);
	vec__free(&r->irqs);
	vec__free(&r->log);
	free(r);
}
