/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What `flatpause report` reads: traces, each a comparison with one arm, and summary.json, whose
 * scenarios are comparisons of many arms and whose traces are named relative to it.
 */
#ifndef FLATPAUSE_REPORT_INPUT_H
#define FLATPAUSE_REPORT_INPUT_H

#include "../../reports/finding.h"
#include "../analyze/analyze.h"

/*
 * Appends what is in the file to the report. A trace that a summary names and that cannot be read
 * is said, and the rest goes on. 0; -EOVERFLOW: a trace lost too much, the report is there all the
 * same; -EINVAL, -ENODATA, -ENOMEM, -errno: the report may hold a part of it. Said.
 */
int report_input__add(struct report *r, const char *path, const struct analyze_opts *opts);

#endif
