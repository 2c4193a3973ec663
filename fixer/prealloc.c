// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "prealloc.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "beneath.h"

#define BATCH 128
/* The inode's lock is held for so much at once: a writer that could not wait gets in between. */
#define KEEP_SIZE_STEP (64ull << 20)

static void add(struct extents *e, const struct fiemap_extent *x, uint64_t ahead_bytes)
{
	bool delayed = x->fe_flags & FIEMAP_EXTENT_DELALLOC;
	uint64_t ahead = 0;

	if (x->fe_logical < ahead_bytes)
		ahead = ahead_bytes - x->fe_logical;
	if (ahead > x->fe_length)
		ahead = x->fe_length;
	e->cnt++;
	*(delayed ? &e->delalloc_bytes : &e->mapped_bytes) += x->fe_length;
	*(delayed ? &e->ahead_delalloc_bytes : &e->ahead_mapped_bytes) += ahead;
	e->beyond_bytes += x->fe_length - ahead;
	if (x->fe_flags & FIEMAP_EXTENT_UNWRITTEN)
		e->unwritten_bytes += x->fe_length;
}

/* To the end of its last block. */
static uint64_t whole_blocks(int fd, uint64_t bytes)
{
	struct stat st;
	uint64_t over;

	if (fstat(fd, &st) || st.st_blksize <= 0)
		return bytes;
	over = bytes % (uint64_t)st.st_blksize;
	return over && bytes < INT64_MAX ? bytes - over + (uint64_t)st.st_blksize : bytes;
}

int extents__read(int fd, uint64_t ahead_bytes, struct extents *e)
{
	union {
		struct fiemap m;
		char room[sizeof(struct fiemap) + BATCH * sizeof(struct fiemap_extent)];
	} u;
	uint64_t at = 0;

	memset(e, 0, sizeof(*e));
	ahead_bytes = whole_blocks(fd, ahead_bytes);
	while (e->cnt < EXTENTS_MAX) {
		memset(&u.m, 0, sizeof(u.m));
		u.m.fm_start = at;
		u.m.fm_length = FIEMAP_MAX_OFFSET - at;
		u.m.fm_extent_count = BATCH;
		if (ioctl(fd, FS_IOC_FIEMAP, &u.m))
			return -errno;
		if (!u.m.fm_mapped_extents || u.m.fm_mapped_extents > BATCH)
			return 0;
		for (uint32_t i = 0; i < u.m.fm_mapped_extents; i++) {
			add(e, &u.m.fm_extents[i], ahead_bytes);
			at = u.m.fm_extents[i].fe_logical + u.m.fm_extents[i].fe_length;
			if (u.m.fm_extents[i].fe_flags & FIEMAP_EXTENT_LAST)
				return 0;
		}
	}
	return 0;
}

bool extents__kept(const struct extents *e, uint64_t prealloc_bytes)
{
	if (e->ahead_delalloc_bytes)
		return false;
	return e->cnt >= EXTENTS_MAX ||
	       e->ahead_mapped_bytes >= prealloc_bytes - prealloc_bytes / 64;
}

int spare__make(int dirfd, const char *name, uint64_t bytes, mode_t mode, uid_t uid, gid_t gid)
{
	int fd = beneath__open(dirfd, name, O_CREAT | O_EXCL | O_RDWR, 0600), err = 0;

	if (fd < 0)
		return fd;
	if (bytes > INT64_MAX)
		err = -EFBIG;
	else if (fallocate(fd, 0, 0, (off_t)bytes) || fchown(fd, uid, gid) || fchmod(fd, mode))
		err = -errno;
	close(fd);
	if (err)
		unlinkat(dirfd, name, 0);
	return err;
}

int spare__remove(int dirfd, const char *hidden)
{
	int fd = beneath__open(dirfd, hidden, O_RDONLY | O_DIRECTORY, 0), err = 0;

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	if (unlinkat(fd, "spare", 0) && errno != ENOENT)
		err = -errno;
	close(fd);
	if (!err && unlinkat(dirfd, hidden, AT_REMOVEDIR))
		err = -errno;
	return err;
}

int prealloc__keep_size(int fd, uint64_t bytes)
{
	if (bytes > INT64_MAX)
		return -EFBIG;
	for (uint64_t at = 0; at < bytes; at += KEEP_SIZE_STEP) {
		uint64_t len = bytes - at < KEEP_SIZE_STEP ? bytes - at : KEEP_SIZE_STEP;

		if (fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)at, (off_t)len))
			return -errno;
	}
	return 0;
}

int prealloc__trim(int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if ((uint64_t)st.st_blocks * 512 <= (uint64_t)st.st_size + TRIM_SLACK)
		return 0;
	return ftruncate(fd, st.st_size) ? -errno : 0;
}
