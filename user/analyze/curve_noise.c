// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "curve_noise.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAD_TO_SIGMA 1.4826

struct residues {
	double *abs; /* distances from the median of their side */
	double *sorted;
	uint32_t cnt;
	double products, squares; /* about the mean, neighbours within a side */
	struct curve_noise *out;
};

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median_of(double *v, uint32_t cnt)
{
	qsort(v, cnt, sizeof(*v), compare_doubles);
	return cnt % 2 ? v[cnt / 2] : (v[cnt / 2 - 1] + v[cnt / 2]) / 2;
}

/* One side of the step in one sweep. */
static void add_side(struct residues *r, const double *ms, uint32_t cnt)
{
	double median, mean = 0;

	if (cnt < 2)
		return;
	for (uint32_t i = 0; i < cnt; i++) {
		r->sorted[i] = log(ms[i]);
		mean += r->sorted[i] / cnt;
	}
	median = median_of(r->sorted, cnt);
	for (uint32_t i = 0; i < cnt; i++) {
		double y = log(ms[i]) - mean;

		r->abs[r->cnt++] = fabs(log(ms[i]) - median);
		r->squares += y * y;
		if (i)
			r->products += y * (log(ms[i - 1]) - mean);
	}
	r->out->nu += cnt - 1;
	r->out->phi_pairs += cnt - 1;
}

int curve_noise__measure(const struct finding_curve *c, struct curve_noise *out)
{
	uint32_t split = c->at_window ? c->at_window - 1 : 0;
	struct residues r = { .out = out };
	int err = -ENOMEM;

	memset(out, 0, sizeof(*out));
	r.abs = malloc(((size_t)c->sweeps * c->windows + 1) * sizeof(*r.abs));
	r.sorted = malloc(((size_t)c->windows + 1) * sizeof(*r.sorted));
	if (!r.abs || !r.sorted)
		goto out;
	for (uint32_t k = 0; k < c->sweeps; k++) {
		const double *ms = c->values_ms + (size_t)k * c->windows;

		add_side(&r, ms, split);
		add_side(&r, ms + split, c->windows - split);
	}
	if (r.cnt)
		out->sigma = MAD_TO_SIGMA * median_of(r.abs, r.cnt);
	if (r.squares > 0)
		out->phi = r.products / r.squares;
	err = 0;
out:
	free(r.abs);
	free(r.sorted);
	return err;
}
