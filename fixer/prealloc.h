/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Extents: asked for ahead of the writer, and looked at afterwards. */
#ifndef FLATPAUSE_PREALLOC_H
#define FLATPAUSE_PREALLOC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct extents {
	uint32_t cnt;		 /* of the first EXTENTS_MAX */
	uint64_t mapped_bytes;	 /* with a place on the disk, written or not */
	uint64_t delalloc_bytes; /* dirty in memory, no place chosen yet: not preallocated */
	uint64_t unwritten_bytes;
	/* of these, in the range that was asked for ahead, and behind its last block */
	uint64_t ahead_mapped_bytes, ahead_delalloc_bytes, beyond_bytes;
};

#define EXTENTS_MAX 4096

/*
 * FIEMAP without syncing anything; the first `ahead_bytes` of the file are what was asked for ahead.
 * 0 or -errno (-EOPNOTSUPP: this file system cannot say).
 */
int extents__read(int fd, uint64_t ahead_bytes, struct extents *e);

/* Whether what was preallocated is there: nothing of it delayed, and nearly all of it mapped. */
bool extents__kept(const struct extents *e, uint64_t prealloc_bytes);

/*
 * A spare: `name` in dirfd, made with fallocate(2) mode 0 (never the byte-per-block emulation of
 * libc), mode and owner as given. On error nothing is left. Not said.
 */
int spare__make(int dirfd, const char *name, uint64_t bytes, mode_t mode, uid_t uid, gid_t gid);

/*
 * Removes `hidden` in dirfd with the spare in it, following no link. 0 also where there is none;
 * -ENOTEMPTY where somebody else has put something there, -errno. Not said.
 */
int spare__remove(int dirfd, const char *hidden);

/* Space at the end of the file, its size unchanged: what an unwitting writer may be given. */
int prealloc__keep_size(int fd, uint64_t bytes);

/* What a file system may count for a file beyond its bytes: its last block, its extent tree. */
#define TRIM_SLACK (128u << 10)

/* Gives back what lies behind the end of the file. */
int prealloc__trim(int fd);

#endif
