// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* What simpler tools would have concluded, computed from the recording: numbers first, words after. */
#include "four_futexes.h"
#include "one_window.h"

#define SECOND (1000 * TB_MS)

static const struct finding_round *round_of(const struct findings *f, const char *name)
{
	for (size_t i = 0; i < f->rounds.cnt; i++)
		if (!strcmp(f->rounds.list[i].name, name))
			return &f->rounds.list[i];
	fail_msg("no round %s", name);
	return NULL;
}

static const struct finding_round_row *row_of(const struct finding_round *r, const char *name)
{
	for (size_t i = 0; i < r->rows_cnt; i++)
		if (!strcmp(r->rows[i].name, name))
			return &r->rows[i];
	fail_msg("no row %s in %s", name, r->name);
	return NULL;
}

static void strace_sums_system_time(void **state)
{
	struct trace_builder *b = four_futexes();
	struct findings *f = diagnose(b, "mark");
	const struct finding_round *r = round_of(f, "syscall summary");

	assert_int_equal(f->rounds.tgid, VMM);
	assert_string_equal(f->rounds.comm, "labvmm");
	assert_int_equal(f->rounds.windows, 1);
	assert_int_equal(f->rounds.window_ns, 153 * TB_MS);
	/* 100 us before the sleep in the call and 200 us behind it, of 150.7 ms */
	assert_int_equal(row_of(r, "fsync")->count, 1);
	assert_int_equal(row_of(r, "fsync")->ns, 300 * TB_US);
	assert_string_equal(row_of(r, "fsync")->note, "wall 151 ms");
	assert_int_equal(row_of(r, "futex")->count, 1);
	assert_int_equal(row_of(r, "futex")->ns, 20 * TB_US);
	assert_int_equal(row_of(r, "[remainder]")->ns, 153 * TB_MS - 320 * TB_US);
	assert_string_equal(r->cause, "user.cpu");
	assert_false(r->agrees);
	assert_non_null(strstr(r->conclusion, "99.8 %"));
	assert_non_null(strstr(r->why, "ran 1.9 ms in user mode and slept 151 ms of 153 ms"));
	findings__free(f);
	tb__free(b);
}

/* Ticks stand at multiples of 30 ms of the clock: five of them in the window. */
static void polls_find_those_who_only_wait(void **state)
{
	struct trace_builder *b = four_futexes();
	struct findings *f = diagnose(b, "mark");
	const struct finding_round *r = round_of(f, "stack poll");

	assert_int_equal(row_of(r, "futex_do_wait")->count, 15);
	assert_int_equal(row_of(r, "rq_qos_wait")->count, 5);
	assert_int_equal(row_of(r, "[empty]")->count, 0);
	assert_non_null(strstr(r->method, "5 polls of up to 4 threads"));
	assert_string_equal(r->cause, "futex.contended");
	assert_false(r->agrees);
	assert_non_null(strstr(r->conclusion, "futex_do_wait: lock contention"));
	assert_non_null(strstr(r->why, "15 of the 15 stacks"));
	findings__free(f);
	tb__free(b);
}

static void futex_sums_blame_the_passive(void **state)
{
	struct trace_builder *b = four_futexes();
	struct findings *f = diagnose(b, "mark");
	const struct finding_round *r = round_of(f, "futex waits");

	assert_int_equal(row_of(r, "0x3010")->ns, 152350 * TB_US);
	assert_int_equal(row_of(r, "0x8010")->ns, 410 * TB_US);
	assert_string_equal(r->cause, "futex.contended");
	assert_false(r->agrees);
	assert_non_null(strstr(r->conclusion, "3 futexes are"));
	assert_non_null(strstr(r->why, "3 of 3 only released when the path went on"));
	assert_non_null(strstr(r->why, "390 us"));
	findings__free(f);
	tb__free(b);
}

static void samples_miss_what_sleeps(void **state)
{
	struct trace_builder *b = four_futexes();
	struct findings *f = diagnose(b, "mark");
	const struct finding_round *r = round_of(f, "CPU samples");

	assert_int_equal(row_of(r, "serialize")->count, 1);
	assert_string_equal(r->cause, "user.cpu");
	assert_false(r->agrees);
	assert_non_null(strstr(r->why, "1 sample stands"));
	findings__free(f);
	tb__free(b);
}

static void the_ledger_is_the_verdict(void **state)
{
	struct trace_builder *b = four_futexes();
	struct findings *f = diagnose(b, "mark");
	const struct finding_round *r = round_of(f, "ledger");
	uint64_t sum = 0;

	for (size_t i = 0; i < r->rows_cnt; i++)
		sum += r->rows[i].ns;
	assert_int_equal(sum, 153 * TB_MS);
	assert_int_equal(row_of(r, "io.throttle.wbt")->ns, 150400 * TB_US);
	assert_string_equal(r->cause, f->verdict.cause);
	assert_true(r->agrees);
	findings__free(f);
	tb__free(b);
}

