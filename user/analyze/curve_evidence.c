// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "curve_evidence.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../log.h"

#define DEVICES_MAX 32
#define MS_MAX	    1e12 /* of a window: as for a pause */

/* Bytes that the windows wrote, by device: the one with most is where the snapshots go. */
struct writes {
	struct {
		char dev[HOST_CLASS_NAME_SZ];
		double bytes;
	} v[DEVICES_MAX];
	size_t cnt;
};

void curve_evidence__free_inside(struct curve_evidence *e)
{
	for (size_t i = 0; i < e->causes_cnt; i++) {
		free(e->causes[i].cause);
		free(e->causes[i].ms);
	}
	free(e->causes);
	free(e->total_ms);
	memset(e, 0, sizeof(*e));
}

bool is_cause_id(const char *s)
{
	size_t len = strlen(s);

	if (!len || len > EVIDENCE_CAUSE_LEN)
		return false;
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr("._*-", *s))
			return false;
	return true;
}

static int bad_file(const char *name, const char *what)
{
	log_err(0, "%s: %s", name, what);
	return -EINVAL;
}

/* ---- causes ---- */

static int begin(struct curve_evidence *e, uint32_t windows)
{
	if (e->total_ms)
		return 0;
	e->windows = windows;
	e->total_ms = calloc(windows, sizeof(*e->total_ms));
	return e->total_ms ? 0 : -ENOMEM;
}

static struct cause_sum *find_cause(struct curve_evidence *e, const char *cause)
{
	struct cause_sum *sum;

	for (size_t i = 0; i < e->causes_cnt; i++)
		if (!strcmp(e->causes[i].cause, cause))
			return &e->causes[i];
	sum = FINDING_APPEND(&e->causes, &e->causes_cnt);
	if (!sum)
		return NULL;
	sum->cause = strdup(cause);
	sum->ms = calloc(e->windows, sizeof(*sum->ms));
	if (sum->cause && sum->ms)
		return sum;
	free(sum->cause);
	free(sum->ms);
	e->causes_cnt--;
	return NULL;
}

/* `window` counts from 1; one beyond the curve is of a sweep that was not taken into it. */
static int add_share(struct curve_evidence *e, uint32_t window, const char *cause, double ms,
		     const char *name)
{
	struct cause_sum *sum;

	if (!window || window > e->windows)
		return 0;
	if (!is_cause_id(cause) || !isfinite(ms) || ms < 0 || ms > MS_MAX)
		return bad_file(name, "its ledger holds what is no cause with milliseconds");
	if (e->causes_cnt >= EVIDENCE_CAUSES_MAX)
		return bad_file(name, "more causes than there are");
	sum = find_cause(e, cause);
	if (!sum)
		return log_err(-ENOMEM, "%s", name);
	sum->ms[window - 1] += ms;
	e->total_ms[window - 1] += ms;
	return 0;
}

double cause_sum__ms(const struct cause_sum *c, uint32_t first, uint32_t last)
{
	double ms = 0;

	for (uint32_t i = first; i <= last; i++)
		ms += c->ms[i - 1];
	return ms;
}

double curve_evidence__total_ms(const struct curve_evidence *e, uint32_t first, uint32_t last)
{
	double ms = 0;

	for (uint32_t i = first; e->total_ms && i <= last; i++)
		ms += e->total_ms[i - 1];
	return ms;
}

/* ---- where it is from ---- */

static void add_write(struct writes *w, const char *dev, double bytes)
{
	size_t i;

	if (strlen(dev) >= HOST_CLASS_NAME_SZ || !(bytes > 0))
		return;
	for (i = 0; i < w->cnt; i++)
		if (!strcmp(w->v[i].dev, dev))
			break;
	if (i == DEVICES_MAX)
		return;
	if (i == w->cnt) {
		strcpy(w->v[i].dev, dev);
		w->v[w->cnt++].bytes = 0;
	}
	w->v[i].bytes += bytes;
}

static const char *most_written(const struct writes *w)
{
	size_t best = 0;

	for (size_t i = 1; i < w->cnt; i++)
		if (w->v[i].bytes > w->v[best].bytes)
			best = i;
	return w->cnt ? w->v[best].dev : NULL;
}

