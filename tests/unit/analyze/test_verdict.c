// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* When a cause is named, when none is, what is rejected, and what is said. */
#include "verdict_cases.h"

#include <math.h>

static const struct row wbt[] = {
	{ "io.throttle.wbt", 0.2, 900 }, { "user.cpu", 3, 3.4 },  { "ext4.alloc", 2, 11 },
	{ "io.device_service", 9, 14 },	 { "fs.copy", 2.3, 2.6 }, { NULL, 0, 0 },
};

static struct evidence *evidence_of(struct analysis *a, size_t i)
{
	return EVIDENCE(a, i);
}

static struct finding_thread *add_thread(struct finding_window *w, uint32_t tid, const char *comm,
					 bool passive)
{
	struct finding_thread *t = FINDING_APPEND(&w->threads, &w->threads_cnt);

	assert_non_null(t);
	must(finding_set(&t->comm, comm));
	must(finding_set(&t->role, ""));
	t->tid = tid;
	t->passive = passive;
	return t;
}

static void add_futex(struct finding_window *w, uint32_t tid, uint32_t waker)
{
	struct finding_futex *x = FINDING_APPEND(&w->futexes, &w->futexes_cnt);

	assert_non_null(x);
	must(finding_set(&x->mapping, ""));
	must(finding_set(&x->op, "WAIT_BITSET_PRIVATE"));
	x->tid = tid;
	x->waker_tid = waker;
	x->wait_ns = w->duration_ns;
}

static void add_fsync(struct finding_window *w, const char *path, uint64_t bytes)
{
	struct finding_file *x = FINDING_APPEND(&w->files, &w->files_cnt);

	assert_non_null(x);
	must(finding_set(&x->path, path));
	must(finding_set(&x->extents_why, ""));
	x->bytes_written = bytes;
	x->fsync_ns = w->duration_ns / 10 * 9;
}

/* ---- the text ---- */

/* The whole sentence, each clause from its number. */
static void the_story_is_told(void **state)
{
	struct analysis a;

	begin_case(&a, 1, 10, 6, wbt);
	for (size_t i = 0; i < 10; i++) {
		struct finding_window *w = &a.f->windows[i];
		struct evidence *e = evidence_of(&a, i);
		char path[64];

		if (i < 5)
			continue;
		snprintf(path, sizeof(path), "/mnt/diff-%zu", i + 1);
		add_fsync(w, path, 412 << 10);
		add_thread(w, 100, "labvmm", false);
		for (uint32_t t = 101; t <= 103; t++) {
			add_thread(w, t, "fc_vcpu", true);
			add_futex(w, t, 100);
		}
		w->ledger[0].carry_over_ns = 700 * MS;
		w->ledger[0].carry_over_prev_window = (uint32_t)i;
		*e = (struct evidence){ .parked = 3,
					.parked_ns = 880 * MS,
					.wbt_points = 9,
					.old_bytes = 256 << 20,
					.carry_bytes = 300 << 20,
					.carry_dev = FP_DEV(7, 0) };
	}
	judge(&a);
	assert_string_equal(a.f->verdict.cause, "io.throttle.wbt");
	assert_true(says(&a, "from window 6 on"));
	assert_true(says(&a, "of the growth is io.throttle.wbt ("));
	assert_true(says(&a, ": the fsync of diff-"));
	assert_true(says(&a, " (412 KiB) waits behind 256 MiB that window "));
	assert_true(says(&a, " left dirty on 7:0 (carry-over 700 ms)."));
	assert_true(says(&a, "Not the cause: futex (3 threads parked 880 ms, all released by "
			     "labvmm, 0 ms attributable), user CPU (3."));
	assert_true(says(&a, "Seen in 5 of 5 slow windows."));
	assert_string_equal(why_not(&a, "jbd2.commit_wait"),
			    "0 ms of a slow window, 0 ms of a fast one; no commit overlapped");
	assert_true(a.f->verdict.confidence > 0.95);
	end_case(&a);
}

