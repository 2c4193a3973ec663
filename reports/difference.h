/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Two recordings beside each other, cause by cause: what went away and what came. */
#ifndef FLATPAUSE_REPORTS_DIFFERENCE_H
#define FLATPAUSE_REPORTS_DIFFERENCE_H

#include <stdio.h>
#include "finding.h"

enum difference_kind {
	DIFFERENCE_SAME = 0,
	DIFFERENCE_WENT = 1, /* a tenth of it is left, or less */
	DIFFERENCE_SHRANK = 2,
	DIFFERENCE_GREW = 3,
	DIFFERENCE_CAME = 4, /* a tenth of it was there, or less */
};

/* One cause; milliseconds per window, 0 where a window has none of it. */
struct difference_row {
	char *cause;
	char *title;
	enum difference_kind kind;
	double before_ms, after_ms;	      /* medians */
	double before_mean_ms, after_mean_ms; /* these add up to the mean pause */
	double share;			      /* of the change of the mean pause; NaN = no change */
};

struct difference_arm {
	char *source; /* the trace's path as given */
	char *cause;  /* its own verdict */
	enum curve_verdict curve;
	uint32_t windows; /* of those compared */
	double median_ms, mean_ms;
};

struct difference {
	struct difference_arm before, after;
	uint32_t from_window;	     /* compared are the windows from this index on, in both */
	double change_ms;	     /* of the mean pause; below 0 it is shorter now */
	struct difference_row *rows; /* largest change first */
	size_t rows_cnt;
	char *text; /* the answer in words, numbers included */
};

void difference__free_inside(struct difference *d);

const char *difference_kind_name(enum difference_kind k); /* "went", "shrank", ... */

/* `diff --json`: one object and a newline. 0 or -EIO when the stream failed. */
int difference__write_json(FILE *out, const struct difference *d);

#endif
