// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Which cause takes how much of each window: the colours, the stacked bars, the table. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "html_page.h"
#include "numbers.h"
#include "summary.h"

#define HEIGHT_PX  220.0
#define BARS_MAX   200
#define CAUSES_MAX 14
#define X_LABELS   12

static bool is_unknown(const char *cause)
{
	return !strncmp(cause, "unknown", 7) && (cause[7] == '.' || cause[7] == '\0');
}

struct cause_time {
	const char *cause;
	uint64_t ns;
};

struct cause_times {
	struct cause_time *v;
	size_t cnt;
};

static int add_time(struct cause_times *t, const char *cause, uint64_t ns)
{
	struct cause_time *slot;

	for (size_t i = 0; i < t->cnt; i++) {
		if (strcmp(t->v[i].cause, cause) != 0)
			continue;
		t->v[i].ns += ns;
		return 0;
	}
	slot = FINDING_APPEND(&t->v, &t->cnt);
	if (!slot)
		return -ENOMEM;
	slot->cause = cause;
	slot->ns = ns;
	return 0;
}

static int add_findings(struct cause_times *t, const struct findings *f)
{
	for (size_t w = 0; w < f->windows_cnt; w++)
		for (size_t i = 0; i < f->windows[w].ledger_cnt; i++) {
			const struct finding_share *s = &f->windows[w].ledger[i];

			if (!is_unknown(s->cause) && add_time(t, s->cause, s->ns))
				return -ENOMEM;
		}
	return 0;
}

static int compare_times(const void *a, const void *b)
{
	const struct cause_time *x = a, *y = b;

	if (x->ns != y->ns)
		return x->ns < y->ns ? 1 : -1;
	return strcmp(x->cause, y->cause);
}

int palette__build(struct palette *p, const struct report *r)
{
	struct cause_times times = { 0 };
	int err = 0;

	p->cnt = 0;
	for (size_t c = 0; !err && c < r->comparisons_cnt; c++)
		for (size_t a = 0; !err && a < r->comparisons[c].arms_cnt; a++)
			if (r->comparisons[c].arms[a].findings)
				err = add_findings(&times, r->comparisons[c].arms[a].findings);
	if (times.cnt > 1)
		qsort(times.v, times.cnt, sizeof(*times.v), compare_times);
	for (; p->cnt < times.cnt && p->cnt < PALETTE_COLOURS; p->cnt++)
		p->causes[p->cnt] = times.v[p->cnt].cause;
	free(times.v);
	return err;
}

const char *palette_class(const struct palette *p, const char *cause)
{
	static const char *const classes[PALETTE_COLOURS] = { "c0", "c1", "c2", "c3", "c4",
							      "c5", "c6", "c7", "c8" };

	for (size_t i = 0; i < p->cnt; i++)
		if (!strcmp(p->causes[i], cause))
			return classes[i];
	return is_unknown(cause) ? "cu" : "co";
}

struct bars {
	const struct findings *f;
	const char *id;
	size_t cnt;
	double max_ns; /* 0: every bar is as high as the chart: shares */
};

static double bar_px(const struct bars *b, const struct finding_window *w, uint64_t ns)
{
	double whole = b->max_ns > 0 ? b->max_ns : (double)w->duration_ns;

	return whole > 0 ? HEIGHT_PX * (double)ns / whole : 0;
}

static void write_piece(const struct page *p, const struct bars *b, size_t i,
			const struct finding_share *s, double top)
{
	const struct finding_window *w = &b->f->windows[i];
	char time[NUMBER_SIZE], part[NUMBER_SIZE];

	fprintf(p->out,
		"<rect class=\"%s\" x=\"%.3f%%\" width=\"%.3f%%\" y=\"%.2f\" "
		"height=\"%.2f\"><title>",
		palette_class(&p->palette, s->cause), 100.0 * ((double)i + 0.1) / (double)b->cnt,
		80.0 / (double)b->cnt, top, bar_px(b, w, s->ns));
	page_name(p, s->cause);
	fprintf(p->out, "\n%s, %s of window %u", number_ns(time, s->ns),
		number_percent(part, (double)s->ns, (double)w->duration_ns), w->index);
	if (s->carry_over_ns)
		fprintf(p->out, "\n%s of it left behind by an earlier window",
			number_ns(time, s->carry_over_ns));
	fputs("</title></rect>\n", p->out);
}

