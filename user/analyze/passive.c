// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Threads that waited for the path: blocked for at least half of the window, less than 1 % of it
 * on the path themselves, released by a thread of the path, or by one that was passive itself, and
 * without a wait of the path that they ended but for a hand-over. Their waits are as long as the
 * window because the window is, not the other way round.
 * A hand-over is shorter than 1 ms or, like their time on the path, than 1 % of the window: a vCPU
 * that is told to park on a busy CPU answers some ms late, and is no less parked for that.
 */
#include "analysis.h"

#include <errno.h>
#include <utlist.h>

/* The wake that ended the longest wait which overlaps the window; 0 = no thread did. */
static uint32_t terminal_waker(const struct analysis *a, const struct thread *t,
			       const struct window *w)
{
	uint64_t longest = 0;
	uint32_t waker = 0;
	struct seg open;

	for (size_t i = 0; i <= vec__cnt(&t->segs); i++) {
		const struct seg *s;
		uint64_t ns;

		if (i == vec__cnt(&t->segs) && !thread__open_seg(&a->tl, t, &open))
			break;
		s = i < vec__cnt(&t->segs) ? VEC_AT(&t->segs, struct seg, i) : &open;
		ns = s->kind == SEG_BLOCKED ? overlap_ns(w, s->begin, s->end) : 0;
		if (ns <= longest)
			continue;
		longest = ns;
		waker = s->flags & SEG_BY_TASK ? s->detail : 0;
	}
	return waker;
}

#define HANDOVER_NS 1000000 /* who starts or finishes something ends waits as short as this */

static bool is_small(uint64_t ns, uint64_t window_ns)
{
	return ns * 100 < window_ns;
}

static bool only_handed_over(const struct path *path, uint32_t tid, uint64_t window_ns)
{
	uint64_t ended_ns = path__ended_ns(path, tid);

	return ended_ns < HANDOVER_NS || is_small(ended_ns, window_ns);
}

static bool mostly_blocked(const struct finding_thread *ft, uint64_t window_ns)
{
	uint64_t ns = 0;

	for (size_t i = 0; i < ft->blocked_cnt; i++)
		ns += ft->blocked[i].ns;
	return ns * 2 >= window_ns;
}

static void count_parked(struct analysis *a, uint32_t w)
{
	const struct finding_window *fw = &a->f->windows[w];
	struct evidence *e = EVIDENCE(a, w);

	for (size_t i = 0; i < fw->threads_cnt; i++) {
		const struct finding_thread *ft = &fw->threads[i];
		uint64_t ns = shares__find(ft->blocked, ft->blocked_cnt, "futex.wait");

		if (!ft->passive || !ns)
			continue;
		e->parked++;
		e->parked_ns = ns > e->parked_ns ? ns : e->parked_ns;
	}
}

/* What is known of a row: who released it, and whether that makes it passive. */
struct release {
	uint32_t row;	/* of the waker; NO_ROW = none that could make it passive */
	bool by_path;	/* the waker is on the path */
	bool looked_at; /* its chain was followed */
};

#define NO_ROW UINT32_MAX

/* The row of a thread in the window at hand. */
static uint32_t row_of(const struct thread *t, uint32_t w)
{
	return t && t->row_window == w + 1 ? t->row : NO_ROW;
}

static struct release release_of(const struct analysis *a, const struct path *path,
				 const struct thread *t, uint32_t w)
{
	const struct window *win = WINDOW(a, w);
	struct release r = { .row = NO_ROW };
	uint32_t waker = terminal_waker(a, t, win);

	if (!waker)
		return r;
	r.by_path = path__ns(path, waker) > 0;
	r.row = row_of(timeline__thread_at(&a->tl, waker, win->end_ns - 1), w);
	return r;
}

/* From waker to waker, until one is on the path, or passive, or nobody; each row once. */
static void follow(struct finding_window *fw, struct release *rel, uint32_t from)
{
	bool passive = false;
	uint32_t row = from;

	while (row != NO_ROW && !rel[row].looked_at && !rel[row].by_path) {
		rel[row].looked_at = true;
		row = rel[row].row;
	}
	if (row != NO_ROW)
		passive = rel[row].by_path || fw->threads[row].passive;
	for (uint32_t i = from; passive && i != NO_ROW && !fw->threads[i].passive;
	     i = i == row ? NO_ROW : rel[i].row)
		fw->threads[i].passive = true;
}

int passive__mark(struct analysis *a, uint32_t w, const struct path *path)
{
	struct finding_window *fw = &a->f->windows[w];
	uint64_t len = WINDOW(a, w)->end_ns - WINDOW(a, w)->begin_ns;
	struct release *rel = calloc(fw->threads_cnt + 1, sizeof(*rel));
	const struct thread *t;

	if (!rel)
		return -ENOMEM;
	for (size_t i = 0; i < fw->threads_cnt; i++)
		rel[i].row = NO_ROW;
	DL_FOREACH (a->tl.threads, t) {
		uint32_t row = row_of(t, w);

		if (row != NO_ROW && mostly_blocked(&fw->threads[row], len) &&
		    is_small(path__ns(path, t->tid), len) && only_handed_over(path, t->tid, len))
			rel[row] = release_of(a, path, t, w);
	}
	for (uint32_t i = 0; i < fw->threads_cnt; i++)
		follow(fw, rel, i);
	free(rel);
	count_parked(a, w);
	return 0;
}
