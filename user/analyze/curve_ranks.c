// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The stratified max-rank test. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "curve_rng.h"
#include "curve_step.h"

/* Up to here every arrangement is counted; beyond it arrangements are drawn. */
#define EXACT_MAX 2000000u

/* Steps of shuffling that a test may take: fewer draws of a large curve are as valid. */
#define WORK_MAX  100000000ull
#define DRAWS_MIN 1999u

/* What all arrangements share. */
struct rank_frame {
	uint32_t sweeps, windows, margin;
	int32_t *ranks; /* sweeps * windows, as centre_ranks() gives them */
	int64_t *late;	/* per split: the sum of the ranks after it, of all sweeps */
	double *scale;	/* per split: what makes the sum a standard normal at large */
	bool ties;
	bool flat; /* every value equals every other of its sweep */
};

struct indexed {
	double value;
	uint32_t at;
};

static int compare_indexed(const void *a, const void *b)
{
	double x = ((const struct indexed *)a)->value, y = ((const struct indexed *)b)->value;

	return (x > y) - (x < y);
}

int centre_ranks(const double *y, uint32_t windows, int32_t *ranks)
{
	struct indexed *sorted = malloc(windows * sizeof(*sorted));
	int ties = 0;

	if (!sorted)
		return -ENOMEM;
	for (uint32_t i = 0; i < windows; i++)
		sorted[i] = (struct indexed){ y[i], i };
	qsort(sorted, windows, sizeof(*sorted), compare_indexed);
	for (uint32_t i = 0, j; i < windows; i = j) {
		for (j = i + 1; j < windows && sorted[j].value == sorted[i].value; j++)
			ties = 1;
		/* Places i+1..j share the rank (i + 1 + j) / 2. */
		for (uint32_t k = i; k < j; k++)
			ranks[sorted[k].at] = (int32_t)(i + 1 + j) - (int32_t)(windows + 1);
	}
	free(sorted);
	return ties;
}

static void frame__free_inside(struct rank_frame *f)
{
	free(f->ranks);
	free(f->late);
	free(f->scale);
}

static int frame__alloc(struct rank_frame *f, uint32_t sweeps, uint32_t windows)
{
	memset(f, 0, sizeof(*f));
	f->sweeps = sweeps;
	f->windows = windows;
	f->margin = step_margin(windows);
	f->ranks = calloc((size_t)sweeps * windows, sizeof(*f->ranks));
	f->late = calloc(windows, sizeof(*f->late));
	f->scale = calloc(windows, sizeof(*f->scale));
	if (f->ranks && f->late && f->scale)
		return 0;
	frame__free_inside(f);
	return -ENOMEM;
}

/* Var(sum of ranks after split s) = sum_k v_k * s(N-s)/N; the doubled ranks give the factor 2. */
static void frame__scale(struct rank_frame *f)
{
	double n = f->windows, squares = 0;

	for (size_t i = 0; i < (size_t)f->sweeps * f->windows; i++)
		squares += (double)f->ranks[i] * (double)f->ranks[i] / 4;
	f->flat = squares == 0;
	for (uint32_t s = 1; s < f->windows; s++)
		f->scale[s] = f->flat ? 0 : 0.5 / sqrt(squares / (n - 1) * s * (n - s) / n);
}

static int frame__init(struct rank_frame *f, const double *y, uint32_t sweeps, uint32_t windows)
{
	int err = frame__alloc(f, sweeps, windows);

	if (err)
		return err;
	for (uint32_t k = 0; k < sweeps; k++) {
		err = centre_ranks(y + (size_t)k * windows, windows,
				   f->ranks + (size_t)k * windows);
		if (err < 0) {
			frame__free_inside(f);
			return err;
		}
		f->ties |= err == 1;
	}
	frame__scale(f);
	return 0;
}

/* Adds one sweep's sums after each split, as its ranks stand now. */
static void add_late_sums(struct rank_frame *f, const int32_t *ranks)
{
	int64_t sum = 0;

	for (uint32_t s = f->windows - 1; s >= f->margin; s--) {
		sum += ranks[s];
		f->late[s] += sum;
	}
}

static void sum_late(struct rank_frame *f)
{
	memset(f->late, 0, f->windows * sizeof(*f->late));
	for (uint32_t k = 0; k < f->sweeps; k++)
		add_late_sums(f, f->ranks + (size_t)k * f->windows);
}

static double largest_late(const struct rank_frame *f)
{
	double best = -INFINITY;

	for (uint32_t s = f->margin; s <= f->windows - f->margin; s++) {
		double z = (double)f->late[s] * f->scale[s];

		if (z > best)
			best = z;
	}
	return best;
}

static void observe(struct rank_frame *f, struct step_test *out)
{
	out->up = out->down = -INFINITY;
	sum_late(f);
	for (uint32_t s = f->margin; s <= f->windows - f->margin; s++) {
		double z = (double)f->late[s] * f->scale[s];

		if (z > out->up) {
			out->up = z;
			out->split_up = s;
		}
		if (-z > out->down) {
			out->down = -z;
			out->split_down = s;
		}
	}
}

/* (N!)^K, or 0 where that is above EXACT_MAX. */
static uint64_t count_arrangements(uint32_t sweeps, uint32_t windows)
{
	uint64_t all = 1, one = 1;

	for (uint32_t i = 2; i <= windows; i++)
		if ((one *= i) > EXACT_MAX)
			return 0;
	for (uint32_t k = 0; k < sweeps && one > 1; k++)
		if ((all *= one) > EXACT_MAX)
			return 0;
	return all;
}

