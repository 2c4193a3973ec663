// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The disk itself: requests being served, waiting for a tag or for dispatch, cache flushes. */
#include "registry.h"

#include <string.h>

/* Without a stack: an I/O wait under fsync or writeback is a wait for pages under writeback. */
static bool writeback_evidence(const struct probe_context *ctx)
{
	return no_frames(ctx) &&
	       (ctx->in_span[FP_SPAN_EXT4_SYNC] || ctx->in_span[FP_SPAN_EXT4_WRITEPAGES] ||
		(ctx->iowait && ctx->in_syscall &&
		 (ctx->cls == FP_SYS_FSYNC || ctx->cls == FP_SYS_FDATASYNC ||
		  ctx->cls == FP_SYS_SYNC_FILE_RANGE || ctx->cls == FP_SYS_MSYNC)));
}

/* The scheduler's own mark, whatever the stack: it waits for a device, or for who waits for one. */
static bool io_evidence(const struct probe_context *ctx)
{
	return ctx->iowait;
}

static const struct cause causes[] = {
	{ .id = "io.tag_wait",
	  .title = "waiting for a free request",
	  .group = "io",
	  .kind = CAUSE_BLOCKED,
	  .all_of = { { "blk_mq_get_tag", "__blk_mq_get_tag", "blk_mq_get_request" } } },
	{ .id = "io.queue_frozen",
	  .title = "the block queue is frozen",
	  .group = "io",
	  .kind = CAUSE_BLOCKED,
	  .all_of = { { "blk_mq_freeze_queue_wait", "blk_queue_enter", "__bio_queue_enter" } } },
	{ .id = "io.flush",
	  .title = "cache flush of the device",
	  .group = "io",
	  .kind = CAUSE_BLOCKED,
	  .all_of = { { "blkdev_issue_flush" } } },
	{ .id = "fs.writeback_wait",
	  .title = "waiting for pages under writeback",
	  .group = "io",
	  .kind = CAUSE_BLOCKED,
	  .all_of = { { "folio_wait_writeback", "wait_on_page_writeback",
			"__filemap_fdatawait_range", "folio_wait_stable", "wait_for_stable_page",
			"filemap_fdatawait_range", "file_write_and_wait_range" } } },
	{ .id = "fs.writeback_wait",
	  .title = "waiting for pages under writeback",
	  .group = "io",
	  .kind = CAUSE_BLOCKED,
	  .match = writeback_evidence },
	{ .id = "io.device_service",
	  .title = "the device serves requests",
	  .group = "io",
	  .kind = CAUSE_BLOCKED,
	  .all_of = { { "blk_io_schedule", "submit_bio_wait", "__wait_on_buffer", "bit_wait_io",
			"sync_dirty_buffer", "io_schedule", "io_schedule_timeout" } } },
	{ .id = "io.device_service",
	  .title = "the device serves requests",
	  .group = "io",
	  .kind = CAUSE_BLOCKED,
	  .match = io_evidence },
	/* Named from the life of a request, never from a stack. */
	{ .id = "io.sched_queue",
	  .title = "queued before dispatch",
	  .group = "io",
	  .kind = CAUSE_BLOCKED },
	{ .id = "io.completion_delivery",
	  .title = "completed, not yet delivered",
	  .group = "io",
	  .kind = CAUSE_BLOCKED },
	{ 0 },
};

static int advise(struct findings *f)
{
	const char *cause = f->verdict.cause;
	int err;

	if (!cause_under(cause, "io.device_service") && !cause_under(cause, "io.flush") &&
	    !cause_under(cause, "io.tag_wait") && !cause_under(cause, "io.sched_queue") &&
	    !cause_under(cause, "io.queue_frozen") && !cause_under(cause, "fs.writeback_wait"))
		return 0;
	err = advice_add(f, "memfd",
			 "the pause waits for the device: with a memory-backed target the device's "
			 "work comes after the pause");
	if (!err && cause_under(cause, "fs.writeback_wait"))
		err = advice_add_tune(f, "a bound on the device's dirty backlog bounds what the "
					 "fsync waits behind");
	if (!err)
		err = advise_no_fallocate(f, "the time is the device's; the same bytes go to it "
					     "with and without preallocation");
	return err;
}

const struct probe probe_device = {
	.name = "device",
	.summary = "requests to the disk, from the bio to its completion",
	.rungs = {
		{ .hook = "tp_btf/block_bio_queue, block_getrq, block_rq_issue, block_rq_complete",
		  .programs = { "block_bio_queue", "block_getrq", "block_rq_issue",
				"block_rq_complete" },
		  .lost = "",
		  .gain = "" },
		{ .hook = "tp_btf/block_rq_issue + block_rq_complete",
		  .programs = { "block_rq_issue", "block_rq_complete" },
		  .lost = "how long a request was queued, and what an earlier window left behind",
		  .gain = "a kernel with the tracepoint block:block_bio_queue in BTF" },
		{ .hook = "tp_btf/sched_switch: the blocked kernel stack",
		  .programs = { "sched_switch" },
		  .lost = "requests: device, size, latency",
		  .gain = "a kernel with the block tracepoints in BTF" },
	},
	.causes = causes,
	.advise = advise,
};
