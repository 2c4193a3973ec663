/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * A command of the user's that makes sweeps: run by the shell, told where to put them, and what it
 * has put there is found. It may write one file at the place it is told, make a directory there
 * with a file for each run, or do neither and print its pauses.
 */
#ifndef FLATPAUSE_SWEEP_COMMAND_H
#define FLATPAUSE_SWEEP_COMMAND_H

#include "params.h"

/* What the command finds in its environment. */
#define SWEEP_COMMAND_OUT    "FLATPAUSE_GATE_OUT"    /* the place; "{}" in the command too */
#define SWEEP_COMMAND_RUN    "FLATPAUSE_GATE_RUN"    /* "confirm" or "more" */
#define SWEEP_COMMAND_SWEEPS "FLATPAUSE_GATE_SWEEPS" /* how many are wanted */

struct sweep_command {
	char dir[4096];		     /* of its own, below TMPDIR or /tmp */
	char *paths[PARAM_LIST_MAX]; /* what it made, in the order of their names */
	size_t paths_cnt;
};

/*
 * Runs `command`. Its stderr is ours; its stdout too, where it is no result. 0; -EINVAL (said: it
 * ended with a status, was killed, or made nothing), -EINTR (we were told to end), -errno (said).
 * To be removed in any case.
 */
int sweep_command__run(struct sweep_command *c, const char *command, const char *run,
		       uint32_t sweeps);
void sweep_command__remove(struct sweep_command *c);

#endif
