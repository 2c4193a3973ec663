// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "tally.h"

#include <errno.h>

int tally__add(struct tally *t, const char *cause, uint64_t ns, uint64_t carry_ns)
{
	struct tally_row *row;

	if (!ns)
		return 0;
	t->total_ns += ns;
	for (size_t i = 0; i < vec__cnt(&t->rows); i++) {
		row = VEC_AT(&t->rows, struct tally_row, i);
		if (row->cause == cause || !strcmp(row->cause, cause)) {
			row->ns += ns;
			row->carry_ns += carry_ns;
			return 0;
		}
	}
	row = VEC_PUSH(&t->rows, struct tally_row);
	if (!row)
		return -ENOMEM;
	*row = (struct tally_row){ .cause = cause, .ns = ns, .carry_ns = carry_ns };
	return 0;
}

/* The window with the majority, if there is one: the weight of the others is taken off its own. */
void tally__carry(struct tally *t, const char *cause, uint64_t ns, uint32_t window)
{
	for (size_t i = 0; i < vec__cnt(&t->rows); i++) {
		struct tally_row *row = VEC_AT(&t->rows, struct tally_row, i);

		if (strcmp(row->cause, cause))
			continue;
		row->carry_ns += ns;
		if (row->carry_window == window) {
			row->carry_weight += ns;
		} else if (row->carry_weight >= ns) {
			row->carry_weight -= ns;
		} else {
			row->carry_window = window;
			row->carry_weight = ns - row->carry_weight;
		}
		return;
	}
}

int tally__merge(struct tally *t, const struct tally *more)
{
	for (size_t i = 0; i < vec__cnt(&more->rows); i++) {
		const struct tally_row *row = VEC_AT(&more->rows, struct tally_row, i);

		if (tally__add(t, row->cause, row->ns, row->carry_ns))
			return -ENOMEM;
	}
	return 0;
}

void tally__free(struct tally *t)
{
	vec__free(&t->rows);
	t->total_ns = 0;
}

static int compare_shares(const void *a, const void *b)
{
	const struct finding_share *x = a, *y = b;

	if (x->ns != y->ns)
		return x->ns > y->ns ? -1 : 1;
	return strcmp(x->cause, y->cause);
}

int tally__write(const struct tally *t, struct finding_share **shares, size_t *cnt)
{
	for (size_t i = 0; i < vec__cnt(&t->rows); i++) {
		const struct tally_row *row = VEC_AT(&t->rows, struct tally_row, i);
		struct finding_share *s = FINDING_APPEND(shares, cnt);

		if (!s || finding_set(&s->cause, row->cause))
			return -ENOMEM;
		s->ns = row->ns;
		s->carry_over_ns = row->carry_ns;
		s->carry_over_prev_window = row->carry_window;
	}
	if (*cnt)
		qsort(*shares, *cnt, sizeof(**shares), compare_shares);
	return 0;
}

int shares__add(struct finding_share **shares, size_t *cnt, const char *cause, uint64_t ns)
{
	struct finding_share *s = NULL;

	for (size_t i = 0; i < *cnt && !s; i++)
		if (!strcmp((*shares)[i].cause, cause))
			s = &(*shares)[i];
	if (!s) {
		s = FINDING_APPEND(shares, cnt);
		if (!s || finding_set(&s->cause, cause))
			return -ENOMEM;
	}
	s->ns += ns;
	qsort(*shares, *cnt, sizeof(**shares), compare_shares);
	return 0;
}

uint64_t shares__find(const struct finding_share *shares, size_t cnt, const char *cause)
{
	for (size_t i = 0; i < cnt; i++)
		if (!strcmp(shares[i].cause, cause))
			return shares[i].ns;
	return 0;
}

/* Without overflow for any window shorter than 100 days. */
static uint64_t part_of(uint64_t ns, uint64_t weight, uint64_t sum, uint64_t *rest)
{
	unsigned __int128 x = (unsigned __int128)ns * weight;

	*rest = x % sum;
	return x / sum;
}

/* What rounding leaves is less than one ns per row; the row that lost most to it gets it. */
static const struct tally_row *largest_rest(const struct tally *weights, uint64_t ns)
{
	const struct tally_row *best = NULL;
	uint64_t best_rest = 0, rest;

	for (size_t i = 0; i < vec__cnt(&weights->rows); i++) {
		const struct tally_row *w = VEC_AT(&weights->rows, struct tally_row, i);

		part_of(ns, w->ns, weights->total_ns, &rest);
		if (!best || rest > best_rest) {
			best = w;
			best_rest = rest;
		}
	}
	return best;
}

int tally__apportion(const struct tally *weights, uint64_t ns, struct tally *out)
{
	size_t cnt = vec__cnt(&weights->rows);
	uint64_t left = ns;

	if (!weights->total_ns)
		return 0;
	for (size_t i = 0; i < cnt; i++) {
		const struct tally_row *w = VEC_AT(&weights->rows, struct tally_row, i);
		uint64_t rest, part = part_of(ns, w->ns, weights->total_ns, &rest);

		left -= part;
		if (tally__add(out, w->cause, part, 0))
			return -ENOMEM;
	}
	return left ? tally__add(out, largest_rest(weights, ns)->cause, left, 0) : 0;
}
