// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Counts, per pending window, what confirms or rejects a cause. */
#include "analysis.h"

static bool from_target(const struct analysis *a, uint32_t tid)
{
	const struct thread *t = timeline__thread(&a->tl, tid);

	return t && t->target;
}

static void on_point(struct evidence *e, const struct ev_point *p)
{
	switch (p->op) {
	case FP_POINT_WBT_LAT:
	case FP_POINT_WBT_STEP:
	case FP_POINT_WBT_TIMER:
		e->wbt_points++;
		break;
	case FP_POINT_JBD2_START:
	case FP_POINT_JBD2_END:
		e->commits++; /* halved by whoever reads it: one that is cut counts as well */
		break;
	default:
		break;
	}
}

static void on_span(const struct analysis *a, struct evidence *e, const struct window *w,
		    const struct ev_span *s)
{
	uint64_t ns = overlap_ns(w, s->begin_ns, s->h.ts_ns);

	if (s->op == FP_SPAN_EXT4_ALLOC && ns && from_target(a, s->h.tid)) {
		e->alloc_ns += ns;
		e->allocs++;
	} else if (s->op == FP_SPAN_WBT_WAIT && ns) {
		e->wbt_points++;
	}
}

static void on_dirty(const struct analysis *a, struct evidence *e, const struct ev_dirty *d)
{
	if (!d->pause_ms || !from_target(a, d->h.tid))
		return;
	e->dirty_pauses++;
	e->dirty_pause_ns += d->pause_ms * 1000000ull;
}

static void on_rq(const struct analysis *a, struct evidence *e, const struct ev_rq *rq)
{
	const struct done *done;

	if (FP_ACT(rq->rq_act) != FP_RQ_COMPLETE || !vec__cnt(&a->devices.done))
		return;
	done = VEC_LAST(&a->devices.done, struct done);
	if (done->complete_ns != rq->h.ts_ns || done->rq != FP_ID(rq->rq_act))
		return;
	e->requests++;
	e->request_bytes += done->bytes;
	if (done->issue_ns && done->complete_ns - done->issue_ns > e->worst_request_ns)
		e->worst_request_ns = done->complete_ns - done->issue_ns;
}

void evidence__event(struct analysis *a, const struct trace_event *ev)
{
	const void *rec = ev->hdr;

	for (size_t i = 0; i < vec__cnt(&a->pending); i++) {
		uint32_t index = VEC_AT(&a->pending, struct pending, i)->index;
		const struct window *w = WINDOW(a, index);
		struct evidence *e = EVIDENCE(a, index);

		if (ev->hdr->kind == EV_SPAN)
			on_span(a, e, w, rec);
		if (ev->hdr->ts_ns < w->begin_ns || ev->hdr->ts_ns >= w->end_ns)
			continue;
		if (ev->hdr->kind == EV_POINT)
			on_point(e, rec);
		else if (ev->hdr->kind == EV_DIRTY)
			on_dirty(a, e, rec);
		else if (ev->hdr->kind == EV_RQ)
			on_rq(a, e, rec);
		else if (ev->hdr->kind == EV_SAMPLE && from_target(a, ev->hdr->tid))
			e->samples++;
	}
}
