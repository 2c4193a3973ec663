// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* `flatpause gate FILE...`: pass, fail or inconclusive, for a CI. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../../reports/json.h"
#include "../../reports/summary.h"
#include "../analyze/curve_text.h"
#include "../analyze/gate.h"
#include "../log.h"
#include "out_file.h"
#include "params.h"
#include "sweep_command.h"
#include "verb.h"
#include "wrap.h"

#define MORE_RUNS_MAX 2 /* each look again costs some of the error rate */
#define MORE_SWEEPS   2

struct gate_opts {
	const char *baseline, *host_class, *disk, *name;
	const char *confirm, *more;
	const char *junit, *summary, *code_quality;
	bool update_baseline, no_confirm;
	bool annotations, json, json_schema;
};

static const struct param gate_params[] = {
	PARAM(struct gate_opts, confirm, "confirm", 0, PARAM_STRING, "COMMAND",
	      "a second run, made where this one regressed"),
	PARAM(struct gate_opts, no_confirm, "no-confirm", 0, PARAM_FLAG, NULL,
	      "fail without a second run"),
	PARAM(struct gate_opts, more, "more", 0, PARAM_STRING, "COMMAND",
	      "two more sweeps where these do not decide it"),
	PARAM(struct gate_opts, name, "name", 0, PARAM_STRING, "TEXT",
	      "what this series is called in reports"),
	PARAM_HEADING("baseline"),
	PARAM(struct gate_opts, baseline, "baseline", 0, PARAM_STRING, "FILE",
	      "compare with what FILE has of this host class"),
	PARAM(struct gate_opts, update_baseline, "update-baseline", 0, PARAM_FLAG, NULL,
	      "write these sweeps to it; no verdict"),
	PARAM(struct gate_opts, host_class, "host-class", 0, PARAM_STRING, "NAME",
	      "instead of what the files or this host say"),
	PARAM(struct gate_opts, disk, "disk", 0, PARAM_STRING, "PATH",
	      "where snapshots go; for CSV, which has no host"),
	PARAM_HEADING("reports"),
	PARAM(struct gate_opts, junit, "junit", 0, PARAM_STRING, "FILE", "write JUnit XML"),
	PARAM(struct gate_opts, annotations, "annotations", 0, PARAM_FLAG, NULL,
	      "GitHub's ::error, and $GITHUB_STEP_SUMMARY"),
	PARAM(struct gate_opts, summary, "summary", 0, PARAM_STRING, "FILE", "append Markdown"),
	PARAM(struct gate_opts, code_quality, "code-quality", 0, PARAM_STRING, "FILE",
	      "write GitLab's code quality JSON"),
	PARAM(struct gate_opts, json, "json", 0, PARAM_FLAG, NULL,
	      "print the curve and the gate as one JSON object"),
	PARAM(struct gate_opts, json_schema, "json-schema", 0, PARAM_FLAG, NULL,
	      "print the schema of the JSON and end"),
	{ 0 },
};

static const struct params_spec gate_spec = {
	.verb = "gate",
	.summary =
		"Passes or fails a change by its pause curve. A FILE is a trace, findings JSON,\n"
		"or CSV with lines `sweep,window,pause_ms`; the sweeps of all files are one\n"
		"curve. A regression is a step in the curve or, with --baseline, a level above\n"
		"the baseline's. It fails the gate if an independent second run has it too.\n"
		"COMMAND is run by the shell and makes $" SWEEP_COMMAND_SWEEPS " sweeps: it\n"
		"prints CSV or JSON, or writes a file at {} (also $" SWEEP_COMMAND_OUT "), or\n"
		"makes a directory there with a file for each run. $" SWEEP_COMMAND_RUN " is\n"
		"`confirm` or `more`.\n"
		"Exit status: 0 pass, 4 fail, 5 inconclusive (also a regression that no second\n"
		"run has confirmed), 1 unreadable or COMMAND failed (no report is written),\n"
		"2 usage, 6 a trace lost too much.",
	.usage = "flatpause gate [options] FILE...",
	.examples = "  flatpause gate run.fpt --confirm './sweeps.sh {}'\n"
		    "  flatpause gate pauses.csv --confirm ./print-csv.sh --junit gate.xml\n"
		    "  flatpause gate s*.fpt --baseline pauses.json --update-baseline\n",
	.params = gate_params,
};

/* Sweeps and what came with them. */
struct sample {
	struct curve_input in;
	struct curve_evidence evidence;
};

