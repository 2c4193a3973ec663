/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Every difference between kernels, and no other file knows one. Each entry names the commit that
 * made it. Fields are probed here by BTF; the shape of a tracepoint's arguments cannot be seen from
 * this side, so user space (user/capture/kernel_shape.c) reads it from BTF into cfg_* constants, and
 * the verifier then drops the branch that is not this kernel's.
 */
#ifndef FLATPAUSE_CORE_COMPAT_BPF_H
#define FLATPAUSE_CORE_COMPAT_BPF_H

#include "kernel.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

/*
 * sched_switch: (preempt, prev, next), then (preempt, prev_state, prev, next) with fa2c3254d7cf
 * ("sched/tracing: Don't re-read p->state when emitting sched_switch event"), then prev_state last
 * with 9c2136be0878 ("sched/tracing: Append prev_state to tp args instead").
 */
enum {
	SWITCH_STATE_NONE = 0,
	SWITCH_STATE_SECOND = 1,
	SWITCH_STATE_LAST = 3,
};
extern const volatile __u32 cfg_switch_state_arg;

/*
 * block tracepoints lost their leading request_queue with a54895fa057c ("block: remove the
 * request_queue to argument request based tracepoints") and e8a676d61c07 ("block: simplify and
 * extend the block_bio_merge tracepoint class").
 */
extern const volatile __u32 cfg_block_queue_arg;

/*
 * balance_dirty_pages gave its thresholds and counts as five numbers; a dirty_throttle_control
 * carries them since 6.17.
 */
extern const volatile bool cfg_bdp_dtc;

/* task_struct.state became __state: 2f064a59a11f ("sched: Change task_struct::state"). */
struct task_struct___state {
	volatile long state;
} __attribute__((preserve_access_index));

static __always_inline u32 task_state(struct task_struct *task)
{
	if (bpf_core_field_exists(task->__state))
		return BPF_CORE_READ(task, __state);
	return BPF_CORE_READ((struct task_struct___state *)task, state);
}

/* task_struct.cpu moved: bcf9033e5449 ("sched: move CPU field back into thread_info ..."). */
struct task_struct___cpu {
	unsigned int cpu;
} __attribute__((preserve_access_index));

static __always_inline u32 task_cpu(struct task_struct *task)
{
	if (bpf_core_field_exists(task->thread_info.cpu))
		return BPF_CORE_READ(task, thread_info.cpu);
	return BPF_CORE_READ((struct task_struct___cpu *)task, cpu);
}

/*
 * This CPU's runqueue, reached through a task that runs or is about to run on it: kernels without
 * CONFIG_KALLSYMS_ALL resolve no per-CPU symbol for BPF, but a task's cfs_rq (set for every class,
 * idle too) points back to the runqueue. NULL without CONFIG_FAIR_GROUP_SCHED.
 */
static __always_inline struct rq *task_rq(struct task_struct *task)
{
	struct cfs_rq *cfs;

	if (!bpf_core_field_exists(task->se.cfs_rq) ||
	    !bpf_core_field_exists(((struct cfs_rq *)0)->rq))
		return NULL;
	cfs = task->se.cfs_rq;
	return cfs ? cfs->rq : NULL;
}

/* The runqueue's clock, which sched_info is kept in; 0 = not known. */
static __always_inline u64 rq_clock(struct task_struct *task)
{
	struct rq *rq = task_rq(task);

	return rq ? rq->clock : 0;
}

/*
 * How often and how long the task's CPU groups were out of quota: a number that grows whenever they
 * are, 0 = never (or no CONFIG_CFS_BANDWIDTH). Some of both, as the time is only added when a queue
 * is let run again, and the count at the end of a period. Both hold for throttling of queues and of
 * tasks, which it became in 6.18.
 */
#define QUOTA_LEVELS 4 /* of groups within groups */
static __always_inline u64 task_throttled(struct task_struct *task)
{
	struct task_group *group;
	u64 sum = 0;

	if (!bpf_core_field_exists(task->sched_task_group) ||
	    !bpf_core_field_exists(((struct task_group *)0)->cfs_bandwidth))
		return 0;
	group = task->sched_task_group;
	/* Beyond the outermost group NULL is read, which gives 0: a branch less to verify. */
	for (int i = 0; i < QUOTA_LEVELS; i++) {
		sum += group->cfs_bandwidth.throttled_time + group->cfs_bandwidth.nr_throttled;
		group = group->parent;
	}
	return sum;
}

/*
 * The preempt count of x86 is a per-CPU variable: of its own, then in pcpu_hot with 64701838bf05
 * ("x86/percpu: Move preempt_count next to current_task"), then of its own again ("x86/preempt:
 * Move preempt count to percpu hot section", 6.15). User space finds its distance from
 * `runqueues` in BTF. arm64 keeps it in thread_info.
 */
