// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The cause tree: each leaf is found by each of its variants, and no other leaf takes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
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

/* ---- the whole table ---- */

static void leaves_are_there(void **state)
{
	static const char *const leaves[] = {
		"io.throttle.wbt",
		"io.throttle.iocost",
		"io.throttle.iolatency",
		"io.throttle.blk",
		"io.tag_wait",
		"io.queue_frozen",
		"io.sched_queue",
		"io.device_service",
		"io.flush",
		"io.completion_delivery",
		"fs.writeback_wait",
		"writeback.dirty_throttle",
		"writeback.flusher_run",
		"writeback.wait_flusher",
		"jbd2.commit_wait",
		"jbd2.handle_wait",
		"jbd2.checkpoint",
		"jbd2.buffer",
		"jbd2.commit_locked",
		"jbd2.commit_flush",
		"jbd2.commit_log",
		"ext4.alloc",
		"ext4.bitmap_io",
		"ext4.csum",
		"ext4.delalloc_reserve",
		"ext4.writepages",
		"ext4.extent_convert",
		"fs.copy",
		"fs.truncate_punch",
		"lock.inode",
		"lock.i_data_sem",
		"lock.mmap",
		"lock.s_umount",
		"lock.rwsem",
		"lock.mutex",
		"lock.percpu",
		"lock.spin",
		"futex.wait",
		"futex.contended",
		"ipc.wait",
		"mm.reclaim",
		"mm.compaction",
		"mm.memcg",
		"mm.fault.file_read",
		"mm.fault.swap",
		"mm.fault.userfault",
		"mm.fault.cow",
		"mm.fault.other",
		"kvm.dirty_log",
		"kvm.memslot",
		"kvm.pause_rendezvous",
		"kvm.halt",
		"user.cpu",
		"kernel.cpu_other",
		"cpu.runqueue.self",
		"cpu.runqueue.other",
		"cpu.runqueue.kthread",
		"cpu.runqueue.quota",
		"cpu.runqueue.steal",
		"cpu.runqueue.idle_exit",
		"cpu.irq_steal",
		"wq.latency",
		"timer.sleep",
		"kernel.rcu_gp",
		"ext.network",
		"signal.stop",
		"freezer",
		"fanotify.wait",
		"other_fs.fuse",
		"other_fs.nfs",
		"other_fs.xfs",
		"other_fs.btrfs",
		"other_fs.overlay",
		"discard",
		"unknown.lost",
		"unknown.no_waker",
		"unknown.pretrace",
		"unknown.depth",
		"unknown.irq",
		"unknown.stack",
	};

	for (size_t i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++) {
		if (!probes__cause(leaves[i]))
			fail_msg("no leaf %s", leaves[i]);
	}
	assert_null(probes__cause("no.such.cause"));
}

static void rows_are_whole(void **state)
{
	for (size_t i = 0; i < cause_tables_cnt; i++)
		for (const struct cause *c = cause_tables[i]; c->id; c++) {
			assert_true(c->title && c->group && c->kind);
			/* One row per leaf: the second would never be looked up. */
			assert_ptr_equal(probes__cause(c->id), c);
			if (c->kind != CAUSE_PSEUDO && !c->signs)
				fail_msg("%s has no signature", c->id);
			for (const struct signature *s = c->signs; s && !signature__is_end(s);
			     s++) {
				for (int g = 1; g < CAUSE_GROUPS; g++)
					assert_false(s->all_of[g] && !s->all_of[g - 1]);
				if (c->kind == CAUSE_PSEUDO && !s->kind)
					fail_msg("%s: a signature without a kind", c->id);
			}
		}
}

struct trial {
	const struct cause *c;
	const struct signature *s;
	const char *suffix;
	size_t depth; /* frames that say nothing, inside of those of the signature */
	bool fails;   /* none of the signature's frames is near enough to count */
	size_t cnt;
};

#define ROOM 80

