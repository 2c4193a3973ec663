// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* From a stack and what else is known of a stretch of time to the leaf of the cause tree. */
#include "registry.h"

#include <string.h>

bool frame_is(const char *frame, const char *name)
{
	size_t n = strlen(name);

	/* Compilers add .isra.0, .constprop.1, .part.2, .cold; symbolizers add +0x12. */
	return frame && !strncmp(frame, name, n) &&
	       (frame[n] == '\0' || frame[n] == '.' || frame[n] == '+');
}

static bool is_one_of(const char *frame, const char *const *names)
{
	for (; *names; names++)
		if (frame_is(frame, *names))
			return true;
	return false;
}

static size_t frames_seen(const struct probe_context *ctx)
{
	return ctx->frames_cnt < CAUSE_FRAMES ? ctx->frames_cnt : CAUSE_FRAMES;
}

/* The innermost frame of [from, end) that the group names; `end` = none. */
static size_t find_frame(const struct probe_context *ctx, const char *const *names, size_t from,
			 size_t end)
{
	while (from < end && !is_one_of(ctx->frames[from], names))
		from++;
	return from;
}

/* Groups stand from the inside outwards, so each is looked for outside the one before. */
static bool frames_match(const struct signature *s, const struct probe_context *ctx)
{
	size_t cnt = frames_seen(ctx), from = 0;

	for (int g = 0; g < CAUSE_GROUPS && s->all_of[g]; g++) {
		size_t end = cnt, at;

		if (g == 0 && s->innermost && end > 1)
			end = 1;
		if (g > 0 && s->reach && from + s->reach < end)
			end = from + s->reach;
		at = find_frame(ctx, s->all_of[g], from, end);
		if (at == end)
			return false;
		from = at + 1;
	}
	return true;
}

static uint8_t marks_of(const struct probe_context *ctx)
{
	return (ctx->frames_cnt ? MARK_STACK : MARK_NO_STACK) |
	       (ctx->iowait ? MARK_IOWAIT : MARK_NO_IOWAIT) |
	       (ctx->dirty_pause ? MARK_DIRTY_PAUSE : 0) | (ctx->in_syscall ? MARK_SYSCALL : 0) |
	       (ctx->kthread ? MARK_KTHREAD : 0);
}

static bool in_one_of(const struct probe_context *ctx, uint32_t spans)
{
	for (int i = 1; i < FP_SPAN_END; i++)
		if (spans & BIT_OF(i) && ctx->in_span[i])
			return true;
	return false;
}

static bool evidence_matches(const struct signature *s, const struct probe_context *ctx)
{
	if ((s->marks & marks_of(ctx)) != s->marks)
		return false;
	if (s->spans && !in_one_of(ctx, s->spans))
		return false;
	if (s->lock && !(ctx->lock_flags & s->lock))
		return false;
	return !s->sys || (ctx->in_syscall && s->sys & BIT_OF(ctx->cls));
}

bool signature__is_end(const struct signature *s)
{
	return !s->all_of[0] && !s->marks && !s->spans && !s->sys;
}

static bool signature_matches(const struct cause *c, const struct signature *s,
			      const struct probe_context *ctx)
{
	enum cause_kind kind = s->kind ? s->kind : c->kind;

	return kind & (ctx->running ? CAUSE_RUNNING : CAUSE_BLOCKED) && evidence_matches(s, ctx) &&
	       frames_match(s, ctx);
}

static bool cause_matches(const struct cause *c, const struct probe_context *ctx, bool around)
{
	const struct signature *s = c->signs;

	for (; s && !signature__is_end(s); s++)
		if (s->around == around && signature_matches(c, s, ctx))
			return true;
	return false;
}

static const struct cause *first_match(const struct probe_context *ctx, bool around)
{
	for (size_t i = 0; i < cause_tables_cnt; i++)
		for (const struct cause *c = cause_tables[i]; c->id; c++)
			if (cause_matches(c, ctx, around))
				return c;
	return NULL;
}

const struct cause *probes__classify(const struct probe_context *ctx)
{
	const struct cause *c = first_match(ctx, false);

	return c ? c : first_match(ctx, true);
}

const struct cause *probes__cause(const char *id)
{
	for (size_t i = 0; i < cause_tables_cnt; i++)
		for (const struct cause *c = cause_tables[i]; c->id; c++)
			if (!strcmp(c->id, id))
				return c;
	return NULL;
}
