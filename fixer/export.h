/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * From the memory copy to the real place: a temporary name beside the link, steps of one slot of
 * the worker's pool, fsync, then a rename over the link. The CRC32C is of the very bytes that were
 * handed to the kernel; reading them back from the device is a step of its own.
 */
#ifndef FLATPAUSE_EXPORT_H
#define FLATPAUSE_EXPORT_H

#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "export_way.h"
#include "pool.h"
#include "seen.h"

#define EXPORT_WORKERS_MAX  16u
#define EXPORT_WORKERS	    2u /* see tests/bench/export_workers.sh */
#define EXPORT_SIZE_BUCKETS 13 /* up to 512 B, 1 KiB, ... 1 MiB, and above */

/* What the workers that share it have done; read without a lock. */
struct export_counters {
	struct pool_counters pool;
	atomic_uint_fast64_t files, written_bytes, read_back_bytes;
	atomic_uint_fast64_t write_sizes[EXPORT_SIZE_BUCKETS];
	atomic_uint_fast64_t held_back_ns; /* with a file in hand, for writers or the rate */
};

/* What the workers of one disk have together, however many they are. */
struct export_share {
	uint64_t rate_bytes;	      /* at most so much in a second; 0 = as fast as it goes */
	atomic_uint_fast64_t next_ns; /* by what was let through before */
	sem_t in_air;		      /* steps that may be queued on the disk when a window opens */
};

void export_share__init(struct export_share *s, uint64_t rate_bytes);

struct export_hooks {
	void (*yield)(void *arg);     /* before each step: returns when the device may be used */
	bool (*cancelled)(void *arg); /* ends the copy with -ECANCELED */
	void *arg;		      /* both are called from the worker's threads */
	struct export_share *share;   /* NULL = this worker is alone, and goes as fast as it can */
};

struct export_result {
	uint64_t bytes;	     /* size of the file */
	uint64_t data_bytes; /* of it written: holes stay holes */
	uint32_t crc;	     /* CRC32C of all its bytes */
	uint64_t copy_ns, sync_ns, verify_ns;
	enum way way;		      /* by which the last step went */
	bool read_back;		      /* from the device, and found to be the same */
	struct timespec mtime, ctime; /* of the file; ctime.tv_sec 0 = not known */
	struct seen seen;
};

struct export_worker;

/* Whether FLATPAUSE_EXPORT in the environment can be followed: 0 or -EINVAL, said. */
int export__check_mode(void);

/*
 * A worker with its pool, on the thread that will use it; that thread stays on its NUMA node from
 * here on. FLATPAUSE_EXPORT in the environment chooses how it writes (see export_worker.h).
 * `counters` are shared by any number of workers. 0 or -errno; said.
 */
int export_worker__start(struct export_worker **w, struct export_counters *counters);
void export_worker__stop(struct export_worker *w);

/*
 * Copies `src` to the new file `tmp` in `dirfd`, with its mode, owner and times, and syncs it. What did not
 * go through our memory on its way was read back (res->read_back). On any error nothing is left
 * under `tmp`. -ECANCELED, -ENOSPC, -EFBIG, -EBADMSG (what the device gives back is not what was
 * written), -errno. Not said.
 */
int export__copy(struct export_worker *w, int src, int dirfd, const char *tmp,
		 const struct export_hooks *hooks, struct export_result *res);

/* Behind a rename of the copy, open as `fd`, which may change its ctime. */
void export__renamed(int fd, struct export_result *res);

/*
 * Reads `name` back from the device, past what the page cache had of it, and compares it with what
 * was written. -EBADMSG where it differs, -EIO where the device gives nothing back: nobody has touched
 * it; -ESTALE where it is gone, or somebody has written to it since; -EUCLEAN where its ctime is
 * another than ours, or ours is not known, so that it may be either; -ECANCELED; -errno where it could
 * not be compared. Not said.
 */
int export__read_back(struct export_worker *w, int dirfd, const char *name,
		      const struct export_hooks *hooks, struct export_result *res);

/* The same of what is open as `filefd` (O_PATH, a regular file), whatever it is called now. */
int export__read_back_file(struct export_worker *w, int filefd, const struct export_hooks *hooks,
			   struct export_result *res);

/*
 * The same of a copy by a process that was killed: from the memory `src`, which is as it was then,
 * and from what was written down. Also -ENODATA where that memory cannot be read.
 */
int export__compare(struct export_worker *w, int src, int filefd, const struct seen *seen,
		    uint64_t file_ctime_ns, const struct export_hooks *hooks,
		    struct export_result *res);

/*
 * Counters that other processes can find: in a memfd of this process, gone with it. Never freed.
 * 0 or -errno; said.
 */
int export_counters__share(struct export_counters **counters);

/* A copy of those of process `pid`; -ENOENT where it has none. Not said. */
int export_counters__of(pid_t pid, struct export_counters *copy);

/* What may be replaced: our link, by what it leads to; else a file, by its inode. */
struct export_old {
	const char *target; /* NULL = a file */
	uint64_t dev, ino;
};

/*
 * Puts `tmp` in the place of `name` if that is `old`, which goes; -ENOENT where it is another's file,
 * at whatever moment that came there, or nothing: it stays as it is. Either way `tmp` is gone.
 */
int export__replace(int dirfd, const char *tmp, const char *name, const struct export_old *old);

/*
 * Puts `tmp` in the place of the link `name`, if that still is our link to `target`; syncs the
 * directory. -ENOENT as above.
 */
int export__commit(int dirfd, const char *tmp, const char *name, const char *target);

/* fsync of a directory that is open by O_PATH. 0 or -errno. */
int export__sync_dir(int dirfd);

/* A link to `target` in the place of the file (dev, ino); -ENOENT as above. */
int export__relink(int dirfd, const char *tmp, const char *name, const char *target, uint64_t dev,
		   uint64_t ino);

/* Whether `name` in `dirfd` is a link to `target`. */
bool export__is_link(int dirfd, const char *name, const char *target);

/* ".NAME.flatpause"; of a NAME too long for that its beginning and a sum of it. Always the same. */
void export__tmp_name(char *buf, size_t size, const char *name);

#endif
