/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef FLATPAUSE_CURVE_CSV_H
#define FLATPAUSE_CURVE_CSV_H

#include <stddef.h>
#include "curve_input.h"

/*
 * Lines `sweep,window,pause_ms` in any order; a first line of those names, blank lines and lines
 * that begin with '#' are passed over. Fills *out. -EINVAL (said, with the line), -ENOMEM.
 */
int curve_csv__parse(const char *text, size_t size, const char *name, struct curve_input *out);

#endif
