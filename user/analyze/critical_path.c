// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The walk. Where a thread of the path was blocked, the same interval is walked in who ended the
 * wait: another thread, the work item that this one executed, the life of a request, and so on. An
 * interval is only ever replaced by pieces that tile it, so the sum is that of the window.
 *
 * No walk goes back before the wait began: what a waker did earlier was nobody's delay.
 */
#include "critical_path.h"

#include <errno.h>

/* Waits that keep their name: so many holders are asked what they did meanwhile. */
#define MAX_HELD 4096

int walk__push(struct walk *k, const struct job *job)
{
	struct job *j;

	if (job->hi <= job->lo)
		return 0;
	j = VEC_PUSH(&k->jobs, struct job);
	if (!j)
		return -ENOMEM;
	*j = *job;
	return 0;
}

/* ---- emitting ---- */

static bool starts_with(const char *s, const char *prefix)
{
	return !strncmp(s, prefix, strlen(prefix));
}

/* What is more exact than the phase of a commit. */
static bool outranks_phase(const char *cause)
{
	return starts_with(cause, "io.throttle.") || !strcmp(cause, "io.tag_wait") ||
	       !strcmp(cause, "io.queue_frozen") || !strcmp(cause, "unknown.lost");
}

static int add_piece(struct walk *k, const struct path_piece *piece)
{
	struct path_piece *p;

	if (k->aside)
		return tally__add(k->aside, piece->shown ? piece->shown : piece->cause,
				  piece->hi - piece->lo, 0);
	p = VEC_PUSH(&k->path->pieces, struct path_piece);
	if (!p)
		return -ENOMEM;
	*p = *piece;
	return 0;
}

static const char *phase_cause(const struct thread *journal, uint64_t ns, uint64_t *until)
{
	if (!journal->work || !vec__cnt(&journal->work->phases))
		return "jbd2.commit_wait";
	switch (thread__phase_at(journal, ns, until)) {
	case PHASE_LOCKED:
		return "jbd2.commit_locked";
	case PHASE_FLUSH:
		return "jbd2.commit_flush";
	case PHASE_LOG:
		return "jbd2.commit_log";
	case PHASE_NONE:
		break;
	}
	return NULL;
}

static int emit_by_phase(struct walk *k, const struct job *j, const struct path_piece *piece)
{
	struct path_piece part = *piece;
	const char *leaf = piece->shown ? piece->shown : piece->cause;

	if (!k->aside && journal__note(&k->path->journal, leaf, piece->hi - piece->lo))
		return -ENOMEM;
	if (outranks_phase(leaf))
		return add_piece(k, piece);
	while (part.lo < piece->hi) {
		const char *phase;

		part.hi = piece->hi;
		phase = j->phase ? j->phase : phase_cause(j->commit, part.lo, &part.hi);
		part.cause = phase ? phase : piece->cause;
		part.shown = phase ? NULL : piece->shown;
		part.pooled = !phase && piece->pooled;
		if (add_piece(k, &part))
			return -ENOMEM;
		part.lo = part.hi;
	}
	return 0;
}

int walk__emit(struct walk *k, const struct job *j, const struct path_piece *piece)
{
	if (piece->hi <= piece->lo)
		return 0;
	return j->commit ? emit_by_phase(k, j, piece) : add_piece(k, piece);
}

static int emit(struct walk *k, const struct job *j, const char *cause, uint64_t lo, uint64_t hi)
{
	return walk__emit(k, j,
			  &(struct path_piece){
				  .lo = lo, .hi = hi, .cause = cause, .t = j->t, .hop = j->hop });
}

/* ---- running ---- */

