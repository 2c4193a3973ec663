// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The phases of a journal commit: which of them a waiting fsync waited for. */
#include "common.bpf.h"

static __always_inline int emit_commit(u16 op, struct journal_s *journal,
				       struct transaction_s *transaction)
{
	emit_point(op, BPF_CORE_READ(transaction, t_tid), BPF_CORE_READ(journal, j_fs_dev, bd_dev),
		   0, 0);
	return 0;
}

SEC("?tp_btf/jbd2_start_commit")
int BPF_PROG(jbd2_start_commit, struct journal_s *journal, struct transaction_s *transaction)
{
	return emit_commit(FP_POINT_JBD2_START, journal, transaction);
}

SEC("?tp_btf/jbd2_commit_locking")
int BPF_PROG(jbd2_commit_locking, struct journal_s *journal, struct transaction_s *transaction)
{
	return emit_commit(FP_POINT_JBD2_LOCKING, journal, transaction);
}

SEC("?tp_btf/jbd2_commit_flushing")
int BPF_PROG(jbd2_commit_flushing, struct journal_s *journal, struct transaction_s *transaction)
{
	return emit_commit(FP_POINT_JBD2_FLUSHING, journal, transaction);
}

SEC("?tp_btf/jbd2_commit_logging")
int BPF_PROG(jbd2_commit_logging, struct journal_s *journal, struct transaction_s *transaction)
{
	return emit_commit(FP_POINT_JBD2_LOGGING, journal, transaction);
}

SEC("?tp_btf/jbd2_end_commit")
int BPF_PROG(jbd2_end_commit, struct journal_s *journal, struct transaction_s *transaction)
{
	return emit_commit(FP_POINT_JBD2_END, journal, transaction);
}

SEC("?tp_btf/jbd2_checkpoint_stats")
int BPF_PROG(jbd2_checkpoint_stats, u32 dev, u32 transaction, struct transaction_chp_stats_s *stats)
{
	u64 ns = BPF_CORE_READ(stats, cs_chp_time) * cfg_jiffy_ns;

	emit_point(FP_POINT_JBD2_CHECKPOINT, transaction, dev, saturate32(ns / 1000000), 0);
	return 0;
}

SEC("?tp_btf/jbd2_submit_inode_data")
int BPF_PROG(jbd2_submit_inode_data, struct inode *inode)
{
	emit_point(FP_POINT_JBD2_INODE_DATA, BPF_CORE_READ(inode, i_ino),
		   BPF_CORE_READ(inode, i_sb, s_dev), 0, 0);
	return 0;
}
