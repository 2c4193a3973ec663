// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Open files. With passthrough the kernel reads, writes and maps what is behind them itself, and we
 * see no more than open and close; without it their bytes come through here.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "serve.h"

static pthread_mutex_t *lock_of(struct cover *c, uint64_t id)
{
	return &c->open_locks[id % COVER_OPEN_LOCKS];
}

static bool writes(uint32_t flags)
{
	return (flags & O_ACCMODE) != O_RDONLY;
}

/*
 * For a writer: held until it has closed, so that no lease is given for an export meanwhile, and its
 * open waits for one that is. -ESTALE where the export was faster: the kernel looks the name up again.
 */
static int open_wr(struct cover *c, const struct node *node)
{
	int fd = cover__open_copy(c, node, O_RDWR);
	struct stat st;

	if (fd < 0 || node->kind != NODE_MEMORY)
		return fd;
	if (!fstat(fd, &st) && st.st_nlink)
		return fd;
	close(fd);
	return -ESTALE;
}

static int need_fd(struct cover *c, const struct node *node, struct open_node *o, bool writer)
{
	int *fd = writer ? &o->wr : &o->fd;

	if (*fd >= 0)
		return 0;
	*fd = writer ? open_wr(c, node) : cover__open_copy(c, node, O_RDONLY);
	return *fd >= 0 ? 0 : *fd;
}

