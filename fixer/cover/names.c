// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Directories. Everything happens in the real one: a memory file is a link there, and is renamed,
 * linked and removed as such; only its looks are different (memory.c).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../../user/clock.h"
#include "../beneath.h"
#include "../guard.h"
#include "serve.h"

static int dir_of(const struct request *r)
{
	return request__open(r, O_PATH | O_DIRECTORY);
}

/* By which inode the kernel shall know what has this name: a link of ours by what it leads to. */
static int key_of(struct cover *c, int fd, struct node_key *key, struct stat *st)
{
	char path[NAME_MAX + 32];
	struct stat link;
	uint32_t n;
	int memory, err;

	if (fstat(fd, st))
		return -errno;
	n = S_ISLNK(st->st_mode) ? memory__number(c, fd, path) : 0;
	memory = n ? beneath__open(c->tmpfd, path, O_PATH, 0) : -ENOENT;
	if (memory < 0) /* a link that leads nowhere any more looks as it is */
		return node_key__of(fd, NODE_REAL, 0, key);
	link = *st;
	err = fstat(memory, st) ? -errno : node_key__of(memory, NODE_MEMORY, n, key);
	key->links = (uint32_t)link.st_nlink;
	close(memory);
	return err;
}

static bool is_covered(const struct cover *c, const struct node_key *key)
{
	return key->kind == NODE_MEMORY || key->dev == c->nodes.table->v[0].dev;
}

int names__find(struct cover *c, uint64_t parent, int parentfd, const char *name,
		struct fuse_entry_out *out)
{
	int fd = openat(parentfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC), err;
	struct node_key key;
	struct node node = { 0 };
	struct stat st;

	if (fd < 0)
		return -errno;
	err = key_of(c, fd, &key, &st);
	close(fd);
	if (!err && !is_covered(c, &key))
		err = -EXDEV; /* something was mounted below the real directory meanwhile */
	if (err)
		return err;
	memset(out, 0, sizeof(*out));
	out->nodeid = nodes__take(&c->nodes, &key, parent, name, &out->generation);
	if (!out->nodeid)
		return -ENOMEM;
	node.kind = key.kind;
	node.links = key.links;
	attrs__fill(&out->attr, &st, &node);
	if (S_ISDIR(st.st_mode))
		out->entry_valid = out->attr_valid = DIR_VALID_S;
	return 0;
}

static int answer_entry(struct request *r, int parentfd, const char *name)
{
	struct fuse_entry_out out;
	int err = names__find(r->c, r->h->nodeid, parentfd, name, &out);

	if (err)
		return err;
	if (reply(r, 0, &out, sizeof(out)))
		nodes__forget(&r->c->nodes, out.nodeid, 1);
	return ANSWERED;
}

int names__lookup(struct request *r)
{
	const char *name = request__name(r, 0);
	int fd = name ? dir_of(r) : -EINVAL, err;

	if (fd < 0)
		return fd;
	err = answer_entry(r, fd, name);
	close(fd);
	return err;
}

int names__give(const struct request *r, int parentfd, const char *name, mode_t mode)
{
	struct stat st;

	if (fstat(parentfd, &st))
		return -errno;
	if (fchownat(parentfd, name, r->h->uid, st.st_mode & S_ISGID ? (gid_t)-1 : r->h->gid,
		     AT_SYMLINK_NOFOLLOW))
		return -errno;
	/* which a change of owner takes away */
	if (S_ISREG(mode) && mode & (S_ISUID | S_ISGID) &&
	    fchmodat(parentfd, name, mode & 07777, 0))
		return -errno;
	return 0;
}

mode_t names__mode(int parentfd, mode_t mode, uint32_t mask)
{
	return attrs__has(parentfd, "system.posix_acl_default") ? mode : mode & ~(mode_t)mask;
}

/* Where nobody knows whether a killed server has done it, that it is there says that it has. */
static int made(struct request *r, int fd, const char *name, int err, mode_t mode)
{
	if (err == -EEXIST && r->again && !r->was_done)
		err = 0;
	if (err)
		return err;
	err = names__give(r, fd, name, mode);
	if (err) /* over its owner's quota, say */
		unlinkat(fd, name, S_ISDIR(mode) ? AT_REMOVEDIR : 0);
	return err ? err : answer_entry(r, fd, name);
}

