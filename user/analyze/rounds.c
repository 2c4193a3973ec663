// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "rounds.h"

#include <errno.h>
#include <utlist.h>

int rounds__add_window(struct analysis *a)
{
	return VEC_PUSH(&a->rounds, struct round_window) ? 0 : -ENOMEM;
}

/* ---- whom to look at ---- */

struct process {
	uint32_t tgid;
	uint64_t path_ns;
	bool command;
};

#define MAX_PROCESSES 64

static struct process *process_of(struct process *list, size_t *cnt, uint32_t tgid)
{
	for (size_t i = 0; i < *cnt; i++)
		if (list[i].tgid == tgid)
			return &list[i];
	if (*cnt == MAX_PROCESSES)
		return NULL;
	list[*cnt] = (struct process){ .tgid = tgid };
	return &list[(*cnt)++];
}

/* Whoever works on the pause, and is not the command that asks for it unless there is no other. */
static uint32_t pick_process(const struct analysis *a, uint32_t w, const struct path *path)
{
	const struct finding_window *fw = &a->f->windows[w];
	struct process list[MAX_PROCESSES];
	const struct process *best = NULL;
	size_t cnt = 0;

	for (size_t i = 0; i < fw->threads_cnt; i++) {
		struct process *p = process_of(list, &cnt, fw->threads[i].tgid);

		if (!p)
			continue;
		p->path_ns += path__ns(path, fw->threads[i].tid);
		p->command |= scan__is_command(&a->scan, fw->threads[i].tid);
	}
	for (size_t i = 0; i < cnt; i++)
		if (!best || (best->command && !list[i].command) ||
		    (best->command == list[i].command && list[i].path_ns > best->path_ns))
			best = &list[i];
	return best ? best->tgid : 0;
}

/* ---- the main thread's calls ---- */

static void count_calls(struct round_window *r, const struct thread *t, const struct window *win)
{
	for (size_t i = 0; i < vec__cnt(&t->spans[0]); i++) {
		const struct span *s = VEC_AT(&t->spans[0], struct span, i);

		if (s->begin >= win->end_ns)
			break;
		if (s->end > win->begin_ns)
			r->calls[s->cls].calls++;
	}
}

static void add_main(struct analysis *a, struct round_window *r, const struct thread *t,
		     const struct window *win)
{
	struct pieces it;
	struct piece p;

	count_calls(r, t, win);
	r->main_ns += win->end_ns - win->begin_ns;
	memcpy(r->comm, t->comm, sizeof(r->comm));
	pieces__begin(&it, &a->tl, t, win->begin_ns, win->end_ns);
	while (pieces__next(&it, &p)) {
		uint64_t ns = p.end - p.begin;

		if (p.sys)
			r->calls[p.sys->cls].wall_ns += ns;
		if (p.kind == SEG_RUN && p.sys)
			r->calls[p.sys->cls].cpu_ns += ns;
		if (p.kind == SEG_RUN && !p.in_kernel)
			r->main_user_ns += ns;
		if (p.kind == SEG_BLOCKED)
			r->main_asleep_ns += ns;
	}
}

/* ---- the poll ---- */

static int add_hit(struct round_window *r, const char *frame, const char *cause, uint64_t hits,
		   uint64_t passive)
{
	struct round_poll *poll;

	for (size_t i = 0; i < vec__cnt(&r->polls); i++) {
		poll = VEC_AT(&r->polls, struct round_poll, i);
		if (strcmp(poll->frame, frame))
			continue;
		poll->hits += hits;
		poll->passive += passive;
		return 0;
	}
	poll = VEC_PUSH(&r->polls, struct round_poll);
	if (!poll)
		return -ENOMEM;
	*poll = (struct round_poll){
		.frame = frame, .cause = cause, .hits = hits, .passive = passive
	};
	return 0;
}

/* Polls at multiples of POLL_NS in [lo, hi): counted, not walked, as a window may be years long. */
static uint64_t polls_in(uint64_t lo, uint64_t hi)
{
	return hi / POLL_NS + (hi % POLL_NS > 0) - lo / POLL_NS - (lo % POLL_NS > 0);
}

/* The kernel gives no stack of a thread that is on a CPU, or about to be. */
static int poll_piece(struct analysis *a, struct round_window *r, const struct thread *t,
		      const struct piece *p, bool passive)
{
	uint64_t polls = polls_in(p->begin, p->end);

	if (!polls)
		return 0;
	if (p->kind == SEG_NONE || p->kind == SEG_UNKNOWN)
		r->empty[EMPTY_UNKNOWN] += polls;
	else if (p->kind == SEG_RUN)
		r->empty[p->in_kernel ? EMPTY_KERNEL : EMPTY_USER] += polls;
	else if (p->kind == SEG_RUNNABLE)
		r->empty[EMPTY_RUNNABLE] += polls;
	else if (!p->seg || p->seg->kstack == STACK_NONE)
		r->empty[EMPTY_UNKNOWN] += polls;
	else
		return add_hit(r, thread_states__frame(a, p), name_blocked(a, t, p), polls,
			       passive ? polls : 0);
	return 0;
}

static bool is_passive(const struct analysis *a, uint32_t w, const struct thread *t)
{
	return t->row_window == w + 1 && a->f->windows[w].threads[t->row].passive;
}

