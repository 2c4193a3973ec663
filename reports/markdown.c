// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "markdown.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "escape.h"
#include "markdown_tables.h"
#include "numbers.h"
#include "summary.h"

#define WINDOWS_MAX 40 /* bars of a curve; a comment is read, not scrolled */
#define CAUSES_MAX  12
#define BAR_LETTERS 40

static void write_line(FILE *out, const char *before, const char *s, const char *after)
{
	fputs(before, out);
	escape_markdown(out, text_or_empty(s));
	fputs(after, out);
}

static void write_verdict(FILE *out, const struct findings *f)
{
	const struct finding_verdict *v = &f->verdict;
	const char *title = cause_title(f, v->cause);

	if (*v->cause && strcmp(v->cause, "none") != 0) {
		fputs("**Cause:** ", out);
		escape_markdown_code(out, v->cause, false);
		if (*title)
			write_line(out, ", ", title, "");
		fprintf(out, " (%.0f %% of the %s, confidence %.0f %%%s)\n\n", 100 * v->share,
			verdict_share_of(v), 100 * v->confidence,
			v->incomplete ? ", incomplete" : "");
	}
	if (*v->text)
		write_line(out, "", v->text, "\n\n");
	for (size_t i = 0; i < v->evidence_cnt; i++)
		write_line(out, "* ", v->evidence[i], "\n");
	if (v->evidence_cnt)
		fputc('\n', out);
	for (size_t i = 0; i < f->warnings_cnt; i++)
		write_line(out, "> :warning: ", f->warnings[i], "\n");
	if (f->warnings_cnt)
		fputc('\n', out);
}

static void write_bar(FILE *out, double value, double max)
{
	int letters = max > 0 && isfinite(value) ? (int)(value / max * BAR_LETTERS + 0.5) : 0;

	for (int i = 0; i < letters; i++)
		fputs("█", out);
	fputs(letters ? " " : "▏", out);
}

static void write_curve(FILE *out, const struct finding_curve *c)
{
	uint32_t shown = c->windows < WINDOWS_MAX ? c->windows : WINDOWS_MAX;
	char ms[NUMBER_SIZE];
	double max = 0;

	if (!c->values_ms || !shown)
		return;
	for (uint32_t w = 0; w < shown; w++)
		max = fmax(max, curve_window_median(c, w));
	fputs("```text\n", out);
	for (uint32_t w = 0; w < shown; w++) {
		double value = curve_window_median(c, w);

		fprintf(out, "window %3u %9s ", w + 1, number_ms(ms, value));
		write_bar(out, value, max);
		fputs(c->at_window == w + 1 ? "<- here it steps\n" : "\n", out);
	}
	if (shown < c->windows)
		fprintf(out, "... and %u more windows\n", c->windows - shown);
	fputs("```\n\n", out);
}

static void write_cause_row(FILE *out, const struct cause_table *t, const struct cause_row *row)
{
	char a[NUMBER_SIZE], b[NUMBER_SIZE], c[NUMBER_SIZE], d[NUMBER_SIZE];

	fputs("| ", out);
	escape_markdown_code(out, row->cause, true);
	if (t->slow_windows)
		fprintf(out, " | %s | %s | %s%s | %s |\n", number_ms(a, row->fast_mean_ms),
			number_ms(b, row->slow_mean_ms), row->growth_ms < 0 ? "-" : "+",
			number_ms(c, fabs(row->growth_ms)),
			number_percent(d, fmax(row->growth_ms, 0), t->growth_ms));
	else
		fprintf(out, " | %s | %s |\n", number_ms(a, row->fast_mean_ms),
			number_percent(d, row->growth_ms, t->growth_ms));
}

static int write_ledger(FILE *out, const struct findings *f)
{
	struct cause_table t;
	int err = cause_table__build(f, &t);

	if (err || !t.cnt)
		goto out;
	if (t.slow_windows)
		fprintf(out,
			"| cause | fast window (mean of %u) | slow window (mean of %u) | growth | "
			"share |\n"
			"|---|---:|---:|---:|---:|\n",
			t.fast_windows, t.slow_windows);
	else
		fprintf(out, "| cause | window (mean of %u) | share |\n|---|---:|---:|\n",
			t.fast_windows);
	for (size_t i = 0; i < t.cnt && i < CAUSES_MAX; i++)
		write_cause_row(out, &t, &t.rows[i]);
	if (t.cnt > CAUSES_MAX)
		fprintf(out, "\n%zu smaller causes are in the JSON.\n", t.cnt - CAUSES_MAX);
	fputc('\n', out);
out:
	cause_table__free_inside(&t);
	return err;
}

static void write_rejected(FILE *out, const struct finding_verdict *v)
{
	if (!v->rejected_cnt)
		return;
	fputs("<details><summary>What it is not</summary>\n\n", out);
	for (size_t i = 0; i < v->rejected_cnt; i++) {
		fputs("* ", out);
		escape_markdown_code(out, v->rejected[i].cause, false);
		write_line(out, ": ", v->rejected[i].why, "\n");
	}
	fputs("\n</details>\n\n", out);
}

static void write_command(FILE *out, const char *label, const char *command)
{
	if (!*command)
		return;
	fprintf(out, "   * %s: ", label);
	escape_markdown_code(out, command, false);
	fputc('\n', out);
}

