// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "summary.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "numbers.h"

static struct cause_row *find_row(struct cause_table *t, const char *cause)
{
	struct cause_row *row;

	for (size_t i = 0; i < t->cnt; i++)
		if (!strcmp(t->rows[i].cause, cause))
			return &t->rows[i];
	row = FINDING_APPEND(&t->rows, &t->cnt);
	if (row)
		row->cause = cause;
	return row;
}

static int add_window(struct cause_table *t, const struct finding_window *w)
{
	if (w->slow)
		t->slow_windows++;
	else
		t->fast_windows++;
	for (size_t i = 0; i < w->ledger_cnt; i++) {
		struct cause_row *row = find_row(t, w->ledger[i].cause);

		if (!row)
			return -ENOMEM;
		*(w->slow ? &row->slow_ns : &row->fast_ns) += w->ledger[i].ns;
		row->carry_over_ns += w->ledger[i].carry_over_ns;
		row->slow_carry_over_ns += w->slow ? w->ledger[i].carry_over_ns : 0;
	}
	return 0;
}

static double mean_ms(uint64_t sum_ns, uint32_t windows)
{
	return windows ? (double)sum_ns / 1e6 / windows : 0;
}

static int compare_growth(const void *a, const void *b)
{
	const struct cause_row *x = a, *y = b;

	if (x->growth_ms != y->growth_ms)
		return x->growth_ms < y->growth_ms ? 1 : -1;
	return strcmp(x->cause, y->cause);
}

int cause_table__build(const struct findings *f, struct cause_table *t)
{
	memset(t, 0, sizeof(*t));
	for (size_t i = 0; i < f->windows_cnt; i++)
		if (add_window(t, &f->windows[i]))
			return -ENOMEM;
	for (size_t i = 0; i < t->cnt; i++) {
		struct cause_row *row = &t->rows[i];

		row->fast_mean_ms = mean_ms(row->fast_ns, t->fast_windows);
		row->slow_mean_ms = mean_ms(row->slow_ns, t->slow_windows);
		row->growth_ms = t->slow_windows ? row->slow_mean_ms - row->fast_mean_ms
						 : row->fast_mean_ms;
		row->carry_over_mean_ms =
			t->slow_windows ? mean_ms(row->slow_carry_over_ns, t->slow_windows)
					: mean_ms(row->carry_over_ns, t->fast_windows);
		t->growth_ms += row->growth_ms;
	}
	if (t->cnt > 1)
		qsort(t->rows, t->cnt, sizeof(*t->rows), compare_growth);
	return 0;
}

void cause_table__free_inside(struct cause_table *t)
{
	free(t->rows);
	memset(t, 0, sizeof(*t));
}

const char *curve_headline(char buf[HEADLINE_SIZE], const struct finding_curve *c)
{
	char ratio[NUMBER_SIZE], lower[NUMBER_SIZE], upper[NUMBER_SIZE], p[NUMBER_SIZE];
	const char *name = c->verdict == CURVE_STEPPED ? "STEPPED"
			   : c->verdict == CURVE_FLAT  ? "FLAT"
						       : "INCONCLUSIVE";
	int n = snprintf(buf, HEADLINE_SIZE, "%s", name);

	if (c->at_window)
		n += snprintf(buf + n, HEADLINE_SIZE - (size_t)n, " at window %u", c->at_window);
	if (c->ratio > 0)
		n += snprintf(buf + n, HEADLINE_SIZE - (size_t)n, ", x%s",
			      number_ratio(ratio, c->ratio));
	/* Two one-sided bounds of 95 % hold the ratio between them with 90 %. */
	if (c->ratio_lower95 > 0 && isfinite(c->ratio_upper95))
		n += snprintf(buf + n, HEADLINE_SIZE - (size_t)n, " (90 %%: %s to %s)",
			      number_ratio(lower, c->ratio_lower95),
			      number_ratio(upper, c->ratio_upper95));
	if (c->ratio > 0)
		n += snprintf(buf + n, HEADLINE_SIZE - (size_t)n, ", %s", number_p(p, c->p));
	snprintf(buf + n, HEADLINE_SIZE - (size_t)n, ", %u sweep%s of %u window%s", c->sweeps,
		 c->sweeps == 1 ? "" : "s", c->windows, c->windows == 1 ? "" : "s");
	return buf;
}

