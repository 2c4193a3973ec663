// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Dirty page throttling: a writer is put to sleep until enough of what is dirty was written. */
#include "registry.h"

#include <string.h>

static bool dirty_evidence(const struct probe_context *ctx)
{
	return no_frames(ctx) && ctx->dirty_pause;
}

static const struct cause causes[] = {
	{ .id = "writeback.dirty_throttle",
	  .title = "dirty page throttling",
	  .group = "writeback",
	  .kind = CAUSE_BLOCKED,
	  .all_of = { { "balance_dirty_pages", "balance_dirty_pages_ratelimited",
			"balance_dirty_pages_ratelimited_flags" } } },
	{ .id = "writeback.dirty_throttle",
	  .title = "dirty page throttling",
	  .group = "writeback",
	  .kind = CAUSE_BLOCKED,
	  .match = dirty_evidence },
	{ .id = "writeback.wait_flusher",
	  .title = "waiting for the flusher",
	  .group = "writeback",
	  .kind = CAUSE_BLOCKED,
	  .all_of = { { "wb_wait_for_completion", "inode_sleep_on_writeback",
			"__inode_wait_for_writeback", "inode_wait_for_writeback" } } },
	{ 0 },
};

static int advise(struct findings *f)
{
	int err;

	if (!cause_under(f->verdict.cause, "writeback"))
		return 0;
	err = advice_add(f, "memfd",
			 "more is written in the pause than may be dirty: pages of a memory-backed "
			 "target are never counted as dirty, so nothing throttles the writer");
	if (!err)
		err = advice_add_tune(f, "a lower limit keeps the backlog between pauses small; it "
					 "helps where the pause itself writes little");
	if (!err)
		err = advise_no_fallocate(f, "the writer is held for the number of dirty pages, "
					     "which preallocation leaves as it is");
	return err;
}

const struct probe probe_dirty = {
	.name = "dirty",
	.summary = "writers that sleep because too many pages are dirty",
	.rungs = {
		{ .hook = "tp_btf/balance_dirty_pages",
		  .programs = { "balance_dirty_pages" },
		  .lost = "",
		  .gain = "" },
		{ .hook = "tp_btf/sched_switch: balance_dirty_pages in the blocked kernel stack",
		  .programs = { "sched_switch" },
		  .lost = "limits and the number of dirty pages",
		  .gain = "a kernel with the tracepoint writeback:balance_dirty_pages" },
	},
	.causes = causes,
	.advise = advise,
};
