// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* `flatpause diff before.fpt after.fpt`: what went away, and what came. */
#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "../../reports/json.h"
#include "../../reports/numbers.h"
#include "../analyze/analyze.h"
#include "../analyze/diff.h"
#include "../log.h"
#include "out_file.h"
#include "params.h"
#include "verb.h"
#include "wrap.h"

#define ROWS_MAX 16

struct diff_opts {
	bool json;
	bool json_schema;
	const char *window;
	double max_loss_percent;
};

static const struct param diff_params[] = {
	PARAM(struct diff_opts, json, "json", 0, PARAM_FLAG, NULL, "the difference as JSON"),
	PARAM(struct diff_opts, json_schema, "json-schema", 0, PARAM_FLAG, NULL,
	      "print the schema of the JSON and end"),
	PARAM(struct diff_opts, window, "window", 0, PARAM_STRING, "HOW",
	      "auto, mark, api, reported, file:GLOB or exec (as recorded)"),
	PARAM(struct diff_opts, max_loss_percent, "max-loss", 0, PARAM_PERCENT, "PERCENT",
	      "lost records above which a trace is not compared (1)"),
	{ 0 },
};

static const struct params_spec diff_spec = {
	.verb = "diff",
	.summary =
		"Says what differs between the pauses of two traces, cause by cause. Compared\n"
		"are the windows from the first slow one on, in both; all of them where neither\n"
		"is slow. Whether a curve was flattened is what `flatpause verify` decides.\n"
		"Exit status: 0 told, 1 unreadable, 2 usage, 6 a trace lost too much.",
	.usage = "flatpause diff BEFORE.fpt AFTER.fpt [--json] [--window HOW]",
	.examples = "  flatpause diff before.fpt after.fpt\n"
		    "  flatpause diff before.fpt after.fpt --json | jq '.causes[0]'\n",
	.params = diff_params,
};

/* ---- printing ---- */

static void print_row(FILE *out, const struct difference_row *r)
{
	char before[NUMBER_SIZE], after[NUMBER_SIZE], share[NUMBER_SIZE] = "-";

	/* 0.0 takes the sign off what rounds to nothing */
	if (isfinite(r->share))
		snprintf(share, sizeof(share), "%.0f %%", round(100 * r->share) + 0.0);
	fprintf(out, "  %-28s %10s %10s %8s  %s\n", r->cause, number_ms(before, r->before_ms),
		number_ms(after, r->after_ms), share, difference_kind_name(r->kind));
}

static void print_difference(FILE *out, const struct difference *d)
{
	print_wrapped(out, d->text, "", "");
	fprintf(out, "\nmedian per window %23s %10s %8s  change\n", "before", "after", "share");
	for (size_t i = 0; i < d->rows_cnt && i < ROWS_MAX; i++)
		print_row(out, &d->rows[i]);
	if (d->rows_cnt > ROWS_MAX)
		fprintf(out, "  ... and %zu smaller ones (--json has all)\n",
			d->rows_cnt - ROWS_MAX);
}

static int print_result(const struct difference *d, bool json)
{
	struct out_file file;
	int err = out_file__open(&file, "-");

	if (err)
		return err;
	/* what a stream could not take is what committing it says */
	if (json)
		difference__write_json(file.stream, d);
	else
		print_difference(file.stream, d);
	return out_file__commit(&file);
}

/* ---- the verb ---- */

static int compare(const char *before, const char *after, const struct diff_opts *opts)
{
	const struct analyze_opts how = { .window = opts->window,
					  .max_loss_percent = opts->max_loss_percent };
	struct findings *b = NULL, *a = NULL;
	struct difference d = { .rows_cnt = 0 };
	int err = analyze__trace(before, &how, &b);

	if (!err)
		err = analyze__trace(after, &how, &a);
	if (!err)
		err = diff__findings(b, a, &d);
	if (!err)
		err = print_result(&d, opts->json);
	difference__free_inside(&d);
	findings__free(b);
	findings__free(a);
	return err;
}

int verb_diff(int argc, char **argv)
{
	struct diff_opts opts = { .max_loss_percent = 1 };
	struct params_result res;
	int err = params__parse(&diff_spec, argc, argv, &opts, &res);

	if (err)
		return err == PARAMS_HELP ? FP_EXIT_OK : FP_EXIT_USAGE;
	if (opts.json_schema)
		return json_schema__print(stdout) || fflush(stdout) ? FP_EXIT_FAILED : FP_EXIT_OK;
	if (res.rest.cnt != 2 || res.command) {
		log_err(0, "diff: give two traces, before and after; see --help");
		return FP_EXIT_USAGE;
	}
	err = compare(res.rest.v[0], res.rest.v[1], &opts);
	if (err == -EOVERFLOW)
		return FP_EXIT_LOST;
	return err ? FP_EXIT_FAILED : FP_EXIT_OK;
}
