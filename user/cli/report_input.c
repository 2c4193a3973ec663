// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "report_input.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../reports/summary.h"
#include "../analyze/curve.h"
#include "../log.h"

#define SUMMARY_MAX_BYTES (16u << 20)
#define VALUES_MAX	  100000
#define ARMS_MAX	  8 /* what a page can tell apart */

static int copy_curve(struct finding_curve *to, const struct finding_curve *from)
{
	size_t cnt = (size_t)from->sweeps * from->windows;
	double *values = NULL;

	if (from->values_ms && cnt) {
		values = malloc(cnt * sizeof(*values));
		if (!values)
			return -ENOMEM;
		memcpy(values, from->values_ms, cnt * sizeof(*values));
	}
	*to = *from;
	to->values_ms = values;
	to->why = NULL;
	return finding_set(&to->why, from->why);
}

static int add_trace(struct report *r, const char *path, const struct analyze_opts *opts)
{
	struct findings *f = NULL;
	struct comparison *c;
	struct arm *arm;
	int err = analyze__trace(path, opts, &f);

	if (!f)
		return err ? err : -ENODATA;
	c = FINDING_APPEND(&r->comparisons, &r->comparisons_cnt);
	arm = c ? FINDING_APPEND(&c->arms, &c->arms_cnt) : NULL;
	if (!arm) {
		findings__free(f);
		return log_err(-ENOMEM, "%s", path);
	}
	arm->findings = f;
	if (finding_set(&c->name, path) || finding_set(&c->text, "") || finding_set(&c->kept, "") ||
	    finding_set(&arm->label, "recorded") || finding_set(&arm->text, f->curve.why) ||
	    copy_curve(&arm->curve, &f->curve))
		return log_err(-ENOMEM, "%s", path);
	return err;
}

/* ---- summary.json ---- */

struct summary {
	const char *path;
	const struct analyze_opts *opts;
	bool lost; /* one of its traces lost too much */
};

static int bad_summary(const struct summary *s, const char *scenario, const char *what)
{
	log_err(0, "%s: scenario '%s': %s", s->path, scenario, what);
	return -EINVAL;
}

static const char *string_of(const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));

	return value ? value : "";
}

static int read_values(const json_t *array, double **values, uint32_t *cnt)
{
	size_t n = json_array_size(array);

	*values = NULL;
	*cnt = 0;
	if (array && !json_is_array(array))
		return -EINVAL;
	if (!n)
		return 0;
	if (n > VALUES_MAX)
		return -EFBIG;
	*values = malloc(n * sizeof(**values));
	if (!*values)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		double v = json_number_value(json_array_get(array, i));

		if (!curve__is_pause_ms(v))
			return -EINVAL;
		(*values)[i] = v;
	}
	*cnt = (uint32_t)n;
	return 0;
}

/* One where nothing is said; 0 where what is said cannot be. */
static uint32_t sweeps_of(const json_t *arm, uint32_t values)
{
	json_t *said = json_object_get(arm, "sweeps");
	json_int_t sweeps = said ? json_integer_value(said) : 1;

	return sweeps > 0 && values % sweeps == 0 ? (uint32_t)sweeps : 0;
}

static int judge_values(struct summary *s, const char *scenario, const double *values, uint32_t cnt,
			uint32_t sweeps, struct finding_curve *curve)
{
	if (!sweeps)
		return bad_summary(s, scenario, "`sweeps` must divide the number of values_ms");
	return curve__judge(values, sweeps, cnt / sweeps, NULL, curve);
}

/* The pauses that the summary states; without them those of the trace. */
static int fill_curve(struct summary *s, const char *scenario, const json_t *json, struct arm *arm)
{
	uint32_t cnt;
	double *values;
	int err = read_values(json_object_get(json, "values_ms"), &values, &cnt);

	if (err) {
		free(values);
		return err == -ENOMEM ? err
				      : bad_summary(s, scenario,
						    "values_ms must be pauses: numbers above 0");
	}
	if (cnt)
		err = judge_values(s, scenario, values, cnt, sweeps_of(json, cnt), &arm->curve);
	else if (arm->findings)
		err = copy_curve(&arm->curve, &arm->findings->curve);
	free(values);
	return err;
}

/* Relative to the directory of the summary. */
static char *trace_path(const struct summary *s, const char *trace)
{
	const char *slash = strrchr(s->path, '/');
	char *path;
	int n;

	if (*trace == '/' || !slash)
		n = asprintf(&path, "%s", trace);
	else
		n = asprintf(&path, "%.*s/%s", (int)(slash - s->path), s->path, trace);
	return n < 0 ? NULL : path;
}

