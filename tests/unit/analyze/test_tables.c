// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The tables beside the ledger: where threads sat, sizes of calls, latencies of devices. */
#include "four_futexes.h"
#include "one_window.h"

#define DEV	 FP_DEV(8, 1)
#define SYNC	 (1u << 11)
#define META	 (1u << 12)
#define FUA	 (1u << 17)
#define PREFLUSH (1u << 18)

static uint64_t state_ns(const struct finding_window *w, const char *frame)
{
	for (size_t i = 0; i < w->states_cnt; i++)
		if (!strcmp(w->states[i].frame, frame))
			return w->states[i].ns;
	return 0;
}

static uint64_t sum_of_states(const struct finding_window *w)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < w->states_cnt; i++)
		sum += w->states[i].ns;
	return sum;
}

static void threads_sit_where_their_time_is(void **state)
{
	struct trace_builder *b = four_futexes();
	struct findings *f = diagnose(b, "mark");
	const struct finding_window *w = &f->windows[0];

	/* from 10 us behind the call's begin to 10 us before its end, less 10 us in the runqueue */
	uint64_t parked_us = 152560 + 152490 + 152350 - 3 * 30 + 390;

	assert_int_equal(state_ns(w, "futex_do_wait"), parked_us * TB_US);
	assert_string_equal(w->states[0].frame, "futex_do_wait");
	assert_string_equal(w->states[0].cause, "futex.wait");
	assert_int_equal(state_ns(w, "rq_qos_wait"), 150400 * TB_US);
	assert_int_equal(sum_of_states(w), 4 * 153 * TB_MS);
	findings__free(f);
	tb__free(b);
}

/* The scheduler's own functions do not say what is waited for. */
static void the_scheduler_is_no_place(void **state)
{
	struct trace_builder *b = begin();
	struct findings *f;

	tb_cpu(b, 0);
	tb_preempt(b, 0, 10);
	tb_at(b, 110 * MS);
	tb_block(b, 10, TB_INTERRUPTIBLE);
	tb_at(b, 140 * MS);
	tb_wake_ctx(b, 0, 10, EV_CTX_HARDIRQ, 0, 0);
	tb_resume(b, 10, "schedule;schedule_hrtimeout_range_clock;do_epoll_wait;x", 0);
	f = end(b);
	assert_int_equal(state_ns(&f->windows[0], "do_epoll_wait"), 30 * MS);
	assert_int_equal(sum_of_states(&f->windows[0]), 100 * MS);
	findings__free(f);
	tb__free(b);
}

/* Its stack comes when it ends, long after the window was done. */
static void a_sleep_gets_its_place_later(void **state)
{
	struct trace_builder *b = begin();
	struct findings *f;

	tb_thread(b, 11, 10, "parked", FP_TASK_TARGET);
	tb_cpu(b, 1);
	tb_at(b, 120 * MS);
	tb_run_thread(b, 11);
	tb_at(b, 150 * MS);
	tb_block(b, 11, TB_INTERRUPTIBLE);
	tb_cpu(b, 0);
	tb_at(b, 200 * MS);
	tb_mark(b, REC_MARK_END, "");
	for (int i = 0; i < 2000; i++) { /* the window is closed while it still sleeps */
		tb_at(b, 300 * MS + i * 10 * MS);
		tb_point(b, 10, FP_POINT_WBT_TIMER, DEV, 1, 0, 0);
	}
	tb_preempt(b, 10, 0);
	tb_cpu(b, 1);
	tb_at(b, 30000 * MS);
	tb_wake(b, 10, 11);
	tb_resume(b, 11, FUTEX_SLEEP, 0);
	f = diagnose(b, "mark");
	assert_int_equal(state_ns(&f->windows[0], "futex_do_wait"), 50 * MS);
	assert_int_equal(state_ns(&f->windows[0], "[asleep, no stack]"), 0);
	assert_int_equal(sum_of_states(&f->windows[0]),
			 f->windows[0].threads[0].wall_ns + f->windows[0].threads[1].wall_ns);
	findings__free(f);
	tb__free(b);
}

/* ---- sizes ---- */

static const struct finding_sizes *sizes_of(const struct finding_sizes *v, size_t cnt,
					    const char *op)
{
	for (size_t i = 0; i < cnt; i++)
		if (!strcmp(v[i].op, op))
			return &v[i];
	return NULL;
}

#define SIZES(x, op) sizes_of((x)->sizes, (x)->sizes_cnt, op)

static void call(struct trace_builder *b, enum fp_sys cls, uint64_t at, int fd, int64_t ret)
{
	tb_at(b, at);
	tb_syscall(b, 10, cls, at - 100 * TB_US, fd, ret);
}

static struct findings *calls_of_many_sizes(struct trace_builder **builder)
{
	static const int64_t written[] = { 100, 512, 513, 4096, 1 << 20, (1 << 20) + 1, 0, -28 };
	struct trace_builder *b = begin();

