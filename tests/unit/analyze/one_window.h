/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* One thread, 10, and one window, [100, 200) ms, in which a test tells what happens. */
#ifndef FLATPAUSE_TESTS_ONE_WINDOW_H
#define FLATPAUSE_TESTS_ONE_WINDOW_H

#include "stories.h"

#define MS TB_MS

static inline struct trace_builder *begin(void)
{
	struct trace_builder *b = tb__open(NULL, 4);

	tb_thread(b, 10, 10, "vmm", FP_TASK_TARGET);
	tb_at(b, 100 * MS);
	tb_mark(b, REC_MARK_BEGIN, "");
	return b;
}

static inline struct findings *end_lossy(struct trace_builder *b, double max_loss_percent)
{
	tb_at(b, 200 * MS);
	tb_mark(b, REC_MARK_END, "");
	tb_at(b, 300 * MS);
	tb_preempt(b, 10, 0);
	return diagnose_lossy(b, "mark", max_loss_percent);
}

static inline struct findings *end(struct trace_builder *b)
{
	return end_lossy(b, 1);
}

static inline bool warns_of(const struct findings *f, const char *what)
{
	for (size_t i = 0; i < f->warnings_cnt; i++)
		if (strstr(f->warnings[i], what))
			return true;
	return false;
}

#endif
