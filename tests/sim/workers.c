// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Work items and the threads that execute them; the journal's thread and its commits. */
#include "engine.h"

static const struct sleep worker_sleep = { .stack = "worker_thread;kthread;ret_from_fork",
					   .cause = "kthread.idle" };
static const struct sleep journal_sleep = { .stack = "kjournald2;kthread;ret_from_fork",
					    .cause = "kthread.idle" };

static const char *function_of(const struct op *op)
{
	return op->kind == OP_END_IO	 ? "ext4_end_io_rsv_work"
	       : op->kind == OP_WRITEOUT ? "wb_workfn"
					 : "flush_worker";
}

/* ---- work items ---- */

static void work_record(struct engine *e, int work, uint32_t cpu, int task, uint8_t act)
{
	const struct sim_work *w = work_at(e, work);
	struct sim_rec *rec = record(e, SIM_WORK, cpu, task);

	rec->id = w->address;
	rec->name = function_of(op_at(e, w->owner, w->op));
	rec->act = act;
	if (act == FP_WORK_QUEUE && w->queuer < 0) {
		rec->ctx = EV_CTX_HARDIRQ;
		rec->other = rq_at(e, w->rq)->id;
	}
}

/* The one that is woken; -1: none was idle. */
static int wake_a_worker(struct engine *e, int task, int rq, uint32_t cpu)
{
	int waker = task < 0 ? e->cpus[cpu].cur : task;

	for (uint32_t i = 0; i < e->p->workers; i++) {
		if (!e->worker_idle[i])
			continue;
		e->worker_idle[i] = false;
		wake(e, task_of_worker(e->p, i), cpu, waker,
		     task < 0 ? EV_CTX_HARDIRQ : EV_CTX_TASK, task < 0 ? EDGE_RQ : EDGE_TASK,
		     task < 0 ? rq : task);
		return (int)task_of_worker(e->p, i);
	}
	return -1;
}

/* By a task, or by the completion of a request. Each thread has one item of its own. */
int queue_work(struct engine *e, int task, int rq, uint32_t cpu, int owner, uint32_t op)
{
	struct sim_work *w = VEC_PUSH(&e->r->works, struct sim_work);
	int index = (int)vec__cnt(&e->r->works) - 1;

	if (!w || e->pending_works_cnt == SIM_TASKS * 2) {
		e->broken = true;
		return -1;
	}
	*w = (struct sim_work){ .queue_ns = e->now,
				.address = 0xffff888100000000ull + owner * 256,
				.queuer = task,
				.rq = rq,
				.worker = -1,
				.waiter = rq < 0 ? -1 : rq_at(e, rq)->waiter,
				.owner = owner,
				.op = op };
	if (rq >= 0)
		rq_at(e, rq)->queues = index;
	work_record(e, index, cpu, task < 0 ? e->cpus[cpu].cur : task, FP_WORK_QUEUE);
	e->pending_works[e->pending_works_cnt++] = index;
	w->woken = wake_a_worker(e, task, rq, cpu);
	return index;
}

static void steps_of_work(struct engine *e, uint32_t task, const struct sim_work *w)
{
	const struct op *op = op_at(e, w->owner, w->op);
	int item = item_of(w->owner, w->op, 0);
	bool io = op->kind == OP_WRITEOUT || (op->kind == OP_WORK && op->more_ns);
	struct step *s = add_step(e, task, STEP_RUN);

	s->ns = op->ns;
	s->item = item;
	s->name = CAUSE_KERNEL;
	if (io) {
		s = add_step(e, task, STEP_SUBMIT);
		s->a = op->object;
		s->ns = op->more_ns;
		s->item = item + 1;
		add_step(e, task, STEP_GET_TAG)->a = op->object;
	}
	if (io && op->kind == OP_WORK)
		add_await_rq(e, task, op->object, AWAIT_OWN);
	add_step(e, task, STEP_WORK_DONE);
}

bool take_work(struct engine *e, uint32_t task)
{
	struct task *t = &e->tasks[task];
	struct sim_work *w;

	if (!e->pending_works_cnt) {
		e->worker_idle[task - e->p->threads_cnt] = true;
		sleep_on(e, task, &worker_sleep);
		return false;
	}
	e->worker_idle[task - e->p->threads_cnt] = false;
	t->work = take_first(e->pending_works, &e->pending_works_cnt);
	w = work_at(e, t->work);
	w->worker = task;
	w->start_ns = e->now;
	work_record(e, t->work, t->cpu, task, FP_WORK_START);
	steps_of_work(e, task, w);
	return true;
}

