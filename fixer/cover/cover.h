/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * A cover: the guarded directory, mounted over itself through FUSE, so that whatever way an
 * unmodified writer makes a memory file (O_EXCL, O_TRUNC over an old one, in any directory below, a
 * rename, a hard link), its bytes land in memory. Behind the cover stand the same links into a tmpfs
 * that the guard plants without it; the keeper exports them, and a journal knows them.
 *
 *   nodes.c      what the kernel calls by a number
 *   names.c      directories: look up, make, remove, rename, list
 *   files.c      open files; the kernel reads and writes them itself where it can (passthrough)
 *   attrs.c      stat, chmod, truncate, extended attributes
 *   memory.c     which file goes to memory, and how it looks from outside
 *   serve.c      requests and answers
 *   threads.c    who reads them: as many as are needed
 *   mount.c      comes and goes; mountinfo.c: what is mounted where
 *   left.c       in which mount namespaces it stays when it goes; mark.c: who serves it
 *   supervise.c  holds the connection while servers come and go
 *
 * It fails open as far as this can be had: the supervisor starts another server when one is killed,
 * and the kernel asks it again what the first has not answered; where that does not help the cover
 * is taken away, and paths lead to the real directory. When it is taken away in order, what is open
 * is served until it is closed.
 */
#ifndef FLATPAUSE_FIXER_COVER_H
#define FLATPAUSE_FIXER_COVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "nodes.h"

#define COVER_OPEN_LOCKS 64
#define COVER_FSTYPE	 "fuse.flatpause"

struct guard;
struct fix_conf;

/* Descriptors of a node that is open; this process's own. */
struct open_node {
	int fd; /* of any kind; -1 */
	int wr; /* O_RDWR while a writer has it: keeps the export away; -1 */
};

/* One that serves; its number is that of its note in the table. */
struct server {
	struct cover *c;
	pthread_t id;
	bool used;
};

struct cover {
	struct guard *g;	/* NULL: no new memory files, only what is there is served */
	int dev, rootfd, tmpfd; /* of the keep */
	char tmp_dir[128];
	struct nodes nodes;
	struct open_node *open; /* by number */
	pthread_mutex_t open_locks[COVER_OPEN_LOCKS];

	pthread_mutex_t threads_lock;
	pthread_cond_t thread_ended;
	struct server servers[COVER_THREADS_MAX];
	int running;
	atomic_int idle; /* who waits for a request */
	atomic_bool stop;
};

/* What outlives a server: of the supervisor, and inherited by each. */
struct cover_keep {
	int dev;    /* /dev/fuse */
	int rootfd; /* of the real directory, O_RDONLY */
	int tmpfd;  /* of the memory files, O_RDONLY */
	int mnt;    /* of the cover's own root, to take it away by; -1 */
	int mark;   /* tells others that this cover is served; -1 */
	struct node_table *table;
};

/* /dev/fuse and an empty table. 0 or -errno; said. */
int cover_keep__open(struct cover_keep *keep, const struct fix_conf *conf);
void cover_keep__close(struct cover_keep *keep);

/*
 * Whether `dir` can be covered: FUSE, file handles, no other mount below it. 0, -EOPNOTSUPP, -EBUSY
 * with the reason; not said.
 */
int cover__check(const char *dir, const char **why);
bool cover__is_on(const char *dir);

/*
 * Puts the cover over the directory that `keep` has open, whatever its path leads to by now. By the
 * supervisor, before the first server: there is nobody yet who would answer. 0 or -errno; said.
 */
int cover__mount(struct cover_keep *keep);
/* Takes it away: paths lead to the real directory from here on, open files stay. */
void cover__detach(struct cover_keep *keep);
/* Ends the connection: who waits gets an error, and open files are read and written at most. */
void cover__abort(const struct cover_keep *keep);
/* The number of its file system; 0 where it is not mounted. */
dev_t cover__dev(const struct cover_keep *keep);
/* Whether somebody else has taken it away. */
bool cover__is_gone(const struct cover_keep *keep);
/* Names those who are in the directory already, and would go on past a cover. */
void cover__warn_bypass(const struct cover_keep *keep, const char *dir);
/* Takes away what a server has left that was killed with its supervisor. Whether there was one. */
bool cover__clear_dead(const char *dir);

/*
 * Begins to serve a cover that is mounted, in threads of its own. `g` may be NULL: then there are no
 * new memory files. 0 or -errno; said.
 */
int cover__start(struct cover *c, const struct cover_keep *keep, struct guard *g,
		 const char *tmp_dir);
/* Ends the threads, each behind the request that it has in hand; the connection stays. */
void cover__stop(struct cover *c);
/* Until nobody has anything open below it any more. */
void cover__drain(struct cover *c);

struct previous;

/*
 * Runs the guard of `conf` under a cover: in a child, again in another when that is killed. As
 * guard_main(): `ready` (or -1) is told once. Returns when all is over. 0 or -errno; said.
 */
int supervise(const struct fix_conf *conf, int journal_fd, uint64_t seq, uint64_t end,
	      const struct previous *prev, int ready);

#endif
