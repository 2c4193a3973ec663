// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "baseline.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../../reports/json_out.h"
#include "../host/host_class.h"
#include "../log.h"
#include "curve.h"
#include "curve_evidence.h"

#define VERSION_KEY "flatpause_baseline"
#define BYTES_MAX   (16u << 20)
#define WORD_MAX    64 /* of a date or a verdict */

void baseline_entry__free_inside(struct baseline_entry *e)
{
	for (size_t i = 0; i < e->shares_cnt; i++)
		free(e->shares[i].cause);
	free(e->shares);
	free(e->values_ms);
	free(e->host_class);
	free(e->updated);
	free(e->verdict);
	memset(e, 0, sizeof(*e));
}

void baseline__free_inside(struct baseline *b)
{
	for (size_t i = 0; i < b->cnt; i++)
		baseline_entry__free_inside(&b->entries[i]);
	free(b->entries);
	memset(b, 0, sizeof(*b));
}

const struct baseline_entry *baseline__find(const struct baseline *b, const char *host_class)
{
	for (size_t i = 0; i < b->cnt; i++)
		if (!strcmp(b->entries[i].host_class, host_class))
			return &b->entries[i];
	return NULL;
}

static int compare_entries(const void *a, const void *b)
{
	const struct baseline_entry *x = a, *y = b;

	return strcmp(x->host_class, y->host_class);
}

int baseline__put(struct baseline *b, struct baseline_entry *entry)
{
	struct baseline_entry *at = NULL;

	for (size_t i = 0; i < b->cnt; i++)
		if (!strcmp(b->entries[i].host_class, entry->host_class))
			at = &b->entries[i];
	if (at)
		baseline_entry__free_inside(at);
	else if (b->cnt == BASELINE_CLASSES_MAX)
		return log_err(-E2BIG, "more than %d host classes", BASELINE_CLASSES_MAX);
	else
		at = FINDING_APPEND(&b->entries, &b->cnt);
	if (!at)
		return -ENOMEM;
	*at = *entry;
	memset(entry, 0, sizeof(*entry));
	qsort(b->entries, b->cnt, sizeof(*b->entries), compare_entries);
	return 0;
}

/* ---- reading ---- */

/* Where in which file, for messages. */
struct place {
	const char *file, *host_class;
};

static int damaged(const struct place *at, const char *what)
{
	log_err(0, "%s is damaged: %s of '%s'; restore it from the repository", at->file, what,
		at->host_class);
	return -EINVAL;
}

static int read_count(const json_t *o, const char *key, uint32_t max, uint32_t *out)
{
	json_t *v = json_object_get(o, key);
	json_int_t n = json_is_integer(v) ? json_integer_value(v) : -1;

	if (n < 0 || n > max)
		return -EINVAL;
	*out = (uint32_t)n;
	return 0;
}

static int read_real(const json_t *o, const char *key, double min, double max, double *out)
{
	json_t *v = json_object_get(o, key);

	*out = json_number_value(v);
	return json_is_number(v) && *out >= min && *out <= max ? 0 : -EINVAL;
}

/* Words that are printed: no control characters, not long. */
static int read_word(const json_t *o, const char *key, char **out)
{
	const char *s = json_string_value(json_object_get(o, key));

	if (!s || strlen(s) > WORD_MAX || !is_cause_id(s))
		return -EINVAL;
	*out = strdup(s);
	return *out ? 0 : -ENOMEM;
}

static int read_sweeps(const json_t *o, struct baseline_entry *e, const struct place *at)
{
	json_t *list = json_object_get(o, "sweeps_ms"), *sweep, *v;
	size_t cnt = json_array_size(list), windows = json_array_size(json_array_get(list, 0));
	size_t n = 0, k, i;

	if (!cnt || !windows || windows > CURVE_MAX_WINDOWS || cnt > CURVE_MAX_VALUES / windows)
		return damaged(at, "no sweeps in the entry");
	e->values_ms = malloc(cnt * windows * sizeof(*e->values_ms));
	if (!e->values_ms)
		return log_err(-ENOMEM, "%s", at->file);
	e->sweeps = (uint32_t)cnt;
	e->windows = (uint32_t)windows;
	json_array_foreach (list, k, sweep) {
		if (json_array_size(sweep) != windows)
			return damaged(at, "sweeps of different length in the entry");
		json_array_foreach (sweep, i, v) {
			if (!json_is_number(v) || !curve__is_pause_ms(json_number_value(v)))
				return damaged(at, "what is no pause in the entry");
			e->values_ms[n++] = json_number_value(v);
		}
	}
	return 0;
}

static int read_shares(const json_t *o, struct baseline_entry *e, const struct place *at)
{
	json_t *list = json_object_get(o, "causes"), *row;
	size_t i;

	if (!json_is_array(list) || json_array_size(list) > EVIDENCE_CAUSES_MAX)
		return damaged(at, "the list of causes");
	json_array_foreach (list, i, row) {
		struct baseline_share *s = FINDING_APPEND(&e->shares, &e->shares_cnt);
		int err = s ? read_word(row, "cause", &s->cause) : -ENOMEM;

		if (!err)
			err = read_real(row, "share", 0, 1, &s->share);
		if (!err)
			err = read_real(row, "ms", 0, 1e12, &s->ms);
		if (err == -ENOMEM)
			return log_err(err, "%s", at->file);
		if (err)
			return damaged(at, "a cause");
	}
	return 0;
}

