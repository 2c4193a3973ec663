// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Has a mitigation flattened the curve: an arm beside the one before it and the control. */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "curve.h"
#include "curve_hl.h"

#define BOUND_ALPHA 0.05

/* Where the curve before has no step, its windows from here on are compared. */
#define SLOW_FROM 3

/* What is compared. */
struct compared {
	const struct finding_curve *before, *control, *arm;
	const struct curve_opts *opts;
	struct curve_comparison *r;
};

static void say(struct compared *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void say(struct compared *c, const char *fmt, ...)
{
	size_t at = strlen(c->r->text);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->r->text + at, sizeof(c->r->text) - at, fmt, ap);
	va_end(ap);
}

/* Values of windows from..to of all sweeps as logarithms. */
static double *logs_of(const struct finding_curve *c, uint32_t from, uint32_t to, uint32_t *cnt)
{
	uint32_t last = to < c->windows ? to : c->windows, n = 0;
	double *v;

	*cnt = from > last ? 0 : (last - from + 1) * c->sweeps;
	v = malloc((*cnt ? *cnt : 1) * sizeof(*v));
	for (uint32_t k = 0; v && k < c->sweeps; k++)
		for (uint32_t i = from; i <= last; i++)
			v[n++] = log(c->values_ms[(size_t)k * c->windows + i - 1]);
	return v;
}

/* The lower bound of before / arm over the compared windows: a number, or 0 = too few. */
static int bound_gain(struct compared *c)
{
	uint32_t arm_cnt, before_cnt;
	double *arm = logs_of(c->arm, c->r->from, c->r->to, &arm_cnt);
	double *before = logs_of(c->before, c->r->from, c->r->to, &before_cnt);
	struct hl_estimate est;
	struct hl_pairs pairs;
	int err = arm && before ? 0 : -ENOMEM;

	if (err || !arm_cnt || !before_cnt)
		goto out;
	err = hl_pairs__join(&pairs, arm, arm_cnt, before, before_cnt);
	if (err)
		goto out;
	err = hl_pairs__estimate(&pairs, BOUND_ALPHA, &est);
	hl_pairs__free_inside(&pairs);
	if (!err)
		c->r->gain_lower95 = exp(est.lower);
out:
	free(arm);
	free(before);
	return err;
}

static int estimate_rise(const struct finding_curve *c, uint32_t split, struct hl_estimate *est)
{
	size_t cnt = (size_t)c->sweeps * c->windows;
	double *logs = malloc(cnt * sizeof(*logs));
	struct hl_pairs pairs;
	int err;

	if (!logs)
		return -ENOMEM;
	for (size_t i = 0; i < cnt; i++)
		logs[i] = log(c->values_ms[i]);
	err = hl_pairs__cut(&pairs, logs, c->sweeps, c->windows, split);
	free(logs);
	if (err)
		return err;
	err = hl_pairs__estimate(&pairs, BOUND_ALPHA, est);
	hl_pairs__free_inside(&pairs);
	return err;
}

/*
 * Levels may differ from the control's with good reason, so the shapes are compared: the rise at
 * the step before, here over there. Two one-sided 95 % bounds of each rise give the 90 % interval
 * of their difference (Zou and Donner's recovery of variances), also when they are not symmetric.
 */
static int compare_shapes(struct compared *c)
{
	struct hl_estimate a, b;
	uint32_t split = c->r->from - 1;
	double d;
	int err;

	if (!c->control || !split || split >= c->arm->windows || split >= c->control->windows)
		return 0;
	err = estimate_rise(c->arm, split, &a);
	if (!err)
		err = estimate_rise(c->control, split, &b);
	if (err || !isfinite(a.lower) || !isfinite(b.lower))
		return err;
	d = a.median - b.median;
	c->r->shape = exp(d);
	c->r->shape_lower = exp(d - hypot(a.median - a.lower, b.upper - b.median));
	c->r->shape_upper = exp(d + hypot(a.upper - a.median, b.median - b.lower));
	return 0;
}

