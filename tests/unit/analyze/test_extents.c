// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Blocks in advance: who allocated them, who undid it, and what the verdict and the advice say. */
#include "stories.h"

#define BRANCHES 8
#define SLOW_AT	 3 /* from 1 */
#define SECOND	 (1000 * TB_MS)
#define MIB	 (1ull << 20)
#define BRANCH	 671u
#define COPIER	 672u
#define GUARD	 900u
#define FLUSHER	 12u

static const struct finding_file *file_of(const struct finding_window *w, uint64_t ino)
{
	for (size_t i = 0; i < w->files_cnt; i++)
		if (w->files[i].ino == ino)
			return &w->files[i];
	return NULL;
}

static bool has_evidence(const struct findings *f, const char *text)
{
	for (size_t i = 0; i < f->verdict.evidence_cnt; i++)
		if (strstr(f->verdict.evidence[i], text))
			return true;
	return false;
}

static const struct finding_advice *advice(const struct findings *f, const char *mitigation)
{
	for (size_t i = 0; i < f->advice_cnt; i++)
		if (!strcmp(f->advice[i].mitigation, mitigation))
			return &f->advice[i];
	return NULL;
}

/* An orchestrator that is no target preallocates the file, `how` undoes it, and it is copied to. */
static void foreign_copy(struct trace_builder *b, uint64_t t0, uint64_t ino, enum fp_sys how)
{
	tb_cpu(b, 3);
	tb_at(b, t0 - 40 * TB_MS);
	tb_extents(b, BRANCH, "forkd", FP_EXTENTS_MADE, FP_SYS_FALLOCATE, MEM_DEV, ino, 256 * MIB,
		   "snap-9/copy.bin");
	tb_span(b, BRANCH, FP_SPAN_EXT4_FALLOCATE, t0 - 41 * TB_MS, MEM_DEV, ino, 65535);
	tb_at(b, t0 - 30 * TB_MS);
	tb_point(b, COPIER, FP_POINT_EXT4_TRUNCATE_ALL, MEM_DEV, ino, 65537, 0);
	tb_extents(b, COPIER, "copier", FP_EXTENTS_FREED, how, MEM_DEV, ino, 256 * MIB,
		   "snap-9/copy.bin");
	tb_thread(b, COPIER, BRANCH, "copier", 0);
	tb_inode_dirty_by(b, COPIER, how, MEM_DEV, ino);
	tb_at(b, t0 - 20 * TB_MS);
	tb_inode_dirty_by(b, COPIER, FP_SYS_COPY_FILE_RANGE, MEM_DEV, ino);
}

static struct findings *sweep_beside_copies(struct trace_builder *b, enum fp_sys how)
{
	story_begin(b);
	for (int i = 1; i <= BRANCHES; i++) {
		foreign_copy(b, i * SECOND, 1000 + i, how);
		story_fsync(b, i * SECOND, (i < SLOW_AT ? 9 : 400 + i) * TB_MS, WBT_SLEEP);
		tb_cpu(b, 3); /* the flusher, 5 ms into the pause */
		tb_at(b, i * SECOND + 5 * TB_MS);
		tb_span(b, FLUSHER, FP_SPAN_EXT4_ALLOC, i * SECOND + 3 * TB_MS, MEM_DEV, 1000 + i,
			2048);
	}
	return diagnose(b, "auto");
}

