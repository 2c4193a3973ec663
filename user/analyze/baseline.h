/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Baselines of a pause curve, one per kind of host, in a small JSON file that lives in the user's
 * repository. Sweeps are kept as measured, so that tests need no assumption about their law. The
 * file is hostile until checked: what is wrong in one entry refuses all.
 */
#ifndef FLATPAUSE_BASELINE_H
#define FLATPAUSE_BASELINE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "curve_noise.h"

#define BASELINE_VERSION     1
#define BASELINE_CLASSES_MAX 256

struct baseline_share {
	char *cause;
	double share; /* of all windows, 0..1 */
	double ms;    /* per window */
};

struct baseline_entry {
	char *host_class;
	char *updated; /* "2026-11-20" */
	char *verdict; /* of its curve: "flat", ... */
	uint32_t sweeps, windows;
	double *values_ms; /* sweep-major */
	struct curve_noise noise;
	struct baseline_share *shares; /* empty: made from CSV */
	size_t shares_cnt;
};

struct baseline {
	struct baseline_entry *entries;
	size_t cnt;
};

/*
 * 0; -ENOENT (not said: there is none yet); -EINVAL (said: no baseline, damaged), -EPROTO (said:
 * of another version), -EFBIG, -ENOMEM, -errno (said).
 */
int baseline__load(struct baseline *b, const char *path);
void baseline__free_inside(struct baseline *b);

/* NULL if there is none. */
const struct baseline_entry *baseline__find(const struct baseline *b, const char *host_class);

/* Takes over the contents of `entry`, in the place of the one of its class. 0 or -E2BIG, -ENOMEM. */
int baseline__put(struct baseline *b, struct baseline_entry *entry);
void baseline_entry__free_inside(struct baseline_entry *e);

/* Classes in order, a sweep on a line: a difference in the repository can be read. 0 or -EIO. */
int baseline__write(FILE *out, const struct baseline *b);

#endif
