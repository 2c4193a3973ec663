// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Whole stories: six BRANCHes, slow from the third on, each with another cause. */
#include "stories.h"

#define BRANCHES 8
#define SLOW_AT	 3 /* from 1 */
#define SECOND	 (1000 * TB_MS)

static const char *advice_of(const struct findings *f, size_t i)
{
	return i < f->advice_cnt ? f->advice[i].mitigation : "";
}

static const char *why_rejected(const struct findings *f, const char *cause)
{
	for (size_t i = 0; i < f->verdict.rejected_cnt; i++)
		if (!strcmp(f->verdict.rejected[i].cause, cause))
			return f->verdict.rejected[i].why;
	return NULL;
}

static struct findings *sweep_of_fsyncs(struct trace_builder *b, const char *stack)
{
	story_begin(b);
	for (int i = 1; i <= BRANCHES; i++)
		story_fsync(b, i * SECOND, (i < SLOW_AT ? 9 : 400 + i) * TB_MS, stack);
	tb_at(b, (BRANCHES + 1) * SECOND);
	return diagnose(b, "auto");
}

static void wbt_story(void **state)
{
	struct trace_builder *b = tb__open(NULL, 4);
	struct findings *f = sweep_of_fsyncs(b, WBT_SLEEP);

	assert_int_equal(f->windows_cnt, BRANCHES);
	for (int i = 0; i < BRANCHES; i++) {
		const struct finding_window *w = &f->windows[i];
		uint64_t wait = (i + 1 < SLOW_AT ? 9 : 400 + i + 1) * TB_MS;

		assert_string_equal(w->detector, "api");
		assert_int_equal(w->closer_tid, API);
		assert_int_equal(w->duration_ns, 1000 * TB_US + wait);
		assert_int_equal(ledger_ns(w, "io.throttle.wbt"), wait);
		assert_int_equal(w->slow, i + 1 >= SLOW_AT);
	}
	assert_int_equal(f->curve.verdict, CURVE_STEPPED);
	assert_int_equal(f->curve.at_window, SLOW_AT);
	assert_string_equal(f->verdict.cause, "io.throttle.wbt");
	assert_true(f->verdict.share > 0.99);
	assert_non_null(strstr(f->verdict.text, "window 3 on"));
	assert_non_null(strstr(f->verdict.text, "Seen in 6 of 6 slow windows."));
	assert_non_null(why_rejected(f, "user.cpu"));
	assert_non_null(why_rejected(f, "ext4.alloc"));
	assert_non_null(why_rejected(f, "jbd2.commit_wait"));
	assert_non_null(why_rejected(f, "futex.contended"));
	assert_string_equal(advice_of(f, 0), "memfd");
	assert_string_equal(f->advice[0].command, "flatpause fix apply --mitigation memfd /mnt");
	assert_string_equal(f->advice[0].undo, "flatpause fix revert /mnt");
	assert_non_null(f->flame_slow);
	assert_non_null(f->flame_fast);
	findings__free(f);
	tb__free(b);
}

/* The API thread and the vCPU waited as long as the pause: a consequence, and said so. */
static void passive_futexes(void **state)
{
	struct trace_builder *b = tb__open(NULL, 4);
	struct findings *f = sweep_of_fsyncs(b, WBT_SLEEP);
	const struct finding_window *w = &f->windows[4];
	const struct finding_thread *api = thread_of(w, API), *vmm = thread_of(w, VMM);

	assert_non_null(api);
	assert_non_null(vmm);
	assert_true(blocked_ns(api, "futex.wait") > 400 * TB_MS);
	assert_false(vmm->passive);
	assert_int_equal(ledger_ns(w, "futex.contended"), 0);
	assert_true(w->futexes_cnt >= 1);
	assert_int_equal(w->futexes[0].tid, API);
	assert_int_equal(w->futexes[0].waker_tid, VMM);
	assert_string_equal(w->futexes[0].op, "WAIT_BITSET_PRIVATE");
	findings__free(f);
	tb__free(b);
}