/* What is known of an arm without a trace. */
static int note_missing(const json_t *json, struct arm *arm)
{
	const char *trace = string_of(json, "trace"), *cause = string_of(json, "cause");
	bool caused = *cause && strcmp(cause, "none") != 0;

	if (*trace && caused)
		return finding_setf(
			&arm->text,
			"its trace %s could not be read; the summary says its cause is %s", trace,
			cause);
	if (*trace)
		return finding_setf(&arm->text, "its trace %s could not be read", trace);
	return caused ? finding_setf(&arm->text, "the summary says its cause is %s", cause) : 0;
}

/* The page is worth having without one of its traces; that it is missing is said. */
static int load_trace(struct summary *s, const json_t *json, struct arm *arm)
{
	const char *trace = string_of(json, "trace");
	char *path;
	int err;

	if (!*trace)
		return note_missing(json, arm);
	path = trace_path(s, trace);
	if (!path)
		return -ENOMEM;
	err = analyze__trace(path, s->opts, &arm->findings);
	s->lost |= err == -EOVERFLOW;
	if (!arm->findings && err != -ENOMEM) {
		log_warn("%s: the report goes without the trace %s of '%s'", s->path, path,
			 arm->label);
		err = note_missing(json, arm);
	} else if (err != -ENOMEM) {
		err = 0;
	}
	free(path);
	return err;
}

static enum arm_kind kind_of(const char *label)
{
	if (!strcmp(label, "before"))
		return ARM_BEFORE;
	return strcmp(label, "control") ? ARM_MITIGATED : ARM_CONTROL;
}

/* "said" where there is nothing else, "said; note" where a note stands already. */
static int say_before(char **note, const char *said)
{
	char *text;
	int err;

	if (!*text_or_empty(*note))
		return finding_set(note, said);
	if (!*text_or_empty(said))
		return 0;
	text = *note;
	*note = NULL;
	err = finding_setf(note, "%s; %s", said, text);
	free(text);
	return err;
}

/* What was paid for the arm, or how it was applied, as whoever measured it said it. */
static int add_said(struct arm *arm, const char *what, const char *text)
{
	char *said = NULL;
	int err = finding_setf(&said, "%s: %s", what, text);

	if (!err)
		err = say_before(&arm->text, said);
	free(said);
	return err;
}

static int add_arm(struct summary *s, struct comparison *c, const char *label, const json_t *json)
{
	struct arm *arm = FINDING_APPEND(&c->arms, &c->arms_cnt);
	int err;

	if (!arm)
		return -ENOMEM;
	arm->kind = kind_of(label);
	err = finding_set(&arm->label, label);
	if (!err)
		err = finding_set(&arm->text, "");
	if (!err)
		err = load_trace(s, json, arm);
	if (!err && *string_of(json, "cost"))
		err = add_said(arm, "cost", string_of(json, "cost"));
	if (!err && *string_of(json, "applied"))
		err = add_said(arm, "applied with", string_of(json, "applied"));
	if (!err)
		err = fill_curve(s, c->name, json, arm);
	/* An arm of which nothing is known has no curve to speak of. */
	if (!err && !arm->curve.why)
		err = finding_set(&arm->curve.why, "");
	return err;
}

static struct arm *arm_of_kind(const struct comparison *c, enum arm_kind kind)
{
	for (size_t i = 0; i < c->arms_cnt; i++)
		if (c->arms[i].kind == kind && c->arms[i].curve.values_ms)
			return &c->arms[i];
	return NULL;
}

static int compare_arm(const struct arm *before, const struct arm *control, struct arm *arm)
{
	char *note = arm->text;
	int err;

	arm->text = NULL;
	err = curve__compare(&before->curve, control ? &control->curve : NULL, NULL, arm);
	if (!err && *note) {
		char *said = arm->text;

		arm->text = note;
		note = NULL;
		err = say_before(&arm->text, said);
		free(said);
	}
	free(note);
	return err;
}

static int compare_arms(struct comparison *c)
{
	const struct arm *before = arm_of_kind(c, ARM_BEFORE);
	const struct arm *control = arm_of_kind(c, ARM_CONTROL);

	for (size_t i = 0; i < c->arms_cnt; i++) {
		struct arm *arm = &c->arms[i];
		int err = 0;

		if (before && arm->kind == ARM_MITIGATED && arm->curve.values_ms)
			err = compare_arm(before, control, arm);
		else
			err = say_before(&arm->text, arm->curve.why);
		if (err)
			return err;
	}
	return 0;
}

/* Of what was kept; where nothing was, whether all that was tried is shown not to help. */
static enum curve_outcome measured_outcome(const struct comparison *c, const struct arm *kept)
{
	if (kept)
		return kept->outcome;
	for (size_t i = 0; i < c->arms_cnt; i++)
		if (c->arms[i].kind == ARM_MITIGATED && c->arms[i].outcome != CURVE_NOT_FLATTENED)
			return CURVE_NOT_SHOWN;
	return CURVE_NOT_FLATTENED;
}