/* One run of the verb. */
struct gate_run {
	const struct gate_opts *opts;
	struct sample samples[GATE_LOOKS_MAX];
	struct baseline baseline;
	const struct baseline_entry *base; /* NULL = none to compare with */
	char host_class[HOST_CLASS_SIZE];
	struct gate_report report;
};

/* ---- sweeps ---- */

static void sample__free_inside(struct sample *s)
{
	curve_input__free_inside(&s->in);
	curve_evidence__free_inside(&s->evidence);
}

static int add_file(struct sample *s, const char *path)
{
	s->in.evidence = &s->evidence;
	return curve_input__add(&s->in, path);
}

static int add_by_command(struct sample *s, const char *command, const char *run, uint32_t sweeps)
{
	struct sweep_command made;
	int err;

	log_info("running the --%s command for %u sweep%s", run, sweeps, sweeps == 1 ? "" : "s");
	err = sweep_command__run(&made, command, run, sweeps);
	for (size_t i = 0; !err && i < made.paths_cnt; i++)
		err = add_file(s, made.paths[i]);
	sweep_command__remove(&made);
	return err;
}

static int judge(struct gate_run *g, size_t look)
{
	int err = gate_look__judge(&g->report.looks[look], &g->samples[look].in, g->base);

	return err == -ENOMEM ? log_err(err, "cannot judge the curve") : err;
}

/* Judges what is there, and with more sweeps where that decides nothing. */
static int look_at(struct gate_run *g, size_t at, uint32_t *more_left)
{
	struct gate_look *look = &g->report.looks[at];
	int err = judge(g, at);

	g->report.looks_cnt = at + 1;
	while (!err && g->opts->more && *more_left && gate_look__state(look) == GATE_OPEN) {
		err = add_by_command(&g->samples[at], g->opts->more, "more", MORE_SWEEPS);
		look->more_runs++;
		--*more_left;
		if (!err)
			err = judge(g, at);
	}
	return err;
}

/* The second run must be of the same kind, and should not be the first once more. */
static int check_second(const struct gate_run *g)
{
	const struct sample *a = &g->samples[0], *b = &g->samples[1];

	if (a->in.windows != b->in.windows) {
		log_err(0, "the second run has %u windows a sweep, the first %u", b->in.windows,
			a->in.windows);
		return -EINVAL;
	}
	if (a->evidence.host_class[0] && b->evidence.host_class[0] &&
	    strcmp(a->evidence.host_class, b->evidence.host_class)) {
		log_err(0, "the second run is from a host of class %s, the first from %s",
			b->evidence.host_class, a->evidence.host_class);
		return -EINVAL;
	}
	if (a->in.sweeps == b->in.sweeps &&
	    !memcmp(a->in.values_ms, b->in.values_ms,
		    (size_t)a->in.sweeps * a->in.windows * sizeof(*a->in.values_ms)))
		log_warn("the second run has the very pauses of the first: it is no independent "
			 "one, and confirms nothing that the first did not say");
	return 0;
}

static int confirm(struct gate_run *g, uint32_t *more_left)
{
	int err;

	if (!g->opts->confirm || gate_look__state(&g->report.looks[0]) != GATE_REGRESSED)
		return 0;
	err = add_by_command(&g->samples[1], g->opts->confirm, "confirm", g->samples[0].in.sweeps);
	if (!err)
		err = check_second(g);
	return err ? err : look_at(g, 1, more_left);
}

/* ---- the baseline ---- */

static int find_host_class(struct gate_run *g)
{
	const char *said = g->samples[0].evidence.host_class;

	if (g->opts->host_class)
		snprintf(g->host_class, sizeof(g->host_class), "%s", g->opts->host_class);
	else if (said[0])
		snprintf(g->host_class, sizeof(g->host_class), "%s", said);
	else
		return host_class__here(g->opts->disk, g->host_class);
	return 0;
}

static int no_such_class(const struct gate_run *g)
{
	log_err(0,
		"%s has no baseline for hosts of class %s; record one here with "
		"--update-baseline",
		g->opts->baseline, g->host_class);
	for (size_t i = 0; i < g->baseline.cnt; i++)
		log_info("it has one for %s", g->baseline.entries[i].host_class);
	return -ENOENT;
}

