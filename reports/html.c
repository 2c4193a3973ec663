// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "html.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "escape.h"
#include "flamegraph.h"
#include "html_page.h"
#include "numbers.h"
#include "summary.h"

#define FLAME_MIN_FRACTION (1.0 / 2000)
#define TEXT_MAX_CPS	   4096
#define NAME_MAX_CPS	   120

static const char css[] =
#include "reports/page.css.inc"
	;
static const char js[] =
#include "reports/page.js.inc"
	;

void page_text(const struct page *p, const char *s)
{
	escape_xml_short(p->out, text_or_empty(s), TEXT_MAX_CPS);
}

void page_name(const struct page *p, const char *s)
{
	escape_xml_short(p->out, text_or_empty(s), NAME_MAX_CPS);
}

void page_tabs_begin(const struct page *p, const char *label)
{
	fprintf(p->out, "<div class=\"tabs\" role=\"group\" aria-label=\"%s\">\n", label);
}

void page_tab(const struct page *p, const char *id, size_t i, size_t chosen, const char *label)
{
	fprintf(p->out, "<input type=\"radio\" name=\"%s\" id=\"%s-%zu\"%s/><label for=\"%s-%zu\">",
		id, id, i, i == chosen ? " checked=\"checked\"" : "", id, i);
	page_name(p, label);
	fputs("</label>\n", p->out);
}

void page_panel_begin(const struct page *p)
{
	fputs("<div class=\"panel\">\n", p->out);
}

void page_panel_end(const struct page *p)
{
	fputs("</div>\n", p->out);
}

void page_tabs_end(const struct page *p)
{
	fputs("</div>\n", p->out);
}

const char *arm_class(const struct comparison *c, const struct arm *a)
{
	static const char *const mitigations[] = { "a-m0", "a-m1", "a-m2", "a-m3" };
	size_t nth = 0;

	if (a->kind == ARM_BEFORE)
		return "a-before";
	if (a->kind == ARM_CONTROL)
		return "a-control";
	for (const struct arm *other = c->arms; other < a; other++)
		nth += other->kind == ARM_MITIGATED;
	return mitigations[nth % 4];
}

/* The windows that were slow before: what medians are taken of. */
static double slow_median(const struct comparison *c, const struct arm *a)
{
	const struct arm *first = comparison_first_arm(c);
	uint32_t from = first->curve.at_window ? first->curve.at_window : 1;

	return curve_median(&a->curve, from, a->curve.windows);
}

static void write_outcome(const struct page *p, enum curve_outcome outcome, const char *flat)
{
	if (outcome == CURVE_FLATTENED)
		fprintf(p->out, "<span class=\"badge good\">%s</span>", flat);
	else if (outcome == CURVE_NOT_FLATTENED)
		fputs("<span class=\"badge bad\">not flattened</span>", p->out);
	else
		fputs("<span class=\"badge unsure\">not shown</span>", p->out);
}

static void write_badge(const struct page *p, const struct comparison *c)
{
	const struct arm *first = comparison_first_arm(c);

	if (comparison_has_mitigation(c))
		write_outcome(p, c->outcome, "flat now");
	else if (first)
		fprintf(p->out, "<span class=\"badge %s\">%s</span>",
			first->curve.verdict == CURVE_FLAT	? "good"
			: first->curve.verdict == CURVE_STEPPED ? "bad"
								: "unsure",
			curve_verdict_name(first->curve.verdict));
}

static void write_cause_chip(const struct page *p, const char *cause)
{
	fprintf(p->out, "<span class=\"chip\"><i class=\"%s\"></i>",
		palette_class(&p->palette, cause));
	page_name(p, cause);
	fputs("</span>", p->out);
}

/* From what to what: the answer that a reader looks for first. */
static void write_big_numbers(const struct page *p, const struct comparison *c)
{
	const struct arm *first = comparison_first_arm(c), *kept = comparison_kept_arm(c);
	uint32_t at = first->curve.at_window;
	char a[NUMBER_SIZE], b[NUMBER_SIZE];

	if (kept) {
		fprintf(p->out,
			"<p class=\"big\">%s <span>→</span> %s</p><p class=\"small\">medians, "
			"with ",
			number_ms(a, slow_median(c, first)), number_ms(b, slow_median(c, kept)));
		page_name(p, kept->label);
		if (kept->ratio_to_before > 0)
			fprintf(p->out, ", %s times lower", number_ratio(a, kept->ratio_to_before));
		fputs("</p>\n", p->out);
	} else if (at > 1) {
		fprintf(p->out,
			"<p class=\"big\">%s <span>→</span> %s</p>"
			"<p class=\"small\">medians, from window %u on</p>\n",
			number_ms(a, curve_median(&first->curve, 1, at - 1)),
			number_ms(b, slow_median(c, first)), at);
	} else {
		fprintf(p->out,
			"<p class=\"big\">%s</p><p class=\"small\">median of %u windows</p>\n",
			number_ms(a, slow_median(c, first)),
			first->curve.windows * first->curve.sweeps);
	}
}