/* Eight windows of which the last six are slow: only these are looked at, their numbers added. */
static void only_slow_windows_are_looked_at(void **state)
{
	struct trace_builder *b = tb__open(NULL, 4);
	const struct finding_round_row *fsync;
	struct findings *f;
	uint64_t sum = 0;

	story_begin(b);
	for (int i = 1; i <= 8; i++)
		story_fsync(b, i * SECOND, (i < 3 ? 9 : 400 + i) * TB_MS, WBT_SLEEP);
	tb_at(b, 10 * SECOND);
	f = diagnose(b, "api");
	for (size_t w = 0; w < f->windows_cnt; w++)
		sum += f->windows[w].slow ? f->windows[w].duration_ns : 0;
	assert_int_equal(f->rounds.regime, REGIME_SLOW);
	assert_int_equal(f->rounds.windows, 6);
	assert_int_equal(f->rounds.window_ns, sum);
	fsync = row_of(round_of(f, "syscall summary"), "fsync");
	assert_int_equal(fsync->count, 6);
	assert_int_equal(fsync->ns, 6 * 200 * TB_US);
	assert_int_equal(row_of(round_of(f, "ledger"), "io.throttle.wbt")->ns,
			 (403 + 404 + 405 + 406 + 407 + 408) * TB_MS);
	assert_non_null(strstr(round_of(f, "ledger")->conclusion, "of the growth"));
	assert_non_null(strstr(round_of(f, "CPU samples")->conclusion, "not one sample"));
	findings__free(f);
	tb__free(b);
}

/* Where the CPU is the cause, the summary and the samples are right, and it is said. */
static void rounds_that_are_right_agree(void **state)
{
	struct trace_builder *b = begin();
	struct findings *f;

	tb_preempt(b, 0, 10);
	tb_at(b, 101 * MS);
	tb_syscall(b, 10, FP_SYS_WRITE, 100900 * TB_US, 3, 10);
	for (int i = 0; i < 10; i++) {
		tb_at(b, (105 + i * 5) * MS);
		tb_sample(b, 10, 10, NULL, i < 7 ? "crc64" : "compress");
	}
	f = end(b);
	assert_string_equal(round_of(f, "syscall summary")->cause, "user.cpu");
	assert_int_equal(row_of(round_of(f, "CPU samples"), "crc64")->count, 7);
	assert_int_equal(row_of(round_of(f, "CPU samples"), "compress")->count, 3);
	assert_string_equal(round_of(f, "CPU samples")->cause, "user.cpu");
	/* ticks at 110, 140 and 170 ms find it running: an empty stack, and here that is right */
	assert_int_equal(row_of(round_of(f, "stack poll"), "[empty]")->count, 3);
	assert_string_equal(round_of(f, "stack poll")->cause, "user.cpu");
	assert_string_equal(round_of(f, "futex waits")->cause, "");
	for (size_t i = 0; i < f->rounds.cnt; i++) {
		const struct finding_round *r = &f->rounds.list[i];
		bool names = !strcmp(f->verdict.cause, "none") ? !r->cause[0]
							       : !strcmp(r->cause, "user.cpu");

		assert_int_equal(r->agrees, names || !strcmp(r->name, "ledger"));
	}
	findings__free(f);
	tb__free(b);
}

/* As damage makes it: the polls of a century are not made one by one. */
static void a_window_may_be_a_century_long(void **state)
{
	const uint64_t century = 3155760000ull * SECOND, polls = century / (30 * TB_MS);
	struct trace_builder *b = tb__open(NULL, 1);
	const struct finding_round *r;
	char said[64];
	struct findings *f;

	tb_thread(b, 10, 10, "vmm", FP_TASK_TARGET);
	tb_at(b, 0);
	tb_mark(b, REC_MARK_BEGIN, "");
	tb_at(b, 10 * TB_MS);
	tb_preempt(b, 0, 10);
	tb_at(b, 20 * TB_MS);
	tb_block(b, 10, TB_UNINTERRUPTIBLE);
	tb_at(b, century);
	tb_resume(b, 10, WBT_SLEEP, 0);
	tb_mark(b, REC_MARK_END, "");
	f = diagnose(b, "mark");
	r = round_of(f, "stack poll");
	/* the clock of the trace begins at no multiple of 30 ms */
	assert_in_range(row_of(r, "rq_qos_wait")->count, polls - 1, polls + 1);
	snprintf(said, sizeof(said), " %llu",
		 (unsigned long long)(row_of(r, "rq_qos_wait")->count / 100));
	assert_non_null(strstr(r->method, said));
	findings__free(f);
	tb__free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strace_sums_system_time),
		cmocka_unit_test(polls_find_those_who_only_wait),
		cmocka_unit_test(futex_sums_blame_the_passive),
		cmocka_unit_test(samples_miss_what_sleeps),
		cmocka_unit_test(the_ledger_is_the_verdict),
		cmocka_unit_test(only_slow_windows_are_looked_at),
		cmocka_unit_test(a_window_may_be_a_century_long),
		cmocka_unit_test(rounds_that_are_right_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
