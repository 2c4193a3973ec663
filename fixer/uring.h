/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* As much of io_uring as writes need, without a library: one thread, few requests under way. */
#ifndef FLATPAUSE_URING_H
#define FLATPAUSE_URING_H

#include <stddef.h>
#include <stdint.h>

struct uring {
	int fd;
	void *sq, *cq, *sqes; /* mappings; NULL = none */
	size_t sq_bytes, cq_bytes, sqes_bytes;
	uint32_t *sq_tail, *sq_array, *cq_head, *cq_tail;
	uint32_t sq_mask, cq_mask;
	void *cqes;
};

/* -ENOSYS, -EPERM (io_uring_disabled) or what the kernel says. */
int uring__init(struct uring *u, uint32_t entries);
void uring__destroy(struct uring *u);

/* Hands a write to the kernel; at most `entries` may be under way. 0 or -errno. */
int uring__write(struct uring *u, int fd, const void *buf, size_t len, uint64_t off, uint64_t id);

/* Waits for one to end: its id, and bytes or -errno in *res. 0 or -errno. */
int uring__wait(struct uring *u, uint64_t *id, int *res);

#endif
