// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Victims whose pause is computing, or a call that waits for the machine and nobody in it. */
#include "load.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CROWD_MAX 16

struct crowd {
	pthread_t threads[CROWD_MAX];
	uint64_t cnt, cpu;
	atomic_bool run, quit;
};

/* A thread of the same process that wants the same CPU for as long as the pause lasts. */
static void *crowd_main(void *arg)
{
	struct crowd *c = arg;

	pin_to(c->cpu);
	while (!atomic_load(&c->quit)) {
		if (atomic_load(&c->run))
			burn_cpu_ns(200 * NS_PER_US);
		else
			sleep_ns(NS_PER_MS / 2);
	}
	return NULL;
}

static int crowd__start(struct crowd *c)
{
	for (uint64_t i = 0; i < c->cnt; i++) {
		int err = pthread_create(&c->threads[i], NULL, crowd_main, c);

		if (err) {
			c->cnt = i;
			return log_err(-err, "a thread");
		}
	}
	return 0;
}

static void crowd__stop(struct crowd *c)
{
	atomic_store(&c->quit, true);
	for (uint64_t i = 0; i < c->cnt; i++)
		pthread_join(c->threads[i], NULL);
}

/*
 * A fixed amount of computing. What is injected is the time that passed without the CPU: whoever
 * held it, or whatever stopped us.
 */
static int spin(const struct args *a)
{
	struct crowd c = { .cnt = arg_num(a, "threads", 0), .cpu = arg_num(a, "cpu", 0) };
	uint64_t begin, used;
	int err = c.cnt > CROWD_MAX ? log_err(-EINVAL, "threads") : pin_to(c.cpu);

	if (!err)
		err = crowd__start(&c);
	if (err)
		goto out;
	err = pause__begin();
	begin = now_ns();
	used = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	atomic_store(&c.run, true);
	burn_cpu_ns(arg_ms(a, "ms"));
	used = clock_ns(CLOCK_THREAD_CPUTIME_ID) - used;
	if (!err)
		err = pause__end(now_ns() - begin - used);
out:
	crowd__stop(&c);
	return err;
}

/* More computing in the pause itself, as a walk over a dirty bitmap is: nobody is in the way. */
static int scan(const struct args *a)
{
	int err = pause__begin();

	burn_cpu_ns(arg_ms(a, "ms"));
	return err ? err : pause__end(arg_ms(a, "ms"));
}

/* Waits for all CPUs to pass a quiescent state, so many times. */
static int barrier(const struct args *a)
{
	uint64_t cnt = arg_num(a, "calls", 0), begin;
	int err = pause__begin();

	burn_cpu_ns(3 * NS_PER_MS);
	begin = now_ns();
	for (uint64_t i = 0; !err && i < cnt; i++)
		if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0))
			err = log_err(-errno, "membarrier");
	return err ? err : pause__end(now_ns() - begin);
}

const struct verb cpu_verbs[] = {
	{ "spin", "ms cpu threads", spin },
	{ "scan", "ms", scan },
	{ "barrier", "calls", barrier },
	{ 0 },
};
