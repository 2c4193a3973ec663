/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * A file that is there whole or not at all: written under another name in its directory and
 * renamed at the end. "-" is the standard output; what is no regular file is written in place.
 */
#ifndef FLATPAUSE_OUT_FILE_H
#define FLATPAUSE_OUT_FILE_H

#include <stdio.h>

struct out_file {
	FILE *stream;
	const char *path; /* as given */
	char *temporary;  /* NULL where it is written in place */
};

/* 0 or -errno, said. */
int out_file__open(struct out_file *o, const char *path);

/* Closes and renames. 0 or -errno, said; the temporary file is gone in any case. */
int out_file__commit(struct out_file *o);

/* Leaves what was there before. */
void out_file__discard(struct out_file *o);

#endif