/* A clause whose number is missing is left out, and the rest still is a sentence. */
static void clauses_drop_out(void **state)
{
	struct analysis a;

	begin_case(&a, 1, 10, 6, wbt);
	judge(&a);
	assert_true(says(&a, "io.throttle.wbt (writeback throttling (wbt)). ") ||
		    says(&a, "). Not the cause"));
	assert_false(says(&a, "fsync"));
	assert_false(says(&a, "behind"));
	assert_false(says(&a, "carry-over"));
	assert_false(says(&a, "parked"));
	assert_false(says(&a, "  "));
	assert_false(says(&a, " ."));
	end_case(&a);
}

/* One more stretch of the cause in each slow window, of a thread with an id of its own. */
static void lead_path(struct analysis *a, const char *cause, const char *actor, const char *via)
{
	for (size_t i = 4; i < 8; i++) {
		struct finding_window *w = &a->f->windows[i];
		struct finding_segment *s = FINDING_APPEND(&w->path, &w->path_cnt);

		assert_non_null(s);
		must(finding_set(&s->cause, cause));
		must(finding_setf(&s->actor, "%s/%zu", actor, 50 + i));
		must(finding_set(&s->via, via));
		s->ns = w->ledger[0].ns;
	}
}

/* Off the disk the path says whose time it was and how it came there; thread ids may differ. */
static void the_actor_is_named(void **state)
{
	static const struct {
		const char *actor, *via, *said;
	} cases[] = {
		{ "controller", "", ") of controller. " },
		{ "controller", "ipc.wait of fc_api/101",
		  ") of controller, reached by ipc.wait of fc_api. " },
		{ "vmm", "ipc.wait of fc_api/101 > held by kworker/u8:2/77, which was in io.flush",
		  ") of vmm, held by kworker/u8:2, which was in io.flush. " },
		{ "vmm", "behind stress/12", ") of vmm, behind stress. " },
	};
	static const struct row rows[] = { { "timer.sleep", 0, 200 }, { "user.cpu", 9, 9 }, { 0 } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct analysis a;

		begin_case(&a, 1, 8, 5, rows);
		lead_path(&a, "timer.sleep", cases[i].actor, cases[i].via);
		judge(&a);
		assert_true(says(&a, cases[i].said));
		end_case(&a);
	}
}

/* Two who share the time alike: neither is named. */
static void nobody_has_half(void **state)
{
	static const struct row rows[] = { { "timer.sleep", 0, 200 }, { "user.cpu", 9, 9 }, { 0 } };
	struct analysis a;

	begin_case(&a, 1, 8, 5, rows);
	lead_path(&a, "timer.sleep", "one", "");
	lead_path(&a, "timer.sleep", "two", "");
	lead_path(&a, "timer.sleep", "three", "");
	judge(&a);
	assert_false(says(&a, " of one"));
	assert_false(says(&a, " of two"));
	end_case(&a);
}

/* A little that was left behind is not why it took long; who dirtied the file is said. */
static void a_small_backlog_is_no_story(void **state)
{
	struct finding_blame *b;
	struct analysis a;

	begin_case(&a, 1, 8, 5, wbt);
	for (size_t i = 4; i < 8; i++) {
		struct finding_window *w = &a.f->windows[i];

		add_fsync(w, "/mnt/diff", 0);
		w->ledger[0].carry_over_ns = 2 * MS;
		*evidence_of(&a, i) = (struct evidence){ .old_bytes = 1 << 20 };
		b = FINDING_APPEND(&w->blame, &w->blame_cnt);
		assert_non_null(b);
		must(finding_set(&b->file, "/mnt/diff"));
		must(finding_set(&b->dirtied_by, "?/77"));
		b->ns = w->ledger[0].ns;
	}
	judge(&a);
	assert_true(says(&a, ": the fsync of diff takes "));
	assert_true(says(&a, " (dirtied by thread 77). "));
	assert_false(says(&a, "behind"));
	assert_false(says(&a, "carry-over"));
	end_case(&a);
}

/* ---- what is rejected ---- */

