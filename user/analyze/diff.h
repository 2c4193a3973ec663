/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What differs between the pauses of two recordings. */
#ifndef FLATPAUSE_ANALYZE_DIFF_H
#define FLATPAUSE_ANALYZE_DIFF_H

#include "../../reports/difference.h"

/*
 * Compares the windows that are slow in one of the two: from the first slow index on, in both;
 * all windows where neither has slow ones, or where one has none from there on. Fills *out, which
 * is freed with difference__free_inside() in any case. 0, -ENODATA (no windows, said), -ENOMEM.
 */
int diff__findings(const struct findings *before, const struct findings *after,
		   struct difference *out);

#endif
