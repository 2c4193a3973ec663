// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "stacks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#define TOP_FRAMES 64

struct stack {
	uint64_t id;
	uint32_t index;
	uint32_t tgid;
	uint32_t cnt;
	uint64_t *addrs;
	const char **names; /* kernel stacks, made at first use */
	UT_hash_handle hh;
};

/* One answer of the probes. The key holds all that they look at. */
struct answer {
	uint64_t key;
	const struct cause *cause;
	UT_hash_handle hh;
};

struct stacks {
	struct symbols *symbols;
	struct stack *by_id;
	struct stack **list; /* by index - 1 */
	uint32_t cnt, room;
	struct answer *answers;
};

int stacks__new(struct stacks **out, struct symbols *symbols)
{
	struct stacks *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->symbols = symbols;
	*out = s;
	return 0;
}

void stacks__free(struct stacks *s)
{
	struct answer *a, *next;

	if (!s)
		return;
	HASH_ITER (hh, s->answers, a, next) {
		HASH_DEL(s->answers, a);
		free(a);
	}
	HASH_CLEAR(hh, s->by_id);
	for (uint32_t i = 0; i < s->cnt; i++) {
		free(s->list[i]->addrs);
		free(s->list[i]->names);
		free(s->list[i]);
	}
	free(s->list);
	free(s);
}

static int make_room(struct stacks *s)
{
	uint32_t room = s->room ? s->room * 2 : 64;
	void *p;

	if (s->cnt < s->room)
		return 0;
	p = realloc(s->list, room * sizeof(s->list[0]));
	if (!p)
		return -ENOMEM;
	s->list = p;
	s->room = room;
	return 0;
}

static uint32_t frames_in(const struct ev_stack *ev)
{
	size_t room = (ev->h.size - sizeof(*ev)) / sizeof(ev->frames[0]);
	size_t cnt = ev->frames_cnt < room ? ev->frames_cnt : room;

	return cnt < FP_MAX_FRAMES ? cnt : FP_MAX_FRAMES;
}

int stacks__add(struct stacks *s, const struct ev_stack *ev)
{
	struct stack *st = NULL;
	uint64_t id = ev->id;
	uint32_t cnt = frames_in(ev);

	HASH_FIND(hh, s->by_id, &id, sizeof(id), st);
	if (st || !id || !cnt)
		return 0;
	if (make_room(s))
		return -ENOMEM;
	st = calloc(1, sizeof(*st));
	if (!st)
		return -ENOMEM;
	st->id = id;
	st->tgid = ev->tgid;
	st->cnt = cnt;
	st->addrs = malloc(cnt * sizeof(st->addrs[0]));
	if (!st->addrs) {
		free(st);
		return -ENOMEM;
	}
	memcpy(st->addrs, ev->frames, cnt * sizeof(st->addrs[0]));
	s->list[s->cnt++] = st;
	st->index = s->cnt;
	HASH_ADD(hh, s->by_id, id, sizeof(st->id), st);
	return st->hh.tbl ? 0 : -ENOMEM;
}

uint32_t stacks__find(const struct stacks *s, uint64_t id)
{
	struct stack *st = NULL;

	if (!id)
		return STACK_NONE;
	HASH_FIND(hh, s->by_id, &id, sizeof(id), st);
	return st ? st->index : STACK_NONE;
}

struct stack_frames stacks__frames(const struct stacks *s, uint32_t index)
{
	const struct stack *st;

	if (index == STACK_NONE || index > s->cnt)
		return (struct stack_frames){ 0 };
	st = s->list[index - 1];
	return (struct stack_frames){ .addrs = st->addrs, .cnt = st->cnt, .tgid = st->tgid };
}

const char *const *stacks__kernel_names(struct stacks *s, uint32_t index, uint32_t *cnt)
{
	struct stack *st;

	*cnt = 0;
	if (index == STACK_NONE || index > s->cnt)
		return NULL;
	st = s->list[index - 1];
	if (!st->names) {
		st->names = calloc(st->cnt, sizeof(st->names[0]));
		if (!st->names)
			return NULL;
		for (uint32_t i = 0; i < st->cnt; i++) {
			const char *name = symbols__kernel(s->symbols, st->addrs[i]);

			st->names[i] = name ? name : "[unknown]";
		}
	}
	*cnt = st->cnt < TOP_FRAMES ? st->cnt : TOP_FRAMES;
	return st->names;
}

struct symbols *stacks__symbols(struct stacks *s)
{
	return s->symbols;
}

/* A trace that was cut before its symbols were written: such a stack says as much as none. */
static bool any_named(const char *const *names, uint32_t cnt)
{
	for (uint32_t i = 0; i < cnt; i++)
		if (strcmp(names[i], "[unknown]"))
			return true;
	return false;
}

static uint64_t answer_key(uint32_t index, const struct probe_context *ctx)
{
	uint64_t key = (uint64_t)index << 32;

	for (int i = 1; i < FP_SPAN_END && i <= 15; i++)
		key |= (uint64_t)ctx->in_span[i] << i;
	return key | (uint64_t)(ctx->cls & 0x3f) << 16 | (uint64_t)ctx->in_syscall << 22 |
	       (uint64_t)ctx->running << 23 | (uint64_t)ctx->iowait << 24 |
	       (uint64_t)ctx->dirty_pause << 25 | (uint64_t)ctx->kthread << 26 |
	       (uint64_t)(ctx->lock_flags >> 1 & 0x1f) << 27; /* the first one says that it spins */
}

_Static_assert(FP_SPAN_END <= 16 && FP_SYS_END <= 64, "answer_key has room for these");

const struct cause *stacks__classify(struct stacks *s, uint32_t index,
				     const struct probe_context *ctx)
{
	struct probe_context full = *ctx;
	uint64_t key = answer_key(index, ctx);
	struct answer *a = NULL;
	uint32_t cnt;

	HASH_FIND(hh, s->answers, &key, sizeof(key), a);
	if (a)
		return a->cause;
	full.frames = stacks__kernel_names(s, index, &cnt);
	full.frames_cnt = any_named(full.frames, cnt) ? cnt : 0;
	a = calloc(1, sizeof(*a));
	if (!a)
		return probes__classify(&full);
	a->key = key;
	a->cause = probes__classify(&full);
	HASH_ADD(hh, s->answers, key, sizeof(a->key), a);
	if (!a->hh.tbl) { /* no memory to keep it: the answer still stands */
		const struct cause *cause = a->cause;

		free(a);
		return cause;
	}
	return a->cause;
}
