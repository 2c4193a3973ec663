// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include <errno.h>
#include <fcntl.h>

#include "files_internal.h"
#include "io_sizes.h"

#define MAX_WINDOW_FILES 64

int files__new(struct file_table **t)
{
	*t = calloc(1, sizeof(**t));
	return *t ? 0 : -ENOMEM;
}

void files__free(struct file_table *t)
{
	struct inode_entry *i, *i_next;
	struct fd_entry *f, *f_next;

	if (!t)
		return;
	HASH_ITER (hh, t->fds, f, f_next) {
		HASH_DEL(t->fds, f);
		free(f);
	}
	HASH_CLEAR(hh_path, t->by_path);
	HASH_ITER (hh, t->inodes, i, i_next) {
		HASH_DEL(t->inodes, i);
		extents__free_inside(&i->extents);
		free(i->path);
		free(i);
	}
	free(t);
}

struct inode_entry *inode_of(struct file_table *t, uint32_t dev, uint64_t ino, bool add)
{
	struct inode_key key = { .ino = ino, .dev = dev };
	struct inode_entry *i = NULL;

	HASH_FIND(hh, t->inodes, &key, sizeof(key), i);
	if (i || !add || !ino || HASH_COUNT(t->inodes) >= MAX_INODES)
		return i;
	i = calloc(1, sizeof(*i));
	if (!i)
		return NULL;
	i->key = key;
	i->path = strdup("");
	if (i->path)
		HASH_ADD(hh, t->inodes, key, sizeof(i->key), i);
	if (i->path && i->hh.tbl)
		return i;
	free(i->path);
	free(i);
	return NULL;
}

const char *files__path(const struct file_table *t, uint32_t dev, uint64_t ino)
{
	struct inode_key key = { .ino = ino, .dev = dev };
	struct inode_entry *i = NULL;

	HASH_FIND(hh, t->inodes, &key, sizeof(key), i);
	return i ? i->path : "";
}

static struct inode_entry *inode_at(struct file_table *t, const char *path)
{
	struct inode_entry *i = NULL;

	HASH_FIND(hh_path, t->by_path, path, strlen(path), i);
	return i;
}

void replace_path(struct file_table *t, struct inode_entry *i, char *path, bool is_hint)
{
	if (inode_at(t, i->path) == i)
		HASH_DELETE(hh_path, t->by_path, i);
	free(i->path);
	i->path = path;
	i->path_is_hint = is_hint;
	i->gone = false;
}

/* A path names one file at a time: the last one to get it. */
static void set_path(struct file_table *t, struct inode_entry *i, const char *path)
{
	struct inode_entry *before = inode_at(t, path);
	char *copy = strdup(path);

	if (!copy)
		return;
	if (before && before != i)
		HASH_DELETE(hh_path, t->by_path, before);
	replace_path(t, i, copy, false);
	HASH_ADD_KEYPTR(hh_path, t->by_path, i->path, strlen(i->path), i);
}

static void set_fd(struct file_table *t, uint32_t tgid, int32_t fd, struct inode_entry *inode)
{
	struct fd_key key = { .tgid = tgid, .fd = fd };
	struct fd_entry *f = NULL;

	HASH_FIND(hh, t->fds, &key, sizeof(key), f);
	if (!f) {
		f = calloc(1, sizeof(*f));
		if (!f)
			return;
		f->key = key;
		HASH_ADD(hh, t->fds, key, sizeof(f->key), f);
		if (!f->hh.tbl) {
			free(f);
			return;
		}
	}
	f->inode = inode;
}

struct inode_entry *inode_of_fd(struct analysis *a, uint32_t tgid, int32_t fd)
{
	struct fd_key key = { .tgid = tgid, .fd = fd };
	struct fd_entry *f = NULL;
	const struct rec_fd *before;
	struct inode_entry *i;
	const char *path = "";

	HASH_FIND(hh, a->files->fds, &key, sizeof(key), f);
	if (f || fd < 0)
		return f ? f->inode : NULL;
	before = symbols__fd(a->symbols, tgid, fd, &path);
	i = before ? inode_of(a->files, before->dev, before->ino, true) : NULL;
	if (i && !i->path[0]) {
		set_path(a->files, i, path);
		i->oflags = before->oflags;
	}
	if (i)
		i->ours = true;
	set_fd(a->files, tgid, fd, i);
	return i;
}

