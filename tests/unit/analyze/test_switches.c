// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Switches that were not reported: what other records say of them, and what stays unknown. */
#include "one_window.h"

/* Seen to run twice with nothing between: without a loss it just ran on. */
static void repeated_switch_in(void **state)
{
	struct trace_builder *b = begin();
	const struct finding_thread *t;
	struct findings *f;

	tb_at(b, 120 * MS); /* until here it stood in the runqueue, as the snapshot found it */
	tb_run_thread(b, 10);
	tb_at(b, 130 * MS);
	tb_run_thread(b, 10);
	f = end(b);
	t = thread_of(&f->windows[0], 10);
	assert_int_equal(t->runnable_ns, 20 * MS);
	assert_int_equal(t->running_user_ns, 80 * MS);
	findings__free(f);
	tb__free(b);
}

/* It leaves a CPU that it was never put on: what it did since it slept is not known. */
static void missing_switch_in(void **state)
{
	struct trace_builder *b = begin();
	const struct finding_thread *t;
	struct findings *f;

	tb_at(b, 120 * MS);
	tb_block(b, 10, TB_INTERRUPTIBLE);
	tb_at(b, 140 * MS);
	tb_block(b, 10, TB_INTERRUPTIBLE);
	tb_at(b, 150 * MS);
	tb_wake_ctx(b, 0, 10, EV_CTX_HARDIRQ, 0, 0);
	tb_resume(b, 10, FUTEX_SLEEP, 0);
	f = end(b);
	t = thread_of(&f->windows[0], 10);
	assert_int_equal(blocked_ns(t, "unknown.missed_switch"), 20 * MS);
	assert_int_equal(blocked_ns(t, "futex.wait"), 10 * MS);
	assert_int_equal(ledger_ns(&f->windows[0], "unknown.missed_switch"), 20 * MS);
	findings__free(f);
	tb__free(b);
}

/* A kernel that does not report a switch: the call that returned says that it ran by then. */
static void switch_told_by_a_call(void **state)
{
	struct trace_builder *b = begin();
	const struct finding_thread *t;
	struct findings *f;

	tb_at(b, 120 * MS);
	tb_block(b, 10, TB_INTERRUPTIBLE);
	tb_at(b, 140 * MS);
	tb_syscall(b, 10, FP_SYS_POLL, 119 * MS, 3, 1);
	tb_at(b, 145 * MS);
	tb_block(b, 10, TB_INTERRUPTIBLE);
	tb_at(b, 150 * MS);
	tb_wake_ctx(b, 0, 10, EV_CTX_HARDIRQ, 0, 0);
	tb_resume(b, 10, FUTEX_SLEEP, 0);
	f = end(b);
	t = thread_of(&f->windows[0], 10);
	assert_int_equal(blocked_ns(t, "unknown.missed_switch"), 0);
	assert_int_equal(blocked_ns(t, "futex.wait"), 5 * MS);
	assert_int_equal(t->running_user_ns + t->running_kernel_ns, 75 * MS);
	assert_int_equal(t->wall_ns, 100 * MS);
	findings__free(f);
	tb__free(b);
}

/* A clock that is behind puts the wake before the sleep; but only where no other wake ends it. */
static void wake_before_the_sleep(void **state)
{
	for (int again = 0; again < 2; again++) {
		struct trace_builder *b = begin();
		const struct finding_thread *t;
		struct findings *f;

		tb_at(b, 120 * MS - 1000);
		tb_wake_ctx(b, 0, 10, EV_CTX_HARDIRQ, 0, 0);
		tb_at(b, 120 * MS);
		tb_block(b, 10, TB_INTERRUPTIBLE);
		tb_at(b, 140 * MS);
		if (again)
			tb_wake_ctx(b, 0, 10, EV_CTX_HARDIRQ, 0, 0);
		tb_at(b, 150 * MS);
		tb_resume(b, 10, FUTEX_SLEEP, 0);
		f = end(b);
		t = thread_of(&f->windows[0], 10);
		assert_int_equal(t->runnable_ns, again ? 10 * MS : 30 * MS);
		assert_int_equal(blocked_ns(t, "futex.wait"), again ? 20 * MS : 0);
		assert_int_equal(warns_of(f, "ran backwards"), !again);
		findings__free(f);
		tb__free(b);
	}
}

/* The other way round: it runs before it was woken, and sleeps again at once. */
static void wake_after_the_sleep(void **state)
{
	struct trace_builder *b = begin();
	const struct finding_thread *t;
	struct findings *f;

	tb_cpu(b, 1);
	tb_at(b, 110 * MS);
	tb_block(b, 10, TB_INTERRUPTIBLE);
	tb_at(b, 120 * MS);
	tb_resume(b, 10, FUTEX_SLEEP, 0);
	tb_at(b, 120 * MS + 500);
	tb_block(b, 10, TB_INTERRUPTIBLE);
	tb_cpu(b, 0);
	tb_at(b, 120 * MS + 1500);
	tb_wake_ctx(b, 0, 10, EV_CTX_HARDIRQ, 0, 0);
	tb_cpu(b, 1);
	tb_at(b, 150 * MS);
	tb_resume(b, 10, FUTEX_SLEEP, 0);
	f = end(b);
	t = thread_of(&f->windows[0], 10);
	assert_int_equal(t->runnable_ns, 0);
	assert_int_equal(blocked_ns(t, "futex.wait"), 40 * MS - 500);
	/* The first sleep has its wake, the second none. */
	assert_int_equal(ledger_ns(&f->windows[0], "futex.contended"), 10 * MS);
	assert_int_equal(ledger_ns(&f->windows[0], "unknown.no_waker"), 30 * MS - 500);
	assert_true(warns_of(f, "ran backwards"));
	findings__free(f);
	tb__free(b);
}