/* What was tried, and what came of it. */
static void write_tried(const struct page *p, const struct comparison *c)
{
	char text[NUMBER_SIZE];

	if (!comparison_has_mitigation(c))
		return;
	fputs("<ul class=\"tried\">\n", p->out);
	for (size_t i = 0; i < c->arms_cnt; i++) {
		const struct arm *a = &c->arms[i];

		if (a->kind == ARM_BEFORE)
			continue;
		fprintf(p->out, "<li><i class=\"line %s\"></i>", arm_class(c, a));
		page_name(p, a->label);
		fprintf(p->out, " <b>%s</b>", number_ms(text, slow_median(c, a)));
		if (a->kind == ARM_MITIGATED)
			write_outcome(p, a->outcome, "flattened");
		fputs("</li>\n", p->out);
	}
	fputs("</ul>\n", p->out);
}

/* What it is, in words and by name, and how much of it. */
static void write_card_cause(const struct page *p, const struct findings *f)
{
	const struct finding_verdict *v = &f->verdict;
	const char *title = cause_title(f, v->cause);

	if (!*v->cause || !strcmp(v->cause, "none")) {
		fputs("<p>No anomaly</p>\n", p->out);
		return;
	}
	fputs("<p>", p->out);
	page_name(p, *title ? title : v->cause);
	if (isfinite(v->share))
		fprintf(p->out, ": %.0f %% of the %s", 100 * fmin(fmax(v->share, 0), 1),
			verdict_share_of(v));
	fputs("</p>\n", p->out);
	write_cause_chip(p, v->cause);
}

static void write_card(const struct page *p, const struct comparison *c, size_t i)
{
	const struct arm *first = comparison_first_arm(c);

	fprintf(p->out, "<a class=\"card\" href=\"#s-%zu\"><h3>", i);
	page_name(p, c->name);
	fputc(' ', p->out);
	write_badge(p, c);
	fputs("</h3>\n", p->out);
	if (first) {
		write_big_numbers(p, c);
		if (first->findings)
			write_card_cause(p, first->findings);
		write_tried(p, c);
	}
	fputs("</a>\n", p->out);
}

static void write_meter(const struct page *p, const char *label, double part)
{
	double percent = isfinite(part) ? 100 * fmin(fmax(part, 0), 1) : 0;

	fprintf(p->out,
		"<div class=\"meter\"><span>%s</span><b>%.0f %%</b>"
		"<i><u style=\"width:%.1f%%\"></u></i></div>\n",
		label, percent, percent);
}

static void write_list(const struct page *p, const char *class, char *const *v, size_t cnt)
{
	if (!cnt)
		return;
	fprintf(p->out, "<ul class=\"%s\">\n", class);
	for (size_t i = 0; i < cnt; i++) {
		fputs("<li>", p->out);
		page_text(p, v[i]);
		fputs("</li>\n", p->out);
	}
	fputs("</ul>\n", p->out);
}

static void write_verdict(const struct page *p, const struct findings *f)
{
	const struct finding_verdict *v = &f->verdict;
	const char *title = cause_title(f, v->cause);
	bool none = !*v->cause || !strcmp(v->cause, "none");
	char share[32];

	fputs("<div class=\"verdict\">\n<div>\n<h3>", p->out);
	page_text(p, none ? "No anomaly" : *title ? title : v->cause);
	fputs("</h3>\n", p->out);
	if (!none)
		write_cause_chip(p, v->cause);
	fputs("<p>", p->out);
	page_text(p, v->text);
	fputs("</p>\n</div>\n<div class=\"meters\">\n", p->out);
	if (!none) {
		snprintf(share, sizeof(share), "share of the %s", verdict_share_of(v));
		write_meter(p, share, v->share);
		write_meter(p, "confidence", v->confidence);
	}
	fputs("</div>\n", p->out);
	write_list(p, "evidence", v->evidence, v->evidence_cnt);
	write_list(p, "warnings", f->warnings, f->warnings_cnt);
	fputs("</div>\n", p->out);
}