/* Nobody of it is a target: names, sizes and calls come from the kernel's own records. */
static void a_stranger_undoes_his_own(void **state)
{
	struct trace_builder *b = tb__open(NULL, 4);
	struct findings *f = sweep_beside_copies(b, FP_SYS_OPEN);
	const struct finding_file *x = file_of(&f->windows[4], 1005);

	(void)state;
	assert_string_equal(f->verdict.cause, "io.throttle.wbt");
	assert_non_null(strstr(f->verdict.text,
			       " copy.bin was preallocated (256 MiB by forkd/671) and that was "
			       "undone by O_TRUNC at open by copier/672 (copy_file_range) before "
			       "window 3, and so for 8 of 8 windows."));
	assert_true(has_evidence(f,
				 "copy.bin was preallocated (256 MiB by forkd/671) for 8 windows; "
				 "undone for 8 by O_TRUNC at open by copier/672 (copy_file_range), "
				 "64.0 MiB allocated in the windows in 16.0 ms"));
	assert_non_null(x);
	assert_string_equal(x->path, "snap-9/copy.bin");
	assert_int_equal(x->extents, FINDING_EXTENTS_LOST);
	assert_string_equal(x->extents_why, "undone by O_TRUNC at open");
	assert_int_equal(x->preallocated_bytes, 256 * MIB);
	assert_string_equal(x->preallocated.by, "forkd/671");
	assert_int_equal(x->preallocated.at_ns, tb_abs(b, 5 * SECOND - 40 * TB_MS));
	assert_string_equal(x->undone.by, "copier/672");
	assert_int_equal(x->undone.at_ns, tb_abs(b, 5 * SECOND - 30 * TB_MS));
	assert_string_equal(x->written.how, "copy_file_range");
	assert_int_equal(x->written.at_ns, tb_abs(b, 5 * SECOND - 20 * TB_MS));
	assert_int_equal(x->alloc_bytes, 8 * MIB);
	/* it is told of in the window that it was made for, and in no other one */
	assert_null(file_of(&f->windows[5], 1005));
	assert_null(file_of(&f->windows[3], 1005));
	findings__free(f);
	tb__free(b);
}

static void ftruncate_is_told_from_open(void **state)
{
	struct trace_builder *b = tb__open(NULL, 4);
	struct findings *f = sweep_beside_copies(b, FP_SYS_FTRUNCATE);

	(void)state;
	assert_non_null(strstr(f->verdict.text, "undone by ftruncate to 0 by copier/672"));
	assert_null(strstr(f->verdict.text, "O_TRUNC at open"));
	findings__free(f);
	tb__free(b);
}

/* What a kernel does not tell is not made up. */
static void an_unknown_call_has_no_name(void **state)
{
	struct trace_builder *b = tb__open(NULL, 4);
	struct findings *f = sweep_beside_copies(b, FP_SYS_OTHER);

	(void)state;
	assert_non_null(strstr(f->verdict.text, "undone by a truncation to 0 by copier/672"));
	findings__free(f);
	tb__free(b);
}

static void allocation_story(struct trace_builder *b, bool undo, bool redo)
{
	story_begin(b);
	tb_fd(b, VMM, 12, MEM_DEV, MEM_INO, O_WRONLY, "/mnt/snap-3/memory.bin");
	for (int i = 1; i <= BRANCHES; i++) {
		tb_cpu(b, 2);
		tb_at(b, i * SECOND - 50 * TB_MS);
		tb_extents(b, GUARD, "flatpause-fixer", FP_EXTENTS_MADE, FP_SYS_FALLOCATE, MEM_DEV,
			   MEM_INO, 64 * MIB, "snap-3/memory.bin");
		tb_at(b, i * SECOND - 40 * TB_MS);
		if (undo)
			tb_open(b, VMM, i * SECOND - 41 * TB_MS, "/mnt/snap-3/memory.bin",
				O_WRONLY | O_TRUNC, MEM_DEV, MEM_INO, 13);
		tb_at(b, i * SECOND - 30 * TB_MS);
		if (redo) {
			/* in the write that asked for it: what it takes is not the writer's */
			tb_span(b, GUARD, FP_SPAN_EXT4_ALLOC, i * SECOND - 31 * TB_MS, MEM_DEV,
				MEM_INO, 16384);
			tb_extents(b, GUARD, "flatpause-fixer", FP_EXTENTS_MADE, FP_SYS_FALLOCATE,
				   MEM_DEV, MEM_INO, 64 * MIB, "snap-3/memory.bin");
			tb_span(b, GUARD, FP_SPAN_EXT4_FALLOCATE, i * SECOND - 32 * TB_MS, MEM_DEV,
				MEM_INO, 16384);
		}
		story_fsync(b, i * SECOND, (i < SLOW_AT ? 9 : 400 + i) * TB_MS,
			    "ext4_mb_new_blocks;ext4_ext_map_blocks;ext4_do_writepages;do_fsync");
	}
}

