// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* `fix plan`: diagnose, look (without touching) at the directory, print. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "../user/cli/params.h"
#include "../user/log.h"
#include "guard.h"
#include "plan.h"
#include "run.h"
#include "verbs.h"

struct plan_cfg {
	const char *dir, *match;
	bool json;
};

void plan__look(struct plan_facts *f)
{
	const char *state = getenv("FLATPAUSE_STATE_DIR");
	int fd = *f->dir ? open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	struct previous prev = { 0 };
	char name[NAME_MAX + 1];
	struct statfs fs;

	f->state_dir = state && *state ? state : "/var/lib/flatpause";
	if (fd < 0)
		return;
	f->dir_on_tmpfs = !fstatfs(fd, &fs) && fs.f_type == TMPFS_MAGIC;
	previous__find(fd, f->match, &prev, name);
	f->previous_bytes = prev.bytes;
	close(fd);
}

static int look_at_knobs(const struct plan_facts *f, struct knob knobs[KNOBS_MAX])
{
	struct stat st;

	if (tune_conf__is_empty(&f->tune) || !*f->dir || stat(f->dir, &st))
		return 0;
	return tune__knobs(&f->tune, st.st_dev, "", knobs);
}

static int plan(const struct plan_cfg *cfg, const char *trace)
{
	struct plan_facts facts = { .match = cfg->match };
	struct knob knobs[KNOBS_MAX];
	json_t *diagnosis, *result;
	char room[PATH_MAX];
	struct run_args a;
	int status;

	run_args__flatpause(&a, room);
	run_args__add(&a, "diagnose");
	run_args__add(&a, "--json");
	run_args__add(&a, trace);
	status = run__json(&a, &diagnosis);
	if (!diagnosis)
		return status > 0 ? status : FP_EXIT_FAILED; /* diagnose has said why */
	if (cfg->dir)
		snprintf(facts.dir, sizeof(facts.dir), "%s", cfg->dir);
	else if (plan__dir(diagnosis, cfg->match, facts.dir))
		log_warn("no window wrote a file like '%s'; give the directory with --dir",
			 cfg->match);
	plan__look(&facts);
	facts.redo = plan__was_undone(diagnosis, cfg->match);
	tune_conf__choose(&facts.tune, diagnosis);
	facts.knobs = knobs;
	facts.knobs_cnt = look_at_knobs(&facts, knobs);
	result = plan__build(diagnosis, &facts);
	json_decref(diagnosis);
	if (!result)
		return exit_code(log_err(-ENOMEM, "plan"));
	if (cfg->json) {
		json_dumpf(result, stdout, JSON_INDENT(2));
		putchar('\n');
	} else {
		plan__print(result);
	}
	json_decref(result);
	return FP_EXIT_OK;
}

static const struct param plan_params[] = {
	PARAM(struct plan_cfg, dir, "dir", 'd', PARAM_STRING, "DIR",
	      "where the snapshot directories are (default: from the trace)"),
	PARAM(struct plan_cfg, match, "match", 0, PARAM_STRING, "GLOB",
	      "the memory file's name (default memory.bin)"),
	PARAM(struct plan_cfg, json, "json", 0, PARAM_FLAG, NULL, "as JSON"),
	{ 0 },
};

int fix_plan(int argc, char **argv)
{
	static const struct params_spec spec = {
		.verb = "fix plan",
		.summary = "Prints what would be done about a recorded sweep, what undoes it, and "
			   "every change to files. Changes nothing.",
		.usage = "flatpause fix plan [options] RUN.fpt",
		.examples = "  flatpause fix plan run.fpt\n"
			    "  flatpause fix plan run.fpt --dir /srv/snapshots --json\n",
		.params = plan_params,
	};
	struct plan_cfg cfg = { .match = "memory.bin" };
	struct params_result res;
	int err = params__parse(&spec, argc, argv, &cfg, &res);

	if (err)
		return err == PARAMS_HELP ? FP_EXIT_OK : FP_EXIT_USAGE;
	if (res.rest.cnt != 1) {
		log_err(0, "fix plan takes one trace; see `flatpause fix plan --help`");
		return FP_EXIT_USAGE;
	}
	return plan(&cfg, res.rest.v[0]);
}
