// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "blame.h"

#include <errno.h>
#include <stdio.h>

#include "critical_path.h"
#include "files.h"

#define MAX_INODES 4096 /* the least recently dirtied give way */
#define KEPT	   4	/* dirtiers of one inode, latest last */
#define MAX_ROWS   64

struct inode_key {
	uint64_t ino;
	uint32_t dev;
	uint32_t zero;
};

struct dirtied {
	struct inode_key key;
	struct {
		uint64_t ns;
		struct dirtier who;
		bool exact;
	} by[KEPT];
	uint32_t cnt;
	UT_hash_handle hh;
};

/* ---- who dirtied what ---- */

static struct dirtied *find_inode(const struct dirtiers *d, uint32_t dev, uint64_t ino)
{
	struct inode_key key = { .ino = ino, .dev = dev };
	struct dirtied *i = NULL;

	HASH_FIND(hh, d->inodes, &key, sizeof(key), i);
	return i;
}

/* Found again or new, it stands last from now on. */
static struct dirtied *touch(struct dirtiers *d, uint32_t dev, uint64_t ino)
{
	struct dirtied *i = find_inode(d, dev, ino), *oldest = d->inodes;

	if (i)
		HASH_DEL(d->inodes, i);
	else
		i = calloc(1, sizeof(*i));
	if (!i)
		return NULL;
	if (HASH_COUNT(d->inodes) >= MAX_INODES) {
		HASH_DEL(d->inodes, oldest);
		free(oldest);
	}
	i->key = (struct inode_key){ .ino = ino, .dev = dev };
	HASH_ADD(hh, d->inodes, key, sizeof(i->key), i);
	if (i->hh.tbl)
		return i;
	free(i);
	return NULL;
}

void dirtiers__note(struct dirtiers *d, uint32_t dev, uint64_t ino, const struct dirtier *by,
		    uint64_t ns, bool exact)
{
	struct dirtied *i = ino ? touch(d, dev, ino) : NULL;

	if (!i)
		return;
	if (!exact && i->cnt && i->by[i->cnt - 1].exact)
		return;
	if (i->cnt && i->by[i->cnt - 1].who.tid == by->tid) {
		i->by[i->cnt - 1].exact |= exact;
		return;
	}
	if (i->cnt == KEPT)
		memmove(i->by, i->by + 1, --i->cnt * sizeof(i->by[0]));
	i->by[i->cnt].ns = ns;
	i->by[i->cnt].who = *by;
	i->by[i->cnt++].exact = exact;
}

struct dirtier dirtiers__at(const struct dirtiers *d, uint32_t dev, uint64_t ino, uint64_t ns)
{
	const struct dirtied *i = find_inode(d, dev, ino);
	struct dirtier who = { 0 };

	for (uint32_t n = 0; i && n < i->cnt; n++)
		if (!n || i->by[n].ns <= ns)
			who = i->by[n].who;
	return who;
}

void dirtiers__free(struct dirtiers *d)
{
	struct dirtied *i, *next;

	HASH_ITER (hh, d->inodes, i, next) {
		HASH_DEL(d->inodes, i);
		free(i);
	}
}

/* ---- the path's time by inode ---- */

struct blame_row {
	uint64_t ino; /* 0 = only the device is known */
	uint32_t dev;
	struct dirtier by; /* or who submitted it; tid 0 = not seen */
	uint64_t ns;
};

struct blame {
	struct analysis *a;
	struct blame_row rows[MAX_ROWS];
	size_t cnt;
};

static void add_row(struct blame *b, uint32_t dev, uint64_t ino, struct dirtier by, uint64_t ns)
{
	if (!ns)
		return;
	for (size_t i = 0; i < b->cnt; i++) {
		struct blame_row *r = &b->rows[i];

		if (r->dev == dev && r->ino == ino && r->by.tid == by.tid) {
			r->ns += ns;
			return;
		}
	}
	if (b->cnt < MAX_ROWS)
		b->rows[b->cnt++] =
			(struct blame_row){ .ino = ino, .dev = dev, .by = by, .ns = ns };
}

/* The file that a thread syncs by its own hand at `ns`. */
static struct inode_mark synced_at(const struct thread *t, uint64_t ns)
{
	static const int lists[] = { FP_SPAN_EXT4_WRITEPAGES, FP_SPAN_EXT4_SYNC };

	for (size_t l = 0; l < 2; l++) {
		const struct span *s = thread__span_at(t, lists[l], ns);

		if (s)
			return (struct inode_mark){ .ino = s->arg, .dev = s->dev };
	}
	return (struct inode_mark){ 0 };
}

