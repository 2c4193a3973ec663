/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The guard: a daemon that meets a writer which cannot be changed in the directory where it writes.
 *
 *   watch    (events.c, answer.c)  answers the kernel; never touches a file system, never waits
 *   planter  (plant.c)  puts a spare or a link into a new directory before the writer gets there
 *   hand     (hand.c)   allocates while an answer waits, or behind it
 *   clerk    (clerk.c)  looks at extents and writes down what became of them; nobody waits for it
 *   closer   (hand.c)   lets go of descriptors: on ext4 that can mean writing a whole file out
 *   keeper   (keeper.c) gets ready for the next window: a spare, warm memory; yields to writers
 *   exports  (exports.c, held.c) bring what is in memory to disk, side by side; yield to writers
 *
 * Memory files have names on a tmpfs, so they outlive it; resume.c takes them over.
 *
 * It fails open: when it dies the kernel lets every waiting writer go on, and a watchdog process
 * kills it when the watch thread does not move for GUARD_STUCK_NS.
 */
#ifndef FLATPAUSE_GUARD_H
#define FLATPAUSE_GUARD_H

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/fanotify.h>
#include <sys/stat.h>

#include "cover/cover.h"
#include "export.h"
#include "journal.h"
#include "lease.h"
#include "prealloc.h"
#include "state.h"
#include "window.h"
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
#define GUARD_GROWTH_NS	  100000000ull /* between two looks at how large memory files have become */
#define TO_DISK_REASONS	  8

/* When a file got its space. */
enum made {
	MADE_BEFORE, /* it was there before the guard */
	MADE_SPARE,
	MADE_AT_OPEN,
	MADE_AT_FTRUNCATE, /* when the writer said its size */
};

/* A file whose extents are watched. All but `hold` is the watch thread's. */
struct track {
	uint64_t dev, ino;
	uint32_t handle_crc; /* tells it from a later file with its number; 0 = not known */
	uint32_t n;	     /* 0 = slot free */
	uint32_t gen;	     /* counts its writers, so that nobody speaks of the one before */
	char dir[NAME_MAX + 1], name[NAME_MAX + 1];
	uint64_t prealloc_bytes;
	enum made made;
	bool found;	     /* whoever opened it first did not create it */
	bool open;	     /* a writer has it, or is expected */
	bool armed;	     /* its first write has not been seen */
	bool asked;	     /* the kernel asks before it */
	bool touched;	     /* something was read or changed since it was opened */
	bool asked_once;     /* ... and the kernel did ask before that */
	bool seems_kept;     /* at the first of these the space was still there, by fstat */
	bool truncate_seen;  /* ftruncate to less, while the size was still there */
	bool emptied;	     /* a change left neither bytes nor the space */
	bool ready;	     /* had its space before its writer went on; under the lock */
	bool looking;	     /* the hand is on its way to it; under the lock */
	bool synced;	     /* its fsync has been looked at; under the lock */
	const char *verdict; /* at the first write; NULL = none yet; the clerk's */
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
	int linkfd; /* O_PATH of the link in it: follows that; -1 = not opened */
	char name[NAME_MAX + 1];
	char dir[NAME_MAX + 1];
	char target[NAME_MAX + 160];
	uint64_t reserved_bytes;
	uint64_t closed_ns; /* 0 = no writer has closed it yet */
	uint64_t closed_real_ns;
	uint64_t retry_ns;
	uint32_t restarts;
	bool linked; /* the link stands: before that the slot is the planter's */
	bool gone;   /* its link was removed; it stays as long as somebody writes to it */
	/*
	 * It has taken the place of its link and was not compared yet, as by a guard before us that was
	 * killed, or because that failed for now: what it is, and what was written down of it.
	 */
	bool home;
	int filefd; /* O_PATH; -1 = not home */
	struct seen seen;
	uint64_t file_ctime_ns; /* 0 = not known */
	int said_err;		/* why it could not be compared, as it was said last */
	bool taken;		/* somebody has it in hand, see held__take() */
};

/* One worker of the export. */
struct exporter {
	struct guard *g;
	struct export_worker *worker; /* NULL = none yet */
	struct lease lease;	      /* on the file in hand */
	uint64_t retry_ns;
	pthread_t thread;
};

