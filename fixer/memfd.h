/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* One memory file for one path, for those who can hand a path to their writer. */
#ifndef FLATPAUSE_FIXER_MEMFD_H
#define FLATPAUSE_FIXER_MEMFD_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "state.h"

struct memfd_open_cfg {
	const char *path;
	uint64_t size_bytes;
	uint64_t memory_bytes; /* of all that are held together; 0 = half of what is free */
	bool link;	       /* a link at path; else the path of the descriptor is printed */
	bool no_seal;	       /* for writers with O_TRUNC, or of another size */
};

/*
 * Prints the path for the writer to `out`: of the memory, or `path` itself where the budget is used
 * up (with a warning). 0; -EBUSY where it is held already; -EPERM, -EMLINK, -ELOOP, -EROFS, -EEXIST
 * for places that cannot be exported to; said, and nothing is left behind then.
 */
int memfd__open(const struct memfd_open_cfg *cfg, FILE *out);

enum memfd_end { MEMFD_EXPORT, MEMFD_CLOSE, MEMFD_DISCARD };

/*
 * Brings what the journal at `journal` names to its path (unless it is there already and nothing was
 * written since), and frees the memory where `end` says so. `wait_ns`: for a writer that is still
 * at it. `path` is what was asked for. 0, -ENODATA where its memory is gone (reported by name),
 * -errno with all kept; said.
 */
int memfd__bring_home(const char *path, const char *journal, enum memfd_end end, uint64_t wait_ns);

/* The journal of a path: whether or not there is one. 0 or -errno; said. */
int memfd__journal(const char *path, char journal[PATH_MAX]);

/* A number for a regular file that its successor under the same inode number has not; 0 = none. */
uint64_t memfd__ident(int dirfd, const char *name);

/* Bytes in use of what is held for `path`. */
int memfd__used(const char *path, uint64_t *bytes);

#endif
