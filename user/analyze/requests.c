// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The life of a request: bios are queued, get a request or are merged into one, requests are
 * inserted, issued and completed. A bio is known by its place on the device: of a bio that is split
 * the first part keeps the place, the rest the number.
 */
#include "device.h"

#include <errno.h>
#include <stdlib.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

/* Bios whose end is never told, and damage, must not fill memory: the oldest give way. */
#define MAX_BIOS     16384
#define MAX_REQUESTS 65536

/* A completion precedes the wake that it causes by this at most, or by a clock's error. */
#define COMPLETION_NS 2000000ull
#define SKEW_NS	      2000

struct place {
	uint64_t sector;
	uint32_t dev;
	uint32_t zero;
};

struct bio_entry {
	struct place at, end;
	uint32_t id;
	struct done done; /* what is known of the request that it becomes */
	UT_hash_handle hh, hh_end, hh_id;
};

struct rq_entry {
	uint32_t rq;
	struct done done;
	uint64_t sector;
	bool requeued;
	UT_hash_handle hh;
};

/* ---- bios ---- */

static struct bio_entry *bio_at(const struct devices *d, uint32_t dev, uint64_t sector)
{
	struct place at = { .sector = sector, .dev = dev };
	struct bio_entry *b = NULL;

	HASH_FIND(hh, d->bios, &at, sizeof(at), b);
	return b;
}

static struct bio_entry *bio_before(const struct devices *d, uint32_t dev, uint64_t sector)
{
	struct place end = { .sector = sector, .dev = dev };
	struct bio_entry *b = NULL;

	HASH_FIND(hh_end, d->bios_end, &end, sizeof(end), b);
	return b;
}

static struct bio_entry *bio_of(const struct devices *d, uint32_t id)
{
	struct bio_entry *b = NULL;

	HASH_FIND(hh_id, d->bios_id, &id, sizeof(id), b);
	return b;
}

static void drop_bio(struct devices *d, struct bio_entry *b)
{
	if (!b)
		return;
	HASH_DELETE(hh, d->bios, b);
	if (b->hh_end.tbl)
		HASH_DELETE(hh_end, d->bios_end, b);
	if (b->hh_id.tbl)
		HASH_DELETE(hh_id, d->bios_id, b);
	free(b);
}

static struct bio_entry *add_bio(struct devices *d, const struct ev_bio *ev)
{
	struct bio_entry *b = calloc(1, sizeof(*b));

	if (HASH_CNT(hh, d->bios) >= MAX_BIOS)
		drop_bio(d, d->bios);
	if (b) {
		b->at = (struct place){ .sector = ev->sector, .dev = ev->dev };
		HASH_ADD(hh, d->bios, at, sizeof(b->at), b);
	}
	if (b && b->hh.tbl)
		return b;
	free(b);
	d->no_memory = true;
	return NULL;
}

static void index_id(struct devices *d, struct bio_entry *b, uint32_t id)
{
	struct bio_entry *before = bio_of(d, id);

	if (before)
		HASH_DELETE(hh_id, d->bios_id, before);
	if (before)
		before->hh_id.tbl = NULL;
	b->id = id;
	HASH_ADD(hh_id, d->bios_id, id, sizeof(b->id), b);
}

/* Several may end at one place, in damaged input: any of them will do. */
static void index_end(struct devices *d, struct bio_entry *b, uint64_t sector)
{
	if (b->hh_end.tbl)
		HASH_DELETE(hh_end, d->bios_end, b);
	b->end = (struct place){ .sector = sector, .dev = b->at.dev };
	HASH_ADD(hh_end, d->bios_end, end, sizeof(b->end), b);
}

