// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* `flatpause record`: for a time, until Ctrl-C, or while a command runs. */
#include <errno.h>
#include <stdio.h>

#include "../log.h"
#include "capture_options.h"
#include "verb.h"

struct record_opts {
	struct capture_options common;
	const char *comm;
	const char *cgroup;
	uint64_t duration_ns; /* 0 = until a signal */
	uint64_t timeout_ns;
};

static const struct param params[] = {
	CAPTURE_PARAMS_TARGET(struct record_opts, common),
	PARAM(struct record_opts, comm, "comm", 'n', PARAM_STRING, "GLOB",
	      "record processes with this name, later ones too"),
	PARAM(struct record_opts, cgroup, "cgroup", 'c', PARAM_STRING, "PATH",
	      "record the processes of this cgroup directory"),
	{ .name = "duration",
	  .letter = 'd',
	  .type = PARAM_DURATION,
	  .offset = offsetof(struct record_opts, duration_ns),
	  .min = 1,
	  .max = UINT64_MAX,
	  .arg = "DURATION",
	  .help = "the same as the word [duration]; ends COMMAND too" },
	PARAM(struct record_opts, timeout_ns, "timeout", 't', PARAM_DURATION, "DURATION",
	      "end a COMMAND that takes longer: exit 1"),
	CAPTURE_PARAMS_OUTPUT(struct record_opts, common),
	PARAM(struct record_opts, common.window, "window", 'w', PARAM_STRING, "HOW",
	      "how diagnose finds the pauses (auto)"),
	CAPTURE_PARAMS_COMMON(struct record_opts, common),
	{ .name = NULL },
};

static const struct params_spec spec = {
	.verb = "record",
	.summary = "Records processes into a trace, for `flatpause diagnose`.",
	.usage = "flatpause record [-p PID | --comm GLOB | --cgroup PATH] [duration]\n"
		 "                        [-o FILE] [options] [-- COMMAND...]",
	.examples = "  flatpause record -p 4242 30s -o run.fpt    # half a minute of a VMM\n"
		    "  flatpause record --comm 'fire*'            # until Ctrl-C\n"
		    "  flatpause record -o run.fpt -- ./branch.sh # while a command runs\n"
		    "  flatpause record --cgroup /sys/fs/cgroup/vm.slice 1m\n",
	.params = params,
};

static int parse(int argc, char **argv, struct record_opts *o, struct params_result *res)
{
	int err;

	capture_options__defaults(&o->common);
	err = params__parse(&spec, argc, argv, o, res);
	if (err)
		return err;
	if (res->rest.cnt > 1 ||
	    (res->rest.cnt &&
	     (parse_duration_ns(res->rest.v[0], &o->duration_ns) || !o->duration_ns))) {
		log_err(0, "record takes one duration such as 30s, not '%s'",
			res->rest.v[res->rest.cnt - 1]);
		return -EINVAL;
	}
	if (!o->common.pids.cnt && !o->comm && !o->cgroup && !res->command_cnt) {
		log_err(0, "record what? give -p PID, --comm GLOB, --cgroup PATH or -- COMMAND");
		return -EINVAL;
	}
	return capture_options__check(&o->common);
}

/* Of a command there are two: the time that shall be recorded, and the time that is too long. */
static bool duration_comes_first(const struct record_opts *o)
{
	return o->duration_ns && (!o->timeout_ns || o->duration_ns < o->timeout_ns);
}

/* With a command: while it runs, but not longer than the duration. */
static int run_command(struct recorder *r, const struct record_opts *o,
		       const struct params_result *res, int *code)
{
	struct recorder_run run;
	int err = recorder__run(r, 1, 1, res->command, &run);

	if (err && err != -ENOSPC)
		return err;
	*code = exit_of_command(run.status);
	if (run.status == REC_RUN_TIMEOUT && duration_comes_first(o)) {
		log_info("%s was ended after the duration that was asked for", res->command[0]);
		*code = FP_EXIT_OK;
	} else if (run.status == REC_RUN_TIMEOUT)
		log_warn("%s was ended after --timeout", res->command[0]);
	else if (run.status == REC_RUN_INTERRUPT)
		*code = FP_EXIT_OK; /* Ctrl-C is how a recording ends */
	else if (*code)
		log_warn("%s failed with status %d; what was recorded is kept", res->command[0],
			 *code);
	return err;
}

static int record(const struct record_opts *o, const struct params_result *res,
		  struct recorder_summary *sum)
{
	struct recorder_opts opts = { .comm_glob = o->comm,
				      .cgroup = o->cgroup,
				      .timeout_ns = duration_comes_first(o) ? o->duration_ns
									    : o->timeout_ns,
				      .command = res->command };
	struct recorder *r;
	int code = FP_EXIT_OK, err, finished;

	capture_options__apply(&o->common, &opts);
	err = recorder__start(&r, &opts);
	if (err)
		return exit_of_start(err);
	if (res->command_cnt) {
		err = run_command(r, o, res, &code);
	} else {
		if (!o->duration_ns)
			log_info("recording into %s; Ctrl-C ends it", o->common.output);
		err = recorder__wait(r, o->duration_ns ?: UINT64_MAX);
		if (err == -ESRCH) { /* said; the trace is whole up to there */
			log_info("no target is left: recording ends");
			err = 0;
		}
	}
	finished = recorder__finish(r, sum);
	err = err ?: finished;
	if (!code && err)
		code = FP_EXIT_FAILED;
	if (!code && loss_percent(sum) > o->common.max_loss_percent)
		code = FP_EXIT_LOST;
	if (!o->common.json)
		print_summary(&o->common, sum);
	else if (print_json(summary_json(&o->common, sum)))
		code = code ?: FP_EXIT_FAILED;
	return code;
}

int verb_record(int argc, char **argv)
{
	struct recorder_summary sum = { .marks = 0 };
	struct params_result res;
	struct record_opts o = { .comm = NULL };
	int err = parse(argc, argv, &o, &res);

	if (err)
		return err == PARAMS_HELP ? FP_EXIT_OK : FP_EXIT_USAGE;
	return record(&o, &res, &sum);
}
