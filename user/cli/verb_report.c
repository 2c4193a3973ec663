// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* `flatpause report`: findings as JSON, Markdown, folded stacks, a flame graph or a page. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../reports/flamegraph.h"
#include "../../reports/folded.h"
#include "../../reports/html.h"
#include "../../reports/json.h"
#include "../../reports/markdown.h"
#include "../log.h"
#include "out_file.h"
#include "params.h"
#include "report_input.h"
#include "verb.h"

struct report_opts {
	bool json;
	bool json_schema;
	bool markdown;
	bool folded;
	const char *svg;
	const char *html;
	const char *output;
	const char *stacks;
	const char *title;
	const char *window;
	double max_loss_percent;
};

static const struct param report_params[] = {
	PARAM_HEADING("what to write (Markdown if nothing is said)"),
	PARAM(struct report_opts, html, "html", 0, PARAM_STRING, "FILE",
	      "one self-contained page; '-' is stdout"),
	PARAM(struct report_opts, svg, "svg", 0, PARAM_STRING, "FILE",
	      "a flame graph of one trace; '-' is stdout"),
	PARAM(struct report_opts, json, "json", 0, PARAM_FLAG, NULL, "findings as JSON"),
	PARAM(struct report_opts, markdown, "markdown", 0, PARAM_FLAG, NULL,
	      "for a comment on a pull request"),
	PARAM(struct report_opts, folded, "folded", 'f', PARAM_FLAG, NULL,
	      "stacks of one trace in us, for other flame graphs"),
	PARAM(struct report_opts, json_schema, "json-schema", 0, PARAM_FLAG, NULL,
	      "print the schema of the JSON and end"),
	PARAM_HEADING("how"),
	PARAM(struct report_opts, output, "output", 'o', PARAM_STRING, "FILE",
	      "of JSON, Markdown or folded stacks; - is stdout"),
	PARAM(struct report_opts, stacks, "stacks", 0, PARAM_STRING, "slow|fast",
	      "whose stacks --svg and --folded show (slow)"),
	PARAM(struct report_opts, title, "title", 0, PARAM_STRING, "TEXT", "the page's title"),
	PARAM(struct report_opts, window, "window", 0, PARAM_STRING, "HOW",
	      "as for sweep; otherwise as it was recorded"),
	PARAM(struct report_opts, max_loss_percent, "max-loss", 0, PARAM_PERCENT, "PERCENT",
	      "lost events above which there is no verdict (1)"),
	{ 0 },
};

static const struct params_spec report_spec = {
	.verb = "report",
	.summary = "Renders traces, or the summary.json of a comparison, without root, anywhere.\n"
		   "Exit status: 0 written, 1 failed, 2 usage, 6 a trace lost too much (written).",
	.usage = "flatpause report FILE... [--html FILE] [--svg FILE]\n"
		 "                              [--json | --markdown | --folded] [-o FILE]",
	.examples = "  flatpause report run.fpt --html run.html\n"
		    "  flatpause report run.fpt --markdown -o comment.md\n"
		    "  flatpause report run.fpt --folded | flamegraph.pl --countname=us >f.svg\n"
		    "  flatpause report .output/demo/summary.json --html demo.html\n",
	.params = report_params,
};

static int usage_error(const char *what)
{
	log_err(0, "report: %s; see --help", what);
	return -EINVAL;
}

static bool is_stdout(const char *path)
{
	return path && !strcmp(path, "-");
}

static int check_opts(struct report_opts *o, const struct params_result *args)
{
	int texts = o->json + o->markdown + o->folded;
	int on_stdout = is_stdout(o->svg) + is_stdout(o->html);

	if (args->command)
		return usage_error("it runs no command");
	if (!args->rest.cnt)
		return usage_error("which trace or summary.json?");
	if (texts > 1)
		return usage_error("only one of --json, --markdown and --folded");
	if (!texts && !o->svg && !o->html) {
		o->markdown = true;
		texts = 1;
	}
	if (!texts && o->output)
		return usage_error("-o is for JSON, Markdown and folded stacks; --html and --svg "
				   "name their own file");
	if (on_stdout + (texts && (!o->output || is_stdout(o->output))) > 1)
		return usage_error("only one thing can go to the standard output");
	if (on_stdout && isatty(STDOUT_FILENO))
		return usage_error("a page on a terminal helps nobody; name a file or pipe it");
	if (o->stacks && strcmp(o->stacks, "slow") && strcmp(o->stacks, "fast"))
		return usage_error("--stacks is slow or fast");
	return 0;
}

/* The one trace that --svg and --folded are about; NULL if there is none, or several. */
static const struct findings *only_findings(const struct report *r)
{
	const struct findings *found = NULL;

	for (size_t i = 0; i < r->comparisons_cnt; i++)
		for (size_t a = 0; a < r->comparisons[i].arms_cnt; a++) {
			const struct findings *f = r->comparisons[i].arms[a].findings;

			if (f && found)
				return NULL;
			if (f)
				found = f;
		}
	return found;
}

