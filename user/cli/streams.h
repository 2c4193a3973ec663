/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Standard streams as whoever started us left them: closed, full, or a pipe that nobody reads. */
#ifndef FLATPAUSE_STREAMS_H
#define FLATPAUSE_STREAMS_H

#include <stdio.h>

/*
 * At the very begin: what is closed becomes /dev/null, so that no file of ours gets its number; a pipe
 * without a reader and a file at its size limit are errors from here on, and no signals. 0 or -errno.
 */
int streams__open(void);

/* In a child, before it becomes another program. */
void streams__restore(void);

/* Flushes: a full disk or a closed pipe may show only now. 0 or -errno. */
int stream__error(FILE *stream);

/*
 * At the very end: `code`, or FP_EXIT_FAILED where that was success and half of the output is
 * missing; said.
 */
int streams__flush(int code);

#endif
