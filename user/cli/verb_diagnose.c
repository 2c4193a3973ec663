// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* `flatpause diagnose`: verdict first, then what it stands on. Needs no root, any machine. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../reports/json.h"
#include "../../reports/summary.h"
#include "../analyze/analyze.h"
#include "../log.h"
#include "params.h"
#include "path_text.h"
#include "streams.h"
#include "tables_text.h"
#include "verb.h"
#include "wrap.h"

#define BAR	     30
#define MAX_WINDOWS  40
#define MAX_CAUSES   8
#define MAX_WARNINGS 8

struct diagnose_opts {
	bool json;
	bool json_schema;
	bool strict;
	bool rounds;
	bool tables;
	const char *window;
	const char *baseline;
	double max_loss_percent;
};

static const struct param diagnose_params[] = {
	PARAM(struct diagnose_opts, json, "json", 0, PARAM_FLAG, NULL, "findings as JSON"),
	PARAM(struct diagnose_opts, json_schema, "json-schema", 0, PARAM_FLAG, NULL,
	      "print the schema of the JSON and end"),
	PARAM(struct diagnose_opts, rounds, "rounds", 0, PARAM_FLAG, NULL,
	      "what simpler tools would have said, and why"),
	PARAM(struct diagnose_opts, tables, "tables", 0, PARAM_FLAG, NULL,
	      "futexes, threads, sizes, files, latencies"),
	PARAM(struct diagnose_opts, window, "window", 0, PARAM_STRING, "HOW",
	      "auto, mark, api, reported, file:GLOB or exec (as recorded)"),
	PARAM(struct diagnose_opts, baseline, "baseline", 0, PARAM_STRING, "FILE",
	      "a trace whose pauses are normal: what differs from it is explained"),
	PARAM(struct diagnose_opts, max_loss_percent, "max-loss", 0, PARAM_PERCENT, "PERCENT",
	      "lost records above which there is no verdict (1)"),
	PARAM(struct diagnose_opts, strict, "strict", 0, PARAM_FLAG, NULL,
	      "exit 5 where more than 2 % of the slow windows' time has no name"),
	{ 0 },
};

static const struct params_spec diagnose_spec = {
	.verb = "diagnose",
	.summary =
		"Says why the pauses in a trace are long, what it is not, and what to do.\n"
		"A cause is named where some windows are slow and others are not, where the\n"
		"pauses exceed a baseline's, or where all of them are a quarter of a second or\n"
		"more and mostly stalls; else the verdict is \"none\".\n"
		"Exit status: 0 answered, 1 failed, 2 usage, 5 incomplete (--strict), 6 too much\n"
		"was lost for a verdict.",
	.usage = "flatpause diagnose RUN.fpt [--json | --rounds | --tables] [--window HOW]\n"
		 "                              [--baseline FILE]",
	.examples = "  flatpause diagnose run.fpt\n"
		    "  flatpause diagnose slow.fpt --baseline fast.fpt\n"
		    "  flatpause diagnose run.fpt --json | jq .verdict\n"
		    "  flatpause diagnose run.fpt --rounds\n"
		    "  flatpause diagnose run.fpt --window 'file:*memory.bin'\n",
	.params = diagnose_params,
};

/* ---- layout ---- */

struct style {
	const char *bold, *slow, *dim, *off;
};

static struct style pick_style(void)
{
	if (log_use_color(STDOUT_FILENO))
		return (struct style){ "\033[1m", "\033[31m", "\033[2m", "\033[0m" };
	return (struct style){ "", "", "", "" };
}

static double pause_ns(const struct finding_window *w)
{
	return w->reported_ns != FINDING_NS_NONE ? w->reported_ns : w->duration_ns;
}

static double longest_pause(const struct findings *f)
{
	double longest = 1;

	for (size_t i = 0; i < f->windows_cnt; i++)
		longest = pause_ns(&f->windows[i]) > longest ? pause_ns(&f->windows[i]) : longest;
	return longest;
}

/* ---- the parts ---- */

static void print_verdict(const struct findings *f, const struct style *s)
{
	const struct finding_verdict *v = &f->verdict;

	printf("%s%s%s", s->bold, v->cause, s->off);
	if (strcmp(v->cause, "none") && v->share > 0)
		printf("  (%.0f %% of the %s, confidence %.2f%s)", 100 * v->share,
		       verdict_share_of(v), v->confidence, v->incomplete ? ", incomplete" : "");
	if (!f->loss.complete)
		printf("  %sINCOMPLETE trace%s", s->slow, s->off);
	puts("\n");
	print_wrapped(stdout, v->text, "", "");
}

