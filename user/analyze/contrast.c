// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Slow windows against fast ones: which are which, and what differs between them. */
#include "verdict.h"

#include <errno.h>
#include <math.h>

#include "../log.h"
#include "curve.h"

/* Without a step in the statistics: what parts slow from fast all the same. */
#define SPLIT_RATIO  1.5
#define SPLIT_MIN_MS 10.0
#define SPIKE_RATIO  3.0

static double value_ms(const struct finding_window *w)
{
	uint64_t ns = w->reported_ns != FINDING_NS_NONE && w->reported_ns ? w->reported_ns
									  : w->duration_ns;

	return ns ? ns / 1e6 : 1e-6;
}

/* Sweeps may have been cut short: what all of them have is judged. */
static uint32_t common_windows(const struct findings *f, uint32_t *sweeps)
{
	uint32_t least = UINT32_MAX, in_sweep = 0, sweep = 0;

	*sweeps = 0;
	for (size_t i = 0; i < f->windows_cnt; i++) {
		if (!*sweeps || f->windows[i].sweep != sweep) {
			if (*sweeps && in_sweep < least)
				least = in_sweep;
			sweep = f->windows[i].sweep;
			in_sweep = 0;
			(*sweeps)++;
		}
		in_sweep++;
	}
	return in_sweep < least ? in_sweep : least;
}

static double *matrix(const struct findings *f, uint32_t sweeps, uint32_t windows)
{
	double *v = calloc((size_t)sweeps * windows, sizeof(*v));
	uint32_t sweep = 0, row = 0;

	for (size_t i = 0; v && i < f->windows_cnt; i++) {
		const struct finding_window *w = &f->windows[i];

		if (i && w->sweep != sweep)
			row++;
		sweep = w->sweep;
		if (w->index >= 1 && w->index <= windows && row < sweeps)
			v[(size_t)row * windows + w->index - 1] = value_ms(w);
	}
	return v;
}

/* Too few windows for any test: the values are shown, and nothing is claimed. */
static int no_curve(struct findings *f, double *values, uint32_t sweeps, uint32_t windows)
{
	struct finding_curve *c = &f->curve;

	c->verdict = CURVE_INCONCLUSIVE;
	c->ratio = c->ratio_lower95 = c->ratio_upper95 = c->p = 1;
	c->sweeps = sweeps;
	c->windows = windows;
	c->values_ms = values;
	return finding_setf(&c->why, "%u window%s cannot show a step", windows,
			    windows == 1 ? "" : "s");
}

/* Largest and smallest pause of the windows with one index, over the sweeps. */
struct range {
	double least, most;
};

static struct range *ranges_by_index(const struct findings *f, uint32_t windows)
{
	struct range *r = calloc((size_t)windows + 1, sizeof(*r));

	for (uint32_t i = 0; r && i <= windows; i++)
		r[i] = (struct range){ .least = INFINITY, .most = 0 };
	for (size_t i = 0; r && i < f->windows_cnt; i++) {
		const struct finding_window *w = &f->windows[i];
		uint32_t at = w->index < windows ? w->index : windows;

		r[at].least = fmin(r[at].least, value_ms(w));
		r[at].most = fmax(r[at].most, value_ms(w));
	}
	return r;
}

/*
 * The window from which on every pause is longer than every one before it, by the widest margin;
 * 0 = there is none. A single late window is no regime.
 */
static int widest_split(const struct findings *f, uint32_t windows, uint32_t *at)
{
	struct range *r = ranges_by_index(f, windows);
	double best = SPLIT_RATIO, early = 0;

	*at = 0;
	if (!r)
		return -ENOMEM;
	for (uint32_t i = windows; i > 0; i--)
		r[i - 1].least = fmin(r[i - 1].least, r[i].least);
	for (uint32_t s = 2; s < windows; s++) {
		double late = r[s].least;

		early = fmax(early, r[s - 1].most);
		if (early > 0 && late / early >= best && late - early >= SPLIT_MIN_MS) {
			best = late / early;
			*at = s;
		}
	}
	free(r);
	return 0;
}

static int compare_doubles(const void *x, const void *y)
{
	double a = *(const double *)x, b = *(const double *)y;

	return a < b ? -1 : a > b;
}

static double median_ms(const struct findings *f)
{
	double *v = calloc(f->windows_cnt + 1, sizeof(*v)), m;

	if (!v || !f->windows_cnt) {
		free(v);
		return 0;
	}
	for (size_t i = 0; i < f->windows_cnt; i++)
		v[i] = value_ms(&f->windows[i]);
	qsort(v, f->windows_cnt, sizeof(*v), compare_doubles);
	m = v[f->windows_cnt / 2];
	free(v);
	return m;
}

/*
 * A step is what the curve says. Where that has too few windows to say it, a split counts that
 * parts all early pauses from all late ones; single windows far above the median are spikes.
 */
static int mark_slow(struct findings *f)
{
	double limit = SPIKE_RATIO * median_ms(f);
	uint32_t at = f->curve.at_window;

	if (f->curve.verdict != CURVE_STEPPED && widest_split(f, f->curve.windows, &at))
		return -ENOMEM;

	for (size_t i = 0; i < f->windows_cnt; i++) {
		struct finding_window *w = &f->windows[i];

		w->slow = at && w->index >= at;
		w->spike = !w->slow && f->windows_cnt > 2 && value_ms(w) > limit &&
			   value_ms(w) - limit / SPIKE_RATIO >= SPLIT_MIN_MS;
	}
	return 0;
}

