/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What every subject uses: the rings and their losses, who is of interest, and what is
 * remembered of a thread; stacks are in stacks.bpf.h. The maps are defined in common.bpf.c; the other
 * objects are linked to it with `bpftool gen object`.
 */
#ifndef FLATPAUSE_COMMON_BPF_H
#define FLATPAUSE_COMMON_BPF_H

#include "kernel.h"
#include "abi.h"
#include "config.h"
#include "core_compat.bpf.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

/* common.bpf.c sets this empty: there the maps are defined */
#ifndef COMMON_EXTERN
#define COMMON_EXTERN extern
#endif

/* Hides from the compiler what it knows of a value, so that it keeps a check for the verifier. */
#define hide_value(x) asm volatile("" : "+r"(x))

#define STARTS_MAX    16
static __always_inline bool starts_with(const char *p, const char *lit, u32 len)
{
#pragma unroll
	for (u32 i = 0; i < STARTS_MAX; i++)
		if (i < len && p[i] != lit[i])
			return false;
	return true;
}

#define STARTS(p, lit) starts_with(p, lit, sizeof(lit) - 1)

/* ---- options, constant once loaded ---- */

extern const volatile __u64 cfg_min_sleep_ns;
extern const volatile __u64 cfg_min_other_ns;
extern const volatile __u64 cfg_jiffy_ns;
extern const volatile __u32 cfg_own_tgid;
extern const volatile bool cfg_sys_exit;

/* ---- state that user space changes while it runs ---- */

extern volatile __u32 recording; /* REC_* */
extern volatile __u32 follow_forks;
extern volatile __u32 iter_mode;  /* ITER_* */
extern volatile __u32 iter_tgid;  /* 0 = all */
extern volatile __u32 iter_found; /* threads that were new to ITER_ADOPT */
extern volatile __u64 end_ns;	  /* when recording ended */
extern volatile __u32 neighbour_next;

/* ---- maps ---- */

struct ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 * 1024);
};

/* One ring a CPU, made by user space: no CPU waits for another one's lock. */
COMMON_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, u32);
	__array(values, struct ring);
} rings SEC(".maps");

COMMON_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct cpu_state);
} cpus SEC(".maps");

/* What the system calls of this machine are: by number. */
COMMON_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FP_MAX_SYSCALL);
	__type(key, u32);
	__type(value, struct sys_desc);
} syscall_class SEC(".maps");

/* Two bits a thread id. An array's look-up is inlined: this is what everybody else pays. */
COMMON_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FP_INTEREST_WORDS);
	__type(key, u32);
	__type(value, u64);
} interest SEC(".maps");

COMMON_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FP_NEIGHBOURS);
	__type(key, u32);
	__type(value, u32);
} neighbours SEC(".maps");

struct thread {
	u64 sleep_ns;	  /* when it left the CPU to sleep; 0 = it did not */
	u64 ustack_ns;	  /* the sleep whose user stack is still to be taken; 0 = none */
	u64 run_delay_ns; /* sched_info.run_delay when it left the CPU */
	u64 throttled;	  /* task_throttled() when it began to wait for a CPU */
	u64 enter_ns;	  /* of the syscall that it is in; 0 = none */
	u64 args[6];
	u16 nr;
	u8 pad[6];
	struct sys_desc desc;
};

COMMON_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct thread);
} threads SEC(".maps");

struct span {
	u64 begin_ns; /* 0 = not open */
	u64 ino;
	u32 dev;
	u32 value;
};

struct spans {
	struct span of[FP_SPAN_END];
};

COMMON_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct spans);
} spans SEC(".maps");

/* ---- context ---- */

static __always_inline u32 current_tid(void)
{
	return (u32)bpf_get_current_pid_tgid();
}

static __always_inline u8 current_ctx(void)
{
	int count = preempt_count();

	if (count < 0)
		return EV_CTX_UNKNOWN;
	if (count & 0x00f00000)
		return EV_CTX_NMI;
	if (count & 0x000f0000)
		return EV_CTX_HARDIRQ;
	/* Bit 8 says that a softirq is served; the bits above count local_bh_disable(). */
	if (count & 0x00000100)
		return EV_CTX_SOFTIRQ;
	return EV_CTX_TASK;
}

/* The class of the call that runs here, of any process: for what happens rarely. */
static __always_inline u8 current_call(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	s64 nr = current_syscall(task);
	u32 key = (u32)nr;
	struct sys_desc *desc;

	if (nr < 0 || nr >= FP_MAX_SYSCALL || syscall_is_compat(task))
		return FP_SYS_OTHER;
	desc = bpf_map_lookup_elem(&syscall_class, &key);
	return desc ? desc->cls : FP_SYS_OTHER;
}

static __always_inline struct cpu_state *this_cpu(void)
{
	u32 cpu = bpf_get_smp_processor_id();

	return bpf_map_lookup_elem(&cpus, &cpu);
}