uint32_t tgid_of(const struct analysis *a, uint32_t tid)
{
	const struct thread *t = timeline__thread(&a->tl, tid);

	return t && t->tgid ? t->tgid : scan__tgid(&a->scan, tid);
}

struct dirtier dirtier_now(const struct analysis *a, uint32_t tid)
{
	return dirtier_of(timeline__thread(&a->tl, tid), tid);
}

/* ---- what falls into windows ---- */

struct window_file *file_in(struct pending *p, struct inode_entry *inode)
{
	struct window_file *f = NULL;

	HASH_FIND_PTR(p->files, &inode, f);
	if (f || HASH_COUNT(p->files) >= MAX_INODES)
		return f;
	f = calloc(1, sizeof(*f));
	if (!f)
		return NULL;
	f->inode = inode;
	HASH_ADD_PTR(p->files, inode, f);
	if (f->hh.tbl)
		return f;
	free(f);
	return NULL;
}

#define FOR_EACH_WINDOW_FILE(a, inode, begin, end, ns, wf)                                        \
	for (size_t _i = 0; _i < vec__cnt(&(a)->pending); _i++)                                   \
		if ((ns = overlap_ns(WINDOW(a, VEC_AT(&(a)->pending, struct pending, _i)->index), \
				     begin, end)) &&                                              \
		    (wf = file_in(VEC_AT(&(a)->pending, struct pending, _i), inode)))

/* What /proc shows of a descriptor that is no file is "pipe:[1]", "socket:[2]", "anon_inode:x". */
static bool is_file(const struct inode_entry *i)
{
	const char *colon = i ? strchr(i->path, ':') : NULL;

	return i && (i->path[0] == '/' || !colon || strchr(i->path, '/'));
}

/* One call of that size: of the recording, of each window that it overlaps, of the file there. */
static void count_size(struct analysis *a, const struct ev_syscall *ev, struct inode_entry *i,
		       uint64_t bytes)
{
	enum io_op op = io_op_of(ev->cls, is_file(i));
	struct window_file *f;
	bool full = op != IO_OPS && io_sizes__add(&a->sizes, op, bytes);
	uint64_t ns;

	for (size_t w = 0; w < vec__cnt(&a->pending) && op != IO_OPS; w++) {
		struct pending *p = VEC_AT(&a->pending, struct pending, w);

		if (overlap_ns(WINDOW(a, p->index), ev->enter_ns, ev->h.ts_ns))
			full |= io_sizes__add(&p->sizes, op, bytes);
	}
	if (i && op < IO_READ_OTHER)
		FOR_EACH_WINDOW_FILE(a, i, ev->enter_ns, ev->h.ts_ns, ns, f)
	full |= io_sizes__add(&f->sizes, op, bytes);
	if (full)
		a->tl.no_memory = true;
}

/* ---- records ---- */

/* Before 1.1 a deletion looked like a truncation: a file that now has another name is another one. */
static void forget_reused(struct analysis *a, struct inode_entry *i, const struct ev_open *ev)
{
	if (!i->extents.block_bits && extents__was_undone(&i->extents, ev->enter_ns) &&
	    strcmp(i->path, ev->path))
		note_gone(a, i, ev->enter_ns);
}

static void on_open(struct analysis *a, const struct ev_open *ev)
{
	struct dirtier by = dirtier_now(a, ev->h.tid);
	uint32_t tgid = tgid_of(a, ev->h.tid);
	struct inode_entry *i;
	struct window_file *f;
	uint64_t ns;

	if (ev->fd < 0)
		return;
	i = inode_of(a->files, ev->dev, ev->ino, true);
	set_fd(a->files, tgid, ev->fd, i);
	if (!i)
		return;
	forget_reused(a, i, ev);
	i->ours = true;
	if (!i->path[0] || i->path_is_hint || strcmp(i->path, ev->path))
		set_path(a->files, i, ev->path);
	if ((ev->oflags & O_ACCMODE) == O_RDONLY)
		return;
	i->oflags = ev->oflags;
	/* A file that this very open creates is not truncated: what a guard allocated in it stays. */
	if (ev->oflags & O_TRUNC)
		note_undone(a, i, ev->enter_ns, ev->h.ts_ns, &by, "O_TRUNC at open");
	FOR_EACH_WINDOW_FILE(a, i, ev->enter_ns, ev->h.ts_ns, ns, f)
	f->opened = true;
}

