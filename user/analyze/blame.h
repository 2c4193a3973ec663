/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Who made which inode dirty, and when: from the kernel's own word for it, else from the writes of
 * targets. What the device writes while a path waits for it can so be laid at somebody's door.
 */
#ifndef FLATPAUSE_ANALYZE_BLAME_H
#define FLATPAUSE_ANALYZE_BLAME_H

#include <stdbool.h>
#include <stdint.h>
#include "../../bpf/abi.h"

struct dirtied;

struct dirtier {
	uint32_t tid;
	char comm[FP_COMM_LEN]; /* as it was then: it may be gone when it is blamed */
};

struct dirtiers {
	struct dirtied *inodes; /* by device and number, least recently dirtied first */
};

/* `exact`: the kernel says so; a write of a target says it only where the kernel says nothing. */
void dirtiers__note(struct dirtiers *d, uint32_t dev, uint64_t ino, const struct dirtier *by,
		    uint64_t ns, bool exact);

/* Who had dirtied it last at `ns`; tid 0 = not seen. */
struct dirtier dirtiers__at(const struct dirtiers *d, uint32_t dev, uint64_t ino, uint64_t ns);
void dirtiers__free(struct dirtiers *d);

#endif
