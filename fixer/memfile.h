/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * A file in memory, without a name: it is there as long as a descriptor is. Its object may be used
 * by several threads; closing it while another thread looks at it is an error, never a race.
 */
#ifndef FLATPAUSE_FIXER_MEMFILE_H
#define FLATPAUSE_FIXER_MEMFILE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct memfile {
	pthread_rwlock_t lock; /* read: the descriptor is in use; write: it goes */
	int fd; /* O_RDONLY, so that a lease tells whether anybody writes; -1 = closed */
	ino_t ino;
};

/*
 * A memfd of `bytes` bytes (all holes), for `uid`, readable by nobody else. `seal`: it can neither
 * grow nor shrink; a writer with O_TRUNC gets EPERM then. 0, -EINVAL for no bytes or above 2^63 - 1,
 * -errno. Not said.
 */
int memfile__open(struct memfile *m, const char *name, uint64_t bytes, bool seal, uid_t uid,
		  gid_t gid);

/* What it takes of memory: its 512-byte blocks x 512, not its length. -EBADF once it is closed. */
int memfile__used(struct memfile *m, uint64_t *bytes);

/* Frees it; there is no name to unlink. -EBUSY while another thread is at it, -EBADF the second time. */
int memfile__close(struct memfile *m);

#endif