int verdict__curve(struct analysis *a)
{
	struct findings *f = a->f;
	struct curve_opts opts;
	uint32_t sweeps, windows = common_windows(f, &sweeps);
	double *values = matrix(f, sweeps, windows);
	int err;

	if (!values)
		return -ENOMEM;
	curve_opts__defaults(&opts);
	err = windows >= 3 ? curve__judge(values, sweeps, windows, &opts, &f->curve) : -EINVAL;
	if (err == -EINVAL) {
		err = no_curve(f, values, sweeps, windows);
		values = NULL;
	}
	free(values);
	return err ? err : mark_slow(f);
}

/* ---- means ---- */

static struct cause_row *row_of(struct contrast *c, const char *cause)
{
	struct cause_row *r;

	for (size_t i = 0; i < vec__cnt(&c->rows); i++) {
		r = VEC_AT(&c->rows, struct cause_row, i);
		if (!strcmp(r->cause, cause))
			return r;
	}
	r = VEC_PUSH(&c->rows, struct cause_row);
	if (r)
		r->cause = cause;
	return r;
}

static int add_window(struct contrast *c, const struct finding_window *w, bool slow)
{
	for (size_t i = 0; i < w->ledger_cnt; i++) {
		const struct finding_share *s = &w->ledger[i];
		struct cause_row *r = row_of(c, s->cause);

		if (!r)
			return -ENOMEM;
		if (slow) {
			r->slow_ns += s->ns;
			r->carry_ns += s->carry_over_ns;
			r->seen += s->ns * 10 >= w->duration_ns;
			if (!strncmp(s->cause, "unknown.", 8))
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
	double n = c->slow_cnt, m = c->fast_cnt ? c->fast_cnt : 1, grown;

	c->unknown_share = c->slow_ns > 0 ? c->unknown_share / c->slow_ns : 0;
	c->slow_ns /= n;
	c->fast_ns /= m;
	c->slow.alloc_ns /= n;
	c->slow.old_bytes /= n;
	grown = c->kind == CONTRAST_GROWTH ? c->slow_ns - c->fast_ns : c->slow_ns;
	for (size_t i = 0; i < vec__cnt(&c->rows); i++) {
		struct cause_row *r = VEC_AT(&c->rows, struct cause_row, i);

		r->slow_ns /= n;
		r->fast_ns /= m;
		r->carry_ns /= n;
		r->share = r->slow_ns - (c->kind == CONTRAST_GROWTH ? r->fast_ns : 0);
		r->share = grown > 0 ? r->share / grown : 0;
	}
}

static int compare_rows(const void *x, const void *y)
{
	const struct cause_row *a = x, *b = y;

	if (a->share != b->share)
		return a->share > b->share ? -1 : 1;
	return strcmp(a->cause, b->cause);
}

int contrast__new(struct analysis *a, struct contrast *c)
{
	struct findings *f = a->f;

	memset(c, 0, sizeof(*c));
	for (size_t i = 0; i < f->windows_cnt; i++)
		c->slow_cnt += f->windows[i].slow;
	if (c->slow_cnt && c->slow_cnt < f->windows_cnt)
		c->kind = CONTRAST_GROWTH;
	c->slow_cnt = 0;
	for (size_t i = 0; i < f->windows_cnt; i++) {
		const struct finding_window *w = &f->windows[i];
		bool slow = c->kind == CONTRAST_NONE || w->slow;

		if (add_window(c, w, slow))
			return -ENOMEM;
		if (slow) {
			if (!c->slow_cnt++)
				c->first_slow = w->index;
			c->slow_ns += w->duration_ns;
			if (add_evidence(&c->slow, EVIDENCE(a, i)))
				return -ENOMEM;
		} else {
			c->fast_cnt++;
			c->fast_ns += w->duration_ns;
		}
	}
	take_means(c);
	if (vec__cnt(&c->rows))
		qsort(VEC_AT(&c->rows, struct cause_row, 0), vec__cnt(&c->rows),
		      sizeof(struct cause_row), compare_rows);
	return 0;
}

void contrast__free(struct contrast *c)
{
	vec__free(&c->rows);
	tally__free(&c->slow.journal);
}

const struct cause_row *contrast__row(const struct contrast *c, const char *cause)
{
	for (size_t i = 0; i < vec__cnt(&c->rows); i++)
		if (!strcmp(VEC_AT(&c->rows, struct cause_row, i)->cause, cause))
			return VEC_AT(&c->rows, struct cause_row, i);
	return NULL;
}

static bool under(const char *cause, const char *prefix)
{
	size_t n = strlen(prefix);

	return !strncmp(cause, prefix, n) && (cause[n] == '\0' || cause[n] == '.');
}

double contrast__slow_ns(const struct contrast *c, const char *prefix)
{
	double ns = 0;

	for (size_t i = 0; i < vec__cnt(&c->rows); i++)
		if (under(VEC_AT(&c->rows, struct cause_row, i)->cause, prefix))
			ns += VEC_AT(&c->rows, struct cause_row, i)->slow_ns;
	return ns;
}

double contrast__share(const struct contrast *c, const char *prefix)
{
	double share = 0;

	for (size_t i = 0; i < vec__cnt(&c->rows); i++)
		if (under(VEC_AT(&c->rows, struct cause_row, i)->cause, prefix))
			share += VEC_AT(&c->rows, struct cause_row, i)->share;
	return share;
}