/* The file that a call writes to: the second descriptor where the first is the source. */
static struct inode_entry *destination(struct analysis *a, const struct ev_syscall *ev)
{
	const struct ev_syscall_args *args = (const void *)ev;
	int32_t fd = ev->fd;

	if ((ev->cls == FP_SYS_COPY_FILE_RANGE || ev->cls == FP_SYS_SPLICE) &&
	    ev->h.kind == EV_SYSCALL_ARGS)
		fd = (int32_t)args->args[1];
	return inode_of_fd(a, tgid_of(a, ev->h.tid), fd);
}

static void on_write(struct analysis *a, const struct ev_syscall *ev)
{
	struct dirtier by;
	struct inode_entry *i = destination(a, ev);
	struct window_file *f;
	uint64_t ns, took = ev->h.ts_ns - ev->enter_ns;

	if (ev->ret >= 0)
		count_size(a, ev, i, ev->ret);
	if (!i || ev->ret <= 0)
		return;
	i->unsynced_bytes += ev->ret;
	devices__written(&a->devices, i->key.dev, ev->ret);
	by = dirtier_now(a, ev->h.tid);
	extents__written(&i->extents, ev->enter_ns, &by, ev->cls);
	dirtiers__note(&a->dirtiers, i->key.dev, i->key.ino, &by, ev->enter_ns, false);
	/* A call that lies partly in a window has written that part of its bytes there. */
	FOR_EACH_WINDOW_FILE(a, i, ev->enter_ns, ev->h.ts_ns, ns, f)
	f->bytes_written += (unsigned __int128)ev->ret * ns / took;
}

static void on_read(struct analysis *a, const struct ev_syscall *ev)
{
	struct inode_entry *i = inode_of_fd(a, tgid_of(a, ev->h.tid), ev->fd);
	struct window_file *f;
	uint64_t ns, took = ev->h.ts_ns - ev->enter_ns;

	if (ev->ret < 0)
		return;
	count_size(a, ev, i, ev->ret);
	if (i && ev->ret)
		FOR_EACH_WINDOW_FILE(a, i, ev->enter_ns, ev->h.ts_ns, ns, f)
	f->bytes_read += (unsigned __int128)ev->ret * ns / took;
}

static void on_fsync(struct analysis *a, const struct ev_syscall *ev)
{
	struct inode_entry *i = inode_of_fd(a, tgid_of(a, ev->h.tid), ev->fd);
	struct window_file *f;
	uint64_t ns;

	if (i)
		FOR_EACH_WINDOW_FILE(a, i, ev->enter_ns, ev->h.ts_ns, ns, f)
	f->fsync_call_ns += ns;
	if (ev->ret || (ev->flags & EV_FLAG_OPEN))
		return;
	count_size(a, ev, i, i ? i->unsynced_bytes : 0);
	if (i)
		i->unsynced_bytes = 0;
}

static void on_syscall(struct analysis *a, const struct ev_syscall *ev)
{
	switch (ev->cls) {
	case FP_SYS_READ:
		on_read(a, ev);
		break;
	case FP_SYS_CLOSE:
		set_fd(a->files, tgid_of(a, ev->h.tid), ev->fd, NULL);
		break;
	case FP_SYS_DUP:
		if (ev->ret >= 0 && ev->ret != ev->fd)
			set_fd(a->files, tgid_of(a, ev->h.tid), (int32_t)ev->ret,
			       inode_of_fd(a, tgid_of(a, ev->h.tid), ev->fd));
		break;
	case FP_SYS_WRITE:
	case FP_SYS_COPY_FILE_RANGE:
	case FP_SYS_SENDFILE:
	case FP_SYS_SPLICE:
		on_write(a, ev);
		break;
	case FP_SYS_FSYNC:
	case FP_SYS_FDATASYNC:
		on_fsync(a, ev);
		break;
	case FP_SYS_FTRUNCATE:
	case FP_SYS_FALLOCATE:
		extents_on_sized(a, ev);
		break;
	default:
		break;
	}
}

