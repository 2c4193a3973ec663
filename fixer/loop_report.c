// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* What `fix auto` leaves: summary.json with every step and number, and report.html from it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../user/clock.h"
#include "../user/log.h"
#include "beneath.h"
#include "loop.h"
#include "name_text.h"
#include "run.h"

void loop__step(struct loop *l, const char *what, const char *arm, int err)
{
	json_t *step = json_pack("{s:s, s:s, s:f, s:b, s:s}", "step", what, "arm", arm, "at_s",
				 (double)now_ns() / 1e9, "ok", !err, "error",
				 err ? strerror(-err) : "");

	if (!step || json_array_append_new(l->steps, step))
		log_warn("a step is missing in the report: no memory");
}

static size_t add_option(char *text, size_t size, size_t len, const char *name, uint64_t value)
{
	if (!value || len >= size)
		return len;
	return len + (size_t)snprintf(text + len, size - len, " %s %llu", name,
				      (unsigned long long)value);
}

static size_t add_flag(char *text, size_t size, size_t len, const char *name, bool set)
{
	if (!set || len >= size)
		return len;
	return len + (size_t)snprintf(text + len, size - len, " %s", name);
}

const char *loop__options(const struct apply_cfg *fix, enum mitigation m, char *text, size_t size)
{
	size_t len;

	if (m == MITIGATION_TUNE) {
		tune_conf__options(&fix->tune, text, size);
		return text;
	}
	len = (size_t)snprintf(text, size, "--match %s --size-from %s", fix->match, fix->size_from);
	if (m == MITIGATION_MEMFD) {
		len = add_option(text, size, len, "--memory", fix->memory_bytes);
		len = add_option(text, size, len, "--export-rate", fix->export_rate_bytes);
		len = add_option(text, size, len, "--export-workers", fix->export_workers);
		len = add_flag(text, size, len, "--no-readback", fix->no_readback);
		add_flag(text, size, len, "--cover", fix->cover);
	} else {
		len = add_flag(text, size, len, "--no-plant", fix->no_plant);
		add_flag(text, size, len, "--redo", fix->redo);
	}
	return text;
}

static json_t *document(const struct loop *l)
{
	json_t *kept = l->kept ? json_object_get(l->arms, l->kept) : NULL;

	json_t *name = name_text__to_json(l->cfg->scenario), *doc = NULL;

	if (name)
		doc = json_pack("{s:i, s:{s:{s:O, s:O, s:s, s:b}}}", "schema_version", 1,
				"scenarios", json_string_value(name), "arms", l->arms, "steps",
				l->steps, "kept", l->kept ? l->kept : "none", "flattened",
				json_is_true(json_object_get(kept, "flattened")));
	json_decref(name);
	return doc;
}

int loop__write_report(struct loop *l)
{
	char room[PATH_MAX], summary[PATH_MAX], html[PATH_MAX];
	json_t *doc = document(l);
	struct run_args a;
	int err;

	snprintf(summary, sizeof(summary), "%s/summary.json", l->cfg->out);
	snprintf(html, sizeof(html), "%s/report.html", l->cfg->out);
	err = doc && !json_dump_file(doc, summary, JSON_INDENT(2)) ? 0 : -EIO;
	json_decref(doc);
	if (err)
		return log_err(err, "cannot write %s", summary);
	run_args__flatpause(&a, room);
	run_args__add(&a, "report");
	run_args__add(&a, summary);
	run_args__option(&a, "--html", html);
	err = run__wait(&a);
	if (err)
		return log_err(-EIO, "the report could not be written (status %d)", err);
	printf("summary: %s\nreport:  %s\n", summary, html);
	return 0;
}