/* The VMM thread lets the vCPU go on after the pause that ended at `end`. */
static void release_vcpu(struct trace_builder *b, uint64_t wait_from, uint64_t end)
{
	tb_cpu(b, 2);
	tb_at(b, end - 185 * TB_US);
	tb_wake(b, VMM, VCPU);
	tb_at(b, end + 5 * TB_US);
	tb_resume(b, VCPU, FUTEX_SLEEP, 190000);
	tb_at(b, end + 10 * TB_US);
	tb_futex(b, VCPU, wait_from, 0x7f0000002000, 137, 0);
	tb_at(b, 3 * SECOND);
}

/* A vCPU that the VMM thread releases after the pause is passive. */
static void parked_vcpus(void **state)
{
	struct trace_builder *b = tb__open(NULL, 4);
	struct findings *f;

	story_begin(b);
	release_vcpu(b, SECOND - 50 * TB_US, story_fsync(b, SECOND, 150 * TB_MS, WBT_SLEEP));
	f = diagnose(b, "auto");
	assert_true(thread_of(&f->windows[0], VCPU)->passive);
	assert_string_equal(thread_of(&f->windows[0], VCPU)->role, "vcpu");
	assert_false(thread_of(&f->windows[0], VMM)->passive);
	findings__free(f);
	tb__free(b);
}

/* The VMM thread waits for the vCPU to park, which gets its CPU only after `late_ns`. */
static uint64_t park_late(struct trace_builder *b, uint64_t t0, uint64_t late_ns)
{
	uint64_t told = t0 + 300 * TB_US, parked = told + late_ns;

	tb_cpu(b, 1);
	tb_at(b, told);
	tb_wake(b, VMM, VCPU);
	tb_at(b, told + 1);
	tb_block(b, VMM, TB_INTERRUPTIBLE);
	tb_cpu(b, 2);
	tb_at(b, parked);
	tb_resume(b, VCPU, FUTEX_SLEEP, late_ns);
	tb_at(b, parked + 10 * TB_US);
	tb_wake(b, VCPU, VMM);
	tb_at(b, parked + 20 * TB_US);
	tb_block(b, VCPU, TB_INTERRUPTIBLE);
	tb_cpu(b, 1);
	tb_at(b, parked + 15 * TB_US);
	tb_resume(b, VMM, FUTEX_SLEEP, 5000);
	return parked;
}

/* Some ms of a long pause are a hand-over; of a short one they are its cause. */
static void late_to_park(void **state)
{
	static const uint64_t waits_ns[] = { 700 * TB_MS, 150 * TB_MS };

	for (int i = 0; i < 2; i++) {
		struct trace_builder *b = tb__open(NULL, 4);
		struct findings *f;
		uint64_t parked;

		story_begin(b);
		story_pause(b, SECOND);
		parked = park_late(b, SECOND, 4 * TB_MS);
		release_vcpu(b, parked + 20 * TB_US,
			     story_save(b, SECOND, parked, waits_ns[i], WBT_SLEEP));
		f = diagnose(b, "auto");
		assert_int_equal(f->windows_cnt, 1);
		assert_true(ledger_ns(&f->windows[0], "cpu.runqueue.idle_exit") >= 4 * TB_MS);
		assert_int_equal(thread_of(&f->windows[0], VCPU)->passive, i == 0);
		findings__free(f);
		tb__free(b);
	}
}

static void branch_dirty(struct trace_builder *b, uint64_t t0, uint64_t wait_ns)
{
	uint64_t t = t0 + 400 * TB_US;

	story_pause(b, t0);
	for (int i = 0; i < 4; i++) { /* four pauses within one write */
		tb_at(b, t - 1000);
		tb_dirty(b, VMM, MEM_DEV, 100000, 90000, 100000, 95000, wait_ns / 4 / TB_MS);
		tb_at(b, t);
		tb_block(b, VMM, TB_UNINTERRUPTIBLE);
		t += wait_ns / 4;
		tb_at(b, t);
		tb_wake_ctx(b, 0, VMM, EV_CTX_HARDIRQ, 0, 0);
		tb_resume(b, VMM, i % 2 ? DIRTY_SLEEP : NULL, 0); /* evidence names half of it */
		t += 50 * TB_US;
	}
	tb_at(b, t);
	tb_syscall(b, VMM, FP_SYS_WRITE, t0 + 300 * TB_US, 12, 256 << 20);
	story_resume(b, t0, t + 100 * TB_US);
}

