// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "kernel_work.h"

#include "timeline_internal.h"

/* Items whose execution is never told must not fill memory. */
#define MAX_QUEUED 16384

struct queued_work {
	uint64_t work;
	uint64_t queue_ns;
	uint64_t begin_ns; /* its execution was told before its queueing; 0 = not */
	uint32_t queue_tid, queue_cause;
	uint32_t worker;
	UT_hash_handle hh;
};

static struct kernel_work *work_of(struct timeline *tl, struct thread *t)
{
	if (t && !t->work) {
		t->work = calloc(1, sizeof(*t->work));
		tl->no_memory = tl->no_memory || !t->work;
	}
	return t ? t->work : NULL;
}

void kernel_work__free(struct kernel_work *k)
{
	if (!k)
		return;
	vec__free(&k->runs);
	vec__free(&k->phases);
	vec__free(&k->inodes);
	free(k);
}

/* Of marks the last one before `ns` still holds. */
void kernel_work__trim(struct kernel_work *k, uint64_t ns)
{
	size_t n = 0;

	if (!k)
		return;
	while (n < vec__cnt(&k->runs) && VEC_AT(&k->runs, struct work_run, n)->end <= ns)
		n++;
	vec__drop(&k->runs, n);
	for (n = 0; n + 1 < vec__cnt(&k->phases) &&
		    VEC_AT(&k->phases, struct phase_mark, n + 1)->ns <= ns;)
		n++;
	vec__drop(&k->phases, n);
	for (n = 0; n + 1 < vec__cnt(&k->inodes) &&
		    VEC_AT(&k->inodes, struct inode_mark, n + 1)->ns <= ns;)
		n++;
	vec__drop(&k->inodes, n);
}

/* ---- work items ---- */

static struct queued_work *find_queued(struct work_queue *q, uint64_t work)
{
	struct queued_work *w = NULL;

	HASH_FIND(hh, q->items, &work, sizeof(work), w);
	return w;
}

static void drop_queued(struct work_queue *q, struct queued_work *w)
{
	HASH_DEL(q->items, w);
	free(w);
}

void work_queue__free(struct work_queue *q)
{
	while (q->items)
		drop_queued(q, q->items);
}

static struct queued_work *add_queued(struct timeline *tl, uint64_t work)
{
	struct work_queue *q = &tl->queued;
	struct queued_work *w = find_queued(q, work);

	if (w) /* the same address, queued again: another generation */
		drop_queued(q, w);
	if (HASH_COUNT(q->items) >= MAX_QUEUED)
		drop_queued(q, q->items);
	w = calloc(1, sizeof(*w));
	if (w) {
		w->work = work;
		HASH_ADD(hh, q->items, work, sizeof(w->work), w);
	}
	if (w && w->hh.tbl)
		return w;
	free(w);
	tl->no_memory = true;
	return NULL;
}

/* The clock of the CPU that queued it is ahead of the worker's: the item began already. */
static bool began_before(struct timeline *tl, const struct ev_work *ev, struct queued_work *w)
{
	struct thread *t = w->begin_ns ? timeline_followed(tl, w->worker) : NULL;
	struct work_run *run;

	if (!t || !t->work || !vec__cnt(&t->work->runs) || ev->h.ts_ns > w->begin_ns + SKEW_NS)
		return false;
	run = VEC_LAST(&t->work->runs, struct work_run);
	if (run->work != w->work || run->begin != w->begin_ns)
		return false;
	run->queue_ns = run->begin;
	run->queue_tid = ev->h.ctx == EV_CTX_TASK ? ev->h.tid : 0;
	run->queue_cause = ev->cause;
	tl->repaired++;
	return true;
}

static void on_queue(struct timeline *tl, const struct ev_work *ev)
{
	struct queued_work *w = find_queued(&tl->queued, ev->work);

	if (w && began_before(tl, ev, w)) {
		drop_queued(&tl->queued, w);
		return;
	}
	w = add_queued(tl, ev->work);
	if (!w)
		return;
	w->queue_ns = ev->h.ts_ns;
	w->queue_tid = ev->h.ctx == EV_CTX_TASK ? ev->h.tid : 0;
	w->queue_cause = ev->cause;
}

static void end_run(struct thread *t, uint64_t ns)
{
	struct work_run *run;

	if (!t->work || !vec__cnt(&t->work->runs))
		return;
	run = VEC_LAST(&t->work->runs, struct work_run);
	if (run->end == UINT64_MAX)
		run->end = ns > run->begin ? ns : run->begin;
}

static void on_start(struct timeline *tl, struct thread *t, const struct ev_work *ev)
{
	struct queued_work *w = find_queued(&tl->queued, ev->work);
	struct kernel_work *k = work_of(tl, t);
	uint64_t begin = ev->h.ts_ns;
	struct work_run *run;

	if (!k)
		return;
	end_run(t, begin);
	if (vec__cnt(&k->runs) && VEC_LAST(&k->runs, struct work_run)->end <= tl->keep_ns)
		vec__drop(&k->runs, vec__cnt(&k->runs));
	if (vec__cnt(&k->runs) && VEC_LAST(&k->runs, struct work_run)->end > begin)
		begin = VEC_LAST(&k->runs, struct work_run)->end;
	run = VEC_PUSH(&k->runs, struct work_run);
	if (!run) {
		tl->no_memory = true;
		return;
	}
	*run = (struct work_run){
		.work = ev->work, .func = ev->func, .begin = begin, .end = UINT64_MAX
	};
	if (w && w->queue_ns && w->queue_ns <= begin) {
		run->queue_ns = w->queue_ns;
		run->queue_tid = w->queue_tid;
		run->queue_cause = w->queue_cause;
		drop_queued(&tl->queued, w);
		return;
	}
	w = add_queued(tl, ev->work);
	if (w) {
		w->begin_ns = begin;
		w->worker = t->tid;
	}
}

