/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The control groups of a process and their limits, version 1 and 2. */
#ifndef FLATPAUSE_HOST_CGROUP_H
#define FLATPAUSE_HOST_CGROUP_H

#include <sys/types.h>
#include "facts.h"

/* Adds "target.<pid>.comm", ".cgroup" and each limit that is set: ".cpu.max", ".memory.high", ... */
void facts__process(struct facts *f, const char *root, pid_t pid);

/*
 * Collects the processes of a cgroup directory and of those below it. Calls fn for each; stops when
 * fn returns non-zero and returns that. -errno if the directory is no cgroup.
 */
int cgroup__each_pid(const char *dir, int (*fn)(void *ctx, pid_t pid), void *ctx);

#endif
