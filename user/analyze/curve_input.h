/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Pauses from a file: a trace, findings JSON (its `curve`, or what `curve --json` prints), or
 * plain CSV with lines `sweep,window,pause_ms`, both counted from 1. Told apart by their first
 * bytes. "-" is the standard input (JSON or CSV).
 */
#ifndef FLATPAUSE_CURVE_INPUT_H
#define FLATPAUSE_CURVE_INPUT_H

#include <stddef.h>
#include <stdint.h>

struct curve_evidence;

struct curve_input {
	double *values_ms; /* sweeps * windows, sweep-major */
	uint32_t sweeps;
	uint32_t windows;		 /* per sweep, the same in all */
	struct curve_evidence *evidence; /* the caller's, filled as well; NULL = not asked for */
};

/*
 * Appends the sweeps of one file. All said: -EINVAL (the file is no such thing, a line is wrong,
 * another number of windows than before), -EOVERFLOW (a trace that lost too much), -ENODATA (no
 * window in it), -EFBIG, -ENOMEM, -errno.
 */
int curve_input__add(struct curve_input *in, const char *path);
void curve_input__free_inside(struct curve_input *in); /* not the evidence */

/* The text forms alone, for whoever has them in memory; `name` stands in messages. */
int curve_input__add_csv(struct curve_input *in, const char *text, size_t size, const char *name);
int curve_input__add_json(struct curve_input *in, const char *text, size_t size, const char *name);

#endif
