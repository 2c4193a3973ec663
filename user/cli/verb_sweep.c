// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* `flatpause sweep`: N BRANCHes in a row, recorded, so that their pauses can be compared. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../capture/pause_from.h"
#include "../log.h"
#include "capture_options.h"
#include "verb.h"

struct sweep_opts {
	struct capture_options common;
	uint32_t branches;
	uint32_t sweeps;
	uint64_t gap_ns;
	const char *pause_from;
	uint64_t timeout_ns;
};

static const struct param params[] = {
	{ .name = "branches",
	  .letter = 'n',
	  .type = PARAM_U32,
	  .offset = offsetof(struct sweep_opts, branches),
	  .min = 1,
	  .max = 10000,
	  .arg = "N",
	  .help = "BRANCHes in a sweep (10)" },
	{ .name = "sweeps",
	  .letter = 's',
	  .type = PARAM_U32,
	  .offset = offsetof(struct sweep_opts, sweeps),
	  .min = 1,
	  .max = 1000,
	  .arg = "N",
	  .help = "how often the sweep is repeated (1)" },
	PARAM(struct sweep_opts, gap_ns, "gap", 'g', PARAM_DURATION, "DURATION",
	      "time between two BRANCHes (3s)"),
	PARAM(struct sweep_opts, timeout_ns, "timeout", 't', PARAM_DURATION, "DURATION",
	      "end a BRANCH that takes longer, and the sweep"),
	CAPTURE_PARAMS_TARGET(struct sweep_opts, common),
	CAPTURE_PARAMS_OUTPUT(struct sweep_opts, common),
	PARAM_HEADING("pauses"),
	PARAM(struct sweep_opts, common.window, "window", 'w', PARAM_STRING, "HOW",
	      "exec, reported, mark, api or file:GLOB (auto)"),
	PARAM(struct sweep_opts, pause_from, "pause-from", 0, PARAM_STRING, "json:.KEY",
	      "pause in ms in COMMAND's last JSON line"),
	CAPTURE_PARAMS_COMMON(struct sweep_opts, common),
	{ .name = NULL },
};

static const struct params_spec spec = {
	.verb = "sweep",
	.summary = "Runs a BRANCH command N times and records what holds each pause.",
	.usage = "flatpause sweep [-n N] [--gap DURATION] [-p PID] [-o FILE] [options]\n"
		 "                       -- COMMAND...",
	.examples =
		"  flatpause sweep -n 10 --gap 3s -p 4242 -o run.fpt -- ./branch.sh\n"
		"  flatpause sweep --pause-from json:.pause_ms -- ./branch.sh # says its pause\n"
		"  flatpause sweep --window 'file:*/memory.bin' -p 4242 -- ./branch.sh\n"
		"  flatpause sweep --sweeps 3 --timeout 60s -- ./branch.sh # firmer\n",
	.params = params,
};

/* What the runs of a sweep came to. */
struct sweep {
	const struct sweep_opts *o;
	char *const *command;
	struct recorder *r;
	json_t *runs; /* NULL without --json */
	uint32_t done;
	int code;	  /* of the first BRANCH that failed, or our own */
	uint64_t last_ns; /* its pause or duration, for the progress bar */
};

static int parse(int argc, char **argv, struct sweep_opts *o, struct params_result *res)
{
	struct pause_from from;
	int err;

	capture_options__defaults(&o->common);
	o->branches = 10;
	o->sweeps = 1;
	o->gap_ns = 3000000000ull;
	err = params__parse(&spec, argc, argv, o, res);
	if (err)
		return err;
	if (res->rest.cnt) {
		log_err(0, "sweep does not know what '%s' is; the command goes behind --",
			res->rest.v[0]);
		return -EINVAL;
	}
	if (!res->command_cnt) {
		log_err(0, "sweep needs a BRANCH command: flatpause sweep [options] -- COMMAND...");
		return -EINVAL;
	}
	err = pause_from__parse(&from, o->pause_from);
	return err ?: capture_options__check(&o->common);
}

static void show_progress(const struct sweep *s)
{
	char last[32], tail[64] = "";

	if (s->last_ns)
		snprintf(tail, sizeof(tail), "last %s", format_ns(s->last_ns, last, sizeof(last)));
	log_progress("BRANCH", s->done, s->o->branches * s->o->sweeps, tail);
}

static int add_json_run(struct sweep *s, uint32_t sweep, uint32_t index,
			const struct recorder_run *run)
{
	json_t *o = json_pack("{s:i, s:i, s:f, s:i}", "sweep", (int)sweep, "index", (int)index,
			      "duration_ms", (double)run->duration_ns / 1e6, "exit",
			      exit_of_command(run->status));

	if (o && run->reported_ns != REC_NS_NONE)
		json_object_set_new(o, "reported_ms", json_real((double)run->reported_ns / 1e6));
	if (o && run->status < 0)
		json_object_set_new(
			o, "ended",
			json_string(run->status == REC_RUN_TIMEOUT ? "timeout" : "interrupt"));
	return json_array_append_new(s->runs, o) ? log_err(-ENOMEM, "JSON of a run") : 0;
}

