// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* ext4's block allocator: searching free space, and reading the bitmaps that it needs for it. */
#include "registry.h"

#include <string.h>

const struct cause causes_mballoc[] = {
	{ .id = "ext4.bitmap_io",
	  .title = "reading ext4 block bitmaps",
	  .group = "ext4",
	  .kind = CAUSE_BLOCKED,
	  .signs = SIGNS({ .all_of = { NAMES("ext4_wait_block_bitmap", "ext4_read_block_bitmap",
					     "ext4_read_block_bitmap_nowait", "ext4_mb_init_cache",
					     "ext4_mb_init_group", "ext4_mb_load_buddy_gfp",
					     "ext4_mb_load_buddy") } }),
	  .part_of = "ext4_" },
	/* 4 KiB of crc32c for each bitmap, and one for each inode and extent block that is changed. */
	{ .id = "ext4.csum",
	  .title = "checksums of ext4 metadata",
	  .group = "ext4",
	  .kind = CAUSE_RUNNING,
	  .signs = SIGNS(
		  { .all_of = { NAMES("ext4_block_bitmap_csum_set", "ext4_block_bitmap_csum_verify",
				      "ext4_inode_bitmap_csum_set", "ext4_inode_csum_set",
				      "ext4_inode_csum", "ext4_group_desc_csum_set",
				      "ext4_group_desc_csum", "ext4_superblock_csum_set",
				      "ext4_extent_block_csum_set",
				      "ext4_handle_dirty_dirblock") } },
		  { .all_of = { NAMES("crc32c", "crc32c_base", "crc32c_arch", "crc32c_x86_3way",
				      "__crc32c_le", "crc32c_le_arch", "crc32c_pcl_intel_update",
				      "crypto_shash_update", "chksum_update"),
				NAMES("ext4_mb_mark_context", "ext4_mb_mark_diskspace_used",
				      "ext4_mb_free_blocks", "ext4_free_blocks",
				      "ext4_mark_iloc_dirty", "ext4_do_update_inode",
				      "ext4_ext_insert_extent", "ext4_validate_block_bitmap") },
		    .reach = 4 }),
	  .part_of = "ext4_" },
	/* Conversion maps blocks as well, but none is searched for. */
	{ .id = "ext4.extent_convert",
	  .title = "turning written extents into initialized ones",
	  .group = "ext4",
	  .kind = CAUSE_ANY,
	  .signs = SIGNS(
		  { .all_of = { NAMES("ext4_end_io_rsv_work", "ext4_convert_unwritten_io_end_vec",
				      "ext4_convert_unwritten_extents",
				      "ext4_convert_unwritten_extents_endio") } }),
	  .part_of = "ext4_" },
	{ .id = "ext4.alloc",
	  .title = "ext4 block allocation",
	  .group = "ext4",
	  .kind = CAUSE_ANY,
	  .signs = SIGNS({ .all_of = { NAMES("ext4_mb_new_blocks", "ext4_mb_regular_allocator",
					     "ext4_mb_mark_diskspace_used", "ext4_mb_mark_context",
					     "ext4_mb_find_by_goal", "ext4_mb_complex_scan_group",
					     "ext4_mb_good_group", "ext4_mb_normalize_request",
					     "ext4_alloc_file_blocks", "ext4_new_meta_blocks") } },
			 { .kind = CAUSE_RUNNING,
			   .all_of = { NAMES("ext4_mb_load_buddy_gfp", "ext4_mb_load_buddy",
					     "ext4_mb_init_cache") } },
			 { .around = true,
			   .kind = CAUSE_RUNNING,
			   .all_of = { NAMES("ext4_ext_map_blocks", "ext4_ind_map_blocks",
					     "ext4_map_create_blocks"),
				       NAMES("ext4_do_writepages", "ext4_writepages",
					     "mpage_map_and_submit_extent", "ext4_fallocate",
					     "ext4_do_fallocate") } },
			 { .kind = CAUSE_BLOCKED,
			   .marks = MARK_NO_STACK,
			   .spans = BIT_OF(FP_SPAN_EXT4_ALLOC) | BIT_OF(FP_SPAN_MB_NEW_BLOCKS) },
			 { .kind = CAUSE_RUNNING,
			   .spans = BIT_OF(FP_SPAN_EXT4_ALLOC) | BIT_OF(FP_SPAN_MB_NEW_BLOCKS) }),
	  .tracepoints = NAMES("ext4_request_blocks", "ext4_allocate_blocks"),
	  .part_of = "ext4_" },
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
	.advise = advise,
};
