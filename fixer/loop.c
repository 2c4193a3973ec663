// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * `fix auto`: sweep, diagnose, apply, sweep again, verify, keep or roll back, next advice. Sweeps
 * with and without a mitigation are interleaved (A B B A ...), so that a disk or a neighbour that
 * slowly changes is not taken for what the mitigation did.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "../user/cli/params.h"
#include "../user/cli/verb.h"
#include "../user/cli/wrap.h"
#include "../user/log.h"
#include "export.h"
#include "loop.h"
#include "plan.h"

static void on_signal(int sig)
{
	(void)sig;
	exiting = 1;
}

/* ---- one mitigation ---- */

/* Position i of A B B A, A B B A, ...: whether the sweep there is one with the mitigation. */
static bool is_mitigated(uint32_t i)
{
	return i % 4 == 1 || i % 4 == 2;
}

/*
 * The first sweep without it is there already if it was the last one made; with one sweep in each
 * arm it counts for every mitigation.
 */
static int sweep_interleaved(struct loop *l, const char *mitigation)
{
	uint32_t cnt = 2 * l->cfg->sweeps;
	bool have_first = l->cfg->sweeps == 1 || (l->last && !strcmp(l->last, "before"));
	int err = 0;

	for (uint32_t i = have_first ? 1 : 0; i < cnt && !err; i++)
		err = arm__sweep(l, is_mitigated(i) ? mitigation : "before");
	return err;
}

static int try_one(struct loop *l, const char *mitigation)
{
	json_t *diagnosis = NULL;
	int err = sweep_interleaved(l, mitigation);

	if (!err)
		err = arm__diagnose(l, mitigation, &diagnosis);
	json_decref(diagnosis);
	if (!err && l->cfg->sweeps > 1) { /* it has sweeps that its diagnosis did not know */
		diagnosis = NULL;
		err = arm__diagnose(l, "before", &diagnosis);
		json_decref(diagnosis);
	}
	if (err)
		return err;
	err = arm__verify(l, mitigation);
	loop__step(l, "verify", mitigation, err < 0 ? err : 0);
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
	if (!name || l->order_cnt == 3 || !is_allowed(l->cfg, name) ||
	    mitigation_from(name, strlen(name)) == MITIGATION_NONE)
		return;
	if (mitigation_from(name, strlen(name)) == MITIGATION_TUNE && tune_conf__is_empty(&l->tune))
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

	tune_conf__choose(&l->tune, diagnosis);
	json_array_foreach (json_object_get(diagnosis, "advice"), i, advice)
		add_to_order(l, json_string_value(json_object_get(advice, "mitigation")));
	if (!l->cfg->try_all)
		return;
	add_to_order(l, "fallocate");
	add_to_order(l, "memfd");
	add_to_order(l, "tune");
}

static int check_mitigations(const char *list)
{
	const char *p = list;

	while (p) {
		size_t len = strcspn(p, ",");

		if (mitigation_from(p, len) == MITIGATION_NONE) {
			log_err(0, "--mitigations takes fallocate, memfd and tune, with commas");
			return -EINVAL;
		}
		p = p[len] ? p + len + 1 : NULL;
	}
	return 0;
}

/* ---- the whole ---- */

static int measure_before(struct loop *l, json_t **diagnosis)
{
	json_t *control = NULL;
	int err = 0;

	for (uint32_t i = 0; l->cfg->control_command && i < l->cfg->sweeps && !err; i++)
		err = arm__sweep(l, "control");
	if (!err && l->cfg->control_command)
		err = arm__diagnose(l, "control", &control);
	json_decref(control);
	if (!err)
		err = arm__sweep(l, "before");
	return err ? err : arm__diagnose(l, "before", diagnosis);
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
	err = loop__roll_back(l);
	return err || !l->kept ? err : loop__put_in_force(l, l->kept);
}

static int try_all(struct loop *l)
{
	int err = 0;

	for (int i = 0; i < l->order_cnt && i < (int)l->cfg->rounds && !err; i++) {
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
	     : l->order_cnt  ? "nothing that was tried flattened the curve; all was rolled back"
			     : "none of these mitigations is advised here; nothing was applied");
	return l->inconclusive ? FP_EXIT_INCONCLUSIVE : FP_EXIT_ROLLED_BACK;
}

