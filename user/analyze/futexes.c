// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Futex waits of a window by thread and address: how long, where the word lies, who ended it. */
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

	for (size_t i = 0; i < vec__cnt(&t->segs); i++) {
		const struct seg *g = VEC_AT(&t->segs, struct seg, i);

		if (g->begin >= s->end)
			break;
		if (g->kind != SEG_BLOCKED || g->end <= s->begin || g->end - g->begin <= longest)
			continue;
		longest = g->end - g->begin;
		waker = g->flags & SEG_BY_TASK ? g->detail : 0;
	}
	return waker;
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
	if (!row || finding_set(&row->mapping, symbols__mapping(a->symbols, t->tgid, s->arg)) ||
	    finding_set(&row->op, op_name(s->value))) {
		a->tl.no_memory = true;
		return NULL;
	}
	row->uaddr = s->arg;
	row->tid = t->tid;
	return row;
}

static void add_thread(struct analysis *a, const struct window *w, struct finding_window *fw,
		       const struct thread *t)
{
	size_t first = fw->futexes_cnt;
	uint64_t longest[MAX_FUTEXES + 1] = { 0 };

	for (size_t i = 0; i < vec__cnt(&t->spans[0]); i++) {
		const struct span *s = VEC_AT(&t->spans[0], struct span, i);
		uint64_t ns = s->cls == FP_SYS_FUTEX && op_name(s->value)
				      ? overlap_ns(w, s->begin, s->end)
				      : 0;
		struct finding_futex *row = ns ? row_of(a, fw, first, t, s) : NULL;

		if (!row)
			continue;
		row->wait_ns += ns;
		row->waits++;
		if (ns > longest[row - fw->futexes]) {
			longest[row - fw->futexes] = ns;
			row->waker_tid = waker_in(t, s);
		}
	}
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

int futexes__window(struct analysis *a, uint32_t w)
{
	const struct window *win = WINDOW(a, w);
	struct finding_window *fw = &a->f->windows[w];
	const struct thread *t;

	DL_FOREACH (a->tl.threads, t) {
		if (t->target && vec__cnt(&t->spans[0]))
			add_thread(a, win, fw, t);
	}
	if (fw->futexes_cnt)
		qsort(fw->futexes, fw->futexes_cnt, sizeof(fw->futexes[0]), compare);
	return a->tl.no_memory ? -ENOMEM : 0;
}