	*builder = b;
	tb_fd(b, 10, 7, DEV, 70, O_RDONLY, "/srv/base");
	tb_fd(b, 10, 9, 0, 90, O_RDWR, "anon_inode:[eventfd]");
	tb_preempt(b, 0, 10);
	tb_at(b, 101 * MS);
	tb_open(b, 10, 100500 * TB_US, "/srv/memory.bin", O_WRONLY | O_CREAT, DEV, 60, 6);
	for (size_t i = 0; i < sizeof(written) / sizeof(written[0]); i++)
		call(b, FP_SYS_WRITE, (102 + i) * MS, 6, written[i]);
	call(b, FP_SYS_FSYNC, 120 * MS, 6, 0);
	call(b, FP_SYS_WRITE, 121 * MS, 6, 8192);
	call(b, FP_SYS_FDATASYNC, 122 * MS, 6, 0);
	call(b, FP_SYS_FSYNC, 123 * MS, 6, -5);
	call(b, FP_SYS_READ, 124 * MS, 7, 2048);
	call(b, FP_SYS_READ, 125 * MS, 9, 8);
	call(b, FP_SYS_WRITE, 126 * MS, 9, 8);
	tb_at(b, 200 * MS);
	tb_mark(b, REC_MARK_END, "");
	call(b, FP_SYS_WRITE, 210 * MS, 6, 600); /* between windows: only of the recording */
	tb_at(b, 300 * MS);
	tb_preempt(b, 10, 0);
	return diagnose(b, "mark");
}

static void calls_are_counted_by_size(void **state)
{
	struct trace_builder *b;
	struct findings *f = calls_of_many_sizes(&b);
	const struct finding_window *w = &f->windows[0];
	const struct finding_sizes *s = SIZES(w, "write");
	uint64_t sum = 100 + 512 + 513 + 4096 + (1 << 20) + (1 << 20) + 1;

	assert_int_equal(s->calls, 8); /* a failed one is none */
	assert_int_equal(s->bytes, sum + 8192);
	assert_int_equal(s->buckets[0], 3); /* 0, 100, 512 */
	assert_int_equal(s->buckets[1], 1); /* 513 */
	assert_int_equal(s->buckets[3], 1); /* 4096 */
	assert_int_equal(s->buckets[4], 1); /* 8192 */
	assert_int_equal(s->buckets[11], 1);
	assert_int_equal(s->buckets[12], 1);
	assert_int_equal(SIZES(w, "fsync")->calls, 1);
	assert_int_equal(SIZES(w, "fsync")->bytes, sum);
	assert_int_equal(SIZES(w, "fdatasync")->bytes, 8192);
	assert_int_equal(SIZES(w, "read")->bytes, 2048);
	assert_int_equal(SIZES(w, "read")->buckets[2], 1);
	assert_int_equal(SIZES(w, "read.other")->bytes, 8);
	assert_int_equal(SIZES(w, "write.other")->bytes, 8);
	assert_int_equal(SIZES(f, "write")->calls, 9);
	assert_int_equal(SIZES(f, "write")->buckets[1], 2);
	findings__free(f);
	tb__free(b);
}

static void files_have_their_own_sizes(void **state)
{
	struct trace_builder *b;
	struct findings *f = calls_of_many_sizes(&b);
	const struct finding_window *w = &f->windows[0];

	assert_int_equal(w->files_cnt, 3);
	assert_string_equal(w->files[0].path, "/srv/memory.bin");
	assert_int_equal(SIZES(&w->files[0], "write")->calls, 8);
	assert_int_equal(w->files[0].bytes_written, SIZES(&w->files[0], "write")->bytes);
	assert_int_equal(w->files[0].fsync_ns, 300 * TB_US);
	assert_null(SIZES(&w->files[0], "read"));
	assert_string_equal(w->files[2].path, "/srv/base");
	assert_int_equal(w->files[2].bytes_read, 2048);
	assert_int_equal(SIZES(&w->files[2], "read")->calls, 1);
	findings__free(f);
	tb__free(b);
}

/* ---- devices ---- */

static void request(struct trace_builder *b, uint32_t id, uint32_t opf, uint32_t bytes,
		    uint64_t issue, uint64_t took)
{
	tb_at(b, issue);
	tb_rq(b, 0, FP_RQ_ISSUE, id, DEV, id * 8, bytes, opf);
	tb_at(b, issue + took);
	tb_rq(b, 0, FP_RQ_COMPLETE, id, DEV, id * 8, bytes, opf);
}

static const struct finding_latency *latency_of(const struct finding_latency *v, size_t cnt,
						const char *class)
{
	for (size_t i = 0; i < cnt; i++)
		if (!strcmp(v[i].class, class))
			return &v[i];
	return NULL;
}

