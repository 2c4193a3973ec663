// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Blocks that files got in advance, by whomever: from the records to the finding. */
#include <errno.h>
#include <stdio.h>

#include "../cli/params.h"
#include "files_internal.h"

#define NUM	    32
#define FOREIGN_MIN (1u << 20) /* what strangers preallocate counts from here on */

static void note_made(struct analysis *a, struct inode_entry *i, uint64_t begin_ns, uint64_t ns,
		      const struct dirtier *by, uint64_t bytes, uint64_t held_bytes)
{
	bool first = !vec__cnt(&i->extents.events);

	if (extents__made(&i->extents, begin_ns, ns, by, bytes, held_bytes)) {
		a->tl.no_memory = true;
	} else if (first) {
		i->next_preallocated = a->files->preallocated;
		a->files->preallocated = i;
	}
}

void note_undone(struct analysis *a, struct inode_entry *i, uint64_t begin_ns, uint64_t ns,
		 const struct dirtier *by, const char *how)
{
	if (extents__undone(&i->extents, begin_ns, ns, by, how))
		a->tl.no_memory = true;
}

void note_gone(struct analysis *a, struct inode_entry *i, uint64_t ns)
{
	i->path_is_hint = i->gone = true;
	if (extents__gone(&i->extents, ns))
		a->tl.no_memory = true;
}

static const char *truncated_how(uint8_t call)
{
	if (call == FP_SYS_OPEN)
		return "O_TRUNC at open";
	return call == FP_SYS_FTRUNCATE ? "ftruncate to 0" : "a truncation to 0";
}

/* A file of others has the last names of its path, and no place among those that are renamed. */
static void hint_path(struct file_table *t, struct inode_entry *i, const struct ev_extents *ev)
{
	bool in_dir = ev->dir[0] && ev->dir[0] != '/' && ev->name[0];
	char *path;

	if ((i->path[0] && !i->path_is_hint) ||
	    asprintf(&path, "%s%s%s", in_dir ? ev->dir : "", in_dir ? "/" : "", ev->name) < 0)
		return;
	if (i->gone) /* another file has its number now */
		i->ours = false;
	i->gone = false;
	replace_path(t, i, path, true);
}

void extents_on_span(struct analysis *a, struct inode_entry *i, const struct ev_span *ev)
{
	struct dirtier by;

	if (ev->op == FP_SPAN_EXT4_ALLOC) {
		if (extents__allocated(&i->extents, ev->h.ts_ns, ev->h.tid, ev->value_lo))
			a->tl.no_memory = true;
	} else if (ev->op == FP_SPAN_EXT4_FALLOCATE && ev->value_lo) {
		by = dirtier_now(a, ev->h.tid);
		extents__fallocated(&i->extents, ev->h.tid, ev->begin_ns, ev->h.ts_ns);
		note_made(a, i, ev->begin_ns, ev->h.ts_ns, &by, 0, 0);
	}
}

void extents_on_record(struct analysis *a, const struct ev_extents *ev)
{
	struct inode_entry *i = inode_of(a->files, ev->dev, ev->ino, ev->act == FP_EXTENTS_MADE);
	struct dirtier by = { .tid = ev->h.tid };

	if (!i)
		return;
	memcpy(by.comm, ev->comm, sizeof(by.comm));
	hint_path(a->files, i, ev);
	i->extents.block_bits = ev->block_bits;
	if (ev->act == FP_EXTENTS_MADE)
		note_made(a, i, ev->h.ts_ns, ev->h.ts_ns, &by, ev->bytes, ev->held_bytes);
	else if (ev->act == FP_EXTENTS_FREED)
		note_undone(a, i, ev->h.ts_ns, ev->h.ts_ns, &by, truncated_how(ev->call));
}

#define KEEP_SIZE 1 /* FALLOC_FL_KEEP_SIZE: the other modes take away, or move */

/* What a target asked of any file system; on ext4 the kernel has told of it already. */
void extents_on_sized(struct analysis *a, const struct ev_syscall *ev)
{
	const struct ev_syscall_args *args = (const void *)ev;
	struct inode_entry *i = inode_of_fd(a, tgid_of(a, ev->h.tid), ev->fd);
	struct dirtier by = dirtier_now(a, ev->h.tid);

	if (!i || ev->h.kind != EV_SYSCALL_ARGS || ev->ret)
		return;
	if (ev->cls == FP_SYS_FTRUNCATE && !args->args[0])
		note_undone(a, i, ev->enter_ns, ev->h.ts_ns, &by, "ftruncate to 0");
	else if (ev->cls == FP_SYS_FALLOCATE && !(args->args[0] & ~(uint64_t)KEEP_SIZE))
		note_made(a, i, ev->enter_ns, ev->h.ts_ns, &by, args->args[1] + args->args[2], 0);
}

