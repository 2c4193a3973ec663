/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Finds the pause that a command reports in its output: --pause-from json:.a.b, milliseconds. */
#ifndef FLATPAUSE_PAUSE_FROM_H
#define FLATPAUSE_PAUSE_FROM_H

#include <stddef.h>
#include <stdint.h>

#define PAUSE_FROM_KEYS	 8
#define PAUSE_FROM_BYTES 128

struct pause_from {
	size_t keys_cnt; /* 0 = the command reports nothing */
	const char *keys[PAUSE_FROM_KEYS];
	char text[PAUSE_FROM_BYTES]; /* what keys point into: do not copy the struct */
};

/* "json:.pause_ms", "json:.result.pause_ms"; NULL = nothing. 0 or -EINVAL (said). */
int pause_from__parse(struct pause_from *p, const char *spec);

/*
 * The value in the last line of `output` that is a JSON object. 0, -ENODATA (no such line or no
 * such key), -EINVAL (the value is no duration in ms); silent.
 */
int pause_from__find(const struct pause_from *p, const char *output, size_t size, uint64_t *ns);

#endif
