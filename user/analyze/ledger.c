// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The ledger of a window: the time of the thread that closes it. Where that thread was blocked and
 * another thread of a target woke it, the same interval is walked in that one instead, and so on.
 * An interval is only ever replaced by pieces that tile it, so the sum is that of the window.
 *
 * No walk goes back before the wait began: what a waker did earlier was nobody's delay.
 */
#include "analysis.h"

#include <errno.h>
#include <utlist.h>

#define MAX_DEPTH 256

/* An interval that is still to be explained. */
struct job {
	struct thread *t;
	uint64_t lo, hi;
	uint32_t depth;
};

/* Kernel time under a syscall: samples split it, else it has the syscall's name. */
struct pool {
	const char *fallback;
	uint64_t ns;
	struct tally samples;
};

#define MAX_POOLS 4

struct walk {
	struct analysis *a;
	const struct window *w;
	const struct carry *carry;
	struct tally ledger;
	struct path *path;
	struct vec jobs;
	struct pool pools[MAX_POOLS];
	uint32_t pools_cnt;
};

/* ---- the path ---- */

void path__free(struct path *p)
{
	struct path_actor *actor, *next;

	HASH_ITER (hh, p->actors, actor, next) {
		HASH_DEL(p->actors, actor);
		free(actor);
	}
	tally__free(&p->journal);
	vec__free(&p->futex_waits);
}

int path__add_futex_wait(struct path *p, uint32_t tid, uint64_t begin, uint64_t end)
{
	struct path_wait *wait = VEC_PUSH(&p->futex_waits, struct path_wait);

	if (!wait)
		return -ENOMEM;
	*wait = (struct path_wait){ .begin = begin, .end = end, .tid = tid };
	return 0;
}

uint64_t path__futex_ns(const struct path *p, uint32_t tid, uint64_t begin, uint64_t end)
{
	uint64_t ns = 0;

	for (size_t i = 0; i < vec__cnt(&p->futex_waits); i++) {
		const struct path_wait *wait = VEC_AT(&p->futex_waits, struct path_wait, i);
		uint64_t lo = begin > wait->begin ? begin : wait->begin;
		uint64_t hi = end < wait->end ? end : wait->end;

		if (wait->tid == tid && hi > lo)
			ns += hi - lo;
	}
	return ns;
}

uint64_t path__ns(const struct path *p, uint32_t tid)
{
	struct path_actor *actor;

	HASH_FIND(hh, p->actors, &tid, sizeof(tid), actor);
	return actor ? actor->ns : 0;
}

static int note_actor(struct path *p, uint32_t tid, uint64_t ns)
{
	struct path_actor *actor;

	HASH_FIND(hh, p->actors, &tid, sizeof(tid), actor);
	if (!actor) {
		actor = calloc(1, sizeof(*actor));
		if (!actor)
			return -ENOMEM;
		actor->tid = tid;
		HASH_ADD(hh, p->actors, tid, sizeof(actor->tid), actor);
		if (!actor->hh.tbl) {
			free(actor);
			return -ENOMEM;
		}
	}
	actor->ns += ns;
	return 0;
}

/* ---- emitting ---- */

/* Waits that end when a device has done its work: some of it may be an earlier window's. */
static bool waits_for_device(const char *cause)
{
	return !strncmp(cause, "io.", 3) || !strcmp(cause, "fs.writeback_wait") ||
	       !strcmp(cause, "writeback.dirty_throttle") || !strcmp(cause, "jbd2.commit_wait");
}

static int emit(struct walk *k, const struct thread *t, const char *cause, uint64_t lo, uint64_t hi)
{
	uint64_t carry = waits_for_device(cause) ? carry__ns(k->carry, lo, hi) : 0;
	int err = tally__add(&k->ledger, cause, hi - lo, carry);

	return err ? err : note_actor(k->path, t->tid, hi - lo);
}

static struct pool *pool_of(struct walk *k, const char *fallback)
{
	for (uint32_t i = 0; i < k->pools_cnt; i++)
		if (k->pools[i].fallback == fallback)
			return &k->pools[i];
	if (k->pools_cnt == MAX_POOLS)
		return NULL;
	k->pools[k->pools_cnt].fallback = fallback;
	return &k->pools[k->pools_cnt++];
}

