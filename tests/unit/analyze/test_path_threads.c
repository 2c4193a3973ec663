// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The path through threads: hand-offs, locks, runqueues, interrupts, timers, the journal. */
#include "one_window.h"

#define OTHER	    20u
#define JOURNAL	    77u
#define LOCK_SLEEP  "rwsem_down_write_slowpath;down_write;ext4_buffered_write_iter;vfs_write"
#define PIPE_SLEEP  "pipe_read;vfs_read;ksys_read"
#define COMMIT_WAIT "jbd2_log_wait_commit;ext4_sync_file;do_fsync"
#define COMMIT_SLEEP \
	"__wait_on_buffer;jbd2_journal_commit_transaction;kjournald2;kthread;ret_from_fork"

/* From 110 to 150 ms thread 10 sleeps; `OTHER`, which ran from 105 to 155, wakes it. */
static void sleep_and_wake(struct trace_builder *b, const char *stack)
{
	tb_cpu(b, 0);
	tb_at(b, 110 * MS);
	tb_block(b, 10, TB_INTERRUPTIBLE);
	tb_cpu(b, 1);
	tb_at(b, 150 * MS);
	tb_wake(b, OTHER, 10);
	tb_cpu(b, 0);
	tb_pass(b, 1); /* of one time, the records of the lower CPU come first */
	tb_resume(b, 10, stack, 0);
	tb_cpu(b, 1);
	tb_at(b, 155 * MS);
	tb_block(b, OTHER, TB_INTERRUPTIBLE);
	tb_cpu(b, 0);
}

static void other_runs_from(struct trace_builder *b, uint64_t ns, uint16_t flags, const char *comm)
{
	tb_cpu(b, 1);
	tb_at(b, 100 * MS + 1);
	tb_sleeper(b, OTHER, OTHER, comm, flags, TB_INTERRUPTIBLE, PIPE_SLEEP);
	tb_at(b, ns);
	tb_wake_ctx(b, 0, OTHER, EV_CTX_HARDIRQ, 0, 0);
	tb_run_thread(b, OTHER);
	tb_cpu(b, 0);
}

/* A process that is no target woke the path: what it did is what the wait was. */
static void handoff_to_a_foreign_process(void **state)
{
	struct trace_builder *b = begin();
	const struct finding_segment *s;
	struct findings *f;

	other_runs_from(b, 120 * MS, 0, "helper");
	sleep_and_wake(b, PIPE_SLEEP);
	f = end(b);
	/* until 120 it was asleep itself, for an interrupt that nothing is known of */
	assert_int_equal(ledger_ns(&f->windows[0], "ipc.wait"), 10 * MS);
	assert_int_equal(ledger_ns(&f->windows[0], "user.cpu"), (10 + 30 + 50) * MS - 1);
	s = path_of(&f->windows[0], "ipc.wait");
	assert_string_equal(s->actor, "helper/20");
	assert_string_equal(s->via, "ipc.wait of vmm/10");
	assert_int_equal(s->begin_ns, 10 * MS);
	assert_null(thread_of(&f->windows[0], OTHER));
	findings__free(f);
	tb__free(b);
}

/* Adopted at its wake: nothing is known of it, and the wait keeps its name. */
static void waker_that_was_not_followed(void **state)
{
	struct trace_builder *b = begin();
	struct findings *f;

	tb_at(b, 110 * MS);
	tb_block(b, 10, TB_INTERRUPTIBLE);
	tb_cpu(b, 1);
	tb_at(b, 150 * MS);
	tb_thread(b, OTHER, OTHER, "stranger", 0);
	tb_wake(b, OTHER, 10);
	tb_cpu(b, 0);
	tb_pass(b, 1);
	tb_resume(b, 10, PIPE_SLEEP, 0);
	f = end(b);
	assert_int_equal(ledger_ns(&f->windows[0], "ipc.wait"), 40 * MS);
	findings__free(f);
	tb__free(b);
}

/* A lock keeps its name; what its holder did is told beside it. */
static void kernel_lock_names_its_holder(void **state)
{
	struct trace_builder *b = begin();
	const struct finding_segment *s;
	struct findings *f;

	other_runs_from(b, 105 * MS, 0, "dd");
	tb_cpu(b, 1);
	for (int i = 0; i < 4; i++) {
		tb_at(b, (112 + i) * MS);
		tb_sample(b, OTHER, OTHER, "crc32c_le;ext4_mb_mark_context;ext4_mb_new_blocks",
			  NULL);
	}
	sleep_and_wake(b, LOCK_SLEEP);
	f = end(b);
	assert_int_equal(ledger_ns(&f->windows[0], "lock.inode"), 40 * MS);
	s = path_of(&f->windows[0], "lock.inode");
	assert_non_null(s);
	assert_string_equal(s->actor, "vmm/10");
	assert_non_null(strstr(s->via, "held by dd/20, which was in ext4.alloc"));
	findings__free(f);
	tb__free(b);
}

