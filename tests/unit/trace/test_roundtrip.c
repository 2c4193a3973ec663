// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* What the writer wrote, the reader gives back; in the right order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../../user/trace/reader.h"
#include "../../../user/trace/writer.h"
#include "../trace_builder.h"

static struct trace_reader *open_trace(const struct trace_builder *b)
{
	struct trace_reader *r;

	assert_int_equal(trace_reader__open(&r, tb__path(b)), 0);
	return r;
}

/* The next record, which must be of this kind. */
static const void *next(struct trace_reader *r, enum ev_kind kind)
{
	struct trace_event ev;

	assert_int_equal(trace_reader__next(r, &ev), 1);
	assert_int_equal(ev.hdr->kind, kind);
	return ev.hdr;
}

static void assert_end(struct trace_reader *r)
{
	struct trace_event ev;

	assert_int_equal(trace_reader__next(r, &ev), 0);
	assert_int_equal(trace_reader__next(r, &ev), 0);
	assert_int_equal(trace_reader__bad_records(r), 0);
}

static void write_every_kind(struct trace_builder *b)
{
	tb_thread(b, 100, 100, "fc_api", FP_TASK_TARGET);
	tb_fork(b, 100, 101, 100, "child");
	tb_exit(b, 101, 100, "child");
	tb_exec(b, 100, 100, "renamed");
	tb_resume(b, 100, "io_schedule;wbt_wait", 2000); /* with an EV_STACK before it */
	tb_wake_io(b, 100, 7);
	tb_sleep_ustack(b, 100, 0, 100, "write;main");		      /* another */
	tb_sample(b, 100, 100, "io_schedule;wbt_wait", "write;main"); /* none: both are known */
	tb_syscall(b, 100, FP_SYS_FSYNC, 0, 5, -5);
	tb_syscall_args(b, 100, FP_SYS_FALLOCATE, 0, 5, 0, 1, 2, 3);
	tb_open(b, 100, 0, "/mnt/a file", 01101, FP_DEV(7, 1), 12, 5);
	tb_futex(b, 100, 0, 0x7f001234, 128, -11);
	tb_rename(b, 100, "/mnt/a", "/mnt/b", 0);
	tb_api(b, 100, 4, "PATCH /vm");
	tb_span(b, 100, FP_SPAN_EXT4_ALLOC, 0, FP_DEV(7, 1), 12, 9);
	tb_point(b, 100, FP_POINT_JBD2_END, FP_DEV(7, 1), 44, 1, 2);
	tb_bio(b, 100, FP_BIO_QUEUE, 3, FP_DEV(7, 1), 2048, 4096, 1);
	tb_rq(b, 100, FP_RQ_ISSUE, 3, FP_DEV(7, 1), 2048, 4096, 1);
	tb_dirty(b, 100, FP_DEV(7, 1), 100, 90, 50, 49, 12);
	tb_lost(b, 0, 17);
}

static void check_task_kinds(struct trace_reader *r)
{
	const struct ev_task_state *state = next(r, EV_TASK);

	assert_int_equal(state->h.tid, 100);
	assert_int_equal(state->flags, FP_TASK_TARGET);
	assert_string_equal(state->comm, "fc_api");
	assert_int_equal(((const struct ev_task *)next(r, EV_FORK))->tid, 101);
	assert_int_equal(((const struct ev_task *)next(r, EV_EXIT))->tid, 101);
	assert_string_equal(((const struct ev_task *)next(r, EV_EXEC))->comm, "renamed");
}

