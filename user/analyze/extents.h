/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What became of the blocks that a file got in advance: when and by whom they were allocated, what
 * took them away again, who wrote first, and what was allocated all the same. A history, as a window
 * is asked about later than it was.
 */
#ifndef FLATPAUSE_ANALYZE_EXTENTS_H
#define FLATPAUSE_ANALYZE_EXTENTS_H

#include <stdbool.h>

#include "blame.h"
#include "vec.h"

enum extents_what {
	EXTENTS_MADE = 1,
	EXTENTS_UNDONE = 2,
	EXTENTS_GONE = 3, /* the file was deleted: what comes is another one with its number */
};

struct extents_event {
	uint64_t ns;
	enum extents_what what;
	uint64_t bytes;	     /* MADE; 0 = not known */
	const char *how;     /* UNDONE: "O_TRUNC at open"; a constant */
	struct dirtier by;   /* tid 0 = not known */
	uint64_t written_ns; /* the first write since; 0 = none was seen */
	struct dirtier writer;
	const char *call; /* "copy_file_range"; a constant */
};

struct extents {
	struct vec events;  /* struct extents_event */
	struct vec allocs;  /* struct extents_alloc, the latest ones */
	uint8_t block_bits; /* 0 = not known */
};

/* At the end of a window; all NULL where nothing was preallocated, or it was not seen. */
struct extents_view {
	const struct extents_event *made;   /* the last time */
	const struct extents_event *undone; /* before `made`: it was made again */
	const struct extents_event *last;
	uint64_t
		alloc_bytes; /* in the window, without what fallocate took; UINT64_MAX = not known */
};

void extents__free_inside(struct extents *x);

/*
 * `begin_ns` is when the call began that did it: told by several records, it is still one event.
 * held_bytes: what the file holds afterwards; 0 = not known, and `bytes` reaches from its begin.
 * 0 or -ENOMEM.
 */
int extents__made(struct extents *x, uint64_t begin_ns, uint64_t ns, const struct dirtier *by,
		  uint64_t bytes, uint64_t held_bytes);

/*
 * Nothing where nothing was there before that call; of the same call a later `how` is the better one.
 */
int extents__undone(struct extents *x, uint64_t begin_ns, uint64_t ns, const struct dirtier *by,
		    const char *how);
int extents__gone(struct extents *x, uint64_t ns);

/* A call of that class, one that writes or not, made it dirty. */
void extents__written(struct extents *x, uint64_t ns, const struct dirtier *by, enum fp_sys call);

int extents__allocated(struct extents *x, uint64_t ns, uint32_t tid, uint32_t blocks);

/* What that thread allocated meanwhile was asked for by fallocate. */
void extents__fallocated(struct extents *x, uint32_t tid, uint64_t begin_ns, uint64_t end_ns);

/* Undone before `ns`, and not made again. */
bool extents__was_undone(const struct extents *x, uint64_t ns);
struct extents_view extents__at(const struct extents *x, uint64_t begin_ns, uint64_t end_ns);

static inline bool extents_view__is_lost(const struct extents_view *v)
{
	return v->last && v->last->what == EXTENTS_UNDONE;
}

#endif
