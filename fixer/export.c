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

/*
 * The two names change places in one step, so that a file which somebody put there between check
 * and rename is never lost: it comes back out, and goes back in.
 */
static int exchange(int dirfd, const char *tmp, const char *name, const char *target)
{
	if (renameat2(dirfd, tmp, dirfd, name, RENAME_EXCHANGE)) {
		if (errno != EINVAL && errno != ENOSYS)
			return -errno;
		return renameat(dirfd, tmp, dirfd, name) ? -errno : 0;
	}
	if (!export__is_link(dirfd, tmp, target)) {
		if (renameat2(dirfd, tmp, dirfd, name, RENAME_EXCHANGE))
			return -errno;
		return -ENOENT;
	}
	return unlinkat(dirfd, tmp, 0) ? -errno : 0;
}

int export__commit(int dirfd, const char *tmp, const char *name, const char *target)
{
	int err = export__is_link(dirfd, name, target) ? 0 : -ENOENT;

	if (!err)
		err = exchange(dirfd, tmp, name, target);
	if (err == -ENOENT)
		unlinkat(dirfd, tmp, 0);
	return err ? err : export__sync_dir(dirfd);
}

int export__relink(int dirfd, const char *tmp, const char *name, const char *target)
{
	if (symlinkat(target, dirfd, tmp))
		return -errno;
	if (renameat(dirfd, tmp, dirfd, name)) {
		int err = -errno;

		unlinkat(dirfd, tmp, 0);
		return err;
	}
	return 0;
}

void export__tmp_name(char *buf, size_t size, const char *name)
{
	snprintf(buf, size, ".%s" EXPORT_SUFFIX, name);
}
