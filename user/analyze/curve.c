// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The rule: from the two tests and the ratio with its bounds to STEPPED, FLAT or INCONCLUSIVE. */
#include "curve.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../reports/summary.h"
#include "../log.h"
#include "curve_hl.h"
#include "curve_step.h"

#define BOUND_ALPHA  0.05 /* of each one-sided bound */
#define AGREE_RATIO  1.10 /* a sweep of its own agrees with the step from here on */
#define AGREE_PART   0.8  /* so many of the sweeps must: one drifting sweep makes no step */
#define SPIKE_RATIO  3.0
#define SPIKES_SHOWN 3
#define COLD_WINDOWS 2 /* slow windows at the start up to here are a cold start */

/* A change at one split, in either direction. */
struct change {
	uint32_t split; /* windows before it; 0 = no split is possible */
	double p;	/* the smaller of the two tests' */
	double ratio, lower, upper;
	double ms;	/* median difference */
	uint32_t agree; /* sweeps */
};

struct judgement {
	const double *ms;
	double *logs;
	uint32_t sweeps, windows;
	const struct curve_opts *opts;
	struct change up, down;
	uint32_t open_split; /* the first split at which a step cannot be excluded; 0 = none */
};

void curve_opts__defaults(struct curve_opts *opts)
{
	*opts = (struct curve_opts){
		.min_ratio = 1.25,
		.min_step_ms = 10,
		.flat_ratio = 1.5,
		.alpha = 0.005,
		.seed = 0x666c617470617573ull, /* "flatpaus" */
		.permutations = 20000,
	};
}

bool curve__is_pause_ms(double ms)
{
	return isfinite(ms) && ms >= 1e-12 && ms <= 1e12;
}

/* ---- medians and spikes ---- */

double curve__median_ms(const struct finding_curve *c, uint32_t from, uint32_t to)
{
	double median = curve_median(c, from, to < c->windows ? to : c->windows);

	return isfinite(median) ? median : 0;
}

double curve__worst_ms(const struct finding_curve *c, uint32_t from, uint32_t to)
{
	double worst = 0;

	for (uint32_t k = 0; from && c->values_ms && k < c->sweeps; k++)
		for (uint32_t i = from; i <= to && i <= c->windows; i++)
			worst = fmax(worst, c->values_ms[(size_t)k * c->windows + i - 1]);
	return worst;
}

static double spike_over(double ms, double median, const struct curve_opts *opts)
{
	if (!(median > 0) || ms < SPIKE_RATIO * median || ms - median < opts->min_step_ms)
		return 0;
	return ms / median;
}

double curve__spike(const struct finding_curve *c, uint32_t sweep, uint32_t window,
		    const struct curve_opts *opts)
{
	struct curve_opts defaults;
	uint32_t from = 1, to = c->windows;

	if (!opts) {
		curve_opts__defaults(&defaults);
		opts = &defaults;
	}
	if (!c->values_ms || !sweep || sweep > c->sweeps || !window || window > c->windows)
		return 0;
	if (c->at_window && window < c->at_window)
		to = c->at_window - 1;
	else if (c->at_window)
		from = c->at_window;
	return spike_over(c->values_ms[(size_t)(sweep - 1) * c->windows + window - 1],
			  curve__median_ms(c, from, to), opts);
}

/* ---- measuring ---- */

static int measure_ratio(const struct judgement *j, struct change *c, double direction)
{
	struct hl_estimate est;
	struct hl_pairs pairs;
	int err = hl_pairs__cut(&pairs, j->logs, j->sweeps, j->windows, c->split);

	if (err)
		return err;
	err = hl_pairs__estimate(&pairs, BOUND_ALPHA, &est);
	if (err)
		goto out;
	c->ratio = exp(est.median);
	c->lower = exp(est.lower); /* exp(-INFINITY) = 0, exp(INFINITY) = INFINITY */
	c->upper = exp(est.upper);
	for (uint32_t k = 0; k < j->sweeps; k++) {
		struct hl_pairs one = hl_pairs__one(&pairs, k);

		c->agree += direction * hl_pairs__median(&one) >= log(AGREE_RATIO);
	}
out:
	hl_pairs__free_inside(&pairs);
	return err;
}

static int measure_change(const struct judgement *j, struct change *c, double direction)
{
	struct hl_pairs pairs;
	int err;

	c->agree = 0;
	if (!c->split)
		return 0;
	err = measure_ratio(j, c, direction);
	if (err)
		return err;
	err = hl_pairs__cut(&pairs, j->ms, j->sweeps, j->windows, c->split);
	if (err)
		return err;
	c->ms = hl_pairs__median(&pairs);
	hl_pairs__free_inside(&pairs);
	return 0;
}

