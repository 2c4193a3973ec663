// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The one table of probes, and how the causes in it are matched. */
#include "registry.h"

#include <string.h>

/*
 * The order decides between causes that match the same stack: what is nearest to the place where
 * the thread stopped comes first. Every buffered write under wbt is also a write under ext4, so
 * throttles stand before the journal, the journal before the allocator, that before plain waits.
 */
const struct probe *const probes[] = {
	&probe_wbt,  &probe_dirty,  &probe_jbd2,  &probe_mballoc,
	&probe_file, &probe_device, &probe_futex, &probe_cpu,
};
const size_t probes_cnt = sizeof(probes) / sizeof(probes[0]);

const struct probe *probes__find(const char *name)
{
	for (size_t i = 0; i < probes_cnt; i++)
		if (!strcmp(probes[i]->name, name))
			return probes[i];
	return NULL;
}

bool frame_is(const char *frame, const char *name)
{
	size_t n = strlen(name);

	/* Compilers add .isra.0, .constprop.1, .part.2, .cold; symbolizers add +0x12. */
	return frame && !strncmp(frame, name, n) &&
	       (frame[n] == '\0' || frame[n] == '.' || frame[n] == '+');
}

static bool group_matches(const char *const names[CAUSE_NAMES], const struct probe_context *ctx)
{
	for (int n = 0; n < CAUSE_NAMES && names[n]; n++)
		for (size_t i = 0; i < ctx->frames_cnt; i++)
			if (frame_is(ctx->frames[i], names[n]))
				return true;
	return false;
}

static bool frames_match(const struct cause *c, const struct probe_context *ctx)
{
	for (int g = 0; g < CAUSE_GROUPS && c->all_of[g][0]; g++)
		if (!group_matches(c->all_of[g], ctx))
			return false;
	return true;
}

static bool cause_matches(const struct cause *c, const struct probe_context *ctx)
{
	if (!(c->kind & (ctx->running ? CAUSE_RUNNING : CAUSE_BLOCKED)))
		return false;
	if (!c->all_of[0][0] && !c->match)
		return false; /* named by the analysis alone: runqueues, requests */
	return frames_match(c, ctx) && (!c->match || c->match(ctx));
}

const struct cause *probes__classify(const struct probe_context *ctx)
{
	for (size_t i = 0; i < probes_cnt; i++)
		for (const struct cause *c = probes[i]->causes; c && c->id; c++)
			if (cause_matches(c, ctx))
				return c;
	return NULL;
}

const struct cause *probes__cause(const char *id)
{
	for (size_t i = 0; i < probes_cnt; i++)
		for (const struct cause *c = probes[i]->causes; c && c->id; c++)
			if (!strcmp(c->id, id))
				return c;
	return NULL;
}

bool no_frames(const struct probe_context *ctx)
{
	return ctx->frames_cnt == 0;
}
