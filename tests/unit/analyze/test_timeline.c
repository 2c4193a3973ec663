// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The states of threads at the edges of what a trace can say: every rule is written down here. */
#include <errno.h>

#include "one_window.h"

static void asleep_throughout(void **state)
{
	struct trace_builder *b = tb__open(NULL, 2);
	const struct finding_thread *t;
	struct findings *f;

	tb_sleeper(b, 20, 10, "idle", FP_TASK_TARGET, TB_INTERRUPTIBLE, EPOLL_SLEEP);
	tb_sleeper(b, 21, 10, "idle2", FP_TASK_TARGET, TB_INTERRUPTIBLE, NULL);
	tb_thread(b, 10, 10, "vmm", FP_TASK_TARGET);
	tb_at(b, 100 * MS);
	tb_mark(b, REC_MARK_BEGIN, "");
	f = end(b);
	t = thread_of(&f->windows[0], 20);
	assert_int_equal(t->wall_ns, 100 * MS);
	assert_int_equal(blocked_ns(t, "ipc.wait"), 100 * MS);
	t = thread_of(&f->windows[0], 21);
	assert_int_equal(blocked_ns(t, "unknown.pretrace"), 100 * MS);
	assert_int_equal(t->unknown_ns, 100 * MS);
	findings__free(f);
	tb__free(b);
}

/* Its stack comes with its end, long after the window is done: the name is put in then. */
static void named_later(void **state)
{
	struct trace_builder *b = begin();
	const struct finding_thread *t;
	struct findings *f;

	tb_cpu(b, 1);
	tb_at(b, 110 * MS);
	tb_run_thread(b, 30);
	tb_syscall(b, 30, FP_SYS_CLOSE, 109 * MS, 3, 0);
	tb_at(b, 120 * MS);
	tb_block(b, 30, TB_INTERRUPTIBLE);
	tb_cpu(b, 0);
	tb_at(b, 200 * MS);
	tb_mark(b, REC_MARK_END, "");
	for (int i = 1; i < 2000; i++) { /* far beyond the time that a window waits */
		tb_at(b, 200 * MS + i * 10 * MS);
		i % 2 ? tb_preempt(b, 10, 0) : tb_run_thread(b, 10);
	}
	tb_cpu(b, 1);
	tb_at(b, 21000 * MS);
	tb_resume(b, 30, FUTEX_SLEEP, 0);
	f = diagnose(b, "mark");
	t = thread_of(&f->windows[0], 30);
	assert_int_equal(blocked_ns(t, "futex.wait"), 80 * MS);
	findings__free(f);
	tb__free(b);
}

static void born_and_dead_inside(void **state)
{
	struct trace_builder *b = begin();
	const struct finding_thread *t;
	struct findings *f;

	tb_at(b, 120 * MS);
	tb_fork(b, 10, 40, 10, "worker");
	tb_cpu(b, 1);
	tb_at(b, 125 * MS);
	tb_run_thread(b, 40);
	tb_at(b, 150 * MS);
	tb_exit(b, 40, 10, "worker");
	tb_at(b, 151 * MS);
	tb_switch(b, 40, 0x80, 0, 0, 0, 0);
	f = end(b);
	t = thread_of(&f->windows[0], 40);
	assert_int_equal(t->wall_ns, 31 * MS);
	assert_int_equal(t->runnable_ns, 5 * MS);
	assert_int_equal(t->running_user_ns, 26 * MS);
	findings__free(f);
	tb__free(b);
}

/* The same number for another thread, of a foreign process: not a target any more. */
static void pid_reuse(void **state)
{
	struct trace_builder *b = begin();
	struct findings *f;
	size_t seen = 0;

	tb_at(b, 110 * MS);
	tb_fork(b, 10, 40, 10, "first");
	tb_cpu(b, 1);
	tb_at(b, 110 * MS + 1);
	tb_run_thread(b, 40);
	tb_at(b, 120 * MS);
	tb_exit(b, 40, 10, "first");
	tb_switch(b, 40, 0x80, 0, 0, 0, 0);
	tb_at(b, 130 * MS);
	tb_fork(b, 10, 40, 10, "second");
	tb_at(b, 140 * MS);
	tb_run_thread(b, 40);
	f = end(b);
	for (size_t i = 0; i < f->windows[0].threads_cnt; i++) {
		const struct finding_thread *t = &f->windows[0].threads[i];

		if (t->tid != 40)
			continue;
		seen++;
		if (!strcmp(t->comm, "first"))
			assert_int_equal(t->wall_ns, 10 * MS);
		else
			assert_int_equal(t->wall_ns, 70 * MS);
	}
	assert_int_equal(seen, 2);
	findings__free(f);
	tb__free(b);
}

