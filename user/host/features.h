/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What this host and this user may do, tried out and never inferred from a version. */
#ifndef FLATPAUSE_HOST_FEATURES_H
#define FLATPAUSE_HOST_FEATURES_H

#include <stddef.h>

enum feature_state {
	FEATURE_YES = 1,
	FEATURE_NO = 2,	     /* recording works without it, with a loss */
	FEATURE_MISSING = 3, /* recording does not work without it */
};

struct feature {
	const char *name;
	const char *why;  /* what it is needed for */
	const char *gain; /* how to get it; shown when it is not there */
	enum feature_state state;
	char detail[64];
};

#define FEATURES_MAX 12

/* Fills `out` (FEATURES_MAX entries) and returns how many there are. */
size_t features__check(struct feature *out);

#endif
