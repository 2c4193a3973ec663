/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The guard: a daemon that meets a writer which cannot be changed in the directory where it writes.
 *
 *   watch    (guard.c)  answers the kernel; never touches a file system, never waits for a thread
 *   planter  (plant.c)  puts a spare or a link into a new directory before the writer gets there
 *   hand     (hand.c)   allocates behind an answer that is already out, looks at extents
 *   closer   (hand.c)   lets go of descriptors: on ext4 that can mean writing a whole file out
 *   keeper   (keeper.c) makes the next spare, exports what is in memory; yields to writers
 *
 * It fails open: when it dies the kernel lets every waiting writer go on, and a watchdog process
 * kills it when the watch thread does not move for GUARD_STUCK_NS.
 */
#ifndef FLATPAUSE_GUARD_H
#define FLATPAUSE_GUARD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "export.h"
#include "journal.h"
#include "state.h"
#include "writers.h"

#define GUARD_ANSWER_NS	  2000000ull /* an answer goes out within this, whatever happens */
#define GUARD_STUCK_NS	  2000000000ull
#define GUARD_SETTLE_NS	  100000000ull /* from the last close to the export */
#define GUARD_RELEASE_NS  20000000ull  /* behind the writer's own release */
#define GUARD_LINGER_NS	  50000000ull  /* from the rename to the end of the memory copy */
#define GUARD_RETRY_NS	  5000000000ull
#define GUARD_EXPECT_NS	  100000000ull /* a new directory: a window is about to open */
#define TRACK_HOLD_MAX	  8
#define GUARD_TRACKS_MAX  1024
#define GUARD_HELD_MAX	  1024
#define GUARD_PENDING_MAX 256
#define GUARD_JOBS_MAX	  1024

/* A file whose extents are watched. */
struct track {
	uint64_t dev, ino;
	uint32_t n; /* 0 = slot free */
	char dir[NAME_MAX + 1], name[NAME_MAX + 1];
	uint64_t prealloc_bytes;
	bool armed;	     /* its first write has not been seen */
	bool truncate_seen;  /* ftruncate while the size was still there */
	bool asked;	     /* ... and the kernel asks before it */
	bool spare;	     /* planted by us */
	const char *made;    /* "spare", "at open", "before" */
	const char *verdict; /* at the first write; NULL = none yet */
	/*
	 * Descriptors of its events, kept until the writer has closed: ext4 flushes a file that was
	 * truncated at open when any descriptor of it is released, once. That is the writer's.
	 */
	int hold[TRACK_HOLD_MAX];
	int hold_cnt;
};

/* A memory file that is not durable yet. */
struct held {
	uint32_t n; /* 0 = slot free */
	int dirfd;  /* O_PATH of the snapshot directory: follows it when it is moved */
	char name[NAME_MAX + 1];
	char dir[NAME_MAX + 1];
	char target[NAME_MAX + 160];
	uint64_t reserved_bytes;
	uint64_t closed_ns; /* 0 = no writer has closed it yet */
	uint64_t closed_real_ns;
	uint64_t retry_ns;
	uint32_t restarts;
	bool linked; /* the link stands: before that the slot is the planter's */
};

enum job_kind {
	JOB_PLANT = 1, /* a directory appeared */
	JOB_NEW_FILE,  /* created without a spare: space behind its end */
	JOB_FIRST_WRITE,
	JOB_CLOSED,
	JOB_RELEASE, /* close fd, not before until_ns */
};

struct job {
	enum job_kind kind;
	int fd;		/* the hand's own, closed by it; -1 */
	int track;	/* slot, or -1 */
	int pending;	/* the answer that waits for this job, or -1 */
	bool look_only; /* first write: what changed may have been none; closed: none was seen */
	uint64_t size_bytes, until_ns;
	char name[NAME_MAX + 1];
};

/* A bounded queue with one thread behind it. */
struct jobs {
	pthread_mutex_t lock;
	pthread_cond_t more;
	pthread_t thread;
	bool running, stop;
	uint32_t head, cnt;
	struct job v[GUARD_JOBS_MAX];
};

struct pending {
	bool used;
	atomic_bool done; /* by the hand */
	int fd;
	int track; /* that keeps fd afterwards, or -1 */
	uint64_t deadline_ns;
	uint64_t plants; /* wait until so many directories have been served; 0 = none */
	bool has_job;
};

enum lease_phase { LEASE_NONE, LEASE_COPY, LEASE_COMMITTED };

struct lease {
	pthread_mutex_t lock;
	pthread_cond_t broken_cond;
	int fd;
	enum lease_phase phase;
	bool broken;
};

/* What the next memory file is expected to look like. */
struct previous {
	uint64_t bytes;
	mode_t mode;
	uid_t uid;
	gid_t gid;
	struct timespec mtime;
};

struct guard {
	struct fix_conf conf;
	struct journal journal;
	int dirfd, hiddenfd, tmpfd; /* tmpfd, hiddenfd: -1 where not used */
	int fan, inotify, wake, sigfd;
	bool fs_mark;	  /* the whole file system is the directory's: one mark for it */
	bool pre_content; /* the kernel asks before the first write */
	bool stop;

