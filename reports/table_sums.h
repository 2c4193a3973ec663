/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Tables of windows summed over the slow and the fast ones, for every renderer. */
#ifndef FLATPAUSE_REPORTS_TABLE_SUMS_H
#define FLATPAUSE_REPORTS_TABLE_SUMS_H

#include "finding.h"

/* Without slow windows all are of one kind, and stand in `slow`, as in flame graphs. */
struct regime_sums {
	uint32_t slow_windows, fast_windows;
	uint64_t slow_ns, fast_ns; /* of the windows */
};

struct state_row {
	const char *frame, *cause;	   /* owned by the findings */
	uint64_t slow_ns, fast_ns;	   /* of all threads */
	double slow_threads, fast_threads; /* mean numbers */
};

struct state_table {
	struct state_row *rows; /* by slow_threads, largest first */
	size_t cnt;
	struct regime_sums of;
};

/* 0 or -ENOMEM; free in any case. */
int state_table__build(const struct findings *f, struct state_table *t);
void state_table__free_inside(struct state_table *t);

/* The calls in windows of a regime by operation; `slow`: as above. */
struct size_table {
	struct finding_sizes *rows; /* ops are owned by the findings */
	size_t cnt;
};

int size_table__build(const struct findings *f, bool slow, struct size_table *t);
void size_table__free_inside(struct size_table *t);

/* The window with the longest duration; NULL if there is none. */
const struct finding_window *slowest_window(const struct findings *f);

/* Whether a futex row is worth a line: contended, or waited for at least 1 % of the window. */
bool futex_is_long(const struct finding_window *w, const struct finding_futex *x);

#endif