extern const volatile bool cfg_preempt_known;
extern const volatile __s64 cfg_preempt_distance;

static __always_inline int preempt_count(void)
{
#if defined(__TARGET_ARCH_x86)
	int count = -1;
	void *rq;

	if (!cfg_preempt_known)
		return -1;
	rq = task_rq(bpf_get_current_task_btf());
	if (!rq || bpf_probe_read_kernel(&count, sizeof(count), rq + cfg_preempt_distance))
		return -1;
	return count & 0x7fffffff; /* the top bit is PREEMPT_NEED_RESCHED, inverted */
#else
	return bpf_get_current_task_btf()->thread_info.preempt_count;
#endif
}

/* bio.bi_disk and bi_partno became bi_bdev: 309dca309fc3 ("block: store a block_device pointer"). */
struct bio___disk {
	struct gendisk *bi_disk;
} __attribute__((preserve_access_index));

/*
 * request.rq_disk went with f3fa33acca9f ("block: remove the ->rq_disk field in struct request");
 * request_queue.disk came with d152c682f03c ("block: add an explicit ->disk backpointer").
 */
struct request___disk {
	struct gendisk *rq_disk;
} __attribute__((preserve_access_index));

static __always_inline u32 disk_dev(struct gendisk *disk)
{
	if (!disk)
		return 0;
	return (u32)BPF_CORE_READ(disk, major) << 20 | (u32)BPF_CORE_READ(disk, first_minor);
}

static __always_inline u32 bio_dev(struct bio *bio)
{
	if (bpf_core_field_exists(bio->bi_bdev))
		return disk_dev(BPF_CORE_READ(bio, bi_bdev, bd_disk));
	return disk_dev(BPF_CORE_READ((struct bio___disk *)bio, bi_disk));
}

static __always_inline u32 request_dev(struct request *rq)
{
	struct request_queue *q = BPF_CORE_READ(rq, q);

	if (bpf_core_field_exists(q->disk))
		return disk_dev(BPF_CORE_READ(q, disk));
	return disk_dev(BPF_CORE_READ((struct request___disk *)rq, rq_disk));
}

/* Arguments of the syscall that `regs` is the entry of; read directly, as each costs every call. */
static __always_inline void syscall_args(struct pt_regs *regs, u64 args[6])
{
#if defined(__TARGET_ARCH_x86)
	args[0] = regs->di;
	args[1] = regs->si;
	args[2] = regs->dx;
	args[3] = regs->r10;
	args[4] = regs->r8;
	args[5] = regs->r9;
#elif defined(__TARGET_ARCH_arm64)
	args[0] = regs->orig_x0;
	args[1] = regs->regs[1];
	args[2] = regs->regs[2];
	args[3] = regs->regs[3];
	args[4] = regs->regs[4];
	args[5] = regs->regs[5];
#endif
}

/*
 * The number of the call that this task is in; -1 = in none, or not known: bpf_task_pt_regs() came
 * with dd6e10fbd9fb ("bpf: Add bpf_task_pt_regs() helper"). A fault in user mode has no number.
 */
static __always_inline s64 current_syscall(struct task_struct *task)
{
	struct pt_regs *regs;

	if (task->flags & PF_KTHREAD ||
	    !bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs))
		return -1;
	regs = (struct pt_regs *)bpf_task_pt_regs(task);
#if defined(__TARGET_ARCH_x86)
	return (s64)BPF_CORE_READ(regs, orig_ax);
#elif defined(__TARGET_ARCH_arm64)
	return BPF_CORE_READ(regs, syscallno);
#endif
}

/* Where the stack of a task that does not run begins. */
static __always_inline u64 task_sp(struct task_struct *task)
{
#if defined(__TARGET_ARCH_x86)
	return task->thread.sp;
#elif defined(__TARGET_ARCH_arm64)
	return task->thread.cpu_context.sp;
#endif
}

/* Whether a call stands before that address: a saved function pointer has none. */
static __always_inline bool is_return_address(u64 addr)
{
#if defined(__TARGET_ARCH_x86)
	u8 insn = 0;

	return !bpf_probe_read_kernel(&insn, 1, (void *)(addr - 5)) && insn == 0xe8;
#elif defined(__TARGET_ARCH_arm64)
	u32 insn = 0;

	return !bpf_probe_read_kernel(&insn, 4, (void *)(addr - 4)) && insn >> 26 == 0x25;
#endif
}

/* A 32-bit call on a 64-bit kernel: its numbers are not ours. */
static __always_inline bool syscall_is_compat(struct task_struct *task)
{
#if defined(__TARGET_ARCH_x86)
	return task->thread_info.status & TS_COMPAT;
#elif defined(__TARGET_ARCH_arm64)
	return task->thread_info.flags & (1ul << 22); /* TIF_32BIT */
#endif
}

#endif
