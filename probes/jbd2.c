// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The journal: waiting for a commit, for room in it, or for a transaction that is being closed. */
#include "registry.h"

#include <string.h>

#define COMMIT NAMES("jbd2_journal_commit_transaction")

const struct cause causes_jbd2[] = {
	{ .id = "jbd2.checkpoint",
	  .title = "journal full: checkpoint",
	  .group = "jbd2",
	  .kind = CAUSE_ANY,
	  .signs = SIGNS(
		  { .all_of = { NAMES("__jbd2_log_wait_for_space", "jbd2_log_do_checkpoint") } }),
	  .tracepoints = NAMES("jbd2_checkpoint"),
	  .part_of = "jbd2_" },
	{ .id = "jbd2.handle_wait",
	  .title = "waiting for a transaction to close",
	  .group = "jbd2",
	  .kind = CAUSE_BLOCKED,
	  .signs =
		  SIGNS({ .all_of = { NAMES("wait_transaction_locked", "wait_transaction_switching",
					    "add_transaction_credits", "start_this_handle",
					    "jbd2__journal_start", "jbd2_journal_start") } }),
	  .part_of = "jbd2_" },
	{ .id = "jbd2.buffer",
	  .title = "waiting for a journal buffer",
	  .group = "jbd2",
	  .kind = CAUSE_BLOCKED,
	  .signs = SIGNS({ .all_of = { NAMES("do_get_write_access", "jbd2_journal_get_write_access",
					     "jbd2_journal_get_create_access") } }),
	  .part_of = "jbd2_" },
	/* What the journal's thread does. Where its phases were recorded, these decide instead. */
	{ .id = "jbd2.commit_flush",
	  .title = "journal commit: ordered data",
	  .group = "jbd2",
	  .kind = CAUSE_ANY,
	  .signs = SIGNS({ .all_of = { NAMES("jbd2_journal_finish_inode_data_buffers",
					     "journal_finish_inode_data_buffers",
					     "ext4_journal_finish_inode_data_buffers",
					     "jbd2_submit_inode_data",
					     "jbd2_journal_submit_inode_data_buffers",
					     "ext4_journal_submit_inode_data_buffers",
					     "journal_submit_data_buffers",
					     "journal_submit_inode_data_buffers"),
				       COMMIT } },
			 { .all_of = { NAMES("__filemap_fdatawait_range", "folio_wait_writeback",
					     "wait_on_page_writeback"),
				       COMMIT } }),
	  .tracepoints = NAMES("jbd2_commit_flushing", "jbd2_commit_logging"),
	  .part_of = "jbd2_" },
	/* Up to 5.16 the wait for open handles is inlined: then nothing lies inside the commit. */
	{ .id = "jbd2.commit_locked",
	  .title = "journal commit: waiting for open handles",
	  .group = "jbd2",
	  .kind = CAUSE_BLOCKED,
	  .signs = SIGNS({ .all_of = { NAMES("jbd2_journal_wait_updates") } },
			 { .innermost = true, .marks = MARK_NO_IOWAIT, .all_of = { COMMIT } }),
	  .tracepoints = NAMES("jbd2_commit_locking", "jbd2_commit_flushing"),
	  .part_of = "jbd2_" },
	{ .id = "jbd2.commit_log",
	  .title = "journal commit: writing the log",
	  .group = "jbd2",
	  .kind = CAUSE_ANY,
	  .signs = SIGNS(
		  { .all_of = { NAMES("journal_submit_commit_record",
				      "journal_wait_on_commit_record",
				      "jbd2_journal_write_metadata_buffer",
				      "jbd2_journal_get_descriptor_buffer") } },
		  { .all_of = { NAMES("bit_wait_io", "__wait_on_buffer", "out_of_line_wait_on_bit",
				      "submit_bio_wait", "blkdev_issue_flush"),
				COMMIT } },
		  { .kind = CAUSE_BLOCKED, .marks = MARK_IOWAIT, .all_of = { COMMIT } },
		  { .kind = CAUSE_RUNNING, .all_of = { COMMIT } }),
	  .tracepoints = NAMES("jbd2_commit_logging", "jbd2_end_commit"),
	  .part_of = "jbd2_" },
	{ .id = "jbd2.commit_wait",
	  .title = "waiting for a journal commit",
	  .group = "jbd2",
	  .kind = CAUSE_BLOCKED,
	  .signs = SIGNS(
		  { .all_of = { NAMES("jbd2_log_wait_commit", "jbd2_complete_transaction",
				      "ext4_fc_commit", "jbd2_fc_begin_commit", "jbd2_fc_wait_bufs",
				      "ext4_force_commit", "jbd2_journal_force_commit") } },
		  { .marks = MARK_NO_STACK, .spans = BIT_OF(FP_SPAN_JBD2_WAIT) }),
	  .part_of = "jbd2_" },
	{ 0 },
};

static int advise(struct findings *f)
{
	int err;

	if (!cause_under(f->verdict.cause, "jbd2"))
		return 0;
	err = advice_add(f, "memfd",
			 "the pause waits for the journal that other writers keep busy: a "
			 "memory-backed target has no journal");
	if (!err)
		err = advise_no_fallocate(f, "the fsync waits for a commit; preallocated extents "
					     "are converted in the journal as well");
	return err;
}

const struct probe probe_jbd2 = {
	.name = "jbd2",
	.summary = "waits for the ext4 journal",
	.rungs = {
		{ .hook = "fentry/fexit jbd2_log_wait_commit",
		  .programs = { "jbd2_log_wait_commit_entry", "jbd2_log_wait_commit_exit" },
		  .lost = "",
		  .gain = "" },
		{ .hook = "tp_btf/jbd2_start_commit .. jbd2_end_commit and the blocked kernel stack",
		  .programs = { "jbd2_start_commit", "jbd2_end_commit" },
		  .lost = "waits shorter than --min-sleep are counted with the fsync around them",
		  .gain = "a kernel that allows fentry (CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS, "
			  "not locked down)" },
		{ .hook = "tp_btf/sched_switch: jbd2_log_wait_commit in the blocked kernel stack",
		  .programs = { "sched_switch" },
		  .lost = "the phases of a commit",
		  .gain = "ext4 with its tracepoints in BTF (load the module jbd2 first)" },
	},
	.advise = advise,
};
