// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Work items of the kernel, as far as the work itself has no name. */
#include "registry.h"

const struct cause causes_work[] = {
	{ .id = "wq.latency",
	  .title = "queued work that no worker had begun",
	  .group = "wq",
	  .kind = CAUSE_PSEUDO,
	  .tracepoints = NAMES("workqueue_queue_work", "workqueue_execute_start") },
	/* Around all that a flusher does: its throttles, allocations and waits have their own names. */
	{ .id = "writeback.flusher_run",
	  .title = "the flusher prepares writeback",
	  .group = "writeback",
	  .kind = CAUSE_ANY,
	  .signs = SIGNS({ .around = true,
			   .all_of = { NAMES("wb_workfn", "wb_writeback", "wb_do_writeback",
					     "writeback_sb_inodes", "__writeback_single_inode",
					     "__writeback_inodes_wb") } }),
	  .tracepoints = NAMES("writeback_start", "writeback_written") },
	{ 0 },
};