bool path_shows(const struct finding_window *w, size_t i, size_t max)
{
	size_t longer = 0;

	for (size_t k = 0; k < w->path_cnt; k++)
		longer += w->path[k].ns > w->path[i].ns ||
			  (w->path[k].ns == w->path[i].ns && k < i);
	return longer < max && w->path[i].ns >= w->duration_ns / 100;
}

const char *path_last_hop(const char *via)
{
	for (const char *next; (next = strstr(via, " > ")); via = next + 3)
		;
	return via;
}

bool path_hop_is_holder(const char *hop)
{
	return !strncmp(hop, "held by ", 8) || !strncmp(hop, "behind ", 7);
}

/* "7:0" is a device, "7:0:14" an inode of one, and the rest are paths. */
const char *blame_by(const struct finding_blame *b)
{
	const char *colon = strchr(b->file, ':');
	bool device = colon && b->file[0] != '/' && !strchr(colon + 1, ':');

	return device ? "sent by" : "dirtied by";
}

const char *verdict_share_of(const struct finding_verdict *v)
{
	switch (v->basis) {
	case VERDICT_GROWTH:
		return "growth";
	case VERDICT_SPIKES:
		return "spikes";
	case VERDICT_BASELINE:
		return "difference";
	case VERDICT_HELD:
	case VERDICT_NONE:
		break;
	}
	return "pause";
}

const char *cause_title(const struct findings *f, const char *id)
{
	for (size_t i = 0; i < f->causes_cnt; i++)
		if (!strcmp(f->causes[i].id, id))
			return text_or_empty(f->causes[i].title);
	return "";
}

static int compare_doubles(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

double curve_median(const struct finding_curve *c, uint32_t first, uint32_t last)
{
	size_t cnt = 0;
	double *v, median = NAN;

	if (!c->values_ms || !first || last > c->windows || first > last || !c->sweeps)
		return NAN;
	v = malloc((size_t)c->sweeps * (last - first + 1) * sizeof(*v));
	if (!v)
		return NAN;
	for (uint32_t s = 0; s < c->sweeps; s++)
		for (uint32_t w = first - 1; w < last; w++)
			v[cnt++] = c->values_ms[(size_t)s * c->windows + w];
	qsort(v, cnt, sizeof(*v), compare_doubles);
	median = cnt % 2 ? v[cnt / 2] : (v[cnt / 2 - 1] + v[cnt / 2]) / 2;
	free(v);
	return median;
}

double curve_window_median(const struct finding_curve *c, uint32_t w)
{
	return curve_median(c, w + 1, w + 1);
}

const struct arm *comparison_first_arm(const struct comparison *c)
{
	for (size_t i = 0; i < c->arms_cnt; i++)
		if (c->arms[i].kind == ARM_BEFORE)
			return &c->arms[i];
	return c->arms_cnt ? &c->arms[0] : NULL;
}

bool advice_is_to_act(const struct finding_advice *a)
{
	return *text_or_empty(a->mitigation) && strcmp(a->mitigation, "none") != 0;
}

bool comparison_has_mitigation(const struct comparison *c)
{
	for (size_t i = 0; i < c->arms_cnt; i++)
		if (c->arms[i].kind == ARM_MITIGATED)
			return true;
	return false;
}

const struct arm *comparison_kept_arm(const struct comparison *c)
{
	if (!c->kept || !*c->kept)
		return NULL;
	for (size_t i = 0; i < c->arms_cnt; i++)
		if (c->arms[i].kind == ARM_MITIGATED && !strcmp(c->arms[i].label, c->kept))
			return &c->arms[i];
	return NULL;
}

const char *undone_by(char buf[HEADLINE_SIZE], const struct finding_file *x)
{
	const char *by = text_or_empty(x->undone.by), *call = text_or_empty(x->written.how);
	/* Whoever writes first may be another one than he who opened it. */
	bool same = !strcmp(by, text_or_empty(x->written.by));

	snprintf(buf, HEADLINE_SIZE, "%s%s%.40s%s%s%s%.40s%s", text_or_empty(x->undone.how),
		 by[0] ? " by " : "", by, call[0] ? " (" : "", call, call[0] && !same ? " by " : "",
		 call[0] && !same ? text_or_empty(x->written.by) : "", call[0] ? ")" : "");
	return buf;
}
