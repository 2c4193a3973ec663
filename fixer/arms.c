// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The arms of `fix auto`: each sweep is a trace; what is in force meanwhile is the arm's. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../user/cli/verb.h"
#include "../user/cli/wrap.h"
#include "../user/log.h"
#include "guard.h"
#include "loop.h"
#include "name_text.h"
#include "run.h"

#define WAIT_WRITERS_NS 60000000000ull

static bool is_mitigation(const char *label)
{
	return mitigation_from(label, strlen(label)) != MITIGATION_NONE;
}

static uint32_t sweeps_of(const struct loop *l, const char *label)
{
	return (uint32_t)json_number_value(
		json_object_get(json_object_get(l->arms, label), "sweeps"));
}

/* LABEL.fpt is the first sweep, so that an arm of one is what it is called. */
static void trace_name(const char *label, uint32_t sweep, char name[NAME_MAX + 1])
{
	if (sweep == 1)
		snprintf(name, NAME_MAX + 1, "%s.fpt", label);
	else
		snprintf(name, NAME_MAX + 1, "%s-%u.fpt", label, sweep);
}

static void trace_path(const struct loop *l, const char *label, uint32_t sweep, char path[PATH_MAX])
{
	char name[NAME_MAX + 1];

	trace_name(label, sweep, name);
	if (snprintf(path, PATH_MAX, "%s/%s", l->cfg->out, name) >= PATH_MAX)
		path[0] = '\0';
}

/* ---- what is in force ---- */