/* The windows that were slow before; all from the third on if it has no step. */
static void choose_windows(struct compared *c)
{
	c->r->from = c->before->at_window ? c->before->at_window : SLOW_FROM;
	c->r->to = c->before->windows;
	if (c->r->to < c->r->from)
		c->r->from = 1;
}

static void measure_levels(struct compared *c)
{
	struct curve_comparison *r = c->r;
	double base;

	r->before_ms = curve__median_ms(c->before, r->from, r->to);
	if (c->before->at_window)
		r->before_fast_ms = curve__median_ms(c->before, 1, r->from - 1);
	r->arm_ms = curve__median_ms(c->arm, r->from, r->to);
	r->arm_worst_ms = curve__worst_ms(c->arm, r->from, r->to);
	if (c->control)
		r->control_ms = curve__median_ms(c->control, r->from, r->to);
	if (r->arm_ms > 0)
		r->ratio_to_before = r->before_ms / r->arm_ms;
	if (r->control_ms > 0)
		r->ratio_to_control = r->arm_ms / r->control_ms;
	base = r->control_ms > 0 ? r->control_ms : r->before_fast_ms;
	if (base > 0)
		r->limit_ms = fmax(base * c->opts->flat_ratio, base + c->opts->min_step_ms);
}

/* ---- the decision ---- */

static bool is_better(const struct compared *c)
{
	return c->r->gain_lower95 > 1 && c->r->ratio_to_before >= c->opts->min_ratio;
}

static const char *better(const struct compared *c)
{
	return is_better(c) ? "better, not flat" : "not shown to be better, not flat";
}

static void say_medians(struct compared *c)
{
	struct curve_comparison *r = c->r;

	say(c, "median of windows %u to %u: %.4g ms, %.3g times below before (%.4g ms)", r->from,
	    r->to, r->arm_ms, r->ratio_to_before, r->before_ms);
	if (r->control_ms > 0)
		say(c, ", %.3g times the control's (%.4g ms)", r->ratio_to_control, r->control_ms);
	else if (r->before_fast_ms > 0)
		say(c, "; the fast windows before: %.4g ms", r->before_fast_ms);
	if (r->arm_worst_ms > 3 * r->arm_ms)
		say(c, "; worst window %.4g ms", r->arm_worst_ms);
}

static void say_limit(struct compared *c)
{
	say(c, "%.4g ms is what flat may be at most, from %s", c->r->limit_ms,
	    c->r->control_ms > 0 ? "the control" : "the fast windows before");
}

static void say_shape(struct compared *c)
{
	struct curve_comparison *r = c->r;

	if (!(r->shape > 0))
		return;
	say(c, "; shape against the control %.3g (90 %% %.3g to %.3g), %s", r->shape,
	    r->shape_lower, r->shape_upper,
	    r->shape_upper < c->opts->flat_ratio && r->shape_lower > 1 / c->opts->flat_ratio
		    ? "equivalent"
		    : "equivalence not shown");
}

/* What keeps the data from deciding; true if something does. Said. */
static bool cannot_tell(struct compared *c)
{
	if (c->arm->windows < c->r->to) {
		say(c, "inconclusive: %u windows here, %u before", c->arm->windows, c->r->to);
		return true;
	}
	if (c->control && c->control->windows < c->r->to) {
		say(c, "inconclusive: %u windows of the control, %u before", c->control->windows,
		    c->r->to);
		return true;
	}
	if (c->before->verdict == CURVE_FLAT) {
		say(c, "inconclusive: the curve before is flat already, there was no step to take "
		       "away; ");
		say_medians(c);
		return true;
	}
	return false;
}

/*
 * Levels differ from the control's with good reason where the device has work of its own in the
 * pause. A curve that is FLAT by every split, lower than before, and nearer to the fast windows
 * than to the slow ones (on the scale of ratios) is flattened all the same.
 */
