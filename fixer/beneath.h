/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Names and paths that others may change under us: everything below the guarded directory is
 * opened by openat2 so that neither `..` nor a link planted between check and use leads out of it.
 */
#ifndef FLATPAUSE_BENEATH_H
#define FLATPAUSE_BENEATH_H

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#define HANDLE_HEX_MAX 288 /* a file handle of 128 bytes, its type, and the terminator */
#define NAME_ROOM      24  /* what we may put around a name stays below NAME_MAX */

/* openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS), O_CLOEXEC | O_NOFOLLOW added. fd or -errno. */
int beneath__open(int dirfd, const char *path, int flags, mode_t mode);

/*
 * A directory by its whole path, with no link anywhere on the way: who may write to a directory of it
 * could send us anywhere. fd or -errno, -ELOOP.
 */
int dir__open(const char *path);

/* As beneath__open(), and only a regular file with one name, owned by `uid`: else -EPERM. */
int beneath__open_file(int dirfd, const char *path, int flags, uid_t uid);

/* Closes what is open, and says so: *fd is -1 then. */
void fd__close(int *fd);

/* One path component that we are ready to handle: no slash, no control characters, bounded. */
bool name_ok(const char *name);
/* One path component as the kernel has them: of what is somebody else's, and there already. */
bool name_is_one(const char *name);
/* A shell pattern for file names; a pattern without wildcards is a name itself. */
bool name_matches(const char *pattern, const char *name);
bool name_is_literal(const char *pattern);

/* Room for any handle of name_to_handle_at(). */
union handle_room {
	struct file_handle h;
	char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
};

/* A directory or a link by its file handle: found again wherever it was moved to on its file system. */
int handle__get(int fd, char hex[HANDLE_HEX_MAX]);
/*
 * Tells a file ("" = dirfd itself) from the one that had its inode number before, which may be gone
 * since microseconds. 0 = this file system cannot say.
 */
uint32_t handle__crc(int dirfd, const char *name);
/*
 * O_PATH descriptor, -ESTALE where it was deleted. `anchor`: any O_RDONLY descriptor of that fs;
 * `flags`: O_DIRECTORY for a directory, O_NOFOLLOW for a link.
 */
int handle__open(int anchor, const char *hex, int flags);

/* Start time of a process in clock ticks since boot (field 22 of stat); 0 = no such process. */
uint64_t pid_start_time(pid_t pid);
/* The boot's id; "" where it cannot be read. */
void boot_id(char out[40]);

#endif