static void dirty_story(void **state)
{
	struct trace_builder *b = tb__open(NULL, 4);
	struct findings *f;

	story_begin(b);
	for (int i = 1; i <= BRANCHES; i++)
		branch_dirty(b, 2 * i * SECOND, (i < SLOW_AT ? 8 : 800) * TB_MS);
	tb_at(b, (2 * BRANCHES + 2) * SECOND);
	f = diagnose(b, "auto");
	assert_string_equal(f->verdict.cause, "writeback.dirty_throttle");
	assert_int_equal(ledger_ns(&f->windows[5], "writeback.dirty_throttle"), 800 * TB_MS);
	assert_string_equal(advice_of(f, 0), "memfd");
	assert_string_equal(advice_of(f, 2), "none");
	assert_non_null(strstr(f->advice[2].why, "fallocate will not help"));
	assert_int_equal(f->windows[5].files[0].bytes_written, 256 << 20);
	findings__free(f);
	tb__free(b);
}

/* Allocation inside the fsync: on the CPU for the most part, a little of it asleep. */
static void branch_alloc(struct trace_builder *b, uint64_t t0, uint64_t alloc_ns)
{
	uint64_t t = t0 + 510 * TB_US, step = alloc_ns / 4;

	story_pause(b, t0);
	for (int i = 0; i < 4; i++) {
		if (i == 1) {
			tb_at(b, t + step / 2);
			tb_block(b, VMM, TB_UNINTERRUPTIBLE);
			tb_at(b, t + step / 2 + 30 * TB_US);
			tb_wake_io(b, VMM, 3);
			tb_resume(b, VMM, NULL, 0);
		}
		tb_at(b, t + step);
		tb_span(b, VMM, FP_SPAN_EXT4_ALLOC, t, MEM_DEV, MEM_INO, 512);
		t += step + 10 * TB_US;
	}
	tb_at(b, t);
	tb_span(b, VMM, FP_SPAN_EXT4_WRITEPAGES, t0 + 505 * TB_US, MEM_DEV, MEM_INO, 4096);
	tb_at(b, t + 10 * TB_US);
	tb_syscall(b, VMM, FP_SYS_FSYNC, t0 + 500 * TB_US, 12, 0);
	story_resume(b, t0, t + 100 * TB_US);
}

/* Half a dozen stalls under three names, and copying that took longer too: no verdict of "copying". */
static void many_stalls_outweigh_work(void **state)
{
	static const char *const stacks[] = { WBT_SLEEP, WRITEBACK_SLEEP, DIRTY_SLEEP };
	struct trace_builder *b = tb__open(NULL, 4);
	struct findings *f;

	story_begin(b);
	for (int i = 1; i <= BRANCHES; i++) {
		uint64_t t0 = 3 * i * SECOND, part = (i < SLOW_AT ? 8 : 200) * TB_MS,
			 t = t0 + 600 * TB_US;

		story_pause(b, t0);
		tb_at(b, t + part * 5 / 4); /* on the CPU all the while, in one write */
		tb_syscall(b, VMM, FP_SYS_WRITE, t, 12, 256 << 20);
		t += part * 5 / 4;
		for (int k = 0; k < 3; k++) {
			tb_at(b, t + 50 * TB_US);
			tb_block(b, VMM, TB_UNINTERRUPTIBLE);
			t += 50 * TB_US + part;
			tb_at(b, t);
			tb_wake_io(b, VMM, 7);
			tb_resume(b, VMM, stacks[k], 0);
		}
		tb_at(b, t + 50 * TB_US);
		tb_syscall(b, VMM, FP_SYS_FSYNC, t - 3 * part, 12, 0);
		story_resume(b, t0, t + 100 * TB_US);
	}
	tb_at(b, (3 * BRANCHES + 3) * SECOND);
	f = diagnose(b, "auto");
	assert_true(ledger_ns(&f->windows[5], "fs.copy") >
		    ledger_ns(&f->windows[5], "io.throttle.wbt"));
	assert_string_equal(f->verdict.cause, "fs.writeback_wait");
	assert_non_null(strstr(f->verdict.text, "fs.copy"));
	assert_true(f->verdict.share < 0.3);
	assert_string_equal(advice_of(f, 0), "memfd");
	findings__free(f);
	tb__free(b);
}

