// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* `flatpause verify before after`: has the mitigation flattened the curve. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../reports/json.h"
#include "../analyze/curve.h"
#include "../analyze/curve_input.h"
#include "../analyze/curve_text.h"
#include "../log.h"
#include "out_file.h"
#include "params.h"
#include "verb.h"
#include "wrap.h"

struct verify_opts {
	struct param_list after, control;
	bool json;
	bool json_schema;
};

static const struct param verify_params[] = {
	PARAM(struct verify_opts, after, "after", 0, PARAM_LIST, "FILE...",
	      "sweeps with the mitigation, as names that follow"),
	PARAM(struct verify_opts, control, "control", 0, PARAM_LIST, "FILE...",
	      "sweeps of the control, e.g. of tmpfs"),
	PARAM(struct verify_opts, json, "json", 0, PARAM_FLAG, NULL,
	      "print the comparison as one JSON object"),
	PARAM(struct verify_opts, json_schema, "json-schema", 0, PARAM_FLAG, NULL,
	      "print the schema of the JSON and end"),
	{ 0 },
};

static const struct params_spec verify_spec = {
	.verb = "verify",
	.summary =
		"Compares the pause curve after a mitigation with the one before and with a\n"
		"control, over the windows that were slow before. A FILE is a trace, findings\n"
		"JSON, or CSV with lines `sweep,window,pause_ms`; several files of one arm are\n"
		"its sweeps. Flattened is an arm that has no step, whose median is at most 1.5\n"
		"times (or 10 ms above) the control's, or where there is no control that of the\n"
		"fast windows before, and that is shown to be lower than before; or one that\n"
		"is FLAT at a level of its own, lower and, as a ratio, nearer to the fast\n"
		"windows before than to the slow ones.\n"
		"Exit status: 0 flattened, 4 not flattened, 5 inconclusive, 1 unreadable,\n"
		"2 usage, 6 a trace lost too much.",
	.usage = "flatpause verify [options] BEFORE AFTER\n"
		 "       flatpause verify [options] BEFORE... --after FILE... [--control FILE...]",
	.examples = "  flatpause verify before.fpt after.fpt --control tmpfs.fpt\n"
		    "  flatpause verify b1.csv b2.csv b3.csv --after a1.csv a2.csv a3.csv\n",
	.params = verify_params,
};

enum { BEFORE, AFTER, CONTROL, ARMS };

static const char *const arm_labels[ARMS] = { "before", "after", "control" };
static const enum arm_kind arm_kinds[ARMS] = { ARM_BEFORE, ARM_MITIGATED, ARM_CONTROL };

/* ---- which file belongs to which arm ---- */

/* Whether argv[i] is, or carries behind '=', one of the values. */
static bool holds_value(const char *arg, const struct param_list *list)
{
	size_t len = strlen(arg);

	for (size_t i = 0; i < list->cnt; i++)
		if (list->v[i] >= arg && list->v[i] <= arg + len)
			return true;
	return false;
}

static bool holds(const char *arg, const struct param_list *list)
{
	for (size_t i = 0; i < list->cnt; i++)
		if (list->v[i] == arg)
			return true;
	return false;
}

/* `--after a1 a2`: a name belongs to the arm that was named last before it. */
static void sort_files(int argc, char **argv, const struct verify_opts *opts,
		       const struct param_list *rest, struct param_list files[ARMS])
{
	int arm = BEFORE;

	for (int i = 1; i < argc; i++) {
		if (holds(argv[i], rest)) {
			files[arm].v[files[arm].cnt++] = argv[i];
			continue;
		}
		if (holds_value(argv[i], &opts->after))
			arm = AFTER;
		else if (holds_value(argv[i], &opts->control))
			arm = CONTROL;
		else
			continue;
		files[arm].v[files[arm].cnt++] = strncmp(argv[i], "--", 2)
							 ? argv[i]
							 : strchr(argv[i], '=') + 1;
	}
}

/* `verify before after`: two names alone are the two arms. */
static int assign_files(int argc, char **argv, const struct verify_opts *opts,
			const struct param_list *rest, struct param_list files[ARMS])
{
	if (rest->cnt + opts->after.cnt + opts->control.cnt > PARAM_LIST_MAX) {
		log_err(0, "verify: more than %d files", PARAM_LIST_MAX);
		return -EINVAL;
	}
	sort_files(argc, argv, opts, rest, files);
	if (!files[AFTER].cnt && files[BEFORE].cnt == 2) {
		files[AFTER] = (struct param_list){ .v = { files[BEFORE].v[1] }, .cnt = 1 };
		files[BEFORE].cnt = 1;
	}
	if (files[BEFORE].cnt && files[AFTER].cnt)
		return 0;
	log_err(0, "verify needs BEFORE and AFTER; with several files of an arm, "
		   "BEFORE... --after FILE...; see --help");
	return -EINVAL;
}

/* ---- judging ---- */

static int judge_arm(struct arm *arm, const struct param_list *files)
{
	struct curve_input in = { 0 };
	int err = 0;

	for (size_t i = 0; !err && i < files->cnt; i++)
		err = curve_input__add(&in, files->v[i]);
	if (!err)
		err = curve__judge(in.values_ms, in.sweeps, in.windows, NULL, &arm->curve);
	curve_input__free_inside(&in);
	return err;
}

