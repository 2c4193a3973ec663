// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* ext4 beside its allocator: delayed allocation, and preparing pages for the device. */
#include "registry.h"

#define WRITEPAGES                                                                        \
	NAMES("mpage_prepare_extent_to_map", "mpage_process_folio", "mpage_process_page", \
	      "mpage_submit_folio", "mpage_submit_page", "mpage_process_page_bufs",       \
	      "mpage_map_and_submit_extent", "mpage_map_and_submit_buffers",              \
	      "ext4_bio_write_folio", "ext4_bio_write_page", "ext4_io_submit",            \
	      "ext4_do_writepages", "ext4_writepages")

const struct cause causes_ext4[] = {
	/*
	 * ext4_da_write_begin is not asked for: most of it is the page cache, which is fs.copy, and
	 * the reservation is called through a pointer, so that it always has a frame of its own.
	 */
	{ .id = "ext4.delalloc_reserve",
	  .title = "reserving blocks for delayed allocation",
	  .group = "ext4",
	  .kind = CAUSE_ANY,
	  .signs = SIGNS(
		  { .all_of = { NAMES("ext4_da_get_block_prep", "ext4_da_map_blocks",
				      "ext4_da_reserve_space", "ext4_insert_delayed_block",
				      "ext4_insert_delayed_blocks", "ext4_es_insert_delayed_block",
				      "ext4_es_insert_delayed_extent") } }),
	  .tracepoints = NAMES("ext4_da_reserve_space"),
	  .part_of = "ext4_" },
	{ .id = "ext4.writepages",
	  .title = "preparing pages for writeback",
	  .group = "ext4",
	  .kind = CAUSE_ANY,
	  .signs = SIGNS({ .around = true, .kind = CAUSE_RUNNING, .all_of = { WRITEPAGES } },
			 { .around = true,
			   .kind = CAUSE_BLOCKED,
			   .marks = MARK_NO_IOWAIT,
			   .all_of = { WRITEPAGES } },
			 { .around = true,
			   .kind = CAUSE_RUNNING,
			   .marks = MARK_NO_STACK,
			   .spans = BIT_OF(FP_SPAN_EXT4_WRITEPAGES) }),
	  .tracepoints = NAMES("ext4_writepages", "ext4_writepages_result"),
	  .part_of = "ext4_" },
	{ 0 },
};