/* A tenth of the growth is a part of the story: it is said, not rejected. */
static void parts_of_the_story_stay(void **state)
{
	static const struct row rows[] = { { "io.throttle.wbt", 0, 600 },
					   { "jbd2.commit_wait", 1, 250 },
					   { "user.cpu", 3, 3 },
					   { 0 } };
	struct analysis a;

	begin_case(&a, 2, 8, 5, rows);
	judge(&a);
	assert_string_equal(a.f->verdict.cause, "io.throttle.wbt");
	assert_true(says(&a, "Beside it: 29 % jbd2.commit_wait. ") ||
		    says(&a, "Beside it: 30 % jbd2.commit_wait. "));
	assert_null(why_not(&a, "jbd2.commit_wait"));
	assert_null(why_not(&a, "io.throttle.wbt"));
	assert_non_null(why_not(&a, "user.cpu"));
	end_case(&a);
}

/* Time without a name could be anybody's: with enough of it nobody is cleared. */
static void nameless_time_clears_nobody(void **state)
{
	static const struct row rows[] = { { "io.throttle.wbt", 0, 260 },
					   { "unknown.no_waker", 0, 240 },
					   { "user.cpu", 3, 24 },
					   { 0 } };
	struct analysis a;

	begin_case(&a, 2, 8, 5, rows);
	judge(&a);
	assert_string_equal(a.f->verdict.cause, "io.throttle.wbt");
	assert_null(why_not(&a, "user.cpu")); /* 4 % and the 46 % could be as much as 50 % */
	assert_non_null(why_not(&a, "futex.contended"));
	assert_true(a.f->verdict.incomplete);
	assert_true(says(&a, "Incomplete: 4"));
	assert_true(a.f->verdict.confidence < 0.5 * a.f->verdict.share);
	end_case(&a);
}

/* "No commit overlapped" is no argument of a recorder that could not see commits. */
static void the_blind_do_not_testify(void **state)
{
	struct finding_hook *h;
	struct analysis a;

	begin_case(&a, 1, 8, 5, wbt);
	h = FINDING_APPEND(&a.f->hooks, &a.f->hooks_cnt);
	must(finding_set(&h->probe, "jbd2"));
	must(finding_set(&h->rung, "none"));
	must(finding_set(&h->hook, ""));
	must(finding_set(&h->lost, "commits"));
	judge(&a);
	assert_string_equal(why_not(&a, "jbd2.commit_wait"),
			    "0 ms of a slow window, 0 ms of a fast one");
	end_case(&a);
}

/* ---- which cause ---- */

/* A mean follows one outlier; the cause is what the slow windows have in common. */
static void one_outlier_is_not_the_cause(void **state)
{
	static const struct row rows[] = { { "other_fs.fuse", 0, 200 },
					   { "user.cpu", 9, 9 },
					   { 0 } };
	struct analysis a;

	begin_case(&a, 1, 10, 5, rows);
	add_share(&a.f->windows[7], "mm.reclaim", 4000 * MS);
	judge(&a);
	assert_string_equal(a.f->verdict.cause, "other_fs.fuse");
	assert_true(says(&a, "% mm.reclaim"));
	assert_true(says(&a, "Seen in 5 of 6 slow windows."));
	/* share x what kind of record says so x how many windows show it */
	assert_true(fabs(a.f->verdict.confidence - a.f->verdict.share * 0.85 * (0.5 + 2.5 / 6)) <
		    1e-9);
	end_case(&a);
}

/* Checksums beside an allocation follow from it, though they are the larger part of a little. */
static void checksums_are_a_symptom(void **state)
{
	static const struct row rows[] = { { "ext4.csum", 0, 12 },
					   { "ext4.alloc", 1, 10 },
					   { "io.device_service", 0, 0 },
					   { 0 } };
	struct analysis a;

	begin_case(&a, 1, 8, 5, rows);
	for (size_t i = 0; i < 8; i++) {
		add_share(&a.f->windows[i], "io.device_service", 300 * MS);
		a.f->windows[i].slow = i >= 4;
		*evidence_of(&a, i) = (struct evidence){ .allocs = 4 };
	}
	must(verdict__judge(&a, NULL));
	assert_string_equal(a.f->verdict.cause, "ext4.alloc");
	assert_true(says(&a, "Seen in 4 of 4 slow windows."));
	end_case(&a);
}

