// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Operations on files and the memory behind them: copying, truncating, locks, faults, reclaim. */
#include "registry.h"

#include <string.h>

static bool truncate_span(const struct probe_context *ctx)
{
	return ctx->in_span[FP_SPAN_EXT4_TRUNCATE];
}

static bool truncate_blocked(const struct probe_context *ctx)
{
	return no_frames(ctx) && truncate_span(ctx);
}

static bool reclaim_span(const struct probe_context *ctx)
{
	return ctx->in_span[FP_SPAN_RECLAIM] || ctx->in_span[FP_SPAN_MEMCG_RECLAIM];
}

static bool reclaim_blocked(const struct probe_context *ctx)
{
	return no_frames(ctx) && reclaim_span(ctx);
}

/* By the syscall, where no frame says more: these calls move bytes and do little else. */
static bool copies(const struct probe_context *ctx)
{
	return ctx->in_syscall && !ctx->in_span[FP_SPAN_EXT4_WRITEPAGES] &&
	       (ctx->cls == FP_SYS_WRITE || ctx->cls == FP_SYS_COPY_FILE_RANGE ||
		ctx->cls == FP_SYS_SENDFILE || ctx->cls == FP_SYS_SPLICE) &&
	       no_frames(ctx);
}

static bool writepages(const struct probe_context *ctx)
{
	return ctx->in_span[FP_SPAN_EXT4_WRITEPAGES] && no_frames(ctx);
}

#define LOCK(_id, _title, ...)                                                                  \
	{                                                                                       \
		.id = _id, .title = _title, .group = "lock", .kind = CAUSE_BLOCKED, .all_of = { \
			__VA_ARGS__                                                             \
		}                                                                               \
	}
#define RWSEM                                                                          \
	{                                                                              \
		"rwsem_down_write_slowpath", "rwsem_down_read_slowpath", "down_write", \
			"down_read", "down_write_killable", "down_read_killable"       \
	}

