// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Waits for another thread on a futex. Mostly a consequence, seldom a cause. */
#include "registry.h"

const struct cause causes_futex[] = {
	/* The partition says "wait": whose fault it is, only the path can tell. */
	{ .id = "futex.wait",
	  .title = "parked on a futex",
	  .group = "futex",
	  .kind = CAUSE_BLOCKED,
	  .signs = SIGNS(
		  { .all_of = { NAMES("futex_wait_queue", "futex_wait_queue_me", "futex_do_wait",
				      "__futex_wait", "futex_wait", "futex_wait_multiple",
				      "futex_lock_pi", "futex_wait_requeue_pi", "do_futex",
				      "__x64_sys_futex") } },
		  { .around = true, .marks = MARK_NO_STACK, .sys = BIT_OF(FP_SYS_FUTEX) }) },
	{ .id = "futex.contended",
	  .title = "waiting for the holder of a futex",
	  .group = "futex",
	  .kind = CAUSE_PSEUDO,
	  .tracepoints = NAMES("sched_switch", "sched_waking") },
	{ 0 },
};

const struct probe probe_futex = {
	.name = "futex",
	.summary = "who waits for whom: futexes by address and waker, sockets, pipes",
	.rungs = {
		{ .hook = "tp_btf/sys_enter + sys_exit (futex), sched_waking",
		  .programs = { "sys_enter", "sys_exit", "sched_waking", "sched_switch" },
		  .lost = "",
		  .gain = "" },
		{ .hook = "tp_btf/sched_switch + sched_waking",
		  .programs = { "sched_switch", "sched_waking" },
		  .lost = "the address of a futex",
		  .gain = "record with syscalls (leave out --no-syscalls)" },
		{ .hook = "tp_btf/sched_switch",
		  .programs = { "sched_switch" },
		  .lost = "who woke a thread: waits are not walked to their reason",
		  .gain = "record with wakes (leave out --no-wakes)" },
	},
};