/* Woken, and the switch to it was lost: from there on nothing is known, to the end of the loss. */
static void lost_while_runnable(void **state)
{
	struct trace_builder *b = begin();
	const struct finding_thread *t;
	struct findings *f;

	tb_at(b, 120 * MS);
	tb_block(b, 10, TB_INTERRUPTIBLE);
	tb_at(b, 140 * MS);
	tb_wake_ctx(b, 0, 10, EV_CTX_HARDIRQ, 0, 0);
	tb_at(b, 200 * MS);
	tb_mark(b, REC_MARK_END, "");
	tb_at(b, 250 * MS);
	tb_lost(b, 150 * MS, 1);
	f = diagnose_lossy(b, "mark", 100);
	t = thread_of(&f->windows[0], 10);
	assert_int_equal(t->runnable_ns, 10 * MS);
	assert_int_equal(blocked_ns(t, "unknown.lost"), 50 * MS);
	findings__free(f);
	tb__free(b);
}

/* It was woken, and the switch with which that sleep began was lost: the next sleep is its own. */
static void wake_of_a_lost_sleep(void **state)
{
	struct trace_builder *b = begin();
	const struct finding_thread *t;
	struct findings *f;

	tb_at(b, 120 * MS - 1000);
	tb_wake_ctx(b, 0, 10, EV_CTX_HARDIRQ, 0, 0);
	tb_at(b, 120 * MS - 500);
	tb_resume(b, 10, FUTEX_SLEEP, 500);
	tb_at(b, 120 * MS);
	tb_block(b, 10, TB_INTERRUPTIBLE);
	tb_at(b, 150 * MS);
	tb_resume(b, 10, FUTEX_SLEEP, 0);
	f = end(b);
	t = thread_of(&f->windows[0], 10);
	assert_int_equal(blocked_ns(t, "futex.wait"), 30 * MS);
	findings__free(f);
	tb__free(b);
}

enum proof { BY_SPAN, BY_POINT, BY_BIO, BY_FUTEX, BY_WAKE, BY_IRQ, BY_OPEN_SPAN };

static void write_proof(struct trace_builder *b, enum proof proof)
{
	switch (proof) {
	case BY_SPAN:
		return tb_span(b, 10, FP_SPAN_EXT4_ALLOC, 139 * MS, 1, 1, 1);
	case BY_OPEN_SPAN:
		return tb_span(b, 10, FP_SPAN_EXT4_ALLOC | FP_SPAN_OPEN, 119 * MS, 1, 1, 1);
	case BY_POINT:
		return tb_point(b, 10, FP_POINT_WB_INODE, 1, 1, 0, 0);
	case BY_IRQ:
		return tb_wake_ctx(b, 10, 999, EV_CTX_HARDIRQ, 0, 0);
	case BY_BIO:
		return tb_bio(b, 10, FP_BIO_QUEUE, 1, 8, 4096, 1, 7);
	case BY_FUTEX:
		return tb_futex(b, 10, 119 * MS, 0x1000, 0, 0);
	case BY_WAKE:
		return tb_wake(b, 10, 999);
	}
}

/* Whatever a hook in task context writes of a thread says that it runs; nothing else does. */
static void switch_told_by_other_records(void **state)
{
	for (enum proof p = BY_SPAN; p <= BY_OPEN_SPAN; p++) {
		bool proves = p != BY_IRQ && p != BY_OPEN_SPAN;
		struct trace_builder *b = begin();
		const struct finding_thread *t;
		struct findings *f;

		tb_at(b, 120 * MS);
		tb_block(b, 10, TB_INTERRUPTIBLE);
		tb_at(b, 130 * MS);
		tb_wake_ctx(b, 0, 10, EV_CTX_HARDIRQ, 0, 0);
		tb_at(b, 140 * MS);
		write_proof(b, p);
		tb_at(b, 150 * MS);
		tb_preempt(b, 10, 0);
		tb_at(b, 160 * MS);
		tb_run_thread(b, 10);
		f = end(b);
		t = thread_of(&f->windows[0], 10);
		/* woken at 130, seen at 140, or only at 150: what is in between is not known */
		assert_int_equal(blocked_ns(t, "unknown.missed_switch"), (proves ? 10 : 20) * MS);
		assert_int_equal(t->running_user_ns + t->running_kernel_ns,
				 (proves ? 70 : 60) * MS);
		assert_true(
			warns_of(f, proves ? "10.0 ms of all ledgers" : "20.0 ms of all ledgers"));
		findings__free(f);
		tb__free(b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(repeated_switch_in),
		cmocka_unit_test(missing_switch_in),
		cmocka_unit_test(switch_told_by_a_call),
		cmocka_unit_test(wake_before_the_sleep),
		cmocka_unit_test(wake_after_the_sleep),
		cmocka_unit_test(lost_while_runnable),
		cmocka_unit_test(wake_of_a_lost_sleep),
		cmocka_unit_test(switch_told_by_other_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
