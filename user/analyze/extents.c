// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "extents.h"

#include <errno.h>

#define MAX_EVENTS 256
#define MAX_ALLOCS 16384 /* of one file; the oldest give way */

struct extents_alloc {
	uint64_t ns;
	uint32_t tid;
	uint32_t blocks;
	bool in_advance; /* by fallocate */
};

void extents__free_inside(struct extents *x)
{
	vec__free(&x->events);
	vec__free(&x->allocs);
}

static struct extents_event *last_event(const struct extents *x)
{
	return vec__cnt(&x->events) ? VEC_LAST(&x->events, struct extents_event) : NULL;
}

static int push_event(struct extents *x, const struct extents_event *e)
{
	struct extents_event *new;

	if (vec__cnt(&x->events) >= MAX_EVENTS)
		vec__drop(&x->events, 1);
	new = VEC_PUSH(&x->events, struct extents_event);
	if (!new)
		return -ENOMEM;
	*new = *e;
	return 0;
}

static bool same_call(const struct extents_event *e, enum extents_what what, uint64_t begin_ns,
		      const struct dirtier *by)
{
	return e && e->what == what && e->ns >= begin_ns && e->by.tid == by->tid;
}

/* One that goes on piece by piece is one; the same range again adds nothing. */
static void add_piece(struct extents_event *e, uint64_t ns, uint64_t bytes, uint64_t held_bytes)
{
	uint64_t sum = e->bytes + bytes;

	e->ns = ns;
	if (held_bytes && sum <= held_bytes)
		e->bytes = sum;
	else if (bytes > e->bytes)
		e->bytes = bytes;
}

int extents__made(struct extents *x, uint64_t begin_ns, uint64_t ns, const struct dirtier *by,
		  uint64_t bytes, uint64_t held_bytes)
{
	const struct extents_event new = {
		.ns = ns, .what = EXTENTS_MADE, .bytes = bytes, .by = *by
	};
	struct extents_event *last = last_event(x);

	if (begin_ns < ns && same_call(last, EXTENTS_MADE, begin_ns, by)) {
		if (!last->bytes)
			last->bytes = bytes;
		return 0;
	}
	if (same_call(last, EXTENTS_MADE, 0, by) && !last->written_ns) {
		add_piece(last, ns, bytes, held_bytes);
		return 0;
	}
	return push_event(x, &new);
}

int extents__undone(struct extents *x, uint64_t begin_ns, uint64_t ns, const struct dirtier *by,
		    const char *how)
{
	const struct extents_event new = {
		.ns = ns, .what = EXTENTS_UNDONE, .how = how, .by = *by
	};
	struct extents_event *last = last_event(x);

	if (begin_ns < ns && same_call(last, EXTENTS_UNDONE, begin_ns, by)) {
		last->how = how;
		return 0;
	}
	return last && last->what == EXTENTS_MADE && last->ns < begin_ns ? push_event(x, &new) : 0;
}

int extents__gone(struct extents *x, uint64_t ns)
{
	const struct extents_event new = { .ns = ns, .what = EXTENTS_GONE };
	const struct extents_event *last = last_event(x);

	return last && last->what != EXTENTS_GONE ? push_event(x, &new) : 0;
}

static const char *write_call(enum fp_sys call)
{
	switch (call) {
	case FP_SYS_WRITE:
		return "write";
	case FP_SYS_COPY_FILE_RANGE:
		return "copy_file_range";
	case FP_SYS_SENDFILE:
		return "sendfile";
	case FP_SYS_SPLICE:
		return "splice";
	default:
		return NULL;
	}
}

void extents__written(struct extents *x, uint64_t ns, const struct dirtier *by, enum fp_sys call)
{
	struct extents_event *last = last_event(x);

	if (!last || last->what == EXTENTS_GONE || last->written_ns || !write_call(call))
		return;
	last->written_ns = ns > last->ns ? ns : last->ns;
	last->writer = *by;
	last->call = write_call(call);
}

int extents__allocated(struct extents *x, uint64_t ns, uint32_t tid, uint32_t blocks)
{
	struct extents_alloc *a;

	if (!last_event(x)) /* what fallocate takes the first time is of no interest either */
		return 0;
	if (vec__cnt(&x->allocs) >= MAX_ALLOCS)
		vec__drop(&x->allocs, MAX_ALLOCS / 4);
	a = VEC_PUSH(&x->allocs, struct extents_alloc);
	if (!a)
		return -ENOMEM;
	*a = (struct extents_alloc){ .ns = ns, .tid = tid, .blocks = blocks };
	return 0;
}

void extents__fallocated(struct extents *x, uint32_t tid, uint64_t begin_ns, uint64_t end_ns)
{
	for (size_t i = vec__cnt(&x->allocs); i-- > 0;) {
		struct extents_alloc *a = VEC_AT(&x->allocs, struct extents_alloc, i);

		if (a->ns < begin_ns)
			return;
		a->in_advance |= a->tid == tid && a->ns <= end_ns;
	}
}

bool extents__was_undone(const struct extents *x, uint64_t ns)
{
	const struct extents_event *last = last_event(x);

	return last && last->what == EXTENTS_UNDONE && last->ns < ns;
}

static uint64_t alloc_bytes(const struct extents *x, uint64_t begin_ns, uint64_t end_ns)
{
	uint64_t blocks = 0;

	if (!x->block_bits)
		return UINT64_MAX;
	for (size_t i = 0; i < vec__cnt(&x->allocs); i++) {
		const struct extents_alloc *a = VEC_AT(&x->allocs, struct extents_alloc, i);

		if (a->ns >= begin_ns && a->ns < end_ns && !a->in_advance)
			blocks += a->blocks;
	}
	return blocks << x->block_bits;
}

struct extents_view extents__at(const struct extents *x, uint64_t begin_ns, uint64_t end_ns)
{
	struct extents_view v = { .alloc_bytes = UINT64_MAX };

	for (size_t i = 0; i < vec__cnt(&x->events); i++) {
		const struct extents_event *e = VEC_AT(&x->events, struct extents_event, i);

		if (e->ns >= end_ns)
			break;
		if (e->what == EXTENTS_GONE)
			v = (struct extents_view){ .alloc_bytes = UINT64_MAX };
		else if (e->what == EXTENTS_MADE)
			v.made = v.last = e;
		else
			v.undone = v.last = e;
	}
	if (v.last)
		v.alloc_bytes = alloc_bytes(x, begin_ns, end_ns);
	return v;
}
