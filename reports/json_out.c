// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "json_out.h"

#include <math.h>

#include "escape.h"

static bool on_one_line(const struct json_out *j)
{
	return j->inline_from && j->depth >= j->inline_from;
}

/* The comma, the line break and the key that stand before every value. */
static void before(struct json_out *j, const char *key)
{
	if (!j->first)
		fputs(on_one_line(j) ? ", " : ",", j->out);
	if (j->depth && !on_one_line(j))
		fprintf(j->out, "\n%*s", (int)j->depth * 2, "");
	j->first = false;
	if (!key)
		return;
	fputc('"', j->out);
	escape_json(j->out, key);
	fputs("\": ", j->out);
}

void json_out_begin(struct json_out *j, const char *key, char bracket)
{
	before(j, key);
	fputc(bracket, j->out);
	j->depth++;
	j->first = true;
}

void json_out_begin_line(struct json_out *j, const char *key, char bracket)
{
	json_out_begin(j, key, bracket);
	if (!j->inline_from)
		j->inline_from = j->depth;
}

void json_out_end(struct json_out *j, char bracket)
{
	bool inside = on_one_line(j);

	if (j->inline_from == j->depth)
		j->inline_from = 0;
	j->depth--;
	if (!inside && !j->first)
		fprintf(j->out, "\n%*s", (int)j->depth * 2, "");
	fputc(bracket, j->out);
	j->first = false;
	if (!j->depth)
		fputc('\n', j->out);
}

void json_out_str(struct json_out *j, const char *key, const char *value)
{
	before(j, key);
	fputc('"', j->out);
	escape_json(j->out, value ? value : "");
	fputc('"', j->out);
}

void json_out_uint(struct json_out *j, const char *key, uint64_t value)
{
	before(j, key);
	fprintf(j->out, "%llu", (unsigned long long)value);
}

void json_out_bool(struct json_out *j, const char *key, bool value)
{
	before(j, key);
	fputs(value ? "true" : "false", j->out);
}

void json_out_null(struct json_out *j, const char *key)
{
	before(j, key);
	fputs("null", j->out);
}

void json_out_ms(struct json_out *j, const char *key, uint64_t ns)
{
	before(j, key);
	fprintf(j->out, "%llu.%06llu", (unsigned long long)(ns / 1000000),
		(unsigned long long)(ns % 1000000));
}

void json_out_real(struct json_out *j, const char *key, double value)
{
	if (!isfinite(value)) {
		json_out_null(j, key);
		return;
	}
	before(j, key);
	fprintf(j->out, "%.6f", value);
}