/* While there still is a memory file: its size, for the spare of an arm that begins without one. */
static void remember_size(struct loop *l)
{
	int fd = open(l->cfg->fix.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct previous prev = { 0 };
	char name[NAME_MAX + 1];

	if (fd < 0)
		return;
	previous__find(fd, l->cfg->fix.match, &prev, name);
	close(fd);
	if (prev.bytes)
		snprintf(l->size, sizeof(l->size), "%llu", (unsigned long long)prev.bytes);
}

int loop__roll_back(struct loop *l)
{
	int err = 0;

	if (!l->in_force)
		return 0;
	remember_size(l);
	if (l->cfg->drop && run__shell(l->cfg->drop, l->in_force))
		log_warn("--drop failed; what is still there is exported");
	err = revert__dir(l->cfg->fix.dir, WAIT_WRITERS_NS);
	loop__step(l, "revert", l->in_force, err);
	if (!err)
		l->in_force = NULL;
	return err;
}

int loop__put_in_force(struct loop *l, const char *mitigation)
{
	enum mitigation m = mitigation_from(mitigation, strlen(mitigation));
	struct apply_cfg fix = l->cfg->fix;
	char options[512];
	int err;

	fix.mitigation = mitigation;
	fix.cover &= m == MITIGATION_MEMFD;
	if (m == MITIGATION_TUNE)
		fix.tune = l->tune;
	if (!strcmp(fix.size_from, "previous") && l->size[0])
		fix.size_from = l->size;
	err = apply__run(&fix);
	loop__step(l, "apply", mitigation, err);
	json_object_set_new(json_object_get(l->arms, mitigation), "applied",
			    name_text__to_json(loop__options(&fix, m, options, sizeof(options))));
	if (!err)
		l->in_force = mitigation;
	return err;
}

static int reset(struct loop *l, const char *label)
{
	int status;

	remember_size(l);
	if (!l->cfg->between)
		return 0;
	status = run__shell(l->cfg->between, label);
	if (status)
		return log_err(-EIO, "--between failed before the arm '%s' (status %d)", label,
			       status);
	return 0;
}

/* What was in force is undone first: a reset may want to unmount what a guard watches. */
static int prepare(struct loop *l, const char *label)
{
	int err = loop__roll_back(l);

	if (!err)
		err = reset(l, label);
	if (!err && is_mitigation(label))
		err = loop__put_in_force(l, label);
	return err;
}

/* ---- a sweep ---- */

/* What flatpause cannot do here, or was told wrongly, is ours to pass on. */
static int status_err(int status)
{
	if (status == FP_EXIT_UNSUPPORTED)
		return -EOPNOTSUPP;
	if (status == FP_EXIT_USAGE)
		return -EINVAL;
	return status ? -EIO : 0;
}

static int record(struct loop *l, const char *label, const char *trace)
{
	const struct loop_cfg *c = l->cfg;
	bool control = !strcmp(label, "control");
	char room[PATH_MAX];
	struct run_args a;
	int status;

	run_args__flatpause(&a, room);
	run_args__add(&a, "sweep");
	run_args__option(&a, "-n", c->branches);
	run_args__option(&a, "--gap", c->gap);
	run_args__option(&a, "-p", control && c->control_pid ? c->control_pid : c->pid);
	run_args__option(&a, "--comm", c->comm);
	run_args__option(&a, "--window", c->window);
	run_args__option(&a, "--pause-from", c->pause_from);
	run_args__option(&a, "--timeout", c->timeout);
	run_args__option(&a, "-o", trace);
	if (c->force)
		run_args__add(&a, "--force");
	run_args__add(&a, "--");
	if (control) {
		run_args__add(&a, "/bin/sh");
		run_args__add(&a, "-c");
		run_args__add(&a, c->control_command);
	}
	for (int i = 0; !control && i < c->command_cnt; i++)
		run_args__add(&a, c->command[i]);
	log_info("sweep '%s'", label);
	status = run__wait(&a);
	if (exiting)
		return -EINTR;
	if (status)
		log_err(0, "the sweep '%s' failed (status %d)", label, status);
	return status_err(status);
}

static json_t *arm_of(struct loop *l, const char *label)
{
	json_t *arm = json_object_get(l->arms, label);

	if (!arm && !json_object_set_new(l->arms, label, json_object()))
		arm = json_object_get(l->arms, label);
	return arm;
}

/* What became of the files, into the arm: extents kept or not, seconds until durable. */
static void record_files(struct loop *l, json_t *arm)
{
	struct state s = { 0 };
	char path[PATH_MAX];
	int fd;

	if (state__find(l->cfg->fix.dir, path))
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (!state__load(fd, path, &s)) {
		json_object_set(arm, "files", s.files);
		cost__files(arm, s.files);
	}
	state__free(&s);
	close(fd);
}

int arm__sweep(struct loop *l, const char *label)
{
	uint32_t sweep = sweeps_of(l, label) + 1;
	json_t *arm = arm_of(l, label);
	char path[PATH_MAX], name[NAME_MAX + 1];
	struct cost cost;
	int err = arm ? prepare(l, label) : -ENOMEM;

	if (err)
		return err;
	trace_path(l, label, sweep, path);
	trace_name(label, sweep, name);
	cost__begin(&cost, l->cfg->fix.dir);
	err = record(l, label, path);
	loop__step(l, "sweep", label, err);
	if (err)
		return err;
	cost__end(&cost, l->cfg->fix.dir, arm);
	if (is_mitigation(label))
		record_files(l, arm);
	if (sweep == 1)
		json_object_set_new(arm, "trace", json_string(name));
	if (!json_object_get(arm, "traces"))
		json_object_set_new(arm, "traces", json_array());
	json_array_append_new(json_object_get(arm, "traces"), json_string(name));
	l->last = label;
	return json_object_set_new(arm, "sweeps", json_integer(sweep)) ? -ENOMEM : 0;
}

/* ---- what is asked of flatpause about them ---- */

/* The traces of an arm, behind `name` if that is given; paths live in `room`. */
static void add_traces(const struct loop *l, const char *label, const char *name,
		       struct run_args *a, char (*room)[PATH_MAX])
{
	uint32_t cnt = sweeps_of(l, label);

	for (uint32_t i = 1; i <= cnt && i <= SWEEPS_MAX; i++) {
		trace_path(l, label, i, room[i - 1]);
		if (i == 1 && name)
			run_args__add(a, name);
		run_args__add(a, room[i - 1]);
	}
}

/* The pauses of all sweeps, and what they say together. */
static int judge(struct loop *l, const char *label)
{
	static char traces[SWEEPS_MAX][PATH_MAX];
	json_t *curve, *arm = json_object_get(l->arms, label);
	char room[PATH_MAX];
	struct run_args a;
	int status;

	run_args__flatpause(&a, room);
	run_args__add(&a, "curve");
	run_args__add(&a, "--json");
	add_traces(l, label, NULL, &a, traces);
	status = run__json(&a, &curve);
	if (!curve)
		return log_err(-EIO, "the arm '%s' could not be judged (status %d)", label, status);
	json_object_set(arm, "values_ms", json_object_get(curve, "values_ms"));
	json_object_set(arm, "curve", json_object_get(curve, "verdict"));
	json_decref(curve);
	return 0;
}

int arm__diagnose(struct loop *l, const char *label, json_t **diagnosis)
{
	json_t *arm = json_object_get(l->arms, label);
	char room[PATH_MAX], trace[PATH_MAX];
	struct run_args a;
	int status;

	trace_path(l, label, 1, trace);
	run_args__flatpause(&a, room);
	run_args__add(&a, "diagnose");
	run_args__add(&a, "--json");
	run_args__add(&a, trace);
	status = run__json(&a, diagnosis);
	if (!*diagnosis)
		return log_err(-EIO, "the sweep '%s' could not be diagnosed (status %d)", label,
			       status);
	json_object_set(arm, "cause",
			json_object_get(json_object_get(*diagnosis, "verdict"), "cause"));
	return judge(l, label);
}

static void print_outcome(const char *label, const json_t *arm, int status)
{
	const char *cost = json_string_value(json_object_get(arm, "cost"));

	printf("%s: %s\n", label,
	       json_is_true(json_object_get(arm, "flattened")) ? "flattened"
	       : status == FP_EXIT_INCONCLUSIVE		       ? "inconclusive"
							       : "not flattened");
	if (cost)
		print_wrapped(stdout, cost, "  cost: ", "        ");
}

int arm__verify(struct loop *l, const char *label)
{
	static char before[SWEEPS_MAX][PATH_MAX], after[SWEEPS_MAX][PATH_MAX],
		control[SWEEPS_MAX][PATH_MAX];
	json_t *result, *arm = json_object_get(l->arms, label);
	char room[PATH_MAX];
	struct run_args a;
	int status;

	run_args__flatpause(&a, room);
	run_args__add(&a, "verify");
	run_args__add(&a, "--json");
	add_traces(l, "before", NULL, &a, before);
	add_traces(l, label, "--after", &a, after);
	add_traces(l, "control", "--control", &a, control);
	status = run__json(&a, &result);
	if (!result)
		return log_err(-EIO, "the arm '%s' could not be verified (status %d)", label,
			       status);
	json_object_set(arm, "text", json_object_get(result, "text"));
	json_object_set(arm, "flattened", json_object_get(result, "flattened"));
	json_object_set(arm, "outcome", json_object_get(result, "outcome"));
	json_decref(result);
	if (status == FP_EXIT_INCONCLUSIVE)
		l->inconclusive = true;
	cost__say(arm, json_object_get(l->arms, "before"));
	print_outcome(label, arm, status);
	return json_is_true(json_object_get(arm, "flattened")) && status == FP_EXIT_OK;
}
