// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The recorder's own words: host facts, hooks, options, and what recording cost. */
#include "analysis.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>

#include "../cli/verb.h"
#include "../log.h"

#define DEFAULT_MIN_SLEEP_NS 100000

static json_t *load_object(struct analysis *a, enum rec_type type, uint32_t n)
{
	size_t size;
	const char *text = trace_reader__chunk(a->r, type, n, &size);
	json_t *o = text ? json_loadb(text, strnlen(text, size), JSON_REJECT_DUPLICATES, NULL)
			 : NULL;

	if (text && !json_is_object(o)) {
		json_decref(o);
		return NULL;
	}
	return o;
}

static int add_fact(struct finding_fact **facts, size_t *cnt, const char *name, json_t *value)
{
	struct finding_fact *fact = FINDING_APPEND(facts, cnt);
	char *text = NULL;
	int err;

	if (!fact || finding_set(&fact->name, name))
		return -ENOMEM;
	if (json_is_string(value))
		return finding_set(&fact->value, json_string_value(value));
	text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
	err = finding_set(&fact->value, text ? text : "");
	free(text);
	return err;
}

static int add_facts(struct finding_fact **facts, size_t *cnt, json_t *o)
{
	const char *name;
	json_t *value;

	json_object_foreach (o, name, value) {
		int err = add_fact(facts, cnt, name, value);

		if (err)
			return err;
	}
	return 0;
}

static const char *string_of(json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static int add_hooks(struct findings *f, json_t *hooks)
{
	json_t *o;
	size_t i;

	json_array_foreach (hooks, i, o) {
		struct finding_hook *h = FINDING_APPEND(&f->hooks, &f->hooks_cnt);

		if (!h || finding_set(&h->probe, string_of(o, "probe")) ||
		    finding_set(&h->hook, string_of(o, "hook")) ||
		    finding_set(&h->rung, string_of(o, "rung")) ||
		    finding_set(&h->lost, string_of(o, "lost")))
			return -ENOMEM;
	}
	return 0;
}

static void load_options(struct analysis *a, json_t *options)
{
	json_t *min = json_object_get(options, "min_sleep_ns");

	a->min_sleep_ns = json_is_integer(min) && json_integer_value(min) >= 0
				  ? (uint64_t)json_integer_value(min)
				  : DEFAULT_MIN_SLEEP_NS;
	/* Where a trace does not say, what it holds counts: see scan.c */
	a->wakes = !json_is_false(json_object_get(options, "wakes"));
	a->syscalls = !json_is_false(json_object_get(options, "syscalls"));
	a->sample_hz = json_number_value(json_object_get(options, "sample_hz"));
}

/* Disks that the targets turned out to write to are described when recording ends. */
static int add_late_facts(struct analysis *a)
{
	json_t *late;
	int err = 0;

	for (uint32_t n = 1; !err && (late = load_object(a, REC_META, n)); n++) {
		err = add_facts(&a->f->host, &a->f->host_cnt, json_object_get(late, "host"));
		json_decref(late);
	}
	return err;
}

int meta__load(struct analysis *a)
{
	struct findings *f = a->f;
	json_t *meta = load_object(a, REC_META, 0), *cost = load_object(a, REC_COST, 0);
	const char *version = string_of(json_object_get(meta, "tool"), "version");
	int err;

	load_options(a, json_object_get(meta, "options"));
	err = finding_set(&f->tool_version, version[0] ? version : FLATPAUSE_VERSION);
	if (!err)
		err = add_facts(&f->host, &f->host_cnt, json_object_get(meta, "host"));
	if (!err)
		err = add_late_facts(a);
	if (!err)
		err = add_hooks(f, json_object_get(meta, "hooks"));
	if (!err)
		err = add_facts(&f->cost, &f->cost_cnt, cost);
	if (!err && !meta)
		err = add_warning(f, "the trace does not say how and where it was recorded");
	json_decref(meta);
	json_decref(cost);
	return err ? log_err(err, "what the recorder wrote down") : 0;
}