struct enumeration {
	struct rank_frame *f;
	double *values;
	size_t cnt;
};

/*
 * Fills places from the last window of the last sweep on, with every rank that is left of that
 * sweep; `sum` is what stands behind `place`. EXACT_MAX bounds the depth to 40.
 */
static void enumerate(struct enumeration *e, uint32_t sweep, uint32_t place, int64_t sum)
{
	int32_t *ranks = e->f->ranks + (size_t)sweep * e->f->windows;

	if (place == 0) {
		if (sweep == 0)
			e->values[e->cnt++] = largest_late(e->f);
		else
			enumerate(e, sweep - 1, e->f->windows, 0);
		return;
	}
	for (uint32_t i = 0; i < place; i++) {
		int32_t picked = ranks[i];

		ranks[i] = ranks[place - 1];
		ranks[place - 1] = picked;
		e->f->late[place - 1] += sum + picked;
		enumerate(e, sweep, place - 1, sum + picked);
		e->f->late[place - 1] -= sum + picked;
		ranks[place - 1] = ranks[i];
		ranks[i] = picked;
	}
}

static void swap(int32_t *v, uint32_t i, uint32_t j)
{
	int32_t t = v[i];

	v[i] = v[j];
	v[j] = t;
}

/* Fisher and Yates; each 64 random bits serve two places. */
static void shuffle(struct curve_rng *rng, int32_t *v, uint32_t n)
{
	uint32_t i = n - 1;

	for (; i > 1; i -= 2) {
		uint64_t bits = curve_rng__next(rng);

		swap(v, i, curve_rng__scale((uint32_t)(bits >> 32), i + 1));
		swap(v, i - 1, curve_rng__scale((uint32_t)bits, i));
	}
	if (i == 1)
		swap(v, 1, curve_rng__below(rng, 2));
}

static void draw(struct rank_frame *f, uint64_t seed, double *values, size_t draws)
{
	struct curve_rng rng;

	curve_rng__init(&rng, seed);
	for (size_t d = 0; d < draws; d++) {
		for (uint32_t k = 0; k < f->sweeps; k++)
			shuffle(&rng, f->ranks + (size_t)k * f->windows, f->windows);
		sum_late(f);
		values[d] = largest_late(f);
	}
}

static size_t limit_draws(const struct rank_frame *f, uint32_t wanted)
{
	uint64_t limit = WORK_MAX / ((uint64_t)f->sweeps * f->windows);

	if (limit < DRAWS_MIN)
		limit = DRAWS_MIN;
	return wanted < limit ? wanted : limit;
}

/* The law of the largest statistic over all arrangements of these ranks within their sweeps. */
static int law_of_frame(struct rank_frame *f, uint32_t wanted, uint64_t seed, struct null_law *law)
{
	uint64_t all = count_arrangements(f->sweeps, f->windows);
	size_t draws = all ? all : limit_draws(f, wanted);
	double *values = malloc(draws * sizeof(*values));
	int err;

	if (!values)
		return -ENOMEM;
	if (all) {
		struct enumeration e = { .f = f, .values = values };

		memset(f->late, 0, f->windows * sizeof(*f->late));
		enumerate(&e, f->sweeps - 1, f->windows, 0);
	} else {
		draw(f, seed, values, draws);
	}
	err = null_law__init(law, values, draws, all != 0);
	free(values);
	return err;
}

int rank_step__law(const struct null_key *key, struct null_law *law)
{
	struct rank_frame f;
	int err = frame__alloc(&f, key->sweeps, key->windows);

	if (err)
		return err;
	for (uint32_t k = 0; k < key->sweeps; k++)
		for (uint32_t i = 0; i < key->windows; i++)
			f.ranks[(size_t)k * key->windows + i] = 2 * (int64_t)i + 1 -
								(int64_t)key->windows;
	frame__scale(&f);
	err = law_of_frame(&f, key->draws, key->seed, law);
	frame__free_inside(&f);
	return err;
}

static int p_with_ties(struct rank_frame *f, const struct step_opts *opts, const double stat[2],
		       double p[2])
{
	struct null_law law;
	int err = law_of_frame(f, opts->draws, opts->seed, &law);

	if (err)
		return err;
	p[0] = null_law__p(&law, stat[0]);
	p[1] = null_law__p(&law, stat[1]);
	null_law__free_inside(&law);
	return 0;
}

int rank_step__test(const double *y, uint32_t sweeps, uint32_t windows,
		    const struct step_opts *opts, struct step_test *out)
{
	struct null_key key = { .kind = NULL_RANKS,
				.windows = windows,
				.sweeps = sweeps,
				.draws = opts->draws,
				.seed = opts->seed };
	struct rank_frame f;
	double stat[2], p[2];
	int err;

	*out = (struct step_test){ .p_up = 1, .p_down = 1 };
	if (windows < 2 || !sweeps)
		return 0;
	err = frame__init(&f, y, sweeps, windows);
	if (err)
		return err;
	observe(&f, out);
	if (f.flat)
		goto out;
	/* Read backwards a rise is a fall: one law serves both directions. */
	stat[0] = out->up;
	stat[1] = out->down;
	if (f.ties)
		err = p_with_ties(&f, opts, stat, p);
	else
		err = null_cache__p(&key, rank_step__law, stat, p);
	if (!err) {
		out->p_up = p[0];
		out->p_down = p[1];
	}
out:
	frame__free_inside(&f);
	return err;
}
