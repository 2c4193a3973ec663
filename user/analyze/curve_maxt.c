// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The max-t test. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "curve_rng.h"
#include "curve_step.h"

/*
 * This law is made once for all curves of one shape, and its far tail decides: ten times as many
 * draws as a permutation test, while they take at most WORK_MAX normals. With 20,000 the critical
 * value of .005 is off by up to 3 %, with 200,000 by 1 %.
 */
#define DRAWS_FACTOR 10
#define WORK_MAX     5000000ull
#define DRAWS_MIN    1999u

/* Below this part of the whole the residue is rounding: the step explains everything. */
#define NO_RESIDUE 1e-12

/* A curve as the test sees it. */
struct t_frame {
	uint32_t sweeps, windows, margin;
	double *mean;  /* per window, over the sweeps, without the level of each sweep */
	double within; /* sum of squares within sweeps */
};

static double degrees_of_freedom(const struct t_frame *f)
{
	return (double)f->sweeps * f->windows - f->sweeps - 1;
}

/* t of the split after s windows; `late` is the sum of the centred means behind it. */
static double t_of_split(const struct t_frame *f, uint32_t s, double late)
{
	double n = f->windows, share = s * (n - s) / n, delta = late / share;
	double explained = f->sweeps * share * delta * delta;
	double residue = f->within - explained;

	if (!(explained > 0))
		return 0;
	if (residue <= NO_RESIDUE * f->within)
		return delta > 0 ? INFINITY : -INFINITY;
	return delta * sqrt(f->sweeps * share * degrees_of_freedom(f) / residue);
}

/*
 * The centred means sum to 0, so with L their sum behind s: mean behind - mean before =
 * L/(N-s) + L/s = L * N/(s(N-s)).
 */
static void look_at_splits(const struct t_frame *f, struct step_test *out)
{
	double late = 0;

	out->up = out->down = -INFINITY;
	for (uint32_t s = f->windows - 1; s >= f->margin; s--) {
		double t;

		late += f->mean[s];
		if (s > f->windows - f->margin)
			continue;
		t = t_of_split(f, s, late);
		/* of equals the earliest: s runs down */
		if (t >= out->up) {
			out->up = t;
			out->split_up = s;
		}
		if (-t >= out->down) {
			out->down = -t;
			out->split_down = s;
		}
	}
}

static void centre_means(struct t_frame *f)
{
	double level = 0;

	for (uint32_t i = 0; i < f->windows; i++)
		level += f->mean[i] / f->windows;
	for (uint32_t i = 0; i < f->windows; i++)
		f->mean[i] -= level;
}

static void fill_frame(struct t_frame *f, const double *y)
{
	f->within = 0;
	for (uint32_t i = 0; i < f->windows; i++)
		f->mean[i] = 0;
	for (uint32_t k = 0; k < f->sweeps; k++, y += f->windows) {
		double level = 0;

		for (uint32_t i = 0; i < f->windows; i++)
			level += y[i] / f->windows;
		for (uint32_t i = 0; i < f->windows; i++) {
			f->mean[i] += (y[i] - level) / f->sweeps;
			f->within += (y[i] - level) * (y[i] - level);
		}
	}
	centre_means(f);
}

/*
 * One curve of pure noise. Only the window means and the sum of squares count: the means are
 * normal with variance 1/K, and what the sweeps differ by beyond them is an independent chi-square
 * with (K-1)(N-1) degrees of freedom, so a draw costs N normals and not K*N.
 */
static void fill_noise(struct t_frame *f, struct curve_rng *rng)
{
	double spread = 1 / sqrt(f->sweeps);

	for (uint32_t i = 0; i < f->windows; i++)
		f->mean[i] = curve_rng__normal(rng) * spread;
	centre_means(f);
	f->within = curve_rng__chi2(rng, (f->sweeps - 1.0) * (f->windows - 1.0));
	for (uint32_t i = 0; i < f->windows; i++)
		f->within += f->sweeps * f->mean[i] * f->mean[i];
}

/* Asked of the values themselves: their sum of squares is never quite 0 after rounding. */
static bool varies(const double *y, uint32_t sweeps, uint32_t windows)
{
	for (uint32_t k = 0; k < sweeps; k++, y += windows)
		for (uint32_t i = 1; i < windows; i++)
			if (y[i] != y[0])
				return true;
	return false;
}

static size_t limit_draws(const struct null_key *key)
{
	uint64_t limit = WORK_MAX / key->windows, wanted = (uint64_t)key->draws * DRAWS_FACTOR;

	if (limit < DRAWS_MIN)
		limit = DRAWS_MIN;
	return wanted < limit ? wanted : limit;
}

static int frame__alloc(struct t_frame *f, uint32_t sweeps, uint32_t windows)
{
	*f = (struct t_frame){ .sweeps = sweeps,
			       .windows = windows,
			       .margin = step_margin(windows) };
	f->mean = calloc(windows, sizeof(*f->mean));
	return f->mean ? 0 : -ENOMEM;
}

int maxt_step__law(const struct null_key *key, struct null_law *law)
{
	size_t draws = limit_draws(key);
	double *values = malloc(draws * sizeof(*values));
	struct curve_rng rng;
	struct step_test test;
	struct t_frame f = { 0 };
	int err = -ENOMEM;

	if (!values)
		return err;
	err = frame__alloc(&f, key->sweeps, key->windows);
	if (err)
		goto out;
	curve_rng__init(&rng, key->seed);
	for (size_t d = 0; d < draws; d++) {
		fill_noise(&f, &rng);
		look_at_splits(&f, &test);
		values[d] = test.up;
	}
	err = null_law__init(law, values, draws, false);
out:
	free(f.mean);
	free(values);
	return err;
}

int maxt_step__test(const double *y, uint32_t sweeps, uint32_t windows,
		    const struct step_opts *opts, struct step_test *out)
{
	struct null_key key = { .kind = NULL_MAXT,
				.windows = windows,
				.sweeps = sweeps,
				.draws = opts->draws,
				.seed = opts->seed };
	double stat[2], p[2];
	struct t_frame f;
	int err;

	*out = (struct step_test){ .p_up = 1, .p_down = 1 };
	if (windows < 2 || !sweeps)
		return 0;
	err = frame__alloc(&f, sweeps, windows);
	if (err)
		return err;
	fill_frame(&f, y);
	look_at_splits(&f, out);
	/* A residue needs a degree of freedom, and a test something that varies. */
	if (degrees_of_freedom(&f) < 1 || !varies(y, sweeps, windows))
		goto out;
	stat[0] = out->up;
	stat[1] = out->down;
	err = null_cache__p(&key, maxt_step__law, stat, p);
	if (!err) {
		out->p_up = p[0];
		out->p_down = p[1];
	}
out:
	free(f.mean);
	return err;
}