/* The request whose completion is running here: bios end, and wake, right behind it. */
#define COMPLETION_MAX_NS 1000000
static __always_inline u64 completing_request(u32 tid, u8 ctx, u64 ts_ns)
{
	struct cpu_state *cpu = this_cpu();

	if (!cpu || !cpu->completing_rq || cpu->completing_ctx != ctx ||
	    cpu->completing_tid != tid || ts_ns - cpu->completing_ns > COMPLETION_MAX_NS)
		return 0;
	return cpu->completing_rq >> 6 & 0x0fffffff;
}

/* The timer function that runs on this CPU in that context; 0 = none. */
static __always_inline u64 expiring_timer(u8 ctx)
{
	struct cpu_state *cpu = this_cpu();

	if (!cpu)
		return 0;
	if (ctx == EV_CTX_HARDIRQ)
		return cpu->timer_hard;
	return ctx == EV_CTX_SOFTIRQ ? cpu->timer_soft : 0;
}

/* ---- interest ---- */

#define INTEREST_TARGET	   1
#define INTEREST_NEIGHBOUR 2

static __always_inline u32 interest_shift(u32 tid)
{
	return tid % FP_TIDS_PER_WORD * 2;
}

static __always_inline u32 interest_of(u32 tid)
{
	u32 word = tid / FP_TIDS_PER_WORD;
	u64 *bits = bpf_map_lookup_elem(&interest, &word);

	return bits ? *bits >> interest_shift(tid) & 3 : 0;
}

static __always_inline void interest_set(u32 tid, u64 bit)
{
	u32 word = tid / FP_TIDS_PER_WORD;
	u64 *bits = bpf_map_lookup_elem(&interest, &word);

	if (bits)
		__sync_fetch_and_or(bits, bit << interest_shift(tid));
}

static __always_inline void interest_clear(u32 tid, u64 mask)
{
	u32 word = tid / FP_TIDS_PER_WORD;
	u64 *bits = bpf_map_lookup_elem(&interest, &word);

	if (bits)
		__sync_fetch_and_and(bits, ~(mask << interest_shift(tid)));
}

/* ---- rings ---- */

static __always_inline void cpu_count_loss(struct cpu_state *cpu, u64 ts_ns)
{
	if (!cpu->lost_pending)
		cpu->lost_from_ns = ts_ns;
	if (!cpu->lost_total)
		cpu->lost_first_ns = ts_ns;
	cpu->lost_last_ns = ts_ns;
	__sync_fetch_and_add(&cpu->lost_pending, 1);
	__sync_fetch_and_add(&cpu->lost_total, 1);
}

/* What was lost is told where the next record stands, so that a reader knows what it misses. */
static __always_inline void ring_tell_loss(void *ring, struct cpu_state *cpu, u64 ts_ns)
{
	struct ev_lost *e = bpf_ringbuf_reserve(ring, sizeof(*e), 0);

	if (!e)
		return;
	__builtin_memset(e, 0, sizeof(*e));
	e->h.ts_ns = ts_ns;
	e->h.size = sizeof(*e);
	e->h.kind = EV_LOST;
	e->h.ctx = EV_CTX_UNKNOWN;
	e->from_ns = cpu->lost_from_ns;
	e->records = __sync_lock_test_and_set(&cpu->lost_pending, 0);
	if (e->records)
		bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP);
	else
		bpf_ringbuf_discard(e, BPF_RB_NO_WAKEUP);
}

/* This CPU's ring; NULL (counted) if a loss could not be told: then nothing fits anyway. */
static __always_inline void *ring_get(struct cpu_state *cpu, u32 id, u64 ts_ns)
{
	void *ring = bpf_map_lookup_elem(&rings, &id);

	if (ring && cpu->lost_pending) {
		ring_tell_loss(ring, cpu, ts_ns);
		if (cpu->lost_pending)
			ring = NULL;
	}
	if (!ring)
		cpu_count_loss(cpu, ts_ns);
	return ring;
}

/*
 * A record of constant size, header filled; NULL if there is no room (counted) or nothing is
 * recorded. The tail is the caller's to fill, all of it.
 */
static __always_inline void *ev_reserve(u8 kind, u32 size, u32 tid, u8 ctx, u64 ts_ns)
{
	u32 id = bpf_get_smp_processor_id();
	struct cpu_state *cpu;
	struct ev_hdr *h;
	void *ring;

	if (recording != REC_ON)
		return NULL;
	cpu = bpf_map_lookup_elem(&cpus, &id);
	if (!cpu)
		return NULL;
	ring = ring_get(cpu, id, ts_ns);
	if (!ring)
		return NULL;
	h = bpf_ringbuf_reserve(ring, size, 0);
	if (!h) {
		cpu_count_loss(cpu, ts_ns);
		return NULL;
	}
	h->ts_ns = ts_ns;
	h->tid = tid;
	h->size = size;
	h->kind = kind;
	h->ctx = ctx;
	return h;
}

