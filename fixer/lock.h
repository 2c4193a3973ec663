/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Locks that a thread in a hurry shares with ordinary ones. */
#ifndef FLATPAUSE_FIXER_LOCK_H
#define FLATPAUSE_FIXER_LOCK_H

#include <pthread.h>

/*
 * Whoever holds it runs with the priority of who waits: else a clerk that was preempted in the middle
 * makes every writer on the host wait until the scheduler remembers it.
 */
static inline void urgent_lock__init(pthread_mutex_t *lock)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
	pthread_mutex_init(lock, &attr);
	pthread_mutexattr_destroy(&attr);
}

#endif
