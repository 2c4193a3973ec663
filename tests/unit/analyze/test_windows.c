// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Where the pauses of a trace are found, by each detector, and what happens at their edges. */
#include <errno.h>

#include "stories.h"

#define MS TB_MS

static struct findings *find(struct trace_builder *b, const char *spec, int want)
{
	const struct analyze_opts opts = { .window = spec, .max_loss_percent = 1 };
	struct findings *f = NULL;

	assert_int_equal(tb__finish(b), 0);
	assert_int_equal(analyze__trace(tb__path(b), &opts, &f), want);
	if (want)
		assert_null(f);
	else
		assert_true(sums_hold(f));
	return f;
}

static void end_with(struct trace_builder *b, struct findings *f)
{
	findings__free(f);
	tb__free(b);
}

/* The body of the request comes with a second read; the reply from another thread. */
static void api_in_two_reads(void **state)
{
	struct trace_builder *b = tb__open(NULL, 1);
	struct findings *f;

	tb_thread(b, 10, 10, "vmm", FP_TASK_TARGET);
	tb_thread(b, 11, 10, "fc_api", FP_TASK_TARGET);
	tb_at(b, 5 * MS);
	tb_api(b, 11, 7, "PATCH /vm HTTP/1.1\r\nContent-Length: 18\r\n\r\n");
	tb_at(b, 6 * MS);
	tb_api(b, 11, 7, "{\"state\":\"Paused\"}");
	tb_at(b, 7 * MS);
	tb_syscall(b, 11, FP_SYS_WRITE, 7 * MS - 1000, 7, 50); /* the reply to the pause */
	tb_at(b, 20 * MS);
	tb_api(b, 11, 8, "PATCH /vm HTTP/1.1\r\n\r\n{\"state\": \"Resumed\"}");
	tb_at(b, 21 * MS);
	tb_syscall(b, 11, FP_SYS_WRITE, 21 * MS - 1000, 30, 8); /* an eventfd, not the reply */
	tb_at(b, 22 * MS);
	tb_syscall(b, 10, FP_SYS_SEND, 22 * MS - 1000, 8, 50);
	tb_at(b, 30 * MS);
	tb_syscall(b, 10, FP_SYS_SEND, 30 * MS - 1000, 8, 50);
	f = find(b, "auto", 0);
	assert_int_equal(f->windows_cnt, 1);
	assert_string_equal(f->windows[0].detector, "api");
	assert_int_equal(f->windows[0].begin_ns, tb_abs(b, 6 * MS));
	assert_int_equal(f->windows[0].duration_ns, 16 * MS);
	assert_int_equal(f->windows[0].closer_tid, 10);
	end_with(b, f);
}

static void other_vmms(void **state)
{
	static const char *const requests[][2] = {
		{ "PUT /api/v1/vm.pause HTTP/1.1\r\n", "PUT /api/v1/vm.resume HTTP/1.1\r\n" },
		{ "{\"execute\":\"stop\"}", "{\"execute\": \"cont\"}" },
	};

	for (size_t i = 0; i < 2; i++) {
		struct trace_builder *b = tb__open(NULL, 1);
		struct findings *f;

		tb_thread(b, 10, 10, "vmm", FP_TASK_TARGET);
		tb_at(b, 5 * MS);
		tb_api(b, 10, 7, requests[i][0]);
		tb_at(b, 9 * MS);
		tb_api(b, 10, 7, requests[i][1]);
		tb_at(b, 10 * MS);
		tb_syscall(b, 10, FP_SYS_SEND, 9 * MS + 1000, 7, 10);
		f = find(b, "api", 0);
		assert_int_equal(f->windows_cnt, 1);
		assert_int_equal(f->windows[0].duration_ns, 5 * MS);
		end_with(b, f);
	}
}

