// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "finding.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flame.h"

void *finding_append(void **array, size_t *cnt, size_t element_size)
{
	size_t n = *cnt;

	/* Room doubles at powers of two, so that the count alone says how much there is. */
	if ((n & (n - 1)) == 0) {
		size_t room = n ? n * 2 : 1;
		void *p;

		if (room > SIZE_MAX / element_size)
			return NULL;
		p = realloc(*array, room * element_size);
		if (!p)
			return NULL;
		*array = p;
	}
	memset((char *)*array + n * element_size, 0, element_size);
	*cnt = n + 1;
	return (char *)*array + n * element_size;
}

int finding_set(char **field, const char *value)
{
	char *copy = strdup(value ? value : "");

	if (!copy)
		return -ENOMEM;
	free(*field);
	*field = copy;
	return 0;
}

int finding_setf(char **field, const char *fmt, ...)
{
	char *text;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		return -ENOMEM;
	free(*field);
	*field = text;
	return 0;
}

const char *curve_verdict_name(enum curve_verdict v)
{
	switch (v) {
	case CURVE_FLAT:
		return "flat";
	case CURVE_STEPPED:
		return "stepped";
	case CURVE_INCONCLUSIVE:
		break;
	}
	return "inconclusive";
}

const char *verdict_basis_name(enum verdict_basis b)
{
	switch (b) {
	case VERDICT_GROWTH:
		return "growth";
	case VERDICT_SPIKES:
		return "spikes";
	case VERDICT_BASELINE:
		return "baseline";
	case VERDICT_HELD:
		return "held";
	case VERDICT_NONE:
		break;
	}
	return "none";
}

const char *futex_class_name(enum finding_futex_class c)
{
	switch (c) {
	case FUTEX_PASSIVE:
		return "passive";
	case FUTEX_CONTENDED:
		return "contended";
	case FUTEX_INDEPENDENT:
		break;
	}
	return "independent";
}

const char *curve_outcome_name(enum curve_outcome o)
{
	switch (o) {
	case CURVE_FLATTENED:
		return "flattened";
	case CURVE_NOT_FLATTENED:
		return "not_flattened";
	case CURVE_NOT_SHOWN:
		break;
	}
	return "inconclusive";
}

struct findings *findings__new(void)
{
	struct findings *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	if (finding_set(&f->tool_version, "") || finding_set(&f->source, "") ||
	    finding_set(&f->curve.why, "") || finding_set(&f->verdict.cause, "") ||
	    finding_set(&f->verdict.text, "")) {
		findings__free(f);
		return NULL;
	}
	return f;
}

static void free_strings(char **v, size_t cnt)
{
	for (size_t i = 0; i < cnt; i++)
		free(v[i]);
	free(v);
}

static void free_shares(struct finding_share *v, size_t cnt)
{
	for (size_t i = 0; i < cnt; i++)
		free(v[i].cause);
	free(v);
}

static void free_thread(struct finding_thread *t)
{
	free(t->comm);
	free(t->role);
	free_shares(t->blocked, t->blocked_cnt);
}

static void free_deed(struct finding_deed *d)
{
	free(d->by);
	free(d->how);
}

static void free_window(struct finding_window *w)
{
	free(w->detector);
	free(w->label);
	free_shares(w->ledger, w->ledger_cnt);
	for (size_t i = 0; i < w->threads_cnt; i++)
		free_thread(&w->threads[i]);
	free(w->threads);
	for (size_t i = 0; i < w->futexes_cnt; i++) {
		free(w->futexes[i].mapping);
		free(w->futexes[i].op);
		free(w->futexes[i].comm);
		free(w->futexes[i].waker_comm);
	}
	free(w->futexes);
	for (size_t i = 0; i < w->files_cnt; i++) {
		free(w->files[i].path);
		free(w->files[i].extents_why);
		free_deed(&w->files[i].preallocated);
		free_deed(&w->files[i].undone);
		free_deed(&w->files[i].written);
		sizes__free(w->files[i].sizes, w->files[i].sizes_cnt);
	}
	free(w->files);
	for (size_t i = 0; i < w->path_cnt; i++) {
		free(w->path[i].cause);
		free(w->path[i].actor);
		free(w->path[i].via);
	}
	free(w->path);
	for (size_t i = 0; i < w->blame_cnt; i++) {
		free(w->blame[i].file);
		free(w->blame[i].dirtied_by);
	}
	free(w->blame);
	sizes__free(w->sizes, w->sizes_cnt);
	states__free(w->states, w->states_cnt);
	free(w->devices);
}

static void free_curve(struct finding_curve *c)
{
	free(c->values_ms);
	free(c->why);
}

static void free_verdict(struct finding_verdict *v)
{
	free(v->cause);
	free(v->text);
	free_strings(v->evidence, v->evidence_cnt);
	for (size_t i = 0; i < v->rejected_cnt; i++) {
		free(v->rejected[i].cause);
		free(v->rejected[i].why);
	}
	free(v->rejected);
}

static void free_facts(struct finding_fact *v, size_t cnt)
{
	for (size_t i = 0; i < cnt; i++) {
		free(v[i].name);
		free(v[i].value);
	}
	free(v);
}

static void free_tables(struct findings *f)
{
	for (size_t i = 0; i < f->hooks_cnt; i++) {
		free(f->hooks[i].probe);
		free(f->hooks[i].hook);
		free(f->hooks[i].rung);
		free(f->hooks[i].lost);
	}
	free(f->hooks);
	for (size_t i = 0; i < f->advice_cnt; i++) {
		free(f->advice[i].mitigation);
		free(f->advice[i].why);
		free(f->advice[i].command);
		free(f->advice[i].undo);
	}
	free(f->advice);
	for (size_t i = 0; i < f->causes_cnt; i++) {
		free(f->causes[i].id);
		free(f->causes[i].title);
		free(f->causes[i].group);
	}
	free(f->causes);
}

void findings__free(struct findings *f)
{
	if (!f)
		return;
	free(f->tool_version);
	free(f->source);
	free_facts(f->host, f->host_cnt);
	free_facts(f->cost, f->cost_cnt);
	for (size_t i = 0; i < f->windows_cnt; i++)
		free_window(&f->windows[i]);
	free(f->windows);
	free_tables(f);
	sizes__free(f->sizes, f->sizes_cnt);
	free(f->devices);
	rounds__free_inside(&f->rounds);
	free_curve(&f->curve);
	free_verdict(&f->verdict);
	free_strings(f->warnings, f->warnings_cnt);
	flame__free(f->flame_slow);
	flame__free(f->flame_fast);
	free(f);
}

void comparison__free_inside(struct comparison *c)
{
	for (size_t i = 0; i < c->arms_cnt; i++) {
		free(c->arms[i].label);
		free_curve(&c->arms[i].curve);
		findings__free(c->arms[i].findings);
		free(c->arms[i].text);
	}
	free(c->arms);
	free(c->name);
	free(c->kept);
	free(c->text);
}

void report__free(struct report *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->comparisons_cnt; i++)
		comparison__free_inside(&r->comparisons[i]);
	free(r->comparisons);
	free(r->title);
	free(r);
}
