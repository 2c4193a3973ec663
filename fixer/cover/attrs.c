// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* What is known of a file beside its bytes. A memory file's are its own until it is exported. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "serve.h"

/* Memory files have numbers of another file system: apart from those that are beside them. */
#define MEMORY_INO (1ull << 62)
#define XATTR_MAX  65536
#define XATTR_CAPS "security.capability"

void attrs__fill(struct fuse_attr *a, const struct stat *st, const struct node *node)
{
	bool memory = node->kind == NODE_MEMORY;

	*a = (struct fuse_attr){
		.ino = (uint64_t)st->st_ino | (memory ? MEMORY_INO : 0),
		.size = (uint64_t)st->st_size,
		.blocks = (uint64_t)st->st_blocks,
		.atime = (uint64_t)st->st_atim.tv_sec,
		.mtime = (uint64_t)st->st_mtim.tv_sec,
		.ctime = (uint64_t)st->st_ctim.tv_sec,
		.atimensec = (uint32_t)st->st_atim.tv_nsec,
		.mtimensec = (uint32_t)st->st_mtim.tv_nsec,
		.ctimensec = (uint32_t)st->st_ctim.tv_nsec,
		.mode = st->st_mode,
		.nlink = memory && st->st_nlink ? node->links : (uint32_t)st->st_nlink,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.rdev = (uint32_t)st->st_rdev,
		.blksize = (uint32_t)st->st_blksize,
	};
}

static int answer_attr(struct request *r, int fd, const struct node *node)
{
	struct fuse_attr_out out = { 0 };
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	attrs__fill(&out.attr, &st, node);
	if (S_ISDIR(st.st_mode))
		out.attr_valid = DIR_VALID_S;
	reply(r, 0, &out, sizeof(out));
	return ANSWERED;
}

/* Opens the node of a request, with a copy of its entry. */
static int open_any(struct request *r, struct node *node)
{
	int err = request__node(r, node);

	return err ? err : cover__open_copy(r->c, node, O_PATH | O_NOFOLLOW);
}

int attrs__get(struct request *r)
{
	struct node node;
	int fd = open_any(r, &node), err;

	if (fd < 0)
		return fd;
	err = answer_attr(r, fd, &node);
	close(fd);
	return err;
}

static void proc_path(int fd, char path[40])
{
	snprintf(path, 40, "/proc/self/fd/%d", fd);
}

static int set_mode(int fd, mode_t mode)
{
	char path[40];

	proc_path(fd, path);
	return chmod(path, mode & 07777) ? -errno : 0;
}

bool attrs__has(int fd, const char *name)
{
	char path[40];

	proc_path(fd, path);
	return getxattr(path, name, NULL, 0) > 0;
}

int attrs__kill_priv(int fd)
{
	struct stat st;
	char path[40];

	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return 0;
	proc_path(fd, path);
	if (attrs__has(fd, XATTR_CAPS) && removexattr(path, XATTR_CAPS))
		return -errno;
	if (!(st.st_mode & (S_ISUID | S_ISGID)))
		return 0;
	return set_mode(fd, st.st_mode & ~(mode_t)(S_ISUID | (st.st_mode & S_IXGRP ? S_ISGID : 0)));
}

static int set_size(struct request *r, uint64_t size)
{
	int fd, err;

	if (size > INT64_MAX)
		return -EFBIG;
	fd = files__writable(r->c, r->h->nodeid);
	if (fd < 0)
		return fd;
	err = ftruncate(fd, (off_t)size) ? -errno : 0;
	close(fd);
	return err;
}

static int set_times(int fd, const struct fuse_setattr_in *in)
{
	struct timespec ts[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_nsec = UTIME_OMIT } };

	if (in->valid & FATTR_ATIME_NOW)
		ts[0].tv_nsec = UTIME_NOW;
	else if (in->valid & FATTR_ATIME)
		ts[0] = (struct timespec){ (time_t)in->atime, in->atimensec };
	if (in->valid & FATTR_MTIME_NOW)
		ts[1].tv_nsec = UTIME_NOW;
	else if (in->valid & FATTR_MTIME)
		ts[1] = (struct timespec){ (time_t)in->mtime, in->mtimensec };
	return utimensat(fd, "", ts, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) ? -errno : 0;
}

static int set_owner(int fd, const struct fuse_setattr_in *in)
{
	uid_t uid = in->valid & FATTR_UID ? in->uid : (uid_t)-1;
	gid_t gid = in->valid & FATTR_GID ? in->gid : (gid_t)-1;

	return fchownat(fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) ? -errno : 0;
}

