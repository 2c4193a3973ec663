/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What the steps of one `fix auto` share. */
#ifndef FLATPAUSE_FIXER_LOOP_H
#define FLATPAUSE_FIXER_LOOP_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "verbs.h"

#define SWEEPS_MAX 20

struct loop_cfg {
	/* what the sweep is told, as given */
	const char *branches, *gap, *pid, *comm, *window, *pause_from, *timeout;
	uint32_t sweeps; /* in each arm */
	uint32_t rounds; /* mitigations that are tried at most */
	const char *control_command, *control_pid;
	const char *between, *drop, *mitigations, *out, *scenario;
	struct apply_cfg fix;
	bool apply, try_all, force;
	char **command;
	int command_cnt;
};

struct loop {
	const struct loop_cfg *cfg;
	json_t *arms;	       /* of summary.json, by label */
	json_t *steps;	       /* of summary.json: what was done, in its order */
	struct tune_conf tune; /* what the diagnosis asks for */
	const char *in_force;  /* mitigation that is applied now */
	const char *kept;      /* first that flattened */
	const char *last;      /* arm that was swept last */
	bool inconclusive;     /* one at least could not be judged */
	char size[32];	       /* of the memory file, found while there was one */
	char order[3][16];     /* mitigations to try, in this order */
	int order_cnt;
};

/* ---- arms.c ---- */

/*
 * One sweep of an arm: what is in force is made what the arm wants, the place is reset, the BRANCHes
 * are recorded to LABEL.fpt, LABEL-2.fpt, ... 0 or -errno (said).
 */
int arm__sweep(struct loop *l, const char *label);

/* The first sweep's diagnosis, and the curve of all sweeps, into the arm. Steals nothing. */
int arm__diagnose(struct loop *l, const char *label, json_t **diagnosis);

/* Against `before` and the control: 1 flattened, 0 not or not shown, -errno (said). */
int arm__verify(struct loop *l, const char *label);

/* Undoes what is in force. */
int loop__roll_back(struct loop *l);
int loop__put_in_force(struct loop *l, const char *mitigation);

/* ---- cost.c: what a mitigation moved elsewhere ---- */

struct cost {
	uint64_t begin_ns;
	uint64_t written_bytes; /* by the disk since it is there */
	char stat[64];		/* its counters */
};

/* Both ends of a sweep: the file system of `dir` is synced, so that what is dirty counts. */
void cost__begin(struct cost *c, const char *dir);
void cost__end(const struct cost *c, const char *dir, json_t *arm);

/* From the files that the guard tells of: seconds until durable, bytes in memory at once. */
void cost__files(json_t *arm, const json_t *files);

/* "cost": one sentence, beside the arm without a mitigation. */
void cost__say(json_t *arm, const json_t *before);

/* ---- loop_report.c ---- */
int loop__write_report(struct loop *l);
void loop__step(struct loop *l, const char *what, const char *arm, int err);
/* How `fix apply` is asked for a mitigation: its options, as one would type them. */
const char *loop__options(const struct apply_cfg *fix, enum mitigation m, char *text, size_t size);

#endif
