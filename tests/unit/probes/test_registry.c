// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The table of probes: every row is well formed, and the most specific cause wins. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "../../../probes/registry.h"

static const char *named(struct probe_context *ctx, const char *const *frames)
{
	const struct cause *c;

	ctx->frames = frames;
	for (ctx->frames_cnt = 0; frames && frames[ctx->frames_cnt];)
		ctx->frames_cnt++;
	c = probes__classify(ctx);
	return c ? c->id : "(none)";
}

#define BLOCKED(...) named(&(struct probe_context){ 0 }, (const char *[]){ __VA_ARGS__, NULL })
#define RUNNING(...) \
	named(&(struct probe_context){ .running = true }, (const char *[]){ __VA_ARGS__, NULL })

static void rows_are_well_formed(void **state)
{
	for (size_t i = 0; i < probes_cnt; i++) {
		const struct probe *p = probes[i];

		assert_non_null(p->summary);
		assert_ptr_equal(probes__find(p->name), p);
		assert_non_null(p->rungs[0].hook);
		for (int r = 0; r < PROBE_RUNGS && p->rungs[r].hook; r++) {
			assert_non_null(p->rungs[r].programs[0]);
			/* A rung that loses something says how to get to a better one. */
			if (r > 0) {
				assert_true(p->rungs[r].lost[0] != '\0');
				assert_true(p->rungs[r].gain[0] != '\0');
			}
		}
		for (const struct cause *c = p->causes; c && c->id; c++) {
			assert_true(c->title && c->group && c->kind);
			/* Groups without a gap: the first empty one ends the list. */
			for (int g = 1; g < CAUSE_GROUPS; g++)
				assert_false(c->all_of[g][0] && !c->all_of[g - 1][0]);
		}
	}
	assert_null(probes__find("no such probe"));
	assert_null(probes__cause("no.such.cause"));
}

/* Rows of one cause agree on how it is shown. */
static void ids_are_shown_alike(void **state)
{
	for (size_t i = 0; i < probes_cnt; i++)
		for (const struct cause *c = probes[i]->causes; c && c->id; c++) {
			const struct cause *first = probes__cause(c->id);

			assert_string_equal(first->title, c->title);
			assert_string_equal(first->group, c->group);
		}
}

static void frames_by_prefix(void **state)
{
	assert_true(frame_is("wbt_wait", "wbt_wait"));
	assert_true(frame_is("wbt_wait.isra.0", "wbt_wait"));
	assert_true(frame_is("wbt_wait+0x12", "wbt_wait"));
	assert_false(frame_is("wbt_wait_more", "wbt_wait"));
	assert_false(frame_is("wbt", "wbt_wait"));
	assert_false(frame_is(NULL, "wbt_wait"));
}

/* As this kernel shows them: the scheduler's own frames are cut off. */
static void blocked_stacks(void **state)
{
	assert_string_equal(BLOCKED("rq_qos_wait", "wbt_wait", "__rq_qos_throttle",
				    "blk_mq_submit_bio", "ext4_do_writepages", "ext4_sync_file"),
			    "io.throttle.wbt");
	assert_string_equal(BLOCKED("blk_mq_get_tag", "__blk_mq_alloc_requests", "ext4_sync_file"),
			    "io.tag_wait");
	assert_string_equal(
		BLOCKED("jbd2_log_wait_commit", "jbd2_complete_transaction", "ext4_sync_file"),
		"jbd2.commit_wait");
	assert_string_equal(BLOCKED("wait_transaction_locked", "add_transaction_credits",
				    "start_this_handle", "jbd2__journal_start",
				    "ext4_do_writepages"),
			    "jbd2.handle_wait");
	assert_string_equal(
		BLOCKED("do_get_write_access", "jbd2_journal_get_write_access", "ext4_dirty_inode"),
		"jbd2.buffer");
	assert_string_equal(BLOCKED("balance_dirty_pages.isra.0",
				    "balance_dirty_pages_ratelimited_flags",
				    "generic_perform_write"),
			    "writeback.dirty_throttle");
	assert_string_equal(BLOCKED("ext4_wait_block_bitmap", "ext4_mb_init_cache",
				    "ext4_mb_new_blocks", "ext4_map_blocks"),
			    "ext4.bitmap_io");
	assert_string_equal(BLOCKED("ext4_mb_new_blocks", "ext4_ext_map_blocks"), "ext4.alloc");
	assert_string_equal(BLOCKED("folio_wait_bit", "folio_wait_writeback",
				    "__filemap_fdatawait_range", "file_write_and_wait_range"),
			    "fs.writeback_wait");
	assert_string_equal(BLOCKED("submit_bio_wait", "blkdev_issue_flush", "ext4_sync_file"),
			    "io.flush");
	assert_string_equal(
		BLOCKED("rwsem_down_write_slowpath", "down_write", "ext4_buffered_write_iter"),
		"lock.inode");
	assert_string_equal(BLOCKED("futex_do_wait", "__futex_wait", "do_futex"), "futex.wait");
	assert_string_equal(BLOCKED("futex_wait_queue_me", "futex_wait", "do_futex"), "futex.wait");
	assert_string_equal(BLOCKED("do_epoll_wait", "__x64_sys_epoll_wait"), "ipc.wait");
	assert_string_equal(BLOCKED("hrtimer_nanosleep", "__x64_sys_nanosleep"), "timer.sleep");
	assert_string_equal(BLOCKED("something_new", "do_syscall_64"), "(none)");
}

