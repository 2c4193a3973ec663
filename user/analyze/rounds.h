/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What simpler ways of looking would have concluded from the same recording: a summary of syscalls,
 * a poll of stacks, sums of futex waits, samples of the CPU. Gathered window by window from the
 * exact timeline (rounds.c), judged when the verdict is known (rounds_say.c).
 */
#ifndef FLATPAUSE_ANALYZE_ROUNDS_H
#define FLATPAUSE_ANALYZE_ROUNDS_H

#include "analysis.h"

#define POLL_NS 30000000ull /* how often /proc/PID/task/N/stack would be read */

struct round_call {
	uint64_t calls;
	uint64_t cpu_ns; /* in the kernel, on the CPU: all that strace -c sums */
	uint64_t wall_ns;
};

struct round_poll {
	const char *frame;
	const char *cause; /* of the first that was found there */
	uint64_t hits;
	uint64_t passive; /* of them, of threads that were only waiting for the path */
};

enum round_empty { EMPTY_USER, EMPTY_KERNEL, EMPTY_RUNNABLE, EMPTY_UNKNOWN, EMPTIES };

/* The process that a person would look at, in one window. */
struct round_window {
	uint32_t tgid;
	char comm[FP_COMM_LEN];
	uint32_t threads;
	/* its main thread: what strace -c attaches to */
	struct round_call calls[FP_SYS_END];
	uint64_t main_ns, main_user_ns, main_asleep_ns;
	/* its threads at the ticks of a poll */
	uint64_t ticks;
	struct vec polls; /* struct round_poll */
	uint64_t empty[EMPTIES];
	/* samples of its threads */
	uint64_t running_ns;
	struct tally symbols;	    /* name -> samples */
	struct tally sample_causes; /* cause -> samples */
};

int rounds__add_window(struct analysis *a);
int rounds__window(struct analysis *a, uint32_t w, const struct path *path);
void rounds__free(struct analysis *a);

/* Adds one window to a sum over several. 0 or -ENOMEM. */
int round_window__merge(struct round_window *to, const struct round_window *from);
void round_window__free_inside(struct round_window *r);

/* Into the findings; needs the verdict. 0 or -ENOMEM. */
int rounds__conclude(struct analysis *a);

#endif