/* The kernel's own way to the bytes; where it has none for this file they come through us. */
static void need_backing(struct cover *c, struct node *v, const struct open_node *o)
{
	struct cover_backing_map map = { .fd = o->wr >= 0 ? o->wr : o->fd };
	int id;

	if (!c->nodes.table->passthrough || v->backing)
		return;
	id = ioctl(c->dev, COVER_BACKING_OPEN, &map);
	if (id > 0)
		v->backing = id;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Behind the last one; the caller holds the node's lock. */
static void close_unused(struct cover *c, uint64_t id, struct node *v)
{
	struct open_node *o = &c->open[id - 1];
	uint32_t backing = (uint32_t)v->backing;

	if (!v->writers)
		close_fd(&o->wr);
	if (v->opens)
		return;
	close_fd(&o->fd);
	if (backing)
		ioctl(c->dev, COVER_BACKING_CLOSE, &backing);
	v->backing = 0;
}

/* Before the answer: its release may come before we are back from that. */
static void count_open(struct cover *c, struct node *v, uint32_t flags)
{
	pthread_mutex_lock(&c->nodes.lock);
	v->opening++;
	v->opens++;
	v->opening_writers += writes(flags);
	v->writers += writes(flags);
	pthread_mutex_unlock(&c->nodes.lock);
}

static void count_answered(struct cover *c, uint64_t id, uint32_t flags)
{
	struct node *v = nodes__at(&c->nodes, id);

	pthread_mutex_lock(&c->nodes.lock);
	if (v && v->opening) {
		v->opening--;
		v->opening_writers -= writes(flags);
	}
	pthread_mutex_unlock(&c->nodes.lock);
}

static void count_release(struct cover *c, struct node *v, uint32_t flags)
{
	pthread_mutex_lock(&c->nodes.lock);
	v->opens -= v->opens > 0;
	v->writers -= writes(flags) && v->writers > 0;
	pthread_mutex_unlock(&c->nodes.lock);
}

/* The old bytes of a file that its opener empties need no disk: it goes to memory, or is emptied. */
static int empty(struct request *r, uint64_t id)
{
	int fd, err;

	if (!memory__replace(r, id))
		return 0;
	fd = files__writable(r->c, id);
	if (fd < 0)
		return fd;
	err = ftruncate(fd, 0) ? -errno : 0;
	close(fd);
	return err;
}

static int open_locked(struct request *r, uint64_t id, uint32_t flags, struct fuse_open_out *out)
{
	struct cover *c = r->c;
	struct node *v = nodes__at(&c->nodes, id), node;
	struct open_node *o = &c->open[id - 1];
	int err;

	if (!v->opens)
		*o = (struct open_node){ -1, -1 }; /* it may be new in the table */
	err = flags & O_TRUNC ? empty(r, id) : 0;
	if (err)
		return err;
	nodes__get(&c->nodes, id, &node);
	err = need_fd(c, &node, o, writes(flags));
	if (err)
		return err;
	need_backing(c, v, o);
	count_open(c, v, flags);
	*out = (struct fuse_open_out){ .open_flags = FOPEN_NOFLUSH };
	if (v->backing) {
		out->open_flags |= COVER_FOPEN_PASSTHROUGH;
		out->padding = (uint32_t)v->backing;
	}
	if (writes(flags))
		memory__opened(c, &node, (pid_t)r->h->pid);
	return 0;
}

static int open_id(struct request *r, uint64_t id, uint32_t flags, struct fuse_open_out *out)
{
	int err;

	if (!nodes__at(&r->c->nodes, id))
		return -ESTALE;
	pthread_mutex_lock(lock_of(r->c, id));
	err = open_locked(r, id, flags, out);
	pthread_mutex_unlock(lock_of(r->c, id));
	return err;
}

static void release_id(struct cover *c, uint64_t id, uint32_t flags)
{
	struct node *v = nodes__at(&c->nodes, id), node;
	pthread_mutex_t *lock = lock_of(c, id);

	if (!v)
		return;
	pthread_mutex_lock(lock);
	count_release(c, v, flags);
	nodes__get(&c->nodes, id, &node);
	close_unused(c, id, v);
	pthread_mutex_unlock(lock);
	if (writes(flags))
		memory__closed(c, &node);
	nodes__forget(&c->nodes, id, 0);
}

int files__open(struct request *r)
{
	const struct fuse_open_in *in = r->arg;
	struct fuse_open_out out;
	int err = open_id(r, r->h->nodeid, in->flags, &out);

	if (err)
		return err;
	err = reply(r, 0, &out, sizeof(out));
	count_answered(r->c, r->h->nodeid, in->flags);
	if (err) /* whoever opened it was killed: no release will come */
		release_id(r->c, r->h->nodeid, in->flags);
	return ANSWERED;
}

int files__release(struct request *r)
{
	const struct fuse_release_in *in = r->arg;

	release_id(r->c, r->h->nodeid, in->flags);
	return 0;
}

/* A new file, in memory or on disk; -EEXIST where it is there already. */
static int make_file(struct request *r, int parentfd, const char *name, mode_t mode)
{
	int err = memory__wants(r->c, name) ? memory__make(r, parentfd, name, mode) : -ENOSPC, fd;

	if (!err || err == -EEXIST)
		return err;
	fd = openat(parentfd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		    mode & 07777);
	if (fd < 0)
		return -errno;
	close(fd);
	err = names__give(r, parentfd, name);
	if (err)
		unlinkat(parentfd, name, 0);
	return err;
}

static int create_in(struct request *r, int parentfd, const char *name, struct fuse_entry_out *e,
		     struct fuse_open_out *o)
{
	const struct fuse_create_in *in = r->arg;
	uint32_t flags = in->flags;
	int err = make_file(r, parentfd, name, in->mode);

	if (!err || r->again)
		flags &= ~(uint32_t)O_TRUNC;
	else if (err != -EEXIST || flags & O_EXCL)
		return err;
	err = names__find(r->c, r->h->nodeid, parentfd, name, e);
	if (err)
		return err;
	err = S_ISREG(e->attr.mode) ? open_id(r, e->nodeid, flags, o) : -EEXIST;
	if (err)
		nodes__forget(&r->c->nodes, e->nodeid, 1);
	return err;
}

int files__create(struct request *r)
{
	const struct fuse_create_in *in = r->arg;
	const char *name = request__name(r, sizeof(*in));
	int fd = name ? request__open(r, O_PATH | O_DIRECTORY) : -EINVAL, err;
	struct fuse_entry_out e;
	struct fuse_open_out o;

	if (fd < 0)
		return fd;
	err = create_in(r, fd, name, &e, &o);
	close(fd);
	if (err)
		return err;
	err = reply2(r, &e, sizeof(e), &o, sizeof(o));
	count_answered(r->c, e.nodeid, in->flags);
	if (err) {
		release_id(r->c, e.nodeid, in->flags);
		nodes__forget(&r->c->nodes, e.nodeid, 1);
	}
	return ANSWERED;
}

int files__writable(struct cover *c, uint64_t id)
{
	struct node node;

	if (!nodes__get(&c->nodes, id, &node))
		return -ESTALE;
	return open_wr(c, &node);
}

/*
 * Opens that were counted and not answered are asked for again. What is open for writing is opened
 * here too, before the keeper begins: with passthrough the kernel has it open anyway.
 */
void files__take_over(struct cover *c)
{
	struct node_table *t = c->nodes.table;

	for (uint32_t i = 0; i < t->used; i++) {
		struct node *v = &t->v[i];

		c->open[i] = (struct open_node){ -1, -1 };
		if (v->kind == NODE_FREE)
			continue;
		v->opens -= v->opening < v->opens ? v->opening : v->opens;
		v->writers -= v->opening_writers < v->writers ? v->opening_writers : v->writers;
		v->opening = v->opening_writers = 0;
		if (v->writers)
			need_fd(c, v, &c->open[i], true);
	}
}

/* ---- bytes, where the kernel has no way of its own; and what it leaves to us ---- */

/* A descriptor of an open node: a server that came behind another opens it again. */
static int fd_of(struct cover *c, uint64_t id, bool writer)
{
	struct open_node *o = &c->open[id - 1];
	struct node node;
	int fd;

	if (!nodes__get(&c->nodes, id, &node))
		return -ESTALE;
	if (!node.opens) /* before its first open `o` says nothing */
		return -EBADF;
	pthread_mutex_lock(lock_of(c, id));
	fd = !writer && o->wr >= 0 ? 0 : need_fd(c, &node, o, writer);
	if (!fd)
		fd = fcntl(writer || o->fd < 0 ? o->wr : o->fd, F_DUPFD_CLOEXEC, 0);
	pthread_mutex_unlock(lock_of(c, id));
	return fd;
}

int files__read(struct request *r)
{
	const struct fuse_read_in *in = r->arg;
	uint32_t size = in->size < COVER_WRITE_MAX ? in->size : COVER_WRITE_MAX;
	int fd = fd_of(r->c, r->h->nodeid, false);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = pread(fd, r->room, size, (off_t)in->offset);
	if (n >= 0)
		reply(r, 0, r->room, (size_t)n);
	else
		n = -errno;
	close(fd);
	return n < 0 ? (int)n : ANSWERED;
}

int files__write(struct request *r)
{
	const struct fuse_write_in *in = r->arg;
	struct fuse_write_out out = { 0 };
	int fd;
	ssize_t n;

	if (in->size > r->len - sizeof(*in))
		return -EIO;
	fd = fd_of(r->c, r->h->nodeid, true);
	if (fd < 0)
		return fd;
	n = pwrite(fd, in + 1, in->size, (off_t)in->offset);
	if (n < 0)
		n = -errno;
	close(fd);
	if (n < 0)
		return (int)n;
	out.size = (uint32_t)n;
	reply(r, 0, &out, sizeof(out));
	return ANSWERED;
}

/* "Durable" is what an export says of a memory file; its fsync says as much as on any tmpfs. */
int files__fsync(struct request *r)
{
	const struct fuse_fsync_in *in = r->arg;
	struct node node;
	int fd, err = request__node(r, &node);

	if (err || node.kind == NODE_MEMORY)
		return err;
	fd = cover__open_copy(r->c, &node, O_RDONLY);
	if (fd < 0)
		return fd;
	err = (in->fsync_flags & FUSE_FSYNC_FDATASYNC ? fdatasync(fd) : fsync(fd)) ? -errno : 0;
	close(fd);
	return err;
}

int files__fallocate(struct request *r)
{
	const struct fuse_fallocate_in *in = r->arg;
	int fd = files__writable(r->c, r->h->nodeid), err;

	if (fd < 0)
		return fd;
	err = fallocate(fd, (int)in->mode, (off_t)in->offset, (off_t)in->length) ? -errno : 0;
	close(fd);
	return err;
}

int files__lseek(struct request *r)
{
	const struct fuse_lseek_in *in = r->arg;
	struct fuse_lseek_out out;
	int fd = request__open(r, O_RDONLY);
	off_t at;

	if (fd < 0)
		return fd;
	at = lseek(fd, (off_t)in->offset, (int)in->whence);
	if (at < 0)
		at = -errno;
	close(fd);
	if (at < 0)
		return (int)at;
	out.offset = (uint64_t)at;
	reply(r, 0, &out, sizeof(out));
	return ANSWERED;
}

/* Between disk and memory the kernel does it by itself (-EXDEV). */
int files__copy(struct request *r)
{
	const struct fuse_copy_file_range_in *in = r->arg;
	struct fuse_write_out out = { 0 };
	off_t from = (off_t)in->off_in, to = (off_t)in->off_out;
	int src = request__open(r, O_RDONLY), dst;
	ssize_t n;

	if (src < 0)
		return src;
	dst = files__writable(r->c, in->nodeid_out);
	n = dst < 0 ? dst
		    : copy_file_range(src, &from, dst, &to,
				      in->len < (1u << 30) ? in->len : 1u << 30,
				      (unsigned int)in->flags);
	if (n < 0 && dst >= 0)
		n = -errno;
	close(src);
	if (dst >= 0)
		close(dst);
	if (n < 0)
		return (int)n;
	out.size = (uint32_t)n;
	reply(r, 0, &out, sizeof(out));
	return ANSWERED;
}
