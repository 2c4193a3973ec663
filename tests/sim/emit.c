// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The log of a run as a trace, as it is or in a variant of which the outcome is known. */
#include "engine.h"

#include <string.h>

#include "../unit/trace_builder_internal.h"

#define BASE_NS	     1000000ull /* before it, the threads are introduced */
#define STRANGER_TID 9000

struct emitter {
	const struct run *r;
	const struct variant *v;
	struct trace_builder *b;
	uint64_t chance;
	uint64_t lost_from[SIM_CPUS]; /* 0 = nothing is lost at the moment */
	uint64_t lost_cnt[SIM_CPUS];
};

static uint64_t next(struct emitter *m)
{
	uint64_t z = (m->chance += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

/* ---- numbers in a variant ---- */

uint32_t emit__tid(const struct run *r, const struct variant *v, uint32_t task)
{
	return v->relabel ? 70000 - 13 * task : r->tid[task];
}

static uint32_t tid_of(const struct emitter *m, uint32_t tid)
{
	for (uint32_t i = 0; tid && i < m->r->tasks_cnt; i++)
		if (m->r->tid[i] == tid)
			return emit__tid(m->r, m->v, i);
	return tid;
}

static uint32_t cpu_of(const struct emitter *m, uint32_t cpu)
{
	return m->v->relabel ? m->r->p->cpus - 1 - cpu : cpu;
}

static uint64_t time_of(const struct emitter *m, uint64_t ns)
{
	return BASE_NS + ns * (m->v->scale ? m->v->scale : 1);
}

static bool is_left_out(const struct emitter *m, uint32_t tid)
{
	return m->v->leave_out >= 0 && tid && tid == m->r->tid[m->v->leave_out];
}

/* ---- records ---- */

static void emit_switch(struct emitter *m, const struct sim_rec *rec)
{
	uint32_t prev = is_left_out(m, rec->tid) ? 0 : tid_of(m, rec->tid);
	uint32_t next_tid = is_left_out(m, rec->other) ? 0 : tid_of(m, rec->other);
	uint64_t stack = next_tid ? tb_kstack(m->b, rec->name) : 0;
	uint32_t delay = rec->run_delay_ns * (m->v->scale ? m->v->scale : 1);

	if (prev || next_tid)
		tb_switch(m->b, prev, rec->act, next_tid, rec->flags, stack, delay);
}

static void emit_wake(struct emitter *m, const struct sim_rec *rec)
{
	uint64_t cause = rec->name ? tb_func(m->b, rec->name) : rec->id;

	if (is_left_out(m, rec->other))
		return;
	tb_wake_ctx(m->b, is_left_out(m, rec->tid) ? 0 : tid_of(m, rec->tid), tid_of(m, rec->other),
		    rec->ctx, rec->flags, cause);
}

static void emit_work(struct emitter *m, const struct sim_rec *rec, uint32_t tid)
{
	if (rec->act == FP_WORK_QUEUE)
		tb_work_queue_ctx(m->b, tid, rec->id, rec->name, rec->ctx, rec->other);
	else if (rec->act == FP_WORK_START)
		tb_work_start(m->b, tid, rec->id, rec->name);
	else
		tb_work_end(m->b, tid, rec->id, rec->name);
}

static void emit_task(struct emitter *m, uint32_t task, const char *stack)
{
	bool kthread = task >= m->r->p->threads_cnt;
	bool foreign = !kthread && m->r->p->threads[task].foreign;
	uint32_t tid = emit__tid(m->r, m->v, task);
	uint16_t flags = kthread ? FP_TASK_KTHREAD : foreign ? 0 : FP_TASK_TARGET;

	tb_sleeper(m->b, tid, kthread || foreign ? tid : emit__tid(m->r, m->v, 0),
		   !kthread			      ? "vmm"
		   : task == task_of_journal(m->r->p) ? "jbd2/loop0-8"
						      : "kworker/u8:1",
		   flags, TB_INTERRUPTIBLE, stack);
}

static void emit_rest(struct emitter *m, const struct sim_rec *rec, uint32_t tid, uint64_t begin)
{
	uint32_t dev = FP_DEV(7, rec->dev);

	switch ((enum sim_rec_kind)rec->kind) {
	case SIM_SYSCALL:
		tb_syscall(m->b, tid, rec->act, begin, 3, 0);
		break;
	case SIM_FUTEX:
		tb_futex(m->b, tid, begin, rec->id, rec->act, 0);
		break;
	case SIM_BIO:
		tb_bio(m->b, tid, rec->act, rec->other, dev, rec->id, 4096, 1);
		break;
	case SIM_RQ:
		tb_rq(m->b, tid, rec->act, rec->other, dev, rec->id, 4096, 1);
		break;
	case SIM_POINT:
		tb_point(m->b, tid, rec->act, FP_DEV(7, 0), rec->id, 0, 0);
		break;
	case SIM_IRQ:
		tb_irq(m->b, tid, begin, rec->id);
		break;
	case SIM_LOCK_SPAN:
		tb_lock(m->b, tid, begin, rec->id, 0);
		break;
	case SIM_TASK:
	case SIM_SWITCH:
	case SIM_WAKE:
	case SIM_WORK:
		break;
	}
}

/* System calls are recorded of targets only. */
static bool is_foreign_call(const struct emitter *m, const struct sim_rec *rec)
{
	if (rec->kind != SIM_SYSCALL && rec->kind != SIM_FUTEX)
		return false;
	for (uint32_t i = 0; i < m->r->p->threads_cnt; i++)
		if (m->r->tid[i] == rec->tid)
			return m->r->p->threads[i].foreign;
	return true;
}

static void emit_record(struct emitter *m, const struct sim_rec *rec)
{
	if (is_foreign_call(m, rec))
		return;
	if (rec->kind == SIM_SWITCH)
		emit_switch(m, rec);
	else if (rec->kind == SIM_WAKE)
		emit_wake(m, rec);
	else if (is_left_out(m, rec->tid) && rec->kind != SIM_RQ && rec->kind != SIM_WORK)
		return;
	else if (rec->kind == SIM_WORK)
		emit_work(m, rec, tid_of(m, rec->tid));
	else
		emit_rest(m, rec, tid_of(m, rec->tid), time_of(m, rec->begin_ns));
}

/* ---- what a variant does to the stream ---- */

/* Calls, spans and phases are told when they are over: without it, time before the loss is renamed. */
static bool tells_of_before(const struct sim_rec *rec)
{
	return rec->kind == SIM_SYSCALL || rec->kind == SIM_FUTEX || rec->kind == SIM_IRQ ||
	       rec->kind == SIM_LOCK_SPAN || rec->kind == SIM_POINT;
}

static void tell_loss(struct emitter *m, uint32_t cpu)
{
	if (m->lost_cnt[cpu])
		tb_lost(m->b, m->lost_from[cpu], m->lost_cnt[cpu]);
	m->lost_cnt[cpu] = 0;
}

/* True: this one finds the ring full. What came through after it says how many there were. */
static bool is_lost(struct emitter *m, const struct sim_rec *rec)
{
	if (!m->v->drop_permille || (m->v->keep_spans && tells_of_before(rec)))
		return false;
	if ((m->lost_cnt[rec->cpu] && time_of(m, rec->ns) == m->lost_from[rec->cpu]) ||
	    next(m) % 1000 < m->v->drop_permille) { /* no ring is read out within a ns */
		if (!m->lost_cnt[rec->cpu]++)
			m->lost_from[rec->cpu] = time_of(m, rec->ns);
		return true;
	}
	tell_loss(m, rec->cpu);
	return false;
}

static void emit_cpu(struct emitter *m, uint32_t cpu)
{
	for (size_t i = 0; i < vec__cnt(&m->r->log); i++) {
		const struct sim_rec *rec = VEC_AT(&m->r->log, struct sim_rec, i);
		uint64_t ns = time_of(m, rec->ns);

		if (rec->cpu != cpu)
			continue;
		tb_cpu(m->b, cpu_of(m, cpu));
		tb_at(m->b, cpu % 2 ? ns - m->v->skew_ns : ns);
		if (!is_lost(m, rec))
			emit_record(m, rec);
	}
	tb_at(m->b, time_of(m, m->r->last_ns) + TB_US);
	tell_loss(m, cpu);
}

/* Two threads on a CPU of their own that wake each other all the time. */
static void emit_strangers(struct emitter *m)
{
	uint32_t a = STRANGER_TID, b = STRANGER_TID + 1;
	uint64_t step = time_of(m, m->r->last_ns) / 50 + 1;

	tb_cpu(m->b, m->r->p->cpus);
	for (uint64_t ns = BASE_NS; ns < time_of(m, m->r->last_ns); ns += step) {
		tb_at(m->b, ns);
		tb_wake(m->b, a, b);
		tb_pass(m->b, step / 3);
		tb_switch(m->b, a, TB_INTERRUPTIBLE, b, EV_SWITCH_RUN_DELAY, 0, step / 3);
		a = STRANGER_TID + (a == STRANGER_TID);
		b = STRANGER_TID + (b == STRANGER_TID);
	}
}

static void emit_marks(struct emitter *m)
{
	uint32_t closer = emit__tid(m->r, m->v, 0);

	tb_at(m->b, time_of(m, m->r->begin_ns));
	tb_mark_by(m->b, REC_MARK_BEGIN, "a", closer);
	if (m->v->split_ns) {
		tb_at(m->b, time_of(m, m->v->split_ns));
		tb_mark_by(m->b, REC_MARK_END, "a", closer);
		tb_mark_by(m->b, REC_MARK_BEGIN, "b", closer);
	}
	tb_at(m->b, time_of(m, m->r->end_ns));
	tb_mark_by(m->b, REC_MARK_END, m->v->split_ns ? "b" : "a", closer);
}

static void emit_tasks(struct emitter *m)
{
	tb_cpu(m->b, 0);
	tb_at(m->b, 1000);
	for (uint32_t i = 0; i < m->r->tasks_cnt; i++)
		if (m->v->leave_out != (int)i)
			emit_task(m, i, NULL);
	if (m->v->strangers) {
		tb_thread(m->b, STRANGER_TID, STRANGER_TID, "stranger", 0);
		tb_thread(m->b, STRANGER_TID + 1, STRANGER_TID, "stranger", 0);
	}
}

struct trace_builder *emit__trace(const struct run *r, const struct variant *v)
{
	struct emitter m = { .r = r, .v = v, .chance = v->chance };

	m.b = tb__open(NULL, r->p->cpus + v->strangers);
	if (!m.b)
		return NULL;
	emit_tasks(&m);
	for (uint32_t i = 0; i < r->p->cpus; i++) {
		if (v->reverse_cpus) /* what stands first in the file is another CPU's */
			keep_err(m.b, trace_writer__flush(m.b->w));
		emit_cpu(&m, v->reverse_cpus ? r->p->cpus - 1 - i : i);
	}
	if (v->strangers)
		emit_strangers(&m);
	emit_marks(&m);
	tb_at(m.b, time_of(&m, r->last_ns) + TB_MS);
	return m.b;
}