enum job_kind {
	JOB_PLANT = 1,	 /* a directory appeared */
	JOB_LET_GO,	 /* the writer comes: the memory that is held for it is his */
	JOB_NEW_FILE,	 /* created without a spare, or its size was said: space behind its end */
	JOB_FIRST_WRITE, /* the space is gone, and the writer waits */
	JOB_MADE,	 /* what the hand did, to be written down */
	JOB_LOOK,	 /* something changed, which may have been the first write */
	JOB_SYNCED,
	JOB_CLOSED,
	JOB_RELEASE, /* close fd, not before until_ns */
};

struct job {
	enum job_kind kind;
	int fd;	     /* the job's own, closed behind it; -1 */
	int track;   /* slot, or -1 */
	int pending; /* the answer that waits for this job, or -1 */
	pid_t pid;   /* of the writer */
	uint32_t gen;
	uint64_t size_bytes, until_ns;
	enum made made;
	const char *lost; /* how the space was lost, if it was */
	bool unasked;	  /* the kernel should have asked before the change, and did not */
	/* as of struct track when the job was made: the next writer may be there before the clerk */
	bool seems_kept, touched, emptied, ready;
	/* JOB_MADE */
	bool in_time, first_write;
	int err;
	uint64_t waited_ns;
	struct extents extents;
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

enum pending_phase { PENDING_FREE, PENDING_WAITS, PENDING_ANSWERED };

/* An answer that is not out yet. Whoever takes it from WAITS to ANSWERED gives it. */
struct pending {
	atomic_int phase;
	atomic_bool done; /* by the hand */
	int fd;
	int track; /* that keeps fd afterwards, or -1 */
	uint64_t since_ns, deadline_ns;
	uint64_t waited_ns; /* until the answer */
	uint64_t plants;    /* wait until so many directories have been served; 0 = none */
	bool has_job;
	atomic_bool mark_owed; /* its file is not marked yet: by the hand, or with the answer */
};

/* A reason for which files go to disk; those since it was said last. */
struct to_disk {
	char why[96];
	uint64_t until_ns, period_ns; /* not said again before */
	uint32_t cnt;
};

/* The first file that was left alone because it has another name somewhere. */
struct many_names {
	enum { MANY_NAMES_NONE, MANY_NAMES_FOUND, MANY_NAMES_SAID } step;
	char dir[NAME_MAX + 1], name[NAME_MAX + 1];
};

/* What the next memory file is expected to look like. */
struct previous {
	uint64_t bytes;
	mode_t mode;
	uid_t uid;
	gid_t gid;
	struct timespec mtime;
};

/* Where the kernel says that a file was fsynced: a ring for each CPU. */
struct sync_watch {
	struct pollfd *fds;
	struct perf_event_mmap_page **rings;
	int cnt;
	size_t page;
	int dev_at, ino_at; /* in a sample */
	pthread_t thread;
	bool running;
};

struct guard {
	struct fix_conf conf;
	struct journal journal;
	int dirfd, hiddenfd, tmpfd; /* tmpfd, hiddenfd: -1 where not used */
	int fan, inotify, wake, sigfd;
	bool fs_mark;	  /* the whole file system is the directory's: one mark for it */
	bool pre_content; /* the kernel asks before the first write */
	bool stop;

	struct jobs planter, hand, clerk, closer;
	atomic_uint_fast64_t plants_queued, plants_done;
	atomic_uint not_written_down; /* jobs that found the clerk's queue full */
	struct pending pending[GUARD_PENDING_MAX];
	uint32_t pending_cnt; /* not free; the watch thread's */
	uint64_t due_ns;      /* of the answer that waits longest */
	uint64_t read_ns;     /* when the events at hand were read */
	uint64_t since_ns;    /* none of them can have been there at this time */

	/*
	 * Around the marks of the group: the kernel's own lock of them knows no priorities, and an
	 * ordinary clerk that was preempted with it would hold up the watch.
	 */
	pthread_mutex_t marks;
	pthread_mutex_t lock; /* tracks, held, previous, spare, names */
	atomic_uint_fast64_t track_inos[GUARD_TRACKS_MAX]; /* 0 = its file is gone */
	struct track tracks[GUARD_TRACKS_MAX];
	struct held held[GUARD_HELD_MAX];
	struct previous prev;
	uint32_t next_n;
	uint64_t spare_bytes; /* 0 = no spare is ready */
	uint64_t spare_ino, spare_retry_ns;
	uint64_t used_bytes; /* memfd: reserved or in use */
	bool over_budget;    /* by what grew beyond what was reserved for it */
	struct to_disk to_disk[TO_DISK_REASONS];
	struct many_names many_names;
	bool spares_useless; /* the file system has no fallocate */
	void *warm;	     /* reserve.c: touched memory for the next file; NULL = none */
	uint64_t warm_bytes, warm_retry_ns;