static void mballoc_story(void **state)
{
	struct trace_builder *b = tb__open(NULL, 4);
	struct findings *f;

	story_begin(b);
	for (int i = 1; i <= BRANCHES; i++)
		branch_alloc(b, 2 * i * SECOND, (i < SLOW_AT ? 8 : 800) * TB_MS);
	tb_at(b, (2 * BRANCHES + 2) * SECOND);
	f = diagnose(b, "auto");
	assert_string_equal(f->verdict.cause, "ext4.alloc");
	assert_int_equal(ledger_ns(&f->windows[5], "ext4.alloc"), 800 * TB_MS);
	assert_int_equal(ledger_ns(&f->windows[5], "ext4.writepages"), 45 * TB_US);
	assert_int_equal(f->windows[5].files[0].alloc_ns, 800 * TB_MS);
	assert_string_equal(advice_of(f, 0), "fallocate");
	assert_string_equal(f->advice[0].command,
			    "flatpause fix apply --mitigation fallocate /mnt");
	findings__free(f);
	tb__free(b);
}

#define JOURNAL	     77
#define COMMIT_SLEEP "schedule;jbd2_log_wait_commit;ext4_sync_file;do_fsync"
#define BUFFER_SLEEP "io_schedule;bit_wait_io;__wait_on_buffer;jbd2_journal_commit_transaction"

static bool has_evidence(const struct findings *f, const char *what)
{
	for (size_t i = 0; i < f->verdict.evidence_cnt; i++)
		if (strstr(f->verdict.evidence[i], what))
			return true;
	return false;
}

/* The fsync waits for the journal's thread, that for the disk: 3/4 of the time, then it works. */
static void branch_commit(struct trace_builder *b, uint64_t t0, uint64_t wait_ns)
{
	uint64_t t = t0 + 600 * TB_US, disk_end = t + wait_ns / 4 * 3;

	story_pause(b, t0);
	tb_at(b, t);
	tb_block(b, VMM, TB_UNINTERRUPTIBLE);
	tb_cpu(b, 3);
	tb_at(b, t);
	tb_block(b, JOURNAL, TB_UNINTERRUPTIBLE);
	tb_at(b, disk_end);
	tb_wake_io(b, JOURNAL, 7);
	tb_resume(b, JOURNAL, BUFFER_SLEEP, 0);
	t += wait_ns;
	tb_at(b, t);
	tb_wake(b, JOURNAL, VMM);
	tb_cpu(b, 1);
	tb_at(b, t + 10 * TB_US);
	tb_resume(b, VMM, COMMIT_SLEEP, 10000);
	tb_at(b, t + 100 * TB_US);
	tb_syscall(b, VMM, FP_SYS_FSYNC, t0 + 500 * TB_US, 12, 0);
	story_resume(b, t0, t + 200 * TB_US);
}