static int init_arms(struct comparison *c, const struct param_list files[ARMS])
{
	for (int i = 0; i < ARMS; i++) {
		struct arm *arm;
		int err;

		if (!files[i].cnt)
			continue;
		arm = FINDING_APPEND(&c->arms, &c->arms_cnt);
		if (!arm)
			return -ENOMEM;
		arm->kind = arm_kinds[i];
		err = finding_set(&arm->label, arm_labels[i]);
		if (!err)
			err = judge_arm(arm, &files[i]);
		if (!err)
			err = finding_set(&arm->text, arm->curve.why);
		if (err)
			return err;
	}
	return 0;
}

static const struct finding_curve *control_of(const struct comparison *c)
{
	return c->arms_cnt > CONTROL ? &c->arms[CONTROL].curve : NULL;
}

static int compare(struct comparison *c, const struct param_list files[ARMS],
		   struct curve_comparison *r)
{
	const struct finding_curve *control;
	int err = init_arms(c, files);

	if (err)
		return err;
	control = control_of(c);
	err = curve__measure(&c->arms[BEFORE].curve, control, &c->arms[AFTER].curve, NULL, r);
	if (!err)
		err = curve__fill_arm(&c->arms[AFTER], r);
	if (!err && control)
		err = curve__compare(&c->arms[BEFORE].curve, NULL, NULL, &c->arms[CONTROL]);
	if (!err && control)
		err = finding_set(&c->arms[CONTROL].text, control->why);
	if (err)
		return err;
	c->outcome = r->outcome;
	err = finding_set(&c->name, files[BEFORE].v[0]);
	if (!err)
		err = finding_set(&c->kept,
				  r->outcome == CURVE_FLATTENED ? arm_labels[AFTER] : "none");
	return err ? err : finding_set(&c->text, r->text);
}

/* ---- printing ---- */

static const char *format_times(double times, char *buf, size_t size)
{
	if (times > 0)
		snprintf(buf, size, "%.3gx", times);
	else
		snprintf(buf, size, "-");
	return buf;
}

static const char *format_level(double ms, char *buf, size_t size)
{
	if (ms > 0)
		snprintf(buf, size, "%.4g", ms);
	else
		snprintf(buf, size, "-");
	return buf;
}

static void print_arm(FILE *out, const struct arm *a, const struct curve_comparison *r)
{
	const struct finding_curve *c = &a->curve;
	char fast[24], slow[24], worst[24], before[24], control[24], verdict[32];

	fprintf(out, "%-8s %6u %8s %8s %8s %9s %11s  %s\n", a->label, c->sweeps,
		format_level(curve__median_ms(c, 1, r->from - 1), fast, sizeof(fast)),
		format_level(curve__median_ms(c, r->from, r->to), slow, sizeof(slow)),
		format_level(curve__worst_ms(c, r->from, r->to), worst, sizeof(worst)),
		format_times(a->ratio_to_before, before, sizeof(before)),
		format_times(a->ratio_to_control, control, sizeof(control)),
		curve__short_verdict(c, verdict, sizeof(verdict)));
}

static void print_comparison(FILE *out, const struct comparison *c,
			     const struct curve_comparison *r)
{
	fprintf(out, "pauses in ms; slow = median of windows %u to %u", r->from, r->to);
	if (r->from > 1)
		fprintf(out, ", fast = of those before");
	fprintf(out, "\n\n%-8s %6s %8s %8s %8s %9s %11s  %s\n", "arm", "sweeps", "fast", "slow",
		"worst", "lower by", "of control", "curve");
	for (size_t i = 0; i < c->arms_cnt; i++)
		print_arm(out, &c->arms[i], r);
	fputc('\n', out);
	print_wrapped(out, c->text, "", "");
}

static int print_result(bool json, const struct comparison *c, const struct curve_comparison *r)
{
	struct out_file file;
	int err = out_file__open(&file, "-");

	if (err)
		return err;
	/* what a stream could not take is what committing it says */
	if (json)
		comparison__write_json(file.stream, c);
	else
		print_comparison(file.stream, c, r);
	return out_file__commit(&file);
}

static int exit_code(int err, const struct curve_comparison *r)
{
	if (err)
		return err == -EOVERFLOW ? FP_EXIT_LOST : FP_EXIT_FAILED;
	switch (r->outcome) {
	case CURVE_FLATTENED:
		return FP_EXIT_OK;
	case CURVE_NOT_FLATTENED:
		return FP_EXIT_REGRESSION;
	case CURVE_NOT_SHOWN:
		break;
	}
	return FP_EXIT_INCONCLUSIVE;
}

int verb_verify(int argc, char **argv)
{
	struct param_list files[ARMS] = { 0 };
	struct verify_opts opts = { 0 };
	struct curve_comparison r = { 0 };
	struct comparison c = { 0 };
	struct params_result args;
	int err = params__parse(&verify_spec, argc, argv, &opts, &args);

	if (err)
		return err == PARAMS_HELP ? FP_EXIT_OK : FP_EXIT_USAGE;
	if (opts.json_schema)
		return json_schema__print(stdout) || fflush(stdout) ? FP_EXIT_FAILED : FP_EXIT_OK;
	if (args.command || assign_files(argc, argv, &opts, &args.rest, files))
		return FP_EXIT_USAGE;
	err = compare(&c, files, &r);
	if (!err)
		err = print_result(opts.json, &c, &r);
	if (err == -ENOMEM)
		log_err(err, "cannot compare the curves");
	comparison__free_inside(&c);
	return exit_code(err, &r);
}