/* Where both tests say the same, the parametric one places the step better. */
static struct change pick_change(double p_rank, uint32_t split_rank, double p_t, uint32_t split_t)
{
	if (p_rank < p_t)
		return (struct change){ .split = split_rank, .p = p_rank, .ratio = 1 };
	return (struct change){ .split = split_t, .p = p_t, .ratio = 1 };
}

static int measure(struct judgement *j)
{
	struct step_opts opts = { .draws = j->opts->permutations, .seed = j->opts->seed };
	struct step_test ranks, maxt;
	int err = rank_step__test(j->logs, j->sweeps, j->windows, &opts, &ranks);

	if (!err)
		err = maxt_step__test(j->logs, j->sweeps, j->windows, &opts, &maxt);
	if (err)
		return err;
	j->up = pick_change(ranks.p_up, ranks.split_up, maxt.p_up, maxt.split_up);
	j->down = pick_change(ranks.p_down, ranks.split_down, maxt.p_down, maxt.split_down);
	err = measure_change(j, &j->up, 1);
	if (!err)
		err = measure_change(j, &j->down, -1);
	if (!err && j->windows > 1)
		err = hl_below_everywhere(j->logs, j->sweeps, j->windows, log(j->opts->flat_ratio),
					  BOUND_ALPHA, &j->open_split);
	return err;
}

/* ---- the rule ---- */

static uint32_t agree_needed(uint32_t sweeps)
{
	return (uint32_t)ceil(AGREE_PART * sweeps - 1e-9);
}

static bool is_step(const struct judgement *j)
{
	return j->up.split && j->up.p <= j->opts->alpha && j->up.ratio >= j->opts->min_ratio &&
	       j->up.ms >= j->opts->min_step_ms && j->up.agree >= agree_needed(j->sweeps);
}

/* The same rule on the curve upside down: it improves, or begins cold. */
static bool is_fall(const struct judgement *j)
{
	return j->down.split && j->down.p <= j->opts->alpha &&
	       1 / j->down.ratio >= j->opts->min_ratio && -j->down.ms >= j->opts->min_step_ms &&
	       j->down.agree >= agree_needed(j->sweeps);
}

static enum curve_verdict decide(const struct judgement *j)
{
	if (j->windows < CURVE_MIN_WINDOWS)
		return CURVE_INCONCLUSIVE;
	if (is_step(j))
		return CURVE_STEPPED;
	return j->open_split ? CURVE_INCONCLUSIVE : CURVE_FLAT;
}

/* ---- the reason in words ---- */

static const char *plural(uint32_t n)
{
	return n == 1 ? "" : "s";
}

static void say_step(FILE *out, const struct judgement *j)
{
	const struct change *c = &j->up;

	fprintf(out, "windows %u to %u take %.3g times as long as the %u before", c->split + 1,
		j->windows, c->ratio, c->split);
	if (c->lower > 0)
		fprintf(out, " (95 %% lower bound %.3g)", c->lower);
	fprintf(out, ", %.0f ms more; %u of %u sweep%s agree%s", c->ms, c->agree, j->sweeps,
		plural(j->sweeps), j->sweeps == 1 ? "s" : "");
}

/* What keeps the best candidate from being a step, the first that does. */
static void say_why_no_step(FILE *out, const struct judgement *j)
{
	const struct change *c = &j->up;

	if (c->p > j->opts->alpha)
		fprintf(out,
			"no step is shown: the best candidate, window %u at %.3g times, has p=%.2g "
			"(a step has at most %.2g)",
			c->split + 1, c->ratio, fmin(1, 2 * c->p), 2 * j->opts->alpha);
	else if (c->ratio < j->opts->min_ratio)
		fprintf(out, "the rise at window %u is only %.3g times (a step is %.3g)",
			c->split + 1, c->ratio, j->opts->min_ratio);
	else if (c->ms < j->opts->min_step_ms)
		fprintf(out, "the rise at window %u is only %.2g ms (a step is %.3g ms)",
			c->split + 1, c->ms, j->opts->min_step_ms);
	else
		fprintf(out, "only %u of %u sweeps rise at window %u (a step needs %u)", c->agree,
			j->sweeps, c->split + 1, agree_needed(j->sweeps));
}

static void say_open(FILE *out, const struct judgement *j)
{
	say_why_no_step(out, j);
	fprintf(out, "; a step of %.3g times at window %u cannot be excluded: add sweeps",
		j->opts->flat_ratio, j->open_split + 1);
}

static void say_fall(FILE *out, const struct judgement *j)
{
	const struct change *c = &j->down;

	fprintf(out, "; %s: windows 1 to %u take %.3g times as long as the rest",
		c->split <= COLD_WINDOWS ? "cold first windows" : "improving", c->split,
		1 / c->ratio);
}