	struct writers writers;
	struct sync_watch sync;
	struct cover_keep *keep;
	struct cover *cover; /* NULL = the guard meets writers by events */
	struct window window;
	pthread_mutex_t window_lock;
	uint64_t looked_ns; /* keeper: when the directories were last looked at */
	uint64_t grown_ns;  /* keeper: when memory files were last measured */
	pthread_t keeper;
	bool keeper_running;
	struct exporter exporters[EXPORT_WORKERS_MAX];
	uint32_t exporters_cnt;
	atomic_uint exporting; /* workers that have a file in hand */
	struct export_share export_share;
	struct export_counters *counters;
	atomic_bool quit; /* for keeper, exporters and their hooks */

	atomic_uint_fast64_t *heartbeat; /* shared with the watchdog */
	pid_t self, watchdog;
};

/* ---- guard.c ---- */

/*
 * Arms the watch for conf; `journal_fd` is locked and holds the intent. `keep`: of the supervisor of
 * its cover, or NULL. On 0 everything is armed and guard__run() may be called. Said.
 */
int guard__start(struct guard *g, const struct fix_conf *conf, int journal_fd, uint64_t seq,
		 uint64_t end, const struct previous *prev, uint64_t spare_bytes,
		 struct cover_keep *keep);
/* Until SIGTERM or SIGINT. */
int guard__run(struct guard *g);
/* Closes the group first (writers go on), then ends the threads. What is in memory stays there. */
void guard__stop(struct guard *g);
void guard__wake(struct guard *g);
/* A warning to the log and into the journal, for `fix status`. */
void guard__note(struct guard *g, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The size that a new file is expected to get; 0 = not known. Caller holds g->lock. */
uint64_t guard__wanted(const struct guard *g);

/* ---- answer.c: who answers, and when ---- */

/* A free slot, or -1: then the answer goes out at once. */
int answer__slot(struct guard *g);
/*
 * The answer for `fd` waits for a job of the hand, for `plants` directories, and at most
 * GUARD_ANSWER_NS. From here on fd is closed, or kept by `track`, with the answer.
 */
void answer__pend(struct guard *g, int slot, int fd, int track, uint64_t plants, bool has_job);
bool answer__is_out(struct guard *g, int slot);
/* Whether the caller shall mark its file, which bears no mark of ours yet. */
bool answer__take_mark(struct guard *g, int slot);
/*
 * By the hand. Whether the process waited until here; it goes on now, or when its directories have
 * been served. False where its answer was out already. *waited_ns (or NULL): how
 * long the process waited at most, see since_ns.
 */
bool answer__job_done(struct guard *g, int slot, uint64_t *waited_ns);
/* Lets the process go on. */
void answer__now(struct guard *g, int fd);
/* Answers what is ready or late; the time until the next one is due, at most a heartbeat. */
uint64_t answer__sweep(struct guard *g);
/* At the end: whoever still waits goes on. */
void answer__all(struct guard *g);

/* ---- events.c ---- */

/* One event of the group; owns its descriptor. From the watch thread. */
void event__handle(struct guard *g, const struct fanotify_event_metadata *m);
/* Matching files of a directory that were there before: the next write to them is seen. */
void event__adopt_dir(struct guard *g, int dirfd, const char *dir);

/* ---- track.c ---- */

/* The slot of an inode number, -1 = not watched. Its file may be gone, unless a descriptor is held. */
int track__find(struct guard *g, uint64_t dev, uint64_t ino);
/* The slot of the file that fd is; what had its number before is forgotten. From the watch thread. */
int track__of(struct guard *g, int fd, const struct stat *st);
/*
 * A slot for a file that was not there before; -1 where all have writers. handle_crc: handle__crc().
 * Caller holds g->lock.
 */
int track__new(struct guard *g, uint64_t dev, uint64_t ino, uint32_t handle_crc);
/* Keeps a descriptor until the writer has closed. See struct track. */
void track__hold(struct guard *g, int slot, int fd);
/* Closes what is held. Caller holds g->lock. */
void track__let_go(struct guard *g, struct track *t);
/*
 * Lets go of what no writer has any more: readers say nothing when they close, and a file that we
 * hold keeps its blocks when it is deleted. Looks into /proc: for threads that may wait.
 */
void track__sweep(struct guard *g);
struct track track__copy(struct guard *g, int slot);
/* How what was preallocated can have been lost, as far as we saw it happen. */
const char *track__how_lost(const struct track *t);
/* "spare", "at open", ... */
const char *track__made(enum made made);

/* ---- watch.c: the kernel's interfaces ---- */

int watch__open(struct guard *g);
/* Marks what lies in `name` below dirfd ("." = itself). */
int watch__mark_dir(struct guard *g, int dirfd, const char *name);
int watch__mark_memory_dir(struct guard *g, int dirfd, const char *name);
/* Asks for the first write to (dirfd, name); `ask` = before it, where the kernel has that. */
int watch__arm(struct guard *g, int dirfd, const char *name, bool ask);
/* No events of changes to a file, while somebody is on his way to look at it; and again. */
void watch__changes(struct guard *g, int fd, bool on);
/* No more events of the writes to a file. */
void watch__disarm(struct guard *g, int fd);
/* Nor questions, until something changes in it; and questions again. */
void watch__quiet(struct guard *g, int fd, bool on);
/* Whether watch__arm() shall let the kernel ask, by what the guard is for. */
bool watch__asks(const struct guard *g);
/*
 * An own descriptor for changing a file, or -errno. `bare`: the file bears no mark of ours, and none
 * that somebody sets meanwhile is left as it was; without it the watch thread has to answer us.
 */
int watch__reopen(struct guard *g, int fd, bool bare);

/* ---- jobs.c ---- */

typedef void (*job_fn)(struct guard *g, struct job *job);
/* `nice`: of its thread, as nice(1); 0 = as the process. */
int jobs__start(struct jobs *q, struct guard *g, job_fn fn, int nice);
/* From the watch thread: no allocation; -ENOBUFS when full. */
int jobs__push(struct jobs *q, const struct job *job);
void jobs__stop(struct jobs *q);
/* Closes an event's descriptor in a thread that may wait: a release can flush the whole file. */
void closer__release(struct guard *g, int fd);
void closer__do(struct guard *g, struct job *job);

/* From any thread: the closer hands `job` to the clerk at job->until_ns. 0 or -ENOBUFS. */
int closer__later(struct guard *g, const struct job *job);

/* ---- hand.c ---- */

void hand__do(struct guard *g, struct job *job);

/* ---- clerk.c ---- */

/* JOB_MADE, JOB_LOOK, JOB_SYNCED, JOB_CLOSED */
void clerk__do(struct guard *g, struct job *job);

/* ---- sync_watch.c ---- */

/* Without it the files are not looked at after fsync; that is noted. */
void sync_watch__start(struct guard *g);
/* After `quit` is set. */
void sync_watch__stop(struct guard *g);

/* ---- plant.c ---- */

void plant__do(struct guard *g, struct job *job);
/* For the journal, before it is done: a revert after kill -9 knows where to look. */
json_t *plant__describe(uint32_t n, int dirfd, const char *dir, const char *name);
/* Finds the newest file that matches, and what is planted next time. */
void previous__find(int dirfd, const char *match, struct previous *prev, char *name);

/* ---- link_in.c ---- */

/* A name that shall lead into memory. */
struct link_order {
	int dirfd;		/* O_PATH of the snapshot directory */
	const char *dir, *name; /* dir: relative to the guarded one, for people */
	mode_t mode;
	uid_t uid;
	gid_t gid;
	bool by_writer; /* made because somebody opens it: his file, whether he writes to it or not */
	bool over;	/* in the place of the file that has the name, if it is this one */
	uint64_t over_dev, over_ino;
};

/*
 * Makes a memory file within the budget, and its link; the file's number in *n. 0; -ENOSPC where it
 * has to go to disk, which is noted then; -EEXIST where the name is taken, -ESTALE where `over` is
 * another file by now, -errno, not noted.
 */
int link_in__plant(struct guard *g, const struct link_order *o, uint32_t *n);

/* ---- to_disk.c ---- */

/* A file goes to disk: noted, or counted where the same was noted just before. */
void to_disk__note(struct guard *g, const char *dir, const char *name, const char *why);
/* Notes what was only counted, when it is time, or `all`. */
void to_disk__sum_up(struct guard *g, bool all);

/* ---- keeper.c ---- */

int keeper__start(struct guard *g);
void keeper__stop(struct guard *g);
/* Whether somebody writes below the directory, or a window is open on its disk. From any thread. */
bool keeper__window_is_open(struct guard *g);

/* ---- exports.c ---- */

/* As many workers as conf.export_workers says. */
int exports__start(struct guard *g);
/* After `quit` is set. */
void exports__stop(struct guard *g);
/* From the watch thread, on the signal of a lease break. */
void exports__lease_broken(struct guard *g, int fd);

/* ---- held.c ---- */

/* From the watch thread: the memory file `n` was closed after writing. */
void held__closed(struct guard *g, uint32_t n);
/* Removes memory file `n` with its directory below tmpfd. -EAGAIN where somebody writes to it: it stays. */
int held__drop_memory(int tmpfd, uint32_t n, const char *name);
/* Below tmpfd. */
void held__memory_path(const struct held *h, char *path, size_t size);

/* Whoever has taken a slot ends with one of the next three. False: another has it, or it is free. */
bool held__take(struct guard *g, int slot);
/* The file that has waited longest for its export; -1 = none is due. */
int held__take_oldest(struct guard *g);
void held__put_down(struct guard *g, int slot);
/* Its memory may go: the slot is free again. -EAGAIN where somebody writes to it: nothing goes. */
int held__release(struct guard *g, int slot);
/* The same, and its owner is said to have removed it. */
int held__deleted(struct guard *g, int slot);

/* For a slot that was taken. */
void held__record(struct guard *g, const struct held *h, const char *state);
/* By this a later guard tells a link that was moved from one that was removed. */
void held__remember_link(struct guard *g, const struct held *h);
/*
 * Which file is about to be renamed: whoever comes behind us knows by it what it finds there, and
 * whether it was compared. A descriptor of it (O_PATH), by which it is known whatever it is called;
 * -errno.
 */
int held__announce_commit(struct journal *j, uint32_t n, int dirfd, const char *tmp,
			  const struct seen *seen, bool compared);
/* It is in (dirfd, name) now; owns dirfd. */
void held__moved(struct guard *g, struct held *h, int dirfd, const char *dir, const char *name);
/* Whether the link is somewhere still; where its owner has moved it, we move with it. */
bool held__follow_link(struct guard *g, struct held *h);
/* Counts its memory as what it is now. */
void held__account(struct guard *g, struct held *h);
/* Counts what has grown beyond its reservation; warns where all together are over the budget. */
void held__measure(struct guard *g);
/* Lets go of all whose link was deleted. */
void held__look(struct guard *g);

/* ---- resume.c: where a guard that was killed left off ---- */

/*
 * Whether `conf` may go on with the journal of a dead guard, and takes from it what only that knows
 * (id, where the memory is). 0 or -EEXIST; said.
 */
int resume__conf(struct fix_conf *conf, const struct state *s);
/* Reads g->journal and takes over every memory file that is not durable; reports what is lost. */
int resume__held(struct guard *g);
/* The end of a file that is durable, and whose memory went before anybody compared it. */
void resume__say_never_compared(struct guard *g, uint32_t n, const char *dir, const char *name);
/* Nobody but a human can tell which copy is right: `what` is why; its memory stays. */
void resume__say_kept(struct guard *g, uint32_t n, const char *dir, const char *name,
		      const char *target, const char *what);

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

/* A guard from its start to its end, in this process; `ready` (or -1) is told how the start went. */
int guard_main(const struct fix_conf *conf, int journal_fd, uint64_t seq, uint64_t end,
	       const struct previous *prev, uint64_t spare_bytes, int ready,
	       struct cover_keep *keep);

/* From here on what is said goes to the log beside the journal. 0 or -errno. */
int daemon__redirect(const struct fix_conf *conf);

#endif
