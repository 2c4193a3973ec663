// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Which windows are slow: what the curve says, and what is seen where it has too few to say it. */
#include "verdict.h"

#include <errno.h>
#include <math.h>

#include "curve.h"

/*
 * Without a step in the statistics: what parts slow from fast all the same. Few windows fall into
 * such an order by chance; where that is likelier than 1 in 20, the parts must lie further apart.
 */
#define SPLIT_RATIO	1.5
#define SPLIT_RATIO_FEW 2.0
#define SPLIT_MIN_MS	10.0
#define SPLIT_CHANCE	0.05
#define SPIKE_RATIO	3.0

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

/* That in every sweep the windows before `at` are the shortest ones, if all orders are alike. */
static double chance_of_split(uint32_t sweeps, uint32_t windows, uint32_t at)
{
	double orders = 1;

	for (uint32_t i = 1; i < at; i++)
		orders *= (windows - at + 1 + i) / (double)i;
	return pow(orders, -(double)sweeps);
}

static double needed_ratio(const struct finding_curve *c, uint32_t at)
{
	return chance_of_split(c->sweeps, c->windows, at) <= SPLIT_CHANCE ? SPLIT_RATIO
									  : SPLIT_RATIO_FEW;
}

/*
 * The window from which on every pause is longer than every one before it, by the widest margin;
 * 0 = there is none. A single late window is no regime.
 */
static int widest_split(const struct findings *f, uint32_t *at)
{
	uint32_t windows = f->curve.windows;
	struct range *r = ranges_by_index(f, windows);
	double best = 0, early = 0;

	*at = 0;
	if (!r)
		return -ENOMEM;
	for (uint32_t i = windows; i > 0; i--)
		r[i - 1].least = fmin(r[i - 1].least, r[i].least);
	for (uint32_t s = 2; s < windows; s++) {
		double late = r[s].least;

		early = fmax(early, r[s - 1].most);
		if (early > 0 && late / early >= fmax(best, needed_ratio(&f->curve, s)) &&
		    late - early >= SPLIT_MIN_MS) {
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

	if (f->curve.verdict == CURVE_INCONCLUSIVE && widest_split(f, &at))
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
