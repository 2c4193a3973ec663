// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What the upper rungs of a trace saw, beside what the kernel stacks of the same trace say: two
 * ways to see one wait, neither of which knows of the other. As JSON, for test_vm.sh.
 *
 *	rungs TRACE
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/analyze/timeline.h"
#include "user/log.h"
#include "user/symbols/symbols.h"

struct rung_sums {
	const char *name;
	uint16_t op;
	const char *function;	    /* in the stack of who sleeps in it */
	uint64_t spans, open;	    /* open: cut by the end of the recording */
	uint64_t backwards;	    /* that end before they begin */
	uint64_t sum_ns, slept_ns;  /* of spans; of blocked time within them */
	uint64_t idle_spans;	    /* of followed threads, without any sleep in them */
	uint64_t sleeps, sleeps_ns; /* by their stacks */
	uint64_t sleeps_outside;    /* of these: in no span of the thread */
};

static struct rung_sums rungs[] = {
	{ .name = "wbt_wait", .op = FP_SPAN_WBT_WAIT, .function = "wbt_wait" },
	{ .name = "jbd2_wait", .op = FP_SPAN_JBD2_WAIT, .function = "jbd2_log_wait_commit" },
	{ .name = "mb_new_blocks", .op = FP_SPAN_MB_NEW_BLOCKS, .function = "ext4_mb_new_blocks" },
};

#define RUNGS (sizeof(rungs) / sizeof(rungs[0]))

struct trace {
	struct trace_reader *r;
	struct symbols *symbols;
	struct stacks *stacks;
	struct scan scan;
	struct timeline tl;
};

static void count_span(const struct ev_span *s)
{
	for (size_t i = 0; i < RUNGS; i++) {
		struct rung_sums *rung = &rungs[i];

		if ((s->op & ~FP_SPAN_OPEN) != rung->op)
			continue;
		if (s->op & FP_SPAN_OPEN)
			rung->open++;
		else
			rung->spans++;
		if (s->h.ts_ns < s->begin_ns)
			rung->backwards++;
		else
			rung->sum_ns += s->h.ts_ns - s->begin_ns;
	}
}

static int read_trace(struct trace *t, const char *path)
{
	struct trace_event ev;
	int err = trace_reader__open(&t->r, path);

	if (!err)
		err = symbols__load(&t->symbols, t->r);
	if (!err)
		err = stacks__new(&t->stacks, t->symbols);
	if (!err)
		err = scan__trace(&t->scan, t->r, t->stacks, "");
	if (!err)
		err = trace_reader__rewind(t->r, 0);
	if (err)
		return err;
	timeline__init(&t->tl, &t->scan, t->stacks, t->scan.start_ns);
	while ((err = trace_reader__next(t->r, &ev)) == 1) {
		if (ev.hdr->kind == EV_SPAN)
			count_span((const void *)ev.hdr);
		timeline__event(&t->tl, &ev);
	}
	return err;
}

static bool stack_has(struct stacks *s, uint32_t kstack, const char *function)
{
	uint32_t cnt;
	const char *const *names = stacks__kernel_names(s, kstack, &cnt);

	for (uint32_t i = 0; names && i < cnt; i++)
		if (!strcmp(names[i], function))
			return true;
	return false;
}

/* A sleep seen from begin to end. */
static bool is_whole_sleep(const struct seg *g)
{
	return g->kind == SEG_BLOCKED && !(g->flags & (SEG_PRETRACE | SEG_OPEN));
}

static void compare_sleep(struct trace *t, const struct thread *th, const struct seg *g,
			  struct rung_sums *rung)
{
	const struct span *around = thread__span_at(th, rung->op, g->begin);
	bool inside = around && g->end <= around->end;

	if (inside)
		rung->slept_ns += g->end - g->begin;
	if (!stack_has(t->stacks, g->kstack, rung->function))
		return;
	rung->sleeps++;
	rung->sleeps_ns += g->end - g->begin;
	if (!inside) {
		rung->sleeps_outside++;
		fprintf(stderr,
			"%s/%u slept in %s from %" PRIu64 " for %" PRIu64
			" ns, outside of its spans\n",
			th->comm, th->tid, rung->function, g->begin, g->end - g->begin);
	}
}

static bool has_sleep(const struct thread *th, const struct span *s)
{
	for (size_t i = seg_after(&th->segs, s->begin); i < vec__cnt(&th->segs); i++) {
		const struct seg *g = VEC_AT(&th->segs, struct seg, i);

		if (g->begin >= s->end)
			return false;
		/* What is not known may have been one. */
		if (g->kind == SEG_BLOCKED || g->kind == SEG_UNKNOWN)
			return true;
	}
	return !vec__cnt(&th->segs); /* not followed */
}

static void compare_thread(struct trace *t, const struct thread *th, struct rung_sums *rung)
{
	for (size_t i = 0; i < vec__cnt(&th->segs); i++) {
		const struct seg *g = VEC_AT(&th->segs, struct seg, i);

		if (is_whole_sleep(g))
			compare_sleep(t, th, g, rung);
	}
	for (size_t i = 0; i < vec__cnt(&th->spans[rung->op]); i++)
		rung->idle_spans += !has_sleep(th, VEC_AT(&th->spans[rung->op], struct span, i));
}

static void print_rung(const struct rung_sums *r, bool last)
{
	printf("\"%s\":{\"spans\":%" PRIu64 ",\"open\":%" PRIu64 ",\"backwards\":%" PRIu64
	       ",\"ms\":%.6f,\"slept_ms\":%.6f,\"idle_spans\":%" PRIu64 ",\"sleeps\":%" PRIu64
	       ",\"sleeps_ms\":%.6f,\"sleeps_outside\":%" PRIu64 "}%s",
	       r->name, r->spans, r->open, r->backwards, r->sum_ns / 1e6, r->slept_ns / 1e6,
	       r->idle_spans, r->sleeps, r->sleeps_ns / 1e6, r->sleeps_outside, last ? "" : ",");
}

static void trace__free(struct trace *t)
{
	timeline__free(&t->tl);
	scan__free(&t->scan);
	stacks__free(t->stacks);
	symbols__free(t->symbols);
	trace_reader__close(t->r);
}

int main(int argc, char **argv)
{
	struct trace t = { 0 };
	const struct thread *th;

	if (argc != 2) {
		fprintf(stderr, "usage: rungs TRACE\n");
		return 2;
	}
	if (read_trace(&t, argv[1]))
		return 1;
	for (th = t.tl.threads; th; th = th->next)
		for (size_t i = 0; i < RUNGS; i++)
			compare_thread(&t, th, &rungs[i]);
	printf("{");
	for (size_t i = 0; i < RUNGS; i++)
		print_rung(&rungs[i], i + 1 == RUNGS);
	printf("}\n");
	trace__free(&t);
	return 0;
}