static void journal_story(void **state)
{
	for (int seen = 0; seen < 2; seen++) {
		struct trace_builder *b = tb__open(NULL, 4);
		struct findings *f;

		story_begin(b);
		tb_cpu(b, 3);
		if (seen)
			tb_thread(b, JOURNAL, JOURNAL, "jbd2/vda-8", FP_TASK_KTHREAD);
		for (int i = 1; i <= BRANCHES; i++)
			branch_commit(b, 2 * i * SECOND, (i < SLOW_AT ? 8 : 800) * TB_MS);
		tb_at(b, (2 * BRANCHES + 2) * SECOND);
		f = diagnose(b, "auto");
		/* without marks of the phases, the stack of the journal's own wait tells the phase */
		assert_string_equal(f->verdict.cause,
				    seen ? "jbd2.commit_log" : "jbd2.commit_wait");
		assert_int_equal(ledger_ns(&f->windows[5], "jbd2.commit_wait"),
				 (seen ? 200 : 800) * TB_MS);
		assert_null(thread_of(&f->windows[5], JOURNAL));
		assert_true(has_evidence(f, seen ? "75 % jbd2.commit_log, 25 % at work"
						 : "100 % not seen"));
		findings__free(f);
		tb__free(b);
	}
}

static void flat_curve_has_no_cause(void **state)
{
	struct trace_builder *b = tb__open(NULL, 4);
	struct findings *f;

	story_begin(b);
	for (int i = 1; i <= BRANCHES; i++)
		story_fsync(b, i * SECOND, (15 + i % 3) * TB_MS, WBT_SLEEP);
	tb_at(b, (BRANCHES + 1) * SECOND);
	f = diagnose(b, "auto");
	assert_string_equal(f->verdict.cause, "none");
	assert_int_equal(f->advice_cnt, 0);
	assert_non_null(strstr(f->verdict.text, "No anomaly"));
	findings__free(f);
	tb__free(b);
}

/* No step to explain, but every pause is long: what holds them is said. */
static void all_slow(void **state)
{
	struct trace_builder *b = tb__open(NULL, 4);
	struct findings *f;

	story_begin(b);
	for (int i = 1; i <= BRANCHES; i++)
		story_fsync(b, 2 * i * SECOND, (900 + i % 3) * TB_MS, WRITEBACK_SLEEP);
	tb_at(b, (2 * BRANCHES + 2) * SECOND);
	f = diagnose(b, "auto");
	assert_string_equal(f->verdict.cause, "fs.writeback_wait");
	assert_non_null(strstr(f->verdict.text, "no step"));
	findings__free(f);
	tb__free(b);
}

/* Preallocated, then opened with O_TRUNC: lost, and the advice says so. */
static void extents_lost(void **state)
{
	struct trace_builder *b = tb__open(NULL, 4);
	struct findings *f;

	story_begin(b);
	tb_cpu(b, 3);
	tb_at(b, 100 * TB_MS);
	tb_span(b, 999, FP_SPAN_EXT4_FALLOCATE, 90 * TB_MS, MEM_DEV, MEM_INO, 65535);
	tb_at(b, 200 * TB_MS);
	tb_point(b, VMM, FP_POINT_EXT4_TRUNCATE_ALL, MEM_DEV, MEM_INO, 65536, 0);
	tb_at(b, 201 * TB_MS);
	tb_open(b, VMM, 199 * TB_MS, "/mnt/snap-3/memory.bin", O_WRONLY | O_CREAT | O_TRUNC,
		MEM_DEV, MEM_INO, 12);
	for (int i = 1; i <= BRANCHES; i++)
		story_fsync(b, i * SECOND, (i < SLOW_AT ? 9 : 400) * TB_MS, WBT_SLEEP);
	f = diagnose(b, "auto");
	assert_int_equal(f->windows[5].files[0].extents, FINDING_EXTENTS_LOST);
	assert_string_equal(f->windows[5].files[0].extents_why, "undone by O_TRUNC at open");
	assert_non_null(strstr(f->advice[f->advice_cnt - 1].why, "undone by O_TRUNC at open"));
	findings__free(f);
	tb__free(b);
}