static void print_curve(const struct findings *f, const struct style *s)
{
	double longest = longest_pause(f);
	char ns[32], bar[BAR + 1], headline[HEADLINE_SIZE];

	printf("\n%spauses%s\n", s->bold, s->off);
	print_wrapped(stdout, curve_headline(headline, &f->curve), "  ", "    ");
	for (size_t i = 0; i < f->windows_cnt && i < MAX_WINDOWS; i++) {
		const struct finding_window *w = &f->windows[i];
		int len = (int)(BAR * pause_ns(w) / longest + 0.5);

		memset(bar, '#', BAR);
		bar[len < 1 ? 1 : len] = '\0';
		printf("  %2u.%-3u %9s %s%-*s%s %.26s%s\n", w->sweep, w->index,
		       format_ns((uint64_t)pause_ns(w), ns, sizeof(ns)), w->slow ? s->slow : "",
		       BAR, bar, s->off, w->ledger_cnt ? w->ledger[0].cause : "",
		       w->open	  ? " (open)"
		       : w->spike ? " (spike)"
				  : "");
	}
	if (f->windows_cnt > MAX_WINDOWS)
		printf("  ... and %zu more (--json has all)\n", f->windows_cnt - MAX_WINDOWS);
}

static void print_row(const struct cause_row *r, bool contrast)
{
	char ns[32];
	double ms = contrast ? r->slow_mean_ms : r->growth_ms;

	printf("  %-28s %10s", r->cause, format_ns((uint64_t)(ms * 1e6), ns, sizeof(ns)));
	if (contrast)
		printf(" %11s", format_ns((uint64_t)(r->fast_mean_ms * 1e6), ns, sizeof(ns)));
	if (r->carry_over_mean_ms > 0)
		printf(" %11s", format_ns((uint64_t)(r->carry_over_mean_ms * 1e6), ns, sizeof(ns)));
	putchar('\n');
}

static int print_ledger(const struct findings *f, const struct style *s)
{
	struct cause_table t;
	int err = cause_table__build(f, &t);
	bool contrast = t.slow_windows && t.fast_windows;

	if (!err && t.cnt)
		printf("\n%sledger%s, mean per window %15s%s %11s\n", s->bold, s->off,
		       contrast ? "slow" : "all", contrast ? "        fast" : "", "carry-over");
	for (size_t i = 0; !err && i < t.cnt && i < MAX_CAUSES; i++)
		print_row(&t.rows[i], contrast);
	if (!err && t.cnt > MAX_CAUSES)
		printf("  ... and %zu smaller one%s\n", t.cnt - MAX_CAUSES,
		       t.cnt - MAX_CAUSES == 1 ? "" : "s");
	cause_table__free_inside(&t);
	return err;
}

static void print_rejected(const struct findings *f, const struct style *s)
{
	if (f->verdict.rejected_cnt)
		printf("\n%snot the cause%s\n", s->bold, s->off);
	for (size_t i = 0; i < f->verdict.rejected_cnt; i++) {
		char head[64];

		snprintf(head, sizeof(head), "  %-24.40s ", f->verdict.rejected[i].cause);
		print_wrapped(stdout, f->verdict.rejected[i].why, head,
			      "                           ");
	}
}

static void print_lists(const struct findings *f, const struct style *s)
{
	if (f->verdict.evidence_cnt)
		printf("\n%sevidence%s\n", s->bold, s->off);
	for (size_t i = 0; i < f->verdict.evidence_cnt; i++)
		print_wrapped(stdout, f->verdict.evidence[i], "  ", "    ");
	if (f->warnings_cnt)
		printf("\n%swarnings%s\n", s->bold, s->off);
	for (size_t i = 0; i < f->warnings_cnt && i < MAX_WARNINGS; i++)
		print_wrapped(stdout, f->warnings[i], "  ", "    ");
	if (f->warnings_cnt > MAX_WARNINGS)
		printf("  ... and %zu more\n", f->warnings_cnt - MAX_WARNINGS);
}

static bool same_loss(const struct finding_hook *a, const struct finding_hook *b)
{
	return !strcmp(a->lost, b->lost) && !strcmp(a->rung, b->rung);
}