/* FUTEX_WAIT is how C libraries wait for a mutex; FUTEX_WAIT_BITSET is a call for somebody. */
static void mutex_or_call(void **state)
{
	static const uint32_t ops[] = { 128, 137 };

	for (int i = 0; i < 2; i++) {
		struct trace_builder *b = begin();
		const struct finding_segment *s;
		struct findings *f;

		other_runs_from(b, 105 * MS, FP_TASK_TARGET, "worker");
		sleep_and_wake(b, FUTEX_SLEEP);
		tb_cpu(b, 0);
		tb_at(b, 156 * MS);
		tb_futex(b, 10, 110 * MS - 1000, 0x7f0000001000, ops[i], 0);
		f = end(b);
		assert_int_equal(ledger_ns(&f->windows[0], "futex.contended"),
				 ops[i] == 128 ? 40 * MS : 0);
		s = path_of(&f->windows[0], ops[i] == 128 ? "futex.contended" : "user.cpu");
		assert_non_null(s);
		if (ops[i] == 128) {
			assert_non_null(strstr(s->via, "held by worker/20"));
			assert_false(thread_of(&f->windows[0], OTHER)->passive);
		}
		findings__free(f);
		tb__free(b);
	}
}

/* The user stack is surer than the operation. */
static void stack_tells_a_mutex(void **state)
{
	struct trace_builder *b = begin();
	struct findings *f;

	other_runs_from(b, 105 * MS, FP_TASK_TARGET, "worker");
	sleep_and_wake(b, FUTEX_SLEEP);
	tb_cpu(b, 0);
	tb_at(b, 156 * MS);
	tb_sleep_ustack(b, 10, 110 * MS, 10, "__lll_lock_wait;pthread_mutex_lock;main");
	tb_futex(b, 10, 110 * MS - 1000, 0x7f0000001000, 137, 0);
	f = end(b);
	assert_int_equal(ledger_ns(&f->windows[0], "futex.contended"), 40 * MS);
	findings__free(f);
	tb__free(b);
}

/* Woken by a timer, an unknown sleep is one for a set time; a throttle stays what it is. */
static void timers(void **state)
{
	static const char *const stacks[] = { FUTEX_SLEEP, DIRTY_SLEEP, NULL };
	static const char *const causes[] = { "timer.sleep", "writeback.dirty_throttle",
					      "timer.sleep" };

	for (int i = 0; i < 3; i++) {
		struct trace_builder *b = begin();
		struct findings *f;

		tb_at(b, 110 * MS);
		tb_block(b, 10, TB_INTERRUPTIBLE);
		tb_at(b, 150 * MS);
		tb_wake_timer(b, 10, "hrtimer_wakeup");
		tb_resume(b, 10, stacks[i], 0);
		f = end(b);
		assert_int_equal(ledger_ns(&f->windows[0], causes[i]), 40 * MS);
		findings__free(f);
		tb__free(b);
	}
}

/* Interrupts take the CPU from whoever runs: that time is theirs. */
static void interrupts_steal(void **state)
{
	struct trace_builder *b = begin();
	struct findings *f;

	tb_at(b, 120 * MS);
	tb_irq(b, 10, 118 * MS, 33);
	tb_at(b, 125 * MS);
	tb_softirq(b, 10, 122 * MS, 4);
	f = end(b);
	assert_int_equal(ledger_ns(&f->windows[0], "cpu.irq_steal"), 5 * MS);
	assert_int_equal(ledger_ns(&f->windows[0], "user.cpu"), 95 * MS);
	assert_int_equal(thread_of(&f->windows[0], 10)->running_kernel_ns, 5 * MS);
	findings__free(f);
	tb__free(b);
}

static void lock_spans(void **state)
{
	struct trace_builder *b = begin();
	struct findings *f;

	tb_at(b, 130 * MS);
	tb_lock(b, 10, 110 * MS, 0xffff888000001000, 1);
	f = end(b);
	assert_int_equal(ledger_ns(&f->windows[0], "lock.spin"), 20 * MS);
	findings__free(f);
	tb__free(b);
}

