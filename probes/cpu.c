// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Time on the CPU, and time spent waiting for one. */
#include "registry.h"

#define SCHED_HOOKS NAMES("sched_switch", "sched_waking")

#define RUNQUEUE(_id, _title)                                                     \
	{                                                                         \
		.id = _id, .title = _title, .group = "cpu", .kind = CAUSE_PSEUDO, \
		.tracepoints = SCHED_HOOKS                                        \
	}
#define UNKNOWN(_id, _title)                                                          \
	{                                                                             \
		.id = _id, .title = _title, .group = "unknown", .kind = CAUSE_PSEUDO, \
		.always = true                                                        \
	}

/* Whatever an interrupt runs, it is not what the thread under it does. */
const struct cause causes_irq[] = {
	{ .id = "cpu.irq_steal",
	  .title = "interrupts took the CPU",
	  .group = "cpu",
	  .kind = CAUSE_RUNNING,
	  .signs = SIGNS({ .spans = BIT_OF(FP_SPAN_IRQ) | BIT_OF(FP_SPAN_SOFTIRQ) }),
	  .tracepoints = NAMES("irq_handler_entry", "irq_handler_exit", "softirq_entry",
			       "softirq_exit") },
	{ 0 },
};

const struct cause causes_cpu[] = {
	{ .id = "kernel.cpu_other",
	  .title = "running in the kernel",
	  .group = "cpu",
	  .kind = CAUSE_RUNNING,
	  .signs = SIGNS({ .around = true, .marks = MARK_STACK },
			 { .around = true, .marks = MARK_SYSCALL },
			 { .around = true, .marks = MARK_KTHREAD }),
	  .always = true },
	{ .id = "user.cpu",
	  .title = "running in user space",
	  .group = "cpu",
	  .kind = CAUSE_PSEUDO,
	  .always = true },
	RUNQUEUE("cpu.runqueue", "waiting for a CPU"),
	RUNQUEUE("cpu.runqueue.self", "waiting for a CPU that the target itself uses"),
	RUNQUEUE("cpu.runqueue.other", "waiting for a CPU that another process uses"),
	RUNQUEUE("cpu.runqueue.kthread", "waiting for a CPU that a kernel thread uses"),
	RUNQUEUE("cpu.runqueue.quota", "out of the CPU quota of its control group"),
	RUNQUEUE("cpu.runqueue.idle_exit", "waking an idle CPU"),
	/* No record holds it: where a hypervisor takes the CPU, it looks like its occupant. */
	{ .id = "cpu.runqueue.steal",
	  .title = "the hypervisor took the CPU",
	  .group = "cpu",
	  .kind = CAUSE_PSEUDO },
	{ 0 },
};

/* Named by the analysis: no stack says these. */
const struct cause causes_unknown[] = {
	UNKNOWN("unknown.lost", "records were lost here"),
	UNKNOWN("unknown.no_stack", "no stack was taken"),
	UNKNOWN("unknown.stack", "a stack that no probe knows"),
	UNKNOWN("unknown.short_sleep", "sleeps shorter than --min-sleep"),
	UNKNOWN("unknown.pretrace", "began before the recording"),
	UNKNOWN("unknown.no_waker", "nobody was seen to end it"),
	UNKNOWN("unknown.no_thread", "the thread was not recorded"),
	UNKNOWN("unknown.missed_switch", "a context switch is missing"),
	UNKNOWN("unknown.irq", "ended by an interrupt of unknown origin"),
	UNKNOWN("unknown.depth", "more wake-ups than the walk follows"),
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
};
