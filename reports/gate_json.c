// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* `gate --json`: the curve object of the first look, then the gate and what it rests on. */
#include <errno.h>

#include "gate.h"
#include "json.h"
#include "json_out.h"
#include "summary.h"

static void write_level(struct json_out *j, const struct gate_level *l)
{
	if (l->verdict == GATE_LEVEL_NONE) {
		json_out_null(j, "level");
		return;
	}
	json_out_begin(j, "level", '{');
	json_out_str(j, "verdict", gate_level_name(l->verdict));
	json_out_real(j, "ratio", l->ratio);
	json_out_real(j, "p", l->p);
	json_out_real(j, "min_p", l->min_p);
	json_out_real(j, "baseline_ms", l->baseline_ms);
	json_out_real(j, "ms", l->ms);
	json_out_uint(j, "baseline_sweeps", l->baseline_sweeps);
	json_out_uint(j, "sweeps", l->sweeps);
	json_out_end(j, '}');
}

static void write_confirm(struct json_out *j, const struct gate_report *r)
{
	const struct gate_look *look = &r->looks[1];

	if (r->looks_cnt < 2) {
		json_out_null(j, "confirm");
		return;
	}
	json_out_begin(j, "confirm", '{');
	curve__write_keys(j, &look->curve);
	write_level(j, &look->level);
	json_out_uint(j, "more_runs", look->more_runs);
	json_out_end(j, '}');
}

static void write_grown(struct json_out *j, const struct gate_report *r)
{
	json_out_begin(j, "grown", '[');
	for (size_t i = 0; i < r->causes_cnt; i++) {
		const struct gate_cause *c = &r->causes[i];

		json_out_begin_line(j, NULL, '{');
		json_out_str(j, "cause", c->cause);
		json_out_real(j, "share_before", c->share_before);
		json_out_real(j, "share_after", c->share_after);
		json_out_real(j, "ms_before", c->ms_before);
		json_out_real(j, "ms_after", c->ms_after);
		json_out_uint(j, "from_window", r->causes_from);
		json_out_uint(j, "to_window", r->causes_to);
		json_out_str(j, "before", r->causes_of_baseline ? "baseline" : "windows before");
		json_out_end(j, '}');
	}
	json_out_end(j, ']');
}

int gate__write_json(FILE *out, const struct gate_report *r)
{
	struct json_out j = { .out = out, .first = true };

	json_out_begin(&j, NULL, '{');
	json_out_uint(&j, "schema_version", FINDING_SCHEMA_VERSION);
	curve__write_keys(&j, &r->looks[0].curve);
	json_out_str(&j, "gate", gate_outcome_name(r->outcome));
	json_out_str(&j, "name", r->name);
	json_out_str(&j, "headline", text_or_empty(r->headline));
	json_out_str(&j, "text", text_or_empty(r->text));
	json_out_str(&j, "host_class", text_or_empty(r->host_class));
	json_out_uint(&j, "more_runs", r->looks[0].more_runs);
	write_level(&j, &r->looks[0].level);
	write_confirm(&j, r);
	write_grown(&j, r);
	json_out_end(&j, '}');
	return ferror(out) ? -EIO : 0;
}
