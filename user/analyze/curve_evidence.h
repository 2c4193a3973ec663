/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What a curve's files tell beyond its pauses: which cause held how much of each window, and what
 * kind of host they are from. CSV has neither; a curve may come from some files that have it and
 * some that do not.
 */
#ifndef FLATPAUSE_CURVE_EVIDENCE_H
#define FLATPAUSE_CURVE_EVIDENCE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../../reports/finding.h"
#include "../host/host_class.h"

/* More are not our causes but a file that wants our memory. */
#define EVIDENCE_CAUSES_MAX 512
#define EVIDENCE_CAUSE_LEN  96

struct cause_sum {
	char *cause;
	double *ms; /* per window, over all sweeps */
};

struct curve_evidence {
	struct cause_sum *causes;
	size_t causes_cnt;
	double *total_ms;		  /* per window, of all causes */
	uint32_t windows;		  /* in each sweep */
	uint32_t sweeps;		  /* that had ledgers */
	char host_class[HOST_CLASS_SIZE]; /* of the files that say it; "" = none did */
};

/*
 * Adds what is in one file of `sweeps` sweeps with `windows` windows each, as those before it.
 * 0; -EINVAL (said): no ledger of ours, or of another kind of host than the files before; -ENOMEM.
 */
int curve_evidence__add_findings(struct curve_evidence *e, const struct findings *f,
				 uint32_t sweeps, uint32_t windows, const char *name);
/* The document as `diagnose --json` prints it; one without windows or host adds nothing. */
int curve_evidence__add_json(struct curve_evidence *e, const json_t *root, uint32_t sweeps,
			     uint32_t windows, const char *name);
void curve_evidence__free_inside(struct curve_evidence *e);

/* Milliseconds of a cause, and of all, in windows first..last (from 1) of all sweeps together. */
double cause_sum__ms(const struct cause_sum *c, uint32_t first, uint32_t last);
double curve_evidence__total_ms(const struct curve_evidence *e, uint32_t first, uint32_t last);

/* Whether a text can be a cause: letters, digits, and what stands between them. */
bool is_cause_id(const char *s);

#endif
