// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "escape.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

/* Continuation bytes that the lead byte asks for; -1 = no lead byte. */
static int tail_length(unsigned char lead)
{
	if (lead < 0x80)
		return 0;
	if (lead >= 0xc2 && lead < 0xe0)
		return 1;
	if (lead >= 0xe0 && lead < 0xf0)
		return 2;
	if (lead >= 0xf0 && lead < 0xf5)
		return 3;
	return -1;
}

uint32_t utf8_next(const char **s)
{
	static const uint32_t smallest[] = { 0, 0x80, 0x800, 0x10000 };
	const unsigned char *p = (const unsigned char *)*s;
	int tail = tail_length(*p);
	uint32_t cp;

	if (*p == '\0')
		return 0;
	if (tail <= 0) {
		*s += 1;
		return tail ? UTF8_REPLACEMENT : *p;
	}
	cp = *p & (0x3f >> tail);
	for (int i = 1; i <= tail; i++) {
		if ((p[i] & 0xc0) != 0x80) {
			*s += i;
			return UTF8_REPLACEMENT;
		}
		cp = cp << 6 | (p[i] & 0x3f);
	}
	*s += tail + 1;
	if (cp < smallest[tail] || cp > 0x10ffff || (cp >= 0xd800 && cp < 0xe000))
		return UTF8_REPLACEMENT;
	return cp;
}

void utf8_put(FILE *out, uint32_t cp)
{
	if (cp < 0x80) {
		fputc((int)cp, out);
		return;
	}
	if (cp < 0x800) {
		fputc((int)(0xc0 | cp >> 6), out);
	} else {
		if (cp < 0x10000) {
			fputc((int)(0xe0 | cp >> 12), out);
		} else {
			fputc((int)(0xf0 | cp >> 18), out);
			fputc((int)(0x80 | (cp >> 12 & 0x3f)), out);
		}
		fputc((int)(0x80 | (cp >> 6 & 0x3f)), out);
	}
	fputc((int)(0x80 | (cp & 0x3f)), out);
}

void escape_json(FILE *out, const char *s)
{
	uint32_t cp;

	while ((cp = utf8_next(&s)) != 0) {
		if (cp == '"' || cp == '\\')
			fprintf(out, "\\%c", (char)cp);
		else if (cp == '\n')
			fputs("\\n", out);
		else if (cp == '\t')
			fputs("\\t", out);
		else if (cp < 0x20 || cp == 0x7f || cp == 0x2028 || cp == 0x2029)
			fprintf(out, "\\u%04x", cp);
		else
			utf8_put(out, cp);
	}
}

/* Characters that XML 1.0 has no form for, and those that turn the direction of a line. */
static bool xml_forbids(uint32_t cp)
{
	if (cp < 0x20)
		return cp != '\t' && cp != '\n';
	if (cp >= 0x7f && cp < 0xa0)
		return true;
	return cp == 0xfffe || cp == 0xffff || (cp >= 0x202a && cp <= 0x202e) ||
	       (cp >= 0x2066 && cp <= 0x2069);
}

static void put_xml(FILE *out, uint32_t cp)
{
	switch (cp) {
	case '<':
		fputs("&lt;", out);
		break;
	case '>':
		fputs("&gt;", out);
		break;
	case '&':
		fputs("&amp;", out);
		break;
	case '"':
		fputs("&quot;", out);
		break;
	case '\'':
		fputs("&#39;", out);
		break;
	default:
		utf8_put(out, xml_forbids(cp) ? UTF8_REPLACEMENT : cp);
	}
}

void escape_xml(FILE *out, const char *s)
{
	uint32_t cp;

	while ((cp = utf8_next(&s)) != 0)
		put_xml(out, cp);
}

void escape_xml_short(FILE *out, const char *s, size_t max)
{
	uint32_t cp;

	for (size_t n = 0; (cp = utf8_next(&s)) != 0; n++) {
		if (n == max) {
			fputs("…", out);
			return;
		}
		put_xml(out, cp == '\n' || cp == '\t' ? ' ' : cp);
	}
}

void escape_markdown(FILE *out, const char *s)
{
	uint32_t cp;

	while ((cp = utf8_next(&s)) != 0) {
		if (cp == '<')
			fputs("&lt;", out);
		else if (cp == '>')
			fputs("&gt;", out);
		else if (cp == '&')
			fputs("&amp;", out);
		else if (cp == '@')
			fputs("@\xe2\x80\x8b", out); /* a zero-width space: nobody is mentioned */
		else if (cp < 0x80 && strchr("\\`*_{}[]#|~!", (int)cp))
			fprintf(out, "\\%c", (char)cp);
		else
			utf8_put(out, cp < 0x20 || xml_forbids(cp) ? ' ' : cp);
	}
}

/* A code span is closed by as many backticks as opened it, so it is opened by more than it has. */
static size_t longest_backticks(const char *s)
{
	size_t longest = 0, run = 0;

	for (; *s; s++) {
		run = *s == '`' ? run + 1 : 0;
		longest = run > longest ? run : longest;
	}
	return longest;
}

static void put_backticks(FILE *out, size_t cnt)
{
	while (cnt--)
		fputc('`', out);
}

void escape_markdown_code(FILE *out, const char *s, bool in_table)
{
	size_t inside = longest_backticks(s);
	bool padded = inside || !*s;
	uint32_t cp;

	put_backticks(out, inside + 1);
	if (padded)
		fputc(' ', out);
	while ((cp = utf8_next(&s)) != 0) {
		if (cp == '|' && in_table)
			fputs("\\|", out);
		else
			utf8_put(out, cp < 0x20 || xml_forbids(cp) ? ' ' : cp);
	}
	if (inside)
		fputc(' ', out);
	put_backticks(out, inside + 1);
}

/*
 * The blank before a number that ends the name, NULL if there is none. flamegraph.pl takes such a
 * number for the first of two counts: the line `fc_vcpu 0 1234` would be a difference.
 */
static const char *blank_before_count(const char *s)
{
	const char *end = s + strlen(s), *p = end, *whole;

	while (p > s && isdigit((unsigned char)p[-1]))
		p--;
	if (p > s && p[-1] == '.') {
		for (whole = p - 1; whole > s && isdigit((unsigned char)whole[-1]);)
			whole--;
		if (whole < p - 1)
			p = whole;
	}
	return p < end && p > s && ((unsigned char)p[-1] <= ' ' || p[-1] == 0x7f) ? p - 1 : NULL;
}

void escape_folded(FILE *out, const char *s)
{
	const char *blank = blank_before_count(s);
	bool empty = true;

	while (*s) {
		bool joins = s == blank;
		uint32_t cp = utf8_next(&s);

		empty = false;
		if (joins)
			fputc('_', out);
		else if (cp == ';')
			fputc(':', out);
		else if (cp < 0x20 || cp == 0x7f)
			fputc(' ', out);
		else if (xml_forbids(cp) || cp == 0x2028 || cp == 0x2029)
			utf8_put(out, UTF8_REPLACEMENT);
		else
			utf8_put(out, cp);
	}
	if (empty)
		fputs("[unknown]", out);
}