static int load_baseline(struct gate_run *g)
{
	int err;

	if (!g->opts->baseline)
		return 0;
	err = find_host_class(g);
	if (!err)
		err = baseline__load(&g->baseline, g->opts->baseline);
	if (g->opts->update_baseline)
		return err == -ENOENT ? 0 : err;
	if (err == -ENOENT)
		return log_err(err, "cannot open %s; --update-baseline makes it",
			       g->opts->baseline);
	if (err)
		return err;
	g->base = baseline__find(&g->baseline, g->host_class);
	if (!g->base)
		return no_such_class(g);
	if (g->base->windows == g->samples[0].in.windows)
		return 0;
	log_err(0, "the baseline has %u windows a sweep, these sweeps %u: compare like with like",
		g->base->windows, g->samples[0].in.windows);
	return -EINVAL;
}

static int write_baseline(const struct gate_run *g)
{
	struct out_file file;
	int err = out_file__open(&file, g->opts->baseline);

	if (err)
		return err;
	baseline__write(file.stream, &g->baseline);
	return out_file__commit(&file);
}

/* What makes a poor baseline is said, and taken: whoever keeps it has the choice. */
static void warn_of_entry(const struct baseline_entry *e, const struct finding_curve *c)
{
	if (c->verdict == CURVE_STEPPED)
		log_warn("this curve is STEPPED: the gate goes on failing on a step, whatever the "
			 "baseline");
	if (curve_noise__is_sticky(&e->noise))
		log_warn("windows of a sweep lean on one another (autocorrelation %.2g): wait "
			 "longer between windows",
			 e->noise.phi);
	if (e->sweeps < 5)
		log_warn("%u sweep%s: a change of level can only be shown with five and more",
			 e->sweeps, e->sweeps == 1 ? "" : "s");
}

static int update_baseline(struct gate_run *g)
{
	const struct gate_look *look = &g->report.looks[0];
	struct baseline_entry entry;
	int err = gate__make_baseline(look, &g->samples[0].evidence, g->host_class, &entry);

	if (!err) {
		warn_of_entry(&entry, &look->curve);
		err = baseline__put(&g->baseline, &entry);
		baseline_entry__free_inside(&entry);
	}
	if (err == -ENOMEM)
		log_err(err, "cannot make a baseline");
	return err ? err : write_baseline(g);
}

/* ---- printing ---- */

static void print_gate(FILE *out, const struct gate_report *r)
{
	static const char *const words[] = {
		[GATE_PASS] = "PASS", [GATE_FAIL] = "FAIL", [GATE_INCONCLUSIVE] = "INCONCLUSIVE"
	};

	fprintf(out, "gate: %s\n\n", words[r->outcome]);
	print_wrapped(out, r->headline, "", "");
	for (size_t i = 0; i < r->causes_cnt; i++) {
		char *text = gate_cause_text(r, &r->causes[i]);

		print_wrapped(out, text_or_empty(text), "  ", "    ");
		free(text);
	}
	fputc('\n', out);
	print_wrapped(out, r->text, "", "");
	fputc('\n', out);
	curve__print_bars(out, &r->looks[0].curve);
}

static int print_result(const struct gate_opts *opts, const struct gate_report *r)
{
	struct out_file file;
	int err = out_file__open(&file, "-");

	if (err)
		return err;
	/* what a stream could not take is what committing it says */
	if (opts->json)
		gate__write_json(file.stream, r);
	else
		print_gate(file.stream, r);
	/* GitHub reads both streams; JSON shall stay JSON */
	if (opts->annotations)
		gate__write_annotation(opts->json ? stderr : file.stream, r);
	return out_file__commit(&file);
}

typedef int (*gate_write_fn)(FILE *out, const struct gate_report *r);

static int write_file(const char *path, gate_write_fn write, const struct gate_report *r)
{
	struct out_file file;
	int err;

	if (!path)
		return 0;
	err = out_file__open(&file, path);
	if (err)
		return err;
	write(file.stream, r);
	return out_file__commit(&file);
}

/* A job's summary has what other steps wrote. */
static int append_summary(const char *path, const struct gate_report *r)
{
	FILE *out;
	int err;

	if (!path || !path[0])
		return 0;
	out = fopen(path, "ae");
	if (!out)
		return log_err(-errno, "cannot write %s", path);
	err = gate__write_markdown(out, r);
	if (fclose(out) && !err)
		err = -errno;
	return err ? log_err(err, "cannot write %s", path) : 0;
}

static int write_reports(const struct gate_opts *opts, const struct gate_report *r)
{
	int err = write_file(opts->junit, gate__write_junit, r);

	if (!err)
		err = write_file(opts->code_quality, gate__write_code_quality, r);
	if (!err)
		err = append_summary(opts->summary, r);
	if (!err && opts->annotations)
		err = append_summary(getenv("GITHUB_STEP_SUMMARY"), r);
	return err ? err : print_result(opts, r);
}

