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

#include "../beneath.h"
#include "serve.h"

/* Of one copy_file_range(): whoever wants more asks again, and others get their turn. */
#define COPY_MAX (16u << 20)

static pthread_mutex_t *lock_of(struct cover *c, uint64_t id)
{
	return &c->open_locks[id % COVER_OPEN_LOCKS];
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

/* What the others that have the node open do not need; the caller holds its lock. */
static void close_unused(struct cover *c, uint64_t id, const struct open_slot *going)
{
	struct node *v = nodes__at(&c->nodes, id);
	struct open_node *o = &c->open[id - 1];
	uint32_t backing = (uint32_t)v->backing;

	if (v->writers == open_writes(going->flags))
		fd__close(&o->wr);
	if (v->opens > 1)
		return;
	fd__close(&o->wr);
	fd__close(&o->fd);
	v->backing = 0;
	if (backing)
		ioctl(c->dev, COVER_BACKING_CLOSE, &backing);
}

/* One that is open already is good for a file without a name too; the caller holds the lock. */
static int writable_locked(struct cover *c, uint64_t id)
{
	struct node node;

	if (!nodes__get(&c->nodes, id, &node))
		return -ESTALE;
	if (node.writers && c->open[id - 1].wr >= 0)
		return fcntl(c->open[id - 1].wr, F_DUPFD_CLOEXEC, 0);
	return open_wr(c, &node);
}

/* The old bytes of a file that its opener empties need no disk: it goes to memory, or is emptied. */
static int empty(struct request *r, uint64_t id)
{
	int fd, err;

	if (!memory__replace(r, id))
		return 0;
	fd = writable_locked(r->c, id);
	if (fd < 0)
		return fd;
	err = ftruncate(fd, 0) ? -errno : 0;
	close(fd);
	return err;
}

/* Under one handle, also where a killed server has given it already. */
static uint64_t handle_for(struct request *r, uint64_t id, uint32_t flags)
{
	uint64_t unique = r->h->unique & ~COVER_UNIQUE_RESEND, fh = 0;

	if (unique != r->h->unique)
		fh = opens__adopt(&r->c->nodes, unique, id);
	return fh ? fh : opens__take(&r->c->nodes, unique, id, flags);
}

static int open_locked(struct request *r, uint64_t id, uint32_t flags, struct fuse_open_out *out)
{
	struct cover *c = r->c;
	struct node *v = nodes__at(&c->nodes, id), node;
	struct open_node *o = &c->open[id - 1];
	bool writer = open_writes(flags);
	int err;

	if (!v->opens)
		*o = (struct open_node){ -1, -1 }; /* it may be new in the table */
	err = flags & O_TRUNC ? empty(r, id) : 0;
	if (err)
		return err;
	nodes__get(&c->nodes, id, &node);
	err = need_fd(c, &node, o, writer);
	/* the kernel spares root's writes, and with passthrough all are ours */
	if (!err && writer && r->h->uid)
		err = attrs__kill_priv(o->wr);
	if (err)
		return err;
	need_backing(c, v, o);
	*out = (struct fuse_open_out){ .open_flags = FOPEN_NOFLUSH };
	out->fh = handle_for(r, id, flags);
	if (!out->fh)
		return -ENFILE;
	if (v->backing) {
		out->open_flags |= COVER_FOPEN_PASSTHROUGH;
		out->padding = (uint32_t)v->backing;
	}
	if (writer)
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

/* A handle that a killed server has released already is asked for again: then this is nothing. */
static void release_handle(struct cover *c, uint64_t fh)
{
	struct open_slot slot;
	struct node node;

	if (!opens__get(&c->nodes, fh, &slot))
		return;
	pthread_mutex_lock(lock_of(c, slot.node));
	nodes__get(&c->nodes, slot.node, &node);
	close_unused(c, slot.node, &slot);
	opens__drop(&c->nodes, fh);
	pthread_mutex_unlock(lock_of(c, slot.node));
	if (open_writes(slot.flags))
		memory__closed(c, &node);
	nodes__forget(&c->nodes, slot.node, 0);
}

int files__open(struct request *r)
{
	const struct fuse_open_in *in = r->arg;
	struct fuse_open_out out;
	int err = open_id(r, r->h->nodeid, in->flags, &out);

	if (err)
		return err;
	if (reply(r, 0, &out, sizeof(out))) /* who opened it was killed: no release will come */
		release_handle(r->c, out.fh);
	return ANSWERED;
}

int files__release(struct request *r)
{
	const struct fuse_release_in *in = r->arg;

	release_handle(r->c, in->fh);
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
	err = names__give(r, parentfd, name, mode);
	if (err)
		unlinkat(parentfd, name, 0);
	return err;
}

static int create_in(struct request *r, int parentfd, const char *name, struct fuse_entry_out *e,
		     struct fuse_open_out *o)
{
	const struct fuse_create_in *in = r->arg;
	uint32_t flags = in->flags;
	mode_t mode = names__mode(parentfd, in->mode, in->umask);
	int err = op__begin(r) ? op__end(r, make_file(r, parentfd, name, mode)) : r->result;

	if (!err || (err == -EEXIST && r->again && !r->was_done))
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
	if (reply2(r, &e, sizeof(e), &o, sizeof(o))) {
		release_handle(r->c, o.fh);
		nodes__forget(&r->c->nodes, e.nodeid, 1);
	}
	return ANSWERED;
}

int files__writable(struct cover *c, uint64_t id)
{
	int fd;

	pthread_mutex_lock(lock_of(c, id));
	fd = writable_locked(c, id);
	pthread_mutex_unlock(lock_of(c, id));
	return fd;
}

/* What is open for writing is so here too before the keeper begins. */
void files__take_over(struct cover *c)
{
	struct node_table *t = c->nodes.table;

	for (uint32_t i = 0; i < t->used; i++) {
		struct node *v = &t->v[i];

		c->open[i] = (struct open_node){ -1, -1 };
		if (v->kind != NODE_FREE && v->writers)
			need_fd(c, v, &c->open[i], true);
		if (v->kind != NODE_FREE && !v->opens) {
			v->backing = 0; /* its number ends with the connection */
			nodes__forget(&c->nodes, i + 1, 0);
		}
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
	n = in->write_flags & FUSE_WRITE_KILL_SUIDGID ? attrs__kill_priv(fd) : 0;
	if (!n) {
		n = pwrite(fd, in + 1, in->size, (off_t)in->offset);
		if (n < 0)
			n = -errno;
	}
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
