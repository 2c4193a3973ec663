// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* File systems other than ext4: what is specific to them, as far as one can wait there. */
#include "registry.h"

#define OTHER_FS(_id, _title, _part_of, ...)                                        \
	{                                                                           \
		.id = _id, .title = _title, .group = "other_fs", .kind = CAUSE_ANY, \
		.part_of = _part_of, .signs = SIGNS(__VA_ARGS__)                    \
	}

const struct cause causes_other_fs[] = {
	OTHER_FS("other_fs.fuse", "a FUSE server", "fuse_",
		 { .kind = CAUSE_BLOCKED,
		   .all_of = { NAMES("request_wait_answer", "__fuse_simple_request",
				     "fuse_simple_request", "fuse_wait_on_page_writeback",
				     "fuse_wait_on_folio_writeback", "fuse_set_nowrite") } },
		 { .around = true,
		   .all_of = { NAMES("fuse_fsync", "fuse_flush", "fuse_file_write_iter",
				     "fuse_perform_write", "fuse_send_write") } }),
	OTHER_FS("other_fs.nfs", "an NFS server", "nfs_",
		 { .kind = CAUSE_BLOCKED,
		   .all_of = { NAMES("rpc_wait_bit_killable", "nfs_wait_bit_killable",
				     "nfs_wait_on_request", "nfs_iocounter_wait",
				     "wait_on_commit") } },
		 { .around = true,
		   .all_of = { NAMES("nfs_file_fsync", "nfs4_file_flush", "nfs_file_flush",
				     "nfs_commit_inode", "nfs_file_write") } }),
	OTHER_FS("other_fs.xfs", "the log of XFS", "xfs_",
		 { .all_of = { NAMES("xlog_wait_on_iclog", "xlog_force_lsn",
				     "xlog_wait_on_iclog_lsn", "xfs_log_force_seq",
				     "xfs_log_force_lsn", "xfs_log_force", "xlog_grant_head_wait",
				     "xlog_cil_push_work", "xfs_buf_iowait") } },
		 { .around = true,
		   .all_of = { NAMES("xfs_file_fsync", "xfs_bmapi_write", "xfs_end_io",
				     "xfs_vm_writepages", "xfs_file_buffered_write",
				     "xfs_file_buffered_aio_write") } }),
	OTHER_FS("other_fs.btrfs", "a commit of btrfs", "btrfs_",
		 { .all_of = { NAMES("wait_log_commit", "wait_for_commit", "btrfs_sync_log",
				     "wait_current_trans", "btrfs_wait_ordered_range",
				     "btrfs_start_ordered_extent", "btrfs_commit_transaction") } },
		 { .around = true,
		   .all_of = { NAMES("btrfs_sync_file", "btrfs_buffered_write",
				     "btrfs_writepages") } }),
	OTHER_FS("other_fs.overlay", "copying a file up into an overlay", "ovl_",
		 { .around = true,
		   .all_of = { NAMES("ovl_copy_up_one", "ovl_copy_up_flags", "ovl_copy_up_data",
				     "ovl_copy_up_file", "ovl_maybe_copy_up", "ovl_copy_up",
				     "ovl_do_copy_up") } }),
	{ 0 },
};
