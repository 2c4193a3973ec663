// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "curve_input.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../log.h"
#include "../trace/format.h"
#include "analyze.h"
#include "curve.h"
#include "curve_csv.h"
#include "curve_evidence.h"

#define MAX_BYTES	 (64u << 20)
#define MAX_LOSS_PERCENT 1.0 /* of events; a curve of a trace that lost more is none */

void curve_input__free_inside(struct curve_input *in)
{
	free(in->values_ms);
	memset(in, 0, sizeof(*in));
}

/* Takes over the values of `more`. */
static int append(struct curve_input *in, struct curve_input *more, const char *name)
{
	size_t have = (size_t)in->sweeps * in->windows, add = (size_t)more->sweeps * more->windows;
	double *p;

	if (in->sweeps && in->windows != more->windows) {
		log_err(0,
			"%s has %u windows a sweep, the files before it %u: compare like with like",
			name, more->windows, in->windows);
		return -EINVAL;
	}
	if (more->windows > CURVE_MAX_WINDOWS || have + add > CURVE_MAX_VALUES) {
		log_err(0,
			"%s: %u sweeps of %u windows are more than the %d windows or %d values of "
			"a curve",
			name, in->sweeps + more->sweeps, more->windows, CURVE_MAX_WINDOWS,
			CURVE_MAX_VALUES);
		return -EINVAL;
	}
	p = realloc(in->values_ms, (have + add) * sizeof(*p));
	if (!p)
		return log_err(-ENOMEM, "%s", name);
	memcpy(p + have, more->values_ms, add * sizeof(*p));
	in->values_ms = p;
	in->sweeps += more->sweeps;
	in->windows = more->windows;
	return 0;
}

int curve_input__add_csv(struct curve_input *in, const char *text, size_t size, const char *name)
{
	struct curve_input more = { 0 };
	int err = curve_csv__parse(text, size, name, &more);

	if (!err)
		err = append(in, &more, name);
	curve_input__free_inside(&more);
	return err;
}

/* ---- JSON ---- */

static int bad_json(const char *name, const char *what)
{
	log_err(0, "%s: %s", name, what);
	return -EINVAL;
}

/* A whole number of at least 1 and at most what a curve may have; 0 if it is none. */
static uint32_t count_of(const json_t *object, const char *key)
{
	json_t *v = json_object_get(object, key);
	json_int_t n = json_is_integer(v) ? json_integer_value(v) : 0;

	return n >= 1 && n <= CURVE_MAX_VALUES ? (uint32_t)n : 0;
}

static int read_values(const json_t *array, const char *name, struct curve_input *out)
{
	size_t cnt = json_array_size(array);

	out->values_ms = malloc(cnt * sizeof(*out->values_ms));
	if (!out->values_ms)
		return log_err(-ENOMEM, "%s", name);
	for (size_t i = 0; i < cnt; i++) {
		json_t *v = json_array_get(array, i);

		if (!json_is_number(v) || !curve__is_pause_ms(json_number_value(v))) {
			log_err(0, "%s: values_ms[%zu] is no pause: a number above 0", name, i);
			return -EINVAL;
		}
		out->values_ms[i] = json_number_value(v);
	}
	return 0;
}

static int read_curve(const json_t *curve, const char *name, struct curve_input *out)
{
	json_t *values = json_object_get(curve, "values_ms");
	size_t cnt = json_array_size(values);

	if (!json_is_array(values) || !cnt)
		return bad_json(name, "no pauses in it: neither curve.values_ms nor values_ms is a "
				      "list with numbers");
	out->sweeps = count_of(curve, "sweeps");
	if (!out->sweeps || cnt > CURVE_MAX_VALUES || cnt % out->sweeps)
		return bad_json(name, "`sweeps` must divide the number of values_ms");
	out->windows = (uint32_t)(cnt / out->sweeps);
	if (json_object_get(curve, "windows") && count_of(curve, "windows") != out->windows)
		return bad_json(name, "`windows` times `sweeps` is not the number of values_ms");
	return read_values(values, name, out);
}

