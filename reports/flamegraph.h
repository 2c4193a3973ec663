/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * A flame graph (root on top) of time on and off the CPU in one picture, coloured by state. The
 * SVG is laid out in percent, so that it fits any width without a script; the script adds zoom,
 * search, tooltips and the keyboard.
 */
#ifndef FLATPAUSE_REPORTS_FLAMEGRAPH_H
#define FLATPAUSE_REPORTS_FLAMEGRAPH_H

#include <stdbool.h>
#include <stdio.h>
#include "flame.h"

struct flamegraph_opts {
	const char *title;   /* "slow windows of run.fpt" */
	const char *id;	     /* unique in its page: letters, digits, "-" */
	bool embedded;	     /* in an HTML page that carries the style and script itself */
	double min_fraction; /* frames thinner than this part of the whole are left out; 0 = 1/4000 */
};

/* 0 or -EIO. A NULL flame is an empty one and says so. */
int flame__write_svg(FILE *out, const struct flame *f, const struct flamegraph_opts *opts);

/* "running, kernel": the legend of an embedded graph is the page's */
const char *flame_state_title(enum flame_state state);

/* What a page with embedded graphs carries once. */
const char *flamegraph_css(void);
const char *flamegraph_js(void);

#endif
