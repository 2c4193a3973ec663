// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The hand: allocates while the answer waits for it, and goes on behind the answer where that
 * takes longer. What it did is written down by the clerk.
 */
#include <unistd.h>

#include "guard.h"
#include "prealloc.h"

static bool is_closed(struct guard *g, const struct job *job)
{
	bool closed;

	pthread_mutex_lock(&g->lock);
	closed = g->tracks[job->track].gen != job->gen;
	pthread_mutex_unlock(&g->lock);
	return closed;
}

/* Under the lock: no mark stays on a file whose story the watch thread has ended meanwhile. */
static void mark_again(struct guard *g, const struct job *job)
{
	pthread_mutex_lock(&g->lock);
	if (g->tracks[job->track].armed)
		watch__arm(g, job->fd, NULL, watch__asks(g));
	pthread_mutex_unlock(&g->lock);
}

/*
 * The file bears no mark while its writer waits for us: a new one gets it here (an empty one may have
 * one from before), one whose first write is asked about has lost it with the question. Where it got
 * one in spite of that its answer was late and the writer is done; that mark took on the nature of
 * ours, and another has to replace it.
 */
static int reopen(struct guard *g, const struct job *job)
{
	bool owed = job->pending >= 0 && answer__take_mark(g, job->pending);
	bool bare = owed || (job->kind == JOB_FIRST_WRITE && job->pending >= 0 &&
			     !answer__is_out(g, job->pending));
	int rw;

	if (owed)
		watch__disarm(g, job->fd);
	rw = watch__reopen(g, job->fd, bare);
	if (bare && is_closed(g, job)) {
		watch__disarm(g, job->fd);
		owed = true;
	}
	if (owed)
		mark_again(g, job);
	return rw;
}

/*
 * An event's descriptor is for reading. `*rw` is the caller's to let go. Where the writer was done
 * before us nothing stays behind its end: the clerk, who gives back what is too much, was there too.
 */
static int extend(struct guard *g, const struct job *job, int *rw)
{
	int own = reopen(g, job), err;

	if (own < 0)
		return own;
	err = prealloc__keep_size(own, job->size_bytes);
	if (is_closed(g, job))
		prealloc__trim(own);
	*rw = own;
	return err;
}

/*
 * Our descriptors go ahead of an answer that is not out yet, and behind the writer's where it is:
 * a release in between would use up the flush that ext4 makes at the writer's close.
 */
static void let_go(struct guard *g, struct job *job, int rw)
{
	bool early = job->pending >= 0 && !answer__is_out(g, job->pending);
	int fds[] = { rw, job->fd };

	for (int i = 0; i < 2; i++) {
		if (fds[i] >= 0 && early)
			close(fds[i]);
		else if (fds[i] >= 0)
			track__hold(g, job->track, fds[i]);
	}
	job->fd = -1;
}

/* Steals job->fd: the clerk looks through it. */
static void write_down(struct guard *g, struct job *job)
{
	job->kind = JOB_MADE;
	job->pending = -1;
	if (!jobs__push(&g->clerk, job))
		job->fd = -1;
	else
		atomic_fetch_add(&g->not_written_down, 1);
}

/* Said before the answer: whoever looks behind it knows. */
static void ready(struct guard *g, const struct job *job)
{
	pthread_mutex_lock(&g->lock);
	if (g->tracks[job->track].gen == job->gen)
		g->tracks[job->track].ready = true;
	pthread_mutex_unlock(&g->lock);
}

/*
 * A file that was created in spite of us: its size stays 0 for the writer, the space lies behind
 * its end. The answer does not wait for this longer than GUARD_ANSWER_NS.
 */
static void new_file(struct guard *g, struct job *job)
{
	int rw = -1;

	job->err = extend(g, job, &rw);
	let_go(g, job, rw);
	if (job->pending >= 0 && !job->err && !answer__is_out(g, job->pending))
		ready(g, job);
	if (job->pending >= 0)
		job->in_time = answer__job_done(g, job->pending, &job->waited_ns);
	write_down(g, job);
}

/* What an O_TRUNC took is made again, while the first write waits. */
static void first_write(struct guard *g, struct job *job)
{
	int rw = -1;

	job->err = extents__read(job->fd, 0, &job->extents);
	job->first_write = true;
	if (g->conf.redo) {
		job->err = extend(g, job, &rw);
		if (rw >= 0)
			track__hold(g, job->track, rw); /* see struct track */
	}
	if (job->pending >= 0)
		job->in_time = answer__job_done(g, job->pending, &job->waited_ns) && !job->err;
	write_down(g, job);
}

void hand__do(struct guard *g, struct job *job)
{
	if (job->kind == JOB_NEW_FILE)
		new_file(g, job);
	else if (job->kind == JOB_FIRST_WRITE)
		first_write(g, job);
}
