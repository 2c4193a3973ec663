/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* On- and off-CPU time of the targets by stack, kept per window until slow and fast are known. */
#ifndef FLATPAUSE_ANALYZE_FLAMES_H
#define FLATPAUSE_ANALYZE_FLAMES_H

#include "analysis.h"

struct flame_row;

struct window_flame {
	struct flame_row *rows;
};

/* Gathers the stacks of a window that is complete. 0 or -ENOMEM. */
int flames__window(struct analysis *a, uint32_t w);

/* Fills f->flame_slow and f->flame_fast, and frees what was gathered. 0 or -ENOMEM. */
int flames__finish(struct analysis *a);
void flames__free(struct analysis *a);

#endif
