/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The link by which a writer gets into memory belongs to whoever owns the directory: he may rename
 * it, move it to another directory, give it a second name or remove it. Only the last one means
 * that the bytes behind it are not wanted any more.
 */
#ifndef FLATPAUSE_FIXER_LINK_H
#define FLATPAUSE_FIXER_LINK_H

#include <limits.h>
#include <stdint.h>

#include "seen.h"

#define LINK_DEPTH_MAX \
	2048 /* directories below the guarded one: each is open while it is searched */

/* A name found: dirfd is the caller's of link__walk(), for the time of the call. */
struct link_name {
	int dirfd;
	const char *dir; /* relative to the root that was searched; for people: a long one is cut */
	const char *name;
};

typedef int (*link_fn)(const struct link_name *at, void *arg);

/*
 * Calls fn for each link to `target` in the tree below rootfd, on one file system and following no
 * link; fn's non-zero ends it. What cannot be opened is left out, and its -errno returned when all
 * else was searched. 0, fn's value or -errno. Not said.
 */
int link__walk(int rootfd, const char *target, link_fn fn, void *arg);

/* O_PATH descriptor of the link itself, which stays the same whatever it is called; -errno. */
int link__open(int dirfd, const char *name);

/* Removes (dirfd, name) where it is the link to `target`. 0, also where it is not there; -errno. */
int link__remove(int dirfd, const char *name, const char *target);

/* How many names the link has; 0 = it was removed. */
unsigned int link__names(int linkfd);

/*
 * The directory and the name under which the link is found now: by what the kernel calls it, else
 * by a search below rootfd. O_PATH descriptor of the directory, its path relative to rootfd in
 * `dir` (for people, a long one is cut); -ENOENT where it is not in that tree.
 */
int link__find(int rootfd, int linkfd, const char *target, char dir[NAME_MAX + 1],
	       char name[NAME_MAX + 1]);

/*
 * The same of what is open as fd, by what the kernel calls it alone: -ENOENT where it has no name, or
 * none below rootfd.
 */
int link__where(int rootfd, int fd, char dir[NAME_MAX + 1], char name[NAME_MAX + 1]);

/*
 * Gives the other names of the link below rootfd to the file that is open as `filefd` (O_PATH), which
 * may be called anything now. How many, or -errno.
 */
int link__give_all(int rootfd, const char *target, int filefd);

/* What an exporter that was killed has left behind. */
enum home {
	HOME_LINKED,  /* the link stands: to be exported, from the beginning */
	HOME_DURABLE, /* the file is there, whole, and nothing was written to memory since */
	HOME_BOTH, /* the file is there and its owner has changed it, and its memory is newer too */
	HOME_GONE, /* neither: moved, removed, or another's file */
	HOME_FAILED, /* the directory cannot be synced: nothing may be said yet */
};

/* What was about to be done when it was last written down. */
struct home_step {
	uint64_t committed_ino; /* the file that takes the place of the link; 0 = none */
	struct seen seen;	/* of it and its memory */
	uint64_t over_ino;	/* the file whose place the link takes; 0 = none */
};

/*
 * Brings (dirfd, name) into one of these states. `memory`: the memory copy, by O_RDONLY: what was
 * written to it behind the rename, or is about to be, is not lost, the link comes back for it, unless its
 * owner has changed the file too. Where it is durable nobody writes to it until that descriptor is
 * closed.
 */
enum home home__settle(int dirfd, const char *name, const char *target,
		       const struct home_step *step, int memory);

#endif
