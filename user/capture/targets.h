/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The processes that a recording is about: those named, those found by name or cgroup, and those of
 * the command. Their mappings are kept, so that their frames can be named when they are dead.
 */
#ifndef FLATPAUSE_TARGETS_H
#define FLATPAUSE_TARGETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "capture.h"

struct targets;

struct targets_opts {
	const pid_t *pids;
	size_t pids_cnt;
	const char *comm_glob; /* NULL = none */
	const char *cgroup;    /* directory; NULL = none */
};

/* Finds them without touching the kernel side. -ESRCH (said) for a PID that is not there. */
int targets__find(struct targets **t, const struct targets_opts *opts);
void targets__free(struct targets *t);

/* Tells capture of all of them, and writes their mappings and open files. */
int targets__arm(struct targets *t, struct capture *c, struct trace_writer *w);

/* Looks again for processes by name and cgroup; new ones are armed. 0 or -errno of the trace. */
int targets__rescan(struct targets *t, struct capture *c, struct trace_writer *w);

/* Reads the mappings of the processes of a command's process group; they are targets by fork. */
int targets__watch_group(struct targets *t, pid_t pgid, struct trace_writer *w);

/* Reads again the mappings of those that live: libraries may have come. */
void targets__refresh(struct targets *t);

/* Writes the mappings as they were read last, of those found. 0 or -errno. */
int targets__write_maps(struct targets *t, struct trace_writer *w);

size_t targets__cnt(const struct targets *t);
pid_t targets__pid(const struct targets *t, size_t i); /* those found, not the command's */

/* Whether one of those found still lives, or more may come by name or cgroup. */
bool targets__alive(struct targets *t);

/* True once for each that has ended since the last call: *pid is which. */
bool targets__next_gone(struct targets *t, pid_t *pid);

/* True if frames of `tgid` can be named; `only_ended`: and it was the command's, and has ended. */
bool targets__has_maps(struct targets *t, uint32_t tgid, bool only_ended);

/* Writes the user symbols of `addrs` (sorted) of one process. 0 or -errno; unknown tgid: 0. */
int targets__write_symbols(struct targets *t, uint32_t tgid, const uint64_t *addrs, size_t cnt,
			   struct trace_writer *w);

/* Drops the command's processes that have ended, with the files that their mappings hold open. */
void targets__drop_ended(struct targets *t);

#endif
