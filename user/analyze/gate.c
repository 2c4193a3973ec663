// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "gate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../reports/numbers.h"
#include "../../reports/summary.h"
#include "curve.h"
#include "curve_level.h"
#include "curve_noise.h"

#define CAUSES_SHOWN   3
#define CAUSE_PART_MIN 0.1 /* of the growth: less explains nothing */

int gate_look__judge(struct gate_look *look, const struct curve_input *in,
		     const struct baseline_entry *base)
{
	int err = curve__judge(in->values_ms, in->sweeps, in->windows, NULL, &look->curve);

	if (err || !base)
		return err;
	return level__test(base->values_ms, base->sweeps, in->values_ms, in->sweeps, in->windows,
			   NULL, &look->level);
}

static bool is_slower(const struct gate_look *look)
{
	return look->level.verdict == GATE_LEVEL_SLOWER;
}

static bool is_stepped(const struct gate_look *look)
{
	return look->curve.verdict == CURVE_STEPPED;
}

enum gate_state gate_look__state(const struct gate_look *look)
{
	if (is_stepped(look) || is_slower(look))
		return GATE_REGRESSED;
	if (look->curve.verdict != CURVE_FLAT || look->level.verdict == GATE_LEVEL_CANNOT_TELL)
		return GATE_OPEN;
	return GATE_CLEAR;
}

/* A step here and a higher level there are two accidents, not one finding. */
static bool repeats(const struct gate_look *first, const struct gate_look *second)
{
	return (is_stepped(first) && is_stepped(second)) || (is_slower(first) && is_slower(second));
}

static enum gate_outcome decide(const struct gate_report *r, bool fail_unconfirmed)
{
	switch (gate_look__state(&r->looks[0])) {
	case GATE_CLEAR:
		return GATE_PASS;
	case GATE_OPEN:
		return GATE_INCONCLUSIVE;
	case GATE_REGRESSED:
		break;
	}
	if (r->looks_cnt < 2)
		return fail_unconfirmed ? GATE_FAIL : GATE_INCONCLUSIVE;
	if (repeats(&r->looks[0], &r->looks[1]))
		return GATE_FAIL;
	return gate_look__state(&r->looks[1]) == GATE_CLEAR ? GATE_PASS : GATE_INCONCLUSIVE;
}

/* ---- in words ---- */

static void say_level(FILE *out, const struct gate_level *l)
{
	char ms[NUMBER_SIZE], base[NUMBER_SIZE], p[NUMBER_SIZE], ratio[NUMBER_SIZE];

	number_ms(ms, l->ms);
	number_ms(base, l->baseline_ms);
	number_ratio(ratio, l->ratio);
	number_p(p, l->p);
	switch (l->verdict) {
	case GATE_LEVEL_NONE:
		return;
	case GATE_LEVEL_SLOWER:
		fprintf(out, "%s times the baseline (%s a window, there %s; %s, %u sweeps and %u)",
			ratio, ms, base, p, l->sweeps, l->baseline_sweeps);
		return;
	case GATE_LEVEL_SAME:
		fprintf(out,
			"no change against the baseline can be detected (%s times, %s, %u "
			"sweeps and %u)",
			ratio, p, l->sweeps, l->baseline_sweeps);
		return;
	case GATE_LEVEL_CANNOT_TELL:
		break;
	}
	fprintf(out,
		"%s times the baseline (%s a window, there %s), which %u sweeps beside its %u "
		"cannot show: it takes %u",
		ratio, ms, base, l->sweeps, l->baseline_sweeps,
		level__sweeps_needed(l->baseline_sweeps, NULL));
}

/* What regressed comes first. */
static void say_look(FILE *out, const struct gate_look *look)
{
	char headline[HEADLINE_SIZE];
	bool level_first = is_slower(look) && !is_stepped(look);

	curve_headline(headline, &look->curve);
	if (level_first)
		say_level(out, &look->level);
	else
		fputs(headline, out);
	if (look->level.verdict == GATE_LEVEL_NONE)
		return;
	fputs("; ", out);
	if (level_first)
		fputs(headline, out);
	else
		say_level(out, &look->level);
}