/* The VMM was killed in the pause: the window is open, clipped, and not dropped. */
static void never_resumed(void **state)
{
	struct trace_builder *b = tb__open(NULL, 1);
	struct findings *f;

	tb_thread(b, 10, 10, "vmm", FP_TASK_TARGET);
	tb_at(b, 5 * MS);
	tb_api(b, 10, 7, "PATCH /vm HTTP/1.1\r\n\r\n{\"state\":\"Paused\"}");
	tb_at(b, 50 * MS);
	tb_block(b, 10, TB_INTERRUPTIBLE);
	f = find(b, "auto", 0);
	assert_int_equal(f->windows_cnt, 1);
	assert_true(f->windows[0].open);
	assert_int_equal(f->windows[0].duration_ns, 45 * MS);
	assert_true(f->warnings_cnt >= 1);
	end_with(b, f);
}

static void marks_nest_and_overlap(void **state)
{
	struct trace_builder *b = tb__open(NULL, 1);
	struct findings *f;

	tb_thread(b, 10, 10, "vmm", FP_TASK_TARGET);
	tb_at(b, 10 * MS);
	tb_mark(b, REC_MARK_BEGIN, "outer");
	tb_at(b, 20 * MS);
	tb_mark(b, REC_MARK_BEGIN, "inner");
	tb_at(b, 30 * MS);
	tb_mark(b, REC_MARK_END, "inner");
	tb_at(b, 40 * MS);
	tb_mark(b, REC_MARK_BEGIN, "across");
	tb_at(b, 50 * MS);
	tb_mark(b, REC_MARK_END, "outer");
	tb_at(b, 60 * MS);
	tb_mark(b, REC_MARK_END, "across");
	tb_at(b, 70 * MS);
	tb_preempt(b, 10, 0);
	f = find(b, "auto", 0);
	assert_int_equal(f->windows_cnt, 3);
	assert_string_equal(f->windows[0].label, "outer");
	assert_int_equal(f->windows[0].duration_ns, 40 * MS);
	assert_string_equal(f->windows[1].label, "inner");
	assert_int_equal(f->windows[1].duration_ns, 10 * MS);
	assert_string_equal(f->windows[2].label, "across");
	assert_int_equal(f->windows[2].duration_ns, 20 * MS);
	for (int i = 0; i < 3; i++) /* it ran in all of them, whole */
		assert_int_equal(thread_of(&f->windows[i], 10)->running_user_ns,
				 f->windows[i].duration_ns);
	end_with(b, f);
}

static void mark_without_end(void **state)
{
	struct trace_builder *b = tb__open(NULL, 1);
	struct findings *f;

	tb_thread(b, 10, 10, "vmm", FP_TASK_TARGET);
	tb_at(b, 5 * MS);
	tb_mark(b, REC_MARK_END, ""); /* of a pause before the recording: no window */
	tb_at(b, 10 * MS);
	tb_mark(b, REC_MARK_BEGIN, "");
	tb_at(b, 30 * MS);
	tb_preempt(b, 10, 0);
	f = find(b, "mark", 0);
	assert_int_equal(f->windows_cnt, 1);
	assert_true(f->windows[0].open);
	end_with(b, f);
}

static void runs_and_reports(struct trace_builder *b, uint64_t reported)
{
	tb_thread(b, 10, 10, "vmm", FP_TASK_TARGET);
	for (int i = 0; i < 3; i++) {
		struct rec_run run = { .sweep = 1,
				       .index = i + 1,
				       .begin_ns = (100 + 100 * i) * MS,
				       .end_ns = (160 + 100 * i) * MS,
				       .reported_ns = reported,
				       .pid = 500 + i };

		tb_at(b, (99 + 100 * i) * MS);
		tb_fork(b, 1, 500 + i, 500 + i, "branch");
		tb_at(b, (130 + 100 * i) * MS);
		tb_open(b, 10, (120 + 100 * i) * MS, "/snap/memory.bin", O_WRONLY | O_CREAT,
			MEM_DEV, MEM_INO, 5);
		tb_at(b, (140 + 100 * i) * MS);
		tb_syscall(b, 10, FP_SYS_CLOSE, (139 + 100 * i) * MS, 5, 0);
		tb_run_full(b, &run);
	}
	tb_at(b, 500 * MS);
	tb_preempt(b, 10, 0);
}

