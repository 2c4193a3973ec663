// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* A gate as the summary of a CI job. */
#include <errno.h>
#include <math.h>

#include "escape.h"
#include "gate.h"
#include "numbers.h"
#include "summary.h"

#define WINDOWS_SHOWN 20

static const char *mark_of(enum gate_outcome o)
{
	return o == GATE_PASS ? "PASS" : o == GATE_FAIL ? "FAIL" : "INCONCLUSIVE";
}

static void write_curves(FILE *out, const struct gate_report *r)
{
	const struct finding_curve *c = &r->looks[0].curve;
	uint32_t cnt = c->windows < WINDOWS_SHOWN ? c->windows : WINDOWS_SHOWN;
	char ms[NUMBER_SIZE];

	fputs("\n| window |", out);
	for (uint32_t i = 0; i < cnt; i++)
		fprintf(out, " %s%u%s |", i + 1 == c->at_window ? "**" : "", i + 1,
			i + 1 == c->at_window ? "**" : "");
	fputs("\n|---|", out);
	for (uint32_t i = 0; i < cnt; i++)
		fputs("---:|", out);
	for (size_t l = 0; l < r->looks_cnt; l++) {
		fputs(l ? "\n| second run |" : "\n| median |", out);
		for (uint32_t i = 0; i < cnt; i++)
			fprintf(out, " %s |",
				number_ms(ms, curve_window_median(&r->looks[l].curve, i)));
	}
	fputc('\n', out);
	if (cnt < c->windows)
		fprintf(out, "\n%u more windows are not shown.\n", c->windows - cnt);
}

static void write_causes(FILE *out, const struct gate_report *r)
{
	char before[NUMBER_SIZE], after[NUMBER_SIZE];

	if (!r->causes_cnt)
		return;
	fprintf(out, "\n| what grew | %s | windows %u..%u | ms a window |\n|---|---:|---:|---:|\n",
		r->causes_of_baseline ? "baseline" : "before", r->causes_from, r->causes_to);
	for (size_t i = 0; i < r->causes_cnt; i++) {
		const struct gate_cause *c = &r->causes[i];

		fputs("| ", out);
		escape_markdown_code(out, c->cause, true);
		fprintf(out, " | %s | %s | %.4g to %.4g |\n",
			number_percent(before, c->share_before, 1),
			number_percent(after, c->share_after, 1), c->ms_before, c->ms_after);
	}
}

int gate__write_markdown(FILE *out, const struct gate_report *r)
{
	fputs("### flatpause gate: ", out);
	fputs(mark_of(r->outcome), out);
	if (r->name[0]) {
		fputs(", ", out);
		escape_markdown(out, r->name);
	}
	fputs("\n\n", out);
	escape_markdown(out, text_or_empty(r->headline));
	fputs("\n\n", out);
	escape_markdown(out, text_or_empty(r->text));
	fputc('\n', out);
	write_curves(out, r);
	write_causes(out, r);
	if (r->host_class && r->host_class[0]) {
		fputs("\nHost class ", out);
		escape_markdown_code(out, r->host_class, false);
		fputs(".\n", out);
	}
	return ferror(out) ? -EIO : 0;
}
