// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "diff.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../../probes/probe.h"
#include "../../reports/numbers.h"
#include "../log.h"
#include "vec.h"

#define FLOOR_MS    1.0	 /* what is below it on both sides is no story */
#define GONE_RATIO  10.0 /* a tenth is left, or was there */
#define SAME_RATIO  1.25
#define SAID_MAX    3
#define MEAN_SHARE  0.05 /* of the change: from here on what only a mean shows is told */
#define PAUSE_RATIO 1.1	 /* pauses nearer than this are as before */

/* The windows of one arm that are compared, and a scratch for their values. */
struct side {
	const struct findings *f;
	uint32_t from;
	double *values;
	size_t cnt;
};

/* ---- which windows ---- */

static uint32_t first_slow(const struct findings *f)
{
	uint32_t first = 0;

	for (size_t i = 0; i < f->windows_cnt; i++)
		if (f->windows[i].slow && (!first || f->windows[i].index < first))
			first = f->windows[i].index;
	return first;
}

static bool has_window_from(const struct findings *f, uint32_t index)
{
	for (size_t i = 0; i < f->windows_cnt; i++)
		if (f->windows[i].index >= index)
			return true;
	return false;
}

static uint32_t compared_from(const struct findings *before, const struct findings *after)
{
	uint32_t b = first_slow(before), a = first_slow(after);
	uint32_t from = !b || (a && a < b) ? a : b;

	return from && has_window_from(before, from) && has_window_from(after, from) ? from : 1;
}

static int begin_side(struct side *s, const struct findings *f, uint32_t from)
{
	s->f = f;
	s->from = from;
	for (size_t i = 0; i < f->windows_cnt; i++)
		s->cnt += f->windows[i].index >= from;
	s->values = calloc(s->cnt + 1, sizeof(*s->values));
	return s->values ? 0 : -ENOMEM;
}

/* ---- medians and means ---- */

static uint64_t cause_ns(const struct finding_window *w, const char *cause)
{
	if (!cause)
		return w->duration_ns;
	for (size_t i = 0; i < w->ledger_cnt; i++)
		if (!strcmp(w->ledger[i].cause, cause))
			return w->ledger[i].ns;
	return 0;
}

static int compare_values(const void *x, const void *y)
{
	double a = *(const double *)x, b = *(const double *)y;

	return a < b ? -1 : a > b;
}

/* Of one cause, of the whole pause where that is NULL. */
static void measure(struct side *s, const char *cause, double *median_ms, double *mean_ms)
{
	double sum = 0;
	size_t n = 0;

	for (size_t i = 0; i < s->f->windows_cnt; i++) {
		if (s->f->windows[i].index < s->from)
			continue;
		s->values[n] = cause_ns(&s->f->windows[i], cause) / 1e6;
		sum += s->values[n++];
	}
	qsort(s->values, n, sizeof(*s->values), compare_values);
	*mean_ms = n ? sum / n : 0;
	*median_ms = n ? (s->values[(n - 1) / 2] + s->values[n / 2]) / 2 : 0;
}

static int fill_arm(struct difference_arm *a, struct side *s)
{
	measure(s, NULL, &a->median_ms, &a->mean_ms);
	a->windows = (uint32_t)s->cnt;
	a->curve = s->f->curve.verdict;
	if (finding_set(&a->source, s->f->source))
		return -ENOMEM;
	return finding_set(&a->cause, s->f->verdict.cause);
}

/* ---- rows ---- */

static enum difference_kind kind_of(double before, double after)
{
	if (before < FLOOR_MS && after < FLOOR_MS)
		return DIFFERENCE_SAME;
	if (after * GONE_RATIO <= before)
		return DIFFERENCE_WENT;
	if (before * GONE_RATIO <= after)
		return DIFFERENCE_CAME;
	if (fabs(after - before) < FLOOR_MS)
		return DIFFERENCE_SAME;
	if (after * SAME_RATIO < before)
		return DIFFERENCE_SHRANK;
	return before * SAME_RATIO < after ? DIFFERENCE_GREW : DIFFERENCE_SAME;
}

/* A cause of a few windows has no median to speak of: its mean tells. */
static bool tells_by_mean(const struct difference_row *r)
{
	return r->before_ms < FLOOR_MS && r->after_ms < FLOOR_MS;
}

static enum difference_kind kind_of_row(const struct difference_row *r)
{
	if (!tells_by_mean(r))
		return kind_of(r->before_ms, r->after_ms);
	if (fabs(r->share) < MEAN_SHARE)
		return DIFFERENCE_SAME;
	return kind_of(r->before_mean_ms, r->after_mean_ms);
}

static bool has_row(const struct difference *d, const char *cause)
{
	for (size_t i = 0; i < d->rows_cnt; i++)
		if (!strcmp(d->rows[i].cause, cause))
			return true;
	return false;
}

static int add_row(struct difference *d, const char *cause, struct side *before, struct side *after)
{
	const struct cause *known = probes__cause(cause);
	struct difference_row *r;

	if (has_row(d, cause))
		return 0;
	r = FINDING_APPEND(&d->rows, &d->rows_cnt);
	if (!r || finding_set(&r->cause, cause) ||
	    finding_set(&r->title, known ? known->title : ""))
		return -ENOMEM;
	measure(before, cause, &r->before_ms, &r->before_mean_ms);
	measure(after, cause, &r->after_ms, &r->after_mean_ms);
	r->share = d->change_ms ? (r->after_mean_ms - r->before_mean_ms) / d->change_ms : NAN;
	r->kind = kind_of_row(r);
	return 0;
}

