// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The verdict in words. Every number in it is measured; the sentence is built around them. */
#include "verdict.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "../cli/params.h"
#include "curve.h"

#define NUM	   32
#define SAID_MAX   4
#define OTHERS_MAX 2

static const char *ms(double ns, char *buf)
{
	return format_ns(ns > 0 ? (uint64_t)ns : 0, buf, NUM);
}

/* What the windows are called that the evidence was taken from. */
static const char *windows_of(const struct contrast *c)
{
	if (c->kind == CONTRAST_GROWTH || (c->kind == CONTRAST_BASELINE && c->own_step))
		return "slow windows";
	return c->kind == CONTRAST_SPIKES ? "windows that stand out" : "windows";
}

/* ---- evidence ---- */

static int add_evidence(struct findings *f, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static int add_evidence(struct findings *f, const char *fmt, ...)
{
	char **line = FINDING_APPEND(&f->verdict.evidence, &f->verdict.evidence_cnt);
	va_list ap;
	int n;

	if (!line)
		return -ENOMEM;
	va_start(ap, fmt);
	n = vasprintf(line, fmt, ap);
	va_end(ap);
	if (n < 0) {
		*line = NULL;
		f->verdict.evidence_cnt--;
		return -ENOMEM;
	}
	return 0;
}

static int list_device_evidence(struct findings *f, const struct contrast *c)
{
	const struct evidence *e = &c->slow;
	const char *where = windows_of(c);
	char a[NUM], b[NUM];
	int err = 0;

	if (e->requests)
		err = add_evidence(f, "%u requests, %s, completed in the %s; worst %s", e->requests,
				   format_bytes(e->request_bytes, a, NUM), where,
				   ms((double)e->worst_request_ns, b));
	if (!err && e->wbt_points)
		err = add_evidence(f, "%u wbt records in the %s", e->wbt_points, where);
	if (!err && e->dirty_pauses)
		err = add_evidence(f, "balance_dirty_pages paused targets %u times, %s asked for",
				   e->dirty_pauses, ms((double)e->dirty_pause_ns, a));
	if (!err && e->allocs)
		err = add_evidence(f, "%u block allocations by targets in the %s", e->allocs,
				   where);
	if (!err && e->commits)
		err = add_evidence(f, "%u begins and ends of journal commits in the %s", e->commits,
				   where);
	if (!err && e->carry_bytes)
		err = add_evidence(f, "up to %s dirty on %u:%u when one of the %s began",
				   format_bytes(e->carry_bytes, a, NUM), e->carry_dev >> 20,
				   e->carry_dev & 0xfffff, where);
	return err;
}

static int list_evidence(struct findings *f, const struct contrast *c,
			 const struct contrast_row *top)
{
	char a[NUM], b[NUM], journal[256];
	int err = 0;

	if (top && c->kind == CONTRAST_NONE)
		err = add_evidence(f, "%s: %s per window", top->cause, ms(top->slow_ns, a));
	else if (top)
		err = add_evidence(f, "%s: %s per slow window, %s per fast one", top->cause,
				   ms(top->slow_ns, a), ms(top->fast_ns, b));
	journal__say(&c->slow.journal, journal, sizeof(journal));
	if (!err && journal[0] && top && cause_under(top->cause, "jbd2"))
		err = add_evidence(f, "%s", journal);
	if (!err)
		err = list_device_evidence(f, c);
	if (!err && c->unknown_share >= 0.0005) /* else it would read 0.0 % */
		err = add_evidence(f, "%.1f %% of the %s has no name", 100 * c->unknown_share,
				   windows_of(c));
	if (!err)
		err = verdict__list_extents(f, c);
	if (!err && f->loss.events)
		err = add_evidence(f, "%llu of %llu records were lost (%.2f %%)",
				   (unsigned long long)f->loss.events,
				   (unsigned long long)(f->loss.events + f->loss.recorded),
				   100.0 * f->loss.events /
					   (f->loss.events + (double)f->loss.recorded));
	return err;
}

/* ---- the text ---- */

static const char *title_of(const char *id)
{
	const struct cause *cause = probes__cause(id);

	return cause ? cause->title : cause_under(id, "unknown") ? "unknown" : "";
}

static void say_cause(FILE *out, const char *id)
{
	const char *title = title_of(id);

	fprintf(out, title[0] ? "%s (%s)" : "%s", id, title);
}

/* Levels and ratio as the curve has them; the ledger alone is of means, as only these add up. */
static void say_growth(FILE *out, const struct findings *f, const struct contrast *c)
{
	const struct finding_curve *curve = &f->curve;
	uint32_t at = curve->at_window ? curve->at_window : c->first_slow;
	double fast_ms = curve__median_ms(curve, 1, at - 1);
	double slow_ms = curve__median_ms(curve, at, curve->windows);
	double ratio = curve->at_window ? curve->ratio : fast_ms > 0 ? slow_ms / fast_ms : 0;
	char a[NUM], b[NUM];

	fprintf(out, "Pauses grew %.3gx from window %u on (medians: %s to %s). ", ratio, at,
		ms(fast_ms * 1e6, a), ms(slow_ms * 1e6, b));
	if (f->curve.verdict != CURVE_STEPPED)
		fprintf(out, "The curve is %s by its statistics. ",
			curve_verdict_name(f->curve.verdict));
}

/* What is to be explained, as a sentence, and what the shares are of. */
static const char *say_what(FILE *out, const struct findings *f, const struct contrast *c)
{
	char a[NUM], b[NUM];

	switch (c->kind) {
	case CONTRAST_GROWTH:
		say_growth(out, f, c);
		return "the growth";
	case CONTRAST_SPIKES:
		fprintf(out, "%u windows stand out, without a step (%s on average, %s elsewhere). ",
			c->slow_cnt, ms(c->slow_ns, a), ms(c->fast_ns, b));
		return "that";
	case CONTRAST_BASELINE:
		fprintf(out,
			"The pauses are %.1fx those of the baseline (on average %s, %s there). ",
			c->fast_ns > 0 ? c->slow_ns / c->fast_ns : 0, ms(c->slow_ns, a),
			ms(c->fast_ns, b));
		return "the difference";
	case CONTRAST_NONE:
		break;
	}
	fprintf(out, "The pauses show no step (%s), but all are long: %s on average. ",
		curve_verdict_name(f->curve.verdict), ms(c->slow_ns, a));
	return "that";
}

/* What else has a part worth naming; two at most, as the ledger has them all. */
static void say_others(FILE *out, const struct contrast *c, const struct contrast_row *top)
{
	int said = 0;

	for (size_t i = 0; i < vec__cnt(&c->rows) && said < OTHERS_MAX; i++) {
		const struct contrast_row *r = VEC_AT(&c->rows, struct contrast_row, i);

		if (r == top || r->share < 0.1)
			continue;
		fprintf(out, "%s%.0f %% %s", said++ ? ", " : "Beside it: ", 100 * r->share,
			r->cause);
	}
	if (said)
		fputs(". ", out);
}

/* The alternatives that people suspect first; the findings list all, with what rejects each. */
static void say_rejected(FILE *out, const struct rejections *r)
{
	for (size_t i = 0; i < r->cnt && i < SAID_MAX; i++)
		fprintf(out, "%s%s (%s)", i ? ", " : "Not the cause: ", r->v[i].name,
			r->v[i].brief);
	if (r->cnt)
		fputs(". ", out);
}

static void say_seen(FILE *out, const struct contrast *c, const struct contrast_row *top)
{
	fprintf(out, "Seen in %u of %u %s.", top->seen, c->slow_cnt, windows_of(c));
}

static void say_verdict(FILE *out, const struct findings *f, const struct contrast *c,
			const struct contrast_row *top, const struct rejections *r)
{
	const char *of = say_what(out, f, c);

	fprintf(out, "%.0f %% of %s is ", 100 * f->verdict.share, of);
	say_cause(out, top->cause);
	verdict__story(out, f, c, top);
	fputs(". ", out);
	say_others(out, c, top);
	say_rejected(out, r);
	say_seen(out, c, top);
}

/* ---- nothing to name ---- */

/* Windows that stand out, but too few or too unlike each other to be called a pattern. */
static void say_spikes(FILE *out, const struct findings *f)
{
	const struct finding_window *worst = NULL;
	size_t cnt = 0;
	char a[NUM];

	for (size_t i = 0; i < f->windows_cnt; i++) {
		const struct finding_window *w = &f->windows[i];

		cnt += w->spike;
		if (w->spike && (!worst || w->duration_ns > worst->duration_ns))
			worst = w;
	}
	if (!worst)
		return;
	fprintf(out, " Window %u of sweep %u stands out (%s", worst->index, worst->sweep,
		ms((double)worst->duration_ns, a));
	if (worst->ledger_cnt)
		fprintf(out, ", most of it %s", worst->ledger[0].cause);
	fprintf(out, cnt > 1 ? "), and so do%s %zu more." : "); once is no pattern.",
		cnt == 2 ? "es" : "", cnt - 1);
}

/* Over all windows of the run, whichever of them were set apart. */
static double mean_of_all(const struct contrast *c, double slow_ns, double fast_ns)
{
	double cnt = c->slow_cnt + (double)c->fast_cnt;

	if (c->kind == CONTRAST_BASELINE || !cnt)
		return slow_ns;
	return (slow_ns * c->slow_cnt + fast_ns * c->fast_cnt) / cnt;
}

static void say_largest(FILE *out, const struct contrast *c, double all_ns)
{
	const char *cause = NULL;
	double most = 0;

	for (size_t i = 0; i < vec__cnt(&c->rows); i++) {
		const struct contrast_row *r = VEC_AT(&c->rows, struct contrast_row, i);
		double ns = mean_of_all(c, r->slow_ns, r->fast_ns);

		if (ns > most) {
			most = ns;
			cause = r->cause;
		}
	}
	if (!cause || all_ns <= 0)
		return;
	fprintf(out, ", %.0f %% of it ", 100 * most / all_ns);
	say_cause(out, cause);
}

static void say_none(FILE *out, const struct findings *f, const struct contrast *c)
{
	double all_ns = mean_of_all(c, c->slow_ns, c->fast_ns);

	if (c->kind == CONTRAST_BASELINE)
		fprintf(out, "No anomaly: the pauses are within the baseline's scatter");
	else if (c->kind == CONTRAST_GROWTH)
		fprintf(out, "No cause: the later pauses are longer, but what was recorded of "
			     "them is not");
	else
		fprintf(out, "No anomaly: the pauses are %s",
			f->curve.verdict == CURVE_FLAT ? "flat" : "without a step");
	if (all_ns > 0) {
		char a[NUM];

		fprintf(out, ", %s on average", ms(all_ns, a));
		say_largest(out, c, all_ns);
	}
	fputc('.', out);
	say_spikes(out, f);
}

static void say_incomplete(FILE *out, const struct contrast *c, const struct finding_verdict *v)
{
	if (v->incomplete)
		fprintf(out, " Incomplete: %.1f %% of the %s has no name.", 100 * v->unknown_share,
			windows_of(c));
}

int verdict__say(struct analysis *a, const struct contrast *c, const struct contrast_row *top,
		 const struct rejections *r)
{
	struct findings *f = a->f;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	int err;

	if (!out)
		return -ENOMEM;
	if (top)
		say_verdict(out, f, c, top, r);
	else
		say_none(out, f, c);
	verdict__say_undone(out, f, c);
	say_incomplete(out, c, &f->verdict);
	err = fclose(out) ? -ENOMEM : finding_set(&f->verdict.text, text);
	free(text);
	return err ? err : list_evidence(f, c, top);
}
