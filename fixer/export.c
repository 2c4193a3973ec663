// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "export.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "state.h"

bool export__is_link(int dirfd, const char *name, const char *target)
{
	char at[PATH_MAX];
	ssize_t n = readlinkat(dirfd, name, at, sizeof(at) - 1);

	if (n < 0)
		return false;
	at[n] = '\0';
	return !strcmp(at, target);
}

int export__sync_dir(int dirfd)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (fsync(fd))
		err = -errno;
	close(fd);
	return err;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Where the file system cannot exchange names there is only the check that was made just before. */
static int just_rename(int dirfd, const char *tmp, const char *name)
{
	int err = renameat(dirfd, tmp, dirfd, name) ? -errno : 0;

	if (err)
		unlinkat(dirfd, tmp, 0);
	return err;
}

/*
 * The two names change places in one step, so that what somebody moved there between check and
 * rename comes out unharmed. It goes back the same way, over what we had put there; what comes out
 * then that is not that is later still, and so on until nobody came between.
 */
static int exchange(int dirfd, const char *tmp, const char *name, struct stat known,
		    struct stat mine)
{
	bool theirs = false; /* what is under `tmp` */
	struct stat out;

	for (;;) {
		if (renameat2(dirfd, tmp, dirfd, name, RENAME_EXCHANGE)) {
			int err = -errno;

			if (!theirs && (err == -EINVAL || err == -ENOSYS))
				return just_rename(dirfd, tmp, name);
			if (!theirs)
				unlinkat(dirfd, tmp, 0);
			else if (err == -ENOENT &&
				 renameat2(dirfd, tmp, dirfd, name, RENAME_NOREPLACE) &&
				 errno == EEXIST)
				continue;
			return err;
		}
		if (fstatat(dirfd, tmp, &out, AT_SYMLINK_NOFOLLOW))
			return -errno;
		if (is_same(&out, &known))
			break;
		known = mine;
		mine = out;
		theirs = true;
	}
	if (unlinkat(dirfd, tmp, 0))
		return -errno;
	return theirs ? -ENOENT : 0;
}

static bool is_old(int fd, const struct stat *st, const struct export_old *old)
{
	if (old->target)
		return S_ISLNK(st->st_mode) && export__is_link(fd, "", old->target);
	return S_ISREG(st->st_mode) && st->st_dev == old->dev && st->st_ino == old->ino;
}

int export__replace(int dirfd, const char *tmp, const char *name, const struct export_old *old)
{
	/* open until the end: nobody else's file gets its number meanwhile */
	int fd = openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC), err = 0;
	struct stat known, mine;

	if (fd < 0 || fstat(fd, &known) || fstatat(dirfd, tmp, &mine, AT_SYMLINK_NOFOLLOW))
		err = -errno;
	else if (!is_old(fd, &known, old))
		err = -ENOENT;
	if (err)
		unlinkat(dirfd, tmp, 0);
	else
		err = exchange(dirfd, tmp, name, known, mine);
	if (fd >= 0)
		close(fd);
	return err;
}

int export__commit(int dirfd, const char *tmp, const char *name, const char *target)
{
	const struct export_old old = { .target = target };
	int err = export__replace(dirfd, tmp, name, &old);

	return err ? err : export__sync_dir(dirfd);
}

int export__relink(int dirfd, const char *tmp, const char *name, const char *target, uint64_t dev,
		   uint64_t ino)
{
	const struct export_old old = { .dev = dev, .ino = ino };

	return symlinkat(target, dirfd, tmp) ? -errno : export__replace(dirfd, tmp, name, &old);
}

/* FNV-1a */
static uint64_t sum_of(const char *name)
{
	uint64_t sum = 0xcbf29ce484222325ull;

	for (; *name; name++)
		sum = (sum ^ (unsigned char)*name) * 0x100000001b3ull;
	return sum;
}

void export__tmp_name(char *buf, size_t size, const char *name)
{
	if (snprintf(buf, size, ".%s" EXPORT_SUFFIX, name) > NAME_MAX)
		snprintf(buf, size, ".%.200s-%016llx" EXPORT_SUFFIX, name,
			 (unsigned long long)sum_of(name));
}
