// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* `fix apply`: the verb. */
#include "../user/log.h"
#include "verbs.h"

struct apply_opts {
	struct apply_cfg fix;
};

static const struct param apply_params[] = {
	PARAM(struct apply_opts, fix.mitigation, "mitigation", 'm', PARAM_STRING, "NAME",
	      "fallocate: space is allocated before the pause; memfd: memory first, disk after; "
	      "tune: settings of the disk"),
	APPLY_PARAMS_FILES(struct apply_opts, fix, ""),
	APPLY_PARAM_BUDGET(struct apply_opts, fix, "memfd: "),
	APPLY_PARAMS_EXPORT(struct apply_opts, fix, "memfd: "),
	APPLY_PARAM_COVER(struct apply_opts, fix, "memfd: "),
	APPLY_PARAM_NO_PLANT(struct apply_opts, fix, "fallocate: "),
	APPLY_PARAM_REDO(struct apply_opts, fix, "fallocate: "),
	PARAM(struct apply_opts, fix.tune.max_bytes, "max-bytes", 0, PARAM_SIZE, "BYTES",
	      "tune: what may be dirty on the disk at once"),
	PARAM(struct apply_opts, fix.tune.wbt_lat_usec, "wbt-lat-usec", 0, PARAM_SIZE, "N",
	      "tune: target of writeback throttling; 0 turns it off"),
	PARAM(struct apply_opts, fix.tune.background_bytes, "background-bytes", 0, PARAM_SIZE,
	      "BYTES", "tune: from where on the flusher writes; of the whole host, needs --global"),
	PARAM(struct apply_opts, fix.global, "global", 0, PARAM_FLAG, NULL,
	      "tune: allow what is not of this disk alone"),
	APPLY_PARAM_FOREGROUND(struct apply_opts, fix, ""),
	{ 0 },
};

int fix_apply(int argc, char **argv)
{
	static const struct params_spec spec = {
		.verb = "fix apply",
		.summary = "Puts a mitigation in force for writers below DIR that cannot be "
			   "changed.",
		.usage = "flatpause fix apply --mitigation fallocate|memfd|tune [options] DIR",
		.examples =
			"  flatpause fix apply --mitigation memfd /srv/snapshots --memory 8G\n"
			"  flatpause fix apply --mitigation fallocate /srv/snapshots --size-from "
			"2G\n"
			"  flatpause fix apply --mitigation tune --max-bytes 32M /srv/snapshots\n"
			"  flatpause fix status /srv/snapshots      # what became of each file\n"
			"  flatpause fix revert /srv/snapshots      # undo, nothing lost\n",
		.params = apply_params,
	};
	struct params_result res;
	struct apply_opts opts;
	struct apply_cfg *cfg = &opts.fix;
	int err;

	apply_cfg__defaults(cfg);
	err = params__parse(&spec, argc, argv, &opts, &res);
	if (err)
		return err == PARAMS_HELP ? FP_EXIT_OK : FP_EXIT_USAGE;
	if (res.rest.cnt != 1) {
		log_err(0, "fix apply takes one directory; see `flatpause fix apply --help`");
		return FP_EXIT_USAGE;
	}
	cfg->dir = res.rest.v[0];
	err = apply__run(cfg);
	if (!err && cfg->foreground)
		log_info("the guard has ended; `flatpause fix revert %s` clears up behind it",
			 cfg->dir);
	else if (!err)
		log_info("%s is in force for %s; undo: flatpause fix revert %s", cfg->mitigation,
			 cfg->dir, cfg->dir);
	return exit_code(err);
}