static void say_headline(FILE *out, const struct gate_report *r)
{
	const struct gate_look *first = &r->looks[0];
	bool regressed = gate_look__state(first) == GATE_REGRESSED;

	if (!regressed && r->outcome == GATE_PASS)
		fputs("no regression: ", out);
	else if (!regressed)
		fputs("cannot be decided: ", out);
	else if (r->outcome == GATE_FAIL)
		fputs("regression: ", out);
	else if (r->looks_cnt > 1)
		fputs("a regression that a second run does not confirm: ", out);
	else
		fputs("a regression that no second run has confirmed: ", out);
	say_look(out, first);
	if (r->looks_cnt < 2)
		return;
	fputs("; second run: ", out);
	say_look(out, &r->looks[1]);
}

static void say_more(FILE *out, const struct gate_look *look)
{
	if (look->more_runs)
		fprintf(out, " More sweeps were asked for %s.",
			look->more_runs == 1 ? "once" : "twice");
}

static void say_noise(FILE *out, const struct curve_noise *n)
{
	if (curve_noise__is_sticky(n))
		fprintf(out,
			" Windows of a sweep lean on one another (autocorrelation %.2g): wait "
			"longer between windows, or sync and drop caches between sweeps.",
			n->phi);
}

static void say_what_to_do(FILE *out, const struct gate_report *r)
{
	enum gate_state state = gate_look__state(&r->looks[0]);

	if (r->outcome != GATE_INCONCLUSIVE)
		return;
	if (state == GATE_OPEN && !r->looks[0].more_runs)
		fputs(" --more COMMAND records more sweeps.", out);
	else if (state == GATE_REGRESSED && r->looks_cnt < 2)
		fputs(" --confirm COMMAND makes a second run; --no-confirm fails without one.",
		      out);
}

static void say_text(FILE *out, const struct gate_report *r, const struct curve_noise *noise)
{
	fprintf(out, "%s.", text_or_empty(r->looks[0].curve.why));
	say_more(out, &r->looks[0]);
	if (r->looks_cnt > 1) {
		fprintf(out, " Second run: %s.", text_or_empty(r->looks[1].curve.why));
		say_more(out, &r->looks[1]);
	}
	say_noise(out, noise);
	say_what_to_do(out, r);
}

/* What `write` prints, as a string; NULL on no memory. */
struct words {
	FILE *stream;
	char *text;
	size_t size;
};

static int words__begin(struct words *w)
{
	memset(w, 0, sizeof(*w));
	w->stream = open_memstream(&w->text, &w->size);
	return w->stream ? 0 : -ENOMEM;
}

static int words__end(struct words *w, char **field)
{
	if (fclose(w->stream)) {
		free(w->text);
		return -ENOMEM;
	}
	free(*field);
	*field = w->text;
	return 0;
}

int gate__decide(struct gate_report *r, bool fail_unconfirmed)
{
	struct curve_noise noise;
	struct words w;
	int err = curve_noise__measure(&r->looks[0].curve, &noise);

	if (err)
		return err;
	r->outcome = decide(r, fail_unconfirmed);
	err = words__begin(&w);
	if (err)
		return err;
	say_headline(w.stream, r);
	err = words__end(&w, &r->headline);
	if (!err)
		err = words__begin(&w);
	if (err)
		return err;
	say_text(w.stream, r, &noise);
	return words__end(&w, &r->text);
}

/* ---- causes ---- */

static int compare_growth(const void *a, const void *b)
{
	const struct gate_cause *x = a, *y = b;
	double dx = x->ms_after - x->ms_before, dy = y->ms_after - y->ms_before;

	if (dx != dy)
		return dx < dy ? 1 : -1;
	return strcmp(x->cause, y->cause);
}

static void fill_before(struct gate_cause *c, const struct cause_sum *sum,
			const struct curve_evidence *e, uint32_t windows, double sweeps)
{
	double total = curve_evidence__total_ms(e, 1, windows);

	c->ms_before = cause_sum__ms(sum, 1, windows) / windows / sweeps;
	c->share_before = total > 0 ? cause_sum__ms(sum, 1, windows) / total : 0;
}

static void fill_before_from(struct gate_cause *c, const struct baseline_entry *base)
{
	for (size_t i = 0; i < base->shares_cnt; i++)
		if (!strcmp(base->shares[i].cause, c->cause)) {
			c->share_before = base->shares[i].share;
			c->ms_before = base->shares[i].ms;
		}
}

