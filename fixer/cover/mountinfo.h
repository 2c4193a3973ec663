/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What is mounted where, as /proc/PID/mountinfo has it: for one mount namespace. */
#ifndef FLATPAUSE_FIXER_COVER_MOUNTINFO_H
#define FLATPAUSE_FIXER_COVER_MOUNTINFO_H

#include <sys/types.h>

struct mount_line {
	int id;
	dev_t dev;
	const char *point; /* below the root of the process that was asked */
	const char *type;
};

typedef int (*mount_fn)(void *ctx, const struct mount_line *m);

/*
 * Calls fn for each mount, what lies on top last, until it returns non-zero: that is returned. `pid`:
 * "self" or a number; `root`: "" = this host. 0 or -errno.
 */
int mountinfo__each(const char *root, const char *pid, mount_fn fn, void *ctx);

#endif
