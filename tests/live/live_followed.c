// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Who else is recorded beside the targets, and what led to it: kernel threads, their work items,
 * wakers. Run by test_capture.sh, as live_capture.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "checked.h"
#include "user/log.h"

static const struct ev_task_state *find_task(const struct recorded *r, uint32_t tid)
{
	size_t pos = 0;

	return recorded__next(r, &pos, EV_TASK, tid);
}

/* How often `tid` was woken by a timer function whose name begins so, in that context */
static size_t count_timer_wakes(const struct recorded *r, uint32_t tid, uint8_t ctx,
				const char *function)
{
	const struct ev_wake *w;
	size_t pos = 0, wakes = 0;

	while ((w = recorded__next(r, &pos, EV_WAKE, 0)))
		wakes += w->wakee_tid == tid && w->h.ctx == ctx && (w->flags & EV_WAKE_BY_TIMER) &&
			 text_begins(w->cause, function);
	return wakes;
}

static void wakes_of_timers_name_their_function(void **state)
{
	struct recorded r;

	need_probe("timer", "hrtimer_expire_entry");
	record_it(&r, sleep_by_nanosleep);
	assert_true(count_timer_wakes(&r, told(&r)->tid, EV_CTX_HARDIRQ, "hrtimer_wakeup") >= 1);
	recorded__free(&r);
	record_it(&r, sleep_by_socket);
	assert_true(count_timer_wakes(&r, told(&r)->tid, EV_CTX_SOFTIRQ, "process_timeout") >= 1);
	recorded__free(&r);
}

static void wakes_of_threads_are_not_those_of_timers(void **state)
{
	const struct ev_wake *w;
	struct recorded r;
	size_t pos = 0;

	record_it(&r, sleep_by_futex);
	assert_true(was_woken_by(&r, told(&r)->tid, told(&r)->other_tid));
	while ((w = recorded__next(&r, &pos, EV_WAKE, told(&r)->other_tid)))
		if (w->h.ctx == EV_CTX_TASK)
			assert_int_equal(w->flags, 0);
	recorded__free(&r);
}

/* A stranger that wakes a target, here the child that ends, is followed from then on. */
static void wakers_become_neighbours(void **state)
{
	const struct ev_task_state *child;
	struct recorded r;

	record_it(&r, make_child);
	assert_true(was_woken_by(&r, told(&r)->tid, told(&r)->other_tid));
	child = find_task(&r, told(&r)->other_tid);
	assert_non_null(child);
	assert_int_equal(child->flags, 0);
	assert_true(recorded__count(&r, EV_SWITCH, told(&r)->other_tid) >= 1);
	assert_int_equal(recorded__count(&r, EV_SYSCALL, told(&r)->other_tid), 0);
	recorded__free(&r);
}

/* The journal's thread of the test's device as it was introduced the n-th time; NULL = it was not. */
static const struct ev_task_state *find_journal(const struct recorded *r, int n)
{
	const struct ev_task_state *t;
	char name[32];
	size_t pos = 0;

	snprintf(name, sizeof(name), "jbd2/loop%u-", told(r)->dev & 0xfffff);
	while ((t = recorded__next(r, &pos, EV_TASK, 0)))
		if ((t->flags & FP_TASK_KTHREAD) && !strncmp(t->comm, name, strlen(name)) &&
		    --n < 0)
			return t;
	return NULL;
}

/* A kernel thread that never wakes a target has its switches and stacks all the same. */
static void kernel_threads_are_followed_from_the_start(void **state)
{
	const struct ev_task_state *jbd2;
	const struct ev_switch *s;
	struct recorded r;
	size_t pos = 0, with_stack = 0;

	if (!getenv("FLATPAUSE_EXT4"))
		skip();
	record_it(&r, let_child_sync);
	jbd2 = find_journal(&r, 0);
	assert_non_null(jbd2);
	assert_false(was_woken_by(&r, told(&r)->tid, jbd2->h.tid));
	assert_true(recorded__count(&r, EV_SWITCH, jbd2->h.tid) >= 1);
	while ((s = recorded__next(&r, &pos, EV_SWITCH, 0)))
		with_stack += s->next_tid == jbd2->h.tid && (s->flags & EV_SWITCH_STACK_NEXT) &&
			      recorded__stack(&r, s->kstack_id);
	assert_true(with_stack >= 1);
	recorded__free(&r);
}

/* A journal that is mounted meanwhile has a new thread. */
static void new_kernel_threads_are_followed(void **state)
{
	const struct ev_task_state *before, *after;
	struct recorded r;

	if (!getenv("FLATPAUSE_EXT4"))
		skip();
	record_it(&r, mount_again);
	before = find_journal(&r, 0);
	after = find_journal(&r, 1);
	assert_non_null(before);
	assert_non_null(after);
	assert_int_not_equal(before->h.tid, after->h.tid);
	assert_true(recorded__count(&r, EV_SWITCH, after->h.tid) >= 1);
	recorded__free(&r);
}

static const struct ev_work *find_item(const struct recorded *r, size_t *pos, uint16_t act,
				       uint64_t work)
{
	const struct ev_work *w;

	while ((w = recorded__next(r, pos, EV_WORK, 0)))
		if (w->act == act && (!work || w->work == work))
			return w;
	return NULL;
}

static bool is_kthread(const struct recorded *r, uint32_t tid)
{
	const struct ev_task_state *t;
	size_t pos = 0;

	while ((t = recorded__next(r, &pos, EV_TASK, tid)))
		if (t->flags & FP_TASK_KTHREAD)
			return true;
	return false;
}

