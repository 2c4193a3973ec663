// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Threads that waited for the path: blocked for at least half of the window, less than 1 % of it
 * on the path themselves, and released by a thread of the path, or by one that was passive itself.
 * Their waits are as long as the window because the window is, not the other way round.
 */
#include "analysis.h"

#include <errno.h>

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

static bool mostly_blocked(const struct finding_thread *ft, uint64_t window_ns)
{
	uint64_t ns = 0;

	for (size_t i = 0; i < ft->blocked_cnt; i++)
		ns += ft->blocked[i].ns;
	return ns * 2 >= window_ns;
}

static bool is_passive(const struct finding_window *fw, uint32_t tid)
{
	for (size_t i = 0; i < fw->threads_cnt; i++)
		if (fw->threads[i].tid == tid && fw->threads[i].passive)
			return true;
	return false;
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
	e->futex_ns = shares__find(fw->ledger, fw->ledger_cnt, "futex.contended");
}

int passive__mark(struct analysis *a, uint32_t w, const struct path *path)
{
	struct finding_window *fw = &a->f->windows[w];
	const struct window *win = WINDOW(a, w);
	uint64_t len = win->end_ns - win->begin_ns;
	uint32_t *wakers = calloc(fw->threads_cnt + 1, sizeof(*wakers));
	bool again = true;

	if (!wakers)
		return -ENOMEM;
	for (size_t i = 0; i < fw->threads_cnt; i++) {
		const struct thread *t = timeline__thread_at(&a->tl, fw->threads[i].tid,
							     win->end_ns - 1);

		if (t && mostly_blocked(&fw->threads[i], len) &&
		    path__ns(path, fw->threads[i].tid) * 100 < len)
			wakers[i] = terminal_waker(a, t, win);
	}
	while (again) { /* each round marks one more at least */
		again = false;
		for (size_t i = 0; i < fw->threads_cnt; i++) {
			if (fw->threads[i].passive || !wakers[i] ||
			    (!path__ns(path, wakers[i]) && !is_passive(fw, wakers[i])))
				continue;
			fw->threads[i].passive = again = true;
		}
	}
	free(wakers);
	count_parked(a, w);
	return 0;
}
