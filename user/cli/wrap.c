// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "wrap.h"

#include <stdbool.h>
#include <string.h>

#include "../../reports/escape.h"

static void put_plain(FILE *out, uint32_t c)
{
	utf8_put(out, c < 0x20 || (c >= 0x7f && c < 0xa0) ? UTF8_REPLACEMENT : c);
}

/* Writes what is before `end`; returns the columns. */
static size_t put_text(FILE *out, const char *text, const char *end)
{
	size_t columns = 0;

	for (; text < end && *text; columns++)
		put_plain(out, utf8_next(&text));
	return columns;
}

static size_t columns_of(const char *text, const char *end)
{
	size_t columns = 0;

	for (; text < end && *text; columns++)
		utf8_next(&text);
	return columns;
}

/* Where a word that is wider than `room` is cut: behind its last comma that fits, else at `room`. */
static const char *cut_word(const char *word, const char *end, size_t room)
{
	const char *comma = NULL, *p = word;

	for (size_t columns = 0; p < end && columns < room; columns++) {
		bool is_comma = *p == ',';

		utf8_next(&p);
		if (is_comma)
			comma = p;
	}
	return comma ? comma : p;
}

void print_wrapped(FILE *out, const char *text, const char *first, const char *rest)
{
	size_t column = put_text(out, first, first + strlen(first));
	size_t indent = columns_of(rest, rest + strlen(rest));
	bool begin = true;

	text += strspn(text, " \n");
	while (*text) {
		const char *end = text + strcspn(text, " \n");
		size_t word = columns_of(text, end);

		if (!begin && column + 1 + word > WRAP_WIDTH) {
			fputc('\n', out);
			column = put_text(out, rest, rest + strlen(rest));
			begin = true;
		}
		/* No line can hold it: what fits goes here, the rest of it is a word of its own. */
		if (begin && word > WRAP_WIDTH - column && indent < WRAP_WIDTH / 2)
			end = cut_word(text, end, WRAP_WIDTH > column ? WRAP_WIDTH - column : 1);
		if (!begin)
			fputc(' ', out);
		column += put_text(out, text, end) + !begin;
		begin = false;
		text = end + strspn(end, " \n");
		if (text == end && *text) {
			fputc('\n', out);
			column = put_text(out, rest, rest + strlen(rest));
			begin = true;
		}
	}
	fputc('\n', out);
}

void print_line(FILE *out, const char *head, const char *line)
{
	put_text(out, head, head + strlen(head));
	put_text(out, line, line + strlen(line));
	fputc('\n', out);
}