static int read_entry(const json_t *o, struct baseline_entry *e, const struct place *at)
{
	json_t *noise = json_object_get(o, "noise");
	int err = read_word(o, "updated", &e->updated);

	if (!err)
		err = read_word(o, "verdict", &e->verdict);
	if (!err)
		err = read_real(noise, "sigma", 0, 100, &e->noise.sigma);
	if (!err)
		err = read_count(noise, "nu", UINT32_MAX, &e->noise.nu);
	if (!err)
		err = read_real(noise, "phi", -1, 1, &e->noise.phi);
	if (!err)
		err = read_count(noise, "phi_pairs", UINT32_MAX, &e->noise.phi_pairs);
	if (err == -ENOMEM)
		return log_err(err, "%s", at->file);
	if (err)
		return damaged(at, "date, verdict or noise");
	err = read_sweeps(o, e, at);
	return err ? err : read_shares(o, e, at);
}

static int read_classes(const json_t *root, struct baseline *b, const char *path)
{
	json_t *classes = json_object_get(root, "classes"), *o;
	const char *key;

	if (!json_is_object(classes) || json_object_size(classes) > BASELINE_CLASSES_MAX) {
		log_err(0, "%s is damaged: no list of host classes", path);
		return -EINVAL;
	}
	json_object_foreach (classes, key, o) {
		struct place at = { .file = path, .host_class = key };
		struct baseline_entry e = { 0 };
		int err;

		if (!is_host_class(key)) {
			log_err(0, "%s is damaged: a name that is no host class", path);
			return -EINVAL;
		}
		err = read_entry(o, &e, &at);
		e.host_class = err ? NULL : strdup(key);
		if (!err)
			err = e.host_class ? baseline__put(b, &e) : log_err(-ENOMEM, "%s", path);
		baseline_entry__free_inside(&e);
		if (err)
			return err;
	}
	return 0;
}

static int read_root(const json_t *root, struct baseline *b, const char *path)
{
	json_t *version = json_object_get(root, VERSION_KEY);

	if (!json_is_integer(version)) {
		log_err(0, "%s is no baseline of flatpause: it has no " VERSION_KEY, path);
		return -EINVAL;
	}
	if (json_integer_value(version) != BASELINE_VERSION) {
		log_err(0,
			"%s is a baseline of version %lld, this flatpause writes %d: make a new "
			"one",
			path, (long long)json_integer_value(version), BASELINE_VERSION);
		return -EPROTO;
	}
	return read_classes(root, b, path);
}

int baseline__load(struct baseline *b, const char *path)
{
	FILE *in = fopen(path, "re");
	char *text = NULL;
	json_error_t error;
	json_t *root;
	size_t size;
	int err = 0;

	memset(b, 0, sizeof(*b));
	if (!in)
		return errno == ENOENT ? -ENOENT : log_err(-errno, "cannot open %s", path);
	text = malloc(BYTES_MAX + 1);
	size = text ? fread(text, 1, BYTES_MAX + 1, in) : 0;
	if (!text)
		err = log_err(-ENOMEM, "%s", path);
	else if (ferror(in))
		err = log_err(errno ? -errno : -EIO, "cannot read %s", path);
	else if (size > BYTES_MAX)
		err = log_err(-EFBIG, "%s is no baseline", path);
	fclose(in);
	if (err)
		goto out;
	root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
	if (!root) {
		log_err(0, "%s is damaged, line %d: %s", path, error.line, error.text);
		err = -EINVAL;
		goto out;
	}
	err = read_root(root, b, path);
	json_decref(root);
out:
	free(text);
	if (err)
		baseline__free_inside(b);
	return err;
}

/* ---- writing ---- */

static void write_sweeps(struct json_out *j, const struct baseline_entry *e)
{
	json_out_begin(j, "sweeps_ms", '[');
	for (uint32_t k = 0; k < e->sweeps; k++) {
		json_out_begin_line(j, NULL, '[');
		for (uint32_t i = 0; i < e->windows; i++)
			json_out_real(j, NULL, e->values_ms[(size_t)k * e->windows + i]);
		json_out_end(j, ']');
	}
	json_out_end(j, ']');
}

static void write_shares(struct json_out *j, const struct baseline_entry *e)
{
	json_out_begin(j, "causes", '[');
	for (size_t i = 0; i < e->shares_cnt; i++) {
		json_out_begin_line(j, NULL, '{');
		json_out_str(j, "cause", e->shares[i].cause);
		json_out_real(j, "share", e->shares[i].share);
		json_out_real(j, "ms", e->shares[i].ms);
		json_out_end(j, '}');
	}
	json_out_end(j, ']');
}

static void write_entry(struct json_out *j, const struct baseline_entry *e)
{
	json_out_begin(j, e->host_class, '{');
	json_out_str(j, "updated", e->updated);
	json_out_str(j, "verdict", e->verdict);
	json_out_begin_line(j, "noise", '{');
	json_out_real(j, "sigma", e->noise.sigma);
	json_out_uint(j, "nu", e->noise.nu);
	json_out_real(j, "phi", e->noise.phi);
	json_out_uint(j, "phi_pairs", e->noise.phi_pairs);
	json_out_end(j, '}');
	write_sweeps(j, e);
	write_shares(j, e);
	json_out_end(j, '}');
}

int baseline__write(FILE *out, const struct baseline *b)
{
	struct json_out j = { .out = out, .first = true };

	json_out_begin(&j, NULL, '{');
	json_out_uint(&j, VERSION_KEY, BASELINE_VERSION);
	json_out_begin(&j, "classes", '{');
	for (size_t i = 0; i < b->cnt; i++)
		write_entry(&j, &b->entries[i]);
	json_out_end(&j, '}');
	json_out_end(&j, '}');
	return ferror(out) ? -EIO : 0;
}