static void write_advice(FILE *out, const struct findings *f)
{
	if (!f->advice_cnt)
		return;
	fputs("**What to do**\n\n", out);
	for (size_t i = 0; i < f->advice_cnt; i++) {
		fprintf(out, "%zu. ", i + 1);
		if (advice_is_to_act(&f->advice[i]))
			write_line(out, "**", f->advice[i].mitigation, "**: ");
		write_line(out, "", f->advice[i].why, "\n");
		write_command(out, "run", text_or_empty(f->advice[i].command));
		write_command(out, "undo", text_or_empty(f->advice[i].undo));
	}
	fputc('\n', out);
}

static void write_facts(FILE *out, const char *title, const struct finding_fact *v, size_t cnt)
{
	if (!cnt)
		return;
	fprintf(out, "<details><summary>%s</summary>\n\n| | |\n|---|---|\n", title);
	for (size_t i = 0; i < cnt; i++) {
		write_line(out, "| ", v[i].name, " | ");
		write_line(out, "", v[i].value, " |\n");
	}
	fputs("\n</details>\n\n", out);
}

static void write_loss(FILE *out, const struct findings *f)
{
	const struct finding_loss *l = &f->loss;
	char part[NUMBER_SIZE];

	fprintf(out, "Events lost: %llu of %llu (%s)%s", (unsigned long long)l->events,
		(unsigned long long)(l->events + l->recorded),
		number_percent(part, (double)l->events, (double)l->events + (double)l->recorded),
		l->complete ? "" : "; the trace is INCOMPLETE");
	if (l->bad_chunks)
		fprintf(out, "; %u chunks are damaged", l->bad_chunks);
	fputs(".\n\n", out);
}

static void write_hooks(FILE *out, const struct findings *f)
{
	bool any = false;

	for (size_t i = 0; i < f->hooks_cnt; i++) {
		if (!*text_or_empty(f->hooks[i].lost))
			continue;
		if (!any)
			fputs("<details><summary>What this host did not show</summary>\n\n", out);
		any = true;
		fputs("* ", out);
		escape_markdown_code(out, f->hooks[i].probe, false);
		write_line(out, ": ", f->hooks[i].lost, "\n");
	}
	if (any)
		fputs("\n</details>\n\n", out);
}

static int write_findings(FILE *out, const struct findings *f, bool with_curve)
{
	int err;

	write_verdict(out, f);
	if (with_curve)
		write_curve(out, &f->curve);
	err = write_ledger(out, f);
	if (err)
		return err;
	write_rejected(out, &f->verdict);
	write_advice(out, f);
	markdown_rounds(out, &f->rounds);
	err = markdown_tables(out, f);
	if (err)
		return err;
	write_loss(out, f);
	write_hooks(out, f);
	write_facts(out, "Host", f->host, f->host_cnt);
	return ferror(out) ? -EIO : 0;
}

int findings__write_markdown(FILE *out, const struct findings *f)
{
	char headline[HEADLINE_SIZE];

	fprintf(out, "## Pause curve: %s\n\n", curve_headline(headline, &f->curve));
	return write_findings(out, f, true);
}

static void write_ratio_cell(FILE *out, double ratio)
{
	char text[NUMBER_SIZE];

	if (ratio > 0)
		fprintf(out, "%s | ", number_ratio(text, ratio));
	else
		fputs("- | ", out);
}

static const char *outcome_answer(enum curve_outcome outcome)
{
	return outcome == CURVE_FLATTENED	? "**yes**"
	       : outcome == CURVE_NOT_FLATTENED ? "no"
						: "not shown";
}

static void write_arm_row(FILE *out, const struct comparison *c, const struct arm *a)
{
	const struct arm *first = comparison_first_arm(c);
	uint32_t from = first && first->curve.at_window ? first->curve.at_window : 1;
	char ms[NUMBER_SIZE];

	write_line(out, "| ", a->label, " | ");
	fprintf(out, "%s | %s | ", curve_verdict_name(a->curve.verdict),
		number_ms(ms, curve_median(&a->curve, from, a->curve.windows)));
	write_ratio_cell(out, a->ratio_to_before);
	write_ratio_cell(out, a->ratio_to_control);
	if (a->kind == ARM_MITIGATED)
		fputs(outcome_answer(a->outcome), out);
	fputs(" |\n", out);
}

int comparison__write_markdown(FILE *out, const struct comparison *c)
{
	const struct arm *first = comparison_first_arm(c);

	write_line(out, "## ", c->name, "\n\n");
	if (*text_or_empty(c->text))
		write_line(out, "", c->text, "\n\n");
	if (c->arms_cnt > 1) {
		fputs("| arm | curve | median, slow windows | times lower than before | "
		      "times the control | flattened |\n|---|---|---:|---:|---:|---|\n",
		      out);
		for (size_t i = 0; i < c->arms_cnt; i++)
			write_arm_row(out, c, &c->arms[i]);
		fputc('\n', out);
	}
	for (size_t i = 0; i < c->arms_cnt; i++)
		if (*text_or_empty(c->arms[i].text)) {
			write_line(out, "* **", c->arms[i].label, "**: ");
			write_line(out, "", c->arms[i].text, "\n");
		}
	if (first) {
		char headline[HEADLINE_SIZE];

		write_line(out, "\n### ", first->label, ": ");
		fprintf(out, "%s\n\n", curve_headline(headline, &first->curve));
		write_curve(out, &first->curve);
		if (first->findings)
			return write_findings(out, first->findings, false);
	}
	return ferror(out) ? -EIO : 0;
}

int report__write_markdown(FILE *out, const struct report *r)
{
	int err = 0;

	if (*text_or_empty(r->title))
		write_line(out, "# ", r->title, "\n\n");
	for (size_t i = 0; !err && i < r->comparisons_cnt; i++)
		err = comparison__write_markdown(out, &r->comparisons[i]);
	return err;
}
