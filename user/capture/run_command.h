/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * A command as a child of ours, in two steps: it is forked and held before exec, so that it can
 * be made a target first; its output is collected while it runs.
 */
#ifndef FLATPAUSE_RUN_COMMAND_H
#define FLATPAUSE_RUN_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#define COMMAND_OUTPUT_MAX (64u << 10) /* the last bytes of stdout that are kept */

struct command {
	pid_t pid;    /* also its process group */
	int pidfd;    /* readable when it has ended */
	int out_fd;   /* its stdout, non-blocking; -1 = closed */
	int go_fd;    /* closing it with a byte written lets the command go */
	int error_fd; /* exec failed: its errno */
	char *out;
	size_t out_len;
	bool echo; /* stdout also goes to stderr */
	bool ended;
	int status; /* as waitpid gives it */
};

/*
 * Forks. The child waits; stdin is /dev/null, it leads a process group. `nofile` is its limit of
 * open files; NULL = ours. 0 or -errno (said).
 */
int command__fork(struct command *c, char *const argv[], bool echo, const struct rlimit *nofile);

/* Lets it exec. 0, or -errno (said) if the program cannot be run; command__close reaps it. */
int command__exec(struct command *c, const char *name);

/* Reads what it has written; never blocks. */
void command__read(struct command *c);

/* True once it has ended: status is set. Never blocks. */
bool command__ended(struct command *c);

/* Whether a process of its group lives, be it only a child of the command that has ended. */
bool command__group_lives(const struct command *c);

/* To the whole process group. */
void command__signal(const struct command *c, int sig);

/* Kills the group if it still runs, reaps, frees. */
void command__close(struct command *c);

#endif