static void exec_windows(void **state)
{
	struct trace_builder *b = tb__open(NULL, 1);
	struct findings *f;

	runs_and_reports(b, REC_NS_NONE);
	f = find(b, "exec", 0);
	assert_int_equal(f->windows_cnt, 3);
	assert_int_equal(f->windows[1].begin_ns, tb_abs(b, 200 * MS));
	assert_int_equal(f->windows[1].duration_ns, 60 * MS);
	assert_int_equal(f->windows[1].closer_tid, 501);
	assert_int_equal(f->windows[1].index, 2);
	end_with(b, f);
}

/* 30 ms were reported; the file work of 20 ms lies in their middle. */
static void reported_windows(void **state)
{
	struct trace_builder *b = tb__open(NULL, 1);
	struct findings *f;

	runs_and_reports(b, 30 * MS);
	f = find(b, "auto", 0);
	assert_int_equal(f->windows_cnt, 3);
	assert_string_equal(f->windows[0].detector, "reported");
	assert_int_equal(f->windows[0].begin_ns, tb_abs(b, 115 * MS));
	assert_int_equal(f->windows[0].duration_ns, 30 * MS);
	assert_int_equal(f->windows[0].reported_ns, 30 * MS);
	end_with(b, f);
}

/* More than the run lasted cannot be: it is cut to the run. */
static void reported_too_long(void **state)
{
	struct trace_builder *b = tb__open(NULL, 1);
	struct findings *f;

	runs_and_reports(b, 5000 * MS);
	f = find(b, "reported", 0);
	assert_int_equal(f->windows[2].begin_ns, tb_abs(b, 300 * MS));
	assert_int_equal(f->windows[2].duration_ns, 60 * MS);
	end_with(b, f);
}

static void file_windows(void **state)
{
	static const char *const specs[] = { "file:memory.bin", "file:/snap/*", "file:mem*" };

	for (size_t i = 0; i < 3; i++) {
		struct trace_builder *b = tb__open(NULL, 1);
		struct findings *f;

		runs_and_reports(b, 30 * MS);
		f = find(b, specs[i], 0);
		assert_int_equal(f->windows_cnt, 3);
		assert_string_equal(f->windows[0].detector, specs[i]);
		assert_int_equal(f->windows[0].begin_ns, tb_abs(b, 120 * MS));
		assert_int_equal(f->windows[0].duration_ns, 20 * MS);
		assert_int_equal(f->windows[0].closer_tid, 10);
		end_with(b, f);
	}
}

/* `dd of=FILE` and a shell's `> FILE`: opened, made descriptor 1, and the first one closed. */
static void file_under_another_descriptor(void **state)
{
	struct trace_builder *b = tb__open(NULL, 1);
	struct findings *f;

	(void)state;
	tb_thread(b, 10, 10, "dd", FP_TASK_TARGET);
	tb_thread(b, 20, 20, "cat", FP_TASK_TARGET);
	tb_at(b, 100 * MS);
	tb_open(b, 10, 99 * MS, "/snap/memory.bin", 1 | 0100, FP_DEV(7, 0), 55, 3);
	tb_at(b, 101 * MS);
	tb_syscall(b, 10, FP_SYS_DUP, 101 * MS - 1000, 3, 1);
	tb_at(b, 102 * MS);
	tb_syscall(b, 10, FP_SYS_CLOSE, 102 * MS - 1000, 3, 0);
	tb_at(b, 130 * MS);
	tb_syscall(b, 10, FP_SYS_WRITE, 110 * MS, 1, 1 << 20);
	tb_at(b, 150 * MS);
	tb_syscall(b, 10, FP_SYS_CLOSE, 150 * MS - 1000, 1, 0);
	/* ended without a close */
	tb_at(b, 200 * MS);
	tb_open(b, 20, 199 * MS, "/snap/memory.bin", 1 | 0100, FP_DEV(7, 0), 56, 3);
	tb_at(b, 201 * MS);
	tb_syscall(b, 20, FP_SYS_DUP, 201 * MS - 1000, 3, 1);
	tb_at(b, 260 * MS);
	tb_exit(b, 20, 20, "cat");
	tb_at(b, 300 * MS);
	f = find(b, "file:memory.bin", 0);
	assert_int_equal(f->windows_cnt, 2);
	assert_int_equal(f->windows[0].begin_ns, tb_abs(b, 99 * MS));
	assert_int_equal(f->windows[0].duration_ns, 51 * MS);
	assert_false(f->windows[0].open);
	assert_int_equal(f->windows[0].files_cnt, 1);
	assert_int_equal(f->windows[0].files[0].bytes_written, 1 << 20);
	assert_int_equal(f->windows[1].duration_ns, 61 * MS);
	assert_false(f->windows[1].open);
	end_with(b, f);
}

