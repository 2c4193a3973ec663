// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Operations on files: copying into them, reading, truncating. */
#include "registry.h"

const struct cause causes_file[] = {
	{ .id = "fs.truncate_punch",
	  .title = "freeing the blocks of a file",
	  .group = "fs",
	  .kind = CAUSE_ANY,
	  .signs = SIGNS(
		  { .around = true,
		    .all_of = { NAMES("ext4_truncate", "ext4_ext_remove_space", "ext4_ext_truncate",
				      "ext4_evict_inode", "ext4_punch_hole", "ext4_free_blocks",
				      "ext4_remove_blocks", "truncate_inode_pages_range",
				      "truncate_pagecache", "shmem_undo_range") } },
		  { .kind = CAUSE_RUNNING, .spans = BIT_OF(FP_SPAN_EXT4_TRUNCATE) },
		  { .kind = CAUSE_BLOCKED,
		    .marks = MARK_NO_STACK,
		    .spans = BIT_OF(FP_SPAN_EXT4_TRUNCATE) }),
	  .tracepoints = NAMES("ext4_truncate_enter", "ext4_truncate_exit") },
	{ .id = "fs.read",
	  .title = "reading a file from the device",
	  .group = "fs",
	  .kind = CAUSE_BLOCKED,
	  .signs = SIGNS(
		  { .around = true,
		    .all_of = { NAMES("filemap_read", "generic_file_buffered_read",
				      "filemap_get_pages", "filemap_splice_read",
				      "generic_file_splice_read", "filemap_update_page") } }) },
	/* Written past the page cache, the same call waits for the device. */
	{ .id = "fs.copy",
	  .title = "copying bytes into the page cache",
	  .group = "fs",
	  .kind = CAUSE_RUNNING,
	  .signs = SIGNS(
		  { .around = true,
		    .all_of = { NAMES("generic_perform_write", "iomap_file_buffered_write",
				      "copy_page_from_iter_atomic", "copy_folio_from_iter_atomic",
				      "__filemap_add_folio", "add_to_page_cache_lru",
				      "shmem_write_begin", "shmem_get_folio_gfp",
				      "shmem_getpage_gfp", "iomap_dio_rw", "__iomap_dio_rw",
				      "splice_direct_to_actor", "vfs_copy_file_range", "ksys_write",
				      "ksys_pwrite64", "vfs_writev") } },
		  { .around = true,
		    .marks = MARK_NO_STACK,
		    .sys = BIT_OF(FP_SYS_WRITE) | BIT_OF(FP_SYS_COPY_FILE_RANGE) |
			   BIT_OF(FP_SYS_SENDFILE) | BIT_OF(FP_SYS_SPLICE) }),
	  .tracepoints = NAMES("sys_enter", "sys_exit") },
	{ 0 },
};

const struct probe probe_file = {
	.name = "file",
	.summary = "file operations of the targets: open, write, truncate, fsync, locks, faults",
	.rungs = {
		{ .hook = "tp_btf/sys_enter + sys_exit of targets, ext4_truncate, reclaim",
		  .programs = { "sys_enter", "sys_exit", "ext4_truncate_enter",
				"ext4_truncate_exit" },
		  .lost = "",
		  .gain = "" },
		{ .hook = "tp_btf/sys_enter + sys_exit of targets",
		  .programs = { "sys_enter", "sys_exit" },
		  .lost = "time in truncation",
		  .gain = "ext4 with its tracepoints in BTF (load the module ext4 first)" },
		{ .hook = "tp_btf/sched_switch: the blocked kernel stack",
		  .programs = { "sched_switch" },
		  .lost = "files, bytes, fsyncs, and running time inside and outside the kernel",
		  .gain = "record with syscalls (leave out --no-syscalls)" },
	},
};
