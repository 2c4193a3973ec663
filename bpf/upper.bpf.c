// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Upper rungs: the exact begin and end of functions that the floor only infers. Trampolines are
 * refused by kernels under lockdown or without dynamic ftrace; then the floor stands alone.
 */
#include "common.bpf.h"

/* Asked for each request of everybody, and hardly ever waited for: a sleep of ours tells. */
SEC("?fentry/wbt_wait")
int BPF_PROG(wbt_wait_entry, struct rq_qos *rqos, struct bio *bio)
{
	span_begin(FP_SPAN_WBT_WAIT, 0, bio_dev(bio), bpf_get_current_task_btf()->nvcsw);
	return 0;
}

SEC("?fexit/wbt_wait")
int BPF_PROG(wbt_wait_exit)
{
	if (span_value(FP_SPAN_WBT_WAIT) == (u32)bpf_get_current_task_btf()->nvcsw)
		span_drop(FP_SPAN_WBT_WAIT);
	else
		span_end(FP_SPAN_WBT_WAIT, 0);
	return 0;
}

SEC("?fentry/jbd2_log_wait_commit")
int BPF_PROG(jbd2_log_wait_commit_entry, struct journal_s *journal)
{
	span_begin(FP_SPAN_JBD2_WAIT, 0, BPF_CORE_READ(journal, j_fs_dev, bd_dev), 0);
	return 0;
}

SEC("?fexit/jbd2_log_wait_commit")
int BPF_PROG(jbd2_log_wait_commit_exit)
{
	span_end(FP_SPAN_JBD2_WAIT, 0);
	return 0;
}

SEC("?fentry/ext4_mb_new_blocks")
int BPF_PROG(ext4_mb_new_blocks_entry, void *handle, struct ext4_allocation_request *ar)
{
	struct inode *inode = BPF_CORE_READ(ar, inode);

	span_begin(FP_SPAN_MB_NEW_BLOCKS, BPF_CORE_READ(inode, i_ino),
		   BPF_CORE_READ(inode, i_sb, s_dev), 0);
	return 0;
}

SEC("?fexit/ext4_mb_new_blocks")
int BPF_PROG(ext4_mb_new_blocks_exit, void *handle, struct ext4_allocation_request *ar)
{
	span_end(FP_SPAN_MB_NEW_BLOCKS, BPF_CORE_READ(ar, len));
	return 0;
}
