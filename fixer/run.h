/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Running flatpause itself, and commands of the user. */
#ifndef FLATPAUSE_FIXER_RUN_H
#define FLATPAUSE_FIXER_RUN_H

#include <jansson.h>
#include <limits.h>

#define RUN_ARGS_MAX 128

struct run_args {
	const char *v[RUN_ARGS_MAX + 1];
	int cnt;
};

/* Begins with the flatpause beside us, else the one in PATH; `room` holds the path. */
void run_args__flatpause(struct run_args *a, char room[PATH_MAX]);
/* Ends with an empty list where there is no room: run__ then gives -E2BIG. */
void run_args__add(struct run_args *a, const char *word);
/* "--name value", unless value is NULL */
void run_args__option(struct run_args *a, const char *name, const char *value);

/* Exit status (128 + signal), or -errno (said). stdout of the child goes where ours goes. */
int run__wait(const struct run_args *a);
/* The same with a shell. `label` is FLATPAUSE_ARM in its environment. */
int run__shell(const char *command, const char *label);
/* Its stdout as JSON; NULL where it printed none. */
int run__json(const struct run_args *a, json_t **out);

#endif
