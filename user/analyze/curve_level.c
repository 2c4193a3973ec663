// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "curve_level.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "curve_rng.h"

/* Up to here every choice of sweeps is counted; beyond it choices are drawn. */
#define EXACT_MAX 2000000u

/* Sums that are equal on paper may differ in the last bits. */
#define SAME_SUM 1e-9

void level_opts__defaults(struct level_opts *opts)
{
	*opts = (struct level_opts){
		.min_ratio = 1.1,
		.alpha = 0.01,
		.seed = 0x666c617470617573ull, /* "flatpaus" */
		.permutations = 20000,
	};
}

/* How many ways there are to choose k of n; 0 where that is above EXACT_MAX. */
static uint64_t count_choices(uint32_t n, uint32_t k)
{
	uint64_t all = 1;

	if (k > n - k)
		k = n - k;
	for (uint32_t i = 1; i <= k; i++) {
		all = all * (n - k + i) / i; /* whole at every step */
		if (all > EXACT_MAX)
			return 0;
	}
	return all;
}

uint32_t level__sweeps_needed(uint32_t baseline_sweeps, const struct level_opts *opts)
{
	struct level_opts defaults;
	uint32_t need = 1;

	if (!opts) {
		level_opts__defaults(&defaults);
		opts = &defaults;
	}
	/* 0 stands for many */
	for (; need < 1 / opts->alpha; need++) {
		uint64_t all = count_choices(baseline_sweeps + need, need);

		if (!all || (double)all * opts->alpha >= 1)
			break;
	}
	return need;
}

static void fill_levels(double *levels, const double *ms, uint32_t sweeps, uint32_t windows)
{
	for (uint32_t k = 0; k < sweeps; k++) {
		levels[k] = 0;
		for (uint32_t i = 0; i < windows; i++)
			levels[k] += log(*ms++) / windows;
	}
}

static double sum_of(const double *v, uint32_t cnt)
{
	double sum = 0;

	for (uint32_t i = 0; i < cnt; i++)
		sum += v[i];
	return sum;
}

/* Choices of `left` more of v[from..cnt) whose sum reaches `want`; depth is at most `left`. */
static uint64_t count_at_least(const double *v, uint32_t from, uint32_t cnt, uint32_t left,
			       double want)
{
	uint64_t n = 0;

	if (!left)
		return want <= SAME_SUM;
	for (uint32_t i = from; i + left <= cnt; i++)
		n += count_at_least(v, i + 1, cnt, left - 1, want - v[i]);
	return n;
}

/* Draws `k` of the values by the first steps of a shuffle and counts sums that reach `want`. */
static uint64_t draw_at_least(double *v, uint32_t cnt, uint32_t k, double want,
			      const struct level_opts *opts)
{
	struct curve_rng rng;
	uint64_t n = 0;

	curve_rng__init(&rng, opts->seed);
	for (uint32_t d = 0; d < opts->permutations; d++) {
		for (uint32_t i = 0; i < k; i++) {
			uint32_t j = i + curve_rng__below(&rng, cnt - i);
			double t = v[i];

			v[i] = v[j];
			v[j] = t;
		}
		n += sum_of(v, k) >= want - SAME_SUM;
	}
	return n;
}

/* `levels`: the baseline's first. Its order does not matter afterwards. */
static void fill_p(double *levels, const struct level_opts *opts, struct gate_level *out)
{
	uint32_t base = out->baseline_sweeps, cnt = base + out->sweeps;
	uint64_t all = count_choices(cnt, out->sweeps);
	double want = sum_of(levels + base, out->sweeps);

	if (all) {
		out->min_p = 1 / (double)all;
		out->p = (double)count_at_least(levels, 0, cnt, out->sweeps, want) / (double)all;
		return;
	}
	out->min_p = 1 / (1.0 + opts->permutations);
	out->p = (1.0 + (double)draw_at_least(levels, cnt, out->sweeps, want, opts)) * out->min_p;
}

static enum gate_level_verdict decide(const struct gate_level *l, const struct level_opts *opts)
{
	if (l->ratio < opts->min_ratio)
		return GATE_LEVEL_SAME;
	if (l->min_p > opts->alpha)
		return GATE_LEVEL_CANNOT_TELL;
	return l->p <= opts->alpha ? GATE_LEVEL_SLOWER : GATE_LEVEL_SAME;
}

int level__test(const double *baseline_ms, uint32_t baseline_sweeps, const double *ms,
		uint32_t sweeps, uint32_t windows, const struct level_opts *opts,
		struct gate_level *out)
{
	double *levels = malloc(((size_t)baseline_sweeps + sweeps) * sizeof(*levels));
	struct level_opts defaults;
	double before, now;

	if (!levels)
		return -ENOMEM;
	if (!opts) {
		level_opts__defaults(&defaults);
		opts = &defaults;
	}
	fill_levels(levels, baseline_ms, baseline_sweeps, windows);
	fill_levels(levels + baseline_sweeps, ms, sweeps, windows);
	before = sum_of(levels, baseline_sweeps) / baseline_sweeps;
	now = sum_of(levels + baseline_sweeps, sweeps) / sweeps;
	*out = (struct gate_level){
		.baseline_sweeps = baseline_sweeps,
		.sweeps = sweeps,
		.baseline_ms = exp(before),
		.ms = exp(now),
		.ratio = exp(now - before),
	};
	fill_p(levels, opts, out);
	out->verdict = decide(out, opts);
	free(levels);
	return 0;
}
