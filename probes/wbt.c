// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Throttles of the block layer: buffered writes wait until earlier writes came back. */
#include "registry.h"

const struct cause causes_throttle[] = {
	{ .id = "io.throttle.iolatency",
	  .title = "I/O latency throttling",
	  .group = "io",
	  .kind = CAUSE_BLOCKED,
	  .signs = SIGNS({ .all_of = { NAMES("blkcg_iolatency_throttle",
					     "__blkcg_iolatency_throttle") } }),
	  .part_of = "iolatency_" },
	{ .id = "io.throttle.iocost",
	  .title = "I/O cost throttling",
	  .group = "io",
	  .kind = CAUSE_BLOCKED,
	  /* The second one sleeps on the way back to user space, for what was charged before. */
	  .signs = SIGNS({ .all_of = { NAMES("ioc_rqos_throttle") } },
			 { .all_of = { NAMES("blkcg_maybe_throttle_current",
					     "blkcg_maybe_throttle_blkg") } }),
	  .part_of = "ioc_rqos_" },
	/* A bio over its limit is queued and its submitter goes on: no stack waits there. */
	{ .id = "io.throttle.blk",
	  .title = "I/O limit of a control group (io.max)",
	  .group = "io",
	  .kind = CAUSE_PSEUDO,
	  .signs = SIGNS({ .kind = CAUSE_ANY,
			   .around = true,
			   .all_of = { NAMES("blk_throtl_dispatch_work_fn") } }),
	  .tracepoints = NAMES("block_bio_queue", "block_getrq"),
	  .part_of = "blk_throtl_" },
	/* The last variant: wbt_wait inlined into the hook that calls it. */
	{ .id = "io.throttle.wbt",
	  .title = "writeback throttling (wbt)",
	  .group = "io",
	  .kind = CAUSE_BLOCKED,
	  .signs = SIGNS({ .all_of = { NAMES("wbt_wait") } },
			 { .marks = MARK_NO_STACK, .spans = BIT_OF(FP_SPAN_WBT_WAIT) },
			 { .all_of = { NAMES("rq_qos_wait"),
				       NAMES("__rq_qos_throttle", "blk_mq_submit_bio",
					     "blk_mq_make_request") } }),
	  .part_of = "wbt_" },
	{ 0 },
};

const struct probe probe_wbt = {
	.name = "wbt",
	.summary = "writers that the block layer holds back behind earlier writeback",
	.rungs = {
		{ .hook = "fentry/fexit wbt_wait",
		  .programs = { "wbt_wait_entry", "wbt_wait_exit" },
		  .lost = "",
		  .gain = "" },
		{ .hook = "tp_btf/sched_switch: wbt_wait in the blocked kernel stack",
		  .programs = { "sched_switch", "sched_waking" },
		  .lost = "waits shorter than --min-sleep are counted with the fsync around them",
		  .gain = "a kernel that allows fentry (CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS, "
			  "not locked down, sysctl kernel.ftrace_enabled=1)" },
	},
};
