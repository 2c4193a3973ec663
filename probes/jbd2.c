// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The journal: waiting for a commit, for room in it, or for a transaction that is being closed. */
#include "registry.h"

#include <string.h>

static bool commit_span(const struct probe_context *ctx)
{
	return no_frames(ctx) && ctx->in_span[FP_SPAN_JBD2_WAIT];
}

static const struct cause causes[] = {
	{ .id = "jbd2.checkpoint",
	  .title = "journal full: checkpoint",
	  .group = "jbd2",
	  .kind = CAUSE_ANY,
	  .all_of = { { "__jbd2_log_wait_for_space", "jbd2_log_do_checkpoint" } } },
	{ .id = "jbd2.handle_wait",
	  .title = "waiting for a transaction to close",
	  .group = "jbd2",
	  .kind = CAUSE_BLOCKED,
	  .all_of = { { "wait_transaction_locked", "wait_transaction_switching",
			"add_transaction_credits", "start_this_handle", "jbd2__journal_start" } } },
	{ .id = "jbd2.buffer",
	  .title = "waiting for a journal buffer",
	  .group = "jbd2",
	  .kind = CAUSE_BLOCKED,
	  .all_of = { { "do_get_write_access", "jbd2_journal_get_write_access",
			"jbd2_journal_get_create_access" } } },
	{ .id = "jbd2.commit_wait",
	  .title = "waiting for a journal commit",
	  .group = "jbd2",
	  .kind = CAUSE_BLOCKED,
	  .all_of = { { "jbd2_log_wait_commit", "jbd2_complete_transaction", "ext4_fc_commit",
			"jbd2_fc_begin_commit", "jbd2_fc_wait_bufs", "ext4_force_commit" } } },
	{ .id = "jbd2.commit_wait",
	  .title = "waiting for a journal commit",
	  .group = "jbd2",
	  .kind = CAUSE_BLOCKED,
	  .match = commit_span },
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
	.causes = causes,
	.advise = advise,
};
