// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "difference.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "json_out.h"
#include "summary.h"

static void free_arm(struct difference_arm *a)
{
	free(a->source);
	free(a->cause);
}

void difference__free_inside(struct difference *d)
{
	for (size_t i = 0; i < d->rows_cnt; i++) {
		free(d->rows[i].cause);
		free(d->rows[i].title);
	}
	free(d->rows);
	free_arm(&d->before);
	free_arm(&d->after);
	free(d->text);
	memset(d, 0, sizeof(*d));
}

const char *difference_kind_name(enum difference_kind k)
{
	switch (k) {
	case DIFFERENCE_WENT:
		return "went";
	case DIFFERENCE_SHRANK:
		return "shrank";
	case DIFFERENCE_GREW:
		return "grew";
	case DIFFERENCE_CAME:
		return "came";
	case DIFFERENCE_SAME:
		break;
	}
	return "same";
}

static void write_arm(struct json_out *j, const char *key, const struct difference_arm *a)
{
	json_out_begin_line(j, key, '{');
	json_out_str(j, "source", text_or_empty(a->source));
	json_out_str(j, "cause", text_or_empty(a->cause));
	json_out_str(j, "curve", curve_verdict_name(a->curve));
	json_out_uint(j, "windows", a->windows);
	json_out_real(j, "median_ms", a->median_ms);
	json_out_real(j, "mean_ms", a->mean_ms);
	json_out_end(j, '}');
}

static void write_row(struct json_out *j, const struct difference_row *r)
{
	json_out_begin_line(j, NULL, '{');
	json_out_str(j, "cause", r->cause);
	json_out_str(j, "title", text_or_empty(r->title));
	json_out_str(j, "change", difference_kind_name(r->kind));
	json_out_real(j, "before_ms", r->before_ms);
	json_out_real(j, "after_ms", r->after_ms);
	json_out_real(j, "before_mean_ms", r->before_mean_ms);
	json_out_real(j, "after_mean_ms", r->after_mean_ms);
	json_out_real(j, "share", r->share);
	json_out_end(j, '}');
}

int difference__write_json(FILE *out, const struct difference *d)
{
	struct json_out j = { .out = out, .first = true };

	json_out_begin(&j, NULL, '{');
	json_out_uint(&j, "schema_version", FINDING_SCHEMA_VERSION);
	write_arm(&j, "before", &d->before);
	write_arm(&j, "after", &d->after);
	json_out_uint(&j, "from_window", d->from_window);
	json_out_real(&j, "change_ms", d->change_ms);
	json_out_begin(&j, "causes", '[');
	for (size_t i = 0; i < d->rows_cnt; i++)
		write_row(&j, &d->rows[i]);
	json_out_end(&j, ']');
	json_out_str(&j, "text", text_or_empty(d->text));
	json_out_end(&j, '}');
	return ferror(out) ? -EIO : 0;
}
