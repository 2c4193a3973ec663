// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* `sweep,window,pause_ms`, written by anything; trusted in nothing. */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../cli/params.h"
#include "../log.h"
#include "curve.h"
#include "curve_csv.h"

#define HEADER	  "sweep,window,pause_ms"
#define FIELD_MAX 64 /* no number of ours is longer */

struct row {
	uint32_t sweep, window, line;
	double ms;
};

struct csv {
	const char *name; /* of the file, for messages */
	const char *at, *end;
	uint32_t line;
	struct row *rows;
	size_t cnt, room;
};

static int bad_line(const struct csv *csv, uint32_t line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int bad_line(const struct csv *csv, uint32_t line, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (char *c = text; *c; c++)
		if (!isprint((unsigned char)*c))
			*c = '?';
	log_err(0, "%s:%u: %s", csv->name, line, text);
	return -EINVAL;
}

/* The next line without its end and the blanks around it; false at the end of the text. */
static bool next_line(struct csv *csv, const char **from, size_t *len)
{
	const char *stop, *begin = csv->at;

	if (csv->at >= csv->end)
		return false;
	stop = memchr(begin, '\n', (size_t)(csv->end - begin));
	csv->at = stop ? stop + 1 : csv->end;
	if (!stop)
		stop = csv->end;
	while (begin < stop && strchr(" \t\r", *begin) && *begin)
		begin++;
	while (stop > begin && strchr(" \t\r", stop[-1]) && stop[-1])
		stop--;
	*from = begin;
	*len = (size_t)(stop - begin);
	csv->line++;
	return true;
}

/* Copies the field up to the next comma, or to the end if it is the last, without blanks. */
static int take_field(struct csv *csv, const char **from, const char *end, bool last,
		      const char *what, char field[FIELD_MAX])
{
	const char *begin = *from, *stop = memchr(begin, ',', (size_t)(end - begin));

	if (!last && !stop)
		return bad_line(csv, csv->line, "no %s: a line is " HEADER, what);
	if (last && stop)
		return bad_line(csv, csv->line, "more than three fields: a line is " HEADER);
	if (last)
		stop = end;
	*from = last ? stop : stop + 1;
	while (begin < stop && (*begin == ' ' || *begin == '\t'))
		begin++;
	while (stop > begin && (stop[-1] == ' ' || stop[-1] == '\t'))
		stop--;
	if (stop - begin >= FIELD_MAX)
		return bad_line(csv, csv->line, "'%.20s...' is no %s", begin, what);
	memcpy(field, begin, (size_t)(stop - begin));
	field[stop - begin] = '\0';
	/* a zero byte would hide what follows it */
	if (strlen(field) != (size_t)(stop - begin))
		return bad_line(csv, csv->line, "a zero byte in the %s", what);
	return 0;
}

static int parse_index(struct csv *csv, const char *field, const char *what, uint32_t *out)
{
	uint64_t v;

	if (parse_u64(field, &v) || v < 1 || v > CURVE_MAX_VALUES)
		return bad_line(csv, csv->line, "'%s' is no %s: a number from 1", field, what);
	*out = (uint32_t)v;
	return 0;
}

static int parse_pause(struct csv *csv, const char *field, double *out)
{
	char *end;

	/* strtod() knows more numbers than people write: nan, inf, 0x1p3 */
	*out = strtod(field, &end);
	if (!*field || *end || strspn(field, "0123456789.eE+-") != strlen(field))
		return bad_line(csv, csv->line, "'%s' is no number of milliseconds", field);
	if (!curve__is_pause_ms(*out))
		return bad_line(csv, csv->line, "a pause of %s ms: it must be above 0 and finite",
				field);
	return 0;
}

static int add_row(struct csv *csv, const struct row *row)
{
	if (csv->cnt == CURVE_MAX_VALUES)
		return bad_line(csv, csv->line, "more than %d windows", CURVE_MAX_VALUES);
	if (csv->cnt == csv->room) {
		size_t room = csv->room ? csv->room * 2 : 64;
		struct row *p = realloc(csv->rows, room * sizeof(*p));

		if (!p)
			return log_err(-ENOMEM, "%s", csv->name);
		csv->rows = p;
		csv->room = room;
	}
	csv->rows[csv->cnt++] = *row;
	return 0;
}

static int parse_row(struct csv *csv, const char *from, size_t len)
{
	struct row row = { .line = csv->line };
	const char *end = from + len;
	char field[FIELD_MAX];
	int err;

	err = take_field(csv, &from, end, false, "sweep", field);
	if (!err)
		err = parse_index(csv, field, "sweep", &row.sweep);
	if (!err)
		err = take_field(csv, &from, end, false, "window", field);
	if (!err)
		err = parse_index(csv, field, "window", &row.window);
	if (!err)
		err = take_field(csv, &from, end, true, "pause_ms", field);
	if (!err)
		err = parse_pause(csv, field, &row.ms);
	return err ? err : add_row(csv, &row);
}

/* The names of the columns, with blanks between them as people write them. */
static bool is_header(const char *from, size_t len)
{
	const char *want = HEADER;

	for (size_t i = 0; i < len; i++) {
		if (from[i] == ' ' || from[i] == '\t')
			continue;
		if (!*want || tolower((unsigned char)from[i]) != *want++)
			return false;
	}
	return !*want;
}

static int read_rows(struct csv *csv)
{
	const char *from;
	size_t len;
	bool begun = false;
	int err;

	if (csv->end - csv->at >= 3 && !memcmp(csv->at, "\xef\xbb\xbf", 3))
		csv->at += 3; /* what Excel puts before UTF-8 */
	while (next_line(csv, &from, &len)) {
		if (!len || *from == '#')
			continue;
		if (!begun && is_header(from, len)) {
			begun = true;
			continue;
		}
		begun = true;
		err = parse_row(csv, from, len);
		if (err)
			return err;
	}
	if (!csv->cnt) {
		log_err(0, "%s: no line of " HEADER " in it", csv->name);
		return -EINVAL;
	}
	return 0;
}

static int compare_rows(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (x->sweep != y->sweep)
		return x->sweep < y->sweep ? -1 : 1;
	if (x->window != y->window)
		return x->window < y->window ? -1 : 1;
	return (x->line > y->line) - (x->line < y->line);
}

/* Rows [from, to) are one sweep: its windows must be 1, 2, ... without a gap. */
static int check_sweep(const struct csv *csv, size_t from, size_t to)
{
	const struct row *rows = csv->rows;

	for (size_t i = from; i < to; i++) {
		if (i > from && rows[i].window == rows[i - 1].window)
			return bad_line(csv, rows[i].line,
					"window %u of sweep %u stands in line %u already",
					rows[i].window, rows[i].sweep, rows[i - 1].line);
		if (rows[i].window != i - from + 1)
			return bad_line(csv, rows[i].line,
					"window %u of sweep %u, but there is no window %zu",
					rows[i].window, rows[i].sweep, i - from + 1);
	}
	return 0;
}

static int check_sweeps(const struct csv *csv, uint32_t *sweeps, uint32_t *windows)
{
	const struct row *rows = csv->rows;

	*sweeps = *windows = 0;
	for (size_t from = 0, to; from < csv->cnt; from = to) {
		int err;

		for (to = from; to < csv->cnt && rows[to].sweep == rows[from].sweep;)
			to++;
		err = check_sweep(csv, from, to);
		if (err)
			return err;
		if (*windows && to - from != *windows)
			return bad_line(csv, rows[to - 1].line,
					"sweep %u has %zu windows, sweep %u has %u",
					rows[from].sweep, to - from, rows[0].sweep, *windows);
		*windows = (uint32_t)(to - from);
		(*sweeps)++;
	}
	return 0;
}

int curve_csv__parse(const char *text, size_t size, const char *name, struct curve_input *out)
{
	struct csv csv = { .name = name, .at = text, .end = text + size };
	int err = read_rows(&csv);

	if (err)
		goto out;
	qsort(csv.rows, csv.cnt, sizeof(*csv.rows), compare_rows);
	err = check_sweeps(&csv, &out->sweeps, &out->windows);
	if (err)
		goto out;
	out->values_ms = malloc(csv.cnt * sizeof(*out->values_ms));
	if (!out->values_ms) {
		err = log_err(-ENOMEM, "%s", name);
		goto out;
	}
	for (size_t i = 0; i < csv.cnt; i++)
		out->values_ms[i] = csv.rows[i].ms;
out:
	free(csv.rows);
	return err;
}
