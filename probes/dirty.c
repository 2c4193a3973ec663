// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Dirty page throttling: a writer is put to sleep until enough of what is dirty was written. */
#include "registry.h"

const struct cause causes_dirty[] = {
	/* It sleeps on a timer: the frame says what for. */
	{ .id = "writeback.dirty_throttle",
	  .title = "dirty page throttling",
	  .group = "writeback",
	  .kind = CAUSE_BLOCKED,
	  .signs = SIGNS(
		  { .all_of = { NAMES("balance_dirty_pages", "balance_dirty_pages_ratelimited",
				      "balance_dirty_pages_ratelimited_flags") } },
		  { .marks = MARK_NO_STACK | MARK_DIRTY_PAUSE }),
	  .tracepoints = NAMES("balance_dirty_pages") },
	{ 0 },
};

#define WAITS_FOR_BIT                                                               \
	NAMES("folio_wait_bit_common", "folio_wait_bit", "wait_on_page_bit_common", \
	      "wait_on_page_bit")

const struct cause causes_writeback[] = {
	/* One bit wait serves locked pages as well: only what called it tells them apart. */
	{ .id = "fs.writeback_wait",
	  .title = "waiting for pages under writeback",
	  .group = "io",
	  .kind = CAUSE_BLOCKED,
	  .signs = SIGNS(
		  { .all_of = { NAMES("folio_wait_writeback", "folio_wait_writeback_killable",
				      "wait_on_page_writeback", "folio_wait_stable",
				      "wait_for_stable_page", "__filemap_fdatawait_range") } },
		  { .all_of = { WAITS_FOR_BIT, NAMES("filemap_fdatawait_range",
						     "filemap_fdatawait_range_keep_errors",
						     "filemap_fdatawait_keep_errors",
						     "filemap_write_and_wait_range",
						     "file_write_and_wait_range") },
		    .reach = 3 },
		  { .around = true,
		    .marks = MARK_IOWAIT,
		    .all_of = { NAMES("filemap_write_and_wait_range",
				      "file_write_and_wait_range") } },
		  { .marks = MARK_NO_STACK,
		    .spans = BIT_OF(FP_SPAN_EXT4_SYNC) | BIT_OF(FP_SPAN_EXT4_WRITEPAGES),
		    .around = true },
		  { .marks = MARK_NO_STACK | MARK_IOWAIT,
		    .sys = BIT_OF(FP_SYS_FSYNC) | BIT_OF(FP_SYS_FDATASYNC) |
			   BIT_OF(FP_SYS_SYNC_FILE_RANGE) | BIT_OF(FP_SYS_MSYNC),
		    .around = true }),
	  .tracepoints = NAMES("ext4_sync_file_enter", "ext4_sync_file_exit") },
	{ .id = "writeback.wait_flusher",
	  .title = "waiting for the flusher",
	  .group = "writeback",
	  .kind = CAUSE_BLOCKED,
	  .signs = SIGNS(
		  { .all_of = { NAMES("wb_wait_for_completion", "inode_sleep_on_writeback",
				      "__inode_wait_for_writeback", "inode_wait_for_writeback") } },
		  { .around = true,
		    .all_of = { NAMES("sync_inodes_sb", "writeback_inodes_sb",
				      "__writeback_inodes_sb_nr") } }) },
	{ 0 },
};

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
};