static void check_stack_kinds(struct trace_reader *r)
{
	const struct ev_stack *stack = next(r, EV_STACK);
	uint64_t kstack = stack->id, ustack;
	const struct ev_switch *sw;
	const struct ev_sleep_ustack *sleep;
	const struct ev_sample *sample;

	assert_int_equal(stack->frames_cnt, 2);
	assert_int_equal(stack->tgid, 0);
	sw = next(r, EV_SWITCH);
	assert_int_equal(sw->kstack_id, kstack);
	assert_int_equal(sw->flags, EV_SWITCH_RUN_DELAY | EV_SWITCH_STACK_NEXT);
	assert_int_equal(sw->run_delay_ns, 2000);
	assert_int_equal(((const struct ev_wake *)next(r, EV_WAKE))->cause, 7);
	stack = next(r, EV_STACK);
	assert_int_equal(stack->tgid, 100);
	ustack = stack->id;
	sleep = next(r, EV_SLEEP_USTACK);
	assert_int_equal(sleep->ustack_id, ustack);
	sample = next(r, EV_SAMPLE);
	assert_int_equal(sample->kstack_id, kstack);
	assert_int_equal(sample->ustack_id, ustack);
}

static void check_syscall_kinds(struct trace_reader *r)
{
	const struct ev_open *o;
	const struct ev_path *p;
	const struct ev_api *api;

	assert_int_equal(((const struct ev_syscall *)next(r, EV_SYSCALL))->ret, -5);
	assert_int_equal(((const struct ev_syscall_args *)next(r, EV_SYSCALL_ARGS))->args[2], 3);
	o = next(r, EV_OPEN);
	assert_string_equal(o->path, "/mnt/a file");
	assert_int_equal(o->ino, 12);
	assert_int_equal(((const struct ev_futex *)next(r, EV_FUTEX))->uaddr, 0x7f001234);
	p = next(r, EV_PATH);
	assert_string_equal(p->paths, "/mnt/a");
	assert_string_equal(p->paths + p->old_len, "/mnt/b");
	api = next(r, EV_API);
	assert_int_equal(api->len, 9);
	assert_memory_equal(api->data, "PATCH /vm", 9);
}

static void check_subsystem_kinds(struct trace_reader *r)
{
	const struct ev_rq *rq;

	assert_int_equal(((const struct ev_span *)next(r, EV_SPAN))->value_lo, 9);
	assert_int_equal(((const struct ev_point *)next(r, EV_POINT))->id, 44);
	assert_int_equal(((const struct ev_bio *)next(r, EV_BIO))->sector, 2048);
	rq = next(r, EV_RQ);
	assert_int_equal(FP_ACT(rq->rq_act), FP_RQ_ISSUE);
	assert_int_equal(FP_ID(rq->rq_act), 3);
	assert_int_equal(((const struct ev_dirty *)next(r, EV_DIRTY))->pause_ms, 12);
	assert_int_equal(((const struct ev_lost *)next(r, EV_LOST))->records, 17);
}

static void roundtrip_of_kinds(struct trace_builder *b)
{
	struct trace_reader *r;

	assert_non_null(b);
	write_every_kind(b);
	assert_int_equal(tb__finish(b), 0);
	r = open_trace(b);
	assert_true(trace_reader__info(r)->complete);
	assert_int_equal(trace_reader__info(r)->events_cnt, 22);
	assert_int_equal(trace_reader__info(r)->end.events_cnt, 22);
	for (int pass = 0; pass < 2; pass++) {
		check_task_kinds(r);
		check_stack_kinds(r);
		check_syscall_kinds(r);
		check_subsystem_kinds(r);
		assert_end(r);
		assert_int_equal(trace_reader__rewind(r, 0), 0);
	}
	trace_reader__close(r);
	tb__free(b);
}

static void every_kind_comes_back(void **state)
{
	roundtrip_of_kinds(tb__open(NULL, 1));
}

static void every_kind_comes_back_deflated(void **state)
{
	roundtrip_of_kinds(tb__open_compressed(NULL, 1));
}

