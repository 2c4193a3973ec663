// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Throttles of the block layer: buffered writes wait until earlier writes came back. */
#include "registry.h"

#include <string.h>

static bool wbt_span(const struct probe_context *ctx)
{
	return no_frames(ctx) && ctx->in_span[FP_SPAN_WBT_WAIT];
}

static const struct cause causes[] = {
	{ .id = "io.throttle.wbt",
	  .title = "writeback throttling (wbt)",
	  .group = "io",
	  .kind = CAUSE_BLOCKED,
	  .all_of = { { "wbt_wait" }, { "rq_qos_wait", "__rq_qos_throttle", "io_schedule" } } },
	{ .id = "io.throttle.wbt",
	  .title = "writeback throttling (wbt)",
	  .group = "io",
	  .kind = CAUSE_BLOCKED,
	  .match = wbt_span },
	{ .id = "io.throttle.iocost",
	  .title = "I/O cost throttling",
	  .group = "io",
	  .kind = CAUSE_BLOCKED,
	  .all_of = { { "ioc_rqos_throttle", "blkcg_maybe_throttle_current" } } },
	{ .id = "io.throttle.iolatency",
	  .title = "I/O latency throttling",
	  .group = "io",
	  .kind = CAUSE_BLOCKED,
	  .all_of = { { "blkcg_iolatency_throttle" } } },
	/* wbt_wait is often inlined into the rq_qos_throttle path of other policies' kernels. */
	{ .id = "io.throttle.wbt",
	  .title = "writeback throttling (wbt)",
	  .group = "io",
	  .kind = CAUSE_BLOCKED,
	  .all_of = { { "rq_qos_wait" }, { "__rq_qos_throttle" } } },
	{ 0 },
};

static int advise(struct findings *f)
{
	int err;

	if (!cause_under(f->verdict.cause, "io.throttle"))
		return 0;
	err = advice_add(
		f, "memfd",
		"the pause waits in the queue of a busy disk: a memory-backed target takes "
		"its writes off that queue, and exports them after the window");
	if (!err && !strcmp(f->verdict.cause, "io.throttle.wbt"))
		err = advice_add_tune(f, "a bound on the device's dirty backlog (bdi max_bytes, "
					 "strict_limit) bounds what the fsync waits behind");
	if (!err)
		err = advise_no_fallocate(f, "the writes wait for the device's queue, not for the "
					     "block allocator");
	return err;
}

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
			  "not locked down)" },
	},
	.causes = causes,
	.advise = advise,
};
