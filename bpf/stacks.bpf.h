/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Stacks, whose frames are sent once: of what runs here, and of a task that sleeps. The memory
 * that they are taken into serves other records with a tail too.
 */
#ifndef FLATPAUSE_STACKS_BPF_H
#define FLATPAUSE_STACKS_BPF_H

#include "common.bpf.h"

extern const volatile struct text_range cfg_own_text[FP_OWN_TEXT_RANGES];
extern const volatile struct text_range cfg_sched_text;

/* Ids of stacks whose frames were sent. One that falls out is sent again, which is harmless. */
COMMON_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, u64);
	__type(value, u8);
} stacks_seen SEC(".maps");

/* Frames that stand before the first kept one are overwritten by the record's header. */
#define OWN_FRAMES_MAX 8
#define SCHED_WORDS    64
struct scratch {
	u64 head[4];
	u64 frames[FP_MAX_FRAMES + OWN_FRAMES_MAX];
	u64 tail[8];
	u64 words[SCHED_WORDS]; /* of a sleeper's stack, from its stack pointer on */
	u64 sched[OWN_FRAMES_MAX];
	volatile u32 sched_cnt;
	volatile u32 met_first;
	volatile u32 forgotten;
};

/*
 * One for each context that can interrupt another on this CPU: enum ev_ctx, and the iterator,
 * which alone of our programs can be preempted.
 */
