// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The gauge of what tracing costs: two threads of one process send a byte to and fro over pipes.
 * Start it stopped, pinned to one CPU; it runs on SIGCONT and prints its own ns per switch.
 * usage: pingpong ROUNDS     (or: pingpong --syscalls CALLS, which prints ns per getppid)
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct table {
	int to[2], fro[2];
	long rounds;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int pass(int in, int out, bool first, long rounds)
{
	char ball = 'x';

	for (long i = 0; i < rounds; i++) {
		if (first && write(out, &ball, 1) != 1)
			return -errno;
		if (read(in, &ball, 1) != 1)
			return -errno;
		if (!first && write(out, &ball, 1) != 1)
			return -errno;
	}
	return 0;
}

static void *other_side(void *arg)
{
	const struct table *t = arg;

	return (void *)(intptr_t)pass(t->to[0], t->fro[1], false, t->rounds);
}

static int play(long rounds)
{
	struct table t = { .rounds = rounds };
	uint64_t begin_ns, took_ns;
	pthread_t thread;
	void *failed;
	int err;

	if (pipe(t.to) || pipe(t.fro))
		return -errno;
	raise(SIGSTOP);
	begin_ns = now_ns();
	err = pthread_create(&thread, NULL, other_side, &t);
	if (err)
		return -err;
	err = pass(t.fro[0], t.to[1], true, rounds);
	pthread_join(thread, &failed);
	took_ns = now_ns() - begin_ns;
	if (err || failed)
		return err ? err : (int)(intptr_t)failed;
	printf("%.1f\n", (double)took_ns / (2.0 * (double)rounds));
	return 0;
}

static int call(long calls)
{
	uint64_t begin_ns;

	raise(SIGSTOP);
	begin_ns = now_ns();
	for (long i = 0; i < calls; i++)
		syscall(SYS_getppid);
	printf("%.1f\n", (double)(now_ns() - begin_ns) / (double)calls);
	return 0;
}

int main(int argc, char **argv)
{
	bool calls = argc == 3 && !strcmp(argv[1], "--syscalls");
	long cnt = argc > 1 ? atol(argv[argc - 1]) : 0;
	int err;

	if (cnt <= 0) {
		fprintf(stderr, "usage: pingpong [--syscalls] COUNT\n");
		return 2;
	}
	err = calls ? call(cnt) : play(cnt);
	if (err)
		fprintf(stderr, "pingpong: %s\n", strerror(-err));
	return err ? 1 : 0;
}
