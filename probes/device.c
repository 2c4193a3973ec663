// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The disk itself: requests being served, waiting for a tag or for dispatch, cache flushes. */
#include "registry.h"

const struct cause causes_queue[] = {
	{ .id = "io.tag_wait",
	  .title = "waiting for a free request",
	  .group = "io",
	  .kind = CAUSE_BLOCKED,
	  .signs =
		  SIGNS({ .all_of = { NAMES("blk_mq_get_tag", "__blk_mq_get_tag",
					    "__blk_mq_alloc_requests", "__blk_mq_alloc_request",
					    "blk_mq_get_request", "blk_mq_get_new_requests") } }) },
	{ .id = "io.queue_frozen",
	  .title = "the block queue is frozen",
	  .group = "io",
	  .kind = CAUSE_BLOCKED,
	  .signs = SIGNS({ .all_of = { NAMES("blk_mq_freeze_queue_wait",
					     "blk_mq_freeze_queue_wait_timeout", "blk_queue_enter",
					     "__bio_queue_enter", "bio_queue_enter") } }) },
	/* Named from the life of a request, never from a stack. */
	{ .id = "io.sched_queue",
	  .title = "queued before dispatch",
	  .group = "io",
	  .kind = CAUSE_PSEUDO,
	  .tracepoints = NAMES("block_bio_queue", "block_rq_issue") },
	{ .id = "io.completion_delivery",
	  .title = "completed, not yet delivered",
	  .group = "io",
	  .kind = CAUSE_PSEUDO,
	  .tracepoints = NAMES("block_rq_complete", "sched_waking") },
	{ 0 },
};

const struct cause causes_discard[] = {
	{ .id = "discard",
	  .title = "discarding freed blocks",
	  .group = "io",
	  .kind = CAUSE_ANY,
	  .signs = SIGNS(
		  { .all_of = { NAMES("blkdev_issue_discard", "__blkdev_issue_discard",
				      "blk_ioctl_discard", "ext4_issue_discard", "ext4_trim_fs",
				      "ext4_trim_extent", "ext4_discard_work") } }) },
	{ .id = "io.flush",
	  .title = "cache flush of the device",
	  .group = "io",
	  .kind = CAUSE_BLOCKED,
	  .signs = SIGNS({ .all_of = { NAMES("blkdev_issue_flush") } }),
	  .tracepoints = NAMES("block_rq_issue", "block_rq_complete") },
	{ 0 },
};

const struct cause causes_device[] = {
	{ .id = "io.device_service",
	  .title = "the device serves requests",
	  .group = "io",
	  .kind = CAUSE_BLOCKED,
	  .signs = SIGNS(
		  { .around = true,
		    .all_of = { NAMES("blk_io_schedule", "submit_bio_wait", "bio_await",
				      "__iomap_dio_rw", "iomap_dio_rw", "dio_await_one",
				      "__blockdev_direct_IO", "__wait_on_buffer", "bit_wait_io",
				      "sync_dirty_buffer", "__sync_dirty_buffer", "io_schedule",
				      "io_schedule_timeout") } },
		  { .around = true, .marks = MARK_IOWAIT }),
	  .tracepoints = NAMES("block_rq_issue", "block_rq_complete") },
	{ 0 },
};

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
};
