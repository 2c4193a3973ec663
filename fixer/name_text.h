/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Names in a journal. A name is any bytes but '/' and NUL, a journal is JSON in UTF-8: what is no
 * UTF-8 is kept as \xNN, and so are control characters, which must not reach a terminal, and
 * backslashes. Reading gives the very bytes back.
 */
#ifndef FLATPAUSE_FIXER_NAME_TEXT_H
#define FLATPAUSE_FIXER_NAME_TEXT_H

#include <jansson.h>
#include <stdarg.h>
#include <stddef.h>

/* NULL without memory. */
json_t *name_text__to_json(const char *name);

/* What is said about names, with whatever bytes are in them. NULL without memory. */
json_t *name_text__format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
json_t *name_text__vformat(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0)));

/* "" where `j` is no text. 0, or -ENAMETOOLONG: cut. */
int name_text__from_json(const json_t *j, char *name, size_t size);

#endif
