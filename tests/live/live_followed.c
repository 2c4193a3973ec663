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

static void wakes_of_timers_have_no_waker(void **state)
{
	const struct ev_wake *w;
	struct recorded r;
	size_t pos = 0, timers = 0;

	record_it(&r, sleep_by_nanosleep);
	while ((w = recorded__next(&r, &pos, EV_WAKE, 0)))
		timers += w->wakee_tid == (uint32_t)told(&r)->tid && w->h.ctx == EV_CTX_HARDIRQ;
	assert_true(timers >= 1);
	recorded__free(&r);
}

/* The journal's thread wakes the fsync: it is no target, and yet must be followed. */
static void wakers_become_neighbours(void **state)
{
	const struct ev_task_state *t;
	struct recorded r;
	uint32_t jbd2 = 0;
	size_t pos = 0;

	if (!getenv("FLATPAUSE_EXT4"))
		skip();
	record_it(&r, sync_file);
	while ((t = recorded__next(&r, &pos, EV_TASK, 0)) && !jbd2)
		if ((t->flags & FP_TASK_KTHREAD) && !strncmp(t->comm, "jbd2/loop", 9) &&
		    was_woken_by(&r, told(&r)->tid, t->h.tid))
			jbd2 = t->h.tid;
	assert_int_not_equal(jbd2, 0);
	assert_true(recorded__count(&r, EV_SWITCH, jbd2) >= 1);
	assert_int_equal(recorded__count(&r, EV_SYSCALL, jbd2), 0);
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

/* What the loop device does for the fsync is queued, and executed by a worker that is followed. */
static void work_items_lead_to_who_queued_them(void **state)
{
	const struct ev_work *queue = NULL, *start, *end;
	struct recorded r;
	size_t pos = 0;

	if (!getenv("FLATPAUSE_EXT4"))
		skip();
	record_it(&r, sync_file);
	if (!recorded__count(&r, EV_WORK, 0)) {
		print_message("no workqueue tracepoints on this machine\n");
		skip();
	}
	while ((queue = find_item(&r, &pos, FP_WORK_QUEUE, 0)))
		if (text_begins(queue->func, "loop_"))
			break;
	assert_non_null(queue);
	start = find_item(&r, &pos, FP_WORK_START, queue->work);
	assert_non_null(start);
	assert_int_equal(start->func, queue->func);
	assert_true(is_kthread(&r, start->h.tid));
	assert_true(recorded__count(&r, EV_SWITCH, start->h.tid) >= 1);
	end = find_item(&r, &pos, FP_WORK_END, queue->work);
	assert_non_null(end);
	assert_int_equal(end->h.tid, start->h.tid);
	assert_int_equal(end->func, start->func);
	assert_true(queue->h.ts_ns <= start->h.ts_ns && start->h.ts_ns <= end->h.ts_ns);
	recorded__free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wakes_of_timers_have_no_waker),
		cmocka_unit_test(wakers_become_neighbours),
		cmocka_unit_test(kernel_threads_are_followed_from_the_start),
		cmocka_unit_test(new_kernel_threads_are_followed),
		cmocka_unit_test(work_items_lead_to_who_queued_them),
	};

	log_init("live_followed", LOG_NORMAL);
	return cmocka_run_group_tests_name("followed", tests, NULL, NULL);
}