static void one_stack(struct trial *t, struct probe_context *ctx, const char *const *names,
		      size_t names_cnt)
{
	const char *frames[ROOM + 1];
	char buf[CAUSE_GROUPS][80];
	const struct cause *found;
	size_t cnt = 0;

	while (cnt < t->depth)
		frames[cnt++] = "says_nothing";
	for (size_t i = 0; i < names_cnt; i++) {
		snprintf(buf[i], sizeof(buf[i]), "%s%s", names[i], t->suffix);
		frames[cnt++] = buf[i];
	}
	if (!cnt && t->s->marks & MARK_STACK)
		frames[cnt++] = "says_nothing";
	ctx->frames = frames;
	ctx->frames_cnt = cnt;
	found = probes__classify(ctx);
	t->cnt++;
	if (!t->fails && found != t->c)
		fail_msg("%s in %s%s%s is taken by %s", t->c->id, names_cnt ? names[0] : "a span",
			 names_cnt > 1 ? " < " : "", names_cnt > 1 ? names[1] : "",
			 found ? found->id : "nobody");
	if (t->fails && found == t->c)
		fail_msg("%s is found by a frame that is too far out (%s)", t->c->id, names[0]);
}

/* Every combination of one name of each group. */
static void all_stacks(struct trial *t, struct probe_context *ctx, const char **names, int g)
{
	if (g == CAUSE_GROUPS || !t->s->all_of[g]) {
		one_stack(t, ctx, names, g);
		return;
	}
	for (const char *const *n = t->s->all_of[g]; *n; n++) {
		names[g] = *n;
		all_stacks(t, ctx, names, g + 1);
	}
}

static void with_marks(struct trial *t, bool running)
{
	const char *names[CAUSE_GROUPS] = { NULL };
	uint8_t marks = t->s->marks;
	struct probe_context ctx = {
		.running = running,
		.iowait = marks & MARK_IOWAIT,
		.dirty_pause = marks & MARK_DIRTY_PAUSE,
		.in_syscall = marks & MARK_SYSCALL,
		.kthread = marks & MARK_KTHREAD,
		.lock_flags = t->s->lock,
	};

	if (!t->s->spans && !t->s->sys)
		all_stacks(t, &ctx, names, 0);
	for (int i = 1; i < FP_SPAN_END; i++)
		if (t->s->spans & BIT_OF(i)) {
			ctx.in_span[i] = true;
			all_stacks(t, &ctx, names, 0);
			ctx.in_span[i] = false;
		}
	for (int i = 1; i < FP_SYS_END; i++)
		if (t->s->sys & BIT_OF(i)) {
			ctx.in_syscall = true;
			ctx.cls = i;
			all_stacks(t, &ctx, names, 0);
		}
}

static size_t whole_table(struct trial t, bool only_frames)
{
	for (size_t i = 0; i < cause_tables_cnt; i++)
		for (t.c = cause_tables[i]; t.c->id; t.c++)
			for (t.s = t.c->signs; t.s && !signature__is_end(t.s); t.s++) {
				enum cause_kind kind = t.s->kind ? t.s->kind : t.c->kind;

				if (only_frames && (!t.s->all_of[0] || t.s->innermost))
					continue;
				if (kind & CAUSE_BLOCKED)
					with_marks(&t, false);
				if (kind & CAUSE_RUNNING)
					with_marks(&t, true);
			}
	return t.cnt;
}

static void no_row_takes_anothers_stack(void **state)
{
	assert_true(whole_table((struct trial){ .suffix = "" }, false) > 1000);
}

static void suffixes_of_compilers(void **state)
{
	static const char *const suffixes[] = { ".isra.0", ".constprop.12",  ".part.3",
						".cold",   ".isra.0.part.1", "+0x12/0x340" };

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
		whole_table((struct trial){ .suffix = suffixes[i] }, false);
}

/* As deep as stacks are looked at every row is found, and beyond that none is. */
static void depth_is_bounded(void **state)
{
	struct trial t = { .suffix = "", .depth = CAUSE_FRAMES - CAUSE_GROUPS };

	assert_true(whole_table(t, true) > 1000);
	t.depth = CAUSE_FRAMES;
	t.fails = true;
	assert_true(whole_table(t, true) > 1000);
}

/* ---- stacks as kernels show them ---- */

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

