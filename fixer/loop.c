// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* `fix auto`: sweep, diagnose, apply, sweep again, verify, keep or roll back, next advice. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../user/cli/params.h"
#include "../user/cli/verb.h"
#include "../user/log.h"
#include "guard.h"
#include "run.h"
#include "verbs.h"

#define WAIT_WRITERS_NS 60000000000ull

struct loop_cfg {
	/* what the sweep is told, as given */
	const char *branches, *sweeps, *gap, *pid, *comm, *window, *pause_from, *timeout;
	const char *control_command, *control_pid;
	const char *between, *drop, *mitigations, *out, *scenario;
	struct apply_cfg fix;
	bool apply, try_all, force;
	char **command;
	int command_cnt;
};

struct loop {
	const struct loop_cfg *cfg;
	json_t *arms;	      /* of summary.json */
	const char *in_force; /* mitigation that is applied now */
	const char *kept;     /* first that flattened */
	bool inconclusive;    /* one at least could not be judged */
	char size[32];	      /* of the memory file, found while there was one */
	char order[2][16];    /* mitigations to try, in this order */
	int order_cnt;
};

static void on_signal(int sig)
{
	(void)sig;
	exiting = 1;
}

static void path_of(const struct loop *l, const char *label, const char *suffix,
		    char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/%s%s", l->cfg->out, label, suffix);
}

/* ---- one arm: reset, sweep, diagnose ---- */

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

/* What flatpause cannot do here, or was told wrongly, is ours to pass on. */
static int status_err(int status)
{
	if (status == FP_EXIT_UNSUPPORTED)
		return -EOPNOTSUPP;
	if (status == FP_EXIT_USAGE)
		return -EINVAL;
	return status ? -EIO : 0;
}