static int add_rows(struct difference *d, const struct side *from, struct side *before,
		    struct side *after)
{
	for (size_t i = 0; i < from->f->windows_cnt; i++) {
		const struct finding_window *w = &from->f->windows[i];

		for (size_t k = 0; w->index >= from->from && k < w->ledger_cnt; k++)
			if (add_row(d, w->ledger[k].cause, before, after))
				return -ENOMEM;
	}
	return 0;
}

static double change_of(const struct difference_row *r)
{
	return fabs(r->after_mean_ms - r->before_mean_ms);
}

static int compare_rows(const void *x, const void *y)
{
	const struct difference_row *a = x, *b = y;
	double d = change_of(b) - change_of(a);

	d = d ? d : b->before_mean_ms - a->before_mean_ms;
	return d > 0 ? 1 : d < 0 ? -1 : strcmp(a->cause, b->cause);
}

/* ---- the text ---- */

static void say_pauses(FILE *out, const struct difference *d)
{
	double before = d->before.median_ms, after = d->after.median_ms;
	double ratio = before > after ? before / after : after / before;
	char a[NUMBER_SIZE], b[NUMBER_SIZE];

	if (!isfinite(ratio) || ratio < PAUSE_RATIO || fabs(after - before) < FLOOR_MS)
		fprintf(out, "The pauses are as before, %s and %s", number_ms(a, before),
			number_ms(b, after));
	else
		fprintf(out, "The pauses are %.*f times %s, %s before and %s after",
			ratio < 10 ? 1 : 0, ratio, before > after ? "shorter" : "longer",
			number_ms(a, before), number_ms(b, after));
	fprintf(out, " (medians of %u and %u windows", d->before.windows, d->after.windows);
	if (d->from_window > 1)
		fprintf(out, ", from window %u on", d->from_window);
	fputs("). ", out);
}

static void say_rows(FILE *out, const struct difference *d, enum difference_kind kind,
		     const char *head)
{
	char a[NUMBER_SIZE], b[NUMBER_SIZE];
	int said = 0, more = 0;

	for (size_t i = 0; i < d->rows_cnt; i++) {
		const struct difference_row *r = &d->rows[i];

		if (r->kind != kind)
			continue;
		if (said == SAID_MAX) {
			more++;
			continue;
		}
		fprintf(out, "%s%s (%s%s to %s", said++ ? ", " : head, r->cause,
			tells_by_mean(r) ? "on average " : "",
			number_ms(a, tells_by_mean(r) ? r->before_mean_ms : r->before_ms),
			number_ms(b, tells_by_mean(r) ? r->after_mean_ms : r->after_ms));
		if (isfinite(r->share) && r->share >= 0.01)
			fprintf(out, ", %.0f %% of the change", 100 * r->share);
		fputc(')', out);
	}
	if (more)
		fprintf(out, " and %d more", more);
	if (said)
		fputs(". ", out);
}

static void say_verdicts(FILE *out, const struct difference *d)
{
	if (!strcmp(d->before.cause, d->after.cause))
		fprintf(out, "The verdict is %s in both.", d->after.cause);
	else
		fprintf(out, "The verdict was %s and is %s.", d->before.cause, d->after.cause);
}

static int say(struct difference *d)
{
	size_t size;
	FILE *out = open_memstream(&d->text, &size);

	if (!out)
		return -ENOMEM;
	say_pauses(out, d);
	say_rows(out, d, DIFFERENCE_WENT, "What went away: ");
	say_rows(out, d, DIFFERENCE_SHRANK, "What shrank: ");
	say_rows(out, d, DIFFERENCE_CAME, "What came: ");
	say_rows(out, d, DIFFERENCE_GREW, "What grew: ");
	say_verdicts(out, d);
	return fclose(out) ? -ENOMEM : 0;
}

/* ---- both ---- */

static int compare(struct difference *d, struct side *before, struct side *after)
{
	int err = fill_arm(&d->before, before);

	if (!err)
		err = fill_arm(&d->after, after);
	if (err)
		return err;
	d->change_ms = d->after.mean_ms - d->before.mean_ms;
	if (fabs(d->change_ms) < 1e-6)
		d->change_ms = 0; /* shares of nothing are no numbers */
	err = add_rows(d, before, before, after);
	if (!err)
		err = add_rows(d, after, before, after);
	if (!err && d->rows_cnt)
		qsort(d->rows, d->rows_cnt, sizeof(*d->rows), compare_rows);
	return err ? err : say(d);
}

int diff__findings(const struct findings *before, const struct findings *after,
		   struct difference *out)
{
	struct side b = { 0 }, a = { 0 };
	int err;

	memset(out, 0, sizeof(*out));
	if (!before->windows_cnt || !after->windows_cnt)
		return log_err(-ENODATA, "%s has no window to compare",
			       before->windows_cnt ? after->source : before->source);
	out->from_window = compared_from(before, after);
	err = begin_side(&b, before, out->from_window);
	if (!err)
		err = begin_side(&a, after, out->from_window);
	if (!err)
		err = compare(out, &b, &a);
	free(b.values);
	free(a.values);
	return err;
}
