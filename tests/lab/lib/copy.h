/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* How an orchestrator written in Rust copies files: std::fs::copy, and a sparse diff onto a base. */
#ifndef FLATPAUSE_LAB_COPY_H
#define FLATPAUSE_LAB_COPY_H

#include <stdint.h>

/*
 * std::fs::copy: O_CREAT|O_TRUNC, then copy_file_range, else sendfile, else read and write,
 * whichever is the first that these two file systems can do. -errno.
 */
int copy_file(const char *from, const char *to);

/* Writes the data of a sparse file over the same places of another one of the same size. -errno */
int apply_diff(const char *diff, const char *onto, uint64_t *applied_bytes);

#endif
