// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* How long curve__judge() takes; the first call of a shape makes its laws, later ones find them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "user/analyze/curve.h"
#include "user/analyze/curve_rng.h"

#define CALLS 20

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

/* Pauses of about 100 ms with 20 % noise and a step to twice that in the middle. */
static void fill(double *v, uint32_t sweeps, uint32_t windows, struct curve_rng *rng, double unit)
{
	for (size_t i = 0; i < (size_t)sweeps * windows; i++) {
		double ms = 100 * exp(0.2 * curve_rng__normal(rng));

		if (i % windows >= windows / 2)
			ms *= 2;
		/* as a command prints them: whole units, so that ties occur */
		v[i] = unit > 0 ? ceil(ms / unit) * unit : ms;
	}
}

static int bench(uint32_t sweeps, uint32_t windows, double unit)
{
	double *v = malloc((size_t)sweeps * windows * sizeof(*v)), first, again, start;
	struct finding_curve c = { 0 };
	struct curve_rng rng;
	int err = -1;

	if (!v)
		return -1;
	curve_rng__init(&rng, 1);
	fill(v, sweeps, windows, &rng, unit);
	start = now_s();
	if (curve__judge(v, sweeps, windows, NULL, &c))
		goto out;
	first = now_s() - start;
	start = now_s();
	for (int i = 0; i < CALLS; i++)
		if (curve__judge(v, sweeps, windows, NULL, &c))
			goto out;
	again = (now_s() - start) / CALLS;
	printf("curve %3u x %-4u %-7s  first %8.2f ms   again %8.3f ms   %s\n", sweeps, windows,
	       unit > 0 ? "ties" : "no ties", first * 1e3, again * 1e3,
	       curve_verdict_name(c.verdict));
	err = 0;
out:
	free(v);
	free(c.values_ms);
	free(c.why);
	return err;
}

int main(void)
{
	static const uint32_t shapes[][2] = {
		{ 1, 10 }, { 3, 10 }, { 5, 10 }, { 4, 60 }, { 50, 1000 }
	};

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		if (bench(shapes[i][0], shapes[i][1], 0) || bench(shapes[i][0], shapes[i][1], 1))
			return 1;
	return 0;
}
