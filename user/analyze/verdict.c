// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The cause: what has the largest part in the growth, and how sure that is. */
#include "verdict.h"

#include <errno.h>

#define STALLED_SHARE	0.5 /* from here on the growth is a matter of stalls */
#define STEADY_SHARE	0.1 /* a cause that all windows share counts from here on */
#define GROWN_MIN_NS	5e6 /* recorded growth below this explains no step of the pauses */
#define SPIKE_MIN_NS	50e6
#define SPIKE_SHARE	0.5
#define HELD_MIN_NS	250e6
#define BASELINE_RATIO	1.5
#define BASELINE_MIN_NS 10e6
#define SYMPTOM_SHARE	0.05 /* checksums below this part of the wall time follow from others */

/* ---- which cause ---- */

/* Work, as opposed to waiting or searching: more of it is no stall. */
static bool is_work(const char *cause)
{
	static const char *const work[] = {
		"user.cpu",
		"fs.copy",
		"kernel.cpu_other",
		"ext4.writepages",
		"ext4.csum",
		"ext4.delalloc_reserve",
		"writeback.flusher_run",
	};

	for (size_t i = 0; i < sizeof(work) / sizeof(work[0]); i++)
		if (!strcmp(cause, work[i]))
			return true;
	return false;
}

/* A few checksums are what allocation and journal bring along, not what took the time. */
static bool is_symptom(const struct contrast *c, const struct contrast_row *r)
{
	return !strcmp(r->cause, "ext4.csum") && r->slow_ns < SYMPTOM_SHARE * c->slow_ns;
}

static double stalled_share(const struct contrast *c)
{
	double share = 0;

	for (size_t i = 0; i < vec__cnt(&c->rows); i++) {
		const struct contrast_row *r = VEC_AT(&c->rows, struct contrast_row, i);

		if (!is_work(r->cause))
			share += r->share;
	}
	return share;
}

static bool is_steady(const struct contrast *c, const struct contrast_row *r)
{
	return 2 * r->seen >= c->slow_cnt && r->share >= STEADY_SHARE;
}

/* The largest row, of the stalls alone if asked so; one that half of the windows have goes first. */
static const struct contrast_row *largest(const struct contrast *c, bool stalls)
{
	const struct contrast_row *best = NULL;

	for (size_t i = 0; i < vec__cnt(&c->rows); i++) {
		const struct contrast_row *r = VEC_AT(&c->rows, struct contrast_row, i);

		if (r->share <= 0 || is_symptom(c, r) || (stalls && is_work(r->cause)))
			continue;
		if (is_steady(c, r))
			return r;
		best = best ? best : r;
	}
	return best;
}

/* ---- whether there is anything to name ---- */

static int compare_ns(const void *x, const void *y)
{
	uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;

	return a < b ? -1 : a > b;
}

struct quartiles {
	uint64_t low, median, high;
};

/* Of the windows that `slow` holds, of all without it. 0 or -ENOMEM. */
static int take_quartiles(const struct findings *f, const struct contrast *slow,
			  struct quartiles *q)
{
	uint64_t *v = calloc(f->windows_cnt + 1, sizeof(*v));
	size_t n = 0;

	if (!v)
		return -ENOMEM;
	for (size_t i = 0; i < f->windows_cnt; i++)
		if (!slow || contrast__is_slow(slow, &f->windows[i]))
			v[n++] = f->windows[i].duration_ns;
	qsort(v, n, sizeof(*v), compare_ns);
	*q = n ? (struct quartiles){ v[n / 4], v[n / 2], v[(3 * n - 1) / 4] }
	       : (struct quartiles){ 0 };
	free(v);
	return 0;
}

/* 1: longer than the baseline, beyond what the two scatter; 0: not; -ENOMEM. */
static int exceeds(const struct findings *f, const struct findings *baseline,
		   const struct contrast *c)
{
	struct quartiles here, there;

	if (take_quartiles(f, c, &here) || take_quartiles(baseline, NULL, &there))
		return -ENOMEM;
	return baseline->windows_cnt && here.low > there.high &&
	       here.median >= BASELINE_RATIO * there.median &&
	       here.median >= there.median + BASELINE_MIN_NS;
}

/* The cause, NULL where nothing is to be named; what it is held against in *basis. */
static int find_cause(const struct findings *f, const struct findings *baseline,
		      const struct contrast *c, const struct contrast_row **top,
		      enum verdict_basis *basis)
{
	bool stalls = stalled_share(c) >= STALLED_SHARE;
	const struct contrast_row *best = largest(c, stalls);
	bool anomaly = false;
	int err = 0;

