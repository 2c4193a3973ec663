// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Victims that wait for their own threads: a mutex that is held, and waiters that mean nothing. */
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <unistd.h>

#define WAITERS_MAX 16

/* Threads parked for the whole pause, let go at its end: what a paused VMM's vCPUs look like. */
struct parked {
	pthread_mutex_t lock;
	pthread_cond_t go;
	bool released;
	pthread_t threads[WAITERS_MAX];
	uint64_t cnt;
};

static void *parked_main(void *arg)
{
	struct parked *p = arg;

	pthread_mutex_lock(&p->lock);
	while (!p->released)
		pthread_cond_wait(&p->go, &p->lock);
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static int parked__start(struct parked *p, uint64_t cnt)
{
	if (cnt > WAITERS_MAX)
		return log_err(-EINVAL, "waiters");
	for (p->cnt = 0; p->cnt < cnt; p->cnt++) {
		int err = pthread_create(&p->threads[p->cnt], NULL, parked_main, p);

		if (err)
			return log_err(-err, "a thread");
	}
	return 0;
}

/* Only lets them go: the last thing in the pause. */
static void parked__release(struct parked *p)
{
	pthread_mutex_lock(&p->lock);
	p->released = true;
	pthread_cond_broadcast(&p->go);
	pthread_mutex_unlock(&p->lock);
}

static void parked__join(struct parked *p)
{
	parked__release(p);
	for (uint64_t i = 0; i < p->cnt; i++)
		pthread_join(p->threads[i], NULL);
}

/* ---- a mutex that somebody keeps ---- */

struct holder {
	pthread_mutex_t lock;
	sem_t start, taken;
	uint64_t hold_ns, held_until_ns;
};

/* Sleeps under the lock: a bug that real programs have. */
static void *holder_main(void *arg)
{
	struct holder *h = arg;

	sem_wait(&h->start);
	pthread_mutex_lock(&h->lock);
	sem_post(&h->taken);
	if (h->hold_ns)
		sleep_ns(h->hold_ns);
	h->held_until_ns = now_ns();
	pthread_mutex_unlock(&h->lock);
	return NULL;
}

static uint64_t take_from(struct holder *h)
{
	uint64_t begin;

	sem_post(&h->start);
	sem_wait(&h->taken);
	begin = now_ns();
	pthread_mutex_lock(&h->lock);
	pthread_mutex_unlock(&h->lock);
	return h->held_until_ns > begin ? h->held_until_ns - begin : 0;
}

static int mutex(const struct args *a)
{
	struct parked p = { .lock = PTHREAD_MUTEX_INITIALIZER, .go = PTHREAD_COND_INITIALIZER };
	struct holder h = { .lock = PTHREAD_MUTEX_INITIALIZER, .hold_ns = arg_ms(a, "hold_ms") };
	uint64_t held = 0;
	pthread_t thread;
	int err;

	sem_init(&h.start, 0, 0);
	sem_init(&h.taken, 0, 0);
	err = -pthread_create(&thread, NULL, holder_main, &h);
	if (err)
		return log_err(err, "a thread");
	err = parked__start(&p, arg_num(a, "waiters", 3));
	sleep_ns(5 * NS_PER_MS); /* they are parked before the pause begins */
	if (!err)
		err = pause__begin();
	burn_cpu_ns(3 * NS_PER_MS);
	held = take_from(&h);
	parked__release(&p);
	if (!err)
		err = pause__end(held);
	pthread_join(thread, NULL);
	parked__join(&p);
	return err;
}

/* ---- parked threads beside a disk that is slow: they are no cause ---- */

static int parked_write(const struct args *a)
{
	struct parked p = { .lock = PTHREAD_MUTEX_INITIALIZER, .go = PTHREAD_COND_INITIALIZER };
	int fd = open(arg_str(a, "path", ""), O_WRONLY | O_CLOEXEC), err;
	uint64_t begin;

	if (fd < 0)
		return log_err(-errno, "cannot open %s", arg_str(a, "path", ""));
	err = parked__start(&p, arg_num(a, "waiters", 3));
	sleep_ns(5 * NS_PER_MS);
	if (!err)
		err = pause__begin();
	burn_cpu_ns(3 * NS_PER_MS);
	begin = now_ns();
	if (!err)
		err = write_all(fd, arg_num(a, "bytes", 64 << 10), 64 << 10);
	if (!err && fdatasync(fd))
		err = log_err(-errno, "fdatasync");
	begin = now_ns() - begin;
	parked__release(&p);
	if (!err)
		err = pause__end(begin);
	parked__join(&p);
	close(fd);
	return err;
}

/* ---- more switches than a small ring can hold ---- */

struct pingpong {
	int there[2], back[2];
	uint64_t rounds;
};

static void *pong_main(void *arg)
{
	struct pingpong *p = arg;
	char ball;

	while (read(p->there[0], &ball, 1) == 1 && write(p->back[1], &ball, 1) == 1)
		;
	return NULL;
}

static int pingpong(const struct args *a)
{
	struct pingpong p = { .rounds = arg_num(a, "rounds", 1000) };
	pthread_t thread;
	char ball = 'o';
	int err;

	if (pipe(p.there) || pipe(p.back))
		return log_err(-errno, "pipe");
	err = -pthread_create(&thread, NULL, pong_main, &p);
	if (!err)
		err = pause__begin();
	for (uint64_t i = 0; !err && i < p.rounds; i++)
		if (write(p.there[1], &ball, 1) != 1 || read(p.back[0], &ball, 1) != 1)
			err = log_err(-EIO, "the ball is lost");
	if (!err)
		err = pause__end(0);
	close(p.there[1]);
	pthread_join(thread, NULL);
	return err;
}

const struct verb thread_verbs[] = {
	{ "pingpong", "rounds", pingpong },
	{ "mutex", "hold_ms waiters", mutex },
	{ "parked", "path bytes waiters", parked_write },
	{ 0 },
};
