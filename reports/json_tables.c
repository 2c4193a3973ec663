// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "json_tables.h"

#include "summary.h"

void json_size_limits(struct json_out *j, const char *key)
{
	json_out_begin_line(j, key, '[');
	for (unsigned int i = 0; i + 1 < SIZE_BUCKETS; i++)
		json_out_uint(j, NULL, size_bucket_limit(i));
	json_out_end(j, ']');
}

/* As Prometheus counts: each number holds those before it, the last one is all of them. */
static void write_cumulative(struct json_out *j, const uint64_t *buckets)
{
	uint64_t sum = 0;

	json_out_begin(j, "cumulative", '[');
	for (int i = 0; i < SIZE_BUCKETS; i++)
		json_out_uint(j, NULL, sum += buckets[i]);
	json_out_end(j, ']');
}

void json_sizes(struct json_out *j, const char *key, const struct finding_sizes *v, size_t cnt)
{
	json_out_begin(j, key, '[');
	for (size_t i = 0; i < cnt; i++) {
		json_out_begin_line(j, NULL, '{');
		json_out_str(j, "op", v[i].op);
		json_out_uint(j, "calls", v[i].calls);
		json_out_uint(j, "bytes", v[i].bytes);
		write_cumulative(j, v[i].buckets);
		json_out_end(j, '}');
	}
	json_out_end(j, ']');
}

void json_states(struct json_out *j, const char *key, const struct finding_state *v, size_t cnt,
		 uint64_t window_ns)
{
	json_out_begin(j, key, '[');
	for (size_t i = 0; i < cnt; i++) {
		json_out_begin_line(j, NULL, '{');
		json_out_str(j, "frame", v[i].frame);
		json_out_str(j, "cause", v[i].cause);
		json_out_ms(j, "thread_ms", v[i].ns);
		json_out_real(j, "threads", window_ns ? (double)v[i].ns / (double)window_ns : 0);
		json_out_end(j, '}');
	}
	json_out_end(j, ']');
}

static void write_latency(struct json_out *j, const struct finding_latency *l, bool regimes)
{
	char dev[32];

	snprintf(dev, sizeof(dev), "%u:%u", l->dev >> 20, l->dev & 0xfffff);
	json_out_begin_line(j, NULL, '{');
	json_out_str(j, "dev", dev);
	json_out_str(j, "class", text_or_empty(l->class));
	if (regimes)
		json_out_str(j, "windows", regime_name(l->regime));
	json_out_uint(j, "requests", l->requests);
	json_out_uint(j, "bytes", l->bytes);
	json_out_ms(j, "p50_ms", l->p50_ns);
	json_out_ms(j, "p90_ms", l->p90_ns);
	json_out_ms(j, "p99_ms", l->p99_ns);
	json_out_ms(j, "max_ms", l->max_ns);
	write_cumulative(j, l->buckets);
	json_out_end(j, '}');
}

void json_latencies(struct json_out *j, const char *key, const struct finding_latency *v,
		    size_t cnt, bool regimes)
{
	json_out_begin(j, key, '[');
	for (size_t i = 0; i < cnt; i++)
		write_latency(j, &v[i], regimes);
	json_out_end(j, ']');
}

static void write_round(struct json_out *j, const struct finding_round *r)
{
	json_out_begin(j, NULL, '{');
	json_out_str(j, "name", r->name);
	json_out_str(j, "method", r->method);
	json_out_str(j, "cause", r->cause);
	json_out_str(j, "conclusion", r->conclusion);
	json_out_bool(j, "agrees", r->agrees);
	json_out_str(j, "why", r->why);
	json_out_begin(j, "rows", '[');
	for (size_t i = 0; i < r->rows_cnt; i++) {
		json_out_begin_line(j, NULL, '{');
		json_out_str(j, "name", r->rows[i].name);
		json_out_uint(j, "count", r->rows[i].count);
		json_out_ms(j, "ms", r->rows[i].ns);
		json_out_str(j, "note", r->rows[i].note);
		json_out_end(j, '}');
	}
	json_out_end(j, ']');
	json_out_end(j, '}');
}

void json_rounds(struct json_out *j, const char *key, const struct finding_rounds *r)
{
	json_out_begin(j, key, '{');
	json_out_str(j, "windows", regime_name(r->regime));
	json_out_uint(j, "windows_cnt", r->windows);
	json_out_ms(j, "windows_ms", r->window_ns);
	json_out_uint(j, "tgid", r->tgid);
	json_out_str(j, "comm", text_or_empty(r->comm));
	json_out_begin(j, "rounds", '[');
	for (size_t i = 0; i < r->cnt; i++)
		write_round(j, &r->list[i]);
	json_out_end(j, ']');
	json_out_end(j, '}');
}
