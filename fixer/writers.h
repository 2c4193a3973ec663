/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Who has a file below the guarded directory open for writing. An open event does not say how the
 * file is opened, so each begins as unknown (and counts) until /proc/PID/fdinfo has told.
 */
#ifndef FLATPAUSE_WRITERS_H
#define FLATPAUSE_WRITERS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define WRITERS_MAX 256
/* A disk image of a VM is open for as long as the VM runs: such a writer does not hold us back. */
#define WRITERS_YIELD_NS 10000000000ull

struct writer {
	uint64_t dev, ino, opened_ns;
	pid_t pid;
	bool known; /* that it is a writer */
	bool used;
};

struct writers {
	pthread_mutex_t lock;
	struct writer v[WRITERS_MAX];
	uint64_t expected_until_ns; /* a snapshot directory appeared: a window is about to open */
	uint64_t overflowed;	    /* opens that found no room: not counted */
};

void writers__init(struct writers *w);
/* From the event thread: no allocation, no blocking. */
void writers__opened(struct writers *w, pid_t pid, uint64_t dev, uint64_t ino);
/* The same of one who is known to write. */
void writers__writing(struct writers *w, pid_t pid, uint64_t dev, uint64_t ino);
void writers__closed(struct writers *w, pid_t pid, uint64_t dev, uint64_t ino);
bool writers__has(struct writers *w, uint64_t dev, uint64_t ino);
void writers__expect(struct writers *w, uint64_t until_ns);

/* Whether somebody writes, or is about to. Looks into /proc: for threads that may wait. */
bool writers__busy(struct writers *w);

#endif