int attrs__set(struct request *r)
{
	const struct fuse_setattr_in *in = r->arg;
	struct node node;
	int fd = open_any(r, &node), err = 0;

	if (fd < 0)
		return fd;
	if (in->valid & FATTR_MODE)
		err = set_mode(fd, in->mode);
	if (!err && in->valid & (FATTR_UID | FATTR_GID))
		err = set_owner(fd, in);
	if (!err && in->valid & FATTR_SIZE)
		err = set_size(r, in->size);
	if (!err && in->valid & FATTR_KILL_SUIDGID)
		err = attrs__kill_priv(fd);
	if (!err && in->valid & (FATTR_ATIME | FATTR_MTIME | FATTR_ATIME_NOW | FATTR_MTIME_NOW))
		err = set_times(fd, in);
	if (!err)
		err = answer_attr(r, fd, &node);
	close(fd);
	return err;
}

int attrs__statfs(struct request *r)
{
	struct fuse_statfs_out out = { 0 };
	struct statvfs s;

	if (fstatvfs(r->c->rootfd, &s))
		return -errno;
	out.st.blocks = s.f_blocks;
	out.st.bfree = s.f_bfree;
	out.st.bavail = s.f_bavail;
	out.st.files = s.f_files;
	out.st.ffree = s.f_ffree;
	out.st.bsize = (uint32_t)s.f_bsize;
	out.st.namelen = (uint32_t)s.f_namemax;
	out.st.frsize = (uint32_t)s.f_frsize;
	reply(r, 0, &out, sizeof(out));
	return ANSWERED;
}

/* ---- extended attributes: of real files; an export would not take a memory file's along ---- */

static int xattr_path(struct request *r, char path[40])
{
	struct node node;
	int err = request__node(r, &node), fd;

	if (err)
		return err;
	if (node.kind == NODE_MEMORY)
		return -EOPNOTSUPP;
	fd = cover__open_copy(r->c, &node, O_PATH | O_NOFOLLOW);
	if (fd >= 0)
		proc_path(fd, path);
	return fd;
}

int attrs__setxattr(struct request *r)
{
	const struct fuse_setxattr_in *in = r->arg;
	/* without FUSE_SETXATTR_EXT the kernel sends the shorter head */
	const char *name = request__name(r, FUSE_COMPAT_SETXATTR_IN_SIZE);
	size_t at = name ? FUSE_COMPAT_SETXATTR_IN_SIZE + strlen(name) + 1 : 0;
	char path[40];
	int fd, err;

	if (!name || in->size > r->len - at)
		return -EINVAL;
	fd = xattr_path(r, path);
	if (fd < 0)
		return fd;
	err = setxattr(path, name, (const char *)r->arg + at, in->size, (int)in->flags) ? -errno
											: 0;
	close(fd);
	return err;
}

/* Size or content, as was asked for. */
static int answer_xattr(struct request *r, uint32_t room, const char *value, ssize_t n)
{
	struct fuse_getxattr_out out = { .size = (uint32_t)n };

	if (n < 0)
		return -errno;
	if (room)
		reply(r, 0, value, (size_t)n);
	else
		reply(r, 0, &out, sizeof(out));
	return ANSWERED;
}

static size_t room_of(const struct fuse_getxattr_in *in)
{
	return in->size < XATTR_MAX ? in->size : XATTR_MAX;
}

int attrs__getxattr(struct request *r)
{
	const struct fuse_getxattr_in *in = r->arg;
	const char *name = request__name(r, sizeof(*in));
	char path[40], value[XATTR_MAX];
	int fd = name ? xattr_path(r, path) : -EINVAL, err;

	if (fd < 0)
		return fd == -EOPNOTSUPP ? -ENODATA : fd;
	err = answer_xattr(r, in->size, value, getxattr(path, name, value, room_of(in)));
	close(fd);
	/* "no ACLs here" would be an error of every permission check */
	return err == -EOPNOTSUPP && !strncmp(name, "system.posix_acl_", 17) ? -ENODATA : err;
}

int attrs__listxattr(struct request *r)
{
	const struct fuse_getxattr_in *in = r->arg;
	char path[40], list[XATTR_MAX];
	int fd = xattr_path(r, path), err;

	if (fd == -EOPNOTSUPP)
		return answer_xattr(r, in->size, "", 0);
	if (fd < 0)
		return fd;
	err = answer_xattr(r, in->size, list, listxattr(path, list, room_of(in)));
	close(fd);
	return err;
}

int attrs__removexattr(struct request *r)
{
	const char *name = request__name(r, 0);
	char path[40];
	int fd = name ? xattr_path(r, path) : -EINVAL, err;

	if (fd < 0)
		return fd;
	err = removexattr(path, name) ? -errno : 0;
	close(fd);
	return err;
}
