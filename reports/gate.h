/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What a gate decided and why, and the forms in which a CI reads it. Names in it come from files
 * and command lines and are hostile; every writer escapes them. Writers give 0 or -EIO.
 */
#ifndef FLATPAUSE_REPORTS_GATE_H
#define FLATPAUSE_REPORTS_GATE_H

#include <stdio.h>
#include "finding.h"

#define GATE_LOOKS_MAX 2 /* the sweeps in question, and an independent second run */

enum gate_outcome {
	GATE_INCONCLUSIVE = 0,
	GATE_PASS = 1,
	GATE_FAIL = 2,
};

enum gate_level_verdict {
	GATE_LEVEL_NONE = 0, /* there is no baseline */
	GATE_LEVEL_SAME = 1, /* no change can be detected */
	GATE_LEVEL_SLOWER = 2,
	GATE_LEVEL_CANNOT_TELL = 3, /* slower as it looks, and too few sweeps to show it */
};

/* All windows of the sweeps beside those of the baseline. */
struct gate_level {
	enum gate_level_verdict verdict;
	uint32_t baseline_sweeps, sweeps;
	double baseline_ms, ms; /* geometric means */
	double ratio;		/* ms / baseline_ms */
	double p;		/* one-sided */
	double min_p;		/* the smallest that so many sweeps can have */
};

/* One set of sweeps. */
struct gate_look {
	struct finding_curve curve;
	struct gate_level level;
	uint32_t more_runs; /* how often more sweeps were asked for */
};

/* A cause's part of the pauses on either side; shares are 0..1. */
struct gate_cause {
	char *cause;
	double share_before, share_after;
	double ms_before, ms_after; /* per window */
};

struct gate_report {
	enum gate_outcome outcome;
	char *name;	  /* of the series, as given; never "" */
	char *headline;	  /* one sentence */
	char *text;	  /* what there is to say beyond it, with its numbers */
	char *source;	  /* the first file */
	char *host_class; /* "" = not asked for */
	struct gate_look looks[GATE_LOOKS_MAX];
	size_t looks_cnt;
	struct gate_cause *causes; /* those that grew, largest first; empty: none known */
	size_t causes_cnt;
	uint32_t causes_from, causes_to; /* the windows of `after`, from 1 */
	bool causes_of_baseline;	 /* `before` is the baseline; else the windows before */
	double took_s;
};

void gate_report__free_inside(struct gate_report *r);

const char *gate_outcome_name(enum gate_outcome o);	/* "pass", "fail", "inconclusive" */
const char *gate_level_name(enum gate_level_verdict v); /* "same", "slower", ... */

/* "io.throttle.wbt 3 % -> 61 % in windows 3..10"; to be freed, NULL on no memory. */
char *gate_cause_text(const struct gate_report *r, const struct gate_cause *c);

/* `gate --json`: the keys of the curve, "gate", and what is behind it. */
int gate__write_json(FILE *out, const struct gate_report *r);

/*
 * JUnit XML as Jenkins, GitLab and GitHub actions take it: a case for the step and, with a
 * baseline, one for the level. What is inconclusive is `skipped`.
 */
int gate__write_junit(FILE *out, const struct gate_report *r);

/* One workflow command of GitHub: ::error, ::warning or ::notice. */
int gate__write_annotation(FILE *out, const struct gate_report *r);

/* GitLab's code quality report: a list, empty where the gate passes. */
int gate__write_code_quality(FILE *out, const struct gate_report *r);

/* Markdown for a job summary or a comment. */
int gate__write_markdown(FILE *out, const struct gate_report *r);

#endif
