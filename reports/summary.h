/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What several renderers say in the same words: headline of a curve, causes over all windows. */
#ifndef FLATPAUSE_REPORTS_SUMMARY_H
#define FLATPAUSE_REPORTS_SUMMARY_H

#include "finding.h"

#define HEADLINE_SIZE 256

/* One cause over the windows of a trace; means are per window. */
struct cause_row {
	const char *cause; /* owned by the findings */
	uint64_t fast_ns;  /* sums */
	uint64_t slow_ns;
	uint64_t carry_over_ns;
	uint64_t slow_carry_over_ns;
	double fast_mean_ms;
	double slow_mean_ms;
	double growth_ms; /* slow mean - fast mean; without slow windows: the mean of all */
	double carry_over_mean_ms; /* of a slow window; without slow windows: of all */
};

struct cause_table {
	struct cause_row *rows; /* by growth, largest first */
	size_t cnt;
	uint32_t fast_windows;
	uint32_t slow_windows;
	double growth_ms; /* of a window */
};

/* 0 or -ENOMEM; free with cause_table__free_inside() in any case. */
int cause_table__build(const struct findings *f, struct cause_table *t);
void cause_table__free_inside(struct cause_table *t);

/* "STEPPED at window 3, x5.07 (90 %: 4.61 to 5.69), p = 0.0001, 3 sweeps of 10 windows" */
const char *curve_headline(char buf[HEADLINE_SIZE], const struct finding_curve *c);

/* Whether stretch `i` of the window's path is one of the `max` longest, and a hundredth of it. */
bool path_shows(const struct finding_window *w, size_t i, size_t max);

/* What of "x of a/1 > y of b/2 > held by c/3, which was in z" led there directly: the last of it. */
const char *path_last_hop(const char *via);

/* Whether that is who had what was waited for, and no wait of the path. */
bool path_hop_is_holder(const char *hop);

/* "dirtied by"; where no more than the device is known, who has sent the writes is all that is. */
const char *blame_by(const struct finding_blame *b);

/* Of an undone preallocation: "O_TRUNC at open by branch/672 (copy_file_range)". */
const char *undone_by(char buf[HEADLINE_SIZE], const struct finding_file *x);

/* What the share of a verdict is of: "growth", "spikes", "difference", "pause". */
const char *verdict_share_of(const struct finding_verdict *v);

/* "" where the cause has no title. */
const char *cause_title(const struct findings *f, const char *id);

/* Median over sweeps of window `w` (from 0), NaN where there is none. */
double curve_window_median(const struct finding_curve *c, uint32_t w);

/* Median of windows first..last (from 1) over all sweeps; NaN where there is none. */
double curve_median(const struct finding_curve *c, uint32_t first, uint32_t last);

/* The arm that a comparison starts from: the one `before`, else the first; NULL if there is none. */
const struct arm *comparison_first_arm(const struct comparison *c);

/* Whether it names something to do: "none" tells what not to hope for. */
bool advice_is_to_act(const struct finding_advice *a);

/* Whether one of its arms is a mitigation, so that there is an outcome to speak of. */
bool comparison_has_mitigation(const struct comparison *c);

/* The arm whose mitigation was kept, NULL if none was. */
const struct arm *comparison_kept_arm(const struct comparison *c);

/* `p` where it is a string, else "": names that were never set. */
static inline const char *text_or_empty(const char *p)
{
	return p ? p : "";
}

#endif