static void every_chunk_comes_back(void **state)
{
	struct trace_builder *b = tb__open_compressed(NULL, 2);
	const struct rec_maps *maps;
	const struct rec_fds *fds;
	const struct rec_run *run;
	const struct rec_mark *mark;
	const struct rec_loss *loss;
	struct trace_reader *r;
	size_t size;

	assert_non_null(b);
	tb_meta(b, "{\"window\":\"auto\"}");
	tb_cost(b, "{\"cpu_ns\":1}");
	tb_map(b, 100, 0x1000, 0x2000, 5, 0, "/bin/x");
	tb_map(b, 200, 0x3000, 0x4000, 3, 0, "[heap]");
	tb_fd(b, 100, 3, FP_DEV(8, 1), 77, 2, "/mnt/file");
	tb_kstack(b, "one;two");
	tb_ustack(b, 100, "main");
	tb_run(b, 1, 1, 5, 10, REC_NS_NONE);
	tb_run(b, 1, 2, 15, 20, 4);
	tb_mark(b, REC_MARK_BEGIN, "pause");
	tb_loss(b, 1, 3, 7, 9);
	assert_int_equal(tb__finish(b), 0);

	r = open_trace(b);
	assert_string_equal(trace_reader__chunk(r, REC_META, 0, &size), "{\"window\":\"auto\"}");
	assert_int_equal(size, 17);
	assert_null(trace_reader__chunk(r, REC_META, 1, &size));
	assert_string_equal(trace_reader__chunk(r, REC_COST, 0, &size), "{\"cpu_ns\":1}");
	maps = trace_reader__chunk(r, REC_MAPS, 1, &size);
	assert_int_equal(maps->tgid, 200);
	fds = trace_reader__chunk(r, REC_FDS, 0, &size);
	assert_int_equal(fds->fds_cnt, 1);
	run = trace_reader__chunk(r, REC_RUNS, 0, &size);
	assert_int_equal(size, 2 * sizeof(*run));
	assert_int_equal(run[1].reported_ns, 4);
	assert_int_equal(run[0].begin_ns, TB_START_NS + 5);
	mark = trace_reader__chunk(r, REC_MARKS, 0, &size);
	assert_string_equal(mark->label, "pause");
	loss = trace_reader__chunk(r, REC_LOSS, 0, &size);
	assert_int_equal(loss->cpu, 1);
	assert_non_null(trace_reader__chunk(r, REC_KSYMS, 0, &size));
	assert_non_null(trace_reader__chunk(r, REC_SYMS, 0, &size));
	assert_null(trace_reader__chunk(r, REC_EVENTS, 0, &size));
	assert_null(trace_reader__chunk(r, REC_END, 0, &size));
	assert_int_equal(trace_reader__info(r)->file->start_ns, TB_START_NS);
	assert_int_equal(trace_reader__info(r)->file->cpus_cnt, 2);
	trace_reader__close(r);
	tb__free(b);
}

/* Time settles the order; then the CPU; then the place in the file. */
static void records_merge_by_time_cpu_position(void **state)
{
	static const struct {
		uint32_t cpu;
		uint64_t ns;
	} given[] = { { 0, 10 }, { 0, 20 }, { 0, 20 }, { 2, 5 }, { 2, 20 }, { 1, 20 }, { 1, 30 } },
	  expected[] = {
		  { 2, 5 }, { 0, 10 }, { 0, 20 }, { 0, 20 }, { 1, 20 }, { 2, 20 }, { 1, 30 }
	  };
	struct trace_builder *b = tb__open(NULL, 3);
	struct trace_reader *r;
	struct trace_event ev;
	uint32_t last_id = 0;

	for (uint32_t i = 0; i < 7; i++) {
		tb_cpu(b, given[i].cpu);
		tb_at(b, given[i].ns);
		tb_rq(b, 0, FP_RQ_ISSUE, i, 0, 0, 0, 0);
	}
	assert_int_equal(tb__finish(b), 0);
	r = open_trace(b);
	for (int i = 0; i < 7; i++) {
		assert_int_equal(trace_reader__next(r, &ev), 1);
		assert_int_equal(ev.cpu, expected[i].cpu);
		assert_int_equal(ev.hdr->ts_ns, TB_START_NS + expected[i].ns);
		if (i == 3) /* the second of the two at (20, CPU 0) */
			assert_true(FP_ID(((const struct ev_rq *)(const void *)ev.hdr)->rq_act) >
				    last_id);
		last_id = FP_ID(((const struct ev_rq *)(const void *)ev.hdr)->rq_act);
	}
	assert_end(r);
	assert_int_equal(trace_reader__inversions(r), 0);
	trace_reader__close(r);
	tb__free(b);
}

