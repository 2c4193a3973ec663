// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "flames.h"

#include <errno.h>
#include <stdio.h>
#include <utlist.h>

#include "../../reports/flame.h"

#define MAX_PATH_FRAMES (2 * FP_MAX_FRAMES + 4)

struct row_key {
	char comm[FP_COMM_LEN];
	const char *cause; /* NULL = none: user code, or kernel code on the CPU */
	uint32_t kstack, ustack;
	uint32_t tgid;
	uint32_t state;
};

struct flame_row {
	struct row_key key;
	uint64_t ns;
	UT_hash_handle hh;
};

static int add_row(struct window_flame *wf, const struct row_key *key, uint64_t ns)
{
	struct flame_row *r = NULL;

	if (!ns)
		return 0;
	HASH_FIND(hh, wf->rows, key, sizeof(*key), r);
	if (!r) {
		r = calloc(1, sizeof(*r));
		if (!r)
			return -ENOMEM;
		r->key = *key;
		HASH_ADD(hh, wf->rows, key, sizeof(r->key), r);
		if (!r->hh.tbl) {
			free(r);
			return -ENOMEM;
		}
	}
	r->ns += ns;
	return 0;
}

static struct row_key key_of(const struct thread *t, enum flame_state state)
{
	struct row_key key;

	memset(&key, 0, sizeof(key)); /* it is compared as bytes, padding too */
	memcpy(key.comm, t->comm, sizeof(key.comm));
	key.tgid = t->tgid;
	key.state = state;
	return key;
}

/* Running time is spread evenly over the samples that hit the same mode within the window. */
struct running {
	uint64_t ns[2];	 /* user, kernel */
	uint64_t cnt[2]; /* samples */
};

static int add_samples(struct window_flame *wf, const struct thread *t, const struct window *w,
		       const struct running *run)
{
	uint64_t given[2] = { 0 }, seen[2] = { 0 };

	for (size_t i = 0; i < vec__cnt(&t->samples); i++) {
		const struct sample *s = VEC_AT(&t->samples, struct sample, i);
		int mode = s->kstack != STACK_NONE;
		struct row_key key = key_of(t, mode ? FLAME_RUN_KERNEL : FLAME_RUN_USER);
		uint64_t upto;

		if (s->ts_ns < w->begin_ns || s->ts_ns >= w->end_ns)
			continue;
		key.kstack = s->kstack;
		key.ustack = s->ustack;
		upto = (unsigned __int128)run->ns[mode] * ++seen[mode] / run->cnt[mode];
		if (add_row(wf, &key, upto - given[mode]))
			return -ENOMEM;
		given[mode] = upto;
	}
	for (int mode = 0; mode < 2; mode++) {
		struct row_key key = key_of(t, mode ? FLAME_RUN_KERNEL : FLAME_RUN_USER);

		if (add_row(wf, &key, run->ns[mode] - given[mode]))
			return -ENOMEM;
	}
	return 0;
}

static int add_piece(struct analysis *a, struct window_flame *wf, const struct thread *t,
		     const struct piece *p, struct running *run)
{
	struct row_key key = key_of(t, FLAME_UNKNOWN);

	switch (p->kind) {
	case SEG_RUN:
		run->ns[p->in_kernel] += p->end - p->begin;
		return 0;
	case SEG_RUNNABLE:
		key.state = FLAME_RUNNABLE;
		key.cause = name_runnable(a, p);
		break;
	case SEG_BLOCKED:
		key.state = FLAME_BLOCKED;
		key.cause = name_blocked(a, t, p);
		key.kstack = p->seg->kstack;
		key.ustack = p->seg->ustack;
		break;
	case SEG_UNKNOWN:
		key.cause = name_unknown(p);
		break;
	case SEG_NONE:
		return 0;
	}
	return add_row(wf, &key, p->end - p->begin);
}

