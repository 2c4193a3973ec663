// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "mountinfo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "../../user/host/read.h"

#define MOUNTINFO_MAX (16u << 20)

struct each {
	mount_fn fn;
	void *ctx;
};

/* "\040" -> " ", as in mountinfo. */
static void unescape(char *text)
{
	char *to = text;

	for (; *text; text++) {
		unsigned int c;

		if (text[0] == '\\' && sscanf(text + 1, "%3o", &c) == 1) {
			*to++ = (char)c;
			text += 3;
		} else {
			*to++ = *text;
		}
	}
	*to = '\0';
}

/* "ID PARENT MAJ:MIN ROOT POINT OPTIONS [TAGS...] - TYPE SOURCE OPTIONS" */
static int take_line(void *ctx, char *line)
{
	struct each *e = ctx;
	char *type = strstr(line, " - "), *point = line;
	unsigned int major, minor;
	struct mount_line m = { .id = atoi(line) };

	for (int i = 0; i < 4 && point; i++)
		point = strchr(point + 1, ' ');
	if (!point || !type || point >= type || sscanf(line, "%*d %*d %u:%u", &major, &minor) != 2)
		return 0;
	type += 3;
	type[strcspn(type, " ")] = '\0';
	point++;
	point[strcspn(point, " ")] = '\0';
	unescape(point);
	m.dev = makedev(major, minor);
	m.point = point;
	m.type = type;
	return e->fn(e->ctx, &m);
}

int mountinfo__each(const char *root, const char *pid, mount_fn fn, void *ctx)
{
	struct each e = { .fn = fn, .ctx = ctx };
	char *text;
	int err = read_whole(root, &text, MOUNTINFO_MAX, "/proc/%s/mountinfo", pid);

	if (err < 0)
		return err;
	err = each_line(text, take_line, &e);
	free(text);
	return err;
}
