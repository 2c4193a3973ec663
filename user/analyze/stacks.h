/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The stacks of a trace by id, and the cause that each names in its context. */
#ifndef FLATPAUSE_ANALYZE_STACKS_H
#define FLATPAUSE_ANALYZE_STACKS_H

#include <stdint.h>
#include "../../probes/probe.h"
#include "../symbols/symbols.h"

#define STACK_NONE 0 /* index 0: no stack was taken */

struct stacks;

struct stack_frames {
	const uint64_t *addrs; /* innermost first */
	uint32_t cnt;
	uint32_t tgid;
};

int stacks__new(struct stacks **s, struct symbols *symbols);
void stacks__free(struct stacks *s);

/* Keeps a copy of the frames; an id that is known already is left as it is. 0 or -ENOMEM. */
int stacks__add(struct stacks *s, const struct ev_stack *ev);

/* The index of an id, STACK_NONE for 0 and for ids that the trace does not explain. */
uint32_t stacks__find(const struct stacks *s, uint64_t id);
struct stack_frames stacks__frames(const struct stacks *s, uint32_t index);

/* Names of a kernel stack, innermost first; unknown addresses are "[unknown]". */
const char *const *stacks__kernel_names(struct stacks *s, uint32_t index, uint32_t *cnt);

struct symbols *stacks__symbols(struct stacks *s);

/*
 * The cause of a stretch of time: `ctx` without its frames, which are those of `index`. Answers
 * are kept, so that a million stretches with a few hundred stacks cost a look-up each.
 * NULL = no probe knows it.
 */
const struct cause *stacks__classify(struct stacks *s, uint32_t index,
				     const struct probe_context *ctx);

#endif
