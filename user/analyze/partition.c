// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The wall time of every target thread in a window: running, runnable, blocked by cause, and what
 * is left as unknown. The parts sum to the wall time because they are pieces of it.
 */
#include "analysis.h"

#include <errno.h>
#include <utlist.h>

static bool is_unknown(const char *cause)
{
	return !strncmp(cause, "unknown.", 8);
}

static const char *role_of(const struct analysis *a, const struct thread *t, const struct window *w)
{
	const char *c = t->comm;

	if (!strncmp(c, "fc_vcpu", 7) || !strncmp(c, "vcpu", 4) || !strncmp(c, "CPU ", 4))
		return "vcpu";
	if (!strcmp(c, "fc_api") || !strcmp(c, "http-server") || !strncmp(c, "IO mon_", 7))
		return "api";
	if (scan__is_command(&a->scan, t->tid))
		return t->tid == t->tgid ? "controller" : "helper";
	if (t->tid == t->tgid || t->tid == w->closer_tid)
		return "worker";
	return "helper";
}

/* A sleep that is not over, whose stack will come with its end. */
static bool nameless(const struct piece *p, const char *cause)
{
	return (p->seg->flags & SEG_OPEN) && is_unknown(cause);
}

static int defer(struct thread *t, uint32_t w, uint32_t index, const struct piece *p,
		 const char *cause)
{
	struct fixup *fix = VEC_PUSH(&t->fixups, struct fixup);

	if (!fix)
		return -ENOMEM;
	*fix = (struct fixup){
		.window = w, .thread = index, .begin = p->begin, .end = p->end, .cause = cause
	};
	return 0;
}

static int add_blocked(struct analysis *a, struct thread *t, const struct piece *p, uint32_t w,
		       uint32_t index, struct tally *blocked)
{
	const char *cause = name_blocked(a, t, p);

	if (nameless(p, cause)) {
		int err = defer(t, w, index, p, cause);

		if (err)
			return err;
	}
	return tally__add(blocked, cause, p->end - p->begin, 0) ?: thread_states__add(a, p, cause);
}

static int add_unknown(struct analysis *a, const struct piece *p, const char *cause,
		       struct tally *blocked)
{
	return tally__add(blocked, cause, p->end - p->begin, 0) ?: thread_states__add(a, p, cause);
}

static int add_piece(struct analysis *a, struct thread *t, const struct piece *p, uint32_t w,
		     uint32_t index, struct tally *blocked)
{
	struct finding_thread *ft = &a->f->windows[w].threads[index];
	uint64_t ns = p->end - p->begin;

	switch (p->kind) {
	case SEG_RUN:
		if (p->in_kernel)
			ft->running_kernel_ns += ns;
		else
			ft->running_user_ns += ns;
		return thread_states__add(a, p, NULL);
	case SEG_RUNNABLE:
		ft->runnable_ns += ns;
		return thread_states__add(a, p, NULL);
	case SEG_BLOCKED:
		return add_blocked(a, t, p, w, index, blocked);
	case SEG_UNKNOWN:
		return add_unknown(a, p, name_unknown(p), blocked);
	case SEG_NONE: /* it lives, but no record says what it did */
		return add_unknown(a, p, "unknown.missed_switch", blocked);
	}
	return 0;
}

static uint64_t sum_unknown(const struct finding_thread *ft)
{
	uint64_t ns = 0;

	for (size_t i = 0; i < ft->blocked_cnt; i++)
		if (is_unknown(ft->blocked[i].cause))
			ns += ft->blocked[i].ns;
	return ns;
}

static int partition_thread(struct analysis *a, struct thread *t, uint32_t w)
{
	const struct window *win = WINDOW(a, w);
	struct finding_window *fw = &a->f->windows[w];
	uint64_t lo = t->born_ns > win->begin_ns ? t->born_ns : win->begin_ns;
	uint64_t hi = t->dead_ns < win->end_ns ? t->dead_ns : win->end_ns;
	uint32_t index = fw->threads_cnt;
	struct tally blocked = { 0 };
	struct finding_thread *ft;
	struct pieces it;
	struct piece p;
	int err = 0;

	if (t->exit_ns && t->kind == SEG_RUN && t->exit_ns < hi)
		hi = t->exit_ns > t->since_ns ? t->exit_ns : t->since_ns;
	if (hi <= lo)
		return 0;
	ft = FINDING_APPEND(&fw->threads, &fw->threads_cnt);
	if (!ft || finding_set(&ft->comm, t->comm) || finding_set(&ft->role, role_of(a, t, win)))
		return -ENOMEM;
	ft->tid = t->tid;
	ft->tgid = t->tgid;
	ft->wall_ns = hi - lo;
	t->row = index;
	t->row_window = w + 1;
	pieces__begin(&it, &a->tl, t, lo, hi);
	while (!err && pieces__next(&it, &p))
		err = add_piece(a, t, &p, w, index, &blocked);
	if (!err)
		err = tally__write(&blocked, &ft->blocked, &ft->blocked_cnt);
	ft->unknown_ns = sum_unknown(ft);
	tally__free(&blocked);
	return err;
}

int partition__window(struct analysis *a, uint32_t w)
{
	struct finding_window *fw = &a->f->windows[w];
	struct thread *t;

	DL_FOREACH (a->tl.threads, t) {
		int err = t->target ? partition_thread(a, t, w) : 0;

		if (err)
			return err;
	}
	for (size_t i = 0; i < fw->threads_cnt; i++)
		EVIDENCE(a, w)->running_ns += fw->threads[i].running_user_ns +
					      fw->threads[i].running_kernel_ns;
	return thread_states__window(a, w);
}

static int move_share(struct finding_thread *ft, const char *from, const char *to, uint64_t ns)
{
	for (size_t i = 0; i < ft->blocked_cnt; i++) {
		struct finding_share *s = &ft->blocked[i];

		if (strcmp(s->cause, from) || s->ns < ns)
			continue;
		if (s->ns == ns && !shares__find(ft->blocked, ft->blocked_cnt, to))
			return finding_set(&s->cause, to);
		s->ns -= ns;
		return shares__add(&ft->blocked, &ft->blocked_cnt, to, ns);
	}
	return 0;
}

/* The sleep is over, and its stack known: what was reported as unknown gets its name. */
void partition__fixup(void *ctx, struct thread *t, const struct seg *seg)
{
	struct analysis *a = ctx;
	struct piece p = { .kind = SEG_BLOCKED, .seg = seg };

	if (seg->kind != SEG_BLOCKED)
		return;
	for (size_t i = 0; i < vec__cnt(&t->fixups); i++) {
		const struct fixup *fix = VEC_AT(&t->fixups, struct fixup, i);
		struct finding_thread *ft = &a->f->windows[fix->window].threads[fix->thread];
		const char *cause = name_blocked(a, t, &p);

		if (fix->begin < seg->begin || fix->end > seg->end || !strcmp(cause, fix->cause))
			continue;
		if (move_share(ft, fix->cause, cause, fix->end - fix->begin) ||
		    thread_states__fixup(a, fix->window, &p, fix->end - fix->begin, cause))
			a->tl.no_memory = true;
		ft->unknown_ns = sum_unknown(ft);
	}
	vec__free(&t->fixups);
}
