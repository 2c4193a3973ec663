// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Every group of causes: what grew is named, the usual suspects are rejected, a twin names nothing. */
#include "verdict_cases.h"

struct group_case {
	const char *cause;
	struct row rows[ROWS_MAX];
};

/* The first row is what the fault makes; the others are there with and without it. */
#define BASE                                                                                     \
	{ "user.cpu", 3, 3.4 }, { "kernel.cpu_other", 2, 2.2 }, { "io.device_service", 9, 9.5 }, \
	{                                                                                        \
		"cpu.runqueue.self", 1, 2                                                        \
	}

static const struct group_case groups[] = {
	{ "io.throttle.wbt", { { "io.throttle.wbt", 0.2, 900 }, BASE } },
	{ "io.throttle.blk", { { "io.throttle.blk", 0, 400 }, BASE } },
	{ "io.tag_wait", { { "io.tag_wait", 0, 120 }, BASE } },
	{ "io.flush", { { "io.flush", 4, 310 }, BASE } },
	{ "fs.writeback_wait", { { "fs.writeback_wait", 3, 250 }, BASE } },
	{ "writeback.dirty_throttle", { { "writeback.dirty_throttle", 0, 1200 }, BASE } },
	{ "jbd2.commit_wait", { { "jbd2.commit_wait", 2, 700 }, BASE } },
	{ "jbd2.checkpoint", { { "jbd2.checkpoint", 0, 90 }, BASE } },
	{ "ext4.alloc", { { "ext4.alloc", 1, 610 }, BASE } },
	{ "fs.truncate_punch", { { "fs.truncate_punch", 0, 150 }, BASE } },
	{ "lock.inode", { { "lock.inode", 0, 220 }, BASE } },
	{ "lock.mmap", { { "lock.mmap", 0.1, 80 }, BASE } },
	{ "lock.percpu", { { "lock.percpu", 0, 500 }, BASE } },
	{ "futex.contended", { { "futex.contended", 0, 300 }, BASE } },
	{ "ipc.wait", { { "ipc.wait", 0.5, 260 }, BASE } },
	{ "timer.sleep", { { "timer.sleep", 0, 200 }, BASE } },
	{ "cpu.runqueue.other", { { "cpu.runqueue.other", 0.3, 180 }, BASE } },
	{ "cpu.runqueue.quota", { { "cpu.runqueue.quota", 0, 350 }, BASE } },
	{ "cpu.irq_steal", { { "cpu.irq_steal", 0.1, 60 }, BASE } },
	{ "mm.memcg", { { "mm.memcg", 0, 800 }, BASE } },
	{ "mm.reclaim", { { "mm.reclaim", 0, 90 }, BASE } },
	{ "mm.fault.userfault", { { "mm.fault.userfault", 0, 240 }, BASE } },
	{ "mm.fault.file_read", { { "mm.fault.file_read", 2, 330 }, BASE } },
	{ "kvm.dirty_log", { { "kvm.dirty_log", 1, 140 }, BASE } },
	{ "fanotify.wait", { { "fanotify.wait", 0, 500 }, BASE } },
	{ "other_fs.fuse", { { "other_fs.fuse", 0, 1000 }, BASE } },
	{ "signal.stop", { { "signal.stop", 0, 600 }, BASE } },
	{ "wq.latency", { { "wq.latency", 0.1, 70 }, BASE } },
	{ "kernel.rcu_gp", { { "kernel.rcu_gp", 0, 60 }, BASE } },
	{ "user.cpu", { { "user.cpu", 3, 190 }, { "io.device_service", 9, 9.5 } } },
	{ "kernel.cpu_other", { { "kernel.cpu_other", 2, 170 }, { "user.cpu", 3, 3.4 } } },
	{ "fs.copy", { { "fs.copy", 10, 95 }, { "user.cpu", 3, 3.4 } } },
	{ "unknown.no_waker", { { "unknown.no_waker", 0, 300 }, BASE } },
};
#define GROUPS (sizeof(groups) / sizeof(groups[0]))

static void what_grew_is_named(void **state)
{
	for (size_t i = 0; i < GROUPS; i++) {
		const struct finding_verdict *v;
		struct analysis a;

		begin_case(&a, 2, 8, 5, groups[i].rows);
		judge(&a);
		v = &a.f->verdict;
		assert_string_equal(v->cause, groups[i].cause);
		assert_int_equal(v->basis, VERDICT_GROWTH);
		assert_in_range((int)(100 * v->share), 90, 100);
		assert_true(v->confidence > 0 && v->confidence <= v->share);
		assert_true(says(&a, "Pauses grew"));
		assert_true(says(&a, "from window 5 on"));
		assert_true(says(&a, "Seen in 8 of 8 slow windows."));
		if (strncmp(groups[i].cause, "unknown", 7))
			assert_true(well_rejected(v));
		end_case(&a);
	}
}

/* The same load without the fault: flat, and short of what would be called long. */
static void twins_name_nothing(void **state)
{
	for (size_t i = 0; i < GROUPS; i++) {
		const struct finding_verdict *v;
		struct analysis a;

		begin_case(&a, 2, 8, 0, groups[i].rows);
		judge(&a);
		v = &a.f->verdict;
		assert_string_equal(v->cause, "none");
		assert_int_equal(v->basis, VERDICT_NONE);
		assert_true(v->share == 0);
		assert_int_equal(v->rejected_cnt, 0);
		assert_true(says(&a, "No anomaly"));
		end_case(&a);
	}
}

/* What the verdict says of the fault is said of it whatever it is held against. */
static void baselines_do_as_well(void **state)
{
	for (size_t i = 0; i < GROUPS; i++) {
		struct analysis fast, slow;

		begin_case(&fast, 1, 6, 0, groups[i].rows);
		begin_case(&slow, 1, 6, 1, groups[i].rows);
		judge(&fast);
		assert_string_equal(fast.f->verdict.cause, "none");
		judge_against(&slow, fast.f);
		assert_string_equal(slow.f->verdict.cause, groups[i].cause);
		assert_int_equal(slow.f->verdict.basis, VERDICT_BASELINE);
		assert_true(says(&slow, "those of the baseline"));
		end_case(&slow);
		/* and a second healthy run is no slower than the first */
		begin_case(&slow, 3, 4, 0, groups[i].rows);
		judge_against(&slow, fast.f);
		assert_string_equal(slow.f->verdict.cause, "none");
		assert_true(says(&slow, "baseline"));
		end_case(&slow);
		end_case(&fast);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_grew_is_named),
		cmocka_unit_test(twins_name_nothing),
		cmocka_unit_test(baselines_do_as_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
