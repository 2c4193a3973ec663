// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The cause: what has the largest part in the growth, and how sure that is. */
#include "verdict.h"

#include <errno.h>

/* Mostly stalls; and without a step: shorter pauses, or such as are mostly work, are no anomaly. */
#define HELD_MIN_NS    50e6
#define HELD_MIN_SHARE 0.5

/* Work, as opposed to waiting or searching: more of it is no stall. */
static bool is_work(const char *cause)
{
	return !strcmp(cause, "user.cpu") || !strcmp(cause, "fs.copy") ||
	       !strncmp(cause, "kernel.", 7) || !strcmp(cause, "ext4.writepages");
}

static double stalled_share(const struct contrast *c)
{
	double share = 0;

	for (size_t i = 0; i < vec__cnt(&c->rows); i++) {
		const struct cause_row *r = VEC_AT(&c->rows, struct cause_row, i);

		if (!is_work(r->cause))
			share += r->share;
	}
	return share;
}

/* The largest row that is a stall; NULL = there is none. */
static const struct cause_row *top_stall(const struct contrast *c)
{
	for (size_t i = 0; i < vec__cnt(&c->rows); i++)
		if (!is_work(VEC_AT(&c->rows, struct cause_row, i)->cause))
			return VEC_AT(&c->rows, struct cause_row, i);
	return NULL;
}

/*
 * Stalls come under many names (a journal, a throttle, pages under writeback) and work under few:
 * where most of it is stalls, the largest of these is the cause, and not a larger piece of work.
 */
static const struct cause_row *top_cause(const struct contrast *c)
{
	const struct cause_row *top = vec__cnt(&c->rows) ? VEC_AT(&c->rows, struct cause_row, 0)
							 : NULL;

	if (!top)
		return NULL;
	if (c->kind == CONTRAST_GROWTH)
		return stalled_share(c) >= HELD_MIN_SHARE ? top_stall(c) : top;
	if (c->slow_ns < HELD_MIN_NS || stalled_share(c) < HELD_MIN_SHARE)
		return NULL;
	return top_stall(c);
}

/* Does a second, independent kind of record say the same as the stack? */
static double corroboration(const struct contrast *c, const char *cause)
{
	const struct evidence *e = &c->slow;
	static const double confirmed = 1, indirect = 0.85, stack_only = 0.6;

	if (!strncmp(cause, "io.throttle", 11))
		return e->wbt_points ? confirmed : e->requests ? indirect : stack_only;
	if (!strncmp(cause, "writeback.", 10))
		return e->dirty_pauses ? confirmed : e->requests ? indirect : stack_only;
	if (!strncmp(cause, "ext4.", 5))
		return e->allocs ? confirmed : stack_only;
	if (!strncmp(cause, "jbd2.", 5))
		return e->commits ? confirmed : stack_only;
	if (!strncmp(cause, "io.", 3) || !strcmp(cause, "fs.writeback_wait"))
		return e->requests ? confirmed : stack_only;
	if (!strncmp(cause, "unknown.", 8))
		return stack_only;
	return indirect;
}

static double lost_share(const struct finding_loss *l)
{
	return l->events ? l->events / (l->events + (double)l->recorded) : 0;
}

static double bounded(double x)
{
	return x < 0 ? 0 : x > 1 ? 1 : x;
}

int verdict__judge(struct analysis *a)
{
	struct finding_verdict *v = &a->f->verdict;
	const struct cause_row *top;
	struct contrast c;
	double coverage;
	int err = contrast__new(a, &c);

	if (err)
		goto out;
	top = top_cause(&c);
	coverage = bounded(1 - c.unknown_share - lost_share(&a->f->loss));
	err = finding_set(&v->cause, top ? top->cause : "none");
	if (err)
		goto out;
	if (top) {
		v->share = bounded(top->share);
		v->confidence = v->share * corroboration(&c, top->cause) * coverage;
	} else { /* that nothing is wrong is as sure as the curve is flat and all is seen */
		v->confidence = a->f->curve.verdict == CURVE_FLAT ? coverage : coverage / 2;
	}
	err = verdict__say(a, &c, top);
out:
	contrast__free(&c);
	return err;
}