static struct pool *pool_of(struct path *p, const char *fallback)
{
	for (uint32_t i = 0; i < p->pools_cnt; i++)
		if (!strcmp(p->pools[i].fallback, fallback))
			return &p->pools[i];
	if (p->pools_cnt == PATH_POOLS)
		return NULL;
	p->pools[p->pools_cnt].fallback = fallback;
	return &p->pools[p->pools_cnt++];
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

static const char *top_of(const struct tally *t)
{
	const struct tally_row *best = NULL;

	for (size_t i = 0; i < vec__cnt(&t->rows); i++) {
		const struct tally_row *r = VEC_AT(&t->rows, struct tally_row, i);

		if (!best || r->ns > best->ns)
			best = r;
	}
	return best ? best->cause : NULL;
}

/* The samples in a piece, by cause. */
static int count_samples(struct walk *k, const struct thread *t, const struct piece *p,
			 struct tally *out)
{
	for (size_t i = sample_from(&t->samples, p->begin); i < vec__cnt(&t->samples); i++) {
		const struct sample *s = VEC_AT(&t->samples, struct sample, i);

		if (s->ts_ns >= p->end)
			break;
		if ((s->kstack != STACK_NONE || !p->in_kernel) &&
		    tally__add(out, name_sample(k->a, t, p, s), 1, 0))
			return -ENOMEM;
	}
	return 0;
}

/* On the path itself, samples of all alike pieces together split their time. */
static int emit_running(struct walk *k, const struct job *j, const struct piece *p)
{
	struct tally samples = { 0 };
	struct path_piece out = { .lo = p->begin, .hi = p->end, .t = j->t, .hop = j->hop };
	struct pool *pool;
	bool sampled;
	int err = 0;

	out.cause = name_running(k->a, j->t, p, &sampled);
	if (sampled)
		err = count_samples(k, j->t, p, &samples);
	out.shown = top_of(&samples);
	pool = sampled && !k->aside && !j->commit ? pool_of(k->path, out.cause) : NULL;
	if (!err && pool) {
		out.pooled = true;
		pool->ns += out.hi - out.lo;
		err = tally__merge(&pool->samples, &samples);
	}
	tally__free(&samples);
	return err ? err : walk__emit(k, j, &out);
}

/* ---- runnable: who had the CPU meanwhile ---- */

static int emit_occupied(struct walk *k, const struct job *j, uint32_t tid, uint64_t lo,
			 uint64_t hi)
{
	const struct thread *by = tid ? timeline__thread_at(&k->a->tl, tid, lo) : NULL;

	return walk__emit(k, j,
			  &(struct path_piece){ .lo = lo,
						.hi = hi,
						.cause = name_occupant(by, tid),
						.t = j->t,
						.hop = j->hop,
						.by = by,
						.by_tid = tid });
}

static int emit_runnable(struct walk *k, const struct job *j, const struct piece *p)
{
	const struct seg *s = p->seg && p->seg->kind == SEG_RUNNABLE ? p->seg : NULL;
	uint64_t at = p->begin;

	if (!s || (s->flags & SEG_THROTTLED) || (s->flags & SEG_OPEN))
		return emit(k, j, name_runnable(k->a, p), p->begin, p->end);
	while (at < p->end) {
		uint64_t until = p->end;
		uint32_t tid = s->occupant;

		cpus__at(&k->a->tl.cpus, s->detail, at, &tid, &until);
		if (emit_occupied(k, j, tid, at, until))
			return -ENOMEM;
		at = until;
	}
	return 0;
}

/* ---- blocked ---- */

static const struct thread *waker_of(const struct walk *k, const struct thread *t,
				     const struct piece *p)
{
	const struct thread *w = NULL;

	if (p->seg->flags & SEG_BY_TASK)
		w = timeline__thread_at(&k->a->tl, p->seg->detail, p->seg->end);
	return w != t ? w : NULL;
}

/*
 * The journal writes ordered data when it is at its log already: what it waits for by its stack is
 * more exact than the marks of the phases.
 */
static const char *phase_of(const struct job *j, const char *cause)
{
	bool own = j->commit && j->t == j->commit && starts_with(cause, "jbd2.commit_") &&
		   strcmp(cause, "jbd2.commit_wait");

	return own ? cause : j->phase;
}

static int enter(struct walk *k, const struct job *j, const struct piece *p, const struct thread *w,
		 const char *cause, const struct thread *commit)
{
	struct job next = { .t = w,
			    .lo = p->begin,
			    .hi = p->end,
			    .fallback = cause,
			    .commit = commit ? commit : j->commit,
			    .phase = commit ? NULL : phase_of(j, cause),
			    .hop = path__hop(k->path, j->hop, cause, j->t),
			    .depth = j->depth + 1 };

	if (next.hop == UINT32_MAX)
		return -ENOMEM;
	if (j->depth >= PATH_MAX_DEPTH)
		return emit(k, j, "unknown.depth", p->begin, p->end);
	return walk__push(k, &next);
}

/* The wait keeps its name; its holder is asked later. */
static int keep(struct walk *k, const struct job *j, const struct piece *p, const char *cause,
		const struct thread *holder)
{
	struct job wait = *j;

	wait.phase = phase_of(j, cause);
	return walk__emit(k, &wait,
			  &(struct path_piece){ .lo = p->begin,
						.hi = p->end,
						.cause = cause,
						.t = j->t,
						.hop = j->hop,
						.by = holder });
}

/* Direct and synchronous I/O: the sleep is where the bio was submitted. */
static bool waits_for_own_bio(const struct analysis *a, uint32_t kstack)
{
	static const char *const calls[] = { "submit_bio_wait", "__iomap_dio_rw", "iomap_dio_rw",
					     "blkdev_direct_IO", "__blkdev_direct_IO_simple" };
	uint32_t cnt;
	const char *const *names = stacks__kernel_names(a->stacks, kstack, &cnt);

	for (uint32_t i = 0; i < cnt; i++)
		for (size_t c = 0; c < sizeof(calls) / sizeof(calls[0]); c++)
			if (frame_is(names[i], calls[c]))
				return true;
	return false;
}

static int follow_request(struct walk *k, const struct job *j, const struct piece *p,
			  const char *cause, bool *known)
{
	const struct done *rq = devices__completed(&k->a->devices, p->seg->detail, p->seg->end);
	struct job wait = *j;

	*known = rq != NULL;
	if (!rq)
		return 0;
	wait.lo = p->begin;
	wait.hi = p->end;
	wait.phase = phase_of(j, cause);
	wait.hop = path__hop(k->path, j->hop, cause, j->t);
	if (wait.hop == UINT32_MAX)
		return -ENOMEM;
	return walk__request(k, &wait, rq, cause, waits_for_own_bio(k->a, p->seg->kstack));
}

/* On the path itself a futex is no mere parking: somebody held what was needed. */
static const char *unfollowed_name(const struct walk *k, const struct piece *p, const char *cause)
{
	if (p->seg->flags & SEG_BY_TIMER)
		return "timer.sleep";
	if (strcmp(cause, "futex.wait"))
		return cause;
	if (k->a->wakes && !(p->seg->flags & (SEG_WOKEN | SEG_OPEN)))
		return "unknown.no_waker";
	return "futex.contended";
}

static int follow_wait(struct walk *k, const struct job *j, const struct piece *p,
		       const char *cause, enum wait_kind kind)
{
	const struct thread *w = waker_of(k, j->t, p);
	bool commit = kind == WAIT_COMMIT, known = false;
	int err = 0;

	if (w && commit && w->journal)
		return enter(k, j, p, w, cause, w);
	if (commit && !j->commit && !k->aside && !(p->seg->flags & SEG_BY_IO)) {
		err = journal__not_seen(&k->path->journal, p->end - p->begin);
		if (err || !w)
			return err ? err : keep(k, j, p, cause, NULL);
	}
	if (w)
		return enter(k, j, p, w, cause, NULL);
	if (p->seg->flags & SEG_BY_IO)
		err = follow_request(k, j, p, cause, &known);
	if (err || known)
		return err;
	return keep(k, j, p, kind == WAIT_HANDOFF ? unfollowed_name(k, p, cause) : cause, NULL);
}

static int walk_blocked(struct walk *k, const struct job *j, const struct piece *p)
{
	const char *cause = name_blocked(k->a, j->t, p);
	enum wait_kind kind = wait_kind_of(k->a, j->t, p, &cause);
	const struct thread *w = waker_of(k, j->t, p);

	if (w && !k->aside && path__note_ender(k->path, w->tid, p->end - p->begin))
		return -ENOMEM;
	switch (kind) {
	case WAIT_KEPT:
		return emit(k, j, cause, p->begin, p->end);
	case WAIT_HELD:
		return keep(k, j, p, cause, w);
	default:
		return follow_wait(k, j, p, cause, kind);
	}
}

/* ---- not there ---- */

/* Before a thread was born, its parent was about to make it. */
static int walk_unborn(struct walk *k, const struct job *j, const struct piece *p)
{
	const struct thread *parent = NULL;

	if (p->end <= j->t->born_ns && j->t->parent)
		parent = timeline__thread_at(&k->a->tl, j->t->parent, j->t->born_ns);
	if (parent && parent != j->t && j->depth < PATH_MAX_DEPTH) {
		struct job next = *j;

		next.t = parent;
		next.lo = p->begin;
		next.hi = p->end;
		next.depth++;
		return walk__push(k, &next);
	}
	if (j->fallback && !j->t->target) /* a neighbour that was not followed yet */
		return emit(k, j, unwalked_name(j->fallback), p->begin, p->end);
	return emit(k, j, "unknown.no_thread", p->begin, p->end);
}

static int walk_piece(struct walk *k, const struct job *j, const struct piece *p)
{
	switch (p->kind) {
	case SEG_RUN:
		return emit_running(k, j, p);
	case SEG_RUNNABLE:
		return emit_runnable(k, j, p);
	case SEG_BLOCKED:
		return walk_blocked(k, j, p);
	case SEG_UNKNOWN:
		return emit(k, j, name_unknown(p), p->begin, p->end);
	case SEG_NONE:
		break;
	}
	return walk_unborn(k, j, p);
}

/* A worker is followed for the work item at hand; what it did before that is nobody's delay. */
static int walk_job(struct walk *k, const struct job *j)
{
	const struct work_run *run = j->depth ? thread__work_at(j->t, j->hi) : NULL;
	uint64_t lo = j->lo;
	struct pieces it;
	struct piece p;

	if (run && run->begin > lo) {
		if (walk__before_work(k, j, run))
			return -ENOMEM;
		lo = run->begin;
	}
	pieces__begin(&it, &k->a->tl, j->t, lo, j->hi);
	while (pieces__next(&it, &p))
		if (walk_piece(k, j, &p))
			return -ENOMEM;
	return 0;
}

static int walk_all(struct walk *k)
{
	int err = 0;

	while (!err && vec__cnt(&k->jobs)) {
		struct job j = *VEC_LAST(&k->jobs, struct job);

		k->jobs.end--;
		err = walk_job(k, &j);
	}
	return err;
}

/* ---- what holders did ---- */

static int ask_holder(struct walk *k, struct path_piece *p)
{
	struct tally did = { 0 };
	struct job j = { .t = p->by,
			 .lo = p->lo,
			 .hi = p->hi,
			 .fallback = p->cause,
			 .hop = p->hop,
			 .depth = 1 };
	int err;

	k->aside = &did;
	err = walk__push(k, &j);
	if (!err)
		err = walk_all(k);
	p->by_cause = top_of(&did);
	k->aside = NULL;
	tally__free(&did);
	return err;
}

static int ask_holders(struct walk *k)
{
	size_t cnt = vec__cnt(&k->path->pieces);
	uint32_t asked = 0;
	int err = 0;

	for (size_t i = 0; !err && i < cnt && asked < MAX_HELD; i++) {
		struct path_piece *p = VEC_AT(&k->path->pieces, struct path_piece, i);

		if (!p->by || starts_with(p->cause, "cpu."))
			continue;
		err = ask_holder(k, p);
		asked++;
	}
	return err;
}

int path__walk(struct analysis *a, const struct window *w, const struct thread *closer,
	       struct path *path)
{
	struct walk k = { .a = a, .w = w, .path = path };
	struct job j = { .t = closer, .lo = w->begin_ns, .hi = w->end_ns, .hop = PATH_ROOT };
	int err = VEC_PUSH(&path->hops, struct hop) ? 0 : -ENOMEM;

	if (!err)
		err = walk__push(&k, &j);
	if (!err)
		err = walk_all(&k);
	if (!err)
		err = ask_holders(&k);
	vec__free(&k.jobs);
	if (err)
		return err;
	path__sort(path);
	return path__note_actors(path);
}
