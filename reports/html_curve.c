// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The chart of pauses. Places along x are percentages and along y pixels, so that the chart fits
 * any width with text of the same size, without a script.
 */
#include <math.h>
#include <string.h>

#include "html_page.h"
#include "numbers.h"
#include "summary.h"

#define HEIGHT_PX   260.0
#define DOTS_MAX    1500
#define X_LABELS    12
#define TICKS_ABOUT 5

struct scale {
	bool log;
	double low, high; /* ms */
	uint32_t windows;
};

static double y_of(const struct scale *s, double ms)
{
	double part;

	if (!isfinite(ms))
		ms = s->low;
	if (s->log)
		part = log(fmax(ms, s->low) / s->low) / log(s->high / s->low);
	else
		part = (ms - s->low) / (s->high - s->low);
	return HEIGHT_PX * (1 - fmin(fmax(part, 0), 1));
}

static double x_of(const struct scale *s, uint32_t window)
{
	return 100.0 * (window + 0.5) / s->windows;
}

static void find_range(const struct comparison *c, double *low, double *high, uint32_t *windows)
{
	*low = INFINITY;
	*high = 0;
	*windows = 0;
	for (size_t i = 0; i < c->arms_cnt; i++) {
		const struct finding_curve *curve = &c->arms[i].curve;
		size_t cnt = curve->values_ms ? (size_t)curve->sweeps * curve->windows : 0;

		for (size_t k = 0; k < cnt; k++) {
			double v = curve->values_ms[k];

			if (isfinite(v) && v > 0) {
				*low = fmin(*low, v);
				*high = fmax(*high, v);
			}
		}
		if (cnt && curve->windows > *windows)
			*windows = curve->windows;
	}
}

static void write_tick(const struct page *p, const struct scale *s, double ms)
{
	char text[NUMBER_SIZE];
	double y = y_of(s, ms);

	fprintf(p->out,
		"<line class=\"grid\" x1=\"0\" x2=\"100%%\" y1=\"%.1f\" y2=\"%.1f\"/>"
		"<text class=\"tick\" x=\"0\" dx=\"-8\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
		y, y, y + 4, number_tick(text, ms));
}

static void write_y_axis(const struct page *p, const struct scale *s)
{
	if (!s->log) {
		double step = number_round_up(s->high / TICKS_ABOUT);

		for (int i = 0; i * step <= s->high * 1.0001; i++)
			write_tick(p, s, i * step);
		return;
	}
	for (double power = pow(10, floor(log10(s->low))); power <= s->high; power *= 10) {
		static const double steps[] = { 1, 2, 5 };
		bool few = s->high / s->low < 1000;

		for (int i = 0; i < 3; i++) {
			double v = power * steps[i];
			bool end = v < s->low * 1.01 || v > s->high * 0.99;

			if ((few || i == 0 || end) && v >= s->low * 0.99 && v <= s->high * 1.01)
				write_tick(p, s, v);
		}
	}
}

static void write_x_axis(const struct page *p, const struct scale *s)
{
	uint32_t step = (s->windows + X_LABELS - 1) / X_LABELS;

	for (uint32_t w = 0; w < s->windows; w += step)
		fprintf(p->out,
			"<text class=\"tick\" x=\"%.2f%%\" y=\"%.0f\" "
			"text-anchor=\"middle\">%u</text>\n",
			x_of(s, w), HEIGHT_PX + 18, w + 1);
	fprintf(p->out,
		"<text class=\"tick\" x=\"50%%\" y=\"%.0f\" text-anchor=\"middle\">window</text>\n",
		HEIGHT_PX + 36);
}

/* The windows from the step of the first arm on. */
static void write_slow_band(const struct page *p, const struct comparison *c, const struct scale *s)
{
	const struct finding_curve *curve = &comparison_first_arm(c)->curve;
	char ratio[NUMBER_SIZE];
	double x;

	if (!curve->at_window || curve->at_window > s->windows)
		return;
	x = 100.0 * (curve->at_window - 1) / s->windows;
	fprintf(p->out,
		"<rect class=\"slowband\" x=\"%.2f%%\" y=\"0\" width=\"%.2f%%\" height=\"%.0f\"/>"
		"<line class=\"step\" x1=\"%.2f%%\" x2=\"%.2f%%\" y1=\"0\" y2=\"%.0f\"/>"
		"<text class=\"steptext\" x=\"%.2f%%\" dx=\"%s\" y=\"-6\" text-anchor=\"%s\">"
		"step at window %u, ×%s</text>\n",
		x, 100 - x, HEIGHT_PX, x, x, HEIGHT_PX, x, x >= 50 ? "4" : "0",
		x >= 50 ? "end" : "start", curve->at_window, number_ratio(ratio, curve->ratio));
}

static void write_line(const struct page *p, const struct arm *a, const char *class,
		       const struct scale *s)
{
	double before = curve_window_median(&a->curve, 0);

	for (uint32_t w = 1; w < a->curve.windows; w++) {
		double now = curve_window_median(&a->curve, w);

		fprintf(p->out,
			"<line class=\"curve %s\" x1=\"%.2f%%\" y1=\"%.1f\" x2=\"%.2f%%\" "
			"y2=\"%.1f\"/>\n",
			class, x_of(s, w - 1), y_of(s, before), x_of(s, w), y_of(s, now));
		before = now;
	}
}

