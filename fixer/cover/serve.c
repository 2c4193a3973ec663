// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Requests from the kernel, and their answers. */
#include "serve.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../../user/log.h"

int reply2(const struct request *r, const void *a, size_t a_len, const void *b, size_t b_len)
{
	struct fuse_out_header out = { .unique = r->h->unique };
	struct iovec iov[] = { { &out, sizeof(out) },
			       { (void *)(uintptr_t)a, a_len },
			       { (void *)(uintptr_t)b, b_len } };

	out.len = (uint32_t)(sizeof(out) + a_len + b_len);
	return writev(r->c->dev, iov, 3) < 0 ? -errno : 0;
}

int reply(const struct request *r, int err, const void *data, size_t len)
{
	struct fuse_out_header out = { .unique = r->h->unique, .error = err };
	struct iovec iov[] = { { &out, sizeof(out) }, { (void *)(uintptr_t)data, len } };

	out.len = (uint32_t)(sizeof(out) + len);
	return writev(r->c->dev, iov, 2) < 0 ? -errno : 0;
}

int cover__open_copy(struct cover *c, const struct node *node, int flags)
{
	return node__open(node, node->kind == NODE_MEMORY ? c->tmpfd : c->rootfd, flags);
}

int cover__open_node(struct cover *c, uint64_t id, int flags)
{
	struct node node;

	return nodes__get(&c->nodes, id, &node) ? cover__open_copy(c, &node, flags) : -ESTALE;
}

int request__node(const struct request *r, struct node *node)
{
	return nodes__get(&r->c->nodes, r->h->nodeid, node) ? 0 : -ESTALE;
}

int request__open(const struct request *r, int flags)
{
	return cover__open_node(r->c, r->h->nodeid, flags);
}

const char *request__name(const struct request *r, size_t at)
{
	const char *name = (const char *)r->arg + at;

	if (at >= r->len || !memchr(name, '\0', r->len - at) || !*name || strchr(name, '/') ||
	    !strcmp(name, ".") || !strcmp(name, ".."))
		return NULL;
	return name;
}

/* ---- what this server can do ---- */

static int answer_init(struct request *r)
{
	const struct fuse_init_in *in = r->arg;
	struct node_table *t = r->c->nodes.table;
	struct fuse_init_out out = {
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.max_readahead = in->max_readahead,
		.max_background = 64,
		.congestion_threshold = 48,
		.max_write = COVER_WRITE_MAX,
		.time_gran = 1,
		.max_pages = COVER_WRITE_MAX / 4096,
	};
	const char *mode = getenv("FLATPAUSE_COVER");
	uint32_t want2 = 0;

	if (in->major != FUSE_KERNEL_VERSION)
		return -EPROTO;
	out.flags = in->flags &
		    (FUSE_ASYNC_READ | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES |
		     FUSE_PARALLEL_DIROPS | FUSE_ASYNC_DIO | FUSE_AUTO_INVAL_DATA | FUSE_MAX_PAGES |
		     FUSE_HANDLE_KILLPRIV_V2 | FUSE_POSIX_ACL | FUSE_DONT_MASK | FUSE_INIT_EXT);
	if (in->flags & FUSE_INIT_EXT)
		want2 = in->flags2 & (COVER_INIT_PASSTHROUGH2 | COVER_INIT_RESEND2);
	if (mode && !strcmp(mode, "plain"))
		want2 &= ~COVER_INIT_PASSTHROUGH2;
	out.flags2 = want2;
	if (want2 & COVER_INIT_PASSTHROUGH2)
		out.unused[0] = 2; /* max_stack_depth: over an overlay too */
	t->passthrough = want2 & COVER_INIT_PASSTHROUGH2 ? 1 : 0;
	t->resends = want2 & COVER_INIT_RESEND2 ? 1 : 0;
	reply(r, 0, &out, sizeof(out));
	__atomic_store_n(&t->answered, 1, __ATOMIC_RELEASE);
	return ANSWERED;
}

static int forget(struct request *r)
{
	const struct fuse_forget_in *in = r->arg;

	nodes__forget(&r->c->nodes, r->h->nodeid, in->nlookup);
	return ANSWERED;
}

static int batch_forget(struct request *r)
{
	const struct fuse_batch_forget_in *in = r->arg;
	const struct fuse_forget_one *one = (const void *)(in + 1);
	size_t cnt = (r->len - sizeof(*in)) / sizeof(*one);

	for (size_t i = 0; i < in->count && i < cnt; i++)
		nodes__forget(&r->c->nodes, one[i].nodeid, one[i].nlookup);
	return ANSWERED;
}

static int no_answer(struct request *r)
{
	return ANSWERED;
}