static int read_document(const json_t *root, const char *name, struct curve_input *out)
{
	json_t *version = json_object_get(root, "schema_version");
	json_t *curve = json_object_get(root, "curve");

	if (!json_is_object(root))
		return bad_json(name, "no JSON object");
	if (version &&
	    (!json_is_integer(version) || json_integer_value(version) != FINDING_SCHEMA_VERSION)) {
		log_err(0, "%s: its schema_version is not %d; use the flatpause that wrote it",
			name, FINDING_SCHEMA_VERSION);
		return -EINVAL;
	}
	return read_curve(json_is_object(curve) ? curve : root, name, out);
}

int curve_input__add_json(struct curve_input *in, const char *text, size_t size, const char *name)
{
	struct curve_input more = { 0 };
	json_error_t error;
	json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
	int err;

	if (!root) {
		log_err(0, "%s:%d: %s", name, error.line, error.text);
		return -EINVAL;
	}
	err = read_document(root, name, &more);
	if (!err)
		err = append(in, &more, name);
	if (!err && in->evidence)
		err = curve_evidence__add_json(in->evidence, root, more.sweeps, in->windows, name);
	json_decref(root);
	curve_input__free_inside(&more);
	return err;
}

/* ---- traces ---- */

static int add_trace(struct curve_input *in, const char *path)
{
	struct analyze_opts opts = { .max_loss_percent = MAX_LOSS_PERCENT };
	struct findings *f = NULL;
	struct curve_input more;
	int err = analyze__trace(path, &opts, &f);

	if (err)
		goto out;
	more = (struct curve_input){ .values_ms = f->curve.values_ms,
				     .sweeps = f->curve.sweeps,
				     .windows = f->curve.windows };
	if (!more.values_ms || !more.sweeps || !more.windows) {
		log_err(0, "%s: no pause curve in this trace; `flatpause diagnose` says why", path);
		err = -ENODATA;
		goto out;
	}
	err = append(in, &more, path);
	if (!err && in->evidence)
		err = curve_evidence__add_findings(in->evidence, f, more.sweeps, in->windows, path);
out:
	findings__free(f);
	return err;
}

/* ---- files ---- */

struct text {
	char *data;
	size_t size, room;
};

/* Reads on until `want` bytes are there or the file ends. */
static int read_up_to(int fd, struct text *t, size_t want, const char *name)
{
	while (t->size < want) {
		ssize_t n;

		if (t->size == t->room) {
			size_t room = t->room ? t->room * 2 : 65536;
			char *p = realloc(t->data, room);

			if (!p)
				return log_err(-ENOMEM, "%s", name);
			t->data = p;
			t->room = room;
		}
		n = read(fd, t->data + t->size, t->room - t->size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return log_err(-errno, "cannot read %s", name);
		if (!n)
			return 0;
		t->size += (size_t)n;
	}
	return 0;
}

static bool is_trace(const struct text *t)
{
	return t->size >= strlen(REC_MAGIC) && !memcmp(t->data, REC_MAGIC, strlen(REC_MAGIC));
}

static bool is_json(const struct text *t)
{
	for (size_t i = 0; i < t->size; i++)
		if (!strchr(" \t\r\n", t->data[i]) || !t->data[i])
			return t->data[i] == '{' || t->data[i] == '[';
	return false;
}

static int add_open(struct curve_input *in, int fd, const char *path, const char *name)
{
	struct text t = { 0 };
	int err = read_up_to(fd, &t, strlen(REC_MAGIC), name);

	if (err)
		goto out;
	if (is_trace(&t)) {
		err = add_trace(in, path);
		goto out;
	}
	err = read_up_to(fd, &t, MAX_BYTES + 1, name);
	if (err)
		goto out;
	if (t.size > MAX_BYTES)
		err = log_err(-EFBIG, "%s is neither a trace nor a curve", name);
	else if (!t.size)
		err = bad_json(name, "is empty");
	else if (is_json(&t))
		err = curve_input__add_json(in, t.data, t.size, name);
	else
		err = curve_input__add_csv(in, t.data, t.size, name);
out:
	free(t.data);
	return err;
}

int curve_input__add(struct curve_input *in, const char *path)
{
	int fd, err;

	if (!strcmp(path, "-"))
		return add_open(in, STDIN_FILENO, path, "standard input");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return log_err(-errno, "cannot open %s", path);
	err = add_open(in, fd, path, path);
	close(fd);
	return err;
}