/* ---- the verb ---- */

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static int fill_names(struct gate_run *g, const char *source)
{
	struct gate_report *r = &g->report;
	int err = finding_set(&r->name, g->opts->name);

	if (!err)
		err = finding_set(&r->source, source);
	return err ? err : finding_set(&r->host_class, g->host_class);
}

static int decide(struct gate_run *g, const char *source)
{
	int err = gate__decide(&g->report, g->opts->no_confirm);

	if (!err)
		err = gate__name_causes(&g->report, &g->samples[0].evidence, g->base);
	if (!err)
		err = fill_names(g, source);
	return err ? log_err(err, "cannot put the result together") : 0;
}

static int run_gate(struct gate_run *g, const struct param_list *files)
{
	uint32_t more_left = MORE_RUNS_MAX;
	double start = now_s();
	int err = 0;

	for (size_t i = 0; !err && i < files->cnt; i++)
		err = add_file(&g->samples[0], files->v[i]);
	if (!err)
		err = load_baseline(g);
	if (err)
		return err;
	if (g->opts->update_baseline) {
		err = judge(g, 0);
		g->report.looks_cnt = 1;
		if (!err)
			err = update_baseline(g);
		if (!err)
			log_info("%s: baseline of %u sweep%s for hosts of class %s",
				 g->opts->baseline, g->samples[0].in.sweeps,
				 g->samples[0].in.sweeps == 1 ? "" : "s", g->host_class);
		return err;
	}
	err = look_at(g, 0, &more_left);
	if (!err)
		err = confirm(g, &more_left);
	if (!err)
		err = decide(g, files->v[0]);
	g->report.took_s = now_s() - start;
	return err ? err : write_reports(g->opts, &g->report);
}

static int check_usage(const struct gate_opts *opts, const struct params_result *args)
{
	const char *wrong = NULL;

	if (!args->rest.cnt || args->command)
		wrong = "which FILE? A trace, findings JSON or CSV";
	else if (opts->confirm && opts->no_confirm)
		wrong = "--confirm and --no-confirm contradict each other";
	else if (opts->update_baseline && !opts->baseline)
		wrong = "--update-baseline needs --baseline FILE";
	else if (opts->update_baseline &&
		 (opts->confirm || opts->no_confirm || opts->more || opts->junit ||
		  opts->annotations || opts->summary || opts->code_quality || opts->json))
		wrong = "--update-baseline gives no verdict: nothing to confirm or to report";
	else if ((opts->host_class || opts->disk) && !opts->baseline)
		wrong = "--host-class and --disk are for --baseline";
	else if (opts->host_class && !is_host_class(opts->host_class))
		wrong = "--host-class takes printable text without blanks and quotes";
	if (!wrong)
		return 0;
	log_err(0, "gate: %s; see --help", wrong);
	return -EINVAL;
}

static int exit_code(int err, const struct gate_run *g)
{
	if (err)
		return err == -EOVERFLOW ? FP_EXIT_LOST : FP_EXIT_FAILED;
	if (g->opts->update_baseline)
		return FP_EXIT_OK;
	switch (g->report.outcome) {
	case GATE_PASS:
		return FP_EXIT_OK;
	case GATE_FAIL:
		return FP_EXIT_REGRESSION;
	case GATE_INCONCLUSIVE:
		break;
	}
	return FP_EXIT_INCONCLUSIVE;
}

int verb_gate(int argc, char **argv)
{
	struct gate_opts opts = { 0 };
	struct gate_run g = { .opts = &opts };
	struct params_result args;
	int err = params__parse(&gate_spec, argc, argv, &opts, &args);

	if (err)
		return err == PARAMS_HELP ? FP_EXIT_OK : FP_EXIT_USAGE;
	if (opts.json_schema)
		return json_schema__print(stdout) || fflush(stdout) ? FP_EXIT_FAILED : FP_EXIT_OK;
	if (check_usage(&opts, &args))
		return FP_EXIT_USAGE;
	err = run_gate(&g, &args.rest);
	err = exit_code(err, &g);
	for (size_t i = 0; i < GATE_LOOKS_MAX; i++)
		sample__free_inside(&g.samples[i]);
	baseline__free_inside(&g.baseline);
	gate_report__free_inside(&g.report);
	return err;
}