static const struct {
	handler_fn fn;
	size_t len; /* of arg, at least */
} handlers[] = {
	[FUSE_INIT] = { answer_init, 16 },
	[FUSE_FORGET] = { forget, sizeof(struct fuse_forget_in) },
	[FUSE_BATCH_FORGET] = { batch_forget, sizeof(struct fuse_batch_forget_in) },
	[FUSE_INTERRUPT] = { no_answer, 0 },
	[FUSE_DESTROY] = { no_answer, 0 },
	[FUSE_LOOKUP] = { names__lookup, 2 },
	[FUSE_MKNOD] = { names__mknod, sizeof(struct fuse_mknod_in) + 2 },
	[FUSE_MKDIR] = { names__mkdir, sizeof(struct fuse_mkdir_in) + 2 },
	[FUSE_UNLINK] = { names__unlink, 2 },
	[FUSE_RMDIR] = { names__rmdir, 2 },
	[FUSE_SYMLINK] = { names__symlink, 3 },
	[FUSE_READLINK] = { names__readlink, 0 },
	[FUSE_RENAME] = { names__rename, sizeof(struct fuse_rename_in) + 4 },
	[FUSE_RENAME2] = { names__rename2, sizeof(struct fuse_rename2_in) + 4 },
	[FUSE_LINK] = { names__link, sizeof(struct fuse_link_in) + 2 },
	[FUSE_OPENDIR] = { names__opendir, 0 },
	[FUSE_READDIR] = { names__readdir, sizeof(struct fuse_read_in) },
	[FUSE_RELEASEDIR] = { names__opendir, 0 },
	[FUSE_FSYNCDIR] = { names__fsyncdir, sizeof(struct fuse_fsync_in) },
	[FUSE_GETATTR] = { attrs__get, 0 },
	[FUSE_SETATTR] = { attrs__set, sizeof(struct fuse_setattr_in) },
	[FUSE_STATFS] = { attrs__statfs, 0 },
	[FUSE_SETXATTR] = { attrs__setxattr, FUSE_COMPAT_SETXATTR_IN_SIZE + 2 },
	[FUSE_GETXATTR] = { attrs__getxattr, sizeof(struct fuse_getxattr_in) + 2 },
	[FUSE_LISTXATTR] = { attrs__listxattr, sizeof(struct fuse_getxattr_in) },
	[FUSE_REMOVEXATTR] = { attrs__removexattr, 2 },
	[FUSE_OPEN] = { files__open, sizeof(struct fuse_open_in) },
	[FUSE_CREATE] = { files__create, sizeof(struct fuse_create_in) + 2 },
	[FUSE_RELEASE] = { files__release, sizeof(struct fuse_release_in) },
	[FUSE_READ] = { files__read, sizeof(struct fuse_read_in) },
	[FUSE_WRITE] = { files__write, sizeof(struct fuse_write_in) },
	[FUSE_FSYNC] = { files__fsync, sizeof(struct fuse_fsync_in) },
	[FUSE_FALLOCATE] = { files__fallocate, sizeof(struct fuse_fallocate_in) },
	[FUSE_LSEEK] = { files__lseek, sizeof(struct fuse_lseek_in) },
	[FUSE_COPY_FILE_RANGE] = { files__copy, sizeof(struct fuse_copy_file_range_in) },
};

bool op__begin(struct request *r)
{
	if (r->was_done)
		return false;
	r->note->unique = r->h->unique & ~COVER_UNIQUE_RESEND;
	__atomic_store_n(&r->note->state, OP_BEGUN, __ATOMIC_RELEASE);
	return true;
}

int op__end(struct request *r, int err)
{
	r->note->result = err;
	__atomic_store_n(&r->note->state, OP_DONE, __ATOMIC_RELEASE);
	return err;
}

/* What a server that had this request before us has made of it, as far as it came to say. */
static void recall(struct request *r)
{
	uint64_t unique = r->h->unique & ~COVER_UNIQUE_RESEND;

	if (unique == r->h->unique)
		return;
	for (int i = 0; i < COVER_THREADS_MAX; i++) {
		struct op_note *old = &r->c->nodes.table->carried[i];

		if (old->state == OP_NONE || old->unique != unique)
			continue;
		r->carried = old;
		r->again = true;
		r->was_done = old->state == OP_DONE;
		r->result = old->result;
	}
}

/* -ENOSYS: the kernel does without, and for most of them does not ask again. */
void serve__handle(struct cover *c, struct op_note *note, char *buf, size_t len)
{
	const struct fuse_in_header *h = (const void *)buf;
	/* what asks for bytes is short itself */
	struct request r = { .c = c, .h = h, .arg = h + 1, .note = note, .room = buf + 4096 };
	int err = -ENOSYS;

	if (len < sizeof(*h) || h->len != len)
		return;
	r.len = len - sizeof(*h);
	recall(&r);
	if (h->opcode < sizeof(handlers) / sizeof(handlers[0]) && handlers[h->opcode].fn)
		err = r.len < handlers[h->opcode].len ? -EIO : handlers[h->opcode].fn(&r);
	if (err != ANSWERED)
		reply(&r, err, NULL, 0);
	__atomic_store_n(&note->state, OP_NONE, __ATOMIC_RELEASE);
	if (r.carried)
		__atomic_store_n(&r.carried->state, OP_NONE, __ATOMIC_RELEASE);
}