/* `fallocate` alone would be undone again: the advice says by what, and what holds. */
static void advice_has_what_holds(void **state)
{
	struct trace_builder *b = tb__open(NULL, 4);
	const struct finding_advice *a;
	struct findings *f;

	(void)state;
	allocation_story(b, true, false);
	f = diagnose(b, "auto");
	assert_string_equal(f->verdict.cause, "ext4.alloc");
	a = advice(f, "fallocate");
	assert_non_null(a);
	assert_non_null(strstr(a->why, "was undone by O_TRUNC at open by labvmm/100 (write)"));
	assert_non_null(strstr(a->why, "flatpause fix guard"));
	assert_string_equal(a->command, "flatpause fix apply --mitigation fallocate --redo /mnt");
	assert_non_null(strstr(f->verdict.text, "memory.bin was preallocated (64.0 MiB by "
						"flatpause-fixer/900) and that was undone"));
	findings__free(f);
	tb__free(b);
}

static void kept_says_what_shows_it(void **state)
{
	struct trace_builder *b = tb__open(NULL, 4);
	const struct finding_file *x;
	struct findings *f;

	(void)state;
	allocation_story(b, false, false);
	f = diagnose(b, "auto");
	x = file_of(&f->windows[3], MEM_INO);
	assert_int_equal(x->extents, FINDING_EXTENTS_KEPT);
	assert_string_equal(x->extents_why, "not truncated since, 0 B allocated in the window");
	assert_int_equal(x->undone.at_ns, 0);
	assert_string_equal(x->written.by, "labvmm/100");
	assert_string_equal(x->written.how, "write");
	assert_null(strstr(f->verdict.text, "preallocated"));
	assert_true(has_evidence(f, "memory.bin was preallocated (64.0 MiB by flatpause-fixer/900) "
				    "for 8 windows; kept for 8, 0 B allocated in the windows"));
	assert_string_equal(advice(f, "fallocate")->command,
			    "flatpause fix apply --mitigation fallocate /mnt");
	assert_non_null(strstr(advice(f, "fallocate")->why, "the blocks are another file's"));
	findings__free(f);
	tb__free(b);
}

static void made_again_is_kept(void **state)
{
	struct trace_builder *b = tb__open(NULL, 4);
	const struct finding_file *x;
	struct findings *f;

	(void)state;
	allocation_story(b, true, true);
	f = diagnose(b, "auto");
	x = file_of(&f->windows[3], MEM_INO);
	assert_int_equal(x->extents, FINDING_EXTENTS_KEPT);
	assert_string_equal(x->extents_why,
			    "made again after O_TRUNC at open, 0 B allocated in the window");
	assert_string_equal(x->undone.by, "labvmm/100");
	assert_true(x->undone.at_ns < x->preallocated.at_ns);
	assert_null(strstr(f->verdict.text, "undone"));
	assert_true(has_evidence(f, "kept for 8 (for 8 made again after it was undone)"));
	findings__free(f);
	tb__free(b);
}

/* An fallocate in the pause itself: only what the writer's blocks take counts as allocated. */
static void what_fallocate_takes_is_not_the_writers(void **state)
{
	struct trace_builder *b = tb__open(NULL, 4);
	uint64_t t0 = SECOND;
	struct findings *f;

	(void)state;
	story_begin(b);
	tb_cpu(b, 2);
	tb_at(b, t0 - 50 * TB_MS);
	tb_extents(b, GUARD, "flatpause-fixer", FP_EXTENTS_MADE, FP_SYS_FALLOCATE, MEM_DEV, MEM_INO,
		   64 * MIB, "memory.bin");
	story_fsync(b, t0, 9 * TB_MS, WBT_SLEEP);
	tb_cpu(b, 2);
	tb_at(b, t0 + 3 * TB_MS);
	tb_span(b, GUARD, FP_SPAN_EXT4_ALLOC, t0 + 2 * TB_MS, MEM_DEV, MEM_INO, 512);
	tb_at(b, t0 + 4 * TB_MS);
	tb_extents(b, GUARD, "flatpause-fixer", FP_EXTENTS_MADE, FP_SYS_FALLOCATE, MEM_DEV, MEM_INO,
		   64 * MIB, "memory.bin");
	tb_span(b, GUARD, FP_SPAN_EXT4_FALLOCATE, t0 + 1 * TB_MS, MEM_DEV, MEM_INO, 512);
	tb_at(b, t0 + 5 * TB_MS);
	tb_span(b, FLUSHER, FP_SPAN_EXT4_ALLOC, t0 + 4 * TB_MS, MEM_DEV, MEM_INO, 3);
	f = diagnose(b, "auto");
	assert_int_equal(file_of(&f->windows[0], MEM_INO)->alloc_bytes, 3 * 4096);
	findings__free(f);
	tb__free(b);
}