/* Many kinds of stall outweigh one piece of work that is larger than each of them. */
static void stalls_outweigh_work(void **state)
{
	static const struct row rows[] = { { "fs.copy", 2, 90 },    { "jbd2.handle_wait", 0, 60 },
					   { "lock.inode", 0, 50 }, { "io.flush", 0, 40 },
					   { "user.cpu", 3, 3 },    { 0 } };
	struct analysis a;

	begin_case(&a, 2, 8, 5, rows);
	judge(&a);
	assert_string_equal(a.f->verdict.cause, "jbd2.handle_wait");
	end_case(&a);
}

/* ---- when nothing is named ---- */

/* Flat and long: what holds it. Flat and short: what such a disk takes. */
static void held_pauses(void **state)
{
	static const struct row rows[] = { { "io.device_service", 80, 900 },
					   { "user.cpu", 5, 5 },
					   { 0 } };
	struct analysis a;

	begin_case(&a, 1, 8, 1, rows);
	judge(&a);
	assert_string_equal(a.f->verdict.cause, "io.device_service");
	assert_int_equal(a.f->verdict.basis, VERDICT_HELD);
	assert_true(says(&a, "no step"));
	assert_true(well_rejected(&a.f->verdict));
	end_case(&a);
	begin_case(&a, 1, 8, 0, rows);
	judge(&a);
	assert_string_equal(a.f->verdict.cause, "none");
	assert_true(says(&a, "94 % of it io.device_service"));
	end_case(&a);
}

/* However long, work is no stall: nothing is wrong with a copy that takes what it takes. */
static void long_work_is_no_anomaly(void **state)
{
	static const struct row rows[] = { { "fs.copy", 900, 0 }, { "io.flush", 100, 0 }, { 0 } };
	struct analysis a;

	begin_case(&a, 1, 8, 0, rows);
	judge(&a);
	assert_string_equal(a.f->verdict.cause, "none");
	end_case(&a);
}

static void set_pauses(struct analysis *a, const double *ms, size_t cnt)
{
	static const struct row none[] = { { 0 } };

	begin_case(a, 1, (uint32_t)cnt, 0, none);
	for (size_t i = 0; i < cnt; i++) {
		add_share(&a->f->windows[i], "user.cpu", 5 * MS);
		add_share(&a->f->windows[i], "io.device_service", (uint64_t)(ms[i] * 1e6));
	}
}

/* Noise of a busy machine, without a fault: pauses of equal causes in no order. */
static void noise_names_nothing(void **state)
{
	static const double runs[][8] = {
		{ 20, 31, 18, 26, 22, 35, 19, 24 },
		{ 9, 30, 25, 11, 28, 10, 31, 27 },
		{ 40, 20, 22, 19, 25, 21, 24, 20 },
		{ 14, 18, 17, 22, 21, 20, 23, 19 },
		{ 5, 5, 6, 5, 48, 6, 5, 6 },
		{ 22, 23, 25, 24, 27, 26, 28, 29 },
		{ 120, 95, 150, 110, 101, 142, 98, 133 },
	};

	for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
		struct analysis a;

		set_pauses(&a, runs[i], 8);
		judge(&a);
		assert_string_equal(a.f->verdict.cause, "none");
		end_case(&a);
	}
}

/* Few windows fall into a rising order by chance: they must lie further apart. */
static void few_windows_need_more(void **state)
{
	struct analysis a;

	set_pauses(&a, (double[]){ 20, 44, 43 }, 3); /* 1.9 times */
	judge(&a);
	assert_string_equal(a.f->verdict.cause, "none");
	end_case(&a);
	set_pauses(&a, (double[]){ 20, 84, 83 }, 3);
	judge(&a);
	assert_string_equal(a.f->verdict.cause, "io.device_service");
	assert_true(says(&a, "The curve is inconclusive by its statistics."));
	end_case(&a);
}

/* One window that stands out is said, two that have their cause in common are a finding. */
static void spikes(void **state)
{
	struct analysis a;

	set_pauses(&a, (double[]){ 20, 22, 21, 400, 20, 23, 21, 22 }, 8);
	judge(&a);
	assert_string_equal(a.f->verdict.cause, "none");
	assert_true(says(&a, "Window 4 of sweep 1 stands out (405 ms, most of it "));
	assert_true(says(&a, "once is no pattern"));
	assert_true(says(&a, ", 74.") || says(&a, ", 73.")); /* of all windows */
	end_case(&a);
	set_pauses(&a, (double[]){ 20, 380, 21, 400, 20, 23, 21, 22 }, 8);
	judge(&a);
	assert_string_equal(a.f->verdict.cause, "io.device_service");
	assert_int_equal(a.f->verdict.basis, VERDICT_SPIKES);
	assert_true(says(&a, "2 windows stand out, without a step"));
	end_case(&a);
	set_pauses(&a, (double[]){ 20, 20, 21, 400, 20, 23, 21, 22 }, 8);
	add_share(&a.f->windows[1], "mm.reclaim", 390 * MS);
	judge(&a);
	assert_string_equal(a.f->verdict.cause, "none");
	end_case(&a);
}

