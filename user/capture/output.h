/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The place of a trace: whether it may be written there, and that only one recorder does. */
#ifndef FLATPAUSE_OUTPUT_H
#define FLATPAUSE_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define OUTPUT_MIN_FREE_BYTES (16ull << 20) /* less than that and recording does not start */

/*
 * Whether a trace can be made here: -EEXIST for a file that is there (with `force`, for one that
 * is no regular file), -EBUSY for one that a recorder writes, -ENOSPC if the disk is nearly full.
 * Changes nothing. Said, with the next step.
 */
int output__check(const char *path, bool force);

/* Removes what --force replaces, if there is something. 0, -EBUSY, -errno (said). */
int output__clear(const char *path);

/* After it was created: holds the lock until it is closed. A descriptor or -errno (said). */
int output__lock(const char *path);

/* The device that the trace lies on. 0 or -errno. */
int output__device(const char *path, dev_t *dev);

#endif
