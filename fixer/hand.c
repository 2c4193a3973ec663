// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The queues behind the watch thread, and the hand: what may take its time. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../user/log.h"
#include "beneath.h"
#include "guard.h"
#include "prealloc.h"

struct jobs_arg {
	struct jobs *q;
	struct guard *g;
	job_fn fn;
};

static void *run_jobs(void *arg)
{
	struct jobs_arg a = *(struct jobs_arg *)arg;

	free(arg);
	for (;;) {
		struct job job;

		pthread_mutex_lock(&a.q->lock);
		while (!a.q->cnt && !a.q->stop)
			pthread_cond_wait(&a.q->more, &a.q->lock);
		if (!a.q->cnt) {
			pthread_mutex_unlock(&a.q->lock);
			return NULL;
		}
		job = a.q->v[a.q->head];
		a.q->head = (a.q->head + 1) % GUARD_JOBS_MAX;
		a.q->cnt--;
		pthread_mutex_unlock(&a.q->lock);
		a.fn(a.g, &job);
		if (job.fd >= 0)
			close(job.fd);
		if (job.pending >= 0)
			atomic_store(&a.g->pending[job.pending].done, true);
		if (job.pending >= 0 || job.kind == JOB_PLANT)
			guard__wake(a.g);
	}
}

int jobs__start(struct jobs *q, struct guard *g, job_fn fn)
{
	struct jobs_arg *arg = malloc(sizeof(*arg));
	int err;

	if (!arg)
		return -ENOMEM;
	*arg = (struct jobs_arg){ q, g, fn };
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->more, NULL);
	err = pthread_create(&q->thread, NULL, run_jobs, arg);
	if (err) {
		free(arg);
		return -err;
	}
	q->running = true;
	return 0;
}

int jobs__push(struct jobs *q, const struct job *job)
{
	int err = 0;

	pthread_mutex_lock(&q->lock);
	if (q->cnt == GUARD_JOBS_MAX) {
		err = -ENOBUFS;
	} else {
		q->v[(q->head + q->cnt) % GUARD_JOBS_MAX] = *job;
		q->cnt++;
		pthread_cond_signal(&q->more);
	}
	pthread_mutex_unlock(&q->lock);
	return err;
}

/* What is queued is still done: it is short, and the journal wants to know. */
void jobs__stop(struct jobs *q)
{
	if (!q->running)
		return;
	pthread_mutex_lock(&q->lock);
	q->stop = true;
	pthread_cond_signal(&q->more);
	pthread_mutex_unlock(&q->lock);
	pthread_join(q->thread, NULL);
	q->running = false;
}

static struct track copy_track(struct guard *g, int slot)
{
	struct track t;

	pthread_mutex_lock(&g->lock);
	t = g->tracks[slot];
	pthread_mutex_unlock(&g->lock);
	return t;
}

static json_t *describe(const struct track *t, const char *state)
{
	return json_pack("{s:I, s:s, s:s, s:s, s:s, s:I}", "n", (json_int_t)t->n, "dir", t->dir,
			 "name", t->name, "state", state, "preallocated", t->made, "bytes",
			 (json_int_t)t->prealloc_bytes);
}

static void add_extents(json_t *j, const char *prefix, const struct extents *e)
{
	char key[64];

	snprintf(key, sizeof(key), "extents_%s", prefix);
	json_object_set_new(j, key,
			    json_pack("{s:i, s:I, s:I, s:I}", "count", e->cnt, "mapped_bytes",
				      (json_int_t)e->mapped_bytes, "delayed_bytes",
				      (json_int_t)e->delalloc_bytes, "unwritten_bytes",
				      (json_int_t)e->unwritten_bytes));
}

/* An event's descriptor is for reading; this one is for what we do to the file ourselves. */
static int reopen(int fd)
{
	char path[40];
	int rw;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	rw = open(path, O_RDWR | O_CLOEXEC);
	return rw < 0 ? -errno : rw;
}

static int extend(int fd, uint64_t bytes)
{
	int rw = reopen(fd), err;

	if (rw < 0)
		return rw;
	err = prealloc__keep_size(rw, bytes);
	close(rw);
	return err;
}

/*
 * A file that was created in spite of us: its size stays 0 for the writer, the space lies behind
 * its end. The answer does not wait for this longer than GUARD_ANSWER_NS.
 */
static void new_file(struct guard *g, struct job *job)
{
	struct track t = copy_track(g, job->track);
	int err = extend(job->fd, job->size_bytes);

	if (err == -EOPNOTSUPP)
		return;
	if (err)
		guard__note(g, "%s/%s: not preallocated: %s", t.dir, t.name, strerror(-err));
	journal__append(&g->journal, REC_FILE,
			describe(&t, err ? "not preallocated" : "preallocated at open"), 0);
}