static void write_ratio_cell(const struct page *p, double ratio)
{
	char text[NUMBER_SIZE];

	if (ratio > 0)
		fprintf(p->out, "<td class=\"n\">%s</td>", number_ratio(text, ratio));
	else
		fputs("<td class=\"n none\">–</td>", p->out);
}

static void write_arm_row(const struct page *p, const struct comparison *c, const struct arm *a)
{
	char ms[NUMBER_SIZE];

	fprintf(p->out, "<tr><td><i class=\"line %s\"></i>", arm_class(c, a));
	page_name(p, a->label);
	if (c->kept && a->kind == ARM_MITIGATED && !strcmp(c->kept, a->label))
		fputs(" <span class=\"badge good\">kept</span>", p->out);
	fprintf(p->out, "</td><td>%s</td><td class=\"n\">%s</td>",
		curve_verdict_name(a->curve.verdict), number_ms(ms, slow_median(c, a)));
	write_ratio_cell(p, a->ratio_to_before);
	write_ratio_cell(p, a->ratio_to_control);
	fputs("<td>", p->out);
	if (a->kind == ARM_MITIGATED)
		write_outcome(p, a->outcome, "flattened");
	fputs("</td><td class=\"wide says\">", p->out);
	page_text(p, a->text);
	fputs("</td></tr>\n", p->out);
}

static void write_arms(const struct page *p, const struct comparison *c)
{
	if (c->arms_cnt < 2)
		return;
	fputs("<div class=\"scroll\"><table>\n<thead><tr><th>arm</th><th>curve</th>"
	      "<th class=\"n\">median of the windows<br/>that were slow</th>"
	      "<th class=\"n\">times lower<br/>than before</th>"
	      "<th class=\"n\">times the<br/>control</th><th>outcome</th>"
	      "<th></th></tr></thead>\n<tbody>\n",
	      p->out);
	for (size_t i = 0; i < c->arms_cnt; i++)
		write_arm_row(p, c, &c->arms[i]);
	fputs("</tbody></table></div>\n", p->out);
}

void page_state_legend(const struct page *p, const struct flame_node *root)
{
	char part[NUMBER_SIZE];

	fputs("<p class=\"legend fp-flame\">", p->out);
	for (int s = 0; s < FLAME_STATES; s++) {
		fprintf(p->out, "<span><i class=\"fp-key s%d\"></i>%s", s,
			flame_state_title((enum flame_state)s));
		if (root)
			fprintf(p->out, " %s",
				number_percent(part, (double)root->state_ns[s],
					       (double)root->total_ns));
		fputs("</span>\n", p->out);
	}
	fputs("</p>\n", p->out);
}

static int write_one_flame(const struct page *p, const struct flame *flame, const char *id,
			   const char *which)
{
	struct flamegraph_opts opts = {
		.title = which,
		.id = id,
		.embedded = true,
		.min_fraction = FLAME_MIN_FRACTION,
	};

	page_state_legend(p, flame__root(flame));
	return flame__write_svg(p->out, flame, &opts);
}

static int write_flames(const struct page *p, const struct findings *f, const char *id)
{
	const struct flame *flames[] = { f->flame_slow, f->flame_fast };
	const char *const names[] = { f->flame_fast ? "Slow windows" : "All windows",
				      "Fast windows" };
	char group[80], name[96];
	int err = 0;

	if (!flames[0] && !flames[1])
		return 0;
	fputs("<h4>Where the time went, by stack</h4>\n", p->out);
	snprintf(group, sizeof(group), "%s-flame", id);
	page_tabs_begin(p, "flame graph");
	for (size_t i = 0; i < 2; i++)
		if (flames[i])
			page_tab(p, group, i, flames[0] ? 0 : 1, names[i]);
	for (size_t i = 0; i < 2 && !err; i++) {
		if (!flames[i])
			continue;
		snprintf(name, sizeof(name), "%s-%zu-svg", group, i);
		page_panel_begin(p);
		err = write_one_flame(p, flames[i], name, names[i]);
		page_panel_end(p);
	}
	page_tabs_end(p);
	return err;
}

static int write_arm_details(const struct page *p, const struct arm *a, const char *id)
{
	int err = page_ledger(p, a->findings, id);

	if (err)
		return err;
	err = write_flames(p, a->findings, id);
	if (err)
		return err;
	page_windows(p, a->findings, id);
	err = page_load(p, a->findings);
	page_facts(p, a->findings);
	return err;
}