static const struct flame *choose_flame(const struct findings *f, const struct report_opts *o)
{
	bool fast = o->stacks && !strcmp(o->stacks, "fast");
	const struct flame *flame = fast ? f->flame_fast : f->flame_slow;

	/* Without a step all windows are in one of the two. */
	if (!flame && !o->stacks)
		flame = f->flame_fast;
	if (!flame)
		log_warn("%s: no stacks of %s windows", f->source, fast ? "fast" : "slow");
	return flame;
}

static const struct findings *lone_findings(const struct report *r)
{
	if (r->comparisons_cnt == 1 && r->comparisons[0].arms_cnt == 1)
		return r->comparisons[0].arms[0].findings;
	return NULL;
}

static int write_svg(FILE *out, const struct report *r, const struct report_opts *o)
{
	struct flamegraph_opts opts = { .id = "flame" };
	const struct findings *f = only_findings(r);
	const struct flame *flame = choose_flame(f, o);
	const char *which = flame && flame == f->flame_fast ? "fast"
			    : f->flame_fast		    ? "slow"
							    : "all";
	char *title = NULL;
	int err = finding_setf(&title, "%s windows of %s", which, f->source);

	if (err)
		return err;
	opts.title = o->title ? o->title : title;
	err = flame__write_svg(out, flame, &opts);
	free(title);
	return err;
}

static int write_folded(FILE *out, const struct report *r, const struct report_opts *o)
{
	return flame__write_folded(out, choose_flame(only_findings(r), o));
}

static int write_json(FILE *out, const struct report *r, const struct report_opts *o)
{
	const struct findings *f = lone_findings(r);

	(void)o;
	return f ? findings__write_json(out, f) : report__write_json(out, r);
}

static int write_markdown(FILE *out, const struct report *r, const struct report_opts *o)
{
	const struct findings *f = lone_findings(r);

	(void)o;
	return f ? findings__write_markdown(out, f) : report__write_markdown(out, r);
}

static int write_html(FILE *out, const struct report *r, const struct report_opts *o)
{
	(void)o;
	return report__write_html(out, r);
}

typedef int (*writer)(FILE *out, const struct report *r, const struct report_opts *o);

static int write_to(const char *path, writer write, const struct report *r,
		    const struct report_opts *o)
{
	struct out_file file;
	int err = out_file__open(&file, path);

	if (err)
		return err;
	err = write(file.stream, r, o);
	if (!err || err == -EIO)
		return out_file__commit(&file);
	out_file__discard(&file);
	if (err == -ENOMEM)
		log_err(err, "cannot write %s", path);
	return err;
}

static int write_all(const struct report *r, const struct report_opts *o)
{
	const char *output = o->output ? o->output : "-";
	int err = 0;

	if (o->html)
		err = write_to(o->html, write_html, r, o);
	if (!err && o->svg)
		err = write_to(o->svg, write_svg, r, o);
	if (!err && o->json)
		err = write_to(output, write_json, r, o);
	if (!err && o->markdown)
		err = write_to(output, write_markdown, r, o);
	if (!err && o->folded)
		err = write_to(output, write_folded, r, o);
	return err;
}

static int set_title(struct report *r, const struct report_opts *o)
{
	if (o->title)
		return finding_set(&r->title, o->title);
	if (r->comparisons_cnt == 1)
		return finding_setf(&r->title, "Pauses of %s", r->comparisons[0].name);
	return finding_set(&r->title, "Why the pauses grow, and what makes them flat");
}

static int read_all(struct report *r, const struct report_opts *o, const struct param_list *files,
		    bool *lost)
{
	struct analyze_opts analyze = {
		.window = o->window,
		.flames = o->folded || o->svg || o->html,
		.max_loss_percent = o->max_loss_percent,
	};

	for (size_t i = 0; i < files->cnt; i++) {
		int err = report_input__add(r, files->v[i], &analyze);

		if (err == -EOVERFLOW)
			*lost = true;
		else if (err)
			return err;
	}
	return set_title(r, o);
}

static int run(const struct report_opts *o, const struct param_list *files)
{
	struct report *r = calloc(1, sizeof(*r));
	bool lost = false;
	int err = r ? 0 : log_err(-ENOMEM, "report");
	enum fp_exit code;

	if (!err)
		err = read_all(r, o, files, &lost);
	code = err ? FP_EXIT_FAILED : lost ? FP_EXIT_LOST : FP_EXIT_OK;
	if (!err && (o->svg || o->folded) && !only_findings(r)) {
		usage_error("--svg and --folded take exactly one trace");
		code = FP_EXIT_USAGE;
	} else if (!err && write_all(r, o)) {
		code = FP_EXIT_FAILED;
	}
	report__free(r);
	return code;
}

int verb_report(int argc, char **argv)
{
	struct report_opts opts = { .max_loss_percent = 1 };
	struct params_result args;
	int err = params__parse(&report_spec, argc, argv, &opts, &args);

	if (err)
		return err == PARAMS_HELP ? FP_EXIT_OK : FP_EXIT_USAGE;
	if (opts.json_schema)
		return json_schema__print(stdout) || fflush(stdout) ? FP_EXIT_FAILED : FP_EXIT_OK;
	if (check_opts(&opts, &args))
		return FP_EXIT_USAGE;
	return run(&opts, &args.rest);
}
