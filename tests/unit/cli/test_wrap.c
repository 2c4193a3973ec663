// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Lines of a terminal of 80 columns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "../../../user/cli/wrap.h"

static char *wrapped(const char *text, const char *first, const char *rest)
{
	char *got = NULL;
	size_t size;
	FILE *out = open_memstream(&got, &size);

	assert_non_null(out);
	print_wrapped(out, text, first, rest);
	assert_int_equal(fclose(out), 0);
	return got;
}

static void assert_wraps(const char *text, const char *first, const char *rest, const char *want)
{
	char *got = wrapped(text, first, rest);

	assert_string_equal(got, want);
	free(got);
}

/* Gives the lines; none may be wider than the terminal. */
static int lines_of(char *text)
{
	int lines = 0;

	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"), lines++)
		assert_true(strlen(line) <= WRAP_WIDTH);
	return lines;
}

static void short_text_is_one_line(void **state)
{
	assert_wraps("a few words", "", "", "a few words\n");
	assert_wraps("a few words", "- ", "  ", "- a few words\n");
	assert_wraps("", "- ", "  ", "- \n");
	assert_wraps("  blanks\n and  breaks ", "", "", "blanks and breaks\n");
}

static void breaks_at_words(void **state)
{
	char text[80 * 11 + 1] = "", *got;

	for (int i = 0; i < 80; i++)
		strcat(text, "0123456789 ");
	got = wrapped(text, "* ", "    ");
	assert_int_equal(strncmp(got, "* 0123456789 ", 13), 0);
	assert_non_null(strstr(got, "\n    0123456789 "));
	/* 7 words fit behind "* ", 6 behind four blanks: 7 + 73 of 6 each */
	assert_int_equal(lines_of(got), 1 + (73 + 5) / 6);
	free(got);
}

/* A line may be filled to its last column, and no further. */
static void fills_the_line(void **state)
{
	char word[WRAP_WIDTH + 1], text[2 * WRAP_WIDTH], *got;

	memset(word, 'x', WRAP_WIDTH - 2);
	word[WRAP_WIDTH - 2] = '\0';
	snprintf(text, sizeof(text), "%s y", word);
	got = wrapped(text, "", "");
	assert_int_equal(lines_of(got), 1);
	free(got);
	snprintf(text, sizeof(text), "%s yz", word);
	got = wrapped(text, "", "");
	assert_int_equal(lines_of(got), 2);
	free(got);
}

static void long_words_are_cut(void **state)
{
	char word[301], *got;
	size_t kept = 0;

	memset(word, 'x', 300);
	word[300] = '\0';
	got = wrapped(word, "head ", "     ");
	for (const char *p = got; *p; p++)
		kept += *p == 'x';
	assert_int_equal(kept, 300);
	assert_int_equal(lines_of(got), 5);
	free(got);
	word[20] = word[60] = ','; /* behind the last one that fits */
	got = wrapped(word, "head ", "     ");
	assert_memory_equal(got + 5 + 61, "\n     x", 7);
	free(got);
}

/* Columns are characters, not bytes; a control character never reaches the terminal. */
static void names_are_hostile(void **state)
{
	char text[3 * 40 * 3 + 1] = "", *got;

	for (int i = 0; i < 40; i++)
		strcat(text, i ? " \xc3\xa4" : "\xc3\xa4");
	got = wrapped(text, "", "");
	assert_ptr_equal(strchr(got, '\n'), got + strlen(got) - 1);
	free(got);
	got = wrapped("\x1b[2J \x9b red\x07", "", "");
	for (const char *p = got; *p; p++)
		assert_true(*p == '\n' || (unsigned char)*p >= ' ');
	assert_non_null(strstr(got, "[2J"));
	free(got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(short_text_is_one_line), cmocka_unit_test(breaks_at_words),
		cmocka_unit_test(fills_the_line),	  cmocka_unit_test(long_words_are_cut),
		cmocka_unit_test(names_are_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
