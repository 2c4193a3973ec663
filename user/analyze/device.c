// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "device.h"

#include <errno.h>
#include <stdlib.h>

/* What balance_dirty_pages said longer ago is no measure of what is dirty now. */
#define DIRTY_FRESH_NS 1000000000ull

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

static void on_dirty(struct devices *d, const struct ev_dirty *ev)
{
	struct device *v = device_of(d, ev->dev);

	if (!v)
		return;
	v->bdi_dirty_bytes = (uint64_t)ev->bdi_dirty_pages * 4096;
	v->bdi_dirty_ns = ev->h.ts_ns;
}

/* Writes that reach the device are no backlog any more. */
static void on_bio(struct devices *d, const struct ev_bio *ev)
{
	struct device *v;

	if (FP_ACT(ev->bio_act) != FP_BIO_QUEUE || OPF_OP(ev->opf) != OP_WRITE)
		return;
	v = device_of(d, ev->dev);
	if (v)
		v->queued_bytes += ev->bytes;
}

void devices__event(struct devices *d, const struct trace_event *ev, uint64_t keep_ns,
		    const struct inode_mark *inode)
{
	const void *rec = ev->hdr;

	switch (ev->hdr->kind) {
	case EV_BIO:
		on_bio(d, rec);
		return requests__bio(d, rec, inode);
	case EV_DIRTY:
		return on_dirty(d, rec);
	case EV_RQ:
		return requests__rq(d, rec, keep_ns);
	default:
		return;
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
	requests__free(d);
	vec__free(&d->done);
}

/* ---- carry-over ---- */

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