/* A directory or anything that has no bytes yet; `at`: where its name is. */
static int make_node(struct request *r, size_t at, mode_t mode, uint32_t mask, dev_t rdev)
{
	const char *name = request__name(r, at);
	int fd = name ? dir_of(r) : -EINVAL, err = 0;

	if (fd < 0)
		return fd;
	mode = names__mode(fd, mode, mask);
	if (!op__begin(r))
		err = r->result;
	else if (S_ISDIR(mode))
		err = op__end(r, mkdirat(fd, name, mode & 07777) ? -errno : 0);
	else
		err = op__end(r, mknodat(fd, name, mode, rdev) ? -errno : 0);
	err = made(r, fd, name, err, mode);
	close(fd);
	return err;
}

int names__mkdir(struct request *r)
{
	const struct fuse_mkdir_in *in = r->arg;

	if (r->c->g) { /* a window is about to open */
		writers__expect(&r->c->g->writers, now_ns() + GUARD_EXPECT_NS);
		memory__expect(r->c);
	}
	return make_node(r, sizeof(*in), in->mode | S_IFDIR, in->umask, 0);
}

int names__mknod(struct request *r)
{
	const struct fuse_mknod_in *in = r->arg;

	return make_node(r, sizeof(*in), in->mode, in->umask, in->rdev);
}

int names__symlink(struct request *r)
{
	const char *name = request__name(r, 0);
	size_t at = name ? strlen(name) + 1 : 0;
	const char *target = (const char *)r->arg + at;
	int fd, err;

	if (!name || at >= r->len || !memchr(target, '\0', r->len - at))
		return -EINVAL;
	fd = dir_of(r);
	if (fd < 0)
		return fd;
	err = op__begin(r) ? op__end(r, symlinkat(target, fd, name) ? -errno : 0) : r->result;
	err = made(r, fd, name, err, S_IFLNK);
	close(fd);
	return err;
}

int names__readlink(struct request *r)
{
	int fd = request__open(r, O_PATH | O_NOFOLLOW);
	char target[PATH_MAX];
	ssize_t n;

	if (fd < 0)
		return fd;
	n = readlinkat(fd, "", target, sizeof(target) - 1);
	close(fd);
	if (n < 0)
		return -errno;
	reply(r, 0, target, (size_t)n);
	return ANSWERED;
}

/* A memory file whose name goes: what is open of it has one less. */
static bool is_memory(struct cover *c, int dirfd, const char *name, struct node_key *key)
{
	int fd = openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	bool memory;

	if (fd < 0)
		return false;
	memory = !key_of(c, fd, key, &st) && key->kind == NODE_MEMORY;
	close(fd);
	return memory;
}

/* A name that was there is not; `memory`: of the memory file behind it, or NULL. */
static int gone(struct request *r, int err, const struct node_key *memory)
{
	/* where nobody knows whether a killed server has done it, that it is not there says so */
	if (err == -ENOENT && r->again && !r->was_done)
		err = 0;
	if (!err && memory)
		nodes__unlinked(&r->c->nodes, memory);
	return err;
}

static int remove_name(struct request *r, int flags)
{
	const char *name = request__name(r, 0);
	int fd = name ? dir_of(r) : -EINVAL, err;
	struct node_key key;
	bool memory;

	if (fd < 0)
		return fd;
	memory = is_memory(r->c, fd, name, &key);
	err = op__begin(r) ? op__end(r, unlinkat(fd, name, flags) ? -errno : 0) : r->result;
	close(fd);
	return gone(r, err, memory ? &key : NULL);
}

int names__unlink(struct request *r)
{
	return remove_name(r, 0);
}

int names__rmdir(struct request *r)
{
	return remove_name(r, AT_REMOVEDIR);
}

static int rename_to(struct request *r, uint64_t newdir, unsigned int flags, size_t at)
{
	const char *from = request__name(r, at);
	const char *to = from ? request__name(r, at + strlen(from) + 1) : NULL;
	int fd = to ? dir_of(r) : -EINVAL, tofd, err;
	struct node_key key;
	bool memory = false;

	if (fd < 0)
		return fd;
	tofd = cover__open_node(r->c, newdir, O_PATH | O_DIRECTORY);
	if (tofd < 0) {
		close(fd);
		return tofd;
	}
	if (!(flags & RENAME_EXCHANGE))
		memory = is_memory(r->c, tofd, to, &key); /* what is there is lost */
	err = op__begin(r) ? op__end(r, renameat2(fd, from, tofd, to, flags) ? -errno : 0)
			   : r->result;
	close(tofd);
	close(fd);
	return gone(r, err, memory ? &key : NULL);
}