static void print_run(const struct sweep *s, uint32_t sweep, uint32_t index,
		      const struct recorder_run *run)
{
	char took[32], pause[32];

	log_progress_end();
	if (s->o->sweeps > 1)
		printf("sweep %-3u ", sweep);
	printf("BRANCH %-3u %10s", index, format_ns(run->duration_ns, took, sizeof(took)));
	if (run->reported_ns != REC_NS_NONE)
		printf("   pause %10s", format_ns(run->reported_ns, pause, sizeof(pause)));
	if (run->status == REC_RUN_TIMEOUT)
		printf("   ended by --timeout");
	else if (run->status == REC_RUN_INTERRUPT)
		printf("   interrupted");
	else if (run->status)
		printf("   FAILED, status %d", exit_of_command(run->status));
	putchar('\n');
	fflush(stdout);
}

/* One BRANCH. 0 = go on, else the sweep ends; s->code says how. */
static int run_one(struct sweep *s, uint32_t sweep, uint32_t index)
{
	struct recorder_run run;
	int err, noted = 0;

	show_progress(s);
	err = recorder__run(s->r, sweep, index, s->command, &run);
	if (run.duration_ns && s->runs)
		noted = add_json_run(s, sweep, index, &run);
	else if (run.duration_ns)
		print_run(s, sweep, index, &run);
	if (err || noted) {
		s->code = FP_EXIT_FAILED;
		return err ?: noted;
	}
	if (run.status) {
		s->code = exit_of_command(run.status);
		return -ECANCELED;
	}
	s->done++;
	s->last_ns = run.reported_ns != REC_NS_NONE ? run.reported_ns : run.duration_ns;
	show_progress(s);
	return 0;
}

/* The time between BRANCHes; also finds out that the VMM is gone or the trace full. */
static int wait_gap(struct sweep *s, bool last)
{
	int err = recorder__wait(s->r, last ? 0 : s->o->gap_ns);

	if (last && err == -ESRCH)
		return 0;
	if (err == -ESRCH)
		log_err(0, "no target is left: the sweep ends after %u BRANCHes", s->done);
	if (err || (exiting && !last))
		s->code = FP_EXIT_FAILED;
	return err ?: (exiting && !last ? -EINTR : 0);
}

static void run_all(struct sweep *s)
{
	uint32_t total = s->o->branches * s->o->sweeps;

	for (uint32_t i = 0; i < total; i++) {
		if (run_one(s, i / s->o->branches + 1, i % s->o->branches + 1))
			break;
		if (wait_gap(s, i + 1 == total))
			break;
	}
	log_progress_end();
	if (s->done < total)
		log_warn("the sweep ended after %u of %u BRANCHes; what was recorded is kept",
			 s->done, total);
}

static int report_sweep(struct sweep *s, const struct recorder_summary *sum)
{
	json_t *o;

	if (!s->runs) {
		print_summary(&s->o->common, sum);
		return FP_EXIT_OK;
	}
	o = summary_json(&s->o->common, sum);
	if (o && json_object_set(o, "runs", s->runs)) {
		json_decref(o);
		o = NULL;
	}
	return print_json(o);
}

static int sweep(const struct sweep_opts *o, const struct params_result *res)
{
	struct recorder_opts opts = { .pause_from = o->pause_from,
				      .timeout_ns = o->timeout_ns,
				      .command = res->command };
	struct sweep s = { .o = o, .command = res->command };
	struct recorder_summary sum = { .marks = 0 };
	int err, printed;

	if (o->common.json) {
		s.runs = json_array();
		if (!s.runs)
			return FP_EXIT_FAILED;
	}
	capture_options__apply(&o->common, &opts);
	err = recorder__start(&s.r, &opts);
	if (err) {
		json_decref(s.runs);
		return exit_of_start(err);
	}
	run_all(&s);
	err = recorder__finish(s.r, &sum);
	printed = report_sweep(&s, &sum);
	json_decref(s.runs);
	if (s.code || err || printed)
		return s.code ?: FP_EXIT_FAILED;
	return loss_percent(&sum) > o->common.max_loss_percent ? FP_EXIT_LOST : FP_EXIT_OK;
}

int verb_sweep(int argc, char **argv)
{
	struct params_result res;
	struct sweep_opts o = { .pause_from = NULL };
	int err = parse(argc, argv, &o, &res);

	if (err)
		return err == PARAMS_HELP ? FP_EXIT_OK : FP_EXIT_USAGE;
	return sweep(&o, &res);
}
