/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The verbs of `flatpause fix`; each gives an exit code of user/log.h. */
#ifndef FLATPAUSE_FIXER_VERBS_H
#define FLATPAUSE_FIXER_VERBS_H

#include <stdbool.h>
#include <stdint.h>
#include "state.h"
#include "tune.h"

int fix_plan(int argc, char **argv);
int fix_apply(int argc, char **argv);
int fix_status(int argc, char **argv);
int fix_revert(int argc, char **argv);
int fix_prealloc(int argc, char **argv);
int fix_guard(int argc, char **argv);
int fix_memfd(int argc, char **argv);
int fix_auto(int argc, char **argv);

/* What `apply` and `auto` ask for. */
struct apply_cfg {
	const char *mitigation, *match, *size_from, *dir;
	uint64_t memory_bytes; /* 0 = half of what is free */
	uint64_t export_rate_bytes;
	uint32_t export_workers;
	bool foreground, no_plant, redo, no_readback;
	bool cover;	     /* memfd: by a file system over the directory */
	bool cover_or_links; /* ... where it can be had, by planted links else */
	struct tune_conf tune;
	bool global; /* tune may change settings of the whole host */
};

void apply_cfg__defaults(struct apply_cfg *cfg);
/* 0 when the guard is armed or the settings are changed, -errno; said. */
int apply__run(const struct apply_cfg *cfg);

/* Undoes what the journal at `path` says; `wait_ns`: how long for writers. 0 or -errno; said. */
int revert__journal(const char *path, uint64_t wait_ns);
/* The same for a directory; 0 also where nothing is applied to it. */
int revert__dir(const char *dir, uint64_t wait_ns);

/* Exit code for an error that was said. */
int exit_code(int err);

#endif