static int write_details(const struct page *p, const struct comparison *c, size_t section)
{
	size_t chosen = SIZE_MAX;
	char id[64];
	int err = 0;

	for (size_t i = 0; i < c->arms_cnt; i++)
		if (c->arms[i].findings && (chosen == SIZE_MAX || c->arms[i].kind == ARM_BEFORE))
			chosen = i;
	if (chosen == SIZE_MAX)
		return 0;
	fputs("<h3>Every nanosecond of the pauses</h3>\n", p->out);
	page_tabs_begin(p, "arm");
	snprintf(id, sizeof(id), "s-%zu-arm", section);
	for (size_t i = 0; i < c->arms_cnt; i++)
		if (c->arms[i].findings)
			page_tab(p, id, i, chosen, text_or_empty(c->arms[i].label));
	for (size_t i = 0; i < c->arms_cnt && !err; i++) {
		if (!c->arms[i].findings)
			continue;
		snprintf(id, sizeof(id), "s-%zu-a-%zu", section, i);
		page_panel_begin(p);
		err = write_arm_details(p, &c->arms[i], id);
		page_panel_end(p);
	}
	page_tabs_end(p);
	return err;
}

static int write_section(const struct page *p, const struct comparison *c, size_t i)
{
	const struct arm *first = comparison_first_arm(c);
	char headline[HEADLINE_SIZE];
	int err;

	fprintf(p->out, "<section id=\"s-%zu\">\n<h2>", i);
	/* What is alone has its name in the title already. */
	page_name(p, p->report->comparisons_cnt > 1 ? c->name : "Pause curve");
	fputc(' ', p->out);
	write_badge(p, c);
	fputs("</h2>\n", p->out);
	if (*text_or_empty(c->text)) {
		fputs("<p class=\"lead\">", p->out);
		page_text(p, c->text);
		fputs("</p>\n", p->out);
	}
	if (!first) {
		fputs("<p>There is nothing to compare.</p>\n</section>\n", p->out);
		return 0;
	}
	if (p->report->comparisons_cnt == 1)
		write_big_numbers(p, c);
	fprintf(p->out, "<p class=\"headline\">%s</p>\n", curve_headline(headline, &first->curve));
	if (first->findings)
		write_verdict(p, first->findings);
	page_curves(p, c, i);
	write_arms(p, c);
	if (first->findings) {
		page_advice(p, first->findings);
		page_rejected(p, first->findings);
		page_rounds(p, first->findings);
	}
	err = write_details(p, c, i);
	fputs("</section>\n", p->out);
	return err;
}

static void write_head(const struct page *p)
{
	const char *title = *text_or_empty(p->report->title) ? p->report->title : "flatpause";

	fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
	      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
	      "<meta name=\"color-scheme\" content=\"light dark\"/>\n"
	      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
	      "style-src 'unsafe-inline'; script-src 'unsafe-inline'\"/>\n<title>",
	      p->out);
	page_name(p, title);
	fprintf(p->out, "</title>\n<style>\n%s%s</style>\n</head>\n<body>\n", flamegraph_css(),
		css);
	fputs("<header>\n<p class=\"brand\">flatpause</p>\n<h1>", p->out);
	page_name(p, title);
	fputs("</h1>\n</header>\n<main>\n", p->out);
}

static void write_cards(const struct page *p)
{
	const struct report *r = p->report;

	if (!r->comparisons_cnt) {
		fputs("<p>No pause was found: there is nothing to show.</p>\n", p->out);
		return;
	}
	/* One section says by itself what its card would. */
	if (r->comparisons_cnt == 1)
		return;
	fputs("<div class=\"cards\">\n", p->out);
	for (size_t i = 0; i < r->comparisons_cnt; i++)
		write_card(p, &r->comparisons[i], i);
	fputs("</div>\n", p->out);
}

int report__write_html(FILE *out, const struct report *r)
{
	struct page p = { .out = out, .report = r };
	int err = palette__build(&p.palette, r);

	if (err)
		return err;
	write_head(&p);
	write_cards(&p);
	for (size_t i = 0; i < r->comparisons_cnt; i++) {
		err = write_section(&p, &r->comparisons[i], i);
		if (err)
			return err;
	}
	fprintf(out, "</main>\n<script>\n%s%s</script>\n</body>\n</html>\n", flamegraph_js(), js);
	return ferror(out) ? -EIO : 0;
}