static void say_spike(FILE *out, uint32_t sweep, uint32_t window, double ms, double times)
{
	fprintf(out, "; %s: window %u of sweep %u, %.0f ms, %.3g times its median",
		window <= COLD_WINDOWS ? "cold start" : "spike", window, sweep, ms, times);
}

static void say_spikes(FILE *out, const struct judgement *j, const struct finding_curve *c)
{
	double early = 0, late = curve__median_ms(c, c->at_window ? c->at_window : 1, c->windows);
	uint32_t cnt = 0;

	if (c->at_window)
		early = curve__median_ms(c, 1, c->at_window - 1);
	for (uint32_t k = 0; k < c->sweeps; k++)
		for (uint32_t i = 0; i < c->windows; i++) {
			double ms = c->values_ms[(size_t)k * c->windows + i];
			double times = spike_over(ms, i + 1 < c->at_window ? early : late, j->opts);

			if (times > 0 && ++cnt <= SPIKES_SHOWN)
				say_spike(out, k + 1, i + 1, ms, times);
		}
	if (cnt > SPIKES_SHOWN)
		fprintf(out, "; %u more spikes", cnt - SPIKES_SHOWN);
}

static void say_why(FILE *out, const struct judgement *j, const struct finding_curve *c)
{
	if (j->windows < CURVE_MIN_WINDOWS)
		fprintf(out,
			"%u window%s a sweep cannot tell a step from noise: record at least %d, "
			"better 10",
			j->windows, plural(j->windows), CURVE_MIN_WINDOWS);
	else if (c->verdict == CURVE_STEPPED)
		say_step(out, j);
	else if (c->verdict == CURVE_FLAT)
		fprintf(out, "at no window can there be a step of %.3g times (95 %%)",
			j->opts->flat_ratio);
	else
		say_open(out, j);
	if (c->verdict != CURVE_STEPPED && j->windows >= CURVE_MIN_WINDOWS && is_fall(j))
		say_fall(out, j);
	say_spikes(out, j, c);
}

static int write_why(const struct judgement *j, struct finding_curve *c)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return -ENOMEM;
	say_why(out, j, c);
	if (fclose(out)) {
		free(text);
		return -ENOMEM;
	}
	free(c->why);
	c->why = text;
	return 0;
}

/* ---- the whole ---- */

static int check_values(const double *ms, uint32_t sweeps, uint32_t windows)
{
	if (!sweeps || !windows || windows > CURVE_MAX_WINDOWS ||
	    sweeps > CURVE_MAX_VALUES / windows)
		return log_err(-EINVAL, "a pause curve of %u sweeps of %u windows", sweeps,
			       windows);
	for (size_t i = 0; i < (size_t)sweeps * windows; i++)
		if (!curve__is_pause_ms(ms[i]))
			return log_err(-EINVAL, "window %zu of sweep %zu: %g ms is no pause",
				       i % windows + 1, i / windows + 1, ms[i]);
	return 0;
}

static void fill_curve(const struct judgement *j, struct finding_curve *out)
{
	out->verdict = decide(j);
	out->at_window = out->verdict == CURVE_STEPPED ? j->up.split + 1 : 0;
	out->ratio = j->up.ratio;
	out->ratio_lower95 = j->up.split ? j->up.lower : 0;
	out->ratio_upper95 = j->up.split ? j->up.upper : INFINITY;
	out->p = fmin(1, 2 * j->up.p);
	out->sweeps = j->sweeps;
	out->windows = j->windows;
}

int curve__judge(const double *values_ms, uint32_t sweeps, uint32_t windows,
		 const struct curve_opts *opts, struct finding_curve *out)
{
	struct judgement j = { .sweeps = sweeps, .windows = windows, .opts = opts };
	struct curve_opts defaults;
	double *copy = NULL;
	size_t cnt = (size_t)sweeps * windows;
	int err = check_values(values_ms, sweeps, windows);

	if (err)
		return err;
	if (!opts) {
		curve_opts__defaults(&defaults);
		j.opts = &defaults;
	}
	err = -ENOMEM;
	copy = malloc(cnt * sizeof(*copy));
	j.logs = malloc(cnt * sizeof(*j.logs));
	if (!copy || !j.logs)
		goto out;
	memcpy(copy, values_ms, cnt * sizeof(*copy));
	for (size_t i = 0; i < cnt; i++)
		j.logs[i] = log(copy[i]);
	j.ms = copy;
	err = measure(&j);
	if (err)
		goto out;
	fill_curve(&j, out);
	free(out->values_ms);
	out->values_ms = copy;
	copy = NULL;
	err = write_why(&j, out);
out:
	free(j.logs);
	free(copy);
	return err;
}