static void preempted_and_woken(void **state)
{
	struct trace_builder *b = begin();
	const struct finding_thread *t;
	struct findings *f;

	tb_at(b, 110 * MS);
	tb_preempt(b, 10, 77); /* 10 ms for somebody else */
	tb_at(b, 120 * MS);
	tb_switch(b, 77, 0, 10, EV_SWITCH_PREEMPT, 0, 0);
	tb_at(b, 130 * MS);
	tb_block(b, 10, TB_INTERRUPTIBLE);
	tb_at(b, 140 * MS);
	tb_wake_ctx(b, 0, 10, EV_CTX_HARDIRQ, 0, 0);
	tb_at(b, 142 * MS);
	tb_resume(b, 10, FUTEX_SLEEP, 0);
	f = end(b);
	t = thread_of(&f->windows[0], 10);
	assert_int_equal(t->runnable_ns, 12 * MS);
	assert_int_equal(blocked_ns(t, "futex.wait"), 10 * MS);
	assert_int_equal(ledger_ns(&f->windows[0], "cpu.runqueue.other"), 10 * MS);
	assert_int_equal(ledger_ns(&f->windows[0], "cpu.runqueue.idle_exit"), 2 * MS);
	assert_int_equal(ledger_ns(&f->windows[0], "futex.contended"), 10 * MS);
	findings__free(f);
	tb__free(b);
}

/* Where no wake was recorded, the time in the runqueue tells when the sleep ended. */
static void run_delay_without_wake(void **state)
{
	struct trace_builder *b = begin();
	const struct finding_thread *t;
	struct findings *f;

	tb_at(b, 130 * MS);
	tb_block(b, 10, TB_INTERRUPTIBLE);
	tb_at(b, 150 * MS);
	tb_resume(b, 10, FUTEX_SLEEP, 3 * MS);
	f = end(b);
	t = thread_of(&f->windows[0], 10);
	assert_int_equal(t->runnable_ns, 3 * MS);
	assert_int_equal(blocked_ns(t, "futex.wait"), 17 * MS);
	assert_int_equal(ledger_ns(&f->windows[0], "unknown.no_waker"), 17 * MS);
	findings__free(f);
	tb__free(b);
}

/* A wake of a thread that runs is no wake; it must not end the sleep that comes later. */
static void wake_of_a_running_thread(void **state)
{
	struct trace_builder *b = begin();
	const struct finding_thread *t;
	struct findings *f;

	tb_at(b, 110 * MS);
	tb_wake_ctx(b, 0, 10, EV_CTX_HARDIRQ, 0, 0);
	tb_at(b, 120 * MS);
	tb_block(b, 10, TB_INTERRUPTIBLE);
	tb_at(b, 140 * MS);
	tb_wake_ctx(b, 0, 10, EV_CTX_HARDIRQ, 0, 0);
	tb_resume(b, 10, FUTEX_SLEEP, 0);
	f = end(b);
	t = thread_of(&f->windows[0], 10);
	assert_int_equal(blocked_ns(t, "futex.wait"), 20 * MS);
	findings__free(f);
	tb__free(b);
}

/* The waker's clock is 1.5 us behind: the wake seems to come before the sleep. Repaired. */
static void clock_skew(void **state)
{
	struct trace_builder *b = begin();
	const struct finding_thread *t;
	struct findings *f;

	tb_cpu(b, 1);
	tb_at(b, 120 * MS - 1500);
	tb_wake(b, 99, 10);
	tb_cpu(b, 0);
	tb_at(b, 120 * MS);
	tb_block(b, 10, TB_INTERRUPTIBLE);
	tb_at(b, 121 * MS);
	tb_resume(b, 10, FUTEX_SLEEP, 0);
	f = end(b);
	t = thread_of(&f->windows[0], 10);
	assert_int_equal(t->runnable_ns, 1 * MS);
	assert_int_equal(t->unknown_ns, 0);
	findings__free(f);
	tb__free(b);
}

/* The command of a later run did not exist before it. */
static void later_command(void **state)
{
	struct trace_builder *b = begin();
	struct rec_run run = { .sweep = 1,
			       .index = 1,
			       .begin_ns = 160 * MS,
			       .end_ns = 250 * MS,
			       .reported_ns = REC_NS_NONE,
			       .pid = 500 };
	const struct finding_thread *t;
	struct findings *f;

	/* Held before its exec, until the recording stands; what it does till then is told first. */
	tb_cpu(b, 1);
	tb_at(b, 155 * MS);
	tb_point(b, 500, FP_POINT_FAULT_USER, 0, 0x1000, 0, 0);
	tb_switch(b, 500, TB_INTERRUPTIBLE, 0, 0, 0, 0);
	tb_cpu(b, 0);
	tb_sleeper(b, 500, 500, "branch", FP_TASK_TARGET, TB_INTERRUPTIBLE, EPOLL_SLEEP);
	tb_run_full(b, &run);
	f = end(b);
	t = thread_of(&f->windows[0], 500);
	assert_int_equal(t->wall_ns, 45 * MS);
	findings__free(f);
	tb__free(b);
}

