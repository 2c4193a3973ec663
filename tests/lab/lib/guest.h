/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The guest: its memory, which pages of it are dirty since the last snapshot, and how a snapshot of
 * it is written: system call by system call as Firecracker does it.
 */
#ifndef FLATPAUSE_LAB_GUEST_H
#define FLATPAUSE_LAB_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GUEST_PAGE_BYTES 4096

struct guest {
	uint8_t *mem;
	size_t size_bytes;
	uint64_t *dirty; /* a bit per page */
	size_t dirty_cnt;
	size_t dirty_max; /* the guest's working set: it dirties no more pages than these */
	uint64_t seed;	  /* xorshift state; the same seed dirties the same pages */
};

/* Touches and fills all memory with data that is nowhere zero and does not compress. */
int guest__init(struct guest *g, size_t size_bytes, size_t dirty_max, uint64_t seed);
void guest__destroy(struct guest *g);

/* A slice of the guest's life: reads a little, writes to up to `pages` pages. */
void guest__run(struct guest *g, unsigned int pages);

/*
 * The memory file: opened without O_TRUNC, given its size, written, fsynced if `fsync_it`.
 * `diff` writes only dirty pages and leaves holes. Clears what is dirty. -errno, with the failing
 * step in *step.
 */
int guest__write_memory(struct guest *g, const char *path, bool diff, bool fsync_it,
			const char **step);

/* The device state: a new file, written, fsynced if `fsync_it`. */
int guest__write_vmstate(const struct guest *g, const char *path, bool fsync_it, const char **step);

#endif
