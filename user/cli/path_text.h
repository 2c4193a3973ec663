/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The critical path of the slowest window, for a terminal of 80 columns. */
#ifndef FLATPAUSE_CLI_PATH_TEXT_H
#define FLATPAUSE_CLI_PATH_TEXT_H

#include <stdio.h>

#include "../../reports/finding.h"

/* Its longest stretches by time, and whose dirty data was written. Nothing without a path. */
void path__print(FILE *out, const struct findings *f, const char *bold, const char *off);

#endif
