// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* ext4's block allocator: searching free space, and reading the bitmaps that it needs for it. */
#include "registry.h"

#include <string.h>

static bool alloc_span(const struct probe_context *ctx)
{
	return ctx->in_span[FP_SPAN_EXT4_ALLOC] || ctx->in_span[FP_SPAN_MB_NEW_BLOCKS];
}

static bool alloc_evidence(const struct probe_context *ctx)
{
	return no_frames(ctx) && alloc_span(ctx);
}

#define ALLOC_TITLE  "ext4 block allocation"
#define BITMAP_TITLE "reading ext4 block bitmaps"

static const struct cause causes[] = {
	{ .id = "ext4.bitmap_io",
	  .title = BITMAP_TITLE,
	  .group = "ext4",
	  .kind = CAUSE_BLOCKED,
	  .all_of = { { "ext4_wait_block_bitmap", "ext4_read_block_bitmap",
			"ext4_read_block_bitmap_nowait", "ext4_mb_init_cache", "ext4_mb_init_group",
			"ext4_mb_load_buddy_gfp", "ext4_mb_load_buddy" } } },
	{ .id = "ext4.alloc",
	  .title = ALLOC_TITLE,
	  .group = "ext4",
	  .kind = CAUSE_ANY,
	  .all_of = { { "ext4_mb_new_blocks", "ext4_mb_regular_allocator", "ext4_alloc_file_blocks",
			"ext4_mb_mark_diskspace_used", "ext4_mb_mark_context",
			"ext4_mb_find_by_goal", "ext4_mb_complex_scan_group",
			"ext4_mb_load_buddy_gfp", "ext4_mb_good_group" } } },
	{ .id = "ext4.alloc",
	  .title = ALLOC_TITLE,
	  .group = "ext4",
	  .kind = CAUSE_BLOCKED,
	  .match = alloc_evidence },
	{ .id = "ext4.alloc",
	  .title = ALLOC_TITLE,
	  .group = "ext4",
	  .kind = CAUSE_RUNNING,
	  .match = alloc_span },
	{ 0 },
};

static int advise(struct findings *f)
{
	int err;

	if (!cause_under(f->verdict.cause, "ext4.alloc") &&
	    !cause_under(f->verdict.cause, "ext4.bitmap_io"))
		return 0;
	err = advice_add(
		f, "fallocate",
		lost_extents_file(f)
			? "blocks are allocated inside the pause because O_TRUNC gave back what "
			  "was preallocated: the guard does it again before the first write"
			: "blocks are allocated inside the pause: done before it, the search "
			  "for free space costs the pause nothing");
	if (!err)
		err = advice_add(f, "memfd",
				 "a memory-backed target needs no blocks in the pause; the "
				 "allocation happens at the export");
	return err;
}

const struct probe probe_mballoc = {
	.name = "mballoc",
	.summary = "time in ext4's block allocator and its bitmaps",
	.rungs = {
		{ .hook = "fentry/fexit ext4_mb_new_blocks",
		  .programs = { "ext4_mb_new_blocks_entry", "ext4_mb_new_blocks_exit" },
		  .lost = "",
		  .gain = "" },
		{ .hook = "tp_btf/ext4_request_blocks + ext4_allocate_blocks",
		  .programs = { "ext4_request_blocks", "ext4_allocate_blocks" },
		  .lost = "allocations that fail, and the quota reservation before the request",
		  .gain = "a kernel that allows fentry (CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS, "
			  "not locked down)" },
		{ .hook = "tp_btf/sched_switch and samples: ext4_mb_new_blocks in the stack",
		  .programs = { "sched_switch" },
		  .lost = "exact time: only sampled and blocked time is seen",
		  .gain = "ext4 with its tracepoints in BTF (load the module ext4 first)" },
	},
	.causes = causes,
	.advise = advise,
};
