/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Names come from processes, files and traces: they are hostile. Every renderer writes them
 * through one of these. Bytes that are no UTF-8, and characters that XML forbids, become U+FFFD.
 */
#ifndef FLATPAUSE_REPORTS_ESCAPE_H
#define FLATPAUSE_REPORTS_ESCAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define UTF8_REPLACEMENT 0xfffd

/* Takes one code point from *s and moves on; 0 at the end. Overlong forms and surrogates are bad. */
uint32_t utf8_next(const char **s);

/* Writes one code point as UTF-8. */
void utf8_put(FILE *out, uint32_t cp);

/* The inside of a JSON string, without its quotes. */
void escape_json(FILE *out, const char *s);

/* Text and attribute values of HTML, XHTML and SVG. */
void escape_xml(FILE *out, const char *s);

/* One cell of a Markdown table or a line of prose: no markup, no mentions, no line breaks. */
void escape_markdown(FILE *out, const char *s);

/*
 * A code span with its backticks: what is in it can be copied as it is. In a table GitHub takes
 * `\|` for the '|' that would end the cell.
 */
void escape_markdown_code(FILE *out, const char *s, bool in_table);

/*
 * A frame of a folded stack: ';' becomes ':', controls become ' ', other ends of a line U+FFFD,
 * nothing becomes [unknown], and `fc_vcpu 0` becomes `fc_vcpu_0`: a number behind a blank at the
 * end of a line would be a second count.
 */
void escape_folded(FILE *out, const char *s);

/* Like escape_xml(), on one line, and at most `max` code points, then an ellipsis. */
void escape_xml_short(FILE *out, const char *s, size_t max);

#endif