/* Who had the CPU meanwhile is told by the switches of that CPU, not by the last one alone. */
static void occupants(void **state)
{
	struct trace_builder *b = begin();
	const struct finding_segment *s;
	struct findings *f;

	tb_sleeper(b, OTHER, 10, "vcpu", FP_TASK_TARGET, TB_INTERRUPTIBLE, FUTEX_SLEEP);
	tb_sleeper(b, 30, 30, "kworker/0:1", FP_TASK_KTHREAD, TB_INTERRUPTIBLE, NULL);
	tb_at(b, 110 * MS);
	tb_preempt(b, 10, OTHER);
	tb_at(b, 120 * MS);
	tb_preempt(b, OTHER, 30);
	tb_at(b, 125 * MS);
	tb_switch(b, 30, TB_INTERRUPTIBLE, 999, 0, 0, 0);
	tb_at(b, 132 * MS);
	tb_switch(b, 999, 0, 10, EV_SWITCH_PREEMPT, 0, 0);
	f = end(b);
	assert_int_equal(ledger_ns(&f->windows[0], "cpu.runqueue.self"), 10 * MS);
	assert_int_equal(ledger_ns(&f->windows[0], "cpu.runqueue.kthread"), 5 * MS);
	assert_int_equal(ledger_ns(&f->windows[0], "cpu.runqueue.other"), 7 * MS);
	s = path_of(&f->windows[0], "cpu.runqueue.kthread");
	assert_string_equal(s->via, "behind kworker/0:1/30");
	assert_string_equal(path_of(&f->windows[0], "cpu.runqueue.other")->via, "behind tid 999");
	findings__free(f);
	tb__free(b);
}

static void quota(void **state)
{
	struct trace_builder *b = begin();
	struct findings *f;

	tb_at(b, 110 * MS);
	tb_preempt(b, 10, 0);
	tb_at(b, 150 * MS);
	tb_resume_throttled(b, 10, 40 * MS);
	f = end(b);
	assert_int_equal(ledger_ns(&f->windows[0], "cpu.runqueue.quota"), 40 * MS);
	findings__free(f);
	tb__free(b);
}

/*
 * A commit that is waited for is named by its phase, through whatever the journal's thread waits
 * for; but a throttle that it stands in is the cause.
 */
static void commit_phases(void **state)
{
	struct trace_builder *b = begin();
	const struct finding_window *w;
	struct findings *f;

	tb_cpu(b, 1);
	tb_at(b, 100 * MS + 1);
	tb_sleeper(b, JOURNAL, JOURNAL, "jbd2/loop0-8", FP_TASK_KTHREAD, TB_INTERRUPTIBLE,
		   "kjournald2");
	tb_cpu(b, 0);
	tb_at(b, 110 * MS);
	tb_wake(b, 10, JOURNAL);
	tb_block(b, 10, TB_UNINTERRUPTIBLE);
	tb_cpu(b, 1);
	tb_at(b, 111 * MS);
	tb_run_thread(b, JOURNAL);
	tb_point(b, JOURNAL, FP_POINT_JBD2_START, MEM_DEV, 5, 0, 0);
	tb_point(b, JOURNAL, FP_POINT_JBD2_LOCKING, MEM_DEV, 5, 0, 0);
	tb_at(b, 115 * MS);
	tb_point(b, JOURNAL, FP_POINT_JBD2_FLUSHING, MEM_DEV, 5, 0, 0);
	tb_at(b, 125 * MS);
	tb_point(b, JOURNAL, FP_POINT_JBD2_LOGGING, MEM_DEV, 5, 0, 0);
	tb_at(b, 126 * MS);
	tb_block(b, JOURNAL, TB_UNINTERRUPTIBLE);
	tb_at(b, 136 * MS);
	tb_wake_io(b, JOURNAL, 7);
	tb_resume(b, JOURNAL, COMMIT_SLEEP, 0);
	tb_block(b, JOURNAL, TB_UNINTERRUPTIBLE);
	tb_at(b, 146 * MS);
	tb_wake_io(b, JOURNAL, 8);
	tb_resume(b, JOURNAL, WBT_SLEEP, 0);
	tb_at(b, 150 * MS);
	tb_point(b, JOURNAL, FP_POINT_JBD2_END, MEM_DEV, 5, 0, 0);
	tb_wake(b, JOURNAL, 10);
	tb_at(b, 150 * MS + 1000);
	tb_block(b, JOURNAL, TB_INTERRUPTIBLE);
	tb_cpu(b, 0);
	tb_at(b, 150 * MS + 1);
	tb_resume(b, 10, COMMIT_WAIT, 0);
	f = end(b);
	w = &f->windows[0];
	assert_int_equal(ledger_ns(w, "cpu.runqueue.idle_exit"), 1 * MS + 1);
	assert_int_equal(ledger_ns(w, "jbd2.commit_locked"), 4 * MS);
	assert_int_equal(ledger_ns(w, "jbd2.commit_flush"), 10 * MS);
	assert_int_equal(ledger_ns(w, "jbd2.commit_log"), (1 + 10 + 4) * MS);
	assert_int_equal(ledger_ns(w, "io.throttle.wbt"), 10 * MS);
	assert_string_equal(path_of(w, "jbd2.commit_flush")->via, "jbd2.commit_wait of vmm/10");
	assert_string_equal(path_of(w, "jbd2.commit_flush")->actor, "jbd2/loop0-8/77");
	findings__free(f);
	tb__free(b);
}

