// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "crc32c.h"

int beneath__open(int dirfd, const char *path, int flags, mode_t mode)
{
	struct open_how how = {
		.flags = (uint64_t)(flags | O_CLOEXEC | O_NOFOLLOW),
		.mode = flags & O_CREAT ? mode : 0,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	long fd = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

int dir__open(const char *path)
{
	struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	long fd = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

int beneath__open_file(int dirfd, const char *path, int flags, uid_t uid)
{
	/* O_NONBLOCK: a fifo under this name must not hold us up */
	int fd = beneath__open(dirfd, path, flags | O_NONBLOCK, 0);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_uid != uid || st.st_nlink != 1) {
		close(fd);
		return -EPERM;
	}
	return fd;
}

void fd__close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

bool name_ok(const char *name)
{
	size_t len = strlen(name);

	if (!len || len > NAME_MAX - NAME_ROOM || !strcmp(name, ".") || !strcmp(name, ".."))
		return false;
	for (; *name; name++)
		if (*name == '/' || (unsigned char)*name < 0x20 || *name == 0x7f)
			return false;
	return true;
}

bool name_is_one(const char *name)
{
	size_t len = strlen(name);

	return len && len <= NAME_MAX && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
	       !strchr(name, '/');
}

bool name_matches(const char *pattern, const char *name)
{
	return name_ok(name) && !fnmatch(pattern, name, FNM_PERIOD | FNM_PATHNAME);
}

bool name_is_literal(const char *pattern)
{
	return !strpbrk(pattern, "*?[\\");
}

uint32_t handle__crc(int dirfd, const char *name)
{
	union {
		struct file_handle h;
		char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} u = { .h.handle_bytes = MAX_HANDLE_SZ };
	int mount_id;

	if (name_to_handle_at(dirfd, name, &u.h, &mount_id, *name ? 0 : AT_EMPTY_PATH))
		return 0;
	return crc32c(0, u.h.f_handle, u.h.handle_bytes);
}

int handle__get(int fd, char hex[HANDLE_HEX_MAX])
{
	union handle_room u = { .h.handle_bytes = MAX_HANDLE_SZ };
	int mount_id, n;

	if (name_to_handle_at(fd, "", &u.h, &mount_id, AT_EMPTY_PATH))
		return -errno;
	n = snprintf(hex, HANDLE_HEX_MAX, "%d:", u.h.handle_type);
	for (unsigned int i = 0; i < u.h.handle_bytes; i++)
		n += snprintf(hex + n, (size_t)(HANDLE_HEX_MAX - n), "%02x", u.h.f_handle[i]);
	return n < HANDLE_HEX_MAX ? 0 : -EOVERFLOW;
}

int handle__open(int anchor, const char *hex, int flags)
{
	union handle_room u = { .h.handle_bytes = 0 };
	int type, used = 0, fd;

	if (sscanf(hex, "%d:%n", &type, &used) != 1 || !used || strlen(hex + used) % 2)
		return -EINVAL;
	u.h.handle_type = type;
	for (hex += used; *hex; hex += 2) {
		unsigned int byte;

		if (u.h.handle_bytes == MAX_HANDLE_SZ || sscanf(hex, "%2x", &byte) != 1)
			return -EINVAL;
		u.h.f_handle[u.h.handle_bytes++] = (unsigned char)byte;
	}
	fd = open_by_handle_at(anchor, &u.h, O_PATH | O_CLOEXEC | flags);
	return fd < 0 ? -errno : fd;
}

static int read_small(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, buf, size - 1);
	close(fd);
	if (n < 0)
		return -EIO;
	buf[n] = '\0';
	return 0;
}

uint64_t pid_start_time(pid_t pid)
{
	char path[64], buf[1024], *p;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (pid <= 0 || read_small(path, buf, sizeof(buf)))
		return 0;
	p = strrchr(buf, ')'); /* a process may have any name */
	/* a zombie has done its last act */
	if (!p || p[1] == '\0' || p[2] == 'Z')
		return 0;
	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	return p ? strtoull(p, NULL, 10) : 0;
}

void boot_id(char out[40])
{
	if (read_small("/proc/sys/kernel/random/boot_id", out, 40))
		out[0] = '\0';
	out[strcspn(out, "\n")] = '\0';
}