static int add_thread(struct analysis *a, struct window_flame *wf, const struct thread *t,
		      const struct window *w)
{
	struct running run = { 0 };
	struct pieces it;
	struct piece p;

	pieces__begin(&it, &a->tl, t, w->begin_ns, w->end_ns);
	while (pieces__next(&it, &p))
		if (add_piece(a, wf, t, &p, &run))
			return -ENOMEM;
	for (size_t i = 0; i < vec__cnt(&t->samples); i++) {
		const struct sample *s = VEC_AT(&t->samples, struct sample, i);

		if (s->ts_ns >= w->begin_ns && s->ts_ns < w->end_ns)
			run.cnt[s->kstack != STACK_NONE]++;
	}
	return add_samples(wf, t, w, &run);
}

int flames__window(struct analysis *a, uint32_t w)
{
	struct window_flame *wf = VEC_AT(&a->flames, struct window_flame, w);
	const struct thread *t;

	DL_FOREACH (a->tl.threads, t) {
		if (t->target && add_thread(a, wf, t, WINDOW(a, w)))
			return -ENOMEM;
	}
	return 0;
}

/* ---- from rows to a tree ---- */

struct path_buffer {
	const char *frames[MAX_PATH_FRAMES];
	size_t cnt;
	char text[FP_MAX_FRAMES + 2][160]; /* kernel frames with their mark, and the cause */
	size_t text_cnt;
};

static void add_kernel_frames(struct analysis *a, struct path_buffer *b, uint32_t index)
{
	uint32_t cnt;
	const char *const *names = stacks__kernel_names(a->stacks, index, &cnt);

	while (cnt-- > 0 && b->text_cnt < FP_MAX_FRAMES) {
		char *text = b->text[b->text_cnt++];

		snprintf(text, sizeof(b->text[0]), "%s_[k]", names[cnt]);
		b->frames[b->cnt++] = text;
	}
}

static void add_user_frames(struct analysis *a, struct path_buffer *b, const struct row_key *key)
{
	struct stack_frames f = stacks__frames(a->stacks, key->ustack);

	while (f.cnt-- > 0)
		b->frames[b->cnt++] = symbols__user(a->symbols, f.tgid ? f.tgid : key->tgid,
						    f.addrs[f.cnt]);
}

static int add_to_tree(struct analysis *a, struct flame *tree, const struct flame_row *r)
{
	struct path_buffer b = { .cnt = 0 };

	b.frames[b.cnt++] = r->key.comm[0] ? r->key.comm : "?";
	if (r->key.ustack)
		add_user_frames(a, &b, &r->key);
	if (r->key.ustack && r->key.kstack)
		b.frames[b.cnt++] = "-";
	if (r->key.kstack)
		add_kernel_frames(a, &b, r->key.kstack);
	if (r->key.cause) {
		char *text = b.text[b.text_cnt++];

		snprintf(text, sizeof(b.text[0]), "[%s]", r->key.cause);
		b.frames[b.cnt++] = text;
	}
	return flame__add(tree, b.frames, b.cnt, r->key.state, r->ns);
}

static int build(struct analysis *a, bool slow, struct flame **out)
{
	struct flame *tree = NULL;

	for (size_t w = 0; w < vec__cnt(&a->flames); w++) {
		struct flame_row *r, *next;

		if (a->f->windows[w].slow != slow)
			continue;
		if (!tree)
			tree = flame__new();
		if (!tree)
			return -ENOMEM;
		HASH_ITER (hh, VEC_AT(&a->flames, struct window_flame, w)->rows, r, next)
			if (add_to_tree(a, tree, r)) {
				flame__free(tree);
				return -ENOMEM;
			}
	}
	if (tree)
		flame__finish(tree);
	*out = tree;
	return 0;
}

int flames__finish(struct analysis *a)
{
	int err = build(a, true, &a->f->flame_slow);

	if (!err)
		err = build(a, false, &a->f->flame_fast);
	/* Without a step all windows are of one kind, and shown as such. */
	if (!err && !a->f->flame_slow) {
		a->f->flame_slow = a->f->flame_fast;
		a->f->flame_fast = NULL;
	}
	flames__free(a);
	return err;
}

void flames__free(struct analysis *a)
{
	for (size_t w = 0; w < vec__cnt(&a->flames); w++) {
		struct window_flame *wf = VEC_AT(&a->flames, struct window_flame, w);
		struct flame_row *r, *next;

		HASH_ITER (hh, wf->rows, r, next) {
			HASH_DEL(wf->rows, r);
			free(r);
		}
	}
	vec__free(&a->flames);
}
