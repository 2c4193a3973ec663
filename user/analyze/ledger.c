// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The ledger of a window: what its critical path went to, and how much of that an earlier window
 * left behind. Its rows are sums of pieces that tile the window, so they sum to it.
 */
#include <errno.h>
#include <utlist.h>

#include "critical_path.h"

/* ---- carry-over ---- */

/* The window of the same sweep that began last before `ns`; 0 = none. */
static uint32_t window_before(const struct analysis *a, uint32_t w, uint64_t ns)
{
	const struct window *win = WINDOW(a, w);

	for (uint32_t i = w; i-- > 0;) {
		const struct window *before = WINDOW(a, i);

		if (before->sweep != win->sweep)
			break;
		if (before->begin_ns <= ns && before->index < win->index)
			return before->index;
	}
	return 0;
}

static void add_carry(struct analysis *a, uint32_t w, const struct carry *carry,
		      const struct path_piece *p, struct tally *ledger)
{
	const struct window *win = WINDOW(a, w);
	uint64_t since = win->begin_ns - 1, ns;

	if (!waits_for_device(p->cause))
		return;
	if (p->rq && p->rq->queue_ns < win->begin_ns) { /* it is old itself */
		since = p->rq->queue_ns;
		ns = p->hi - p->lo;
	} else { /* it stands behind what is old in the device */
		ns = carry__ns(carry, p->lo, p->hi);
	}
	if (ns)
		tally__carry(ledger, p->cause, ns, window_before(a, w, since));
}

/* ---- summing up ---- */

static int sum_pieces(struct analysis *a, uint32_t w, const struct carry *carry,
		      const struct path *path, struct tally *ledger)
{
	for (size_t i = 0; i < vec__cnt(&path->pieces); i++) {
		const struct path_piece *p = VEC_AT(&path->pieces, struct path_piece, i);

		if (p->pooled)
			continue;
		if (tally__add(ledger, p->cause, p->hi - p->lo, 0))
			return -ENOMEM;
		add_carry(a, w, carry, p, ledger);
	}
	return 0;
}

static int empty_pools(const struct path *path, struct tally *ledger)
{
	for (uint32_t i = 0; i < path->pools_cnt; i++) {
		const struct pool *pool = &path->pools[i];
		int err = pool->samples.total_ns
				  ? tally__apportion(&pool->samples, pool->ns, ledger)
				  : tally__add(ledger, pool->fallback, pool->ns, 0);

		if (err)
			return err;
	}
	return 0;
}

/* ---- the closer ---- */

static bool works_on_files(uint8_t cls)
{
	switch (cls) {
	case FP_SYS_OPEN:
	case FP_SYS_FTRUNCATE:
	case FP_SYS_FALLOCATE:
	case FP_SYS_WRITE:
	case FP_SYS_FSYNC:
	case FP_SYS_FDATASYNC:
	case FP_SYS_SYNC_FILE_RANGE:
	case FP_SYS_COPY_FILE_RANGE:
	case FP_SYS_SENDFILE:
	case FP_SYS_SPLICE:
	case FP_SYS_RENAME:
	case FP_SYS_UNLINK:
	case FP_SYS_MSYNC:
		return true;
	default:
		return false;
	}
}

/* Time in file calls first, time on the CPU second: a window without a known end has a worker. */
static uint64_t work_of(const struct analysis *a, const struct thread *t, const struct window *w)
{
	uint64_t files = 0, running = 0;
	struct pieces it;
	struct piece p;

	pieces__begin(&it, &a->tl, t, w->begin_ns, w->end_ns);
	while (pieces__next(&it, &p)) {
		if (p.sys && works_on_files(p.sys->cls))
			files += p.end - p.begin;
		if (p.kind == SEG_RUN)
			running += p.end - p.begin;
	}
	return files * 16 + running;
}

static struct thread *find_closer(struct analysis *a, const struct window *w)
{
	struct thread *t = NULL, *best = NULL;
	uint64_t best_work = 0;

	if (w->closer_tid)
		t = timeline__thread_at(&a->tl, w->closer_tid, w->end_ns);
	if (!t && w->closer_tid) /* dead before the end: a command that was waited for */
		t = timeline__thread_at(&a->tl, w->closer_tid, w->begin_ns);
	if (t && t->target)
		return t;
	DL_FOREACH (a->tl.threads, t) {
		uint64_t work = t->target ? work_of(a, t, w) : 0;

		if (work > best_work || (work && work == best_work && t->tid < best->tid)) {
			best = t;
			best_work = work;
		}
	}
	return best;
}

int ledger__window(struct analysis *a, uint32_t w, const struct carry *carry, struct path *path)
{
	struct window *win = WINDOW(a, w);
	struct finding_window *fw = &a->f->windows[w];
	struct thread *closer = find_closer(a, win);
	struct tally ledger = { 0 };
	int err;

	if (closer) {
		win->closer_tid = fw->closer_tid = closer->tid;
		err = path__walk(a, win, closer, path);
	} else {
		err = tally__add(&ledger, "unknown.no_thread", win->end_ns - win->begin_ns, 0);
	}
	if (!err)
		err = sum_pieces(a, w, carry, path, &ledger);
	if (!err)
		err = empty_pools(path, &ledger);
	if (!err)
		err = tally__write(&ledger, &fw->ledger, &fw->ledger_cnt);
	if (!err)
		err = path__write(path, win, fw);
	if (!err)
		err = blame__window(a, w, path, carry->dev);
	tally__free(&ledger);
	return err;
}
