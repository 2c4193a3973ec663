// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "table_sums.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool any_slow(const struct findings *f)
{
	for (size_t i = 0; i < f->windows_cnt; i++)
		if (f->windows[i].slow)
			return true;
	return false;
}

static void sum_windows(const struct findings *f, bool step, struct regime_sums *of)
{
	for (size_t i = 0; i < f->windows_cnt; i++) {
		const struct finding_window *w = &f->windows[i];

		if (w->slow || !step) {
			of->slow_windows++;
			of->slow_ns += w->duration_ns;
		} else {
			of->fast_windows++;
			of->fast_ns += w->duration_ns;
		}
	}
}

static struct state_row *state_row(struct state_table *t, const struct finding_state *s)
{
	struct state_row *row;

	for (size_t i = 0; i < t->cnt; i++)
		if (!strcmp(t->rows[i].frame, s->frame))
			return &t->rows[i];
	row = FINDING_APPEND(&t->rows, &t->cnt);
	if (row) {
		row->frame = s->frame;
		row->cause = s->cause;
	}
	return row;
}

static int compare_states(const void *x, const void *y)
{
	const struct state_row *a = x, *b = y;

	if (a->slow_ns != b->slow_ns)
		return a->slow_ns > b->slow_ns ? -1 : 1;
	if (a->fast_ns != b->fast_ns)
		return a->fast_ns > b->fast_ns ? -1 : 1;
	return strcmp(a->frame, b->frame);
}

static int add_states(struct state_table *t, const struct finding_window *w, bool slow)
{
	for (size_t i = 0; i < w->states_cnt; i++) {
		struct state_row *row = state_row(t, &w->states[i]);

		if (!row)
			return -ENOMEM;
		if (slow)
			row->slow_ns += w->states[i].ns;
		else
			row->fast_ns += w->states[i].ns;
	}
	return 0;
}

int state_table__build(const struct findings *f, struct state_table *t)
{
	bool step = any_slow(f);

	memset(t, 0, sizeof(*t));
	sum_windows(f, step, &t->of);
	for (size_t i = 0; i < f->windows_cnt; i++)
		if (add_states(t, &f->windows[i], f->windows[i].slow || !step))
			return -ENOMEM;
	for (size_t i = 0; i < t->cnt; i++) {
		struct state_row *r = &t->rows[i];

		r->slow_threads = t->of.slow_ns ? (double)r->slow_ns / (double)t->of.slow_ns : 0;
		r->fast_threads = t->of.fast_ns ? (double)r->fast_ns / (double)t->of.fast_ns : 0;
	}
	if (t->cnt)
		qsort(t->rows, t->cnt, sizeof(t->rows[0]), compare_states);
	return 0;
}

void state_table__free_inside(struct state_table *t)
{
	free(t->rows);
}

static int add_sizes(struct size_table *t, const struct finding_sizes *s)
{
	struct finding_sizes *row = NULL;

	for (size_t i = 0; i < t->cnt && !row; i++)
		if (!strcmp(t->rows[i].op, s->op))
			row = &t->rows[i];
	if (!row) {
		row = FINDING_APPEND(&t->rows, &t->cnt);
		if (!row)
			return -ENOMEM;
		row->op = s->op;
	}
	row->calls += s->calls;
	row->bytes += s->bytes;
	for (int i = 0; i < SIZE_BUCKETS; i++)
		row->buckets[i] += s->buckets[i];
	return 0;
}

int size_table__build(const struct findings *f, bool slow, struct size_table *t)
{
	bool step = any_slow(f);

	memset(t, 0, sizeof(*t));
	for (size_t w = 0; w < f->windows_cnt; w++)
		for (size_t i = 0; i < f->windows[w].sizes_cnt; i++)
			if ((f->windows[w].slow || !step) == slow &&
			    add_sizes(t, &f->windows[w].sizes[i]))
				return -ENOMEM;
	return 0;
}

void size_table__free_inside(struct size_table *t)
{
	free(t->rows);
}

const struct finding_window *slowest_window(const struct findings *f)
{
	const struct finding_window *best = NULL;

	for (size_t i = 0; i < f->windows_cnt; i++)
		if (!best || f->windows[i].duration_ns > best->duration_ns)
			best = &f->windows[i];
	return best;
}

bool futex_is_long(const struct finding_window *w, const struct finding_futex *x)
{
	return x->class == FUTEX_CONTENDED || x->wait_ns >= w->duration_ns / 100;
}
