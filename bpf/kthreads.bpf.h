/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Kernel threads are followed from the start: flusher, journal, loop and completion workers are
 * waited for before they ever woke a target. Left out is what serves one CPU and never holds what a
 * thread waits for: it would only fill the rings.
 */
#ifndef FLATPAUSE_KTHREADS_BPF_H
#define FLATPAUSE_KTHREADS_BPF_H

#include "common.bpf.h"

#define KTHREADD_PID 2

static __always_inline bool kthread_is_housekeeper(const char *comm)
{
	return STARTS(comm, "ksoftirqd/") || STARTS(comm, "migration/") || STARTS(comm, "cpuhp/") ||
	       STARTS(comm, "watchdog/") || STARTS(comm, "idle_inject/") || STARTS(comm, "rcu") ||
	       STARTS(comm, "kthreadd");
}

static __always_inline bool kthread_is_followed(struct task_struct *task)
{
	char comm[FP_COMM_LEN];

	if (!(task->flags & PF_KTHREAD))
		return false;
	fill_comm(comm, task->comm);
	return !kthread_is_housekeeper(comm);
}

#endif
