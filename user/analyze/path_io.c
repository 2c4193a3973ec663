// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The walk through what is no thread: the life of a request, from who submitted it to the wake that
 * its completion brought, and a work item that waited for its worker.
 */
#include "critical_path.h"

#include <errno.h>

/* A wait for a request: what all of its pieces share. */
struct io_wait {
	struct walk *k;
	struct job job; /* of the waiter; its hop is the wait */
	const struct thread *t;
	const struct done *rq;
	uint64_t lo, hi;
	bool own;
};

static uint64_t within(const struct io_wait *io, uint64_t ns)
{
	return ns < io->lo ? io->lo : ns > io->hi ? io->hi : ns;
}

static int emit_device(const struct io_wait *io, const char *cause, uint64_t lo, uint64_t hi)
{
	return walk__emit(io->k, &io->job,
			  &(struct path_piece){ .lo = within(io, lo),
						.hi = within(io, hi),
						.cause = cause,
						.rq = io->rq,
						.dev = io->rq->dev,
						.hop = io->job.hop });
}

/*
 * A bio over its group's limit is put aside, and queued by a work item when its time has come. Who
 * waits for his own bio, and finds it queued by a worker, was held back until then.
 */
static bool was_throttled(const struct io_wait *io, const struct thread *s, uint64_t ns)
{
	return io->own && s && s->kthread && s != io->t && thread__work_at(s, ns);
}

/* The submitter's time, while the request was not there yet, or had no place in the queue. */
static int walk_submitter(const struct io_wait *io, uint32_t tid, uint64_t lo, uint64_t hi,
			  const char *fallback)
{
	const struct thread *s = tid ? timeline__thread_at(&io->k->a->tl, tid, hi) : NULL;
	struct job next = io->job;

	lo = within(io, lo);
	hi = within(io, hi);
	if (hi <= lo)
		return 0;
	if (was_throttled(io, s, hi))
		return emit_device(io, "io.throttle.blk", lo, hi);
	if (!s || s == io->t || io->job.depth >= PATH_MAX_DEPTH)
		return walk__emit(io->k, &io->job,
				  &(struct path_piece){ .lo = lo,
							.hi = hi,
							.cause = unwalked_name(fallback),
							.t = s ? s : io->t,
							.rq = io->rq,
							.hop = io->job.hop });
	next.t = s;
	next.lo = lo;
	next.hi = hi;
	next.fallback = fallback;
	next.depth++;
	return walk__push(io->k, &next);
}

/*
 * From the bio to the request: its submitter stands in a throttle, or waits for a tag. A bio that
 * gets its request in another thread was put aside by blk-throttle.
 */
static int walk_admission(const struct io_wait *io, uint64_t queue, uint64_t getrq)
{
	const struct done *r = io->rq;

	if (r->getrq_tid && r->getrq_tid != r->submitter[0])
		return emit_device(io, "io.throttle.blk", queue, getrq);
	return walk_submitter(io, r->submitter[0], queue, getrq, "io.tag_wait");
}

static const char *service_of(const struct done *r, const char *cause)
{
	bool flush = OPF_OP(r->opf) == OP_FLUSH || (r->opf & (OPF_FUA | OPF_PREFLUSH));

	return flush || !strcmp(cause, "io.flush") ? "io.flush" : "io.device_service";
}

int walk__request(struct walk *k, const struct job *j, const struct done *rq, const char *cause,
		  bool own)
{
	struct io_wait io = {
		.k = k, .job = *j, .t = j->t, .rq = rq, .lo = j->lo, .hi = j->hi, .own = own
	};
	uint64_t begin = rq->insert_ns ? rq->insert_ns : rq->issue_ns;
	uint64_t getrq = rq->submitters && rq->getrq_ns ? rq->getrq_ns : 0;
	uint64_t queue, issue, complete;
	int err;

	if (!getrq)
		getrq = begin ? begin : rq->queue_ns;
	queue = rq->submitters && rq->queue_ns < getrq ? rq->queue_ns : getrq;
	if (!rq->getrq_ns) /* admission was not told: no more than that it was queued */
		getrq = queue;
	issue = rq->issue_ns > getrq ? rq->issue_ns : getrq;
	complete = rq->complete_ns > issue ? rq->complete_ns : issue;
	err = walk_submitter(&io, rq->submitters ? rq->submitter[0] : 0, j->lo, queue, cause);
	if (!err)
		err = walk_admission(&io, queue, getrq);
	if (!err)
		err = emit_device(&io, "io.sched_queue", getrq, issue);
	if (!err)
		err = emit_device(&io, service_of(rq, cause), issue, complete);
	return err ? err : emit_device(&io, "io.completion_delivery", complete, j->hi);
}

/* ---- a work item that waited for its worker ---- */

static int emit_before(struct walk *k, const struct job *j, const char *cause, uint64_t lo,
		       uint64_t hi)
{
	return walk__emit(k, j,
			  &(struct path_piece){
				  .lo = lo, .hi = hi, .cause = cause, .t = j->t, .hop = j->hop });
}

/* Before it was queued: whoever queued it, or the request whose completion did. */
static int before_queueing(struct walk *k, const struct job *j, const struct work_run *run,
			   uint64_t queue)
{
	const char *cause = j->fallback ? j->fallback : "unknown.no_waker";
	const struct thread *by = NULL;
	const struct done *rq;
	struct job next = *j;

	next.hi = queue;
	if (run->queue_cause) {
		rq = devices__completed(&k->a->devices, run->queue_cause, queue);
		if (rq)
			return walk__request(k, &next, rq, cause, false);
	}
	if (run->queue_tid)
		by = timeline__thread_at(&k->a->tl, run->queue_tid, queue);
	if (!by || by == j->t || j->depth >= PATH_MAX_DEPTH)
		return emit_before(k, j, unwalked_name(cause), j->lo, queue);
	next.t = by;
	next.depth++;
	return walk__push(k, &next);
}

int walk__before_work(struct walk *k, const struct job *j, const struct work_run *run)
{
	const char *cause = j->fallback ? j->fallback : "unknown.no_waker";
	uint64_t queue = run->queue_ns > j->lo ? run->queue_ns : j->lo;

	if (!run->queue_ns || run->queue_ns > run->begin)
		return emit_before(k, j, unwalked_name(cause), j->lo, run->begin);
	if (queue > j->lo && before_queueing(k, j, run, queue))
		return -ENOMEM;
	return emit_before(k, j, "wq.latency", queue, run->begin);
}
