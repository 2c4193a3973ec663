// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "export_sink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../user/log.h"

/* ---- by blocking calls: in place, or in the thread ---- */

void air__take(sem_t *in_air)
{
	while (in_air && sem_wait(in_air) && errno == EINTR)
		;
}

void air__give(sem_t *in_air)
{
	if (in_air)
		sem_post(in_air);
}

/* The place first: the gate is the last that is passed before the disk. */
static int write_step(struct sink *s, const struct step *step, int err)
{
	air__take(s->in_air);
	if (!err)
		err = s->gate(s->gate_arg, step);
	if (!err)
		err = target__write(s->target, step);
	air__give(s->in_air);
	pool__give(s->pool, (char *)step->buf);
	return err;
}

static void *write_steps(void *arg)
{
	struct sink *s = arg;

	pthread_mutex_lock(&s->lock);
	for (;;) {
		struct step step;
		int err;

		while (!s->cnt && !s->stop)
			pthread_cond_wait(&s->more, &s->lock);
		if (!s->cnt)
			break;
		step = s->queue[s->head];
		s->head = (s->head + 1) % POOL_SLOTS;
		s->cnt--;
		s->busy = true;
		err = s->err;
		pthread_mutex_unlock(&s->lock);
		err = write_step(s, &step, err);
		pthread_mutex_lock(&s->lock);
		s->busy = false;
		s->err = err;
		if (!s->cnt)
			pthread_cond_signal(&s->idle);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

static int put_queue(struct sink *s, const struct step *step)
{
	int err;

	pthread_mutex_lock(&s->lock);
	s->queue[(s->head + s->cnt++) % POOL_SLOTS] = *step;
	err = s->err;
	pthread_cond_signal(&s->more);
	pthread_mutex_unlock(&s->lock);
	return err;
}

/* ---- by io_uring ---- */

/* What was cut short, or refused as O_DIRECT is by some, is finished by a blocking call. */
static int finish(struct sink *s, struct step *step, int res)
{
	struct step rest = *step;

	if (res == (int)step->padded)
		return 0;
	if (res > 0) {
		rest.buf += res;
		rest.off += (uint64_t)res;
		rest.padded -= (size_t)res;
		rest.len = rest.len > (size_t)res ? rest.len - (size_t)res : 0;
	} else if (res != -EAGAIN && res != -EINTR && res && !target__refuses(s->target, res)) {
		return res;
	}
	return target__write(s->target, &rest);
}

static void land_one(struct sink *s)
{
	uint64_t id;
	int res, err = uring__wait(&s->uring, &id, &res);

	if (err) { /* cannot be: nothing may be reused that the kernel still reads */
		log_err(err, "io_uring");
		abort();
	}
	err = finish(s, &s->flying[id], res);
	pool__give(s->pool, (char *)s->flying[id].buf);
	air__give(s->in_air);
	s->used[id] = false;
	s->flying_cnt--;
	if (err && !s->err)
		s->err = err;
}

static void land_all(struct sink *s)
{
	while (s->flying_cnt)
		land_one(s);
}

static char *slot_uring(struct sink *s)
{
	char *slot = pool__try_take(s->pool);

	if (!slot && s->flying_cnt)
		atomic_fetch_add(&s->pool->counters->backpressure_waits, 1);
	while (!slot && s->flying_cnt) {
		land_one(s);
		slot = pool__try_take(s->pool);
	}
	return slot ? slot : pool__take(s->pool);
}

/* Who waits for others has nothing out itself: only so can everybody who waits be sure to come on. */
static void take_air(struct sink *s)
{
	while (s->in_air && s->flying_cnt) {
		if (!sem_trywait(s->in_air))
			return;
		land_one(s);
	}
	air__take(s->in_air);
}

static int put_uring(struct sink *s, const struct step *step)
{
	uint64_t id = 0;
	int err;

	take_air(s);
	while (s->used[id])
		id++;
	err = s->err ? s->err : s->gate(s->gate_arg, step);
	if (!err)
		err = uring__write(&s->uring, s->target->dst, step->buf, step->padded, step->off,
				   id);
	if (err) {
		air__give(s->in_air);
		pool__give(s->pool, (char *)step->buf);
		return s->err = err;
	}
	s->flying[id] = *step;
	s->used[id] = true;
	s->flying_cnt++;
	return 0;
}

/* ---- whichever it is ---- */

int sink__init(struct sink *s, enum sink_kind kind, struct pool *pool)
{
	int err = 0;

	memset(s, 0, sizeof(*s));
	s->kind = kind;
	s->pool = pool;
	s->uring.fd = -1;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->more, NULL);
	pthread_cond_init(&s->idle, NULL);
	if (kind == SINK_URING)
		err = uring__init(&s->uring, SINK_IN_AIR);
	if (err) {
		log_verbose("no io_uring here (%s): exports use blocking calls", strerror(-err));
		s->kind = SINK_THREAD;
	}
	err = kind == SINK_INLINE ? 0 : -pthread_create(&s->thread, NULL, write_steps, s);
	if (err)
		uring__destroy(&s->uring);
	return err;
}

void sink__destroy(struct sink *s)
{
	if (s->kind != SINK_INLINE) {
		pthread_mutex_lock(&s->lock);
		s->stop = true;
		pthread_cond_signal(&s->more);
		pthread_mutex_unlock(&s->lock);
		pthread_join(s->thread, NULL);
	}
	uring__destroy(&s->uring);
	pthread_cond_destroy(&s->more);
	pthread_cond_destroy(&s->idle);
	pthread_mutex_destroy(&s->lock);
}

void sink__begin(struct sink *s, struct target *target, gate_fn gate, void *arg, sem_t *in_air)
{
	s->target = target;
	s->gate = gate;
	s->gate_arg = arg;
	s->in_air = in_air;
	s->err = 0;
}

char *sink__slot(struct sink *s)
{
	return s->kind == SINK_URING ? slot_uring(s) : pool__take(s->pool);
}

int sink__put(struct sink *s, const struct step *step)
{
	if (s->kind == SINK_INLINE)
		return s->err = write_step(s, step, s->err);
	while (s->flying_cnt == SINK_IN_AIR)
		land_one(s);
	if (s->kind == SINK_URING && s->target->way == WAY_DIRECT)
		return put_uring(s, step);
	land_all(s); /* the thread is alone with the file from here on */
	return put_queue(s, step);
}

int sink__end(struct sink *s)
{
	if (s->kind != SINK_INLINE) {
		pthread_mutex_lock(&s->lock);
		while (s->cnt || s->busy)
			pthread_cond_wait(&s->idle, &s->lock);
		pthread_mutex_unlock(&s->lock);
	}
	land_all(s);
	s->target = NULL;
	return s->err;
}