/* Whether an item is queued, executed and ended from *pos on; *pos is then behind its queueing. */
static bool find_whole_item(const struct recorded *r, size_t *pos, const char *function)
{
	const struct ev_work *queue, *start, *end;
	size_t at;

	while ((queue = find_item(r, pos, FP_WORK_QUEUE, 0))) {
		if (!text_begins(queue->func, function))
			continue;
		at = *pos;
		start = find_item(r, &at, FP_WORK_START, queue->work);
		end = start ? find_item(r, &at, FP_WORK_END, queue->work) : NULL;
		if (!end) /* the recording ended before it */
			continue;
		assert_int_equal(start->func, queue->func);
		assert_int_equal(end->func, queue->func);
		assert_int_equal(end->h.tid, start->h.tid);
		assert_true(queue->h.ts_ns <= start->h.ts_ns);
		assert_true(start->h.ts_ns <= end->h.ts_ns);
		assert_true(is_kthread(r, start->h.tid));
		assert_true(recorded__count(r, EV_SWITCH, start->h.tid) >= 1);
		return true;
	}
	return false;
}

/* What the loop device does for the fsync is queued, and executed by a worker that is followed. */
static void work_items_lead_to_who_queued_them(void **state)
{
	struct recorded r;
	size_t pos = 0;

	if (!getenv("FLATPAUSE_EXT4"))
		skip();
	need_probe("work", "workqueue_queue_work");
	record_it(&r, sync_file);
	assert_true(find_whole_item(&r, &pos, "loop_"));
	recorded__free(&r);
}

/* The first switch that gave `tid` a CPU that it had waited 1 ms for */
static const struct ev_switch *long_wait(const struct recorded *r, size_t *pos, uint32_t tid)
{
	const struct ev_switch *s;

	while ((s = recorded__next(r, pos, EV_SWITCH, 0)))
		if (s->next_tid == tid && (s->flags & EV_SWITCH_RUN_DELAY) &&
		    s->run_delay_ns >= 1000000)
			return s;
	return NULL;
}

/* A stranger that does nothing but hold the CPU has a name, and it is not said to be quota. */
static void who_held_the_cpu_is_named(void **state)
{
	const struct ev_task_state *hog;
	const struct ev_switch *s;
	struct recorded r;
	size_t pos = 0, waits = 0;

	record_it(&r, share_a_cpu);
	hog = find_task(&r, told(&r)->other_tid);
	assert_non_null(hog);
	assert_string_equal(hog->comm, HOG_NAME);
	/* and not for its last breath, which wakes the target */
	assert_true(hog->h.ts_ns < told(&r)->address);
	while ((s = long_wait(&r, &pos, told(&r)->tid))) {
		waits++;
		assert_false(s->flags & EV_SWITCH_THROTTLED);
	}
	assert_true(waits >= 1);
	recorded__free(&r);
}

static void waits_for_quota_are_told(void **state)
{
	const struct ev_switch *s;
	struct recorded r;
	size_t pos = 0, waits = 0;

	if (!getenv("FLATPAUSE_GROUP")) {
		print_message("no CPU group with a quota can be made here\n");
		skip();
	}
	record_it(&r, run_out_of_quota);
	while ((s = long_wait(&r, &pos, told(&r)->tid)))
		waits += (s->flags & EV_SWITCH_THROTTLED) != 0;
	assert_true(waits >= 2);
	recorded__free(&r);
}

#define AGAIN_AFTER_NS 50000000

/* The child is no target, and nothing but what it writes is known of it. */
static void who_makes_an_inode_dirty_is_told(void **state)
{
	const struct ev_task_state *writer;
	const struct ev_point *p;
	struct recorded r;
	uint64_t first_ns = 0, last_ns = 0;
	size_t pos = 0;

	if (!getenv("FLATPAUSE_EXT4"))
		skip();
	need_probe("dirtier", "writeback_mark_inode_dirty");
	record_it(&r, let_child_sync);
	while ((p = recorded__next(&r, &pos, EV_POINT, told(&r)->other_tid))) {
		if (p->op != FP_POINT_INODE_DIRTY || p->id != told(&r)->ino)
			continue;
		assert_int_equal(p->dev, told(&r)->dev);
		assert_true(!last_ns || p->h.ts_ns - last_ns >= AGAIN_AFTER_NS);
		last_ns = p->h.ts_ns;
		first_ns = first_ns ? first_ns : last_ns;
	}
	assert_int_not_equal(first_ns, 0);
	writer = find_task(&r, told(&r)->other_tid);
	assert_non_null(writer);
	assert_string_equal(writer->comm, "live_followed");
	/* and not only when its end woke the target */
	assert_true(writer->h.ts_ns <= first_ns);
	assert_int_equal(recorded__count(&r, EV_SYSCALL, told(&r)->other_tid), 0);
	recorded__free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wakes_of_timers_name_their_function),
		cmocka_unit_test(wakes_of_threads_are_not_those_of_timers),
		cmocka_unit_test(wakers_become_neighbours),
		cmocka_unit_test(kernel_threads_are_followed_from_the_start),
		cmocka_unit_test(new_kernel_threads_are_followed),
		cmocka_unit_test(work_items_lead_to_who_queued_them),
		cmocka_unit_test(who_held_the_cpu_is_named),
		cmocka_unit_test(waits_for_quota_are_told),
		cmocka_unit_test(who_makes_an_inode_dirty_is_told),
	};

	log_init("live_followed", LOG_NORMAL);
	return cmocka_run_group_tests_name("followed", tests, NULL, NULL);
}
