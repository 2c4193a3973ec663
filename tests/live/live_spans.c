// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What takes a thread's time with a begin and an end: file system, locks, interrupts. Run by
 * test_capture.sh, as live_capture.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "checked.h"
#include "user/log.h"

static const struct ev_span *find_span(const struct recorded *r, uint16_t op)
{
	const struct ev_span *s;
	size_t pos = 0;

	while ((s = recorded__next(r, &pos, EV_SPAN, told(r)->tid)))
		if (s->op == op && s->ino == told(r)->ino && s->dev == told(r)->dev)
			return s;
	return NULL;
}

/*
 * Every request of the device that completes was issued before, and none completes twice. An
 * empty one is a flush: the flush machinery issues another request in its place.
 */
static void check_requests(const struct recorded *r, uint64_t begin_ns, uint64_t end_ns)
{
	size_t completed = 0;

	for (size_t i = 0; i < r->events_cnt; i++) {
		const struct ev_rq *done = (const void *)r->events[i];
		bool issued = false;

		if (done->h.kind != EV_RQ || done->dev != told(r)->dev ||
		    FP_ACT(done->rq_act) != FP_RQ_COMPLETE || !done->bytes ||
		    done->h.ts_ns < begin_ns || done->h.ts_ns > end_ns)
			continue;
		completed++;
		for (size_t j = i; j-- > 0 && !issued;) {
			const struct ev_rq *e = (const void *)r->events[j];

			if (e->h.kind != EV_RQ || FP_ID(e->rq_act) != FP_ID(done->rq_act) ||
			    e->dev != done->dev)
				continue;
			if (FP_ACT(e->rq_act) == FP_RQ_COMPLETE)
				break;
			issued = FP_ACT(e->rq_act) == FP_RQ_ISSUE;
		}
		assert_true(issued);
	}
	assert_true(completed >= 1);
}

static void fsync_has_span_and_requests(void **state)
{
	const char *dir = getenv("FLATPAUSE_EXT4");
	const struct ev_span *sync, *alloc, *pages;
	struct recorded r;

	if (!dir)
		skip();
	record_it(&r, sync_file);
	sync = find_span(&r, FP_SPAN_EXT4_SYNC);
	assert_non_null(sync);
	assert_int_equal(sync->value_lo, 0);
	assert_true(sync->begin_ns < sync->h.ts_ns);
	alloc = find_span(&r, FP_SPAN_EXT4_ALLOC);
	assert_non_null(alloc);
	assert_true(alloc->value_lo >= 1);
	pages = find_span(&r, FP_SPAN_EXT4_WRITEPAGES);
	assert_non_null(pages);
	assert_int_equal(pages->value_lo, 256);
	/* allocation happens in writing out, which happens in the sync */
	assert_true(sync->begin_ns <= pages->begin_ns && pages->begin_ns <= alloc->begin_ns);
	assert_true(alloc->h.ts_ns <= pages->h.ts_ns && pages->h.ts_ns <= sync->h.ts_ns);
	assert_non_null(find_span(&r, FP_SPAN_EXT4_TRUNCATE));
	assert_non_null(find_span(&r, FP_SPAN_EXT4_FALLOCATE));
	check_requests(&r, sync->begin_ns, sync->h.ts_ns);
	recorded__free(&r);
}

static const struct ev_extents *find_extents(const struct recorded *r, uint16_t act, size_t *cnt)
{
	const struct ev_extents *e, *found = NULL;
	size_t pos = 0;

	*cnt = 0;
	while ((e = recorded__next(r, &pos, EV_EXTENTS, told(r)->tid)))
		if (e->act == act && e->ino == told(r)->ino && e->dev == told(r)->dev) {
			found = e;
			++*cnt;
		}
	return found;
}

