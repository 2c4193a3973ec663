/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Text for a terminal of 80 columns, whatever names are in it. */
#ifndef FLATPAUSE_WRAP_H
#define FLATPAUSE_WRAP_H

#include <stdio.h>

#define WRAP_WIDTH 79

/*
 * Writes `text` in lines of at most WRAP_WIDTH columns, `first` before the first and `rest` before
 * the others. It breaks at blanks; a word that no line can hold is broken behind a comma, else
 * where the line ends. Control characters, which a terminal would obey, are replaced.
 */
void print_wrapped(FILE *out, const char *text, const char *first, const char *rest);

/* One line that is to be copied: never broken, control characters replaced all the same. */
void print_line(FILE *out, const char *head, const char *line);

#endif