static int add_cause(struct gate_report *r, const struct cause_sum *sum,
		     const struct curve_evidence *e, const struct baseline_entry *base)
{
	struct gate_cause *c = FINDING_APPEND(&r->causes, &r->causes_cnt);
	double total = curve_evidence__total_ms(e, r->causes_from, r->causes_to);
	double ms = cause_sum__ms(sum, r->causes_from, r->causes_to);

	if (!c || finding_set(&c->cause, sum->cause))
		return -ENOMEM;
	c->ms_after = ms / (r->causes_to - r->causes_from + 1) / e->sweeps;
	c->share_after = total > 0 ? ms / total : 0;
	if (r->causes_of_baseline)
		fill_before_from(c, base);
	else
		fill_before(c, sum, e, r->causes_from - 1, e->sweeps);
	return 0;
}

/* Keeps the few that make up the growth. */
static void keep_largest(struct gate_report *r)
{
	double growth = 0;
	size_t kept = 0;

	qsort(r->causes, r->causes_cnt, sizeof(*r->causes), compare_growth);
	for (size_t i = 0; i < r->causes_cnt; i++)
		growth += r->causes[i].ms_after - r->causes[i].ms_before;
	while (kept < r->causes_cnt && kept < CAUSES_SHOWN &&
	       r->causes[kept].ms_after - r->causes[kept].ms_before > CAUSE_PART_MIN * growth &&
	       growth > 0)
		kept++;
	for (size_t i = kept; i < r->causes_cnt; i++)
		free(r->causes[i].cause);
	r->causes_cnt = kept;
}

int gate__name_causes(struct gate_report *r, const struct curve_evidence *e,
		      const struct baseline_entry *base)
{
	const struct gate_look *look = &r->looks[0];
	int err = 0;

	r->causes_of_baseline = !is_stepped(look) && is_slower(look);
	if (gate_look__state(look) != GATE_REGRESSED || !e->sweeps ||
	    (r->causes_of_baseline && !base->shares_cnt))
		return 0;
	r->causes_from = r->causes_of_baseline ? 1 : look->curve.at_window;
	r->causes_to = look->curve.windows;
	for (size_t i = 0; !err && i < e->causes_cnt; i++)
		err = add_cause(r, &e->causes[i], e, base);
	if (!err && r->causes_cnt)
		keep_largest(r);
	return err;
}

/* ---- a baseline from it ---- */

static int add_share(struct baseline_entry *out, const struct cause_sum *sum,
		     const struct curve_evidence *e)
{
	struct baseline_share *s = FINDING_APPEND(&out->shares, &out->shares_cnt);
	double ms = cause_sum__ms(sum, 1, e->windows);

	if (!s || finding_set(&s->cause, sum->cause))
		return -ENOMEM;
	s->share = ms / curve_evidence__total_ms(e, 1, e->windows);
	s->ms = ms / e->windows / e->sweeps;
	return 0;
}

int gate__make_baseline(const struct gate_look *look, const struct curve_evidence *e,
			const char *host_class, struct baseline_entry *out)
{
	size_t size = (size_t)look->curve.sweeps * look->curve.windows * sizeof(*out->values_ms);
	time_t now = time(NULL);
	char today[16];
	struct tm tm;
	int err;

	memset(out, 0, sizeof(*out));
	strftime(today, sizeof(today), "%Y-%m-%d", gmtime_r(&now, &tm));
	out->sweeps = look->curve.sweeps;
	out->windows = look->curve.windows;
	out->values_ms = malloc(size);
	if (!out->values_ms)
		return -ENOMEM;
	memcpy(out->values_ms, look->curve.values_ms, size);
	err = curve_noise__measure(&look->curve, &out->noise);
	if (!err)
		err = finding_set(&out->host_class, host_class);
	if (!err)
		err = finding_set(&out->updated, today);
	if (!err)
		err = finding_set(&out->verdict, curve_verdict_name(look->curve.verdict));
	for (size_t i = 0; !err && i < e->causes_cnt; i++)
		if (cause_sum__ms(&e->causes[i], 1, e->windows) > 0)
			err = add_share(out, &e->causes[i], e);
	if (err)
		baseline_entry__free_inside(out);
	return err;
}
