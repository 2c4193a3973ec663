// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "../cli/params.h"
#include "../log.h"

static int directory_of(const char *path, char *dir, size_t size)
{
	char copy[PATH_MAX];

	if (strlen(path) >= sizeof(copy))
		return -ENAMETOOLONG;
	snprintf(copy, sizeof(copy), "%s", path);
	snprintf(dir, size, "%s", dirname(copy));
	return 0;
}

static int refuse_busy(const char *path)
{
	log_err(0, "another flatpause is recording into %s; give another path with -o", path);
	return -EBUSY;
}

/* Whether a recorder holds the file: 0, -EBUSY, -errno */
static int check_unlocked(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), err = 0;

	if (fd < 0)
		return log_err(-errno, "cannot open %s", path);
	if (flock(fd, LOCK_SH | LOCK_NB))
		err = errno == EWOULDBLOCK ? refuse_busy(path) : log_err(-errno, "lock %s", path);
	close(fd);
	return err;
}

static int check_space(const char *path)
{
	char dir[PATH_MAX], free_text[32], need_text[32];
	struct statvfs vfs;
	uint64_t free_bytes;
	int err = directory_of(path, dir, sizeof(dir));

	if (err)
		return log_err(err, "%s", path);
	if (statvfs(dir, &vfs))
		return log_err(-errno, "cannot write a trace into %s", dir);
	free_bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	if (free_bytes >= OUTPUT_MIN_FREE_BYTES)
		return 0;
	log_err(0,
		"only %s are free below %s, a trace needs at least %s; free some, or give "
		"another place with -o",
		format_bytes(free_bytes, free_text, sizeof(free_text)), dir,
		format_bytes(OUTPUT_MIN_FREE_BYTES, need_text, sizeof(need_text)));
	return -ENOSPC;
}

int output__check(const char *path, bool force)
{
	struct stat st;
	int err;

	if (lstat(path, &st))
		return check_space(path);
	if (!S_ISREG(st.st_mode)) {
		log_err(0, "%s is there and no regular file; give another path with -o", path);
		return -EEXIST;
	}
	err = check_unlocked(path);
	if (err)
		return err;
	if (!force) {
		log_err(0, "%s is there already; give another path with -o, or --force", path);
		return -EEXIST;
	}
	return check_space(path);
}

/* Opens and locks what is there: a descriptor, -ENOENT (unsaid), -EBUSY, -errno. */
static int lock_existing(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), err;

	if (fd < 0)
		return errno == ENOENT ? -ENOENT : log_err(-errno, "cannot open %s", path);
	if (!flock(fd, LOCK_EX | LOCK_NB))
		return fd;
	err = errno == EWOULDBLOCK ? refuse_busy(path) : log_err(-errno, "lock %s", path);
	close(fd);
	return err;
}

/* Since output__check another recorder may have begun to write it: looked at again, under lock. */
int output__clear(const char *path)
{
	int fd = lock_existing(path), err = 0;

	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return fd;
	if (unlink(path))
		err = log_err(-errno, "cannot replace %s", path);
	close(fd);
	return err;
}

int output__lock(const char *path)
{
	struct stat st;
	int fd = lock_existing(path);

	/* Between its creation and this lock another --force may have removed it. */
	if (fd == -ENOENT || (fd >= 0 && (fstat(fd, &st) || !st.st_nlink))) {
		if (fd >= 0)
			close(fd);
		return refuse_busy(path);
	}
	return fd;
}

int output__device(const char *path, dev_t *dev)
{
	char dir[PATH_MAX];
	struct stat st;
	int err = directory_of(path, dir, sizeof(dir));

	if (err)
		return err;
	if (stat(dir, &st))
		return -errno;
	*dev = st.st_dev;
	return 0;
}