	switch (c->kind) {
	case CONTRAST_GROWTH:
		*basis = VERDICT_GROWTH;
		anomaly = c->grown_ns >= GROWN_MIN_NS;
		break;
	case CONTRAST_SPIKES:
		*basis = VERDICT_SPIKES;
		anomaly = c->grown_ns >= SPIKE_MIN_NS && best && best->share >= SPIKE_SHARE &&
			  best->seen == c->slow_cnt;
		break;
	case CONTRAST_BASELINE:
		*basis = VERDICT_BASELINE;
		err = exceeds(f, baseline, c);
		anomaly = err > 0 && c->grown_ns >= GROWN_MIN_NS;
		break;
	case CONTRAST_NONE:
		*basis = VERDICT_HELD;
		anomaly = c->slow_ns >= HELD_MIN_NS && stalls;
		break;
	}
	*top = anomaly ? best : NULL;
	if (!*top)
		*basis = VERDICT_NONE;
	return err < 0 ? err : 0;
}

/* ---- how sure that is ---- */

static const double confirmed = 1, indirect = 0.85, stack_only = 0.6;

/*
 * Does a second, independent kind of record say the same as the stack? What is derived from
 * switches, wakes or requests needs no stack and is as sure as those are.
 */
static double evidence_for(const struct contrast *c, const char *cause)
{
	const struct evidence *e = &c->slow;

	if (cause_under(cause, "unknown"))
		return stack_only;
	if (cause_under(cause, "cpu") || cause_under(cause, "wq"))
		return confirmed;
	if (cause_under(cause, "user.cpu") || cause_under(cause, "kernel.cpu_other"))
		return e->samples ? confirmed : stack_only;
	if (cause_under(cause, "io.throttle"))
		return e->wbt_points ? confirmed : e->requests ? indirect : stack_only;
	if (cause_under(cause, "writeback"))
		return e->dirty_pauses ? confirmed : e->requests ? indirect : stack_only;
	if (cause_under(cause, "ext4"))
		return e->allocs ? confirmed : stack_only;
	if (cause_under(cause, "jbd2"))
		return e->commits ? confirmed : stack_only;
	if (cause_under(cause, "io") || cause_under(cause, "fs.writeback_wait"))
		return e->requests ? confirmed : stack_only;
	return indirect;
}

/* A cause that some slow windows do not show explains these windows less. */
static double corroboration(const struct contrast *c, const struct contrast_row *top)
{
	double seen = c->slow_cnt ? top->seen / (double)c->slow_cnt : 0;

	return evidence_for(c, top->cause) * (0.5 + 0.5 * seen);
}

static double lost_share(const struct finding_loss *l)
{
	return l->events ? l->events / (l->events + (double)l->recorded) : 0;
}

static double bounded(double x)
{
	return x < 0 ? 0 : x > 1 ? 1 : x;
}

static void weigh(struct findings *f, const struct contrast *c, const struct contrast_row *top)
{
	struct finding_verdict *v = &f->verdict;
	double coverage = bounded(1 - c->unknown_share - lost_share(&f->loss));

	v->unknown_share = c->unknown_share;
	v->incomplete = c->unknown_share > UNKNOWN_MAX_SHARE;
	v->share = top ? bounded(top->share) : 0;
	if (top)
		v->confidence = v->share * corroboration(c, top) * coverage;
	else /* that nothing is wrong is as sure as the curve is flat and all is seen */
		v->confidence = f->curve.verdict == CURVE_FLAT ? coverage : coverage / 2;
}

int verdict__judge(struct analysis *a, const struct findings *baseline)
{
	struct finding_verdict *v = &a->f->verdict;
	const struct contrast_row *top = NULL;
	struct rejections rejected = { .cnt = 0 };
	struct contrast c;
	int err = contrast__new(a, baseline, &c);

	if (!err)
		err = find_cause(a->f, baseline, &c, &top, &v->basis);
	if (!err)
		err = finding_set(&v->cause, top ? top->cause : "none");
	if (!err)
		weigh(a->f, &c, top);
	if (!err && top)
		err = verdict__reject(a->f, &c, top, &rejected);
	if (!err)
		err = verdict__say(a, &c, top, &rejected);
	contrast__free(&c);
	return err;
}