static void on_span(struct analysis *a, const struct ev_span *ev)
{
	struct inode_entry *i = inode_of(a->files, ev->dev, ev->ino,
					 ev->op == FP_SPAN_EXT4_FALLOCATE);
	struct window_file *f;
	uint64_t ns;

	if (!i)
		return;
	extents_on_span(a, i, ev);
	if (ev->op == FP_SPAN_EXT4_SYNC) {
		FOR_EACH_WINDOW_FILE(a, i, ev->begin_ns, ev->h.ts_ns, ns, f)
		f->fsync_span_ns += ns;
	} else if (ev->op == FP_SPAN_EXT4_ALLOC) {
		FOR_EACH_WINDOW_FILE(a, i, ev->begin_ns, ev->h.ts_ns, ns, f)
		f->alloc_ns += ns;
	}
}

static void on_rename(struct analysis *a, const struct ev_path *ev)
{
	const char *old = ev->paths, *new = ev->paths + ev->old_len;
	struct inode_entry *i = ev->ret ? NULL : inode_at(a->files, old);

	if (i)
		set_path(a->files, i, new);
}

void files__event(struct analysis *a, const struct trace_event *ev)
{
	const void *rec = ev->hdr;

	switch (ev->hdr->kind) {
	case EV_OPEN:
		return on_open(a, rec);
	case EV_SYSCALL:
	case EV_SYSCALL_ARGS:
		return on_syscall(a, rec);
	case EV_SPAN:
		return on_span(a, rec);
	case EV_PATH:
		return on_rename(a, rec);
	case EV_EXTENTS:
		return extents_on_record(a, rec);
	case EV_POINT:
		return extents_on_point(a, rec);
	default:
		return;
	}
}

/* ---- into the finding ---- */

static int write_file(const struct analysis *a, struct finding_window *fw,
		      const struct window_file *f)
{
	const struct inode_entry *i = f->inode;
	struct finding_file *out = FINDING_APPEND(&fw->files, &fw->files_cnt);

	if (!out || finding_set(&out->path, i->path) || extents_write(a, out, fw, i))
		return -ENOMEM;
	out->dev = i->key.dev;
	out->ino = i->key.ino;
	out->open_flags = i->oflags;
	out->bytes_written = f->bytes_written;
	out->bytes_read = f->bytes_read;
	out->fsync_ns = f->fsync_call_ns > f->fsync_span_ns ? f->fsync_call_ns : f->fsync_span_ns;
	out->alloc_ns = f->alloc_ns;
	return io_sizes__write(&f->sizes, &out->sizes, &out->sizes_cnt);
}

static int by_weight(const struct window_file *x, const struct window_file *y)
{
	uint64_t a = x->fsync_call_ns + x->fsync_span_ns + x->alloc_ns;
	uint64_t b = y->fsync_call_ns + y->fsync_span_ns + y->alloc_ns;

	if (x->bytes_written != y->bytes_written)
		return x->bytes_written > y->bytes_written ? -1 : 1;
	if (a != b)
		return a > b ? -1 : 1;
	if (x->bytes_read != y->bytes_read)
		return x->bytes_read > y->bytes_read ? -1 : 1;
	if (x->inode->key.dev != y->inode->key.dev)
		return x->inode->key.dev < y->inode->key.dev ? -1 : 1;
	return x->inode->key.ino < y->inode->key.ino ? -1 : 1;
}

int files__window(struct analysis *a, struct pending *p)
{
	struct finding_window *fw = &a->f->windows[p->index];
	struct window_file *f, *next;
	int err = 0;

	extents_add_prepared(a, p);
	HASH_SORT(p->files, by_weight);
	HASH_ITER (hh, p->files, f, next) {
		bool worth = f->opened || f->prepared || f->bytes_written || f->fsync_call_ns ||
			     f->alloc_ns || f->fsync_span_ns || vec__cnt(&f->sizes);

		if (!err && worth && extents_concern(p, f->inode) &&
		    fw->files_cnt < MAX_WINDOW_FILES)
			err = write_file(a, fw, f);
	}
	if (!err)
		err = io_sizes__write(&p->sizes, &fw->sizes, &fw->sizes_cnt);
	files__drop(p);
	return err;
}

void files__drop(struct pending *p)
{
	struct window_file *f, *next;

	HASH_ITER (hh, p->files, f, next) {
		HASH_DEL(p->files, f);
		vec__free(&f->sizes);
		free(f);
	}
	vec__free(&p->sizes);
}
