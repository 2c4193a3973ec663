/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * One window of 153 ms with four futexes: three threads parked through all of it while the VMM's
 * thread waits for the disk, and a lock of 0.39 ms that a thread of nobody held.
 */
#ifndef FLATPAUSE_TESTS_FOUR_FUTEXES_H
#define FLATPAUSE_TESTS_FOUR_FUTEXES_H

#include "stories.h"

#define VCPU1	 103u
#define STRANGER 500u
#define W_BEGIN	 (100 * TB_MS)
#define W_END	 (253 * TB_MS)
#define BITSET	 137 /* FUTEX_WAIT_BITSET_PRIVATE */

#define U_API	 0x3010ull /* in the anonymous mapping behind .bss */
#define U_VCPU0	 0x3050ull
#define U_VCPU1	 0x3090ull
#define U_LOCK	 0x8010ull /* on the heap */

/* Enters futex() at `enter`, is woken by the VMM thread and is back at `leave`. */
static inline void parked(struct trace_builder *b, uint32_t cpu, uint32_t tid, uint64_t uaddr,
			  uint64_t enter, uint64_t leave)
{
	tb_cpu(b, cpu);
	tb_at(b, 99 * TB_MS);
	tb_run_thread(b, tid);
	tb_at(b, enter + 10 * TB_US);
	tb_block(b, tid, TB_INTERRUPTIBLE);
	tb_at(b, leave - 10 * TB_US);
	tb_resume(b, tid, FUTEX_SLEEP, 10000);
	tb_at(b, leave);
	tb_futex(b, tid, enter, uaddr, BITSET, 0);
}

static inline void vmm_thread(struct trace_builder *b)
{
	tb_cpu(b, 0);
	tb_at(b, 99 * TB_MS);
	tb_run_thread(b, VMM);
	tb_at(b, W_BEGIN);
	tb_mark(b, REC_MARK_BEGIN, "");
	tb_sample(b, VMM, VMM, NULL, "serialize");
	tb_at(b, 101 * TB_MS + 10 * TB_US);
	tb_block(b, VMM, TB_INTERRUPTIBLE);
	tb_at(b, 101 * TB_MS + 400 * TB_US);
	tb_wake(b, STRANGER, VMM);
	tb_resume(b, VMM, FUTEX_SLEEP, 0);
	tb_at(b, 101 * TB_MS + 410 * TB_US);
	tb_futex(b, VMM, 101 * TB_MS, U_LOCK, 128, 0);
	tb_at(b, 101 * TB_MS + 600 * TB_US);
	tb_block(b, VMM, TB_UNINTERRUPTIBLE);
	tb_at(b, 252 * TB_MS);
	tb_wake_io(b, VMM, 7);
	tb_resume(b, VMM, WBT_SLEEP, 0);
	tb_at(b, 252 * TB_MS + 200 * TB_US);
	tb_syscall(b, VMM, FP_SYS_FSYNC, 101 * TB_MS + 500 * TB_US, 12, 0);
	tb_at(b, 252 * TB_MS + 530 * TB_US);
	tb_wake(b, VMM, API);
	tb_at(b, 252 * TB_MS + 580 * TB_US);
	tb_wake(b, VMM, VCPU);
	tb_at(b, 252 * TB_MS + 630 * TB_US);
	tb_wake(b, VMM, VCPU1);
	tb_at(b, W_END);
	tb_mark(b, REC_MARK_END, "");
	tb_at(b, 300 * TB_MS);
	tb_preempt(b, VMM, 0);
}

static inline struct trace_builder *four_futexes(void)
{
	struct trace_builder *b = tb__open(NULL, 4);

	tb_at(b, 0);
	tb_cpu(b, 0);
	tb_thread(b, VMM, VMM, "labvmm", FP_TASK_TARGET);
	tb_thread(b, API, VMM, "fc_api", FP_TASK_TARGET);
	tb_thread(b, VCPU, VMM, "fc_vcpu 0", FP_TASK_TARGET);
	tb_thread(b, VCPU1, VMM, "fc_vcpu 1", FP_TASK_TARGET);
	tb_map(b, VMM, 0x2000, 0x3000, 3, 0x1000, "/opt/firecracker");
	tb_map(b, VMM, 0x3000, 0x5000, 3, 0, "");
	tb_map(b, VMM, 0x8000, 0x9000, 3, 0, "[heap]");
	vmm_thread(b);
	parked(b, 1, API, U_API, 100 * TB_MS + 200 * TB_US, 252 * TB_MS + 550 * TB_US);
	parked(b, 2, VCPU, U_VCPU0, 100 * TB_MS + 110 * TB_US, 252 * TB_MS + 600 * TB_US);
	parked(b, 3, VCPU1, U_VCPU1, 100 * TB_MS + 90 * TB_US, 252 * TB_MS + 650 * TB_US);
	for (uint32_t cpu = 1; cpu < 4; cpu++) {
		tb_cpu(b, cpu);
		tb_at(b, 300 * TB_MS);
		tb_preempt(b, cpu == 1 ? API : cpu == 2 ? VCPU : VCPU1, 0);
	}
	return b;
}

#endif