static int take_host(struct curve_evidence *e, const struct host_class *h, const struct writes *w,
		     const char *name)
{
	char text[HOST_CLASS_SIZE];

	if (!host_class__known(h))
		return 0;
	host_class__name(h, most_written(w), text);
	if (!e->host_class[0]) {
		strcpy(e->host_class, text);
		return 0;
	}
	if (!strcmp(e->host_class, text))
		return 0;
	log_err(0, "%s is from a host of class %s, the files before it from %s: one gate is of one",
		name, text, e->host_class);
	return -EINVAL;
}

/* ---- findings ---- */

static int add_window(struct curve_evidence *e, const struct finding_window *w,
		      struct writes *writes, const char *name)
{
	for (size_t i = 0; i < w->ledger_cnt; i++) {
		int err = add_share(e, w->index, w->ledger[i].cause, (double)w->ledger[i].ns / 1e6,
				    name);
		if (err)
			return err;
	}
	for (size_t i = 0; i < w->files_cnt; i++) {
		char dev[HOST_CLASS_NAME_SZ];

		snprintf(dev, sizeof(dev), "%u:%u", w->files[i].dev >> 20,
			 w->files[i].dev & 0xfffff);
		add_write(writes, dev, (double)w->files[i].bytes_written);
	}
	return 0;
}

int curve_evidence__add_findings(struct curve_evidence *e, const struct findings *f,
				 uint32_t sweeps, uint32_t windows, const char *name)
{
	struct writes writes = { .cnt = 0 };
	struct host_class host = { 0 };
	int err = begin(e, windows);

	if (err)
		return log_err(err, "%s", name);
	for (size_t i = 0; !err && i < f->windows_cnt; i++)
		err = add_window(e, &f->windows[i], &writes, name);
	if (err)
		return err;
	for (size_t i = 0; i < f->host_cnt; i++)
		host_class__take(&host, f->host[i].name, f->host[i].value);
	e->sweeps += sweeps;
	return take_host(e, &host, &writes, name);
}

/* ---- findings as JSON ---- */

static int add_json_window(struct curve_evidence *e, const json_t *window, struct writes *writes,
			   const char *name)
{
	json_t *index = json_object_get(window, "index"), *row;
	json_int_t at = json_integer_value(index);
	size_t i;

	if (!json_is_integer(index) || at < 1 || at > UINT32_MAX)
		return bad_file(name, "a window in it has no index from 1");
	json_array_foreach (json_object_get(window, "ledger"), i, row) {
		json_t *cause = json_object_get(row, "cause"), *ms = json_object_get(row, "ms");
		int err;

		if (!json_is_string(cause) || !json_is_number(ms))
			return bad_file(name,
					"its ledger holds what is no cause with milliseconds");
		err = add_share(e, (uint32_t)at, json_string_value(cause), json_number_value(ms),
				name);
		if (err)
			return err;
	}
	json_array_foreach (json_object_get(window, "files"), i, row) {
		const char *dev = json_string_value(json_object_get(row, "dev"));

		if (dev)
			add_write(writes, dev,
				  json_number_value(json_object_get(row, "bytes_written")));
	}
	return 0;
}

int curve_evidence__add_json(struct curve_evidence *e, const json_t *root, uint32_t sweeps,
			     uint32_t windows, const char *name)
{
	json_t *list = json_object_get(root, "windows"), *item;
	struct writes writes = { .cnt = 0 };
	struct host_class host = { 0 };
	const char *key;
	size_t i;
	int err = 0;

	/* `curve --json` has a number of that name, and no ledger */
	if (json_is_array(list)) {
		err = begin(e, windows);
		if (err)
			return log_err(err, "%s", name);
		e->sweeps += sweeps;
	}
	json_array_foreach (list, i, item) {
		err = add_json_window(e, item, &writes, name);
		if (err)
			return err;
	}
	json_object_foreach (json_object_get(root, "host"), key, item)
		if (json_is_string(item))
			host_class__take(&host, key, json_string_value(item));
	return take_host(e, &host, &writes, name);
}
