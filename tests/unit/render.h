/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What a renderer writes, as a string: `char *text = RENDER(findings__write_json(out, f));` */
#ifndef TESTS_UNIT_RENDER_H
#define TESTS_UNIT_RENDER_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Closes the temporary file and gives what is in it. */
static inline char *read_back(FILE *f)
{
	long size = fflush(f) ? -1 : ftell(f);
	char *text = size < 0 ? NULL : calloc(1, (size_t)size + 1);

	assert_non_null(text);
	rewind(f);
	assert_int_equal(fread(text, 1, (size_t)size, f), size);
	fclose(f);
	return text;
}

#define RENDER(_call)                       \
	({                                  \
		FILE *out = tmpfile();      \
		assert_non_null(out);       \
		assert_int_equal(_call, 0); \
		read_back(out);             \
	})

/* The same for functions that give nothing. */
#define RENDER_VOID(_call) RENDER(((void)(_call), 0))

static inline size_t count_of(const char *text, const char *what)
{
	size_t n = 0;

	for (const char *p = text; (p = strstr(p, what)); p += strlen(what))
		n++;
	return n;
}

#endif