struct dirtier dirtier_of(const struct thread *t, uint32_t tid)
{
	struct dirtier by = { .tid = tid };

	if (t)
		memcpy(by.comm, t->comm, sizeof(by.comm));
	return by;
}

static void blame_request(struct blame *b, const struct done *r, uint64_t ns)
{
	struct inode_mark m = { .ino = r->ino, .dev = r->ino_dev };
	uint32_t tid = r->submitters ? r->submitter[0] : 0;
	const struct thread *t = tid ? timeline__thread_at(&b->a->tl, tid, r->queue_ns) : NULL;

	if (OPF_OP(r->opf) == 0) /* a read writes nobody's data */
		return;
	if (!m.ino && t)
		m = synced_at(t, r->queue_ns);
	if (!m.ino)
		add_row(b, r->dev, 0, dirtier_of(t, tid), ns);
	else
		add_row(b, m.dev, m.ino, dirtiers__at(&b->a->dirtiers, m.dev, m.ino, r->queue_ns),
			ns);
}

/* What the device completed meanwhile, by bytes. */
static bool blame_device(struct blame *b, uint32_t dev, uint64_t lo, uint64_t hi)
{
	const struct devices *d = &b->a->devices;
	size_t first = devices__done_after(d, lo), end = devices__done_after(d, hi + 1);
	uint64_t bytes = 0;

	for (size_t i = first; i < end; i++) {
		const struct done *r = VEC_AT(&d->done, struct done, i);

		bytes += r->dev == dev ? r->bytes : 0;
	}
	for (size_t i = first; bytes && i < end; i++) {
		const struct done *r = VEC_AT(&d->done, struct done, i);

		if (r->dev == dev)
			blame_request(b, r, (unsigned __int128)(hi - lo) * r->bytes / bytes);
	}
	return bytes;
}

static void blame_piece(struct blame *b, const struct path_piece *p, uint32_t dev)
{
	struct inode_mark m = { 0 };

	if (p->rq) { /* it stood behind all that the device did meanwhile */
		if (!blame_device(b, p->rq->dev, p->lo, p->hi))
			blame_request(b, p->rq, p->hi - p->lo);
		return;
	}
	if (p->t && p->t->kthread)
		m = thread__inode_at(p->t, p->lo);
	if (m.ino)
		add_row(b, m.dev, m.ino, dirtiers__at(&b->a->dirtiers, m.dev, m.ino, p->lo),
			p->hi - p->lo);
	else if (waits_for_device(p->cause))
		blame_device(b, dev, p->lo, p->hi);
}

static int compare_rows(const void *x, const void *y)
{
	const struct blame_row *a = x, *b = y;

	if (a->ns != b->ns)
		return a->ns > b->ns ? -1 : 1;
	if (a->dev != b->dev)
		return a->dev < b->dev ? -1 : 1;
	if (a->ino != b->ino)
		return a->ino < b->ino ? -1 : 1;
	return a->by.tid < b->by.tid ? -1 : a->by.tid > b->by.tid;
}

static int write_row(struct blame *b, struct finding_window *fw, const struct blame_row *r)
{
	struct finding_blame *out = FINDING_APPEND(&fw->blame, &fw->blame_cnt);
	const char *path = r->ino ? files__path(b->a->files, r->dev, r->ino) : "";
	int err;

	if (!out)
		return -ENOMEM;
	out->ns = r->ns;
	if (path[0])
		err = finding_set(&out->file, path);
	else if (r->ino)
		err = finding_setf(&out->file, "%u:%u:%llu", r->dev >> 20, r->dev & 0xfffff,
				   (unsigned long long)r->ino);
	else
		err = finding_setf(&out->file, "%u:%u", r->dev >> 20, r->dev & 0xfffff);
	if (err || !r->by.tid)
		return err ? err : finding_set(&out->dirtied_by, "");
	return finding_setf(&out->dirtied_by, "%s/%u", r->by.comm[0] ? r->by.comm : "?", r->by.tid);
}

int blame__window(struct analysis *a, uint32_t w, const struct path *p, uint32_t dev)
{
	struct finding_window *fw = &a->f->windows[w];
	struct blame b = { .a = a };
	int err = 0;

	for (size_t i = 0; i < vec__cnt(&p->pieces); i++)
		blame_piece(&b, VEC_AT(&p->pieces, struct path_piece, i), dev);
	qsort(b.rows, b.cnt, sizeof(b.rows[0]), compare_rows);
	for (size_t i = 0; !err && i < b.cnt; i++)
		err = write_row(&b, fw, &b.rows[i]);
	return err;
}