/* What the pauses say counts; what the summary says of them counts where they are not there. */
static void set_outcome(struct summary *s, struct comparison *c, const struct arm *kept,
			const json_t *stated)
{
	c->outcome = measured_outcome(c, kept);
	if (!json_is_boolean(stated) || !comparison_has_mitigation(c) ||
	    json_is_true(stated) == (c->outcome == CURVE_FLATTENED))
		return;
	if (kept && !(kept->ratio_to_before > 0))
		c->outcome = json_is_true(stated) ? CURVE_FLATTENED : CURVE_NOT_FLATTENED;
	else
		log_warn("%s: scenario '%s' is flattened: %s, it says; its pauses say: %s", s->path,
			 c->name, json_is_true(stated) ? "yes" : "no",
			 curve_outcome_name(c->outcome));
}

static int conclude(struct summary *s, struct comparison *c, const json_t *scenario)
{
	const struct arm *kept;
	int err = finding_set(&c->kept, string_of(scenario, "kept"));

	if (err)
		return err;
	kept = comparison_kept_arm(c);
	set_outcome(s, c, kept, json_object_get(scenario, "flattened"));
	if (*string_of(scenario, "text"))
		return finding_set(&c->text, string_of(scenario, "text"));
	if (kept)
		return finding_setf(&c->text, "%s was kept. It is %s", kept->label, kept->text);
	if (!comparison_has_mitigation(c))
		return finding_set(&c->text, "No mitigation was tried.");
	return finding_set(&c->text, c->outcome == CURVE_NOT_FLATTENED
					     ? "No mitigation was kept: none of those that were "
					       "tried flattened this curve."
					     : "No mitigation was kept.");
}

static int compare_kinds(const void *a, const void *b)
{
	const struct arm *x = a, *y = b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return strcmp(x->label, y->label);
}

static int fill_scenario(struct summary *s, struct comparison *c, const char *name,
			 const json_t *scenario)
{
	const char *label;
	json_t *arms = json_object_get(scenario, "arms"), *arm;
	int err = finding_set(&c->name, name);

	if (err)
		return err;
	if (!json_is_object(arms) || !json_object_size(arms))
		return bad_summary(s, name, "it has no arms");
	if (json_object_size(arms) > ARMS_MAX)
		return bad_summary(s, name, "more than 8 arms");
	json_object_foreach (arms, label, arm) {
		if (!json_is_object(arm))
			return bad_summary(s, name, "an arm is no object");
		err = add_arm(s, c, label, arm);
		if (err)
			return err;
	}
	qsort(c->arms, c->arms_cnt, sizeof(*c->arms), compare_kinds);
	err = compare_arms(c);
	return err ? err : conclude(s, c, scenario);
}

static int add_scenarios(struct report *r, struct summary *s, const json_t *root)
{
	json_t *scenarios = json_object_get(root, "scenarios"), *scenario;
	const char *name;

	if (!json_is_object(scenarios) || !json_object_size(scenarios)) {
		log_err(0,
			"%s: no summary: it has no `scenarios`; give a trace (.fpt) or the "
			"summary.json of a comparison",
			s->path);
		return -EINVAL;
	}
	json_object_foreach (scenarios, name, scenario) {
		struct comparison *c = FINDING_APPEND(&r->comparisons, &r->comparisons_cnt);
		int err = c ? fill_scenario(s, c, name, scenario) : -ENOMEM;

		if (err == -ENOMEM)
			return log_err(err, "%s", s->path);
		if (err)
			return err;
	}
	return s->lost ? -EOVERFLOW : 0;
}

static int add_summary(struct report *r, const char *path, FILE *in,
		       const struct analyze_opts *opts)
{
	struct summary s = { .path = path, .opts = opts };
	json_error_t error;
	json_t *root;
	int err;

	if (fseek(in, 0, SEEK_END) || ftell(in) < 0 || ftell(in) > (long)SUMMARY_MAX_BYTES) {
		log_err(0, "%s: too large for a summary (16 MiB at most)", path);
		return -EFBIG;
	}
	rewind(in);
	root = json_loadf(in, JSON_REJECT_DUPLICATES, &error);
	if (!root) {
		log_err(0, "%s:%d: %s", path, error.line, error.text);
		return -EINVAL;
	}
	err = add_scenarios(r, &s, root);
	json_decref(root);
	return err;
}

/* A trace begins with its magic; JSON with a brace, after white space. */
static bool looks_like_json(FILE *in)
{
	int c;

	do
		c = fgetc(in);
	while (c != EOF && isspace(c));
	return c == '{';
}

int report_input__add(struct report *r, const char *path, const struct analyze_opts *opts)
{
	FILE *in = fopen(path, "re");
	int err;

	if (!in)
		return log_err(-errno, "cannot open %s", path);
	if (looks_like_json(in)) {
		err = add_summary(r, path, in, opts);
		fclose(in);
		return err;
	}
	fclose(in);
	return add_trace(r, path, opts);
}
