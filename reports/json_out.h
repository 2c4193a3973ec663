/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * JSON as a stream: nothing is built in memory, so that a thousand windows cost nothing. Objects
 * of the top levels are indented, those inside stand on one line each.
 */
#ifndef FLATPAUSE_REPORTS_JSON_OUT_H
#define FLATPAUSE_REPORTS_JSON_OUT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct json_out {
	FILE *out;
	unsigned int depth;
	unsigned int inline_from; /* from this depth on everything is on one line; 0 = never */
	bool first;		  /* nothing was written yet at this depth */
};

/* `key` is NULL inside arrays and at the top. */
void json_out_begin(struct json_out *j, const char *key, char bracket);
void json_out_end(struct json_out *j, char bracket);
/* Like json_out_begin(), but all of it on one line. */
void json_out_begin_line(struct json_out *j, const char *key, char bracket);

void json_out_str(struct json_out *j, const char *key, const char *value);
void json_out_uint(struct json_out *j, const char *key, uint64_t value);
void json_out_bool(struct json_out *j, const char *key, bool value);
void json_out_null(struct json_out *j, const char *key);
/* Nanoseconds as milliseconds with six decimals: exact. */
void json_out_ms(struct json_out *j, const char *key, uint64_t ns);
/* Six decimals; what is no finite number becomes null, for JSON has no form for it. */
void json_out_real(struct json_out *j, const char *key, double value);

#endif