static void nothing_found(void **state)
{
	static const struct {
		const char *spec;
		int err;
	} rows[] = {
		{ "auto", -ENODATA },	   { "mark", -ENODATA },     { "api", -ENODATA },
		{ "file:nope", -ENODATA }, { "fiel:nope", -EINVAL }, { "", -EINVAL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct trace_builder *b = tb__open(NULL, 1);

		tb_thread(b, 10, 10, "vmm", FP_TASK_TARGET);
		tb_at(b, 5 * MS);
		tb_preempt(b, 10, 0);
		end_with(b, find(b, rows[i].spec, rows[i].err));
	}
}

/* The command says 30 ms, the control socket 17: one of them is wrong, and that is said. */
static void signals_disagree(void **state)
{
	struct trace_builder *b = tb__open(NULL, 1);
	struct rec_run run = { .sweep = 1,
			       .index = 1,
			       .begin_ns = 1 * MS,
			       .end_ns = 60 * MS,
			       .reported_ns = 30 * MS,
			       .pid = 500 };
	struct findings *f;

	tb_thread(b, 10, 10, "vmm", FP_TASK_TARGET);
	tb_at(b, 5 * MS);
	tb_api(b, 10, 7, "{\"execute\":\"stop\"}");
	tb_at(b, 21 * MS);
	tb_api(b, 10, 7, "{\"execute\":\"cont\"}");
	tb_at(b, 22 * MS);
	tb_syscall(b, 10, FP_SYS_SEND, 21 * MS, 7, 10);
	tb_run_full(b, &run);
	tb_at(b, 70 * MS);
	tb_preempt(b, 10, 0);
	f = find(b, "auto", 0);
	assert_string_equal(f->windows[0].detector, "api");
	assert_int_equal(f->windows[0].reported_ns, 30 * MS);
	assert_int_equal(f->warnings_cnt, 3); /* this one; neither REC_META nor symbols */
	assert_non_null(strstr(f->warnings[1], "17.0 ms"));
	end_with(b, f);
}

/* Cut: the run was still written, the records of its time were not. It has a ledger all the same. */
static void run_behind_the_last_record(void **state)
{
	const struct analyze_opts opts = { .window = "exec", .max_loss_percent = 1 };
	struct trace_builder *b = tb__open(NULL, 1);
	struct findings *f;

	tb_thread(b, 10, 10, "vmm", FP_TASK_TARGET);
	tb_at(b, 10 * TB_MS);
	tb_preempt(b, 10, 0);
	tb_run(b, 1, 1, 5 * TB_MS, 9 * TB_MS, REC_NS_NONE);
	tb_run(b, 1, 2, 50 * TB_MS, 90 * TB_MS, REC_NS_NONE);
	assert_int_equal(tb__cut(b), 0);
	assert_int_equal(analyze__trace(tb__path(b), &opts, &f), 0);
	assert_int_equal(f->windows_cnt, 2);
	assert_true(sums_hold(f));
	assert_int_equal(ledger_ns(&f->windows[1], "unknown.no_thread"), 40 * TB_MS);
	findings__free(f);
	tb__free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(run_behind_the_last_record),
		cmocka_unit_test(api_in_two_reads),
		cmocka_unit_test(other_vmms),
		cmocka_unit_test(never_resumed),
		cmocka_unit_test(marks_nest_and_overlap),
		cmocka_unit_test(mark_without_end),
		cmocka_unit_test(exec_windows),
		cmocka_unit_test(reported_windows),
		cmocka_unit_test(reported_too_long),
		cmocka_unit_test(file_windows),
		cmocka_unit_test(file_under_another_descriptor),
		cmocka_unit_test(nothing_found),
		cmocka_unit_test(signals_disagree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
