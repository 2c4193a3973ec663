/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The verbs of `flatpause fix`; each gives an exit code of user/log.h. */
#ifndef FLATPAUSE_FIXER_VERBS_H
#define FLATPAUSE_FIXER_VERBS_H

#include <stdint.h>

#include "apply_options.h"
#include "state.h"

int fix_plan(int argc, char **argv);
int fix_apply(int argc, char **argv);
int fix_status(int argc, char **argv);
int fix_revert(int argc, char **argv);
int fix_prealloc(int argc, char **argv);
int fix_guard(int argc, char **argv);
int fix_memfd(int argc, char **argv);
int fix_auto(int argc, char **argv);

/* 0 when the guard is armed or the settings are changed, -errno; said. */
int apply__run(const struct apply_cfg *cfg);

/* Undoes what the journal at `path` says; `wait_ns`: how long for writers. 0 or -errno; said. */
int revert__journal(const char *path, uint64_t wait_ns);
/* The same for a directory; 0 also where nothing is applied to it. */
int revert__dir(const char *dir, uint64_t wait_ns);

/* Exit code for an error that was said. */
int exit_code(int err);

#endif