static void on_queue(struct devices *d, const struct ev_bio *ev, const struct inode_mark *inode)
{
	struct bio_entry *b;

	drop_bio(d, bio_at(d, ev->dev, ev->sector));
	b = add_bio(d, ev);
	if (!b)
		return;
	index_id(d, b, FP_ID(ev->bio_act));
	index_end(d, b, ev->sector + ev->bytes / 512);
	b->done.queue_ns = ev->h.ts_ns;
	b->done.submitter[0] = ev->h.tid;
	b->done.submitters = 1;
	b->done.ino = inode->ino;
	b->done.ino_dev = inode->dev;
}

static void on_getrq(struct devices *d, const struct ev_bio *ev)
{
	struct bio_entry *b = bio_at(d, ev->dev, ev->sector), *whole;

	if (!b) { /* the rest of one that was split */
		whole = bio_of(d, FP_ID(ev->bio_act));
		if (!whole || whole->at.dev != ev->dev)
			return;
		b = add_bio(d, ev);
		if (!b)
			return;
		whole = bio_of(d, FP_ID(ev->bio_act));
		if (whole)
			b->done = whole->done;
		index_id(d, b, FP_ID(ev->bio_act));
	}
	index_end(d, b, ev->sector + ev->bytes / 512);
	b->done.getrq_ns = ev->h.ts_ns;
	b->done.getrq_tid = ev->h.tid;
}

static void add_submitters(struct done *to, const struct done *more)
{
	bool earlier = more->queue_ns < to->queue_ns;

	for (int i = 0; i < more->submitters && i < SUBMITTERS; i++) {
		int k = 0;

		while (k < to->submitters && to->submitter[k] != more->submitter[i])
			k++;
		if (k == to->submitters && to->submitters < SUBMITTERS)
			to->submitter[to->submitters++] = more->submitter[i];
		if (k < SUBMITTERS && i == 0 && earlier) {
			to->submitter[k] = to->submitter[0];
			to->submitter[0] = more->submitter[0];
		}
	}
	if (earlier) {
		to->queue_ns = more->queue_ns;
		to->ino = more->ino;
		to->ino_dev = more->ino_dev;
	}
	to->merged += 1 + more->merged;
}

static void move_bio(struct devices *d, struct bio_entry *b, uint64_t sector)
{
	HASH_DELETE(hh, d->bios, b);
	b->at.sector = sector;
	HASH_ADD(hh, d->bios, at, sizeof(b->at), b);
}

/* The bio goes into a request before it (back merge) or behind it (front merge). */
static void on_merge(struct devices *d, const struct ev_bio *ev)
{
	uint64_t end = ev->sector + ev->bytes / 512;
	struct bio_entry *b = bio_at(d, ev->dev, ev->sector);
	struct bio_entry *into = bio_before(d, ev->dev, ev->sector);
	bool back = into && into != b;

	if (!back)
		into = bio_at(d, ev->dev, end);
	if (into && into != b) {
		struct done more = { .queue_ns = ev->h.ts_ns,
				     .submitter = { ev->h.tid },
				     .submitters = 1 };

		add_submitters(&into->done, b ? &b->done : &more);
	}
	drop_bio(d, b);
	if (!into || into == b)
		return;
	if (back)
		index_end(d, into, end);
	else
		move_bio(d, into, ev->sector);
}

void requests__bio(struct devices *d, const struct ev_bio *ev, const struct inode_mark *inode)
{
	switch (FP_ACT(ev->bio_act)) {
	case FP_BIO_QUEUE:
		return on_queue(d, ev, inode);
	case FP_BIO_GETRQ:
		return on_getrq(d, ev);
	case FP_BIO_MERGE:
		return on_merge(d, ev);
	}
}

/* ---- requests ---- */

static struct rq_entry *rq_of(struct devices *d, uint32_t rq, bool add)
{
	struct rq_entry *r = NULL;

	HASH_FIND(hh, d->rqs, &rq, sizeof(rq), r);
	if (r || !add || HASH_COUNT(d->rqs) >= MAX_REQUESTS)
		return r;
	r = calloc(1, sizeof(*r));
	if (!r) {
		d->no_memory = true;
		return NULL;
	}
	r->rq = rq;
	HASH_ADD(hh, d->rqs, rq, sizeof(r->rq), r);
	if (r->hh.tbl)
		return r;
	d->no_memory = true;
	free(r);
	return NULL;
}

