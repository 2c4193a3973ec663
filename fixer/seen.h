/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * A memory file and its copy on disk as they were when the copy was made, to tell later whether
 * either was changed since. The copy has the times that users see, so these tell nothing; a ctime
 * nobody can set.
 */
#ifndef FLATPAUSE_FIXER_SEEN_H
#define FLATPAUSE_FIXER_SEEN_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct seen {
	uint64_t memory_bytes, memory_ctime_ns;
	uint64_t file_mtime_ns;
};

void seen__take(struct seen *s, const struct stat *memory, const struct stat *file);

/* Whether nothing needs to be copied again: the memory is as it was, or its owner changed the file later. */
bool seen__is_current(const struct seen *s, const struct stat *memory, const struct stat *file);

/* Whether its owner has written to the file since, or another stands in its place; not where nothing is known. */
bool seen__is_his(const struct seen *s, const struct stat *file);

/* Into the record of a file, and out of it; all 0 where it has none: then the later ctime decides. */
void seen__to_json(const struct seen *s, json_t *file);
void seen__from_json(struct seen *s, const json_t *file);

#endif