/* What lies nearer decides, whatever the order of the subjects. */
static void order_of_conflicts(void **state)
{
	static const struct {
		const char *expected;
		bool running;
		const char *frames[12];
	} rows[] = {
		{ "jbd2.checkpoint",
		  false,
		  { "jbd2_log_wait_commit", "jbd2_log_do_checkpoint", "__jbd2_log_wait_for_space",
		    "add_transaction_credits", "start_this_handle" } },
		{ "jbd2.checkpoint",
		  false,
		  { "mutex_lock_io", "__jbd2_log_wait_for_space", "add_transaction_credits" } },
		{ "io.throttle.wbt",
		  false,
		  { "rq_qos_wait", "wbt_wait", "__rq_qos_throttle", "blk_mq_submit_bio",
		    "jbd2_log_do_checkpoint", "__jbd2_log_wait_for_space" } },
		{ "io.tag_wait",
		  false,
		  { "blk_mq_get_tag", "__blk_mq_alloc_requests", "blk_mq_submit_bio",
		    "journal_submit_commit_record", "jbd2_journal_commit_transaction" } },
		{ "jbd2.commit_flush",
		  false,
		  { "folio_wait_writeback", "__filemap_fdatawait_range",
		    "filemap_fdatawait_range_keep_errors", "jbd2_journal_finish_inode_data_buffers",
		    "jbd2_journal_commit_transaction" } },
		{ "jbd2.commit_log",
		  false,
		  { "bit_wait_io", "__wait_on_buffer", "jbd2_journal_commit_transaction",
		    "kjournald2" } },
		{ "jbd2.commit_locked",
		  false,
		  { "jbd2_journal_commit_transaction", "kjournald2" } },
		{ "jbd2.buffer",
		  false,
		  { "bit_wait_io", "do_get_write_access", "jbd2_journal_get_write_access",
		    "ext4_mb_mark_context", "ext4_mb_new_blocks" } },
		{ "lock.i_data_sem",
		  false,
		  { "rwsem_down_read_slowpath", "down_read", "ext4_map_blocks",
		    "ext4_do_writepages", "ext4_writepages" } },
		{ "lock.i_data_sem",
		  false, /* under a write that holds the inode */
		  { "rwsem_down_write_slowpath", "down_write", "ext4_map_blocks",
		    "ext4_da_write_begin", "generic_perform_write", "ext4_buffered_write_iter" } },
		{ "lock.mmap",
		  false, /* a fault inside a write: both locks have a frame there */
		  { "rwsem_down_read_slowpath", "down_read_killable", "lock_mm_and_find_vma",
		    "exc_page_fault", "asm_exc_page_fault", "fault_in_readable",
		    "generic_perform_write", "ext4_buffered_write_iter" } },
		{ "lock.rwsem",
		  false, /* a lock of no known class, far inside a fault */
		  { "rwsem_down_read_slowpath", "down_read", "filemap_invalidate", "a", "b", "c",
		    "d", "exc_page_fault" } },
		{ "kvm.pause_rendezvous",
		  false,
		  { "__mutex_lock", "mutex_lock_killable", "kvm_vcpu_ioctl", "__x64_sys_ioctl" } },
		{ "lock.mutex", false, { "__mutex_lock", "kvm_vm_ioctl", "__x64_sys_ioctl" } },
		{ "kvm.memslot",
		  false,
		  { "__synchronize_srcu", "synchronize_srcu_expedited", "kvm_swap_active_memslots",
		    "kvm_set_memslot" } },
		{ "kernel.rcu_gp", false, { "__synchronize_srcu", "fsnotify_destroy_marks" } },
		{ "lock.percpu",
		  false,
		  { "synchronize_rcu", "rcu_sync_enter", "percpu_down_write" } },
		{ "mm.memcg",
		  false,
		  { "folio_wait_writeback", "shrink_folio_list", "shrink_node",
		    "try_to_free_mem_cgroup_pages", "try_charge_memcg" } },
		{ "mm.reclaim",
		  false,
		  { "reclaim_throttle", "shrink_node", "do_try_to_free_pages" } },
		{ "mm.compaction",
		  true,
		  { "isolate_migratepages", "compact_zone", "try_to_compact_pages" } },
		{ "mm.fault.userfault",
		  false,
		  { "handle_userfault", "do_anonymous_page", "handle_mm_fault", "exc_page_fault",
		    "generic_perform_write" } },
		{ "mm.fault.file_read",
		  false,
		  { "folio_wait_bit_common", "filemap_fault", "__do_fault", "handle_mm_fault" } },
		{ "mm.fault.swap",
		  false,
		  { "folio_wait_bit_common", "do_swap_page", "handle_mm_fault" } },
		{ "fs.writeback_wait",
		  false, /* a write into a mapping that is being written back */
		  { "folio_wait_writeback", "folio_wait_stable", "ext4_page_mkwrite",
		    "do_page_mkwrite", "handle_mm_fault" } },
		{ "fs.writeback_wait",
		  false,
		  { "wait_on_page_bit_common", "wait_on_page_bit", "filemap_fdatawait_range" } },
		{ "fs.read",
		  false,
		  { "folio_wait_bit_common", "filemap_update_page", "filemap_get_pages",
		    "filemap_read" } },
		{ "ext4.extent_convert",
		  true,
		  { "ext4_ext_map_blocks", "ext4_map_blocks", "ext4_convert_unwritten_extents",
		    "ext4_convert_unwritten_io_end_vec", "ext4_end_io_rsv_work" } },
		{ "ext4.csum",
		  true,
		  { "crc32c_arch", "ext4_block_bitmap_csum_set", "ext4_mb_mark_context",
		    "ext4_mb_new_blocks" } },
		{ "ext4.alloc",
		  true,
		  { "ext4_ext_map_blocks", "ext4_map_blocks", "ext4_do_writepages" } },
		{ "ext4.delalloc_reserve",
		  true,
		  { "ext4_da_get_block_prep", "ext4_block_write_begin", "ext4_da_write_begin",
		    "generic_perform_write", "ksys_write" } },
		{ "fs.copy",
		  true,
		  { "__filemap_add_folio", "ext4_da_write_begin", "generic_perform_write" } },
		{ "io.throttle.wbt",
		  false,
		  { "wbt_wait", "__rq_qos_throttle", "blk_mq_submit_bio", "ext4_do_writepages",
		    "writeback_sb_inodes", "wb_workfn" } },
		{ "writeback.flusher_run", true, { "queue_io", "wb_writeback", "wb_workfn" } },
		{ "discard",
		  false,
		  { "submit_bio_wait", "blkdev_issue_discard", "ext4_trim_extent" } },
		{ "io.flush",
		  false,
		  { "submit_bio_wait", "blkdev_issue_flush", "xfs_file_fsync" } },
		{ "other_fs.xfs",
		  false,
		  { "xlog_wait_on_iclog", "xfs_log_force_seq", "xfs_file_fsync" } },
		{ "ext.network", false, { "__skb_wait_for_more_packets", "udp_recvmsg" } },
		{ "ipc.wait", false, { "__skb_wait_for_more_packets", "unix_dgram_recvmsg" } },
		{ "freezer", false, { "do_freezer_trap", "get_signal" } },
		{ "signal.stop", false, { "do_signal_stop", "get_signal" } },
		{ "timer.sleep", false, { "schedule_timeout", "some_driver" } },
		{ "(none)", false, { "wait_for_completion_timeout", "schedule_timeout" } },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct probe_context ctx = { .running = rows[i].running };

		assert_string_equal(named(&ctx, rows[i].frames), rows[i].expected);
	}
}