static void records_that_run_backwards_keep_their_order(void **state)
{
	static const uint64_t times[] = { 10, 30, 20, 40 };
	struct trace_builder *b = tb__open(NULL, 2);
	struct trace_reader *r;
	struct trace_event ev;

	for (int i = 0; i < 4; i++) {
		tb_at(b, times[i]);
		tb_wake(b, 1, 2);
	}
	tb_cpu(b, 1);
	tb_at(b, 35);
	tb_wake(b, 3, 4);
	assert_int_equal(tb__finish(b), 0);
	r = open_trace(b);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(trace_reader__next(r, &ev), 1);
		assert_int_equal(ev.hdr->ts_ns, TB_START_NS + times[i]);
	}
	assert_int_equal(trace_reader__next(r, &ev), 1);
	assert_int_equal(ev.cpu, 1);
	assert_int_equal(trace_reader__inversions(r), 1);
	trace_reader__close(r);
	tb__free(b);
}

/* Many chunks per CPU: every record once, none before from_ns. */
static void rewind_starts_at_a_time(void **state)
{
	struct trace_builder *b = tb__open_compressed(NULL, 3);
	struct trace_reader *r;
	struct trace_event ev;
	uint64_t cnt = 0, last = 0;

	for (uint32_t i = 0; i < 20000; i++) {
		tb_at(b, i * 10);
		tb_cpu(b, i % 3);
		tb_wake(b, i, 2);
	}
	assert_int_equal(tb__finish(b), 0);
	r = open_trace(b);
	while (trace_reader__next(r, &ev) > 0)
		cnt++;
	assert_int_equal(cnt, 20000);
	assert_int_equal(trace_reader__rewind(r, TB_START_NS + 150005), 0);
	for (cnt = 0; trace_reader__next(r, &ev) > 0; cnt++) {
		assert_true(ev.hdr->ts_ns >= TB_START_NS + 150005 && ev.hdr->ts_ns >= last);
		assert_int_equal(ev.hdr->tid, 15001 + cnt);
		last = ev.hdr->ts_ns;
	}
	assert_int_equal(cnt, 4999);
	assert_int_equal(trace_reader__rewind(r, UINT64_MAX), 0);
	assert_end(r);
	trace_reader__close(r);
	tb__free(b);
}

static void a_trace_without_events_opens(void **state)
{
	struct trace_builder *b = tb__open(NULL, 1);
	struct trace_reader *r;

	assert_int_equal(tb__finish_reason(b, REC_REASON_SIGNAL), 0);
	r = open_trace(b);
	assert_true(trace_reader__info(r)->complete);
	assert_int_equal(trace_reader__info(r)->end.reason, REC_REASON_SIGNAL);
	assert_end(r);
	trace_reader__close(r);
	tb__free(b);
}

static void a_killed_recording_is_incomplete(void **state)
{
	struct trace_builder *b = tb__open(NULL, 1);
	struct trace_reader *r;

	tb_at(b, 123);
	tb_wake(b, 1, 2);
	assert_int_equal(tb__cut(b), 0);
	r = open_trace(b);
	assert_false(trace_reader__info(r)->complete);
	assert_int_equal(trace_reader__info(r)->end.end_ns, TB_START_NS + 123);
	next(r, EV_WAKE);
	assert_end(r);
	trace_reader__close(r);
	tb__free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_comes_back),
		cmocka_unit_test(every_kind_comes_back_deflated),
		cmocka_unit_test(every_chunk_comes_back),
		cmocka_unit_test(records_merge_by_time_cpu_position),
		cmocka_unit_test(records_that_run_backwards_keep_their_order),
		cmocka_unit_test(rewind_starts_at_a_time),
		cmocka_unit_test(a_trace_without_events_opens),
		cmocka_unit_test(a_killed_recording_is_incomplete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