static void write_bar(const struct page *p, const struct bars *b, size_t i)
{
	const struct finding_window *w = &b->f->windows[i];
	bool linked = page_shows_window(b->f, i);
	double y = HEIGHT_PX;

	if (linked)
		fprintf(p->out, "<a href=\"#%s-w-%zu\" aria-label=\"window %u\">\n", b->id, i,
			w->index);
	for (size_t k = 0; k < w->ledger_cnt; k++) {
		y -= bar_px(b, w, w->ledger[k].ns);
		write_piece(p, b, i, &w->ledger[k], y);
	}
	if (linked)
		fputs("</a>\n", p->out);
}

static void write_bar_labels(const struct page *p, const struct bars *b)
{
	size_t step = (b->cnt + X_LABELS - 1) / X_LABELS;

	for (size_t i = 0; i < b->cnt; i++) {
		/* The same windows of every sweep. */
		if (b->f->windows[i].index % step != 1 % step)
			continue;
		fprintf(p->out,
			"<text class=\"tick%s\" x=\"%.2f%%\" y=\"%.0f\" "
			"text-anchor=\"middle\">%u</text>\n",
			b->f->windows[i].slow ? " slow" : "",
			100.0 * ((double)i + 0.5) / (double)b->cnt, HEIGHT_PX + 18,
			b->f->windows[i].index);
	}
	/* A sweep ends where the numbers begin again. */
	for (size_t i = 1; i < b->cnt; i++)
		if (b->f->windows[i].sweep != b->f->windows[i - 1].sweep)
			fprintf(p->out,
				"<line class=\"sweep\" x1=\"%.2f%%\" x2=\"%.2f%%\" y1=\"0\" "
				"y2=\"%.0f\"/>\n",
				100.0 * (double)i / (double)b->cnt,
				100.0 * (double)i / (double)b->cnt, HEIGHT_PX + 24);
}

static void write_tick(const struct page *p, double y, const char *text)
{
	fprintf(p->out,
		"<line class=\"grid\" x1=\"0\" x2=\"100%%\" y1=\"%.1f\" y2=\"%.1f\"/>"
		"<text class=\"tick\" x=\"0\" dx=\"-8\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
		y, y, y + 4, text);
}

static void write_y_axis(const struct page *p, const struct bars *b)
{
	double max_ms = b->max_ns > 0 ? b->max_ns / 1e6 : 100, step = number_round_up(max_ms / 5);
	char text[NUMBER_SIZE];

	if (b->max_ns <= 0)
		step = 25;
	for (int i = 0; i * step <= max_ms; i++) {
		if (b->max_ns > 0)
			number_tick(text, i * step);
		else
			snprintf(text, sizeof(text), "%d %%", 25 * i);
		write_tick(p, HEIGHT_PX * (1 - i * step / max_ms), text);
	}
}

static void write_bars(const struct page *p, const struct bars *b)
{
	fprintf(p->out,
		"<svg class=\"plot\" xmlns=\"http://www.w3.org/2000/svg\" height=\"%.0f\" "
		"role=\"img\" aria-label=\"causes of each window, %s\">\n",
		HEIGHT_PX + 28, b->max_ns > 0 ? "in milliseconds" : "in percent");
	write_y_axis(p, b);
	for (size_t i = 0; i < b->cnt; i++)
		write_bar(p, b, i);
	write_bar_labels(p, b);
	fputs("</svg>\n", p->out);
}

static void write_cause_row(const struct page *p, const struct findings *f,
			    const struct cause_table *t, const struct cause_row *row)
{
	char a[NUMBER_SIZE], b[NUMBER_SIZE], c[NUMBER_SIZE], d[NUMBER_SIZE];

	fprintf(p->out, "<tr><td><i class=\"key %s\"></i><code>",
		palette_class(&p->palette, row->cause));
	page_name(p, row->cause);
	fputs("</code></td><td class=\"wide\">", p->out);
	page_text(p, cause_title(f, row->cause));
	fputs("</td>", p->out);
	if (t->slow_windows)
		fprintf(p->out,
			"<td class=\"n\">%s</td><td class=\"n\">%s</td><td class=\"n\">%s%s</td>",
			number_ms(a, row->fast_mean_ms), number_ms(b, row->slow_mean_ms),
			row->growth_ms < 0 ? "−" : "+", number_ms(c, fabs(row->growth_ms)));
	else
		fprintf(p->out, "<td class=\"n\">%s</td>", number_ms(a, row->fast_mean_ms));
	fprintf(p->out, "<td class=\"n\">%s</td><td class=\"n\">%s</td></tr>\n",
		number_percent(d, fmax(row->growth_ms, 0), t->growth_ms),
		row->carry_over_ns ? number_ns(a, row->carry_over_ns) : "");
}

