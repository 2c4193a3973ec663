/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * One setting of the kernel below /sys or /proc/sys: what it was, what it becomes, and whether it
 * still is what we made it.
 */
#ifndef FLATPAUSE_FIXER_KNOB_H
#define FLATPAUSE_FIXER_KNOB_H

#include <jansson.h>

#define KNOB_PATH  128
#define KNOB_VALUE 24
#define KNOBS_MAX  4

struct knob {
	char path[KNOB_PATH]; /* below the root directory; written, read back and compared */
	char old[KNOB_VALUE];
	char now[KNOB_VALUE];
	/* Where `old` alone does not bring it back: written instead of it; "" = there is no such. */
	char undo_path[KNOB_PATH];
	char undo_value[KNOB_VALUE];
	char why[96]; /* for people: the value in the unit that was asked for */
};

enum knob_revert {
	KNOB_RESTORED = 0,
	KNOB_UNTOUCHED = 1, /* it still, or again, has its old value */
	KNOB_FOREIGN = 2,   /* somebody else changed it meanwhile: left as it is */
	KNOB_GONE = 3,	    /* its device is */
};

/* Reads the value into k->old. 0 or -errno. `root` is "" for this host (tests: a directory). */
int knob__look(struct knob *k, const char *root);

/* Writes k->now and reads it back. 0, -EIO (the kernel took another value), -errno. */
int knob__set(const struct knob *k, const char *root);

/* Restores the old value if the present one is ours. enum knob_revert, or -errno. */
int knob__revert(const struct knob *k, const char *root, char present[KNOB_VALUE]);

json_t *knob__to_json(const struct knob *k);

/* 0 or -EINVAL: also for a path that no knob of ours has. */
int knob__from_json(const json_t *j, struct knob *k);

#endif
