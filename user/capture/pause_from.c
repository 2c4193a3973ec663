// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "pause_from.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "../log.h"

/* A day: what is longer is no pause but another unit. */
#define PAUSE_MAX_MS 86400000.0

static int refuse(const char *spec)
{
	log_err(0, "--pause-from takes json:.KEY or json:.KEY.KEY (a number of ms), not '%s'",
		spec);
	return -EINVAL;
}

int pause_from__parse(struct pause_from *p, const char *spec)
{
	char *save = NULL;

	memset(p, 0, sizeof(*p));
	if (!spec)
		return 0;
	if (strncmp(spec, "json:.", 6) != 0 || strlen(spec + 6) >= sizeof(p->text) ||
	    spec[6] == '.' || strstr(spec, "..") || spec[strlen(spec) - 1] == '.')
		return refuse(spec);
	snprintf(p->text, sizeof(p->text), "%s", spec + 6);
	for (char *key = strtok_r(p->text, ".", &save); key; key = strtok_r(NULL, ".", &save)) {
		if (p->keys_cnt == PAUSE_FROM_KEYS)
			return refuse(spec);
		p->keys[p->keys_cnt++] = key;
	}
	return p->keys_cnt ? 0 : refuse(spec);
}

static int take_value(const struct pause_from *p, const json_t *line, uint64_t *ns)
{
	const json_t *v = line;
	double ms;

	for (size_t i = 0; i < p->keys_cnt && v; i++)
		v = json_object_get(v, p->keys[i]);
	if (!v)
		return -ENODATA;
	if (!json_is_number(v))
		return -EINVAL;
	ms = json_number_value(v);
	if (!(ms >= 0 && ms <= PAUSE_MAX_MS))
		return -EINVAL;
	*ns = (uint64_t)(ms * 1e6 + 0.5);
	return 0;
}

/* Lines are tried from the last one backwards: what a command says after its result is skipped. */
int pause_from__find(const struct pause_from *p, const char *output, size_t size, uint64_t *ns)
{
	while (size) {
		const char *end = output + size, *begin;
		json_t *line;
		int err;

		begin = memrchr(output, '\n', size);
		begin = begin ? begin + 1 : output;
		line = json_loadb(begin, (size_t)(end - begin), 0, NULL);
		if (json_is_object(line)) {
			err = take_value(p, line, ns);
			json_decref(line);
			return err;
		}
		json_decref(line);
		size = begin == output ? 0 : (size_t)(begin - output) - 1;
	}
	return -ENODATA;
}