static const struct cause causes[] = {
	LOCK("lock.inode", "lock of an inode", RWSEM,
	     { "ext4_buffered_write_iter", "ext4_dio_write_iter", "ext4_fallocate", "do_truncate",
	       "path_openat", "vfs_fallocate", "ext4_map_blocks", "ext4_da_write_begin",
	       "ext4_setattr", "ext4_truncate" }),
	LOCK("lock.rwsem", "kernel reader-writer lock", RWSEM),
	LOCK("lock.mutex", "kernel mutex",
	     { "__mutex_lock", "__mutex_lock_slowpath", "mutex_lock" }),
	LOCK("lock.percpu", "file system frozen or per-CPU lock",
	     { "percpu_rwsem_wait", "__percpu_down_read", "percpu_down_write" }),
	{ .id = "lock.spin",
	  .title = "spinning on a kernel lock",
	  .group = "lock",
	  .kind = CAUSE_RUNNING,
	  .all_of = { { "mutex_spin_on_owner", "rwsem_spin_on_owner", "osq_lock",
			"native_queued_spin_lock_slowpath", "queued_spin_lock_slowpath" } } },
	{ .id = "mm.reclaim",
	  .title = "reclaiming memory",
	  .group = "mm",
	  .kind = CAUSE_ANY,
	  .all_of = { { "throttle_direct_reclaim", "reclaim_throttle", "congestion_wait",
			"try_to_free_pages", "try_to_free_mem_cgroup_pages", "shrink_node",
			"__mem_cgroup_handle_over_high", "mem_cgroup_handle_over_high",
			"try_to_compact_pages" } } },
	{ .id = "mm.reclaim",
	  .title = "reclaiming memory",
	  .group = "mm",
	  .kind = CAUSE_RUNNING,
	  .match = reclaim_span },
	{ .id = "mm.reclaim",
	  .title = "reclaiming memory",
	  .group = "mm",
	  .kind = CAUSE_BLOCKED,
	  .match = reclaim_blocked },
	{ .id = "mm.fault.userfault",
	  .title = "page fault handled in user space",
	  .group = "mm",
	  .kind = CAUSE_BLOCKED,
	  .all_of = { { "handle_userfault" } } },
	{ .id = "mm.fault",
	  .title = "page fault",
	  .group = "mm",
	  .kind = CAUSE_BLOCKED,
	  .all_of = { { "filemap_fault", "do_swap_page", "__folio_lock_or_retry",
			"migration_entry_wait", "migration_entry_wait_on_locked" } } },
	{ .id = "fs.read",
	  .title = "reading a file from the device",
	  .group = "fs",
	  .kind = CAUSE_BLOCKED,
	  .all_of = { { "filemap_read", "generic_file_buffered_read", "filemap_get_pages",
			"filemap_splice_read" } } },
	{ .id = "mm.fault",
	  .title = "page fault",
	  .group = "mm",
	  .kind = CAUSE_RUNNING,
	  .all_of = { { "handle_mm_fault" } } },
	{ .id = "other_fs.fuse",
	  .title = "a FUSE server",
	  .group = "other_fs",
	  .kind = CAUSE_BLOCKED,
	  .all_of = { { "request_wait_answer", "__fuse_simple_request", "fuse_simple_request" } } },
	{ .id = "other_fs.xfs",
	  .title = "the log of XFS",
	  .group = "other_fs",
	  .kind = CAUSE_BLOCKED,
	  .all_of = { { "xlog_wait_on_iclog", "xfs_file_fsync", "xlog_grant_head_wait" } } },
	{ .id = "other_fs.btrfs",
	  .title = "a commit of btrfs",
	  .group = "other_fs",
	  .kind = CAUSE_BLOCKED,
	  .all_of = { { "btrfs_sync_file", "btrfs_commit_transaction" } } },
	{ .id = "fs.truncate_punch",
	  .title = "freeing the blocks of a file",
	  .group = "fs",
	  .kind = CAUSE_RUNNING,
	  .all_of = { { "ext4_truncate", "ext4_ext_remove_space", "truncate_inode_pages_range",
			"ext4_evict_inode", "shmem_undo_range" } } },
	{ .id = "fs.truncate_punch",
	  .title = "freeing the blocks of a file",
	  .group = "fs",
	  .kind = CAUSE_RUNNING,
	  .match = truncate_span },
	{ .id = "fs.truncate_punch",
	  .title = "freeing the blocks of a file",
	  .group = "fs",
	  .kind = CAUSE_BLOCKED,
	  .match = truncate_blocked },
	{ .id = "ext4.writepages",
	  .title = "preparing pages for writeback",
	  .group = "ext4",
	  .kind = CAUSE_RUNNING,
	  .all_of = { { "ext4_do_writepages", "ext4_writepages" },
		      { "mpage_prepare_extent_to_map", "mpage_process_folio", "mpage_process_page",
			"mpage_submit_folio", "mpage_submit_page", "ext4_bio_write_folio",
			"ext4_bio_write_page", "ext4_do_writepages", "ext4_writepages" } } },
	{ .id = "ext4.writepages",
	  .title = "preparing pages for writeback",
	  .group = "ext4",
	  .kind = CAUSE_RUNNING,
	  .match = writepages },
	{ .id = "fs.copy",
	  .title = "copying bytes into the page cache",
	  .group = "fs",
	  .kind = CAUSE_RUNNING,
	  .all_of = { { "generic_perform_write", "iomap_file_buffered_write", "shmem_write_begin",
			"shmem_get_folio_gfp", "shmem_getpage_gfp", "iomap_dio_rw",
			"splice_direct_to_actor", "vfs_copy_file_range", "ksys_write",
			"ksys_pwrite64" } } },
	{ .id = "fs.copy",
	  .title = "copying bytes into the page cache",
	  .group = "fs",
	  .kind = CAUSE_RUNNING,
	  .match = copies },
	{ 0 },
};

static int advise(struct findings *f)
{
	if (!cause_under(f->verdict.cause, "fs.truncate_punch"))
		return 0;
	return advice_add(
		f, "memfd",
		"the pause frees the blocks of an old file: a new memory-backed target has "
		"none to free");
}

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
	.causes = causes,
	.advise = advise,
};
