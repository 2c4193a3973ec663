/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What would be done about a diagnosis: a pure function, so that a dry run is apply without doing. */
#ifndef FLATPAUSE_PLAN_H
#define FLATPAUSE_PLAN_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "state.h"
#include "tune.h"
#include "verbs.h"

struct plan_facts {
	char dir[PATH_MAX]; /* "" = not known */
	const char *match;
	uint64_t previous_bytes; /* 0 = no such file */
	bool dir_on_tmpfs;
	bool redo; /* what was preallocated is undone: again at the first write */
	const char *state_dir;
	struct tune_conf tune; /* what the evidence asks for: tune_conf__choose() */
	const struct knob *knobs;
	int knobs_cnt;		       /* negative: the directory's disk has none of them */
	const struct apply_cfg *apply; /* how `apply` would be asked; NULL = as it does by itself */
};

/*
 * { "schema_version", "cause", "text", "dir", "match", "steps": [ {"mitigation", "why", "supported",
 *   "command", "undo", "changes": [text], "revert_changes": [text] } ] }; NULL on no memory. Touches
 * nothing.
 */
json_t *plan__build(const json_t *diagnosis, const struct plan_facts *facts);

/*
 * The directory that the snapshot directories are in, from the files of the windows: that of the
 * matching file with most bytes written; one up where its name has a number. -ENOENT.
 */
int plan__dir(const json_t *diagnosis, const char *match, char dir[PATH_MAX]);

/* Fills in what the directory and the environment say. Reads only. */
void plan__look(struct plan_facts *f);

/* Whether a preallocation of a matching file was undone in one of the windows. */
bool plan__was_undone(const json_t *diagnosis, const char *match);

/* What one mitigation would do, and its revert, as lists of texts; NULL on no memory. */
json_t *plan__changes(enum mitigation m, const struct plan_facts *f);
json_t *plan__reverts(enum mitigation m, const struct plan_facts *f);

/* For people. */
void plan__print(const json_t *plan);

#endif
