// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* A stretch of one thread's time, cut where its state, syscall, spans or a loss begin or end. */
#include "timeline.h"

size_t seg_after(const struct vec *segs, uint64_t ns)
{
	size_t lo = 0, hi = vec__cnt(segs);

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (VEC_AT(segs, struct seg, mid)->end <= ns)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static size_t span_after(const struct vec *spans, uint64_t ns)
{
	size_t lo = 0, hi = vec__cnt(spans);

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (VEC_AT(spans, struct span, mid)->end <= ns)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

const struct span *thread__span_at(const struct thread *t, int list, uint64_t ns)
{
	const struct vec *v = &t->spans[list];
	size_t i = span_after(v, ns);
	const struct span *s = i < vec__cnt(v) ? VEC_AT(v, struct span, i) : NULL;

	return s && s->begin <= ns ? s : NULL;
}

void pieces__begin(struct pieces *it, const struct timeline *tl, const struct thread *t,
		   uint64_t lo, uint64_t hi)
{
	it->tl = tl;
	it->t = t;
	it->at = lo;
	it->hi = hi;
	it->seg_i = seg_after(&t->segs, lo);
	for (int i = 0; i < SPAN_LISTS; i++)
		it->span_i[i] = span_after(&t->spans[i], lo);
	it->has_open = thread__open_seg(tl, t, &it->open);
}

/* The segment that covers `at` or, if none does, begins next. */
static const struct seg *seg_at(struct pieces *it)
{
	const struct vec *segs = &it->t->segs;

	while (it->seg_i < vec__cnt(segs) && VEC_AT(segs, struct seg, it->seg_i)->end <= it->at)
		it->seg_i++;
	if (it->seg_i < vec__cnt(segs))
		return VEC_AT(segs, struct seg, it->seg_i);
	return it->has_open && it->open.end > it->at ? &it->open : NULL;
}

/* Which spans cover `ns`, and when that changes next. `ns` never runs backwards but for sleeps. */
static uint16_t spans_at(struct pieces *it, uint64_t ns, const struct span **sys, uint64_t *change)
{
	uint16_t mask = 0;

	*sys = NULL;
	for (int i = 0; i < SPAN_LISTS; i++) {
		const struct vec *v = &it->t->spans[i];
		const struct span *s;

		if (!vec__cnt(v))
			continue;
		while (it->span_i[i] < vec__cnt(v) &&
		       VEC_AT(v, struct span, it->span_i[i])->end <= ns)
			it->span_i[i]++;
		if (it->span_i[i] == vec__cnt(v))
			continue;
		s = VEC_AT(v, struct span, it->span_i[i]);
		if (s->begin > ns) {
			if (s->begin < *change)
				*change = s->begin;
			continue;
		}
		if (s->end < *change)
			*change = s->end;
		mask |= 1u << i;
		if (i == 0)
			*sys = s;
	}
	return mask;
}

/* Which kind of lock the span around it is about; spans_at() left the lists there. */
static uint8_t lock_flags(const struct pieces *it, uint16_t spans)
{
	const struct vec *v = &it->t->spans[FP_SPAN_LOCK];

	if (!(spans & 1u << FP_SPAN_LOCK))
		return 0;
	return (uint8_t)VEC_AT(v, struct span, it->span_i[FP_SPAN_LOCK])->value;
}

static void piece_of_run(struct pieces *it, struct piece *p)
{
	p->spans = spans_at(it, p->begin, &p->sys, &p->end);
	p->irq = p->spans & (1u << FP_SPAN_IRQ | 1u << FP_SPAN_SOFTIRQ);
	p->in_kernel = p->spans != 0 || it->t->kthread;
}

/* A sleep lies within one syscall and its spans as a whole; they are not cut at their edges. */
static void piece_of_sleep(struct pieces *it, struct piece *p)
{
	uint64_t change = UINT64_MAX;

	p->spans = spans_at(it, p->begin, &p->sys, &change);
	if (!p->spans && change < p->seg->end) /* asleep before its syscall was first seen */
		p->spans = spans_at(it, p->seg->end - 1, &p->sys, &change);
	p->lock_flags = lock_flags(it, p->spans);
}

/* What was lost could have changed everything; what runs can only be seen by its own CPU. */
static void cut_at_loss(struct pieces *it, struct piece *p)
{
	uint32_t cpu = p->kind == SEG_RUN ? p->seg->detail : UINT32_MAX;
	const struct lost_range *lost = scan__lost(it->tl->scan, cpu, p->begin, p->end);

	if (!lost)
		return;
	if (lost->from_ns > p->begin) {
		p->end = lost->from_ns;
		return;
	}
	if (lost->to_ns < p->end)
		p->end = lost->to_ns;
	p->kind = SEG_UNKNOWN;
	p->reason = REASON_LOST;
}

/* Runnable since it was woken, but not yet seen to run. */
static bool runnable_tail(struct pieces *it, struct piece *p)
{
	const struct thread *t = it->t;

	return it->has_open && t->kind == SEG_BLOCKED && t->wake_ns && p->begin >= t->wake_ns &&
	       t->dead_ns == UINT64_MAX;
}

bool pieces__next(struct pieces *it, struct piece *p)
{
	const struct seg *seg;

	if (it->at >= it->hi)
		return false;
	*p = (struct piece){ .begin = it->at, .end = it->hi };
	seg = seg_at(it);
	if (seg && seg->begin > p->begin) {
		if (seg->begin < p->end)
			p->end = seg->begin;
	} else if (seg) {
		p->seg = seg;
		p->kind = seg->kind;
		p->reason = seg->kind == SEG_UNKNOWN ? seg->detail : 0;
		if (seg->end < p->end)
			p->end = seg->end;
		if (seg->kind == SEG_RUN)
			piece_of_run(it, p);
		else if (seg->kind == SEG_BLOCKED)
			piece_of_sleep(it, p);
		cut_at_loss(it, p);
	} else if (runnable_tail(it, p)) {
		p->kind = SEG_RUNNABLE;
		cut_at_loss(it, p);
	}
	it->at = p->end;
	return true;
}

void piece__context(const struct piece *p, const struct thread *t, struct probe_context *ctx)
{
	memset(ctx, 0, sizeof(*ctx));
	ctx->running = p->kind == SEG_RUN;
	ctx->kthread = t->kthread;
	ctx->lock_flags = p->lock_flags;
	if (p->sys) {
		ctx->in_syscall = true;
		ctx->cls = p->sys->cls;
	}
	for (int i = 1; i < FP_SPAN_END; i++)
		ctx->in_span[i] = p->spans & (1u << i);
	if (p->seg) {
		ctx->iowait = p->seg->flags & SEG_IOWAIT;
		ctx->dirty_pause = p->seg->flags & SEG_DIRTY;
	}
}