#define SCRATCH_ITER (EV_CTX_UNKNOWN + 1)
COMMON_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SCRATCH_ITER + 1);
	__type(key, u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

static __always_inline struct scratch *scratch_get(u32 key)
{
	return bpf_map_lookup_elem(&scratches, &key);
}

/*
 * What was in memory the verifier knows nothing of. Of a count that it has seen compared it would
 * else follow each possible value to the end of the program: that makes loading slow.
 */
static __always_inline u32 forget_value(struct scratch *s, u32 value)
{
	s->forgotten = value;
	return s->forgotten;
}

static __always_inline bool text_is_own(u64 addr)
{
	for (int i = 0; i < FP_OWN_TEXT_RANGES; i++)
		if (addr >= cfg_own_text[i].begin && addr < cfg_own_text[i].end)
			return true;
	return false;
}

/* How many frames at the top are the tracing itself: our program, what called it, the hook. */
static __always_inline u32 own_frames(const struct scratch *s)
{
	u32 own = 0;

	for (u32 i = 0; i < OWN_FRAMES_MAX - 1; i++)
		if (text_is_own(s->frames[i]))
			own = i + 1;
	return own;
}

/* FNV-1a by words, with the high half folded down: frames differ mostly in their low bits. */
static __always_inline u64 stack_hash(const u64 *frames, u32 cnt, u64 seed)
{
	u64 h = 0xcbf29ce484222325ull ^ seed;

	for (u32 i = 0; i < FP_MAX_FRAMES; i++) {
		if (i >= cnt)
			break;
		h = (h ^ frames[i]) * 0x9e3779b97f4a7c15ull;
		h ^= h >> 32;
	}
	return h ? h : 1;
}

/* The id of the stack whose `bytes` bytes of frames stand in s; its frames go out if new. */
static __always_inline u64 stack_send(struct scratch *s, long bytes, u32 own, u32 tgid, u32 tid,
				      u8 ctx, u64 ts_ns)
{
	u32 cnt, size;
	struct ev_stack *e;
	u8 one = 1;
	u64 id;

	if (bytes <= 0 || recording != REC_ON)
		return 0;
	cnt = (u32)bytes / 8;
	own = forget_value(s, own);
	if (own > OWN_FRAMES_MAX || own >= cnt)
		return 0;
	cnt -= own;
	if (cnt > FP_MAX_FRAMES)
		cnt = FP_MAX_FRAMES;
	hide_value(own);
	if (own > OWN_FRAMES_MAX)
		return 0;
	e = (void *)(s->head + own);
	id = stack_hash(e->frames, cnt, tgid);
	cnt = forget_value(s, cnt);
	if (bpf_map_lookup_elem(&stacks_seen, &id))
		return id;
	size = sizeof(*e) + cnt * 8;
	ev_header(&e->h, EV_STACK, size, tid, ctx, ts_ns);
	e->id = id;
	e->tgid = tgid;
	e->frames_cnt = cnt;
	e->flags = cnt == FP_MAX_FRAMES ? EV_STACK_TRUNCATED : 0;
	hide_value(size);
	if (size > sizeof(*e) + FP_MAX_FRAMES * 8)
		return id;
	if (ev_output(e, size, ts_ns) == 0)
		bpf_map_update_elem(&stacks_seen, &id, &one, BPF_ANY);
	return id;
}

/* The kernel stack of what runs here, up to the hook. */
static __always_inline u64 kstack_current(void *prog_ctx, u32 tid, u8 ctx, u64 ts_ns)
{
	struct scratch *s = scratch_get(ctx);
	long bytes;

	if (!s)
		return 0;
	bytes = bpf_get_stack(prog_ctx, s->frames, (FP_MAX_FRAMES + OWN_FRAMES_MAX - 1) * 8, 0);
	return bytes <= 0 ? 0 : stack_send(s, bytes, own_frames(s), 0, tid, ctx, ts_ns);
}

/* These functions do not recurse: a second time the same address is a leftover. */
static __always_inline bool sched_frame_seen(const struct scratch *s, u64 addr)
{
	for (u32 i = 0; i < OWN_FRAMES_MAX; i++)
		if (s->sched[i] == addr)
			return true;
	return false;
}

/*
 * The kernel leaves the scheduler's own text out of a sleeping task's stack (stack_trace_save_tsk
 * skips in_sched_functions): schedule_timeout, mutex and rwsem slow paths, wait_on_bit, which name
 * the cause. Their return addresses stand between the stack pointer and the first frame that is
 * told: what points behind a call in that text there is one of them (but for leftovers, which are
 * rare as these functions' frames are small). They are put right before frames[OWN_FRAMES_MAX];
 * their number is returned.
 */
static __always_inline u32 sched_frames(struct scratch *s, struct task_struct *task)
{
	u64 first = s->frames[OWN_FRAMES_MAX];
	u32 cnt;

	if (!cfg_sched_text.begin ||
	    bpf_probe_read_kernel(s->words, sizeof(s->words), (void *)task_sp(task)))
		return 0;
	/* Counted in memory: the verifier would else follow every count to the end of the program. */
	__builtin_memset(s->sched, 0, sizeof(s->sched));
	s->sched_cnt = 0;
	s->met_first = false;
	for (u32 i = 0; i < SCHED_WORDS; i++) {
		u64 word = s->words[i];

		if (word == first) {
			s->met_first = true;
			break;
		}
		if (word < cfg_sched_text.begin || word >= cfg_sched_text.end ||
		    sched_frame_seen(s, word) || !is_return_address(word))
			continue;
		cnt = s->sched_cnt;
		if (cnt < OWN_FRAMES_MAX)
			s->sched[cnt] = word;
		s->sched_cnt = cnt + 1;
	}
	/* Without the bound it would be guessing; and more than fit are not told either. */
	cnt = s->sched_cnt;
	if (!s->met_first || cnt > OWN_FRAMES_MAX)
		return 0;
	for (u32 i = 0; i < OWN_FRAMES_MAX; i++) {
		u32 to = (OWN_FRAMES_MAX - cnt + i) & (OWN_FRAMES_MAX - 1);

		if (i < cnt)
			s->frames[to] = s->sched[i];
	}
	return s->sched_cnt;
}

/* The kernel stack that a task sleeps on; `scratch` as scratch_get() takes it. */
static __always_inline u64 kstack_of(struct task_struct *task, u32 tid, u32 scratch, u64 ts_ns)
{
	struct scratch *s = scratch_get(scratch);
	long bytes;
	u32 cnt;

	if (!s)
		return 0;
	bytes = bpf_get_task_stack(task, &s->frames[OWN_FRAMES_MAX], FP_MAX_FRAMES * 8, 0);
	if (bytes <= 0)
		return 0;
	cnt = sched_frames(s, task);
	return stack_send(s, bytes + OWN_FRAMES_MAX * 8, OWN_FRAMES_MAX - cnt, 0, tid, EV_CTX_TASK,
			  ts_ns);
}

/* The walk ends by following a frame pointer that leads nowhere: that fault is ours. */
static __always_inline u64 ustack_current(void *prog_ctx, u32 tgid, u32 tid, u8 ctx, u64 ts_ns)
{
	struct scratch *s = scratch_get(ctx);
	struct cpu_state *cpu = this_cpu();
	long bytes;

	if (!s || !cpu)
		return 0;
	cpu->probing++;
	bytes = bpf_get_stack(prog_ctx, s->frames, FP_MAX_FRAMES * 8, BPF_F_USER_STACK);
	cpu->probing--;
	return stack_send(s, bytes, 0, tgid, tid, ctx, ts_ns);
}

#endif
