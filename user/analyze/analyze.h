/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* From a trace file to findings; no root, any machine, the same bytes each time. */
#ifndef FLATPAUSE_ANALYZE_H
#define FLATPAUSE_ANALYZE_H

#include <stdbool.h>
#include <stdint.h>
#include "../../reports/finding.h"

struct analyze_opts {
	const char *
		window; /* "auto", "exec", "reported", "mark", "api", "file:GLOB"; NULL = as recorded */
	const char *baseline; /* a trace whose pauses are normal; NULL = none */
	bool flames;	      /* build flame_slow and flame_fast */
	double max_loss_percent; /* above it there is no verdict: -EOVERFLOW and findings without one */
};

/*
 * 0; -EOVERFLOW: too much was lost (findings are given, the verdict is "unknown.lost");
 * -ENODATA: no window was found; -EINVAL, -EPROTO, -errno: as the reader says. All said.
 */
int analyze__trace(const char *path, const struct analyze_opts *opts, struct findings **out);

#endif