/* Deleting a file undoes nothing, and its number may be the next one's. */
static void a_deleted_file_is_no_undone_one(void **state)
{
	struct trace_builder *b = tb__open(NULL, 4);
	struct findings *f;

	(void)state;
	story_begin(b);
	tb_cpu(b, 2);
	tb_at(b, 100 * TB_MS);
	tb_extents(b, GUARD, "flatpause-fixer", FP_EXTENTS_MADE, FP_SYS_FALLOCATE, MEM_DEV, MEM_INO,
		   64 * MIB, ".flatpause/spare");
	tb_at(b, 200 * TB_MS);
	tb_inode_deleted(b, GUARD, MEM_DEV, MEM_INO, 16384);
	story_fsync(b, SECOND, 9 * TB_MS, WBT_SLEEP);
	f = diagnose(b, "auto");
	assert_int_equal(f->windows[0].files[0].ino, MEM_INO);
	assert_string_equal(f->windows[0].files[0].path, "/mnt/snap-3/memory.bin");
	assert_int_equal(f->windows[0].files[0].extents, FINDING_EXTENTS_UNKNOWN);
	assert_null(strstr(f->verdict.text, "preallocated"));
	findings__free(f);
	tb__free(b);
}

/* The number of a deleted file of the VMM is a stranger's next: his name is his own. */
static void a_number_is_used_again(void **state)
{
	struct trace_builder *b = tb__open(NULL, 4);
	const struct finding_file *x;
	struct findings *f;

	(void)state;
	story_begin(b);
	tb_cpu(b, 2);
	tb_at(b, 100 * TB_MS);
	tb_open(b, VMM, 99 * TB_MS, "/mnt/diff-1.bin", O_WRONLY | O_CREAT, MEM_DEV, 99, 20);
	tb_at(b, 200 * TB_MS);
	tb_inode_deleted(b, VMM, MEM_DEV, 99, 16);
	tb_at(b, 300 * TB_MS);
	tb_extents(b, 51, "postgres", FP_EXTENTS_MADE, FP_SYS_FALLOCATE, MEM_DEV, 99, 16 * MIB,
		   "wal/large");
	story_fsync(b, SECOND, 9 * TB_MS, WBT_SLEEP);
	story_fsync(b, 2 * SECOND, 9 * TB_MS, WBT_SLEEP);
	f = diagnose(b, "auto");
	x = file_of(&f->windows[0], 99); /* large, and on the disk of the pause */
	assert_non_null(x);
	assert_string_equal(x->path, "wal/large");
	assert_string_equal(x->preallocated.by, "postgres/51");
	assert_null(file_of(&f->windows[1], 99));
	findings__free(f);
	tb__free(b);
}

/* A window is asked about later than it was: what came after it is no part of it. */
static void later_deeds_are_later(void **state)
{
	struct trace_builder *b = tb__open(NULL, 4);
	struct findings *f;

	(void)state;
	story_begin(b);
	tb_cpu(b, 2);
	tb_at(b, SECOND - 100 * TB_MS);
	tb_extents(b, GUARD, "flatpause-fixer", FP_EXTENTS_MADE, FP_SYS_FALLOCATE, MEM_DEV, MEM_INO,
		   64 * MIB, "memory.bin");
	story_fsync(b, SECOND, 9 * TB_MS, WBT_SLEEP);
	tb_cpu(b, 2);
	tb_at(b, SECOND + 12 * TB_MS); /* before the window has settled */
	tb_extents(b, COPIER, "copier", FP_EXTENTS_FREED, FP_SYS_OPEN, MEM_DEV, MEM_INO, 64 * MIB,
		   "memory.bin");
	f = diagnose(b, "auto");
	assert_int_equal(f->windows[0].files[0].extents, FINDING_EXTENTS_KEPT);
	findings__free(f);
	tb__free(b);
}