/* Forked in the window, its parent was about to make it; dead, and its number used again. */
static void born_on_the_path(void **state)
{
	struct trace_builder *b = begin();
	struct findings *f;

	tb_at(b, 110 * MS);
	tb_cpu(b, 1);
	tb_at(b, 120 * MS);
	tb_fork(b, 30, OTHER, OTHER, "kthread");
	tb_run_thread(b, OTHER);
	tb_cpu(b, 0);
	tb_at(b, 110 * MS);
	tb_block(b, 10, TB_INTERRUPTIBLE);
	tb_cpu(b, 1);
	tb_at(b, 150 * MS);
	tb_wake(b, OTHER, 10);
	tb_exit(b, OTHER, OTHER, "kthread");
	tb_switch(b, OTHER, 0x80, 0, 0, 0, 0);
	tb_cpu(b, 0);
	tb_pass(b, 1);
	tb_resume(b, 10, PIPE_SLEEP, 0);
	tb_cpu(b, 1);
	tb_at(b, 160 * MS);
	tb_thread(b, OTHER, OTHER, "second", 0);
	tb_at(b, 170 * MS);
	tb_block(b, OTHER, TB_INTERRUPTIBLE);
	tb_cpu(b, 0);
	f = end(b);
	assert_int_equal(ledger_ns(&f->windows[0], "ipc.wait"), 10 * MS);
	assert_string_equal(path_of(&f->windows[0], "ipc.wait")->actor, "kthread/20");
	findings__free(f);
	tb__free(b);
}

/* Three waiters that the path releases at its end: with and without them, it is the same path. */
static struct findings *with_waiters(struct trace_builder *b, int cnt)
{
	other_runs_from(b, 105 * MS, FP_TASK_TARGET, "worker");
	tb_cpu(b, 2);
	for (int i = 0; i < cnt; i++) {
		tb_at(b, 101 * MS + i);
		tb_sleeper(b, 40 + i, 10, "waiter", FP_TASK_TARGET, TB_INTERRUPTIBLE, FUTEX_SLEEP);
	}
	sleep_and_wake(b, PIPE_SLEEP);
	for (int i = 0; i < cnt; i++) { /* the first by the path, each by the one before it */
		tb_cpu(b, i ? 2 : 0);
		tb_at(b, (190 + 2 * i) * MS);
		tb_wake(b, i ? 40 + i - 1 : 10, 40 + i);
		tb_cpu(b, 2);
		tb_at(b, (190 + 2 * i) * MS + 1);
		if (i)
			tb_block(b, 40 + i - 1, TB_INTERRUPTIBLE);
		tb_resume(b, 40 + i, FUTEX_SLEEP, 0);
	}
	tb_cpu(b, 0);
	return end(b);
}

static void passive_threads_change_nothing(void **state)
{
	struct trace_builder *with = begin(), *without = begin();
	struct findings *f = with_waiters(with, 3), *g = with_waiters(without, 0);
	const struct finding_window *w = &f->windows[0], *v = &g->windows[0];

	for (uint32_t i = 0; i < 3; i++)
		assert_true(thread_of(w, 40 + i)->passive);
	assert_false(thread_of(w, 10)->passive);
	assert_false(thread_of(w, OTHER)->passive);
	assert_int_equal(w->ledger_cnt, v->ledger_cnt);
	for (size_t i = 0; i < w->ledger_cnt; i++) {
		assert_string_equal(w->ledger[i].cause, v->ledger[i].cause);
		assert_int_equal(w->ledger[i].ns, v->ledger[i].ns);
	}
	assert_int_equal(w->path_cnt, v->path_cnt);
	findings__free(f);
	findings__free(g);
	tb__free(with);
	tb__free(without);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(handoff_to_a_foreign_process),
		cmocka_unit_test(waker_that_was_not_followed),
		cmocka_unit_test(kernel_lock_names_its_holder),
		cmocka_unit_test(mutex_or_call),
		cmocka_unit_test(stack_tells_a_mutex),
		cmocka_unit_test(timers),
		cmocka_unit_test(interrupts_steal),
		cmocka_unit_test(lock_spans),
		cmocka_unit_test(occupants),
		cmocka_unit_test(quota),
		cmocka_unit_test(commit_phases),
		cmocka_unit_test(born_on_the_path),
		cmocka_unit_test(passive_threads_change_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
