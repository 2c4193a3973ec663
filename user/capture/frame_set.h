/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* A set of (tgid, address): every frame that occurred, once. */
#ifndef FLATPAUSE_FRAME_SET_H
#define FLATPAUSE_FRAME_SET_H

#include <stddef.h>
#include <stdint.h>

struct frame {
	uint64_t addr; /* 0 = a free slot */
	uint32_t tgid; /* 0 = kernel */
	uint32_t pad;
};

struct frame_set {
	struct frame *slots;
	size_t slots_cnt; /* a power of two, or 0 */
	size_t used;
};

/* 0 or -ENOMEM. Address 0 is never kept. */
int frame_set__add(struct frame_set *s, uint32_t tgid, uint64_t addr);
void frame_set__free(struct frame_set *s);

#endif
