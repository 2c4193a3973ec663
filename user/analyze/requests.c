// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The life of a request: bios are queued, get a request or are merged into one, requests are
 * inserted, issued and completed. A bio is known by its place on the device; its number changes when
 * it is split.
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
#define COMPLETED_MAX 8192 /* in that time, at four million requests a second */
#define SKEW_NS	      2000

struct place {
	uint64_t sector;
	uint32_t dev;
	uint32_t zero;
};

struct bio_entry {
	struct place at, end;
	uint32_t bytes, opf;
	struct done done; /* what is known of the request that it becomes */
	UT_hash_handle hh, hh_end;
};

struct rq_entry {
	uint32_t rq;
	struct done done;
	uint64_t sector;
	bool requeued;
	bool flushes;	    /* the device has no FUA: it is flushed before or behind it */
	struct done before; /* that had the number until reused_ns, and is not complete yet */
	uint64_t before_sector, reused_ns;
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

static void drop_bio(struct devices *d, struct bio_entry *b)
{
	if (!b)
		return;
	HASH_DELETE(hh, d->bios, b);
	if (b->hh_end.tbl)
		HASH_DELETE(hh_end, d->bios_end, b);
	free(b);
}

static struct bio_entry *add_bio(struct devices *d, uint32_t dev, uint64_t sector, uint32_t bytes)
{
	struct bio_entry *b = calloc(1, sizeof(*b));

	drop_bio(d, bio_at(d, dev, sector));
	if (HASH_CNT(hh, d->bios) >= MAX_BIOS)
		drop_bio(d, d->bios);
	if (b) {
		b->at = (struct place){ .sector = sector, .dev = dev };
		b->bytes = bytes;
		HASH_ADD(hh, d->bios, at, sizeof(b->at), b);
	}
	if (b && b->hh.tbl)
		return b;
	free(b);
	d->no_memory = true;
	return NULL;
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
	struct bio_entry *b = add_bio(d, ev->dev, ev->sector, ev->bytes);

	if (!b)
		return;
	index_end(d, b, ev->sector + ev->bytes / 512);
	b->opf = ev->opf;
	b->done.queue_ns = ev->h.ts_ns;
	b->done.submitter[0] = ev->h.tid;
	b->done.submitters = 1;
	b->done.ino = inode->ino;
	b->done.ino_dev = inode->dev;
}

/* A bio that is larger than a request may be comes in parts: the rest was queued with the first. */
static void split_off(struct devices *d, const struct bio_entry *b, uint32_t bytes)
{
	const struct done of_both = b->done;
	struct bio_entry *rest = add_bio(d, b->at.dev, b->at.sector + bytes / 512,
					 b->bytes - bytes);

	if (rest)
		rest->done = of_both;
}

static void on_getrq(struct devices *d, const struct ev_bio *ev)
{
	struct bio_entry *b = bio_at(d, ev->dev, ev->sector);

	if (!b)
		return;
	if (ev->bytes && ev->bytes < b->bytes)
		split_off(d, b, ev->bytes);
	b = bio_at(d, ev->dev, ev->sector); /* unless it was the oldest, and gave way to its rest */
	if (!b)
		return;
	b->bytes = ev->bytes;
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
	if (another_generation(r, ev, issue)) {
		r->before = r->done;
		r->before_sector = r->sector;
		r->reused_ns = ev->h.ts_ns;
		memset(&r->done, 0, sizeof(r->done));
		r->flushes = false;
	}
	b = bio_at(d, ev->dev, ev->sector);
	if (b) {
		uint64_t inserted = r->done.insert_ns;

		r->done = b->done;
		r->flushes = (b->opf & (OPF_PREFLUSH | OPF_FUA)) && !(ev->opf & OPF_FUA);
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

static void add_done(struct devices *d, const struct done *of, const struct ev_rq *ev,
		     uint64_t keep_ns)
{
	struct done *done;

	if (ev->h.ts_ns < keep_ns)
		return;
	done = VEC_PUSH(&d->done, struct done);
	if (!done) {
		d->no_memory = true;
		return;
	}
	*done = *of;
	done->complete_ns = ev->h.ts_ns;
	if (done->issue_ns >
	    done->complete_ns) /* a record that was interrupted while it was made */
		done->issue_ns = done->complete_ns;
	if (ev->bytes)
		done->bytes = ev->bytes;
}

/* The end of a request that was flushed around: all since its admission was for that. */
static void add_flush(struct devices *d, const struct done *of, const struct ev_rq *ev,
		      uint64_t keep_ns)
{
	struct done flush = *of;

	flush.rq = FP_ID(ev->rq_act);
	flush.dev = ev->dev;
	flush.bytes = 0;
	flush.opf = ev->opf | OPF_PREFLUSH;
	flush.issue_ns = of->getrq_ns ? of->getrq_ns : of->queue_ns;
	flush.insert_ns = 0;
	add_done(d, &flush, ev, keep_ns);
}

/* A clock that is behind lets the next one begin before the one with its number is complete. */
static bool of_generation_before(const struct rq_entry *r, const struct ev_rq *ev)
{
	return r->before.rq && ev->h.ts_ns <= r->reused_ns + SKEW_NS && ev->dev == r->before.dev &&
	       ev->sector == r->before_sector && ev->sector != r->sector;
}

static void on_complete(struct devices *d, const struct ev_rq *ev, uint64_t keep_ns)
{
	struct rq_entry *r = rq_of(d, FP_ID(ev->rq_act), false);
	struct bio_entry *b = r ? NULL : bio_at(d, ev->dev, ev->sector);

	if (b && !ev->bytes && (b->opf & OPF_PREFLUSH)) { /* nothing but a flush: never issued */
		add_flush(d, &b->done, ev, keep_ns);
		drop_bio(d, b);
	}
	if (!r)
		return;
	if (of_generation_before(r, ev)) {
		add_done(d, &r->before, ev, keep_ns);
		r->before.rq = 0;
		return;
	}
	if (r->flushes && !ev->bytes)
		add_flush(d, &r->done, ev, keep_ns);
	else
		add_done(d, &r->done, ev, keep_ns);
	if (r->flushes && ev->bytes)
		return; /* its data is through; its end is still to come */
	/* A partial completion is counted with its bytes; the request's number is free after it. */
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
	size_t n = devices__done_after(d, ns + SKEW_NS + 1), left = COMPLETED_MAX;

	while (n-- > 0 && left-- > 0) {
		struct done *r = VEC_AT(&d->done, struct done, n);

		if (r->complete_ns + COMPLETION_NS < ns)
			return NULL;
		if (r->rq == rq)
			return r;
	}
	return NULL;
}