/* What several probes lose alike is said once: "wbt, jbd2  rung 2nd; lost: ...". */
static void print_hook(const struct findings *f, size_t i)
{
	const struct finding_hook *h = &f->hooks[i];
	char names[64], head[72], line[512];
	int n = snprintf(names, sizeof(names), "%.20s", h->probe);

	for (size_t k = 0; k < i; k++)
		if (same_loss(&f->hooks[k], h))
			return;
	for (size_t k = i + 1; k < f->hooks_cnt && n < (int)sizeof(names); k++)
		if (same_loss(&f->hooks[k], h))
			n += snprintf(names + n, sizeof(names) - (size_t)n, ", %.20s",
				      f->hooks[k].probe);
	snprintf(head, sizeof(head), "  %-8s ", names);
	snprintf(line, sizeof(line), "rung %s; lost: %s", h->rung, h->lost);
	print_wrapped(stdout, line, head, "           ");
}

static void print_recording(const struct findings *f, const struct style *s)
{
	double all = f->loss.events + (double)f->loss.recorded;

	printf("\n%srecording%s  %llu records, %llu lost (%.2f %%)%s\n", s->bold, s->off,
	       (unsigned long long)f->loss.recorded, (unsigned long long)f->loss.events,
	       all > 0 ? 100 * f->loss.events / all : 0, f->loss.complete ? "" : ", INCOMPLETE");
	for (size_t i = 0; i < f->hooks_cnt; i++)
		if (f->hooks[i].lost[0])
			print_hook(f, i);
}

static void print_advice(const struct findings *f, const struct style *s)
{
	if (f->advice_cnt)
		printf("\n%sadvice%s\n", s->bold, s->off);
	for (size_t i = 0; i < f->advice_cnt; i++) {
		const struct finding_advice *a = &f->advice[i];
		char head[40];

		snprintf(head, sizeof(head), "  %-9.20s ",
			 strcmp(a->mitigation, "none") ? a->mitigation : "but");
		print_wrapped(stdout, a->why, head, "            ");
		if (a->command[0])
			print_line(stdout, "              $ ", a->command);
		if (a->undo[0]) {
			printf("      %sundo%s", s->dim, s->off);
			print_line(stdout, "    $ ", a->undo);
		}
	}
}

/* The verdict, and beside it only what was asked for. */
static int print_asked(const struct findings *f, const struct diagnose_opts *opts,
		       const struct style *s)
{
	int err = opts->tables ? tables__print(stdout, f, s->bold, s->off) : 0;

	if (opts->rounds)
		rounds__print(stdout, f, s->bold, s->off);
	return err;
}

static int print_findings(const struct findings *f, const struct diagnose_opts *opts)
{
	struct style s = pick_style();
	int err;

	print_verdict(f, &s);
	if (opts->rounds || opts->tables)
		return print_asked(f, opts, &s);
	print_curve(f, &s);
	err = print_ledger(f, &s);
	if (err)
		return err;
	print_rejected(f, &s);
	path__print(stdout, f, s.bold, s.off);
	print_lists(f, &s);
	print_advice(f, &s);
	print_recording(f, &s);
	return 0;
}

/* ---- the verb ---- */

static int output(const struct findings *f, const struct diagnose_opts *opts)
{
	int err = opts->json ? findings__write_json(stdout, f) : print_findings(f, opts);

	if (!err || err == -EIO)
		err = stream__error(stdout);
	if (err && err != -EPIPE)
		log_err(err, "cannot write the findings");
	return err;
}

static int diagnose(const char *path, const struct diagnose_opts *opts)
{
	const struct analyze_opts how = { .window = opts->window,
					  .baseline = opts->baseline,
					  .max_loss_percent = opts->max_loss_percent };
	struct findings *f = NULL;
	int err = analyze__trace(path, &how, &f), code;

	code = err == -EOVERFLOW ? FP_EXIT_LOST : err ? FP_EXIT_FAILED : FP_EXIT_OK;
	if (f && output(f, opts))
		code = FP_EXIT_FAILED;
	else if (f && !code && opts->strict && f->verdict.incomplete)
		code = FP_EXIT_INCONCLUSIVE;
	findings__free(f);
	return code;
}

int verb_diagnose(int argc, char **argv)
{
	struct diagnose_opts opts = { .max_loss_percent = 1 };
	struct params_result res;
	int err = params__parse(&diagnose_spec, argc, argv, &opts, &res);

	if (err)
		return err == PARAMS_HELP ? FP_EXIT_OK : FP_EXIT_USAGE;
	if (opts.json_schema)
		return json_schema__print(stdout) ? FP_EXIT_FAILED : FP_EXIT_OK;
	if (res.rest.cnt != 1 || res.command) {
		log_err(0, "diagnose: give one trace; see --help");
		return FP_EXIT_USAGE;
	}
	return diagnose(res.rest.v[0], &opts);
}
