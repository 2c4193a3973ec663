// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "sight.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "registry.h"

typedef int (*name_fn)(void *ctx, enum sight_what what, const char *name);

static int each_of(const char *const *names, enum sight_what what, name_fn fn, void *ctx)
{
	int err = 0;

	for (; !err && names && *names; names++)
		err = fn(ctx, what, *names);
	return err;
}

static int each_of_cause(const struct cause *c, name_fn fn, void *ctx)
{
	int err = each_of(c->tracepoints, SIGHT_TRACEPOINT, fn, ctx);

	if (!err && c->part_of)
		err = fn(ctx, SIGHT_PART, c->part_of);
	for (const struct signature *s = c->signs; !err && s && !signature__is_end(s); s++)
		for (int g = 0; !err && g < CAUSE_GROUPS && s->all_of[g]; g++)
			err = each_of(s->all_of[g], SIGHT_FUNCTION, fn, ctx);
	return err;
}

static int each_name(name_fn fn, void *ctx)
{
	int err = 0;

	for (size_t i = 0; i < cause_tables_cnt; i++)
		for (const struct cause *c = cause_tables[i]; !err && c->id; c++)
			err = each_of_cause(c, fn, ctx);
	return err;
}

static int count_name(void *ctx, enum sight_what what, const char *name)
{
	(void)what;
	(void)name;
	++*(size_t *)ctx;
	return 0;
}

static int add_name(void *ctx, enum sight_what what, const char *name)
{
	struct sight *s = ctx;

	s->names[s->cnt++] = (struct sight_name){ .name = name, .what = what };
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct sight_name *x = a, *y = b;

	return x->what != y->what ? (int)x->what - (int)y->what : strcmp(x->name, y->name);
}

int sight__init(struct sight *s)
{
	size_t room = 0, kept = 0;

	each_name(count_name, &room);
	*s = (struct sight){ .names = calloc(room, sizeof(*s->names)) };
	if (!s->names)
		return -ENOMEM;
	each_name(add_name, s);
	qsort(s->names, s->cnt, sizeof(*s->names), by_name);
	for (size_t i = 0; i < s->cnt; i++)
		if (!kept || by_name(&s->names[kept - 1], &s->names[i]))
			s->names[kept++] = s->names[i];
	s->cnt = kept;
	while (s->names[s->parts].what < SIGHT_PART)
		s->parts++;
	while (s->names[s->parts + s->parts_cnt].what == SIGHT_PART)
		s->parts_cnt++;
	return 0;
}

void sight__free(struct sight *s)
{
	free(s->names);
	*s = (struct sight){ 0 };
}

static struct sight_name *find_name(const struct sight *s, enum sight_what what, const char *name)
{
	struct sight_name key = { .name = name, .what = what };

	return bsearch(&key, s->names, s->cnt, sizeof(key), by_name);
}

void sight__met_function(struct sight *s, const char *symbol, size_t len)
{
	char name[128];
	struct sight_name *n;

	for (size_t i = 0; i < len; i++)
		if (symbol[i] == '.')
			len = i;
	if (!len || len >= sizeof(name))
		return;
	memcpy(name, symbol, len);
	name[len] = '\0';
	n = find_name(s, SIGHT_FUNCTION, name);
	if (n)
		n->met = true;
	for (size_t i = 0; i < s->parts_cnt; i++) {
		n = &s->names[s->parts + i];
		if (!n->met && !strncmp(name, n->name, strlen(n->name)))
			n->met = true;
	}
}

void sight__met_tracepoint(struct sight *s, const char *name)
{
	struct sight_name *n = find_name(s, SIGHT_TRACEPOINT, name);

	if (n)
		n->met = true;
}

static bool is_met(const struct sight *s, enum sight_what what, const char *name)
{
	const struct sight_name *n = find_name(s, what, name);

	return n && n->met;
}

static bool any_met(const struct sight *s, const char *const *names)
{
	for (; *names; names++)
		if (is_met(s, SIGHT_FUNCTION, *names))
			return true;
	return false;
}

/* A signature without frames is evidence from records: its cause names their tracepoints. */
static bool frames_met(const struct sight *s, const struct cause *c)
{
	for (const struct signature *sign = c->signs; sign && !signature__is_end(sign); sign++) {
		int g = 0;

		while (g < CAUSE_GROUPS && sign->all_of[g] && any_met(s, sign->all_of[g]))
			g++;
		if (g && (g == CAUSE_GROUPS || !sign->all_of[g]))
			return true;
	}
	return false;
}

static bool tracepoints_met(const struct sight *s, const struct cause *c)
{
	if (!c->tracepoints)
		return false;
	for (const char *const *t = c->tracepoints; *t; t++)
		if (!is_met(s, SIGHT_TRACEPOINT, *t))
			return false;
	return true;
}

enum cause_sight sight__of(const struct sight *s, const struct cause *c)
{
	if (c->part_of && !is_met(s, SIGHT_PART, c->part_of))
		return CAUSE_ABSENT;
	return c->always || frames_met(s, c) || tracepoints_met(s, c) ? CAUSE_SEEN : CAUSE_BLIND;
}

static size_t say_list(char *buf, size_t size, size_t n, const char *before,
		       const char *const *names)
{
	for (; *names && n < size; names++) {
		n += snprintf(buf + n, size - n, "%s%s", before, *names);
		before = ", ";
	}
	return n;
}

void sight__needs(const struct cause *c, char *buf, size_t size)
{
	const char *before = "a function of: ";
	size_t n = 0;

	buf[0] = '\0';
	for (const struct signature *s = c->signs; s && !signature__is_end(s); s++) {
		if (!s->all_of[0])
			continue;
		n = say_list(buf, size, n, before, s->all_of[0]);
		before = ", ";
	}
	if (c->tracepoints)
		n = say_list(buf, size, n,
			     n ? "; or the tracepoints: " : "the tracepoints: ", c->tracepoints);
	if (!n)
		snprintf(buf, size, "%s", "no kernel records it");
}