static __always_inline void ev_submit(void *ev)
{
	bpf_ringbuf_submit(ev, BPF_RB_NO_WAKEUP);
}

static __always_inline void ev_header(struct ev_hdr *h, u8 kind, u16 size, u32 tid, u8 ctx,
				      u64 ts_ns)
{
	h->ts_ns = ts_ns;
	h->tid = tid;
	h->size = size;
	h->kind = kind;
	h->ctx = ctx;
}

/* A record of any size that stands in memory. 0 or -errno; a loss is counted. */
static __always_inline long ev_output(void *ev, u32 size, u64 ts_ns)
{
	u32 id = bpf_get_smp_processor_id();
	struct cpu_state *cpu;
	void *ring;
	long err;

	if (recording == REC_OFF)
		return -1;
	cpu = bpf_map_lookup_elem(&cpus, &id);
	if (!cpu)
		return -1;
	ring = ring_get(cpu, id, ts_ns);
	if (!ring)
		return -1;
	err = bpf_ringbuf_output(ring, ev, size, BPF_RB_NO_WAKEUP);
	if (err)
		cpu_count_loss(cpu, ts_ns);
	return err;
}

/* ---- small records ---- */

/* All of it, so that nothing of the record that stood here before goes out behind a short name. */
static __always_inline void fill_comm(char *comm, const char *from)
{
	__builtin_memset(comm, 0, FP_COMM_LEN);
	bpf_probe_read_kernel_str(comm, FP_COMM_LEN, from);
}

static __always_inline void emit_task_state(struct task_struct *task, u32 state, u32 flags,
					    u64 kstack_id, u64 ts_ns)
{
	struct ev_task_state *e = ev_reserve(EV_TASK, sizeof(*e), task->pid, EV_CTX_TASK, ts_ns);

	if (!e)
		return;
	e->kstack_id = kstack_id;
	e->tgid = task->tgid;
	e->state = state;
	e->flags = flags | (task->flags & PF_KTHREAD ? FP_TASK_KTHREAD : 0);
	fill_comm(e->comm, task->comm);
	ev_submit(e);
}

static __always_inline void emit_point(u16 op, u64 id, u32 dev, u32 a, u32 b)
{
	u64 ts_ns = bpf_ktime_get_ns();
	struct ev_point *e = ev_reserve(EV_POINT, sizeof(*e), current_tid(), current_ctx(), ts_ns);

	if (!e)
		return;
	e->id = id;
	e->dev = dev;
	e->op = op;
	e->pad = 0;
	e->a = a;
	e->b = b;
	ev_submit(e);
}

static __always_inline u16 saturate16(u64 v)
{
	return v > 0xffff ? 0xffff : v;
}

static __always_inline u32 saturate32(u64 v)
{
	return v > 0xffffffffull ? 0xffffffffu : v;
}

/* ---- spans ---- */

/* Spans nest by kind, never within a kind: a begin without an end is replaced. */
static __always_inline void span_begin(u32 op, u64 ino, u32 dev, u32 value)
{
	struct spans *s = bpf_task_storage_get(&spans, bpf_get_current_task_btf(), 0,
					       BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!s || op >= FP_SPAN_END || recording == REC_ENDING)
		return;
	s->of[op].ino = ino;
	s->of[op].dev = dev;
	s->of[op].value = value;
	s->of[op].begin_ns = bpf_ktime_get_ns();
}

static __always_inline void emit_span(const struct span *span, u32 op, u32 tid, u8 ctx, u64 ts_ns,
				      u64 value)
{
	struct ev_span *e = ev_reserve(EV_SPAN, sizeof(*e), tid, ctx, ts_ns);

	if (!e)
		return;
	e->begin_ns = span->begin_ns;
	e->ino = span->ino;
	e->dev = span->dev;
	e->op = op;
	e->value_lo = saturate16(value);
	ev_submit(e);
}

/* Ends what span_begin began; nothing if recording began in between. */
static __always_inline void span_end(u32 op, u64 value)
{
	struct spans *s = bpf_task_storage_get(&spans, bpf_get_current_task_btf(), 0, 0);

	if (!s || op >= FP_SPAN_END || !s->of[op].begin_ns || recording == REC_ENDING)
		return;
	emit_span(&s->of[op], op, current_tid(), EV_CTX_TASK, bpf_ktime_get_ns(), value);
	s->of[op].begin_ns = 0;
}

/* Forgets what span_begin began. */
static __always_inline void span_drop(u32 op)
{
	struct spans *s = bpf_task_storage_get(&spans, bpf_get_current_task_btf(), 0, 0);

	if (s && op < FP_SPAN_END)
		s->of[op].begin_ns = 0;
}

static __always_inline u32 span_value(u32 op)
{
	struct spans *s = bpf_task_storage_get(&spans, bpf_get_current_task_btf(), 0, 0);

	return s && op < FP_SPAN_END ? s->of[op].value : 0;
}

#endif
