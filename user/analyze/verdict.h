/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Why the pauses are long: which windows are slow, what their growth is made of, what it is not,
 * and how that is said. Internal.
 *
 * A cause is named where there is an anomaly, and only there:
 *
 *   growth	some windows are slow by the curve's statistics or, where the curve is inconclusive,
 *		lie apart from the earlier ones (regimes.c), and the recorded time grew by 5 ms.
 *   spikes	no step, but two windows or more stand out three times above the median, 50 ms or
 *		more on average, and one cause has half of that and is seen in each of them.
 *   baseline	another recording was given as what is normal: the windows' lower quartile is above
 *		its upper quartile, and the median 1.5 times its median and 10 ms above it.
 *   held	nothing to compare with, but the pauses are a quarter of a second or more on average
 *		and mostly stalls. What "normal" is cannot be known here, so shorter ones name nothing:
 *		a flat 80 ms fsync is what that disk takes. The text still says what holds them.
 *
 * Else the verdict is "none". A cause that is work (copying, user code) is named where work is
 * what grew; where half of the growth or more is stalls, the largest stall is the cause, however
 * many names the stalls come under. A cause that is not seen in half of the slow windows yields to
 * one that is: a mean alone would follow a single outlier.
 */
#ifndef FLATPAUSE_ANALYZE_VERDICT_H
#define FLATPAUSE_ANALYZE_VERDICT_H

#include <stdio.h>

#include "contrast.h"

/* Above this part of the slow windows without a name the verdict is incomplete. */
#define UNKNOWN_MAX_SHARE 0.02

/* Judges the curve, and marks the windows as slow or as spikes. */
int verdict__curve(struct analysis *a);

/* Names the cause; `baseline` may be NULL. 0 or -ENOMEM. */
int verdict__judge(struct analysis *a, const struct findings *baseline);

/* ---- verdict_reject.c: what people suspect, and the number that speaks against it ---- */

#define SUSPECT_TEXT 160
struct rejection {
	const char *cause;	  /* as in the findings: "futex.contended" */
	const char *name;	  /* as people say it: "futex" */
	char brief[SUSPECT_TEXT]; /* "4.1 ms", "no commit overlapped" */
};

#define REJECTIONS_MAX 10
struct rejections {
	struct rejection v[REJECTIONS_MAX];
	size_t cnt;
};

/*
 * Rejects what cannot be the cause: what has less than 5 % of the growth, and would have less
 * than `top` if all that has no name were its own. Appends to the findings; the most relevant come
 * first in *r. 0 or -ENOMEM.
 */
int verdict__reject(struct findings *f, const struct contrast *c, const struct contrast_row *top,
		    struct rejections *r);

/* ---- verdict_text.c: the words; every number in them is measured ---- */

/* Text and evidence. `top` NULL: no anomaly. 0 or -ENOMEM. */
int verdict__say(struct analysis *a, const struct contrast *c, const struct contrast_row *top,
		 const struct rejections *r);

/* ---- verdict_extents.c: blocks in advance, and what undid them ---- */

/* A sentence for each file name whose preallocation was undone, with a space before; two at most. */
void verdict__say_undone(FILE *out, const struct findings *f, const struct contrast *c);

/* A line of evidence for each file name that was preallocated. 0 or -ENOMEM. */
int verdict__list_extents(struct findings *f, const struct contrast *c);

/* What it says of the block allocator in the slow windows: a constant, "" = nothing. */
const char *verdict__extents_note(const struct findings *f, const struct contrast *c);

/* ---- verdict_story.c: who waited, for what, and who left it behind ---- */

/* Goes on with the sentence that names the cause; nothing where no more is known. */
void verdict__story(FILE *out, const struct findings *f, const struct contrast *c,
		    const struct contrast_row *top);

#endif