/* Not of ext4: a target's own calls tell. */
static void calls_of_targets_tell_of_any_file_system(void **state)
{
	struct trace_builder *b = tb__open(NULL, 4);
	const struct finding_file *x;
	struct findings *f;

	(void)state;
	story_begin(b);
	tb_cpu(b, 3);
	tb_at(b, 100 * TB_MS);
	tb_open(b, VMM, 99 * TB_MS, "/xfs/memory.bin", O_WRONLY | O_CREAT, 5, MEM_INO, 20);
	tb_at(b, 102 * TB_MS);
	tb_syscall_args(b, VMM, FP_SYS_FALLOCATE, 101 * TB_MS, 20, 0, 0, 0, 32 * MIB);
	tb_at(b, 103 * TB_MS);
	tb_syscall_args(b, VMM, FP_SYS_FALLOCATE, 102 * TB_MS, 20, 0, 3, 0, 4096); /* a hole */
	tb_at(b, 104 * TB_MS);
	tb_syscall_args(b, VMM, FP_SYS_FTRUNCATE, 103 * TB_MS, 20, 0, 0, 0, 0);
	tb_at(b, 106 * TB_MS);
	tb_syscall(b, VMM, FP_SYS_WRITE, 105 * TB_MS, 20, 4096);
	story_fsync(b, SECOND, 9 * TB_MS, WBT_SLEEP);
	f = diagnose(b, "auto");
	x = file_of(&f->windows[0], MEM_INO);
	for (size_t i = 0; i < f->windows[0].files_cnt; i++)
		if (f->windows[0].files[i].dev == 5)
			x = &f->windows[0].files[i];
	assert_string_equal(x->path, "/xfs/memory.bin");
	assert_int_equal(x->extents, FINDING_EXTENTS_LOST);
	assert_int_equal(x->preallocated_bytes, 32 * MIB);
	assert_string_equal(x->extents_why, "undone by ftruncate to 0");
	assert_string_equal(x->written.how, "write");
	assert_int_equal(x->alloc_bytes, FINDING_BYTES_NONE);
	assert_non_null(strstr(f->verdict.text,
			       "memory.bin was preallocated (32.0 MiB by labvmm/100) "
			       "and that was undone by ftruncate to 0"));
	findings__free(f);
	tb__free(b);
}

/* The same disk, but small; or large, on another disk: of no concern to these pauses. */
static void others_mind_their_own_business(void **state)
{
	struct trace_builder *b = tb__open(NULL, 4);
	struct findings *f;

	(void)state;
	story_begin(b);
	tb_cpu(b, 3);
	tb_at(b, 100 * TB_MS);
	tb_extents(b, 50, "journald", FP_EXTENTS_MADE, FP_SYS_FALLOCATE, MEM_DEV, 77, MIB / 2,
		   "journal/small");
	tb_extents(b, 51, "postgres", FP_EXTENTS_MADE, FP_SYS_FALLOCATE, MEM_DEV + 1, 78, 16 * MIB,
		   "wal/large");
	tb_at(b, 101 * TB_MS);
	tb_extents(b, 51, "postgres", FP_EXTENTS_FREED, FP_SYS_OPEN, MEM_DEV + 1, 78, 16 * MIB,
		   "wal/large");
	story_fsync(b, SECOND, 9 * TB_MS, WBT_SLEEP);
	f = diagnose(b, "auto");
	assert_null(file_of(&f->windows[0], 77));
	assert_null(file_of(&f->windows[0], 78));
	assert_null(strstr(f->verdict.text, "preallocated"));
	findings__free(f);
	tb__free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stranger_undoes_his_own),
		cmocka_unit_test(ftruncate_is_told_from_open),
		cmocka_unit_test(an_unknown_call_has_no_name),
		cmocka_unit_test(advice_has_what_holds),
		cmocka_unit_test(kept_says_what_shows_it),
		cmocka_unit_test(made_again_is_kept),
		cmocka_unit_test(what_fallocate_takes_is_not_the_writers),
		cmocka_unit_test(a_deleted_file_is_no_undone_one),
		cmocka_unit_test(a_number_is_used_again),
		cmocka_unit_test(later_deeds_are_later),
		cmocka_unit_test(calls_of_targets_tell_of_any_file_system),
		cmocka_unit_test(others_mind_their_own_business),
	};

	return cmocka_run_group_tests_name("blocks in advance", tests, NULL, NULL);
}
