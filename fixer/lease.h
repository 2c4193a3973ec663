/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Whether somebody writes to a memory copy while it is exported: a read lease on it, and where that
 * stands. A break is told by a signal that names the descriptor; the watch thread takes it.
 */
#ifndef FLATPAUSE_FIXER_LEASE_H
#define FLATPAUSE_FIXER_LEASE_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#define LEASE_SIGNAL (SIGRTMIN + 1) /* blocked in every thread, read from a signalfd */

enum lease_phase { LEASE_NONE, LEASE_COPY, LEASE_COMMITTED };

struct lease {
	pthread_mutex_t lock;
	pthread_cond_t broken_cond;
	int fd;
	enum lease_phase phase;
	bool broken;
};

/*
 * A read lease without more: as long as it stands nobody writes. Its break is told to nobody, it ends
 * with the descriptor. 0, -EAGAIN where somebody has the file open for writing, -errno.
 */
int lease__try(int fd);
/* Whether such a one is not there any more: *(int *)fd. For the hooks of an export. */
bool lease__is_lost(void *fd);

void lease__init(struct lease *l);
/* On `fd`, opened for reading only. 0, -EAGAIN where a writer has the file, -errno. */
int lease__take(struct lease *l, int fd);
void lease__drop(struct lease *l);

/*
 * The signal of a break, for `fd`. A writer waits for us: while we copy it may go on at once; after
 * the commit it goes on when the lease is dropped.
 */
void lease__break(struct lease *l, int fd);
bool lease__is_broken(struct lease *l);

/* From here on a break has to wait. False where it is broken already. */
bool lease__commit(struct lease *l);

/* Waits for a break at most so long; whether one came. */
bool lease__linger(struct lease *l, uint64_t ns);

#endif
