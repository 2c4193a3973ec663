/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Which pauses there are: one detector is chosen, the others are a check on it. */
#ifndef FLATPAUSE_ANALYZE_WINDOWS_H
#define FLATPAUSE_ANALYZE_WINDOWS_H

#include "../../reports/finding.h"
#include "scan.h"

struct window {
	uint64_t begin_ns, end_ns;
	uint64_t reported_ns; /* FINDING_NS_NONE */
	uint32_t sweep, index;
	uint32_t closer_tid; /* 0 = to be found */
	uint32_t tgid;	     /* of the closer; 0 = not known */
	bool open;
	enum signal_kind kind;
	char label[48];
};

/* The pattern behind "file:", or the one that `auto` uses. -EINVAL: no such detector (said). */
int windows__glob(const char *spec, const char **glob);

/*
 * Fills `out` (struct window, by begin) and adds warnings where two signals disagree by more than
 * 2 ms and 1 %. 0, -ENODATA: no pause was found (said), -ENOMEM.
 */
int windows__find(const struct scan *s, const char *spec, struct findings *f, struct vec *out);

const char *signal_name(enum signal_kind kind);

/* Adds a sentence to f->warnings. */
int add_warning(struct findings *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