static void write_causes(const struct page *p, const struct findings *f,
			 const struct cause_table *t)
{
	fputs("<div class=\"scroll\"><table>\n<thead><tr><th>cause</th><th></th>", p->out);
	if (t->slow_windows)
		fprintf(p->out,
			"<th class=\"n\">fast window<br/>(mean of %u)</th>"
			"<th class=\"n\">slow window<br/>(mean of %u)</th><th "
			"class=\"n\">growth</th>"
			"<th class=\"n\">share of<br/>the growth</th>",
			t->fast_windows, t->slow_windows);
	else
		fprintf(p->out,
			"<th class=\"n\">window<br/>(mean of %u)</th><th class=\"n\">share</th>",
			t->fast_windows);
	fputs("<th class=\"n\">left behind by<br/>earlier windows</th></tr></thead>\n<tbody>\n",
	      p->out);
	for (size_t i = 0; i < t->cnt && i < CAUSES_MAX; i++)
		write_cause_row(p, f, t, &t->rows[i]);
	fputs("</tbody></table></div>\n", p->out);
	if (t->cnt > CAUSES_MAX)
		fprintf(p->out, "<p class=\"small\">%zu smaller causes are in the JSON.</p>\n",
			t->cnt - CAUSES_MAX);
}

static void write_legend(const struct page *p, const struct cause_table *t)
{
	bool others = false;

	fputs("<p class=\"legend\">", p->out);
	for (size_t i = 0; i < t->cnt; i++) {
		const char *class = palette_class(&p->palette, t->rows[i].cause);

		if (!strcmp(class, "co")) {
			others = true;
			continue;
		}
		fprintf(p->out, "<span><i class=\"key %s\"></i>", class);
		page_name(p, t->rows[i].cause);
		fputs("</span>\n", p->out);
	}
	if (others)
		fputs("<span><i class=\"key co\"></i>other causes</span>\n", p->out);
	fputs("</p>\n", p->out);
}

static void write_chart(const struct page *p, const struct findings *f, const char *id,
			const struct cause_table *t)
{
	struct bars times = { .f = f, .id = id, .cnt = f->windows_cnt }, shares;
	char group[80];

	if (times.cnt > BARS_MAX)
		times.cnt = BARS_MAX;
	for (size_t i = 0; i < times.cnt; i++)
		times.max_ns = fmax(times.max_ns, (double)f->windows[i].duration_ns);
	shares = times;
	shares.max_ns = 0;
	fputs("<figure>\n<figcaption>What each window was spent on</figcaption>\n", p->out);
	write_legend(p, t);
	snprintf(group, sizeof(group), "%s-ledger", id);
	page_tabs_begin(p, "unit");
	page_tab(p, group, 0, 0, "time");
	page_tab(p, group, 1, 0, "share");
	page_panel_begin(p);
	write_bars(p, &times);
	page_panel_end(p);
	page_panel_begin(p);
	write_bars(p, &shares);
	page_panel_end(p);
	page_tabs_end(p);
	if (times.cnt < f->windows_cnt)
		fprintf(p->out,
			"<p class=\"small\">The first %zu of %zu windows; all are in the "
			"JSON.</p>\n",
			times.cnt, f->windows_cnt);
	fputs("</figure>\n", p->out);
}

int page_ledger(const struct page *p, const struct findings *f, const char *id)
{
	struct cause_table t;
	int err = cause_table__build(f, &t);

	if (!err && t.cnt) {
		write_chart(p, f, id, &t);
		write_causes(p, f, &t);
	} else if (!err) {
		fputs("<p class=\"small\">No window was found in this trace.</p>\n", p->out);
	}
	cause_table__free_inside(&t);
	return err;
}