/* The command reports a step that the recorded windows do not have: nothing of it can be named. */
static void growth_outside_the_windows(void **state)
{
	static const struct row rows[] = { { "io.device_service", 20, 0 },
					   { "user.cpu", 5, 0 },
					   { 0 } };
	struct analysis a;

	begin_case(&a, 1, 10, 0, rows);
	for (size_t i = 0; i < 10; i++)
		a.f->windows[i].reported_ns = i < 5 ? 30 * MS : (900 + i) * MS;
	judge(&a);
	assert_int_equal(a.f->curve.verdict, CURVE_STEPPED);
	assert_string_equal(a.f->verdict.cause, "none");
	assert_true(says(&a, "what was recorded of them is not"));
	end_case(&a);
}

/* Three times the baseline's median, but within what that scatters. */
static void a_baseline_may_scatter(void **state)
{
	static const double rough[] = { 20, 150, 20, 160, 20, 20, 150, 21 };
	static const double run[] = { 70, 71, 69, 72, 70, 68, 71, 73 };
	struct analysis baseline, a;

	set_pauses(&baseline, rough, 8);
	judge(&baseline);
	set_pauses(&a, run, 8);
	judge_against(&a, baseline.f);
	assert_string_equal(a.f->verdict.cause, "none");
	assert_true(says(&a, "within the baseline's scatter, 75"));
	end_case(&a);
	end_case(&baseline);
}

static void no_windows(void **state)
{
	struct analysis a = { .f = findings__new() };

	assert_non_null(a.f);
	judge(&a);
	assert_string_equal(a.f->verdict.cause, "none");
	end_case(&a);
}

/* ---- loss ---- */

static void loss_lowers_confidence(void **state)
{
	double sure;
	struct analysis a;

	begin_case(&a, 1, 8, 5, wbt);
	judge(&a);
	sure = a.f->verdict.confidence;
	assert_false(a.f->verdict.incomplete);
	end_case(&a);
	begin_case(&a, 1, 8, 5, wbt);
	a.f->loss = (struct finding_loss){ .events = 100, .recorded = 9900 };
	for (size_t i = 4; i < 8; i++)
		add_share(&a.f->windows[i], "unknown.lost", 100 * MS);
	judge(&a);
	assert_string_equal(a.f->verdict.cause, "io.throttle.wbt");
	assert_true(a.f->verdict.confidence < 0.95 * sure);
	assert_true(a.f->verdict.incomplete);
	assert_true(a.f->verdict.unknown_share > 0.05);
	end_case(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_story_is_told),
		cmocka_unit_test(clauses_drop_out),
		cmocka_unit_test(the_actor_is_named),
		cmocka_unit_test(nobody_has_half),
		cmocka_unit_test(a_small_backlog_is_no_story),
		cmocka_unit_test(parts_of_the_story_stay),
		cmocka_unit_test(nameless_time_clears_nobody),
		cmocka_unit_test(the_blind_do_not_testify),
		cmocka_unit_test(one_outlier_is_not_the_cause),
		cmocka_unit_test(checksums_are_a_symptom),
		cmocka_unit_test(stalls_outweigh_work),
		cmocka_unit_test(held_pauses),
		cmocka_unit_test(long_work_is_no_anomaly),
		cmocka_unit_test(noise_names_nothing),
		cmocka_unit_test(few_windows_need_more),
		cmocka_unit_test(spikes),
		cmocka_unit_test(growth_outside_the_windows),
		cmocka_unit_test(a_baseline_may_scatter),
		cmocka_unit_test(no_windows),
		cmocka_unit_test(loss_lowers_confidence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
