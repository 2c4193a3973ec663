// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Time on the CPU, and time spent waiting for one. */
#include "registry.h"

#define NAMED(_id, _title, _group, _kind)                                  \
	{                                                                  \
		.id = _id, .title = _title, .group = _group, .kind = _kind \
	}

static bool in_kernel(const struct probe_context *ctx)
{
	return ctx->in_syscall || ctx->frames_cnt > 0 || ctx->kthread;
}

static const struct cause causes[] = {
	{ .id = "kernel.cpu_other",
	  .title = "running in the kernel",
	  .group = "cpu",
	  .kind = CAUSE_RUNNING,
	  .match = in_kernel },
	/* Named by the analysis: no stack says these. */
	NAMED("user.cpu", "running in user space", "cpu", CAUSE_RUNNING),
	NAMED("cpu.runqueue.self", "waiting for a CPU that the target itself uses", "cpu",
	      CAUSE_BLOCKED),
	NAMED("cpu.runqueue.other", "waiting for a CPU that another process uses", "cpu",
	      CAUSE_BLOCKED),
	NAMED("cpu.runqueue.kthread", "waiting for a CPU that a kernel thread uses", "cpu",
	      CAUSE_BLOCKED),
	NAMED("cpu.runqueue.idle_exit", "waking an idle CPU", "cpu", CAUSE_BLOCKED),
	NAMED("cpu.runqueue", "waiting for a CPU", "cpu", CAUSE_BLOCKED),
	NAMED("unknown.lost", "records were lost here", "unknown", CAUSE_ANY),
	NAMED("unknown.no_stack", "no stack was taken", "unknown", CAUSE_ANY),
	NAMED("unknown.stack", "a stack that no probe knows", "unknown", CAUSE_ANY),
	NAMED("unknown.short_sleep", "sleeps shorter than --min-sleep", "unknown", CAUSE_ANY),
	NAMED("unknown.pretrace", "began before the recording", "unknown", CAUSE_ANY),
	NAMED("unknown.no_waker", "nobody was seen to end it", "unknown", CAUSE_ANY),
	NAMED("unknown.no_thread", "the thread was not recorded", "unknown", CAUSE_ANY),
	NAMED("unknown.missed_switch", "a context switch is missing", "unknown", CAUSE_ANY),
	NAMED("unknown.depth", "more wake-ups than the walk follows", "unknown", CAUSE_ANY),
	{ 0 },
};

const struct probe probe_cpu = {
	.name = "cpu",
	.summary = "running, runnable and blocked time of every thread",
	.rungs = {
		{ .hook = "tp_btf/sched_switch + sched_waking, cpu-clock samples",
		  .programs = { "sched_switch", "sched_waking", "sample_cpu" },
		  .lost = "",
		  .gain = "" },
		{ .hook = "tp_btf/sched_switch + sched_waking",
		  .programs = { "sched_switch", "sched_waking" },
		  .lost = "where running time is spent",
		  .gain = "perf events for this user (kernel.perf_event_paranoid, CAP_PERFMON)" },
		{ .hook = "tp_btf/sched_switch",
		  .programs = { "sched_switch" },
		  .lost = "where running time is spent, and who woke a thread",
		  .gain = "record with wakes (leave out --no-wakes)" },
	},
	.causes = causes,
};