/* What lies in a range of lost records has no other name; too much of it, and no verdict. */
static void lost_records(void **state)
{
	struct analyze_opts opts = { .window = "mark", .max_loss_percent = 100 };
	struct trace_builder *b = begin();
	const struct finding_thread *t;
	struct findings *f;

	tb_at(b, 120 * MS);
	tb_block(b, 10, TB_INTERRUPTIBLE);
	tb_at(b, 140 * MS);
	tb_lost(b, 130 * MS, 7);
	tb_at(b, 150 * MS);
	tb_wake_ctx(b, 0, 10, EV_CTX_HARDIRQ, 0, 0);
	tb_resume(b, 10, FUTEX_SLEEP, 0);
	tb_at(b, 200 * MS);
	tb_mark(b, REC_MARK_END, "");
	tb_at(b, 300 * MS);
	tb_preempt(b, 10, 0);
	assert_int_equal(tb__finish(b), 0);
	assert_int_equal(analyze__trace(tb__path(b), &opts, &f), 0);
	assert_true(sums_hold(f));
	t = thread_of(&f->windows[0], 10);
	assert_int_equal(blocked_ns(t, "unknown.lost"), 10 * MS);
	assert_int_equal(blocked_ns(t, "futex.wait"), 20 * MS);
	assert_int_equal(ledger_ns(&f->windows[0], "unknown.lost"), 10 * MS);
	assert_int_equal(f->loss.events, 7);
	findings__free(f);
	opts.max_loss_percent = 1;
	assert_int_equal(analyze__trace(tb__path(b), &opts, &f), -EOVERFLOW);
	assert_non_null(f);
	assert_string_equal(f->verdict.cause, "unknown.lost");
	assert_int_equal(f->advice_cnt, 0);
	assert_true(sums_hold(f));
	findings__free(f);
	tb__free(b);
}

static void short_sleeps(void **state)
{
	struct trace_builder *b = begin();
	const struct finding_thread *t;
	struct findings *f;

	tb_at(b, 120 * MS);
	tb_block(b, 10, TB_INTERRUPTIBLE);
	tb_at(b, 120 * MS + 50 * TB_US);
	tb_run_thread(b, 10);
	tb_at(b, 130 * MS);
	tb_block(b, 10, TB_INTERRUPTIBLE);
	tb_at(b, 131 * MS);
	tb_run_thread(b, 10);
	f = end(b);
	t = thread_of(&f->windows[0], 10);
	assert_int_equal(blocked_ns(t, "unknown.short_sleep"), 50 * TB_US);
	assert_int_equal(blocked_ns(t, "unknown.no_stack"), 1 * MS);
	assert_int_equal(t->unknown_ns, 1 * MS + 50 * TB_US);
	findings__free(f);
	tb__free(b);
}

/* User and kernel time by syscall; a call that is still open when recording ends counts too. */
static void user_and_kernel(void **state)
{
	struct trace_builder *b = begin();
	const struct finding_thread *t;
	struct findings *f;

	tb_at(b, 140 * MS);
	tb_syscall(b, 10, FP_SYS_WRITE, 110 * MS, 3, 4096);
	tb_at(b, 200 * MS);
	tb_mark(b, REC_MARK_END, "");
	tb_at(b, 300 * MS);
	tb_syscall_open(b, 10, FP_SYS_IOCTL, 190 * MS, 3);
	f = diagnose(b, "mark");
	t = thread_of(&f->windows[0], 10);
	assert_int_equal(t->running_kernel_ns, 40 * MS);
	assert_int_equal(t->running_user_ns, 60 * MS);
	assert_int_equal(ledger_ns(&f->windows[0], "fs.copy"), 30 * MS);
	assert_int_equal(ledger_ns(&f->windows[0], "kernel.cpu_other"), 10 * MS);
	assert_int_equal(ledger_ns(&f->windows[0], "user.cpu"), 60 * MS);
	findings__free(f);
	tb__free(b);
}