static size_t sample_from(const struct vec *samples, uint64_t ns)
{
	size_t lo = 0, hi = vec__cnt(samples);

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (VEC_AT(samples, struct sample, mid)->ts_ns < ns)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static int sample_piece(struct walk *k, const struct thread *t, const struct piece *p,
			struct pool *pool)
{
	pool->ns += p->end - p->begin;
	for (size_t i = sample_from(&t->samples, p->begin); i < vec__cnt(&t->samples); i++) {
		const struct sample *s = VEC_AT(&t->samples, struct sample, i);

		if (s->ts_ns >= p->end)
			break;
		if (s->kstack != STACK_NONE &&
		    tally__add(&pool->samples, name_sample(k->a, t, p, s), 1, 0))
			return -ENOMEM;
	}
	return note_actor(k->path, t->tid, p->end - p->begin);
}

static int emit_running(struct walk *k, const struct thread *t, const struct piece *p)
{
	bool sampled;
	const char *cause = name_running(k->a, t, p, &sampled);
	struct pool *pool = sampled ? pool_of(k, cause) : NULL;

	if (pool)
		return sample_piece(k, t, p, pool);
	return emit(k, t, cause, p->begin, p->end);
}

/* ---- walking ---- */

static int push(struct walk *k, struct thread *t, uint64_t lo, uint64_t hi, uint32_t depth)
{
	struct job *j;

	if (hi <= lo)
		return 0;
	j = VEC_PUSH(&k->jobs, struct job);
	if (!j)
		return -ENOMEM;
	*j = (struct job){ .t = t, .lo = lo, .hi = hi, .depth = depth };
	return 0;
}

/* The thread of a target that ended this wait; NULL = none, or not seen. */
static struct thread *waker_of(struct walk *k, const struct thread *t, const struct piece *p)
{
	struct thread *w;

	if (!(p->seg->flags & SEG_BY_TASK))
		return NULL;
	w = timeline__thread_at(&k->a->tl, p->seg->detail, p->seg->end);
	return w && w->target && w != t ? w : NULL;
}

static int walk_blocked(struct walk *k, const struct job *j, const struct piece *p)
{
	const char *cause = name_blocked(k->a, j->t, p);
	struct thread *w = waits_for_thread(cause) ? waker_of(k, j->t, p) : NULL;

	if (w && j->depth >= MAX_DEPTH)
		return emit(k, j->t, "unknown.depth", p->begin, p->end);
	if (w)
		return push(k, w, p->begin, p->end, j->depth + 1);
	/* On the path itself a futex is no mere parking: somebody held what was needed. */
	if (!strcmp(cause, "futex.wait")) {
		bool nobody = k->a->wakes && !(p->seg->flags & (SEG_WOKEN | SEG_OPEN));

		cause = nobody ? "unknown.no_waker" : "futex.contended";
	}
	if (!strcmp(cause, "futex.contended") &&
	    path__add_futex_wait(k->path, j->t->tid, p->begin, p->end))
		return -ENOMEM;
	if (!strcmp(cause, "jbd2.commit_wait") && journal__wait(k->a, p, &k->path->journal))
		return -ENOMEM;
	return emit(k, j->t, cause, p->begin, p->end);
}

/* Before a thread was born, its parent was about to make it. */
static int walk_unborn(struct walk *k, const struct job *j, const struct piece *p)
{
	struct thread *parent = NULL;

	if (p->end <= j->t->born_ns && j->t->parent)
		parent = timeline__thread_at(&k->a->tl, j->t->parent, j->t->born_ns);
	if (parent && parent->target && parent != j->t && j->depth < MAX_DEPTH)
		return push(k, parent, p->begin, p->end, j->depth + 1);
	return emit(k, j->t, "unknown.no_thread", p->begin, p->end);
}

static int walk_piece(struct walk *k, const struct job *j, const struct piece *p)
{
	switch (p->kind) {
	case SEG_RUN:
		return emit_running(k, j->t, p);
	case SEG_RUNNABLE:
		return emit(k, j->t, name_runnable(p), p->begin, p->end);
	case SEG_BLOCKED:
		return walk_blocked(k, j, p);
	case SEG_UNKNOWN:
		return emit(k, j->t, name_unknown(p), p->begin, p->end);
	case SEG_NONE:
		break;
	}
	return walk_unborn(k, j, p);
}

static int walk_all(struct walk *k)
{
	while (vec__cnt(&k->jobs)) {
		struct job j = *VEC_LAST(&k->jobs, struct job);
		struct pieces it;
		struct piece p;

		k->jobs.end--;
		pieces__begin(&it, &k->a->tl, j.t, j.lo, j.hi);
		while (pieces__next(&it, &p)) {
			int err = walk_piece(k, &j, &p);

			if (err)
				return err;
		}
	}
	return 0;
}

static int empty_pools(struct walk *k)
{
	for (uint32_t i = 0; i < k->pools_cnt; i++) {
		struct pool *pool = &k->pools[i];
		int err = pool->samples.total_ns
				  ? tally__apportion(&pool->samples, pool->ns, &k->ledger)
				  : tally__add(&k->ledger, pool->fallback, pool->ns, 0);

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
	struct walk k = { .a = a, .w = win, .carry = carry, .path = path };
	struct thread *closer = find_closer(a, win);
	int err;

	if (closer) {
		win->closer_tid = fw->closer_tid = closer->tid;
		err = push(&k, closer, win->begin_ns, win->end_ns, 0);
	} else {
		err = tally__add(&k.ledger, "unknown.no_thread", win->end_ns - win->begin_ns, 0);
	}
	if (!err)
		err = walk_all(&k);
	if (!err)
		err = empty_pools(&k);
	if (!err)
		err = tally__write(&k.ledger, &fw->ledger, &fw->ledger_cnt);
	for (uint32_t i = 0; i < k.pools_cnt; i++)
		tally__free(&k.pools[i].samples);
	tally__free(&k.ledger);
	vec__free(&k.jobs);
	return err;
}
