/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Stacks in the folded form that flamegraph.pl and speedscope open unchanged: one line per stack,
 * root first, `comm;frame;-;frame_[k] N`. N is in microseconds (--countname=us), and what rounding
 * leaves over is carried to the next line, so that the sum of all lines is true to 1 us.
 */
#ifndef FLATPAUSE_REPORTS_FOLDED_H
#define FLATPAUSE_REPORTS_FOLDED_H

#include <stdio.h>
#include "flame.h"

/* 0 or -EIO. A NULL flame is an empty one. */
int flame__write_folded(FILE *out, const struct flame *f);

#endif
