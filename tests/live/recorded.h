/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Records a function that runs in a process of its own, with real BPF, and gives what was recorded
 * as a list. The function starts when events flow; user addresses are the same on both sides.
 */
#ifndef FLATPAUSE_TESTS_RECORDED_H
#define FLATPAUSE_TESTS_RECORDED_H

#include "bpf/abi.h"
#include "user/capture/capture.h"

struct recorded {
	pid_t pid; /* of the process */
	uint64_t end_ns;
	int err;		/* of capture__stop */
	struct ev_hdr **events; /* merged by time */
	uint32_t *cpus;
	size_t events_cnt;
	uint64_t lost, inversions;
	uint32_t devices[CAPTURE_DEVICES]; /* that it wrote to, as capture saw it */
	size_t devices_cnt;
	int status; /* as waitpid gives it; -1 = it still ran when recording ended */
	void *mem;  /* shared with the function: what it wants to tell */
};

struct recorded_opts {
	struct capture_opts capture;
	int (*run)(void *shared); /* its result is the exit status */
	uint32_t stop_after_ms;	  /* end the recording although it runs; 0 = when it ends */
	bool drain_late;	  /* read the rings only at the end */
	bool start_first;	  /* let it run (and sleep) for this long before recording */
};

#define RECORDED_SHARED 4096

struct capture_opts usual_capture(void);

/* 0 or -errno of what went wrong with the recording. */
int record_run(struct recorded *r, const struct recorded_opts *opts);
void recorded__free(struct recorded *r);

/* The next record of a kind from *pos on; NULL = none. tid 0 = any. */
const void *recorded__next(const struct recorded *r, size_t *pos, uint8_t kind, uint32_t tid);
size_t recorded__count(const struct recorded *r, uint8_t kind, uint32_t tid);

/* The frames of a stack id; NULL = never sent. */
const struct ev_stack *recorded__stack(const struct recorded *r, uint64_t id);

/* Whether a kernel stack has a function whose name begins so. -1 = names are hidden. */
int stack_has(const struct ev_stack *s, const char *prefix);

#endif