/* The completion of the one that had this number before was not told. */
static bool another_generation(const struct rq_entry *r, const struct ev_rq *ev, bool issue)
{
	if (!r->done.rq)
		return false;
	if (ev->dev != r->done.dev || ev->sector != r->sector)
		return true;
	return r->done.issue_ns && !issue && !r->requeued;
}

static void on_begin(struct devices *d, const struct ev_rq *ev, bool issue)
{
	struct rq_entry *r = rq_of(d, FP_ID(ev->rq_act), true);
	struct bio_entry *b;

	if (!r)
		return;
	if (another_generation(r, ev, issue))
		memset(&r->done, 0, sizeof(r->done));
	b = bio_at(d, ev->dev, ev->sector);
	if (b) {
		uint64_t inserted = r->done.insert_ns;

		r->done = b->done;
		r->done.insert_ns = inserted;
	}
	if (!r->done.queue_ns)
		r->done.queue_ns = ev->h.ts_ns;
	r->sector = ev->sector;
	r->requeued = false;
	r->done.dev = ev->dev;
	r->done.bytes = ev->bytes;
	r->done.opf = ev->opf;
	r->done.rq = r->rq;
	if (issue) { /* from here on nothing is merged into it any more */
		r->done.issue_ns = ev->h.ts_ns;
		drop_bio(d, b);
	} else {
		r->done.insert_ns = ev->h.ts_ns;
	}
}

static void on_complete(struct devices *d, const struct ev_rq *ev, uint64_t keep_ns)
{
	struct rq_entry *r = rq_of(d, FP_ID(ev->rq_act), false);
	struct done *done;

	if (!r)
		return;
	/* A partial completion is counted with its bytes; the request's number is free after it. */
	if (ev->h.ts_ns >= keep_ns) {
		done = VEC_PUSH(&d->done, struct done);
		if (done) {
			*done = r->done;
			done->complete_ns = ev->h.ts_ns;
			if (ev->bytes)
				done->bytes = ev->bytes;
		} else {
			d->no_memory = true;
		}
	}
	HASH_DEL(d->rqs, r);
	free(r);
}

void requests__rq(struct devices *d, const struct ev_rq *ev, uint64_t keep_ns)
{
	struct rq_entry *r;

	switch (FP_ACT(ev->rq_act)) {
	case FP_RQ_INSERT:
		return on_begin(d, ev, false);
	case FP_RQ_ISSUE:
		return on_begin(d, ev, true);
	case FP_RQ_COMPLETE:
		return on_complete(d, ev, keep_ns);
	case FP_RQ_REQUEUE:
		r = rq_of(d, FP_ID(ev->rq_act), false);
		if (r)
			r->requeued = true;
		return;
	}
}

void requests__free(struct devices *d)
{
	struct rq_entry *r, *next;

	while (d->bios)
		drop_bio(d, d->bios);
	HASH_ITER (hh, d->rqs, r, next) {
		HASH_DEL(d->rqs, r);
		free(r);
	}
}

/* ---- completed ones ---- */

size_t devices__done_after(const struct devices *d, uint64_t ns)
{
	size_t lo = 0, hi = vec__cnt(&d->done);

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (VEC_AT(&d->done, struct done, mid)->complete_ns < ns)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct done *devices__completed(const struct devices *d, uint32_t rq, uint64_t ns)
{
	size_t n = devices__done_after(d, ns + SKEW_NS + 1);

	while (n-- > 0) {
		struct done *r = VEC_AT(&d->done, struct done, n);

		if (r->complete_ns + COMPLETION_NS < ns)
			return NULL;
		if (r->rq == rq)
			return r;
	}
	return NULL;
}