/* Spans that tell without any stack. */
static void spans_of_a_running_thread(void **state)
{
	struct probe_context ctx = { .running = true, .in_syscall = true, .cls = FP_SYS_WRITE };

	ctx.in_span[FP_SPAN_LOCK] = true;
	assert_string_equal(named(&ctx, NULL), "lock.spin");
	ctx.in_span[FP_SPAN_SOFTIRQ] = true;
	assert_string_equal(named(&ctx, NULL), "cpu.irq_steal");
	ctx = (struct probe_context){ .lock_flags = 32 };
	assert_string_equal(named(&ctx, NULL), "(none)");
	ctx.in_span[FP_SPAN_LOCK] = true;
	assert_string_equal(named(&ctx, NULL), "lock.mutex");
	ctx.lock_flags = 2;
	assert_string_equal(named(&ctx, NULL), "lock.rwsem");
	ctx.lock_flags = 16 | 2;
	assert_string_equal(named(&ctx, NULL), "lock.percpu");
	ctx = (struct probe_context){ 0 };
	ctx.in_span[FP_SPAN_COMPACT] = true;
	assert_string_equal(named(&ctx, NULL), "mm.compaction");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(leaves_are_there),
		cmocka_unit_test(rows_are_whole),
		cmocka_unit_test(no_row_takes_anothers_stack),
		cmocka_unit_test(suffixes_of_compilers),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(frames_by_prefix),
		cmocka_unit_test(blocked_stacks),
		cmocka_unit_test(running_stacks),
		cmocka_unit_test(without_a_stack),
		cmocka_unit_test(order_of_conflicts),
		cmocka_unit_test(spans_of_a_running_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
