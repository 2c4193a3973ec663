/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Time by stack and state: on-CPU and off-CPU in one tree, the source of every flame graph. */
#ifndef FLATPAUSE_FLAME_H
#define FLATPAUSE_FLAME_H

#include <stddef.h>
#include <stdint.h>

#define FLAME_DEPTH_MAX 512 /* frames below it are counted in the last one */

enum flame_state {
	FLAME_RUN_USER = 0,
	FLAME_RUN_KERNEL = 1,
	FLAME_RUNNABLE = 2,
	FLAME_BLOCKED = 3,
	FLAME_UNKNOWN = 4,
	FLAME_STATES
};

struct flame_node {
	char *name;
	uint64_t self_ns[FLAME_STATES];
	uint64_t total_ns;		 /* self and everything below */
	uint64_t state_ns[FLAME_STATES]; /* total_ns by state */
	struct flame_node **children;	 /* sorted by name once flame__finish() ran */
	size_t children_cnt;
};

struct flame;

struct flame *flame__new(void);
void flame__free(struct flame *f);

/*
 * Adds `ns` at the stack `frames[0..cnt)`, root first (the thread's name, user frames, "-" between
 * user and kernel frames, kernel frames with "_[k]", a cause in brackets last where known).
 * 0 or -ENOMEM.
 */
int flame__add(struct flame *f, const char *const *frames, size_t cnt, enum flame_state state,
	       uint64_t ns);

/* Sums totals and sorts; call once before rendering. */
void flame__finish(struct flame *f);
const struct flame_node *flame__root(const struct flame *f);

#endif