static void devices_have_percentiles_by_class(void **state)
{
	static const struct {
		const char *class;
		uint32_t opf;
		uint64_t us;
	} one[] = {
		{ "read", 0, 31 },
		{ "meta", 1 | META | SYNC, 32 },
		{ "flush", 2, 33 },
		{ "discard", 3, 34 },
	};
	struct trace_builder *b = begin();
	const struct finding_latency *l;
	struct findings *f;

	tb_cpu(b, 1);
	request(b, 1, 1, 4096, 90 * MS, 20 * TB_US); /* done before the window */
	for (uint32_t i = 1; i <= 100; i++)
		request(b, i, 1 | (i % 2 ? SYNC : 0), 4096, 100 * MS + i * 600 * TB_US,
			i * 5 * TB_US);
	for (size_t i = 0; i < 4; i++)
		request(b, 200, one[i].opf, 0, (170 + i) * MS, one[i].us * TB_US);
	request(b, 201, 1 | FUA, 512, 180 * MS, 40 * TB_US);
	tb_at(b, 190 * MS); /* its issue was not recorded */
	tb_rq(b, 0, FP_RQ_INSERT, 300, DEV, 2400, 1024, 1);
	tb_at(b, 191 * MS);
	tb_rq(b, 0, FP_RQ_COMPLETE, 300, DEV, 2400, 1024, 1);
	tb_cpu(b, 0);
	f = end(b);
	l = latency_of(f->windows[0].devices, f->windows[0].devices_cnt, "write");
	assert_int_equal(l->dev, DEV);
	assert_int_equal(l->requests, 101);
	assert_int_equal(l->bytes, 100 * 4096 + 1024);
	assert_int_equal(l->p50_ns, 250 * TB_US);
	assert_int_equal(l->p90_ns, 450 * TB_US);
	assert_int_equal(l->p99_ns, 495 * TB_US);
	assert_int_equal(l->max_ns, 500 * TB_US);
	assert_int_equal(l->buckets[1], 1);
	assert_int_equal(l->buckets[3], 100);
	for (size_t i = 0; i < 4; i++) {
		bool flush = !strcmp(one[i].class, "flush");

		l = latency_of(f->windows[0].devices, f->windows[0].devices_cnt, one[i].class);
		assert_int_equal(l->requests, flush ? 2 : 1);
		assert_int_equal(l->p50_ns, one[i].us * TB_US);
		assert_int_equal(l->max_ns, (flush ? 40 : one[i].us) * TB_US);
	}
	/* over the windows: never below, at most 1/32 above */
	l = latency_of(f->devices, f->devices_cnt, "write");
	assert_int_equal(l->regime, REGIME_ALL);
	assert_int_equal(l->requests, 101);
	assert_in_range(l->p50_ns, 250 * TB_US, 250 * TB_US * 33 / 32);
	assert_in_range(l->p99_ns, 495 * TB_US, 495 * TB_US * 33 / 32);
	assert_int_equal(l->max_ns, 500 * TB_US);
	findings__free(f);
	tb__free(b);
}

/* What was interrupted while it was recorded can be complete before it was issued. */
static void no_request_takes_less_than_nothing(void **state)
{
	struct trace_builder *b = begin();
	const struct finding_latency *l;
	struct findings *f;

	tb_preempt(b, 0, 10);
	tb_at(b, 120 * MS);
	tb_rq(b, 10, FP_RQ_ISSUE, 9, DEV, 64, 4096, 1 | SYNC);
	tb_at(b, 120 * MS - TB_US);
	tb_rq(b, 10, FP_RQ_COMPLETE, 9, DEV, 64, 4096, 1 | SYNC);
	f = end(b);
	l = latency_of(f->devices, f->devices_cnt, "write");
	assert_non_null(l);
	assert_int_equal(l->requests, 1);
	assert_int_equal(l->max_ns, 0);
	findings__free(f);
	tb__free(b);
}

/* A file made to hurt: each request has a device of its own, and each of these a histogram. */
static void too_many_devices_are_counted(void **state)
{
	struct trace_builder *b = begin();
	struct findings *f;

	tb_preempt(b, 0, 10);
	for (uint32_t i = 1; i <= 1030; i++) {
		tb_at(b, 110 * MS + 2 * i * TB_US);
		tb_rq(b, 10, FP_RQ_ISSUE, i, FP_DEV(8, i), 64, 4096, 1 | SYNC);
		tb_at(b, 110 * MS + (2 * i + 1) * TB_US);
		tb_rq(b, 10, FP_RQ_COMPLETE, i, FP_DEV(8, i), 64, 4096, 1 | SYNC);
	}
	f = end(b);
	assert_int_equal(f->windows[0].devices_cnt, 1024);
	assert_true(warns_of(f, "6 requests of further devices are not in the tables"));
	findings__free(f);
	tb__free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_sit_where_their_time_is),
		cmocka_unit_test(the_scheduler_is_no_place),
		cmocka_unit_test(a_sleep_gets_its_place_later),
		cmocka_unit_test(calls_are_counted_by_size),
		cmocka_unit_test(files_have_their_own_sizes),
		cmocka_unit_test(devices_have_percentiles_by_class),
		cmocka_unit_test(no_request_takes_less_than_nothing),
		cmocka_unit_test(too_many_devices_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