static void running_stacks(void **state)
{
	assert_string_equal(RUNNING("ext4_mb_complex_scan_group", "ext4_mb_new_blocks",
				    "ext4_do_writepages", "ext4_sync_file"),
			    "ext4.alloc");
	assert_string_equal(RUNNING("mpage_process_folio", "ext4_do_writepages", "ext4_sync_file"),
			    "ext4.writepages");
	assert_string_equal(RUNNING("copy_page_from_iter_atomic", "generic_perform_write"),
			    "fs.copy");
	assert_string_equal(RUNNING("osq_lock", "rwsem_optimistic_spin", "down_write"),
			    "lock.spin");
	assert_string_equal(RUNNING("do_syscall_64"), "kernel.cpu_other");
}

/* Sleeps too short for a stack are named by what lies around them. */
static void without_a_stack(void **state)
{
	struct probe_context ctx = { .iowait = true };

	assert_string_equal(named(&ctx, NULL), "io.device_service");
	ctx.in_span[FP_SPAN_EXT4_SYNC] = true;
	assert_string_equal(named(&ctx, NULL), "fs.writeback_wait");
	ctx.in_span[FP_SPAN_EXT4_ALLOC] = true;
	assert_string_equal(named(&ctx, NULL), "ext4.alloc");
	ctx.in_span[FP_SPAN_WBT_WAIT] = true;
	assert_string_equal(named(&ctx, NULL), "io.throttle.wbt");
	ctx = (struct probe_context){ .dirty_pause = true,
				      .in_syscall = true,
				      .cls = FP_SYS_WRITE };
	assert_string_equal(named(&ctx, NULL), "writeback.dirty_throttle");
	ctx = (struct probe_context){ .in_syscall = true, .cls = FP_SYS_FUTEX };
	assert_string_equal(named(&ctx, NULL), "futex.wait");
	ctx = (struct probe_context){ .in_syscall = true, .cls = FP_SYS_WRITE };
	assert_string_equal(named(&ctx, NULL), "(none)");
	ctx = (struct probe_context){ .running = true, .in_syscall = true, .cls = FP_SYS_WRITE };
	assert_string_equal(named(&ctx, NULL), "fs.copy");
}

/* ---- advice ---- */

static struct findings *finding_of(const char *cause, const char *path,
				   enum finding_extents extents)
{
	struct findings *f = findings__new();
	struct finding_window *w = FINDING_APPEND(&f->windows, &f->windows_cnt);
	struct finding_file *file = FINDING_APPEND(&w->files, &w->files_cnt);

	w->slow = true;
	finding_set(&f->verdict.cause, cause);
	finding_set(&file->path, path);
	finding_set(&file->extents_why, extents == FINDING_EXTENTS_LOST ? "undone by O_TRUNC" : "");
	file->extents = extents;
	file->bytes_written = 1;
	for (size_t i = 0; i < probes_cnt; i++)
		if (probes[i]->advise)
			assert_int_equal(probes[i]->advise(f), 0);
	return f;
}

static void advice_follows_the_cause(void **state)
{
	static const struct {
		const char *cause, *first;
		bool says_no_fallocate;
	} rows[] = {
		{ "io.throttle.wbt", "memfd", true },
		{ "writeback.dirty_throttle", "memfd", true },
		{ "ext4.alloc", "fallocate", false },
		{ "ext4.bitmap_io", "fallocate", false },
		{ "jbd2.commit_wait", "memfd", true },
		{ "io.device_service", "memfd", true },
		{ "fs.writeback_wait", "memfd", true },
		{ "none", "", false },
		{ "unknown.lost", "", false },
		{ "user.cpu", "", false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct findings *f = finding_of(rows[i].cause, "/mnt/snap-3/memory.bin",
						FINDING_EXTENTS_LOST);
		bool no = false;

		assert_string_equal(f->advice_cnt ? f->advice[0].mitigation : "", rows[i].first);
		for (size_t k = 0; k < f->advice_cnt; k++) {
			no |= strstr(f->advice[k].why, "fallocate will not help") != NULL;
			if (!strcmp(f->advice[k].mitigation, "none") ||
			    !strcmp(f->advice[k].mitigation, "tune"))
				assert_string_equal(f->advice[k].command, "");
			else
				assert_non_null(strstr(f->advice[k].command,
						       "flatpause fix apply --mitigation "));
		}
		assert_int_equal(no, rows[i].says_no_fallocate);
		findings__free(f);
	}
}

static void advice_names_the_root(void **state)
{
	struct findings *f = finding_of("ext4.alloc", "/mnt/a b/snap-3/memory.bin",
					FINDING_EXTENTS_UNKNOWN);

	assert_string_equal(f->advice[0].command,
			    "flatpause fix apply --mitigation fallocate '/mnt/a b'");
	findings__free(f);
	f = finding_of("ext4.alloc", "/mnt/it's/snap/memory.bin", FINDING_EXTENTS_UNKNOWN);
	assert_string_equal(f->advice[0].command,
			    "flatpause fix apply --mitigation fallocate '/mnt/it'\\''s/snap'");
	findings__free(f);
	f = finding_of("ext4.alloc", "memory.bin", FINDING_EXTENTS_UNKNOWN);
	assert_string_equal(f->advice[0].command, "flatpause fix apply --mitigation fallocate DIR");
	findings__free(f);
	f = finding_of("ext4.alloc", "/mnt/snap-3/memory.bin", FINDING_EXTENTS_LOST);
	assert_non_null(strstr(f->advice[0].why, "O_TRUNC"));
	findings__free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_well_formed),	    cmocka_unit_test(ids_are_shown_alike),
		cmocka_unit_test(frames_by_prefix),	    cmocka_unit_test(blocked_stacks),
		cmocka_unit_test(running_stacks),	    cmocka_unit_test(without_a_stack),
		cmocka_unit_test(advice_follows_the_cause), cmocka_unit_test(advice_names_the_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
