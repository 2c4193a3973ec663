// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Slow windows against fast ones: what differs between them. */
#include "contrast.h"

#include <errno.h>
#include <math.h>

#define SPIKES_MIN 2

/* ---- means ---- */

static struct contrast_row *row_of(struct contrast *c, const char *cause)
{
	struct contrast_row *r;

	for (size_t i = 0; i < vec__cnt(&c->rows); i++) {
		r = VEC_AT(&c->rows, struct contrast_row, i);
		if (!strcmp(r->cause, cause))
			return r;
	}
	r = VEC_PUSH(&c->rows, struct contrast_row);
	if (r)
		r->cause = cause;
	return r;
}

static int add_window(struct contrast *c, const struct finding_window *w, bool slow)
{
	for (size_t i = 0; i < w->ledger_cnt; i++) {
		const struct finding_share *s = &w->ledger[i];
		struct contrast_row *r = row_of(c, s->cause);

		if (!r)
			return -ENOMEM;
		if (slow) {
			r->slow_ns += s->ns;
			r->carry_ns += s->carry_over_ns;
			if (cause_under(s->cause, "unknown"))
				c->unknown_share += s->ns;
		} else {
			r->fast_ns += s->ns;
		}
	}
	return 0;
}

static int add_evidence(struct evidence *sum, const struct evidence *e)
{
	sum->wbt_points += e->wbt_points;
	sum->dirty_pauses += e->dirty_pauses;
	sum->dirty_pause_ns += e->dirty_pause_ns;
	sum->alloc_ns += e->alloc_ns;
	sum->allocs += e->allocs;
	sum->commits += e->commits;
	sum->requests += e->requests;
	sum->request_bytes += e->request_bytes;
	if (e->worst_request_ns > sum->worst_request_ns)
		sum->worst_request_ns = e->worst_request_ns;
	if (e->parked > sum->parked)
		sum->parked = e->parked;
	if (e->parked_ns > sum->parked_ns)
		sum->parked_ns = e->parked_ns;
	if (e->carry_bytes > sum->carry_bytes)
		sum->carry_bytes = e->carry_bytes;
	if (e->carry_dev)
		sum->carry_dev = e->carry_dev;
	sum->old_bytes += e->old_bytes;
	sum->samples += e->samples;
	sum->running_ns += e->running_ns;
	return tally__merge(&sum->journal, &e->journal);
}

static void take_means(struct contrast *c)
{
	double n = c->slow_cnt ? c->slow_cnt : 1, m = c->fast_cnt ? c->fast_cnt : 1;

	c->unknown_share = c->slow_ns > 0 ? c->unknown_share / c->slow_ns : 0;
	c->slow_ns /= n;
	c->fast_ns /= m;
	c->slow.alloc_ns /= n;
	c->slow.old_bytes /= n;
	c->grown_ns = c->kind == CONTRAST_NONE ? c->slow_ns : c->slow_ns - c->fast_ns;
	for (size_t i = 0; i < vec__cnt(&c->rows); i++) {
		struct contrast_row *r = VEC_AT(&c->rows, struct contrast_row, i);

		r->slow_ns /= n;
		r->fast_ns /= m;
		r->carry_ns /= n;
		r->share = r->slow_ns - (c->kind == CONTRAST_NONE ? 0 : r->fast_ns);
		r->share = c->grown_ns > 0 ? r->share / c->grown_ns : 0;
		if (cause_under(r->cause, "unknown"))
			c->unknown_growth += r->share;
	}
}

/*
 * Where a cause is a tenth of what a window has more than the fast ones (of all of it where there
 * are none), it is seen in that window. What the fast windows have of it as well does not count.
 */
static void count_seen(struct contrast *c, const struct finding_window *w)
{
	bool alone = c->kind == CONTRAST_NONE;
	double grown = w->duration_ns - (alone ? 0 : c->fast_ns);

	for (size_t i = 0; i < vec__cnt(&c->rows); i++) {
		struct contrast_row *r = VEC_AT(&c->rows, struct contrast_row, i);
		double own = shares__find(w->ledger, w->ledger_cnt, r->cause);

		r->seen += grown > 0 && 10 * (own - (alone ? 0 : r->fast_ns)) >= grown;
	}
}

