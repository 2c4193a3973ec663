// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "curve_hl.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "curve_step.h"

/* Halvings: doubles of one sign and size need 52, those around 0 a few more. */
#define SELECT_ROUNDS 110

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double *sorted_copy(const double *v, uint32_t cnt)
{
	double *copy = malloc((cnt ? cnt : 1) * sizeof(*copy));

	if (!copy)
		return NULL;
	memcpy(copy, v, cnt * sizeof(*copy));
	qsort(copy, cnt, sizeof(*copy), compare_doubles);
	return copy;
}

static int init_pairs(struct hl_pairs *p, uint32_t strata, uint32_t early, uint32_t late)
{
	*p = (struct hl_pairs){ .early_cnt = early, .late_cnt = late };
	p->strata = calloc(strata, sizeof(*p->strata));
	if (!p->strata)
		return -ENOMEM;
	p->strata_cnt = strata;
	return 0;
}

static int fill_stratum(struct hl_pairs *p, uint32_t k, const double *early, const double *late)
{
	p->strata[k].early = sorted_copy(early, p->early_cnt);
	p->strata[k].late = sorted_copy(late, p->late_cnt);
	return p->strata[k].early && p->strata[k].late ? 0 : -ENOMEM;
}

int hl_pairs__cut(struct hl_pairs *p, const double *y, uint32_t sweeps, uint32_t windows,
		  uint32_t split)
{
	int err = init_pairs(p, sweeps, split, windows - split);

	for (uint32_t k = 0; !err && k < sweeps; k++, y += windows)
		err = fill_stratum(p, k, y, y + split);
	if (err)
		hl_pairs__free_inside(p);
	return err;
}

int hl_pairs__join(struct hl_pairs *p, const double *early, uint32_t early_cnt, const double *late,
		   uint32_t late_cnt)
{
	int err = init_pairs(p, 1, early_cnt, late_cnt);

	if (!err)
		err = fill_stratum(p, 0, early, late);
	if (err)
		hl_pairs__free_inside(p);
	return err;
}

void hl_pairs__free_inside(struct hl_pairs *p)
{
	for (uint32_t k = 0; k < p->strata_cnt; k++) {
		free(p->strata[k].early);
		free(p->strata[k].late);
	}
	free(p->strata);
	memset(p, 0, sizeof(*p));
}

struct hl_pairs hl_pairs__one(const struct hl_pairs *p, uint32_t stratum)
{
	struct hl_pairs one = *p;

	one.strata += stratum;
	one.strata_cnt = 1;
	return one;
}

/* Differences that are at most x. */
static uint64_t count_up_to(const struct hl_pairs *p, double x)
{
	uint64_t cnt = 0;

	for (uint32_t k = 0; k < p->strata_cnt; k++) {
		const struct hl_stratum *t = &p->strata[k];
		uint32_t j = 0;

		/* the larger the early value, the more late ones are within reach */
		for (uint32_t i = 0; i < p->early_cnt; i++) {
			while (j < p->late_cnt && t->late[j] - t->early[i] <= x)
				j++;
			cnt += j;
		}
	}
	return cnt;
}

static void range_of_differences(const struct hl_pairs *p, double *lo, double *hi)
{
	*lo = INFINITY;
	*hi = -INFINITY;
	for (uint32_t k = 0; k < p->strata_cnt; k++) {
		const struct hl_stratum *t = &p->strata[k];

		*lo = fmin(*lo, t->late[0] - t->early[p->early_cnt - 1]);
		*hi = fmax(*hi, t->late[p->late_cnt - 1] - t->early[0]);
	}
}

double hl_pairs__select(const struct hl_pairs *p, uint64_t rank)
{
	double lo, hi;

	range_of_differences(p, &lo, &hi);
	if (count_up_to(p, lo) >= rank)
		return lo;
	for (int i = 0; i < SELECT_ROUNDS; i++) {
		double mid = lo + (hi - lo) / 2;

		if (mid <= lo || mid >= hi)
			break;
		if (count_up_to(p, mid) >= rank)
			hi = mid;
		else
			lo = mid;
	}
	return hi;
}

static uint64_t count_pairs(const struct hl_pairs *p)
{
	return (uint64_t)p->strata_cnt * p->early_cnt * p->late_cnt;
}

double hl_pairs__median(const struct hl_pairs *p)
{
	uint64_t m = count_pairs(p);
	double upper = hl_pairs__select(p, m / 2 + 1);

	return m % 2 ? upper : (hl_pairs__select(p, m / 2) + upper) / 2;
}

int hl_pairs__estimate(const struct hl_pairs *p, double alpha, struct hl_estimate *out)
{
	uint64_t m = count_pairs(p);
	int64_t c;
	int err = u_quantile(p->early_cnt, p->late_cnt, p->strata_cnt, alpha, &c);

	if (err)
		return err;
	out->median = hl_pairs__median(p);
	out->lower = c < 0 ? -INFINITY : hl_pairs__select(p, (uint64_t)c + 1);
	out->upper = c < 0 ? INFINITY : hl_pairs__select(p, m - (uint64_t)c);
	return 0;
}

/* ---- flat everywhere ---- */

struct flat_check {
	const double *y;
	uint32_t sweeps, windows;
	double limit;
	uint64_t above; /* pairs i <= s < j with y[j] - y[i] >= limit */
};

/* Window `at` (from 0) goes from late to early. */
static void move_window(struct flat_check *c, uint32_t at)
{
	const double *y = c->y;

	for (uint32_t k = 0; k < c->sweeps; k++, y += c->windows) {
		uint64_t gone = 0, come = 0;

		for (uint32_t i = 0; i < at; i++)
			gone += y[at] - y[i] >= c->limit;
		for (uint32_t j = at + 1; j < c->windows; j++)
			come += y[j] - y[at] >= c->limit;
		c->above += come;
		c->above -= gone;
	}
}

/* Splits s and N - s have the same law, and laws are dear: each is asked for once. */
static int fill_quantiles(int64_t *c, uint32_t sweeps, uint32_t windows, double alpha)
{
	for (uint32_t s = step_margin(windows); s <= windows / 2; s++) {
		int err = u_quantile(s, windows - s, sweeps, alpha, &c[s]);

		if (err)
			return err;
		c[windows - s] = c[s];
	}
	return 0;
}

int hl_below_everywhere(const double *y, uint32_t sweeps, uint32_t windows, double limit,
			double alpha, uint32_t *open_split)
{
	struct flat_check check = { .y = y, .sweeps = sweeps, .windows = windows, .limit = limit };
	uint32_t margin = step_margin(windows);
	int64_t *c = calloc(windows + 1, sizeof(*c));
	int err;

	*open_split = 0;
	if (!c)
		return -ENOMEM;
	err = fill_quantiles(c, sweeps, windows, alpha);
	/*
	 * The upper bound is the (M-c)-th of M differences: below the limit exactly when at most c
	 * of them reach it. So counting is enough, and a count goes along from split to split.
	 */
	for (uint32_t s = 1; !err && !*open_split && s <= windows - margin; s++) {
		move_window(&check, s - 1);
		if (s >= margin && (c[s] < 0 || check.above > (uint64_t)c[s]))
			*open_split = s;
	}
	free(c);
	return err;
}