void timeline_on_work(struct timeline *tl, const struct ev_work *ev)
{
	struct thread *t = timeline_followed(tl, ev->h.tid);

	switch (ev->act) {
	case FP_WORK_QUEUE:
		return on_queue(tl, ev);
	case FP_WORK_START:
		if (t)
			on_start(tl, t, ev);
		return;
	case FP_WORK_END:
		if (t)
			end_run(t, ev->h.ts_ns);
		return;
	}
}

const struct work_run *thread__work_at(const struct thread *t, uint64_t ns)
{
	size_t lo = 0, hi = t->work ? vec__cnt(&t->work->runs) : 0;
	const struct work_run *run;

	while (lo < hi) { /* the last that began before ns */
		size_t mid = lo + (hi - lo) / 2;

		if (VEC_AT(&t->work->runs, struct work_run, mid)->begin < ns)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!lo)
		return NULL;
	run = VEC_AT(&t->work->runs, struct work_run, lo - 1);
	return run->end >= ns ? run : NULL;
}

/* ---- phases and inodes: a mark makes those before it idle, if no window is open ---- */

static void mark_phase(struct timeline *tl, uint32_t tid, uint64_t ns, enum commit_phase phase)
{
	struct kernel_work *k = work_of(tl, timeline_followed(tl, tid));
	struct phase_mark *m;

	if (k && ns <= tl->keep_ns)
		vec__drop(&k->phases, vec__cnt(&k->phases));
	m = k ? VEC_PUSH(&k->phases, struct phase_mark) : NULL;
	if (m)
		*m = (struct phase_mark){ .ns = ns, .phase = phase };
	else if (k)
		tl->no_memory = true;
}

static void mark_inode(struct timeline *tl, const struct ev_point *ev, uint64_t ino)
{
	struct kernel_work *k = work_of(tl, timeline_followed(tl, ev->h.tid));
	struct inode_mark *m;

	if (k && ev->h.ts_ns <= tl->keep_ns)
		vec__drop(&k->inodes, vec__cnt(&k->inodes));
	m = k ? VEC_PUSH(&k->inodes, struct inode_mark) : NULL;
	if (m)
		*m = (struct inode_mark){ .ns = ev->h.ts_ns, .ino = ino, .dev = ev->dev };
	else if (k)
		tl->no_memory = true;
}

void timeline_on_point(struct timeline *tl, const struct ev_point *ev)
{
	switch (ev->op) {
	case FP_POINT_JBD2_START:
	case FP_POINT_JBD2_LOCKING:
		return mark_phase(tl, ev->h.tid, ev->h.ts_ns, PHASE_LOCKED);
	case FP_POINT_JBD2_FLUSHING:
		return mark_phase(tl, ev->h.tid, ev->h.ts_ns, PHASE_FLUSH);
	case FP_POINT_JBD2_LOGGING:
		mark_inode(tl, ev, 0);
		return mark_phase(tl, ev->h.tid, ev->h.ts_ns, PHASE_LOG);
	case FP_POINT_JBD2_END:
		return mark_phase(tl, ev->h.tid, ev->h.ts_ns, PHASE_NONE);
	case FP_POINT_WB_INODE:
	case FP_POINT_JBD2_INODE_DATA:
		return mark_inode(tl, ev, ev->id);
	case FP_POINT_WB_WRITTEN:
		return mark_inode(tl, ev, 0);
	default:
		return;
	}
}

enum commit_phase thread__phase_at(const struct thread *t, uint64_t ns, uint64_t *until)
{
	size_t lo = 0, hi = t->work ? vec__cnt(&t->work->phases) : 0, cnt = hi;

	while (lo < hi) { /* the first mark behind ns */
		size_t mid = lo + (hi - lo) / 2;

		if (VEC_AT(&t->work->phases, struct phase_mark, mid)->ns <= ns)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo < cnt && VEC_AT(&t->work->phases, struct phase_mark, lo)->ns < *until)
		*until = VEC_AT(&t->work->phases, struct phase_mark, lo)->ns;
	return lo ? VEC_AT(&t->work->phases, struct phase_mark, lo - 1)->phase : PHASE_NONE;
}

struct inode_mark thread__inode_at(const struct thread *t, uint64_t ns)
{
	size_t lo = 0, hi = t->work ? vec__cnt(&t->work->inodes) : 0;
	const struct work_run *run = thread__work_at(t, ns);
	struct inode_mark m = { 0 };

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (VEC_AT(&t->work->inodes, struct inode_mark, mid)->ns <= ns)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo)
		m = *VEC_AT(&t->work->inodes, struct inode_mark, lo - 1);
	if (run && m.ns < run->begin)
		m.ino = 0;
	return m;
}
