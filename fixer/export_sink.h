/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Where filled slots go: one is summed while others are written. By io_uring, which is faster where
 * we measured; by a thread that makes blocking calls, where io_uring is refused or the file is not
 * written by O_DIRECT; or in place, one after the other.
 */
#ifndef FLATPAUSE_EXPORT_SINK_H
#define FLATPAUSE_EXPORT_SINK_H

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>

#include "export_way.h"
#include "pool.h"
#include "uring.h"

enum sink_kind { SINK_URING = 0, SINK_THREAD, SINK_INLINE };

/* So many steps of ours are queued on the device at most when a window opens. */
#define SINK_IN_AIR 2

/* Called before each step is issued, by whoever issues it: 0, or the error that ends the file. */
typedef int (*gate_fn)(void *arg, const struct step *s);

struct sink {
	enum sink_kind kind;
	struct pool *pool;
	struct target *target; /* NULL between files */
	gate_fn gate;
	void *gate_arg;
	sem_t *in_air; /* what all workers together may have queued; NULL = we are alone */
	int err;       /* of this file, the first */

	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t more, idle;
	struct step queue[POOL_SLOTS]; /* each holds a slot, so there cannot be more */
	uint32_t head, cnt;
	bool busy, stop;

	struct uring uring;
	struct step flying[SINK_IN_AIR];
	bool used[SINK_IN_AIR];
	uint32_t flying_cnt;
};

/* A place among what is queued on the disk, waited for. NULL: nothing to wait for. */
void air__take(sem_t *in_air);
void air__give(sem_t *in_air);

/* 0 or -errno. SINK_URING becomes SINK_THREAD where this kernel refuses io_uring. */
int sink__init(struct sink *s, enum sink_kind kind, struct pool *pool);
void sink__destroy(struct sink *s);

void sink__begin(struct sink *s, struct target *target, gate_fn gate, void *arg, sem_t *in_air);
/* A slot to fill; waits for one. */
char *sink__slot(struct sink *s);
/* Takes the step over, its slot too. Non-zero: the file has failed, no use in going on. */
int sink__put(struct sink *s, const struct step *step);
/* Waits until nothing is under way; the file's first error. */
int sink__end(struct sink *s);

#endif
