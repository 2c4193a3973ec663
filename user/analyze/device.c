// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "device.h"

#include <errno.h>
#include <stdlib.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

/* Bios that are merged or split away are never seen again; damage must not fill memory either. */
#define MAX_LIVE 65536
/* What balance_dirty_pages said longer ago is no measure of what is dirty now. */
#define DIRTY_FRESH_NS 1000000000ull

struct place {
	uint64_t sector;
	uint32_t dev;
	uint32_t zero;
};

struct bio_entry {
	struct place at;
	uint64_t queue_ns;
	UT_hash_handle hh;
};

struct rq_entry {
	uint32_t rq;
	struct done done;
	UT_hash_handle hh;
};

struct step {
	uint64_t ns;
	uint64_t all, old; /* bytes completed in the window up to here, this one included */
};

static struct device *device_of(struct devices *d, uint32_t dev)
{
	for (uint32_t i = 0; i < d->cnt; i++)
		if (d->dev[i].dev == dev)
			return &d->dev[i];
	if (d->cnt == DEVICES_MAX)
		return NULL;
	d->dev[d->cnt] = (struct device){ .dev = dev };
	return &d->dev[d->cnt++];
}

void devices__written(struct devices *d, uint32_t dev, uint64_t bytes)
{
	struct device *v = device_of(d, dev);

	if (v)
		v->written_bytes += bytes;
}

static struct bio_entry *find_bio(struct devices *d, uint32_t dev, uint64_t sector)
{
	struct place at = { .sector = sector, .dev = dev };
	struct bio_entry *b = NULL;

	HASH_FIND(hh, d->bios, &at, sizeof(at), b);
	return b;
}

static void drop_bio(struct devices *d, struct bio_entry *b)
{
	if (!b)
		return;
	HASH_DEL(d->bios, b);
	free(b);
}

static void on_bio(struct devices *d, const struct ev_bio *ev)
{
	struct bio_entry *b = find_bio(d, ev->dev, ev->sector);
	struct device *v;

	if (FP_ACT(ev->bio_act) == FP_BIO_MERGE) {
		drop_bio(d, b);
		return;
	}
	if (FP_ACT(ev->bio_act) != FP_BIO_QUEUE)
		return;
	v = OPF_OP(ev->opf) == OP_WRITE ? device_of(d, ev->dev) : NULL;
	if (v)
		v->queued_bytes += ev->bytes;
	if (b) {
		b->queue_ns = ev->h.ts_ns;
		return;
	}
	if (HASH_COUNT(d->bios) >= MAX_LIVE)
		return;
	b = calloc(1, sizeof(*b));
	if (!b) {
		d->no_memory = true;
		return;
	}
	b->at = (struct place){ .sector = ev->sector, .dev = ev->dev };
	b->queue_ns = ev->h.ts_ns;
	HASH_ADD(hh, d->bios, at, sizeof(b->at), b);
	if (!b->hh.tbl) {
		d->no_memory = true;
		free(b);
	}
}

static struct rq_entry *rq_of(struct devices *d, uint32_t rq, bool add)
{
	struct rq_entry *r = NULL;

