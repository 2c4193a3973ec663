// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* `fix revert`: the verb. */
#include <errno.h>
#include <unistd.h>

#include "../user/cli/params.h"
#include "../user/log.h"
#include "state.h"
#include "verbs.h"

struct revert_cfg {
	bool all;
	uint64_t wait_ns;
};

static int revert_each(const char *path, void *arg)
{
	const struct revert_cfg *cfg = arg;
	int err = revert__journal(path, cfg->wait_ns);

	return err > 0 ? -EIO : err;
}

static const struct param revert_params[] = {
	PARAM(struct revert_cfg, all, "all", 0, PARAM_FLAG, NULL, "every directory on this host"),
	PARAM(struct revert_cfg, wait_ns, "wait", 0, PARAM_DURATION, "DURATION",
	      "how long to wait for writers that are still at it (default 60s)"),
	{ 0 },
};

int fix_revert(int argc, char **argv)
{
	static const struct params_spec spec = {
		.verb = "fix revert",
		.summary = "Undoes `fix apply`: ends the guard, brings every file to disk, leaves "
			   "nothing behind.",
		.usage = "flatpause fix revert DIR | --all",
		.examples = "  flatpause fix revert /srv/snapshots\n"
			    "  flatpause fix revert --all      # also after kill -9 or a crash\n",
		.params = revert_params,
	};
	struct revert_cfg cfg = { .wait_ns = 60000000000ull };
	struct params_result res;
	int err = params__parse(&spec, argc, argv, &cfg, &res);

	if (err)
		return err == PARAMS_HELP ? FP_EXIT_OK : FP_EXIT_USAGE;
	if (cfg.all ? res.rest.cnt != 0 : res.rest.cnt != 1) {
		log_err(0, "fix revert takes one directory, or --all");
		return FP_EXIT_USAGE;
	}
	if (geteuid())
		return exit_code(log_err(-EPERM, "`fix revert` needs root"));
	err = cfg.all ? state__each(revert_each, &cfg) : revert__dir(res.rest.v[0], cfg.wait_ns);
	return exit_code(err);
}
