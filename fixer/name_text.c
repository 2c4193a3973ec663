// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "name_text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../reports/escape.h"

/* Whether the `len` bytes, which were taken for `cp`, may stay as they are. */
static bool is_plain(const char *bytes, size_t len, uint32_t cp)
{
	if (cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || cp == '\\')
		return false;
	return cp != UTF8_REPLACEMENT || (len == 3 && !memcmp(bytes, "\xef\xbf\xbd", 3));
}

json_t *name_text__to_json(const char *name)
{
	char *text = malloc(4 * strlen(name) + 1), *to = text;
	json_t *j;

	if (!text)
		return NULL;
	while (*name) {
		const char *from = name;
		uint32_t cp = utf8_next(&name);
		size_t len = (size_t)(name - from);

		if (is_plain(from, len, cp))
			to = mempcpy(to, from, len);
		else
			for (; from < name; from++)
				to += sprintf(to, "\\x%02x", (unsigned char)*from);
	}
	*to = '\0';
	j = json_string(text);
	free(text);
	return j;
}

json_t *name_text__vformat(const char *fmt, va_list ap)
{
	char *text;
	json_t *j;

	if (vasprintf(&text, fmt, ap) < 0)
		return NULL;
	j = name_text__to_json(text);
	free(text);
	return j;
}

json_t *name_text__format(const char *fmt, ...)
{
	va_list ap;
	json_t *j;

	va_start(ap, fmt);
	j = name_text__vformat(fmt, ap);
	va_end(ap);
	return j;
}

/* \xNN at `text`; 0 = it is none. */
static unsigned int escaped(const char *text)
{
	unsigned int byte;
	int used = 0;

	if (text[0] != '\\' || text[1] != 'x')
		return 0;
	return sscanf(text + 2, "%2x%n", &byte, &used) == 1 && used == 2 ? byte : 0;
}

int name_text__from_json(const json_t *j, char *name, size_t size)
{
	const char *text = json_string_value(j);
	size_t len = 0;

	while (text && *text && len + 1 < size) {
		unsigned int byte = escaped(text);

		name[len++] = byte ? (char)byte : *text;
		text += byte ? 4 : 1;
	}
	name[len] = '\0';
	return text && *text ? -ENAMETOOLONG : 0;
}