static int run_loop(const struct loop_cfg *cfg)
{
	struct loop l = { .cfg = cfg };
	json_t *diagnosis = NULL;
	bool flat = false;
	int err, undone, code;

	l.arms = json_object();
	l.steps = json_array();
	if (!l.arms || !l.steps)
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
		err = undone ? undone : loop__write_report(&l);
	if (err == -EINTR)
		log_err(0, "interrupted; everything was rolled back");
	code = err ? (undone				       ? FP_EXIT_FAILED
		      : l.arms && json_object_size(l.arms) > 1 ? FP_EXIT_ROLLED_BACK
							       : exit_code(err))
		   : outcome(&l, flat);
	json_decref(diagnosis);
	json_decref(l.arms);
	json_decref(l.steps);
	return code;
}

/* Every change that a mitigation would make on files, as `fix plan` prints it. */
static void print_changes(const struct loop_cfg *c)
{
	struct plan_facts facts = { .match = c->fix.match, .apply = &c->fix, .redo = c->fix.redo };
	const char *p = c->mitigations;
	char options[512];
	const json_t *line;
	size_t i;

	tune_conf__defaults(&facts.tune);
	snprintf(facts.dir, sizeof(facts.dir), "%s", c->fix.dir);
	plan__look(&facts);
	for (; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL) {
		enum mitigation m = mitigation_from(p, strcspn(p, ","));
		json_t *changes = plan__changes(m, &facts), *reverts = plan__reverts(m, &facts);

		printf("%s:\n", mitigation_name(m));
		if (m != MITIGATION_TUNE)
			print_wrapped(stdout, loop__options(&c->fix, m, options, sizeof(options)),
				      "   with ", "     ");
		json_array_foreach (changes, i, line)
			print_wrapped(stdout, json_string_value(line), "   - ", "     ");
		if (m == MITIGATION_TUNE)
			puts("   - settings of the disk that the diagnosis asks for; `fix plan` "
			     "names them");
		puts("  and to undo it:");
		json_array_foreach (reverts, i, line)
			print_wrapped(stdout, json_string_value(line), "   - ", "     ");
		json_decref(changes);
		json_decref(reverts);
	}
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
	print_changes(c);
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
	      "which may be tried (default fallocate,memfd; tune only if named)"),
	{ .name = "rounds",
	  .type = PARAM_U32,
	  .offset = offsetof(struct loop_cfg, rounds),
	  .min = 1,
	  .max = 3,
	  .arg = "N",
	  .help = "mitigations that are tried at most (default 3)" },
	PARAM(struct loop_cfg, control_command, "control-command", 0, PARAM_STRING, "COMMAND",
	      "the same BRANCH on tmpfs"),
	PARAM(struct loop_cfg, control_pid, "control-pid", 0, PARAM_STRING, "PID",
	      "the VMM of the control (default as -p)"),
	PARAM(struct loop_cfg, scenario, "scenario", 0, PARAM_STRING, "NAME",
	      "its name in summary.json (default auto)"),
	PARAM_HEADING("the mitigation, as in `fix apply`"),
	APPLY_PARAMS_FILES(struct loop_cfg, fix, ""),
	APPLY_PARAM_BUDGET(struct loop_cfg, fix, "memfd: "),
	APPLY_PARAMS_EXPORT(struct loop_cfg, fix, "memfd: "),
	APPLY_PARAM_COVER(struct loop_cfg, fix, "memfd: "),
	APPLY_PARAM_NO_PLANT(struct loop_cfg, fix, "fallocate: "),
	APPLY_PARAM_REDO(struct loop_cfg, fix, "fallocate: "),
	PARAM_HEADING("the sweep, as in `flatpause sweep`"),
	PARAM(struct loop_cfg, branches, "branches", 'n', PARAM_STRING, "N", "BRANCHes in a sweep"),
	{ .name = "sweeps",
	  .letter = 's',
	  .type = PARAM_U32,
	  .offset = offsetof(struct loop_cfg, sweeps),
	  .min = 1,
	  .max = SWEEPS_MAX,
	  .arg = "N",
	  .help = "sweeps in an arm, interleaved with those of `before` (default 1)" },
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
	struct loop_cfg cfg = { .sweeps = 1,
				.rounds = 3,
				.mitigations = "fallocate,memfd",
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