static void extents_kept(void **state)
{
	struct trace_builder *b = tb__open(NULL, 4);
	struct findings *f;

	story_begin(b);
	tb_cpu(b, 3);
	tb_at(b, 100 * TB_MS);
	tb_span(b, 999, FP_SPAN_EXT4_FALLOCATE, 90 * TB_MS, MEM_DEV, MEM_INO, 65535);
	story_fsync(b, SECOND, 9 * TB_MS, WBT_SLEEP);
	f = diagnose(b, "auto");
	assert_int_equal(f->windows[0].files[0].extents, FINDING_EXTENTS_KEPT);
	assert_int_equal(f->windows[0].files[0].bytes_written, 409600);
	assert_int_equal(f->windows[0].files[0].fsync_ns, 9 * TB_MS + 200 * TB_US);
	findings__free(f);
	tb__free(b);
}

/* 100 MB written before the pause are still being written back in it: the wait is their doing. */
static void carry_over(void **state)
{
	struct trace_builder *b = tb__open(NULL, 4);
	struct findings *f;
	uint64_t t0 = SECOND;

	story_begin(b);
	tb_cpu(b, 3);
	tb_at(b, 500 * TB_MS);
	tb_open(b, VMM, 499 * TB_MS, "/mnt/snap-2/memory.bin", O_WRONLY, MEM_DEV, 41, 11);
	tb_at(b, 600 * TB_MS);
	tb_syscall(b, VMM, FP_SYS_WRITE, 510 * TB_MS, 11, 100000000);
	for (int i = 0; i < 10; i++) { /* the flusher queues and completes it within the window */
		tb_at(b, t0 + (10 + 10 * i) * TB_MS);
		tb_bio(b, 50, FP_BIO_QUEUE, i + 1, MEM_DEV, 1000 + i * 8, 1000000, 1);
		tb_rq(b, 50, FP_RQ_ISSUE, i + 1, MEM_DEV, 1000 + i * 8, 1000000, 1);
		tb_at(b, t0 + (15 + 10 * i) * TB_MS);
		tb_rq(b, 0, FP_RQ_COMPLETE, i + 1, MEM_DEV, 1000 + i * 8, 1000000, 1);
	}
	story_fsync(b, t0, 150 * TB_MS, WBT_SLEEP);
	f = diagnose(b, "auto");
	assert_int_equal(ledger_ns(&f->windows[0], "io.throttle.wbt"), 150 * TB_MS);
	assert_int_equal(carry_ns(&f->windows[0], "io.throttle.wbt"), 150 * TB_MS);
	findings__free(f);
	tb__free(b);
}

/* Nothing was dirty and nothing in flight: what the device does is the window's own. */
static void no_carry_over(void **state)
{
	struct trace_builder *b = tb__open(NULL, 4);
	struct findings *f;
	uint64_t t0 = SECOND;

	story_begin(b);
	tb_cpu(b, 3);
	tb_at(b, t0 + 20 * TB_MS);
	tb_bio(b, VMM, FP_BIO_QUEUE, 1, MEM_DEV, 1000, 409600, 1 | 1 << 11);
	tb_rq(b, VMM, FP_RQ_ISSUE, 1, MEM_DEV, 1000, 409600, 1 | 1 << 11);
	tb_at(b, t0 + 150 * TB_MS);
	tb_rq(b, 0, FP_RQ_COMPLETE, 1, MEM_DEV, 1000, 409600, 1 | 1 << 11);
	story_fsync(b, t0, 150 * TB_MS, WBT_SLEEP);
	f = diagnose(b, "auto");
	assert_int_equal(carry_ns(&f->windows[0], "io.throttle.wbt"), 0);
	findings__free(f);
	tb__free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wbt_story),
		cmocka_unit_test(passive_futexes),
		cmocka_unit_test(parked_vcpus),
		cmocka_unit_test(late_to_park),
		cmocka_unit_test(dirty_story),
		cmocka_unit_test(mballoc_story),
		cmocka_unit_test(journal_story),
		cmocka_unit_test(many_stalls_outweigh_work),
		cmocka_unit_test(flat_curve_has_no_cause),
		cmocka_unit_test(all_slow),
		cmocka_unit_test(extents_lost),
		cmocka_unit_test(extents_kept),
		cmocka_unit_test(carry_over),
		cmocka_unit_test(no_carry_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
