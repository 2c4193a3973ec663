/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Findings built by hand, for the tests of the renderers. Every function fails the test on no memory. */
#ifndef TESTS_UNIT_SAMPLE_FINDINGS_H
#define TESTS_UNIT_SAMPLE_FINDINGS_H

#include "reports/finding.h"

/* Names that break out of careless renderers. */
extern const char *const hostile_names[];
extern const size_t hostile_names_cnt;

/* A name of 10,000 characters; static storage. */
const char *long_name(void);

/*
 * `windows` windows in each of `sweeps` sweeps, slow from `step` on (0 = never): threads, futexes,
 * files, flames, verdict, advice, host. `name` is used for every name that a process chooses.
 */
struct findings *sample_findings(uint32_t sweeps, uint32_t windows, uint32_t step,
				 const char *name);

/* Nothing was found. */
struct findings *empty_findings(void);

/* Three scenarios with arms: before, fallocate, memfd and control. */
struct report *sample_report(const char *name);

/* One comparison whose only arm has `f`, which it takes. */
struct report *report_of(struct findings *f);

#endif