static void write_dots(const struct page *p, const struct arm *a, const char *class,
		       const struct scale *s)
{
	const struct finding_curve *c = &a->curve;
	char ms[NUMBER_SIZE];

	for (uint32_t k = 0; k < c->sweeps * c->windows; k++) {
		uint32_t sweep = k / c->windows, w = k % c->windows;
		bool slow = c->at_window && w + 1 >= c->at_window;

		fprintf(p->out,
			"<circle class=\"dot %s%s\" cx=\"%.2f%%\" cy=\"%.1f\" r=\"%s\"><title>",
			class, slow ? " slow" : "", x_of(s, w), y_of(s, c->values_ms[k]),
			c->sweeps > 1 ? "3" : "4");
		page_name(p, a->label);
		fprintf(p->out, ", window %u", w + 1);
		if (c->sweeps > 1)
			fprintf(p->out, ", sweep %u", sweep + 1);
		fprintf(p->out, "\n%s%s</title></circle>\n", number_ms(ms, c->values_ms[k]),
			slow ? ", slow" : "");
	}
}

static void write_plot(const struct page *p, const struct comparison *c, const struct scale *s)
{
	fprintf(p->out,
		"<svg class=\"plot\" xmlns=\"http://www.w3.org/2000/svg\" height=\"%.0f\" "
		"role=\"img\" aria-label=\"pause of each window, %s scale\">\n",
		HEIGHT_PX + 44, s->log ? "logarithmic" : "linear");
	write_slow_band(p, c, s);
	write_y_axis(p, s);
	write_x_axis(p, s);
	for (size_t i = 0; i < c->arms_cnt; i++)
		if (c->arms[i].curve.values_ms)
			write_line(p, &c->arms[i], arm_class(c, &c->arms[i]), s);
	for (size_t i = 0; i < c->arms_cnt; i++) {
		const struct finding_curve *curve = &c->arms[i].curve;

		if (curve->values_ms && (size_t)curve->sweeps * curve->windows <= DOTS_MAX)
			write_dots(p, &c->arms[i], arm_class(c, &c->arms[i]), s);
	}
	fputs("</svg>\n", p->out);
}

static void write_legend(const struct page *p, const struct comparison *c)
{
	if (c->arms_cnt < 2)
		return;
	fputs("<p class=\"legend\">", p->out);
	for (size_t i = 0; i < c->arms_cnt; i++) {
		fprintf(p->out, "<span><i class=\"line %s\"></i>", arm_class(c, &c->arms[i]));
		page_name(p, c->arms[i].label);
		fputs("</span>\n", p->out);
	}
	fputs("</p>\n", p->out);
}

/* The numbers behind the chart, for those who cannot see it or want to copy them. */
static void write_values(const struct page *p, const struct comparison *c, uint32_t windows)
{
	char ms[NUMBER_SIZE];

	fputs("<details class=\"values\"><summary>The numbers (medians over sweeps)</summary>\n"
	      "<div class=\"scroll\"><table><thead><tr><th>window</th>",
	      p->out);
	for (uint32_t w = 0; w < windows; w++)
		fprintf(p->out, "<th class=\"n\">%u</th>", w + 1);
	fputs("</tr></thead><tbody>\n", p->out);
	for (size_t i = 0; i < c->arms_cnt; i++) {
		const struct finding_curve *curve = &c->arms[i].curve;

		fputs("<tr><td>", p->out);
		page_name(p, c->arms[i].label);
		fputs("</td>", p->out);
		for (uint32_t w = 0; w < curve->windows && curve->values_ms; w++)
			fprintf(p->out, "<td class=\"n%s\">%s</td>",
				curve->at_window && w + 1 >= curve->at_window ? " slow" : "",
				number_ms(ms, curve_window_median(curve, w)));
		fputs("</tr>\n", p->out);
	}
	fputs("</tbody></table></div></details>\n", p->out);
}

void page_curves(const struct page *p, const struct comparison *c, size_t section)
{
	struct scale linear = { 0 }, logarithmic = { .log = true };
	double low, high;
	uint32_t windows;
	char id[64];

	find_range(c, &low, &high, &windows);
	if (!windows || high <= 0) {
		fputs("<p class=\"small\">No pause was measured: there is no curve.</p>\n", p->out);
		return;
	}
	linear.high = high * 1.06;
	logarithmic.low = number_round_up(low / 2.6);
	logarithmic.high = number_round_up(high * 1.05);
	linear.windows = logarithmic.windows = windows;
	fputs("<figure>\n<figcaption>Pause of each window</figcaption>\n", p->out);
	write_legend(p, c);
	snprintf(id, sizeof(id), "s-%zu-scale", section);
	page_tabs_begin(p, "scale");
	/* What spans more than two decades is unreadable on a linear scale. */
	page_tab(p, id, 0, high / low > 100 ? 1 : 0, "linear");
	page_tab(p, id, 1, high / low > 100 ? 1 : 0, "logarithmic");
	page_panel_begin(p);
	write_plot(p, c, &linear);
	page_panel_end(p);
	page_panel_begin(p);
	write_plot(p, c, &logarithmic);
	page_panel_end(p);
	page_tabs_end(p);
	write_values(p, c, windows);
	fputs("</figure>\n", p->out);
}