/* Who waits for pages is woken by their request, not by who wrote them. */
void work_done(struct engine *e, uint32_t task)
{
	struct task *t = &e->tasks[task];
	struct sim_work *w = work_at(e, t->work);

	w->end_ns = e->now;
	w->over = true;
	if (w->waiter >= 0 && op_at(e, w->owner, w->op)->kind != OP_WRITEOUT)
		wake(e, w->waiter, t->cpu, task, EV_CTX_TASK, EDGE_WORK, t->work);
	work_record(e, t->work, t->cpu, task, FP_WORK_END);
	t->work = -1;
}

/* ---- the journal ---- */

/* The waiter's commit is the one that is not begun yet; the first to want it says how long. */
bool want_commit(struct engine *e, uint32_t task)
{
	uint32_t journal = task_of_journal(e->p);
	struct sim_commit *c;

	if (e->wants[task] >= 0) { /* it was woken: its commit is over */
		e->wants[task] = -1;
		return true;
	}
	if (e->next_commit < 0) {
		c = VEC_PUSH(&e->r->commits, struct sim_commit);
		if (!c) {
			e->broken = true;
			return true;
		}
		*c = (struct sim_commit){ .owner = task, .op = e->tasks[task].op - 1 };
		e->next_commit = (int)vec__cnt(&e->r->commits) - 1;
	}
	e->wants[task] = e->next_commit;
	if (e->journal_idle) {
		e->journal_idle = false;
		wake(e, journal, e->tasks[task].cpu, task, EV_CTX_TASK, EDGE_TASK, task);
	}
	return false;
}

static void journal_io(struct engine *e, uint32_t task, const struct op *op, int item,
		       enum awaited what)
{
	struct step *s = add_step(e, task, STEP_SUBMIT);

	s->a = op->object;
	s->ns = op->more_ns;
	s->item = item + 1;
	add_step(e, task, STEP_GET_TAG)->a = op->object;
	add_await_rq(e, task, op->object, what);
}

/* False: there is none, and it sleeps. */
bool take_commit(struct engine *e, uint32_t task)
{
	const struct sim_commit *c;
	const struct op *op;
	struct step *s;
	int item;

	if (e->next_commit < 0) {
		e->journal_idle = true;
		sleep_on(e, task, &journal_sleep);
		return false;
	}
	e->journal_idle = false;
	e->commit = e->next_commit;
	e->next_commit = -1;
	c = commit_at(e, e->commit);
	op = op_at(e, c->owner, c->op);
	item = item_of(c->owner, c->op, 0);
	add_step(e, task, STEP_COMMIT_POINT)->a = FP_POINT_JBD2_START;
	s = add_step(e, task, STEP_RUN);
	s->ns = op->ns;
	s->item = item;
	s->name = CAUSE_KERNEL;
	add_step(e, task, STEP_COMMIT_POINT)->a = FP_POINT_JBD2_FLUSHING;
	journal_io(e, task, op, item, AWAIT_ORDERED);
	add_step(e, task, STEP_COMMIT_POINT)->a = FP_POINT_JBD2_LOGGING;
	journal_io(e, task, op, item, AWAIT_LOG);
	add_step(e, task, STEP_COMMIT_POINT)->a = FP_POINT_JBD2_END;
	return true;
}

static void point_record(struct engine *e, uint32_t task, int point)
{
	struct sim_rec *rec = record(e, SIM_POINT, e->tasks[task].cpu, task);

	rec->act = point;
	rec->id = e->commit + 1;
}

void commit_point(struct engine *e, uint32_t task, int point)
{
	struct sim_commit *c = commit_at(e, e->commit);

	point_record(e, task, point);
	switch (point) {
	case FP_POINT_JBD2_START:
		c->start_ns = e->now;
		point_record(e, task, FP_POINT_JBD2_LOCKING);
		break;
	case FP_POINT_JBD2_FLUSHING:
		c->flush_ns = e->now;
		break;
	case FP_POINT_JBD2_LOGGING:
		c->log_ns = e->now;
		break;
	default:
		c->end_ns = e->now;
		for (uint32_t i = 0; i < e->p->threads_cnt; i++)
			if (e->wants[i] == e->commit)
				wake(e, i, e->tasks[task].cpu, task, EV_CTX_TASK, EDGE_TASK, task);
		e->commit = -1;
		break;
	}
}