/* How what was preallocated can have been lost, as far as we saw it happen. */
static const char *how_lost(const struct track *t)
{
	if (!t->spare && !strcmp(t->made, "at open"))
		return "not in time";
	return t->truncate_seen ? "undone by ftruncate" : "undone by O_TRUNC at open";
}

/* fstat counts delayed blocks too, so the extents have the last word. NULL: no write yet. */
static const char *verdict_now(const struct job *job, const struct track *t, int err,
			       const struct extents *e)
{
	struct stat st;

	if (!err && e->delalloc_bytes)
		return how_lost(t);
	if (!job->look_only)
		return t->verdict;
	if (strcmp(t->made, "at open") != 0 && !fstat(job->fd, &st) && !st.st_size)
		return how_lost(t);
	return NULL;
}

static void first_write(struct guard *g, struct job *job)
{
	struct track t = copy_track(g, job->track);
	const char *verdict;
	struct extents e;
	json_t *j;
	int err = extents__read(job->fd, &e), redo = -1;

	verdict = verdict_now(job, &t, err, &e);
	if (!verdict || (job->look_only && !t.armed))
		return;
	if (g->conf.redo && job->pending >= 0 && strcmp(verdict, "kept") != 0)
		redo = extend(job->fd, t.prealloc_bytes);
	pthread_mutex_lock(&g->lock);
	g->tracks[job->track].verdict = verdict;
	g->tracks[job->track].armed = false;
	pthread_mutex_unlock(&g->lock);
	watch__disarm(g, job->fd);
	j = describe(&t, "being written");
	if (!j)
		return;
	json_object_set_new(j, "at_first_write", json_string(verdict));
	if (redo != -1)
		json_object_set_new(j, "redone", json_boolean(!redo));
	if (!err)
		add_extents(j, "at_first_write", &e);
	else
		json_object_set_new(j, "extents_unknown", json_string(strerror(-err)));
	journal__append(&g->journal, REC_FILE, j, 0);
}

static const char *verdict_at_close(const struct track *t, int err, const struct extents *e)
{
	if (err)
		return "unknown: this file system cannot say";
	if (extents__kept(e, t->prealloc_bytes))
		return t->verdict && strncmp(t->verdict, "kept", 4) ? "allocated when closed"
								    : "kept";
	return e->delalloc_bytes ? "not allocated yet" : "less than preallocated";
}

static void closed(struct guard *g, struct job *job)
{
	struct track t = copy_track(g, job->track);
	struct extents e;
	struct stat st;
	json_t *j;
	int err = extents__read(job->fd, &e), rw;

	if (fstat(job->fd, &st))
		return;
	if ((uint64_t)st.st_blocks * 512 > (uint64_t)st.st_size + (1u << 20)) {
		rw = reopen(job->fd); /* written less than was preallocated: give it back */
		if (rw >= 0) {
			prealloc__trim(rw);
			close(rw);
		}
	}
	pthread_mutex_lock(&g->lock);
	if (st.st_size) {
		g->prev = (struct previous){ .bytes = (uint64_t)st.st_size,
					     .mode = st.st_mode & 07777,
					     .uid = st.st_uid,
					     .gid = st.st_gid,
					     .mtime = st.st_mtim };
		if (!g->conf.name[0])
			snprintf(g->conf.name, sizeof(g->conf.name), "%s", t.name);
	}
	track__let_go(g, &g->tracks[job->track]);
	pthread_mutex_unlock(&g->lock);
	j = describe(&t, "closed");
	if (!j)
		return;
	if (job->look_only && !err && e.delalloc_bytes)
		json_object_set_new(j, "at_first_write", json_string(how_lost(&t)));
	json_object_set_new(j, "at_close", json_string(verdict_at_close(&t, err, &e)));
	json_object_set_new(j, "size", json_integer(st.st_size));
	if (!err)
		add_extents(j, "at_close", &e);
	journal__append(&g->journal, REC_FILE, j, 0);
}

void closer__release(struct guard *g, int fd)
{
	struct job job = { .kind = JOB_RELEASE, .fd = fd, .track = -1, .pending = -1 };

	job.until_ns = now_mono_ns() + GUARD_RELEASE_NS;
	if (jobs__push(&g->closer, &job))
		close(fd);
}

/* The queue closes job->fd behind this. */
void closer__do(struct guard *g, struct job *job)
{
	uint64_t now = now_mono_ns();
	struct timespec ts = { 0 };

	if (now >= job->until_ns || atomic_load(&g->quit))
		return;
	ts.tv_nsec = (long)(job->until_ns - now);
	nanosleep(&ts, NULL);
}

void hand__do(struct guard *g, struct job *job)
{
	if (job->kind == JOB_NEW_FILE)
		new_file(g, job);
	else if (job->kind == JOB_FIRST_WRITE)
		first_write(g, job);
	else if (job->kind == JOB_CLOSED)
		closed(g, job);
}