static bool is_flat_on_its_own(const struct compared *c)
{
	const struct curve_comparison *r = c->r;
	double fast_ms = r->before_fast_ms > 0 ? r->before_fast_ms : r->control_ms;

	return c->arm->verdict == CURVE_FLAT && is_better(c) &&
	       r->arm_ms * r->arm_ms <= fast_ms * r->before_ms;
}

/* The rest of the order: a step here, too slow, not enough to show it, flat. */
static enum curve_outcome decide(struct compared *c)
{
	struct curve_comparison *r = c->r;

	if (cannot_tell(c))
		return CURVE_NOT_SHOWN;
	if (c->arm->verdict == CURVE_STEPPED) {
		say(c, "%s: still STEPPED at window %u, %.3g times; ", better(c), c->arm->at_window,
		    c->arm->ratio);
		say_medians(c);
		return CURVE_NOT_FLATTENED;
	}
	if (r->limit_ms > 0 && r->arm_ms > r->limit_ms) {
		if (is_flat_on_its_own(c)) {
			say(c, "flattened: flat at a level of its own; ");
			say_medians(c);
			return CURVE_FLATTENED;
		}
		say(c, "%s: ", better(c));
		say_medians(c);
		say(c, "; ");
		say_limit(c);
		return CURVE_NOT_FLATTENED;
	}
	if (!(r->limit_ms > 0)) {
		say(c, "inconclusive: the curve before has no proven step and there is no control "
		       "to say what flat is; ");
	} else if (c->arm->windows < CURVE_MIN_WINDOWS) {
		say(c,
		    "inconclusive: as low as flat must be, but %u windows cannot show that no step "
		    "is left (record at least %d); ",
		    c->arm->windows, CURVE_MIN_WINDOWS);
	} else if (!is_better(c)) {
		say(c,
		    "inconclusive: as low as flat must be, but not shown to be lower than before "
		    "(95 %% bound %.3g times); ",
		    r->gain_lower95);
	} else {
		say(c, "flattened: no step, ");
		say_medians(c);
		say_shape(c);
		if (!c->before->at_window)
			say(c, "; before was not proven to step, only to be slower");
		return CURVE_FLATTENED;
	}
	say_medians(c);
	return CURVE_NOT_SHOWN;
}

static bool has_values(const struct finding_curve *c)
{
	return c->values_ms && c->sweeps && c->windows;
}

int curve__measure(const struct finding_curve *before, const struct finding_curve *control,
		   const struct finding_curve *arm, const struct curve_opts *opts,
		   struct curve_comparison *out)
{
	struct compared c = {
		.before = before, .control = control, .arm = arm, .opts = opts, .r = out
	};
	struct curve_opts defaults;
	int err;

	memset(out, 0, sizeof(*out));
	if (!has_values(before) || !has_values(arm) || (control && !has_values(control)))
		return -EINVAL;
	if (!opts) {
		curve_opts__defaults(&defaults);
		c.opts = &defaults;
	}
	choose_windows(&c);
	measure_levels(&c);
	err = bound_gain(&c);
	if (!err)
		err = compare_shapes(&c);
	if (!err)
		out->outcome = decide(&c);
	return err;
}

int curve__fill_arm(struct arm *arm, const struct curve_comparison *r)
{
	arm->ratio_to_before = r->ratio_to_before;
	arm->ratio_to_control = r->ratio_to_control;
	arm->outcome = arm->kind == ARM_MITIGATED ? r->outcome : CURVE_NOT_SHOWN;
	return finding_set(&arm->text, r->text);
}

int curve__compare(const struct finding_curve *before, const struct finding_curve *control,
		   const struct curve_opts *opts, struct arm *arm)
{
	struct curve_comparison r;
	int err = curve__measure(before, control, &arm->curve, opts, &r);

	return err ? err : curve__fill_arm(arm, &r);
}