void extents_on_point(struct analysis *a, const struct ev_point *p)
{
	bool dirty = p->op == FP_POINT_INODE_DIRTY;
	struct inode_entry *i = NULL;
	struct dirtier by;

	if (dirty || p->op == FP_POINT_EXT4_TRUNCATE_ALL)
		i = inode_of(a->files, p->dev, p->id, false);
	if (!i)
		return;
	if (!dirty && p->b)
		return note_gone(a, i, p->h.ts_ns);
	if (!vec__cnt(&i->extents.events))
		return;
	by = dirtier_now(a, p->h.tid);
	if (dirty)
		extents__written(&i->extents, p->h.ts_ns, &by, p->a);
	else if (p->a && !i->extents.block_bits)
		note_undone(a, i, p->h.ts_ns, p->h.ts_ns, &by, truncated_how(FP_SYS_OTHER));
}

/* ---- into the finding ---- */

static int write_deed(struct finding_deed *d, const struct dirtier *by, uint64_t ns,
		      const char *how)
{
	int err = finding_set(&d->how, how);

	d->at_ns = ns;
	if (err || !by || !by->tid)
		return err ? err : finding_set(&d->by, "");
	return finding_setf(&d->by, "%s/%u", by->comm[0] ? by->comm : "?", by->tid);
}

/* What shows that they were kept, or what undid them. */
static int write_why(struct finding_file *out, const struct extents_view *v)
{
	bool known = v->alloc_bytes != FINDING_BYTES_NONE;
	char bytes[NUM];

	if (!v->last)
		return finding_set(&out->extents_why, "");
	if (extents_view__is_lost(v))
		return finding_setf(&out->extents_why, "undone by %s", v->undone->how);
	return finding_setf(&out->extents_why, "%s%s%s%s%s", v->undone ? "made again after " : "",
			    v->undone ? v->undone->how : "not truncated since", known ? ", " : "",
			    known ? format_bytes(v->alloc_bytes, bytes, NUM) : "",
			    known ? " allocated in the window" : "");
}

static enum finding_extents verdict_of(const struct extents_view *v)
{
	if (!v->last)
		return FINDING_EXTENTS_UNKNOWN;
	return extents_view__is_lost(v) ? FINDING_EXTENTS_LOST : FINDING_EXTENTS_KEPT;
}

/* Without its tracepoints ext4 allocates unseen. */
static bool sees_allocations(const struct findings *f)
{
	for (size_t i = 0; i < f->hooks_cnt; i++)
		if (!strcmp(f->hooks[i].probe, "mballoc"))
			return strstr(f->hooks[i].hook, "ext4_");
	return true;
}

int extents_write(const struct analysis *a, struct finding_file *out,
		  const struct finding_window *fw, const struct inode_entry *i)
{
	struct extents_view v = extents__at(&i->extents, fw->begin_ns,
					    fw->begin_ns + fw->duration_ns);
	const struct extents_event *made = v.made, *undone = v.undone, *last = v.last;
	int err;

	if (!sees_allocations(a->f))
		v.alloc_bytes = FINDING_BYTES_NONE;
	out->extents = verdict_of(&v);
	out->alloc_bytes = v.alloc_bytes;
	out->preallocated_bytes = made ? made->bytes : 0;
	err = write_why(out, &v);
	if (!err)
		err = write_deed(&out->preallocated, made ? &made->by : NULL, made ? made->ns : 0,
				 "");
	if (!err)
		err = write_deed(&out->undone, undone ? &undone->by : NULL, undone ? undone->ns : 0,
				 undone ? undone->how : "");
	if (err || !last || !last->written_ns)
		return err ? err : write_deed(&out->written, NULL, 0, "");
	return write_deed(&out->written, &last->writer, last->written_ns, last->call);
}

static bool is_disk_of(const struct pending *p, uint32_t dev)
{
	const struct window_file *f;

	for (f = p->files; f; f = f->hh.next)
		if (f->inode->key.dev == dev && (f->bytes_written || f->fsync_call_ns))
			return true;
	return false;
}

/* Files of strangers are where they are large and on a disk that the window writes to. */
bool extents_concern(const struct pending *p, const struct inode_entry *i)
{
	struct extents_view v;

	if (i->ours)
		return true;
	v = extents__at(&i->extents, 0, UINT64_MAX);
	return v.made && v.made->bytes >= FOREIGN_MIN && is_disk_of(p, i->key.dev);
}

void extents_add_prepared(struct analysis *a, struct pending *p)
{
	const struct window *w = WINDOW(a, p->index);
	uint64_t since_ns = p->index ? WINDOW(a, p->index - 1)->end_ns : 0;
	struct inode_entry *i;
	struct window_file *f;

	for (i = a->files->preallocated; i; i = i->next_preallocated) {
		struct extents_view v = extents__at(&i->extents, w->begin_ns, w->end_ns);

		if (!v.last || v.last->ns < since_ns)
			continue;
		f = file_in(p, i);
		if (f)
			f->prepared = true;
	}
}
