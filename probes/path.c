// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What leads a wait on to its reason where no thread woke the waiter, or the one that did was itself
 * waiting: hooks only, one probe each, so that what one of them loses is said by itself. The causes
 * stand with their subjects.
 */
#include "registry.h"

#define FLOOR(_hook, _lost, _gain)                                                          \
	{                                                                                   \
		.hook = _hook, .programs = { "sched_switch" }, .lost = _lost, .gain = _gain \
	}

const struct probe probe_work = {
	.name = "work",
	.summary = "who queued the work that a kernel worker executes",
	.rungs = {
		{ .hook = "tp_btf/workqueue_queue_work + execute_start + execute_end",
		  .programs = { "workqueue_queue_work", "workqueue_execute_start",
				"workqueue_execute_end" },
		  .lost = "",
		  .gain = "" },
		FLOOR("tp_btf/sched_switch: the stacks of workers",
		      "who queued what a worker does: waits behind one end there",
		      "a kernel with the workqueue tracepoints in BTF"),
	},
};

const struct probe probe_interrupt = {
	.name = "interrupt",
	.summary = "interrupts that take the CPU from a thread",
	.rungs = {
		{ .hook = "tp_btf/irq_handler_entry + exit, softirq_entry + exit",
		  .programs = { "irq_handler_entry", "irq_handler_exit", "softirq_entry",
				"softirq_exit" },
		  .lost = "",
		  .gain = "" },
		FLOOR("tp_btf/sched_switch, without interrupts",
		      "time that interrupts take counts as the thread's own",
		      "a kernel with the irq tracepoints in BTF"),
	},
};

const struct probe probe_timer = {
	.name = "timer",
	.summary = "the timer whose expiry wakes a thread",
	.rungs = {
		{ .hook = "tp_btf/hrtimer_expire_entry + exit, timer_expire_entry + exit",
		  .programs = { "hrtimer_expire_entry", "hrtimer_expire_exit", "timer_expire_entry",
				"timer_expire_exit", "sched_waking" },
		  .lost = "",
		  .gain = "" },
		FLOOR("tp_btf/sched_switch: the blocked kernel stack",
		      "which timer ended a sleep: an interrupt is all that is known",
		      "record with wakes (leave out --no-wakes); else a kernel with the timer "
		      "tracepoints in BTF"),
	},
};

const struct probe probe_lock = {
	.name = "lock",
	.summary = "which kernel lock a thread waits for, and how long",
	.rungs = {
		{ .hook = "tp_btf/contention_begin + contention_end",
		  .programs = { "contention_begin", "contention_end" },
		  .lost = "",
		  .gain = "" },
		FLOOR("tp_btf/sched_switch: the slow path of the lock in the blocked kernel stack",
		      "the address of the lock, and time spun for it",
		      "Linux 5.19 or newer (lock:contention_begin)"),
	},
};

const struct probe probe_memory = {
	.name = "memory",
	.summary = "reclaim and compaction that a thread does itself",
	.rungs = {
		{ .hook = "tp_btf/mm_vmscan_direct_reclaim + memcg_reclaim + mm_compaction",
		  .programs = { "mm_vmscan_direct_reclaim_begin", "mm_vmscan_direct_reclaim_end",
				"mm_vmscan_memcg_reclaim_begin", "mm_vmscan_memcg_reclaim_end",
				"mm_compaction_begin", "mm_compaction_end" },
		  .lost = "",
		  .gain = "" },
		{ .hook = "tp_btf/mm_vmscan_direct_reclaim",
		  .programs = { "mm_vmscan_direct_reclaim_begin", "mm_vmscan_direct_reclaim_end" },
		  .lost = "how long memory of a group was reclaimed, or compacted",
		  .gain = "a kernel with CONFIG_MEMCG and CONFIG_COMPACTION" },
		FLOOR("tp_btf/sched_switch: reclaim in the blocked kernel stack",
		      "how long memory was reclaimed or compacted while running",
		      "a kernel with the vmscan tracepoints in BTF"),
	},
};

const struct probe probe_dirtier = {
	.name = "dirtier",
	.summary = "who wrote what the flusher or the journal writes out",
	.rungs = {
		{ .hook = "tp_btf/writeback_mark_inode_dirty",
		  .programs = { "writeback_mark_inode_dirty" },
		  .lost = "",
		  .gain = "" },
		FLOOR("tp_btf/sys_enter + sys_exit of targets", "writers that are no targets",
		      "a kernel with the tracepoint writeback:writeback_mark_inode_dirty"),
	},
};
