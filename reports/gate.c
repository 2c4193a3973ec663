// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "gate.h"

#include <stdlib.h>
#include <string.h>

void gate_report__free_inside(struct gate_report *r)
{
	for (size_t i = 0; i < GATE_LOOKS_MAX; i++) {
		free(r->looks[i].curve.values_ms);
		free(r->looks[i].curve.why);
	}
	for (size_t i = 0; i < r->causes_cnt; i++)
		free(r->causes[i].cause);
	free(r->causes);
	free(r->name);
	free(r->headline);
	free(r->text);
	free(r->source);
	free(r->host_class);
	memset(r, 0, sizeof(*r));
}

const char *gate_outcome_name(enum gate_outcome o)
{
	switch (o) {
	case GATE_PASS:
		return "pass";
	case GATE_FAIL:
		return "fail";
	case GATE_INCONCLUSIVE:
		break;
	}
	return "inconclusive";
}

const char *gate_level_name(enum gate_level_verdict v)
{
	switch (v) {
	case GATE_LEVEL_SAME:
		return "same";
	case GATE_LEVEL_SLOWER:
		return "slower";
	case GATE_LEVEL_CANNOT_TELL:
		return "cannot_tell";
	case GATE_LEVEL_NONE:
		break;
	}
	return "none";
}

/* Whole per cents, and one decimal where they would be 0. */
static const char *format_share(char buf[16], double share)
{
	snprintf(buf, 16, share > 0 && share < 0.0095 ? "%.1f %%" : "%.0f %%", 100 * share);
	return buf;
}

char *gate_cause_text(const struct gate_report *r, const struct gate_cause *c)
{
	char before[16], after[16], *text;

	if (asprintf(&text, "%s %s -> %s in windows %u..%u%s", c->cause,
		     format_share(before, c->share_before), format_share(after, c->share_after),
		     r->causes_from, r->causes_to,
		     r->causes_of_baseline ? " (before: the baseline)" : "") < 0)
		return NULL;
	return text;
}
