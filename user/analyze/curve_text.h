/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* A pause curve on a terminal of 80 columns. */
#ifndef FLATPAUSE_CURVE_TEXT_H
#define FLATPAUSE_CURVE_TEXT_H

#include <stddef.h>
#include <stdio.h>
#include "../../reports/finding.h"

/* "STEPPED at 6", "FLAT", "INCONCLUSIVE"; returns buf */
const char *curve__short_verdict(const struct finding_curve *c, char *buf, size_t size);

/* One bar per window, the median of its sweeps; neighbours share a bar when there are many. */
void curve__print_bars(FILE *out, const struct finding_curve *c);

#endif
