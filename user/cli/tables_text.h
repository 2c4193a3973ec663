/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The tables of a finding, and its rounds, for a terminal of 80 columns. */
#ifndef FLATPAUSE_CLI_TABLES_TEXT_H
#define FLATPAUSE_CLI_TABLES_TEXT_H

#include <stdio.h>

#include "../../reports/finding.h"

/* `bold` and `off` are what a terminal takes for headings, or "". 0 or -ENOMEM. */
int tables__print(FILE *out, const struct findings *f, const char *bold, const char *off);
void rounds__print(FILE *out, const struct findings *f, const char *bold, const char *off);

#endif
