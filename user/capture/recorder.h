/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* One recording from begin to end: facts, capture, runs of a command, marks, the trace file. */
#ifndef FLATPAUSE_RECORDER_H
#define FLATPAUSE_RECORDER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "capture.h"
#include "cost.h"

struct recorder;

struct recorder_opts {
	struct capture_opts capture;
	const char *output; /* path of the trace */
	bool compress;
	bool force; /* replace an existing file */
	const pid_t *pids;
	size_t pids_cnt;
	const char *comm_glob;	/* targets by name; NULL = none */
	const char *cgroup;	/* targets by cgroup v1/v2 directory; NULL = none */
	const char *pause_from; /* "json:.pause_ms"; NULL = the command reports nothing */
	const char *window;	/* what --window said, for REC_META; "auto" */
	uint64_t timeout_ns;	/* of one run of the command; 0 = none */
	bool mark_socket;
	char *const *command;	  /* NULL = none; for REC_META, and described as a target */
	const char *const *disks; /* paths whose disks are described beside those of the targets */
	size_t disks_cnt;
	bool echo; /* what the command prints also goes to stderr */
};

struct recorder_run {
	int status; /* as rec_run.status */
	uint64_t duration_ns;
	uint64_t reported_ns; /* REC_NS_NONE */
};

struct recorder_summary {
	struct cost cost; /* with events, bytes and lost records */
	uint64_t duration_ns;
	uint64_t marks;
	int reason; /* enum rec_reason */
};

/* Takes the facts, opens the trace, starts capture. 0 or -errno (said). */
int recorder__start(struct recorder **r, const struct recorder_opts *opts);

/*
 * Runs the command once as BRANCH `index` of `sweep`, draining meanwhile. 0 or -errno: -ENOSPC
 * when the trace is full (the command was not disturbed). A run that ends is always recorded.
 */
int recorder__run(struct recorder *r, uint32_t sweep, uint32_t index, char *const argv[],
		  struct recorder_run *run);

/*
 * Drains for `ns`, or until a signal (0 too), or until all targets are gone (-ESRCH), or until the
 * trace is full (-ENOSPC).
 */
int recorder__wait(struct recorder *r, uint64_t ns);

/* Symbols, loss, cost, end. Frees r. NULL is fine. `sum` may be NULL. 0 or -errno (said). */
int recorder__finish(struct recorder *r, struct recorder_summary *sum);

#endif