/* Three samples in one long call: its time is split by them, to the nanosecond. */
static void samples_split_kernel_time(void **state)
{
	struct trace_builder *b = begin();
	struct findings *f;

	for (int i = 0; i < 3; i++) {
		tb_at(b, (115 + 5 * i) * MS);
		tb_sample(b, 10, 10,
			  i ? "copy_page_from_iter_atomic;generic_perform_write"
			    : "osq_lock;rwsem_optimistic_spin;down_write",
			  NULL);
	}
	tb_at(b, 140 * MS);
	tb_syscall(b, 10, FP_SYS_WRITE, 110 * MS - 1, 3, 4096);
	f = end(b);
	assert_int_equal(ledger_ns(&f->windows[0], "lock.spin"), 10 * MS);
	assert_int_equal(ledger_ns(&f->windows[0], "fs.copy"), 20 * MS + 1);
	findings__free(f);
	tb__free(b);
}

/* It ran for 100 ms under a clock of 1 kHz: as many samples, or something is wrong. */
static void samples_are_counted(void **state)
{
	for (int step = 1; step <= 2; step++) {
		struct trace_builder *b = begin();
		struct findings *f;

		tb_meta(b, "{\"options\": {\"sample_hz\": 1000}}");
		for (int i = 0; i < 100; i += step) {
			tb_at(b, (100 + i) * MS + 1);
			tb_sample(b, 10, 10, NULL, "main");
		}
		f = end(b);
		assert_int_equal(warns_of(f, "50 samples hit the targets"), step == 2);
		assert_int_equal(warns_of(f, "has 100 ticks"), step == 2);
		findings__free(f);
		tb__free(b);
	}
}

/* Who runs can only be hidden by a loss on its own CPU, whatever was lost elsewhere, and how often. */
static void lost_on_another_cpu(void **state)
{
	struct trace_builder *b = begin();
	const struct finding_thread *t;
	struct findings *f;

	tb_cpu(b, 1);
	for (int i = 0; i < 50; i++) {
		tb_at(b, (101 + i) * MS);
		tb_lost(b, (100 + i) * MS, 1);
	}
	tb_at(b, 190 * MS);
	tb_lost(b, 120 * MS, 1);
	tb_cpu(b, 0);
	tb_at(b, 165 * MS);
	tb_lost(b, 160 * MS, 1);
	tb_at(b, 180 * MS);
	tb_lost(b, 178 * MS, 1);
	f = end_lossy(b, 100);
	t = thread_of(&f->windows[0], 10);
	assert_int_equal(blocked_ns(t, "unknown.lost"), 7 * MS);
	assert_int_equal(t->running_user_ns, 93 * MS);
	assert_int_equal(f->loss.events, 53);
	findings__free(f);
	tb__free(b);
}

/*
 * Two threads that are each said to have woken the other, in their sleep: the walk ends, the sum
 * holds. Only behind a loss can it be so; else who wakes another is known to have run.
 */
static void wakes_in_a_circle(void **state)
{
	struct trace_builder *b = begin();
	struct findings *f;

	tb_cpu(b, 1);
	tb_at(b, 105 * MS);
	tb_fork(b, 10, 50, 10, "other");
	tb_at(b, 106 * MS);
	tb_run_thread(b, 50);
	tb_at(b, 120 * MS);
	tb_block(b, 50, TB_INTERRUPTIBLE);
	tb_at(b, 121 * MS);
	tb_lost(b, 120 * MS, 1);
	tb_cpu(b, 0);
	tb_at(b, 120 * MS);
	tb_block(b, 10, TB_INTERRUPTIBLE);
	tb_at(b, 150 * MS);
	tb_wake(b, 50, 10);
	tb_wake(b, 10, 50);
	tb_at(b, 150 * MS + 1);
	tb_resume(b, 10, FUTEX_SLEEP, 0);
	tb_cpu(b, 1);
	tb_resume(b, 50, FUTEX_SLEEP, 0);
	tb_cpu(b, 0);
	f = end_lossy(b, 100);
	assert_int_equal(ledger_ns(&f->windows[0], "unknown.lost"), 1 * MS);
	assert_int_equal(ledger_ns(&f->windows[0], "unknown.depth"), 29 * MS);
	findings__free(f);
	tb__free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(asleep_throughout),
		cmocka_unit_test(named_later),
		cmocka_unit_test(born_and_dead_inside),
		cmocka_unit_test(pid_reuse),

		cmocka_unit_test(later_command),
		cmocka_unit_test(preempted_and_woken),
		cmocka_unit_test(run_delay_without_wake),
		cmocka_unit_test(wake_of_a_running_thread),
		cmocka_unit_test(clock_skew),

		cmocka_unit_test(lost_records),
		cmocka_unit_test(short_sleeps),
		cmocka_unit_test(user_and_kernel),
		cmocka_unit_test(samples_split_kernel_time),
		cmocka_unit_test(lost_on_another_cpu),
		cmocka_unit_test(samples_are_counted),
		cmocka_unit_test(wakes_in_a_circle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
