// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* `flatpause curve FILE...`: stepped, flat or inconclusive. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../reports/json.h"
#include "../../reports/summary.h"
#include "../analyze/curve.h"
#include "../analyze/curve_input.h"
#include "../analyze/curve_text.h"
#include "../log.h"
#include "out_file.h"
#include "params.h"
#include "verb.h"
#include "wrap.h"

struct curve_verb_opts {
	bool json;
	bool json_schema;
};

static const struct param curve_params[] = {
	PARAM(struct curve_verb_opts, json, "json", 0, PARAM_FLAG, NULL,
	      "print the curve as one JSON object"),
	PARAM(struct curve_verb_opts, json_schema, "json-schema", 0, PARAM_FLAG, NULL,
	      "print the schema of the JSON and end"),
	{ 0 },
};

static const struct params_spec curve_spec = {
	.verb = "curve",
	.summary =
		"Says whether a pause curve is STEPPED, FLAT or INCONCLUSIVE. A FILE is a\n"
		"trace, findings JSON, or CSV with lines `sweep,window,pause_ms`; \"-\" reads the\n"
		"standard input. The sweeps of all files are one curve, so all have equally many\n"
		"windows. Exit status: 0 judged (whatever the verdict; `flatpause gate`\n"
		"decides), 1 unreadable, 2 usage, 6 a trace lost too much.",
	.usage = "flatpause curve [options] FILE...",
	.examples = "  flatpause curve run.fpt\n"
		    "  flatpause curve sweep-1.fpt sweep-2.fpt sweep-3.fpt\n"
		    "  flatpause curve pauses.csv --json | jq .verdict\n",
	.params = curve_params,
};

static void print_curve(FILE *out, const struct finding_curve *c)
{
	char headline[HEADLINE_SIZE], text[HEADLINE_SIZE + 16];

	snprintf(text, sizeof(text), "pause curve: %s", curve_headline(headline, c));
	print_wrapped(out, text, "", "");
	print_wrapped(out, c->why, "", "");
	fputc('\n', out);
	curve__print_bars(out, c);
}

static int judge_files(const struct param_list *files, struct finding_curve *curve)
{
	struct curve_input in = { 0 };
	int err = 0;

	for (size_t i = 0; !err && i < files->cnt; i++)
		err = curve_input__add(&in, files->v[i]);
	if (!err)
		err = curve__judge(in.values_ms, in.sweeps, in.windows, NULL, curve);
	if (err == -ENOMEM)
		log_err(err, "cannot judge the curve");
	curve_input__free_inside(&in);
	return err;
}

static int print_result(bool json, const struct finding_curve *curve)
{
	struct out_file file;
	int err = out_file__open(&file, "-");

	if (err)
		return err;
	/* what a stream could not take is what committing it says */
	if (json)
		curve__write_json(file.stream, curve);
	else
		print_curve(file.stream, curve);
	return out_file__commit(&file);
}

int verb_curve(int argc, char **argv)
{
	struct curve_verb_opts opts = { 0 };
	struct finding_curve curve = { 0 };
	struct params_result args;
	int err = params__parse(&curve_spec, argc, argv, &opts, &args);

	if (err)
		return err == PARAMS_HELP ? FP_EXIT_OK : FP_EXIT_USAGE;
	if (opts.json_schema)
		return json_schema__print(stdout) || fflush(stdout) ? FP_EXIT_FAILED : FP_EXIT_OK;
	if (!args.rest.cnt || args.command) {
		log_err(0, "curve: which FILE? A trace, findings JSON or CSV; see --help");
		return FP_EXIT_USAGE;
	}
	err = judge_files(&args.rest, &curve);
	if (err)
		goto out;
	err = print_result(opts.json, &curve);
out:
	free(curve.values_ms);
	free(curve.why);
	if (err == -EOVERFLOW)
		return FP_EXIT_LOST;
	return err ? FP_EXIT_FAILED : FP_EXIT_OK;
}
