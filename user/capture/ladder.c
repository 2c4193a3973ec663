// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Which rung of its ladder each probe got, and what is lost by it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../../probes/probe.h"
#include "../log.h"
#include "capture_internal.h"

const struct loaded_program *capture_program(const struct capture *c, const char *name)
{
	for (size_t i = 0; i < c->programs_cnt; i++)
		if (!strcmp(c->programs[i].name, name))
			return &c->programs[i];
	return NULL;
}

/* The first program of the rung that is not there; NULL = the rung stands. */
static const char *missing_program(const struct capture *c, const struct rung *r, int *err)
{
	for (int i = 0; i < RUNG_PROGRAMS && r->programs[i]; i++) {
		const struct loaded_program *l = capture_program(c, r->programs[i]);

		*err = l ? l->err : -ENOENT;
		if (*err)
			return r->programs[i];
	}
	return NULL;
}

static const char *refusal_text(int err)
{
	switch (err) {
	case -ECANCELED:
		return "not asked for";
	case -ENOENT:
	case -ESRCH:
		return "not in this kernel";
	default:
		return strerror(-err);
	}
}

static int choose_rung(struct capture *c, const struct probe *p, struct capture_hook *h)
{
	const char *lost = "everything that this probe sees";
	int err = 0;

	*h = (struct capture_hook){ p->name, "none", "none", lost, "" };
	for (int i = 0; i < PROBE_RUNGS && p->rungs[i].hook; i++) {
		const struct rung *r = &p->rungs[i];
		const char *missing = missing_program(c, r, &err);

		if (!missing) {
			*h = (struct capture_hook){ p->name, r->hook, "", r->lost, r->gain };
			return i;
		}
		log_debug("%s: no '%s': %s %s", p->name, r->hook, missing, refusal_text(err));
	}
	return -1;
}

/* "best", "2nd", ...: how far down the ladder */
static const char *rung_name(int rung)
{
	static const char *const names[PROBE_RUNGS] = { "best", "2nd", "3rd", "4th" };

	return rung < 0 ? "none" : names[rung];
}

/* The reason that the rung above was not to be had, where it was tried. */
static void say_step_down(const struct capture *c, const struct probe *p,
			  const struct capture_hook *h)
{
	int err = 0;
	const char *missing = missing_program(c, &p->rungs[0], &err);

	if (!missing || err == -ECANCELED)
		return;
	log_verbose("%s: '%s' is not to be had (%s: %s); using '%s'; lost by that: %s", p->name,
		    p->rungs[0].hook, missing, refusal_text(err), h->hook,
		    h->lost[0] ? h->lost : "nothing");
}

int capture_choose_rungs(struct capture *c)
{
	c->hooks = calloc(probes_cnt ? probes_cnt : 1, sizeof(*c->hooks));
	if (!c->hooks)
		return log_err(-ENOMEM, "no memory for the hooks");
	for (size_t i = 0; i < probes_cnt; i++) {
		struct capture_hook *h = &c->hooks[c->hooks_cnt++];
		int rung = choose_rung(c, probes[i], h);

		h->rung = rung_name(rung);
		if (rung != 0)
			say_step_down(c, probes[i], h);
	}
	return 0;
}
