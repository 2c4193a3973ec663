/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Findings as JSON. The keys are a contract (schema.json, printed by json_schema__print());
 * milliseconds carry six decimals, so that sums are exact to the nanosecond. Each function writes
 * one object and a newline, and gives 0 or -EIO when the stream failed.
 */
#ifndef FLATPAUSE_REPORTS_JSON_H
#define FLATPAUSE_REPORTS_JSON_H

#include <stdio.h>
#include "finding.h"

/* What `diagnose --json` and `report RUN.fpt --json` print. */
int findings__write_json(FILE *out, const struct findings *f);

/* The `curve` object alone: `curve --json`. */
int curve__write_json(FILE *out, const struct finding_curve *c);

/* Its keys, into an object that is begun. */
struct json_out;
void curve__write_keys(struct json_out *j, const struct finding_curve *c);

/* One comparison of arms: `verify --json`. */
int comparison__write_json(FILE *out, const struct comparison *c);

/* All comparisons of a report: `report summary.json --json`. */
int report__write_json(FILE *out, const struct report *r);

/* The JSON Schema of all of them, as embedded at build. */
int json_schema__print(FILE *out);

#endif