static int poll_process(struct analysis *a, struct round_window *r, uint32_t w)
{
	const struct window *win = WINDOW(a, w);
	const struct thread *t;

	r->ticks += polls_in(win->begin_ns, win->end_ns);
	DL_FOREACH (a->tl.threads, t) {
		uint64_t lo = t->born_ns > win->begin_ns ? t->born_ns : win->begin_ns;
		uint64_t hi = t->dead_ns < win->end_ns ? t->dead_ns : win->end_ns;
		struct pieces it;
		struct piece p;

		if (!t->target || t->tgid != r->tgid || lo >= hi)
			continue;
		pieces__begin(&it, &a->tl, t, lo, hi);
		while (pieces__next(&it, &p))
			if (poll_piece(a, r, t, &p, is_passive(a, w, t)))
				return -ENOMEM;
	}
	return 0;
}

/* ---- the samples ---- */

static const char *symbol_of(struct analysis *a, const struct thread *t, const struct sample *s)
{
	struct stack_frames user = stacks__frames(a->stacks, s->ustack);
	const char *const *names;
	uint32_t cnt;

	if (s->kstack != STACK_NONE) {
		names = stacks__kernel_names(a->stacks, s->kstack, &cnt);
		return cnt ? names[0] : "[kernel]";
	}
	return user.cnt ? symbols__user(a->symbols, user.tgid ? user.tgid : t->tgid, user.addrs[0])
			: "[user]";
}

static int add_sample(struct analysis *a, struct round_window *r, const struct thread *t,
		      const struct sample *s)
{
	const char *cause = "user.cpu";
	struct pieces it;
	struct piece p;

	pieces__begin(&it, &a->tl, t, s->ts_ns, s->ts_ns + 1);
	if (s->kstack != STACK_NONE && pieces__next(&it, &p))
		cause = name_sample(a, t, &p, s);
	if (tally__add(&r->symbols, symbol_of(a, t, s), 1, 0))
		return -ENOMEM;
	return tally__add(&r->sample_causes, cause, 1, 0);
}

static int add_samples(struct analysis *a, struct round_window *r, const struct thread *t,
		       const struct window *win)
{
	for (size_t i = 0; i < vec__cnt(&t->samples); i++) {
		const struct sample *s = VEC_AT(&t->samples, struct sample, i);

		if (s->ts_ns >= win->end_ns)
			break;
		if (s->ts_ns >= win->begin_ns && add_sample(a, r, t, s))
			return -ENOMEM;
	}
	return 0;
}

/* ---- a window ---- */

int rounds__window(struct analysis *a, uint32_t w, const struct path *path)
{
	struct round_window *r = VEC_AT(&a->rounds, struct round_window, w);
	const struct finding_window *fw = &a->f->windows[w];
	const struct window *win = WINDOW(a, w);
	const struct thread *t;

	r->tgid = pick_process(a, w, path);
	for (size_t i = 0; i < fw->threads_cnt; i++) {
		if (fw->threads[i].tgid != r->tgid)
			continue;
		r->threads++;
		r->running_ns += fw->threads[i].running_user_ns + fw->threads[i].running_kernel_ns;
	}
	DL_FOREACH (a->tl.threads, t) {
		if (!t->target || !r->tgid || t->tgid != r->tgid || t->row_window != w + 1)
			continue;
		if (t->tid == r->tgid)
			add_main(a, r, t, win);
		if (add_samples(a, r, t, win))
			return -ENOMEM;
	}
	return r->tgid ? poll_process(a, r, w) : 0;
}

/* ---- sums ---- */

int round_window__merge(struct round_window *to, const struct round_window *from)
{
	for (int i = 0; i < FP_SYS_END; i++) {
		to->calls[i].calls += from->calls[i].calls;
		to->calls[i].cpu_ns += from->calls[i].cpu_ns;
		to->calls[i].wall_ns += from->calls[i].wall_ns;
	}
	to->tgid = from->tgid;
	memcpy(to->comm, from->comm, sizeof(to->comm));
	to->threads = from->threads > to->threads ? from->threads : to->threads;
	to->main_ns += from->main_ns;
	to->main_user_ns += from->main_user_ns;
	to->main_asleep_ns += from->main_asleep_ns;
	to->ticks += from->ticks;
	to->running_ns += from->running_ns;
	for (int i = 0; i < EMPTIES; i++)
		to->empty[i] += from->empty[i];
	for (size_t i = 0; i < vec__cnt(&from->polls); i++) {
		const struct round_poll *p = VEC_AT(&from->polls, struct round_poll, i);

		if (add_hit(to, p->frame, p->cause, p->hits, p->passive))
			return -ENOMEM;
	}
	if (tally__merge(&to->symbols, &from->symbols))
		return -ENOMEM;
	return tally__merge(&to->sample_causes, &from->sample_causes);
}

void round_window__free_inside(struct round_window *r)
{
	vec__free(&r->polls);
	tally__free(&r->symbols);
	tally__free(&r->sample_causes);
}

void rounds__free(struct analysis *a)
{
	for (size_t i = 0; i < vec__cnt(&a->rounds); i++)
		round_window__free_inside(VEC_AT(&a->rounds, struct round_window, i));
	vec__free(&a->rounds);
}
