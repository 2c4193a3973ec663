/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Folded sections of a comment: rounds, and the tables beside the ledger. */
#ifndef FLATPAUSE_REPORTS_MARKDOWN_TABLES_H
#define FLATPAUSE_REPORTS_MARKDOWN_TABLES_H

#include <stdio.h>

#include "finding.h"

void markdown_rounds(FILE *out, const struct finding_rounds *r);

/* Futexes of the slowest window, threads by kernel function, sizes, latencies. 0 or -ENOMEM. */
int markdown_tables(FILE *out, const struct findings *f);

#endif
