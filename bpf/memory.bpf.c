// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Time that reclaim and compaction take from a thread of interest, and the faults of targets. */
#include "common.bpf.h"

static __always_inline int memory_begin(u32 op)
{
	if (interest_of(current_tid()))
		span_begin(op, 0, 0, 0);
	return 0;
}

static __always_inline int memory_end(u32 op, u64 pages)
{
	if (interest_of(current_tid()))
		span_end(op, pages);
	return 0;
}

SEC("?tp_btf/mm_vmscan_direct_reclaim_begin")
int BPF_PROG(mm_vmscan_direct_reclaim_begin)
{
	return memory_begin(FP_SPAN_RECLAIM);
}

SEC("?tp_btf/mm_vmscan_direct_reclaim_end")
int BPF_PROG(mm_vmscan_direct_reclaim_end, unsigned long pages)
{
	return memory_end(FP_SPAN_RECLAIM, pages);
}

SEC("?tp_btf/mm_vmscan_memcg_reclaim_begin")
int BPF_PROG(mm_vmscan_memcg_reclaim_begin)
{
	return memory_begin(FP_SPAN_MEMCG_RECLAIM);
}

SEC("?tp_btf/mm_vmscan_memcg_reclaim_end")
int BPF_PROG(mm_vmscan_memcg_reclaim_end, unsigned long pages)
{
	return memory_end(FP_SPAN_MEMCG_RECLAIM, pages);
}

SEC("?tp_btf/mm_compaction_begin")
int BPF_PROG(mm_compaction_begin)
{
	return memory_begin(FP_SPAN_COMPACT);
}

SEC("?tp_btf/mm_compaction_end")
int BPF_PROG(mm_compaction_end)
{
	return memory_end(FP_SPAN_COMPACT, 0);
}

SEC("?tp_btf/page_fault_user")
int BPF_PROG(page_fault_user, unsigned long address)
{
	if (interest_of(current_tid()) & INTEREST_TARGET)
		emit_point(FP_POINT_FAULT_USER, address, 0, 0, 0);
	return 0;
}

SEC("?tp_btf/page_fault_kernel")
int BPF_PROG(page_fault_kernel, unsigned long address)
{
	struct cpu_state *cpu;

	if (!(interest_of(current_tid()) & INTEREST_TARGET))
		return 0;
	cpu = this_cpu();
	if (cpu && !cpu->probing)
		emit_point(FP_POINT_FAULT_KERNEL, address, 0, 0, 0);
	return 0;
}