	HASH_FIND(hh, d->rqs, &rq, sizeof(rq), r);
	if (r || !add || HASH_COUNT(d->rqs) >= MAX_LIVE)
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

static void on_rq_begin(struct devices *d, const struct ev_rq *ev, bool issue)
{
	struct rq_entry *r = rq_of(d, FP_ID(ev->rq_act), true);
	struct bio_entry *b;

	if (!r)
		return;
	b = find_bio(d, ev->dev, ev->sector);
	if (b || !r->done.queue_ns) {
		r->done.queue_ns = b ? b->queue_ns : ev->h.ts_ns;
		drop_bio(d, b);
	}
	r->done.dev = ev->dev;
	r->done.bytes = ev->bytes;
	r->done.opf = ev->opf;
	r->done.rq = r->rq;
	if (issue)
		r->done.issue_ns = ev->h.ts_ns;
}

static void on_rq_complete(struct devices *d, const struct ev_rq *ev, uint64_t keep_ns)
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

static void on_dirty(struct devices *d, const struct ev_dirty *ev)
{
	struct device *v = device_of(d, ev->dev);

	if (!v)
		return;
	v->bdi_dirty_bytes = (uint64_t)ev->bdi_dirty_pages * 4096;
	v->bdi_dirty_ns = ev->h.ts_ns;
}

void devices__event(struct devices *d, const struct trace_event *ev, uint64_t keep_ns)
{
	const void *rec = ev->hdr;
	const struct ev_rq *rq = rec;

	switch (ev->hdr->kind) {
	case EV_BIO:
		on_bio(d, rec);
		break;
	case EV_DIRTY:
		on_dirty(d, rec);
		break;
	case EV_RQ:
		if (FP_ACT(rq->rq_act) == FP_RQ_INSERT)
			on_rq_begin(d, rq, false);
		else if (FP_ACT(rq->rq_act) == FP_RQ_ISSUE)
			on_rq_begin(d, rq, true);
		else if (FP_ACT(rq->rq_act) == FP_RQ_COMPLETE)
			on_rq_complete(d, rq, keep_ns);
		break;
	default:
		break;
	}
}

void devices__backlog(const struct devices *d, uint64_t now_ns, struct backlog *out)
{
	out->cnt = 0;
	for (uint32_t i = 0; i < d->cnt; i++) {
		const struct device *v = &d->dev[i];
		uint64_t bytes = 0;

		if (v->written_bytes > v->queued_bytes)
			bytes = v->written_bytes - v->queued_bytes;
		else if (v->bdi_dirty_ns && now_ns - v->bdi_dirty_ns < DIRTY_FRESH_NS)
			bytes = v->bdi_dirty_bytes;
		out->of[out->cnt].dev = v->dev;
		out->of[out->cnt++].bytes = bytes;
	}
}

void devices__trim(struct devices *d, uint64_t ns)
{
	size_t n = 0;

	while (n < vec__cnt(&d->done) && VEC_AT(&d->done, struct done, n)->complete_ns < ns)
		n++;
	vec__drop(&d->done, n);
}

void devices__free(struct devices *d)
{
	struct bio_entry *b, *b_next;
	struct rq_entry *r, *r_next;

	HASH_ITER (hh, d->bios, b, b_next)
		drop_bio(d, b);
	HASH_ITER (hh, d->rqs, r, r_next) {
		HASH_DEL(d->rqs, r);
		free(r);
	}
	vec__free(&d->done);
}

/* ---- carry-over ---- */

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

static bool listed(uint32_t dev, const uint32_t *devs, size_t cnt)
{
	for (size_t i = 0; i < cnt; i++)
		if (devs[i] == dev)
			return true;
	return false;
}

/* The device that completed most in the window, of those listed if any of them did anything. */
static uint32_t busiest(const struct devices *d, uint64_t begin, uint64_t end, const uint32_t *devs,
			size_t devs_cnt)
{
	uint64_t bytes[DEVICES_MAX] = { 0 };
	uint32_t best = 0;
	uint64_t best_bytes = 0;
	bool best_listed = false;

	for (size_t i = devices__done_after(d, begin); i < vec__cnt(&d->done); i++) {
		const struct done *r = VEC_AT(&d->done, struct done, i);

		if (r->complete_ns >= end)
			break;
		for (uint32_t k = 0; k < d->cnt; k++)
			if (d->dev[k].dev == r->dev)
				bytes[k] += r->bytes;
	}
	for (uint32_t k = 0; k < d->cnt; k++) {
		bool is_listed = listed(d->dev[k].dev, devs, devs_cnt);

		if (!bytes[k] || (best_listed && !is_listed))
			continue;
		if (bytes[k] > best_bytes || (is_listed && !best_listed)) {
			best = d->dev[k].dev;
			best_bytes = bytes[k];
			best_listed = is_listed;
		}
	}
	return best;
}

int carry__new(struct carry *c, const struct devices *d, const struct backlog *backlog,
	       uint64_t begin_ns, uint64_t end_ns, const uint32_t *devs, size_t devs_cnt)
{
	uint64_t budget = 0;

	memset(c, 0, sizeof(*c));
	c->dev = busiest(d, begin_ns, end_ns, devs, devs_cnt);
	if (!c->dev)
		return 0;
	for (uint32_t i = 0; i < backlog->cnt; i++)
		if (backlog->of[i].dev == c->dev)
			budget = backlog->of[i].bytes;
	c->backlog_bytes = budget;
	for (size_t i = devices__done_after(d, begin_ns); i < vec__cnt(&d->done); i++) {
		const struct done *r = VEC_AT(&d->done, struct done, i);
		struct step *s;
		uint64_t old = 0;

		if (r->complete_ns >= end_ns)
			break;
		if (r->dev != c->dev)
			continue;
		if (r->queue_ns < begin_ns) {
			old = r->bytes;
		} else if (OPF_OP(r->opf) == OP_WRITE && !(r->opf & OPF_SYNC)) {
			old = r->bytes < budget ? r->bytes : budget;
			budget -= old;
		}
		c->bytes += r->bytes;
		c->old_bytes += old;
		s = VEC_PUSH(&c->steps, struct step);
		if (!s)
			return -ENOMEM;
		*s = (struct step){ .ns = r->complete_ns, .all = c->bytes, .old = c->old_bytes };
	}
	return 0;
}

/* The running sums just before `ns`. */
static struct step sums_before(const struct carry *c, uint64_t ns)
{
	size_t lo = 0, hi = vec__cnt(&c->steps);

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (VEC_AT(&c->steps, struct step, mid)->ns < ns)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo ? *VEC_AT(&c->steps, struct step, lo - 1) : (struct step){ 0 };
}

uint64_t carry__ns(const struct carry *c, uint64_t a, uint64_t b)
{
	/* A wait ends by a completion: the one at its very end belongs to it. */
	struct step from = sums_before(c, a), to = sums_before(c, b + 1);
	uint64_t all = to.all - from.all, old = to.old - from.old;

	if (!all)
		return 0;
	return (unsigned __int128)(b - a) * old / all;
}

void carry__free(struct carry *c)
{
	vec__free(&c->steps);
}
