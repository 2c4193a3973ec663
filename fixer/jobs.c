// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The queues behind the watch thread, and the closer, which may wait for a whole file to go out. */
#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "../user/clock.h"
#include "guard.h"
#include "lock.h"

struct jobs_arg {
	struct jobs *q;
	struct guard *g;
	job_fn fn;
	int nice;
};

static void *run_jobs(void *arg)
{
	struct jobs_arg a = *(struct jobs_arg *)arg;

	free(arg);
	if (a.nice)
		setpriority(PRIO_PROCESS, (id_t)gettid(), a.nice);
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
			answer__job_done(a.g, job.pending, NULL);
		if (job.kind == JOB_PLANT)
			guard__wake(a.g);
	}
}

int jobs__start(struct jobs *q, struct guard *g, job_fn fn, int nice)
{
	struct jobs_arg *arg = malloc(sizeof(*arg));
	int err;

	if (!arg)
		return -ENOMEM;
	*arg = (struct jobs_arg){ q, g, fn, nice };
	urgent_lock__init(&q->lock);
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

void closer__release(struct guard *g, int fd)
{
	struct job job = { .kind = JOB_RELEASE, .fd = fd, .track = -1, .pending = -1 };

	job.until_ns = now_ns() + GUARD_RELEASE_NS;
	if (jobs__push(&g->closer, &job))
		close(fd);
}

int closer__later(struct guard *g, const struct job *job)
{
	return jobs__push(&g->closer, job);
}

/* The queue closes job->fd behind this, unless it is the clerk's then. */
void closer__do(struct guard *g, struct job *job)
{
	uint64_t now = now_ns();
	struct timespec ts = { 0 };

	if (now < job->until_ns && !atomic_load(&g->quit)) {
		ts.tv_nsec = (long)(job->until_ns - now);
		nanosleep(&ts, NULL);
	}
	if (job->kind != JOB_LOOK)
		return;
	if (!jobs__push(&g->clerk, job))
		job->fd = -1;
	else
		atomic_fetch_add(&g->not_written_down, 1);
}
