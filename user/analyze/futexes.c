// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Futex waits of a window by thread and address: how long, where the word lies, who ended them, and
 * what they were to the window. The length of a wait says nothing of that; the ledger and the
 * direction of the wake do:
 *
 *   contended    the ledger charges a part of it: somebody held what the path needed
 *   passive      not charged, and ended by a thread of the path or one that is passive itself: the
 *                waiter was parked until the path went on
 *   independent  the rest: not ended, or by a timer, or by a thread that is neither
 */
#include "analysis.h"

#include <errno.h>
#include <linux/futex.h>
#include <utlist.h>

#define MAX_FUTEXES 256

static const char *op_name(uint32_t op)
{
	bool private = op & FUTEX_PRIVATE_FLAG;

	switch (op & FUTEX_CMD_MASK) {
	case FUTEX_WAIT:
		return private ? "WAIT_PRIVATE" : "WAIT";
	case FUTEX_WAIT_BITSET:
		return private ? "WAIT_BITSET_PRIVATE" : "WAIT_BITSET";
	case FUTEX_LOCK_PI:
		return private ? "LOCK_PI_PRIVATE" : "LOCK_PI";
	case FUTEX_LOCK_PI2:
		return private ? "LOCK_PI2_PRIVATE" : "LOCK_PI2";
	case FUTEX_WAIT_REQUEUE_PI:
		return private ? "WAIT_REQUEUE_PI_PRIVATE" : "WAIT_REQUEUE_PI";
	default:
		return NULL; /* it wakes, and does not wait */
	}
}

/* The thread that ended the longest sleep within the call. */
static uint32_t waker_in(const struct thread *t, const struct span *s)
{
	uint64_t longest = 0;
	uint32_t waker = 0;

	for (size_t i = seg_after(&t->segs, s->begin); i < vec__cnt(&t->segs); i++) {
		const struct seg *g = VEC_AT(&t->segs, struct seg, i);

		if (g->begin >= s->end)
			break;
		if (g->kind != SEG_BLOCKED || g->end - g->begin <= longest)
			continue;
		longest = g->end - g->begin;
		waker = g->flags & SEG_BY_TASK ? g->detail : 0;
	}
	return waker;
}

static const char *comm_of(const struct analysis *a, uint32_t tid, uint64_t ns)
{
	const struct thread *t = tid ? timeline__thread_at(&a->tl, tid, ns) : NULL;

	return t ? t->comm : "";
}

/* "stack of fc_vcpu 0 (102)" says more than that it is one. */
static int set_place(struct analysis *a, struct finding_futex *row, const struct thread *t,
		     const struct span *s)
{
	struct place at;
	const char *comm;

	symbols__place(a->symbols, t->tgid, s->arg, &at);
	row->kind = at.kind;
	comm = at.tid ? comm_of(a, at.tid, s->begin) : "";
	if (comm[0])
		return finding_setf(&row->mapping, "stack of %s (%u)", comm, at.tid);
	return finding_set(&row->mapping, at.text);
}

static struct finding_futex *row_of(struct analysis *a, struct finding_window *fw, size_t first,
				    const struct thread *t, const struct span *s)
{
	struct finding_futex *row;

	for (size_t i = first; i < fw->futexes_cnt; i++)
		if (fw->futexes[i].uaddr == s->arg)
			return &fw->futexes[i];
	if (fw->futexes_cnt >= MAX_FUTEXES)
		return NULL;
	row = FINDING_APPEND(&fw->futexes, &fw->futexes_cnt);
	if (!row || set_place(a, row, t, s) || finding_set(&row->op, op_name(s->value)) ||
	    finding_set(&row->comm, t->comm) || finding_set(&row->waker_comm, "")) {
		a->tl.no_memory = true;
		return NULL;
	}
	row->uaddr = s->arg;
	row->tid = t->tid;
	return row;
}

/* Whether its waits end when the path goes on. */
static bool released_by_path(const struct analysis *a, uint32_t w, const struct path *path,
			     const struct thread *waker)
{
	if (!waker)
		return false;
	if (path__ns(path, waker->tid))
		return true;
	return waker->row_window == w + 1 && a->f->windows[w].threads[waker->row].passive;
}

static enum finding_futex_class class_of(const struct analysis *a, uint32_t w,
					 const struct path *path, const struct finding_futex *row)
{
	const struct thread *waker = NULL;

	if (row->path_ns)
		return FUTEX_CONTENDED;
	if (row->waker_tid)
		waker = timeline__thread_at(&a->tl, row->waker_tid, WINDOW(a, w)->end_ns - 1);
	return released_by_path(a, w, path, waker) ? FUTEX_PASSIVE : FUTEX_INDEPENDENT;
}

static void add_thread(struct analysis *a, uint32_t w, const struct path *path,
		       const struct thread *t)
{
	const struct window *win = WINDOW(a, w);
	struct finding_window *fw = &a->f->windows[w];
	size_t first = fw->futexes_cnt;
	uint64_t longest[MAX_FUTEXES + 1] = { 0 };

	for (size_t i = 0; i < vec__cnt(&t->spans[0]); i++) {
		const struct span *s = VEC_AT(&t->spans[0], struct span, i);
		uint64_t ns = s->cls == FP_SYS_FUTEX && op_name(s->value)
				      ? overlap_ns(win, s->begin, s->end)
				      : 0;
		struct finding_futex *row = ns ? row_of(a, fw, first, t, s) : NULL;

		if (!row)
			continue;
		row->wait_ns += ns;
		row->waits++;
		row->path_ns += path__futex_ns(path, t->tid, s->begin, s->end);
		if (ns > longest[row - fw->futexes]) {
			longest[row - fw->futexes] = ns;
			row->waker_tid = waker_in(t, s);
			if (finding_set(&row->waker_comm, comm_of(a, row->waker_tid, s->end)))
				a->tl.no_memory = true;
		}
	}
	for (size_t i = first; i < fw->futexes_cnt; i++)
		fw->futexes[i].class = class_of(a, w, path, &fw->futexes[i]);
}

static int compare(const void *x, const void *y)
{
	const struct finding_futex *a = x, *b = y;

	if (a->wait_ns != b->wait_ns)
		return a->wait_ns > b->wait_ns ? -1 : 1;
	if (a->tid != b->tid)
		return a->tid < b->tid ? -1 : 1;
	return a->uaddr < b->uaddr ? -1 : a->uaddr > b->uaddr;
}

int futexes__window(struct analysis *a, uint32_t w, const struct path *path)
{
	struct finding_window *fw = &a->f->windows[w];
	const struct thread *t;

	DL_FOREACH (a->tl.threads, t) {
		if (t->target && vec__cnt(&t->spans[0]))
			add_thread(a, w, path, t);
	}
	if (fw->futexes_cnt)
		qsort(fw->futexes, fw->futexes_cnt, sizeof(fw->futexes[0]), compare);
	return a->tl.no_memory ? -ENOMEM : 0;
}