	struct jobs planter, hand, closer;
	atomic_uint_fast64_t plants_queued, plants_done;
	struct pending pending[GUARD_PENDING_MAX];

	pthread_mutex_t lock; /* tracks, held, previous, spare */
	struct track tracks[GUARD_TRACKS_MAX];
	struct held held[GUARD_HELD_MAX];
	struct previous prev;
	uint32_t next_n;
	uint64_t spare_bytes; /* 0 = no spare is ready */
	uint64_t spare_ino, spare_retry_ns;
	uint64_t used_bytes; /* memfd: reserved or in use */
	bool spares_useless; /* the file system has no fallocate */
	void *warm;	     /* reserve.c: touched memory for the next file; NULL = none */
	uint64_t warm_bytes, warm_retry_ns;

	struct writers writers;
	struct lease lease;
	struct export_worker *exporter; /* the keeper's; NULL = none yet */
	struct export_counters *counters;
	uint64_t exporter_retry_ns;
	uint64_t looked_ns; /* keeper: when the directories were last looked at */
	pthread_t keeper;
	bool keeper_running;
	atomic_bool quit; /* for keeper and hooks */

	atomic_uint_fast64_t *heartbeat; /* shared with the watchdog */
	pid_t self, watchdog;
};

/* ---- guard.c ---- */

/*
 * Arms the watch for conf; `journal_fd` is locked and holds the intent. On 0 everything is armed
 * and guard__run() may be called. Said.
 */
int guard__start(struct guard *g, const struct fix_conf *conf, int journal_fd, uint64_t seq,
		 uint64_t end, const struct previous *prev, uint64_t spare_bytes);
/* Until SIGTERM or SIGINT. */
int guard__run(struct guard *g);
/* Closes the group first (writers go on), then ends the threads. What is in memory stays there. */
void guard__stop(struct guard *g);
void guard__wake(struct guard *g);
/* A warning to the log and into the journal, for `fix status`. */
void guard__note(struct guard *g, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ---- watch.c: the kernel's interfaces ---- */

int watch__open(struct guard *g);
/* Marks what lies in `name` below dirfd ("." = itself). */
int watch__mark_dir(struct guard *g, int dirfd, const char *name);
int watch__mark_memory_dir(struct guard *g, int dirfd, const char *name);
/* Asks for the first write to (dirfd, name); `ask` = before it, where the kernel has that. */
int watch__arm(struct guard *g, int dirfd, const char *name, bool ask);
void watch__disarm(struct guard *g, int fd);

/* ---- hand.c ---- */

typedef void (*job_fn)(struct guard *g, struct job *job);
int jobs__start(struct jobs *q, struct guard *g, job_fn fn);
/* From the watch thread: no allocation; -ENOBUFS when full. */
int jobs__push(struct jobs *q, const struct job *job);
void jobs__stop(struct jobs *q);
void hand__do(struct guard *g, struct job *job);
/* Closes an event's descriptor in a thread that may wait: a release can flush the whole file. */
void closer__release(struct guard *g, int fd);
void closer__do(struct guard *g, struct job *job);

/* ---- plant.c ---- */

void plant__do(struct guard *g, struct job *job);
/* Finds the newest file that matches, and what is planted next time. */
void previous__find(int dirfd, const char *match, struct previous *prev, char *name);
/* A free track slot for a file; -1 where all are armed. Caller holds g->lock. */
int track__new(struct guard *g, uint64_t dev, uint64_t ino);
/* Closes what is held. Caller holds g->lock. */
void track__let_go(struct guard *g, struct track *t);
int track__find(struct guard *g, uint64_t dev, uint64_t ino);

/* ---- keeper.c ---- */

int keeper__start(struct guard *g);
void keeper__stop(struct guard *g);
/* From the watch thread, on the signal of a lease break. */
void keeper__lease_broken(struct guard *g, int fd);
/* From the watch thread: the memory file `n` was closed after writing. */
void keeper__closed(struct guard *g, uint32_t n);
/* Removes memory file `n` with its directory below tmpfd. */
void keeper__drop_memory(int tmpfd, uint32_t n, const char *name);

/* ---- reserve.c ---- */

/* Touches and holds as much memory as the next file needs; from the keeper, between windows. */
void reserve__fill(struct guard *g);
/* Gives it to whoever allocates next: the writer whose link has just been planted. */
void reserve__let_go(struct guard *g);

/* ---- daemon.c ---- */

/* A process that kills us when *heartbeat stands still. */
int watchdog__start(struct guard *g);
void watchdog__stop(struct guard *g);
/*
 * Runs `conf` as a daemon (or here, where `foreground`); returns in the caller when the watch is
 * armed, 0 or -errno (said by the daemon).
 */
int daemon__run(const struct fix_conf *conf, int journal_fd, uint64_t seq, uint64_t end,
		const struct previous *prev, uint64_t spare_bytes, bool foreground);

#endif