int names__rename(struct request *r)
{
	const struct fuse_rename_in *in = r->arg;

	return rename_to(r, in->newdir, 0, sizeof(*in));
}

int names__rename2(struct request *r)
{
	const struct fuse_rename2_in *in = r->arg;

	return rename_to(r, in->newdir, in->flags, sizeof(*in));
}

int names__link(struct request *r)
{
	const struct fuse_link_in *in = r->arg;
	const char *name = request__name(r, sizeof(*in));
	struct node node;
	int fd, old, err;

	if (!name || !nodes__get(&r->c->nodes, in->oldnodeid, &node))
		return -EINVAL;
	fd = dir_of(r);
	if (fd < 0)
		return fd;
	old = node.kind == NODE_MEMORY ? memory__link(r->c, node.n)
				       : cover__open_copy(r->c, &node, O_PATH | O_NOFOLLOW);
	if (op__begin(r))
		err = op__end(r, old < 0				    ? old
				 : linkat(old, "", fd, name, AT_EMPTY_PATH) ? -errno
									    : 0);
	else
		err = r->result;
	if (err == -EEXIST && r->again && !r->was_done)
		err = 0;
	if (!err)
		err = answer_entry(r, fd, name);
	if (old >= 0)
		close(old);
	close(fd);
	return err;
}

/* ---- listing ---- */

/* Without a state of ours: each call finds its place by the kernel's own cookie. */
int names__opendir(struct request *r)
{
	const struct fuse_open_out out = { 0 };

	reply(r, 0, &out, r->h->opcode == FUSE_OPENDIR ? sizeof(out) : 0);
	return ANSWERED;
}

struct linux_dirent64 {
	uint64_t ino;
	int64_t off;
	uint16_t len;
	uint8_t type;
	char name[];
};

/* A link of ours is a file. */
static uint32_t type_of(struct cover *c, int dirfd, const struct linux_dirent64 *e)
{
	char path[NAME_MAX + 32];
	bool ours;
	int fd;

	if (e->type != DT_LNK)
		return e->type;
	fd = openat(dirfd, e->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	ours = fd >= 0 && memory__number(c, fd, path) &&
	       !faccessat(c->tmpfd, path, F_OK, AT_SYMLINK_NOFOLLOW);
	if (fd >= 0)
		close(fd);
	return ours ? DT_REG : DT_LNK;
}

/* Into the kernel's form, which is larger: the room in `out` decides how much is used. */
static size_t convert(struct cover *c, int dirfd, const char *buf, size_t n, char *out, size_t room)
{
	size_t used = 0;

	for (size_t at = 0; at < n;) {
		const struct linux_dirent64 *e = (const void *)(buf + at);
		struct fuse_dirent d = { .ino = e->ino, .off = (uint64_t)e->off };
		size_t whole;

		d.namelen = (uint32_t)strlen(e->name);
		whole = FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + d.namelen);
		if (used + whole > room)
			break;
		d.type = type_of(c, dirfd, e);
		memset(out + used, 0, whole);
		memcpy(out + used, &d, FUSE_NAME_OFFSET);
		memcpy(out + used + FUSE_NAME_OFFSET, e->name, d.namelen);
		used += whole;
		at += e->len;
	}
	return used;
}

int names__readdir(struct request *r)
{
	const struct fuse_read_in *in = r->arg;
	char buf[16384] __attribute__((aligned(8))), out[32768];
	size_t room = in->size < sizeof(out) ? in->size : sizeof(out);
	int fd = request__open(r, O_RDONLY | O_DIRECTORY);
	long n;

	if (fd < 0)
		return fd;
	if (lseek(fd, (off_t)in->offset, SEEK_SET) < 0 ||
	    (n = syscall(SYS_getdents64, fd, buf, sizeof(buf))) < 0) {
		int err = -errno;

		close(fd);
		return err;
	}
	reply(r, 0, out, convert(r->c, fd, buf, (size_t)n, out, room));
	close(fd);
	return ANSWERED;
}

int names__fsyncdir(struct request *r)
{
	int fd = request__open(r, O_RDONLY | O_DIRECTORY), err;

	if (fd < 0)
		return fd;
	err = fsync(fd) ? -errno : 0;
	close(fd);
	return err;
}