static int compare_rows(const void *x, const void *y)
{
	const struct contrast_row *a = x, *b = y;

	if (a->share != b->share)
		return a->share > b->share ? -1 : 1;
	return strcmp(a->cause, b->cause);
}

/* ---- which windows are held against which ---- */

static enum contrast_kind kind_of(const struct findings *f, const struct findings *baseline)
{
	size_t slow = 0, spikes = 0;

	if (baseline)
		return CONTRAST_BASELINE;
	for (size_t i = 0; i < f->windows_cnt; i++) {
		slow += f->windows[i].slow;
		spikes += f->windows[i].spike;
	}
	if (slow && slow < f->windows_cnt)
		return CONTRAST_GROWTH;
	return !slow && spikes >= SPIKES_MIN ? CONTRAST_SPIKES : CONTRAST_NONE;
}

/* Beside a baseline the run may have a step of its own: then its slow windows stand for it. */
static bool any_slow(const struct findings *f)
{
	for (size_t i = 0; i < f->windows_cnt; i++)
		if (f->windows[i].slow)
			return true;
	return false;
}

bool contrast__is_slow(const struct contrast *c, const struct finding_window *w)
{
	switch (c->kind) {
	case CONTRAST_GROWTH:
		return w->slow;
	case CONTRAST_SPIKES:
		return w->spike;
	case CONTRAST_BASELINE:
		return w->slow || !c->own_step;
	case CONTRAST_NONE:
		break;
	}
	return true;
}

static int add_slow(struct contrast *c, struct analysis *a, size_t i)
{
	const struct finding_window *w = &a->f->windows[i];

	if (!c->slow_cnt++)
		c->first_slow = w->index;
	c->slow_ns += w->duration_ns;
	return add_window(c, w, true) || add_evidence(&c->slow, EVIDENCE(a, i)) ? -ENOMEM : 0;
}

static int add_fast(struct contrast *c, const struct finding_window *w)
{
	c->fast_cnt++;
	c->fast_ns += w->duration_ns;
	return add_window(c, w, false);
}

int contrast__new(struct analysis *a, const struct findings *baseline, struct contrast *c)
{
	const struct findings *f = a->f;
	int err = 0;

	*c = (struct contrast){ .kind = kind_of(f, baseline), .own_step = any_slow(f) };
	for (size_t i = 0; !err && i < f->windows_cnt; i++) {
		if (contrast__is_slow(c, &f->windows[i]))
			err = add_slow(c, a, i);
		else if (!baseline)
			err = add_fast(c, &f->windows[i]);
	}
	for (size_t i = 0; baseline && !err && i < baseline->windows_cnt; i++)
		err = add_fast(c, &baseline->windows[i]);
	if (err)
		return err;
	take_means(c);
	for (size_t i = 0; i < f->windows_cnt; i++)
		if (contrast__is_slow(c, &f->windows[i]))
			count_seen(c, &f->windows[i]);
	if (vec__cnt(&c->rows))
		qsort(VEC_AT(&c->rows, struct contrast_row, 0), vec__cnt(&c->rows),
		      sizeof(struct contrast_row), compare_rows);
	return 0;
}

void contrast__free(struct contrast *c)
{
	vec__free(&c->rows);
	tally__free(&c->slow.journal);
}

struct contrast_sum contrast__sum(const struct contrast *c, const char *prefix)
{
	struct contrast_sum sum = { 0 };

	for (size_t i = 0; i < vec__cnt(&c->rows); i++) {
		const struct contrast_row *r = VEC_AT(&c->rows, struct contrast_row, i);

		if (!cause_under(r->cause, prefix))
			continue;
		sum.slow_ns += r->slow_ns;
		sum.fast_ns += r->fast_ns;
		sum.share += r->share;
	}
	return sum;
}