static int sweep(struct loop *l, const char *label)
{
	const struct loop_cfg *c = l->cfg;
	bool control = !strcmp(label, "control");
	char room[PATH_MAX], trace[PATH_MAX];
	struct run_args a;
	int status;

	path_of(l, label, ".fpt", trace);
	run_args__flatpause(&a, room);
	run_args__add(&a, "sweep");
	run_args__option(&a, "-n", c->branches);
	run_args__option(&a, "--sweeps", c->sweeps);
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

static int diagnose(struct loop *l, const char *label, json_t **out)
{
	char room[PATH_MAX], trace[PATH_MAX], name[NAME_MAX + 1];
	const json_t *curve, *verdict;
	struct run_args a;
	json_t *arm;
	int status;

	path_of(l, label, ".fpt", trace);
	run_args__flatpause(&a, room);
	run_args__add(&a, "diagnose");
	run_args__add(&a, "--json");
	run_args__add(&a, trace);
	status = run__json(&a, out);
	if (!*out)
		return log_err(-EIO, "the sweep '%s' could not be diagnosed (status %d)", label,
			       status);
	curve = json_object_get(*out, "curve");
	verdict = json_object_get(*out, "verdict");
	snprintf(name, sizeof(name), "%s.fpt", label);
	arm = json_pack(
		"{s:O?, s:O?, s:s, s:O?, s:O?}", "values_ms", json_object_get(curve, "values_ms"),
		"sweeps", json_object_get(curve, "sweeps"), "trace", name, "cause",
		json_object_get(verdict, "cause"), "curve", json_object_get(curve, "verdict"));
	if (!arm || json_object_set_new(l->arms, label, arm))
		return log_err(-ENOMEM, "summary");
	return 0;
}

/* ---- mitigations ---- */

static int roll_back(struct loop *l)
{
	int err = 0;

	if (!l->in_force)
		return 0;
	remember_size(l);
	if (l->cfg->drop && run__shell(l->cfg->drop, l->in_force))
		log_warn("--drop failed; what is still there is exported");
	err = revert__dir(l->cfg->fix.dir, WAIT_WRITERS_NS);
	if (!err)
		l->in_force = NULL;
	return err;
}

static int put_in_force(struct loop *l, const char *mitigation)
{
	struct apply_cfg fix = l->cfg->fix;
	int err;

	fix.mitigation = mitigation;
	if (!strcmp(fix.size_from, "previous") && l->size[0])
		fix.size_from = l->size;
	err = apply__run(&fix);
	if (!err)
		l->in_force = mitigation;
	return err;
}

/* What became of the files, into the arm: extents kept or not, seconds until durable. */
static void record_files(struct loop *l, const char *label)
{
	struct state s = { 0 };
	char path[PATH_MAX];
	int fd;

	if (state__find(l->cfg->fix.dir, path))
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (!state__load(fd, path, &s))
		json_object_set(json_object_get(l->arms, label), "files", s.files);
	state__free(&s);
	close(fd);
}

static int verify(struct loop *l, const char *label)
{
	char room[PATH_MAX], before[PATH_MAX], after[PATH_MAX], control[PATH_MAX];
	json_t *result, *arm = json_object_get(l->arms, label);
	struct run_args a;
	int status;

	path_of(l, "before", ".fpt", before);
	path_of(l, label, ".fpt", after);
	path_of(l, "control", ".fpt", control);
	run_args__flatpause(&a, room);
	run_args__add(&a, "verify");
	run_args__add(&a, before);
	run_args__option(&a, "--after", after);
	if (json_object_get(l->arms, "control"))
		run_args__option(&a, "--control", control);
	run_args__add(&a, "--json");
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
	printf("%s: %s\n", label,
	       json_is_true(json_object_get(arm, "flattened")) ? "flattened"
	       : status == FP_EXIT_INCONCLUSIVE		       ? "inconclusive"
							       : "not flattened");
	return json_is_true(json_object_get(arm, "flattened")) && status == FP_EXIT_OK;
}

/* The arm before it is undone first: a reset may want to unmount what the guard watches. */
static int try_one(struct loop *l, const char *mitigation)
{
	json_t *diagnosis = NULL;
	int err = roll_back(l);

	if (!err)
		err = reset(l, mitigation);
	if (!err)
		err = put_in_force(l, mitigation);
	if (!err)
		err = sweep(l, mitigation);
	if (!err)
		err = diagnose(l, mitigation, &diagnosis);
	json_decref(diagnosis);
	if (err)
		return err;
	record_files(l, mitigation);
	err = verify(l, mitigation);
	if (err > 0 && !l->kept)
		l->kept = mitigation;
	return err < 0 ? err : 0;
}

/* ---- the order ---- */

static bool is_allowed(const struct loop_cfg *c, const char *name)
{
	const char *p = c->mitigations;
	size_t len = strlen(name);

	for (; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
		if (!strncmp(p, name, len) && (p[len] == ',' || !p[len]))
			return true;
	return false;
}

static void add_to_order(struct loop *l, const char *name)
{
	if (!name || l->order_cnt == 2 || !is_allowed(l->cfg, name) ||
	    mitigation_from(name, strlen(name)) == MITIGATION_NONE)
		return;
	for (int i = 0; i < l->order_cnt; i++)
		if (!strcmp(l->order[i], name))
			return;
	snprintf(l->order[l->order_cnt++], sizeof(l->order[0]), "%s", name);
}

/* Advice first, in its order; with --try-all the others behind it. */
static void make_order(struct loop *l, const json_t *diagnosis)
{
	const json_t *advice;
	size_t i;

	json_array_foreach (json_object_get(diagnosis, "advice"), i, advice)
		add_to_order(l, json_string_value(json_object_get(advice, "mitigation")));
	if (!l->cfg->try_all)
		return;
	add_to_order(l, "fallocate");
	add_to_order(l, "memfd");
}

static int check_mitigations(const char *list)
{
	const char *p = list;

	while (p) {
		size_t len = strcspn(p, ",");

		if (mitigation_from(p, len) == MITIGATION_NONE) {
			log_err(0, "--mitigations takes fallocate, memfd or both, with a comma");
			return -EINVAL;
		}
		p = p[len] ? p + len + 1 : NULL;
	}
	return 0;
}

/* ---- the whole ---- */

static int write_summary(struct loop *l, const char *path)
{
	json_t *kept = l->kept ? json_object_get(l->arms, l->kept) : NULL;
	json_t *doc = json_pack("{s:i, s:{s:{s:O, s:s, s:b}}}", "schema_version", 1, "scenarios",
				l->cfg->scenario, "arms", l->arms, "kept",
				l->kept ? l->kept : "none", "flattened",
				json_is_true(json_object_get(kept, "flattened")));
	int err = doc && !json_dump_file(doc, path, JSON_INDENT(2)) ? 0 : -EIO;

	json_decref(doc);
	return err ? log_err(err, "cannot write %s", path) : 0;
}

static int write_report(struct loop *l)
{
	char room[PATH_MAX], summary[PATH_MAX], html[PATH_MAX];
	struct run_args a;
	int err;

	path_of(l, "summary", ".json", summary);
	path_of(l, "report", ".html", html);
	err = write_summary(l, summary);
	if (err)
		return err;
	run_args__flatpause(&a, room);
	run_args__add(&a, "report");
	run_args__add(&a, summary);
	run_args__option(&a, "--html", html);
	err = run__wait(&a);
	if (err)
		return log_err(-EIO, "the report could not be written (status %d)", err);
	printf("summary: %s\nreport:  %s\n", summary, html);
	return 0;
}

static int measure_before(struct loop *l, json_t **diagnosis)
{
	json_t *control = NULL;
	int err = reset(l, "before");

	if (!err)
		err = sweep(l, "before");
	if (!err)
		err = diagnose(l, "before", diagnosis);
	if (err || !l->cfg->control_command)
		return err;
	err = reset(l, "control");
	if (!err)
		err = sweep(l, "control");
	if (!err)
		err = diagnose(l, "control", &control);
	json_decref(control);
	return err;
}

static bool is_flat(const json_t *diagnosis)
{
	const char *v =
		json_string_value(json_object_get(json_object_get(diagnosis, "curve"), "verdict"));

	return v && !strcmp(v, "flat");
}

/* What is in force at the end is what was kept, or nothing. */
static int settle(struct loop *l)
{
	int err = 0;

	if (l->in_force && l->kept && !strcmp(l->in_force, l->kept))
		return 0;
	err = roll_back(l);
	return err || !l->kept ? err : put_in_force(l, l->kept);
}

static int try_all(struct loop *l)
{
	int err = 0;

	for (int i = 0; i < l->order_cnt && !err; i++) {
		if (l->kept && !l->cfg->try_all)
			break;
		err = try_one(l, l->order[i]);
	}
	return err;
}

static int outcome(const struct loop *l, bool flat_before)
{
	if (l->kept) {
		printf("kept: %s, in force for %s; undo: flatpause fix revert %s\n", l->kept,
		       l->cfg->fix.dir, l->cfg->fix.dir);
		return FP_EXIT_OK;
	}
	if (flat_before && !l->cfg->try_all) {
		puts("the curve is flat as it is; nothing was applied");
		return FP_EXIT_OK;
	}
	puts(l->inconclusive ? "inconclusive: nothing was kept; more sweeps (--sweeps) may tell"
			     : "nothing that was tried flattened the curve; all was rolled back");
	return l->inconclusive ? FP_EXIT_INCONCLUSIVE : FP_EXIT_ROLLED_BACK;
}

static int run_loop(const struct loop_cfg *cfg)
{
	struct loop l = { .cfg = cfg };
	json_t *diagnosis = NULL;
	bool flat = false;
	int err, undone, code;

	l.arms = json_object();
	if (!l.arms)
		return exit_code(log_err(-ENOMEM, "auto"));
	err = measure_before(&l, &diagnosis);
	if (!err) {
		flat = is_flat(diagnosis);
		make_order(&l, diagnosis);
		if (!flat || cfg->try_all)
			err = try_all(&l);
	}
	if (err)
		l.kept = NULL;
	undone = settle(&l);
	if (!err)
		err = undone ? undone : write_report(&l);
	if (err == -EINTR)
		log_err(0, "interrupted; everything was rolled back");
	code = err ? (undone				       ? FP_EXIT_FAILED
		      : l.arms && json_object_size(l.arms) > 1 ? FP_EXIT_ROLLED_BACK
							       : exit_code(err))
		   : outcome(&l, flat);
	json_decref(diagnosis);
	json_decref(l.arms);
	return code;
}

static void print_plan(const struct loop_cfg *c)
{
	printf("would sweep (");
	for (int i = 0; i < c->command_cnt; i++)
		printf("%s%s", i ? " " : "", c->command[i]);
	printf(") and diagnose it\n");
	if (c->between)
		printf("before each arm: %s\n", c->between);
	if (c->control_command)
		printf("would sweep the control: %s\n", c->control_command);
	printf("would apply, in the order of the advice%s: %s, each for '%s' below %s,\n"
	       "sweep and verify again, keep the first that flattens the curve and roll back the "
	       "others\n",
	       c->try_all ? " and then the rest" : "", c->mitigations, c->fix.match, c->fix.dir);
	printf("would write %s/{summary.json,report.html,*.fpt}\n", c->out);
	puts("nothing was run or changed; add --apply to do it");
}

static const struct param auto_params[] = {
	PARAM(struct loop_cfg, apply, "apply", 0, PARAM_FLAG, NULL,
	      "do it; without this the plan is printed"),
	PARAM(struct loop_cfg, fix.dir, "dir", 'd', PARAM_STRING, "DIR",
	      "where the snapshot directories are"),
	PARAM(struct loop_cfg, out, "output", 'o', PARAM_STRING, "DIR",
	      "traces, summary.json and report.html (default flatpause-auto)"),
	PARAM(struct loop_cfg, force, "force", 0, PARAM_FLAG, NULL,
	      "write over the traces of an earlier run"),
	PARAM(struct loop_cfg, between, "between", 0, PARAM_STRING, "COMMAND",
	      "run by a shell before each arm; FLATPAUSE_ARM says which"),
	PARAM(struct loop_cfg, drop, "drop", 0, PARAM_STRING, "COMMAND",
	      "run before a mitigation is rolled back: snapshots it deletes need no export"),
	PARAM(struct loop_cfg, try_all, "try-all", 0, PARAM_FLAG, NULL,
	      "try every mitigation, also when one has flattened the curve"),
	PARAM(struct loop_cfg, mitigations, "mitigations", 'm', PARAM_STRING, "LIST",
	      "which may be tried (default fallocate,memfd)"),
	PARAM(struct loop_cfg, control_command, "control-command", 0, PARAM_STRING, "COMMAND",
	      "the same BRANCH on tmpfs"),
	PARAM(struct loop_cfg, control_pid, "control-pid", 0, PARAM_STRING, "PID",
	      "the VMM of the control (default as -p)"),
	PARAM(struct loop_cfg, scenario, "scenario", 0, PARAM_STRING, "NAME",
	      "its name in summary.json (default auto)"),
	PARAM_HEADING("the mitigation, as in `fix apply`"),
	PARAM(struct loop_cfg, fix.match, "match", 0, PARAM_STRING, "GLOB",
	      "the memory file's name (default memory.bin)"),
	PARAM(struct loop_cfg, fix.size_from, "size-from", 0, PARAM_STRING, "SIZE",
	      "'previous' or bytes"),
	PARAM(struct loop_cfg, fix.memory_bytes, "memory", 0, PARAM_SIZE, "BYTES",
	      "memfd: budget (default half of free memory)"),
	PARAM(struct loop_cfg, fix.redo, "redo", 0, PARAM_FLAG, NULL,
	      "fallocate: again behind an O_TRUNC"),
	PARAM(struct loop_cfg, fix.no_plant, "no-plant", 0, PARAM_FLAG, NULL,
	      "fallocate: only at open"),
	PARAM_HEADING("the sweep, as in `flatpause sweep`"),
	PARAM(struct loop_cfg, branches, "branches", 'n', PARAM_STRING, "N", "BRANCHes in a sweep"),
	PARAM(struct loop_cfg, sweeps, "sweeps", 's', PARAM_STRING, "N", "sweeps in an arm"),
	PARAM(struct loop_cfg, gap, "gap", 'g', PARAM_STRING, "DURATION", "between two BRANCHes"),
	PARAM(struct loop_cfg, pid, "pid", 'p', PARAM_STRING, "PID", "the VMM"),
	PARAM(struct loop_cfg, comm, "comm", 0, PARAM_STRING, "GLOB", "the VMM by name"),
	PARAM(struct loop_cfg, window, "window", 'w', PARAM_STRING, "HOW", "how a pause is found"),
	PARAM(struct loop_cfg, pause_from, "pause-from", 0, PARAM_STRING, "json:.KEY",
	      "where COMMAND's JSON has its pause"),
	PARAM(struct loop_cfg, timeout, "timeout", 't', PARAM_STRING, "DURATION",
	      "end a BRANCH that takes longer"),
	{ 0 },
};

static int check(struct loop_cfg *cfg, const struct params_result *res)
{
	if (!cfg->fix.dir || !res->command || !res->command_cnt) {
		log_err(0, "fix auto needs --dir and a command behind '--'; see `flatpause fix "
			   "auto --help`");
		return -EINVAL;
	}
	if (res->rest.cnt) {
		log_err(0, "fix auto: what is '%s'? The command stands behind '--'",
			res->rest.v[0]);
		return -EINVAL;
	}
	cfg->command = res->command;
	cfg->command_cnt = res->command_cnt;
	return check_mitigations(cfg->mitigations);
}

int fix_auto(int argc, char **argv)
{
	static const struct params_spec spec = {
		.verb = "fix auto",
		.summary =
			"Sweeps, diagnoses, applies the advice, sweeps again, verifies, and keeps "
			"or rolls back.\nExit status: 0 kept (or flat as it was), 5 inconclusive, "
			"7 nothing helped or it failed, all rolled back.",
		.usage = "flatpause fix auto --dir DIR [options] -- BRANCH-COMMAND...",
		.examples =
			"  flatpause fix auto --dir /srv/snapshots -- ./branch.sh    # only the "
			"plan\n"
			"  flatpause fix auto --apply --dir /srv/snapshots -n 10 --gap 3s -p 4242 "
			"\\\n"
			"      --pause-from json:.pause_ms --between 'rm -rf "
			"/srv/snapshots/snap-*' \\\n"
			"      --control-command './branch.sh /dev/shm' -o out -- ./branch.sh\n",
		.params = auto_params,
	};
	struct loop_cfg cfg = { .mitigations = "fallocate,memfd",
				.out = "flatpause-auto",
				.scenario = "auto" };
	struct sigaction sa = { .sa_handler = on_signal };
	struct params_result res;
	int err;

	apply_cfg__defaults(&cfg.fix);
	err = params__parse(&spec, argc, argv, &cfg, &res);
	if (err)
		return err == PARAMS_HELP ? FP_EXIT_OK : FP_EXIT_USAGE;
	if (check(&cfg, &res))
		return FP_EXIT_USAGE;
	if (!cfg.apply) {
		print_plan(&cfg);
		return FP_EXIT_OK;
	}
	if (geteuid())
		return exit_code(log_err(-EPERM, "`fix auto --apply` needs root"));
	if (mkdir(cfg.out, 0755) && errno != EEXIST)
		return exit_code(log_err(-errno, "cannot make %s", cfg.out));
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	return run_loop(&cfg);
}
