/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Which files the targets wrote in each window, and whether what was preallocated was still there. */
#ifndef FLATPAUSE_ANALYZE_FILES_H
#define FLATPAUSE_ANALYZE_FILES_H

#include "analysis.h"

int files__new(struct file_table **t);
void files__free(struct file_table *t);

/* Takes every record; what falls into a pending window is counted there. */
void files__event(struct analysis *a, const struct trace_event *ev);

/* Writes the files of a window into its finding and frees what was gathered. 0 or -ENOMEM. */
int files__window(struct analysis *a, struct pending *p);

/* The path of an inode; "" = not known. Valid until the next record. */
const char *files__path(const struct file_table *t, uint32_t dev, uint64_t ino);

/* Frees what was gathered for a window that is not to be written. */
void files__drop(struct pending *p);

#endif