/* Written, cut to nothing, preallocated, deleted: the last one is no loss of what was preallocated. */
static void blocks_in_advance_are_told_with_names(void **state)
{
	const struct ev_extents *made, *freed;
	const struct ev_point *p, *last = NULL;
	size_t pos = 0, cnt;
	struct recorded r;

	if (!getenv("FLATPAUSE_EXT4"))
		skip();
	record_it(&r, sync_file);
	freed = find_extents(&r, FP_EXTENTS_FREED, &cnt);
	assert_int_equal(cnt, 1);
	assert_int_equal(freed->call, FP_SYS_FTRUNCATE);
	assert_true(freed->bytes >= 1 << 20);
	made = find_extents(&r, FP_EXTENTS_MADE, &cnt);
	assert_int_equal(cnt, 1);
	assert_int_equal(made->call, FP_SYS_FALLOCATE);
	assert_int_equal(made->bytes, 1 << 20);
	assert_true(made->held_bytes >= 1 << 20 && made->held_bytes < 2 << 20);
	assert_int_equal(made->tgid, r.pid);
	assert_string_equal(made->comm, "live_spans");
	assert_string_equal(made->name, "file");
	assert_true(made->dir[0]);
	assert_true(freed->h.ts_ns < made->h.ts_ns);
	while ((p = recorded__next(&r, &pos, EV_POINT, told(&r)->tid)))
		if (p->op == FP_POINT_EXT4_TRUNCATE_ALL && p->id == told(&r)->ino)
			last = p;
	assert_non_null(last);
	assert_int_equal(last->b, 1);
	assert_true(last->h.ts_ns > made->h.ts_ns);
	recorded__free(&r);
}

#define LCB_F_WRITE 4

/* One of the two threads waits for the lock of the inode while the other one holds it. */
static void waits_for_a_lock_have_begin_and_end(void **state)
{
	const struct ev_span *s;
	struct recorded r;
	size_t pos = 0, waits = 0;

	need_probe("lock", "contention_begin");
	record_it(&r, write_in_turn);
	while ((s = recorded__next(&r, &pos, EV_SPAN, 0))) {
		if (s->op != FP_SPAN_LOCK || (s->h.tid != (uint32_t)told(&r)->tid &&
					      s->h.tid != (uint32_t)told(&r)->other_tid))
			continue;
		assert_int_not_equal(s->ino, 0);
		assert_true(s->begin_ns < s->h.ts_ns);
		/* longer than a few us, it slept */
		waits += (s->value_lo & LCB_F_WRITE) && s->h.ts_ns - s->begin_ns > 100000;
	}
	assert_true(waits >= 1);
	recorded__free(&r);
}

/* Two seconds on a CPU are never without a timer interrupt that has work to do. */
static void interrupts_that_take_the_cpu_are_spans(void **state)
{
	uint64_t last_ns[FP_SPAN_END] = { 0 };
	const struct ev_span *s;
	struct recorded r;
	size_t pos = 0, stolen = 0;

	need_probe("interrupt", "softirq_entry");
	record_it(&r, burn);
	while ((s = recorded__next(&r, &pos, EV_SPAN, told(&r)->tid))) {
		if (s->op != FP_SPAN_IRQ && s->op != FP_SPAN_SOFTIRQ)
			continue;
		assert_int_equal(s->h.ctx, s->op == FP_SPAN_IRQ ? EV_CTX_HARDIRQ : EV_CTX_SOFTIRQ);
		assert_true(s->begin_ns < s->h.ts_ns && s->begin_ns >= last_ns[s->op]);
		last_ns[s->op] = s->h.ts_ns;
		stolen++;
	}
	assert_true(stolen >= 1);
	recorded__free(&r);
}

static void compaction_is_a_span(void **state)
{
	const struct ev_span *s;
	struct recorded r;
	size_t pos = 0, spans = 0;

	need_probe("memory", "mm_compaction_begin");
	if (access("/proc/sys/vm/compact_memory", W_OK)) {
		print_message("this kernel does not compact memory\n");
		skip();
	}
	record_it(&r, compact_memory);
	while ((s = recorded__next(&r, &pos, EV_SPAN, told(&r)->tid)))
		spans += s->op == FP_SPAN_COMPACT && s->begin_ns < s->h.ts_ns;
	assert_true(spans >= 1);
	recorded__free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fsync_has_span_and_requests),
		cmocka_unit_test(blocks_in_advance_are_told_with_names),
		cmocka_unit_test(waits_for_a_lock_have_begin_and_end),
		cmocka_unit_test(interrupts_that_take_the_cpu_are_spans),
		cmocka_unit_test(compaction_is_a_span),
	};

	log_init("live_spans", LOG_NORMAL);
	return cmocka_run_group_tests_name("spans", tests, NULL, NULL);
}
