/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* A Firecracker-like BRANCH as records, and what every finding must fulfil. */
#ifndef FLATPAUSE_TESTS_STORIES_H
#define FLATPAUSE_TESTS_STORIES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "../../../reports/finding.h"
#include "../../../user/analyze/analyze.h"
#include "../trace_builder.h"

#define VMM	    100u
#define API	    101u
#define VCPU	    102u
#define MEM_DEV	    FP_DEV(7, 0)
#define MEM_INO	    42u

#define FUTEX_SLEEP "futex_do_wait;__futex_wait;futex_wait;do_futex"
#define EPOLL_SLEEP "schedule_hrtimeout_range;do_epoll_wait;__x64_sys_epoll_wait"
#define WBT_SLEEP                                                   \
	"rq_qos_wait;wbt_wait;__rq_qos_throttle;blk_mq_submit_bio;" \
	"ext4_bio_write_folio;mpage_submit_folio;ext4_do_writepages;ext4_sync_file;do_fsync"
#define DIRTY_SLEEP            \
	"balance_dirty_pages;" \
	"balance_dirty_pages_ratelimited_flags;generic_perform_write;ksys_write"
#define WRITEBACK_SLEEP                               \
	"folio_wait_bit_common;folio_wait_writeback;" \
	"__filemap_fdatawait_range;file_write_and_wait_range;ext4_sync_file;do_fsync"

/* The threads, asleep since before the recording. */
static inline void story_begin(struct trace_builder *b)
{
	tb_at(b, 0);
	tb_cpu(b, 0);
	tb_sleeper(b, VMM, VMM, "labvmm", FP_TASK_TARGET, TB_INTERRUPTIBLE, FUTEX_SLEEP);
	tb_sleeper(b, API, VMM, "fc_api", FP_TASK_TARGET, TB_INTERRUPTIBLE, EPOLL_SLEEP);
	tb_sleeper(b, VCPU, VMM, "fc_vcpu 0", FP_TASK_TARGET, TB_INTERRUPTIBLE, FUTEX_SLEEP);
}

/* The API thread wakes, reads the pause, hands over to the VMM thread and parks. */
static inline void story_pause(struct trace_builder *b, uint64_t t0)
{
	tb_cpu(b, 0);
	tb_at(b, t0 - 100 * TB_US);
	tb_wake_ctx(b, 0, API, EV_CTX_SOFTIRQ, 0, 0);
	tb_at(b, t0 - 90 * TB_US);
	tb_resume(b, API, EPOLL_SLEEP, 10000);
	tb_at(b, t0);
	tb_syscall(b, API, FP_SYS_RECV, t0 - 20 * TB_US, 9, 80);
	tb_api(b, API, 9, "PATCH /vm HTTP/1.1\r\n\r\n{\"state\":\"Paused\"}");
	tb_at(b, t0 + 100 * TB_US);
	tb_syscall(b, API, FP_SYS_SEND, t0 + 80 * TB_US, 9, 60);
	tb_at(b, t0 + 200 * TB_US);
	tb_wake(b, API, VMM);
	tb_at(b, t0 + 210 * TB_US);
	tb_block(b, API, TB_INTERRUPTIBLE);
	tb_cpu(b, 1);
	tb_at(b, t0 + 215 * TB_US);
	tb_resume(b, VMM, FUTEX_SLEEP, 15000);
	tb_at(b, t0 + 260 * TB_US);
	tb_open(b, VMM, t0 + 250 * TB_US, "/mnt/snap-3/memory.bin", O_WRONLY | O_CREAT, MEM_DEV,
		MEM_INO, 12);
}

/* At `t` (VMM thread, in user mode): wakes the API thread, which resumes and replies at t + 200 us */
static inline uint64_t story_resume(struct trace_builder *b, uint64_t t0, uint64_t t)
{
	tb_cpu(b, 1);
	tb_at(b, t);
	tb_wake(b, VMM, API);
	tb_at(b, t + 20 * TB_US);
	tb_block(b, VMM, TB_INTERRUPTIBLE);
	tb_cpu(b, 0);
	tb_at(b, t + 10 * TB_US);
	tb_resume(b, API, FUTEX_SLEEP, 10000);
	tb_at(b, t + 15 * TB_US);
	tb_futex(b, API, t0 + 205 * TB_US, 0x7f0000001000, 137, 0);
	tb_at(b, t + 50 * TB_US);
	tb_syscall(b, API, FP_SYS_SEND, t + 40 * TB_US, 9, 60);
	tb_at(b, t + 100 * TB_US);
	tb_syscall(b, API, FP_SYS_RECV, t + 90 * TB_US, 10, 80);
	tb_api(b, API, 10, "PATCH /vm HTTP/1.1\r\n\r\n{\"state\": \"Resumed\"}");
	tb_at(b, t + 200 * TB_US);
	tb_syscall(b, API, FP_SYS_SEND, t + 190 * TB_US, 10, 60);
	tb_at(b, t + 300 * TB_US);
	tb_block(b, API, TB_INTERRUPTIBLE);
	return t + 200 * TB_US;
}

/* From 300 us after `t` the VMM thread writes; its fsync sleeps for `wait_ns` on `stack`. */
static inline uint64_t story_save(struct trace_builder *b, uint64_t t0, uint64_t t,
				  uint64_t wait_ns, const char *stack)
{
	uint64_t end = t + 600 * TB_US + wait_ns;

	tb_at(b, t + 400 * TB_US);
	tb_syscall(b, VMM, FP_SYS_WRITE, t + 300 * TB_US, 12, 409600);
	tb_at(b, t + 600 * TB_US);
	tb_block(b, VMM, TB_UNINTERRUPTIBLE);
	tb_at(b, end);
	tb_wake_io(b, VMM, 7);
	tb_resume(b, VMM, stack, 0);
	tb_at(b, end + 100 * TB_US);
	tb_span(b, VMM, FP_SPAN_EXT4_SYNC, t + 510 * TB_US, MEM_DEV, MEM_INO, 0);
	tb_syscall(b, VMM, FP_SYS_FSYNC, t + 500 * TB_US, 12, 0);
	return story_resume(b, t0, end + 200 * TB_US);
}

/* One BRANCH: the fsync of the memory file sleeps for `wait_ns` on `stack`. Gives its end. */
static inline uint64_t story_fsync(struct trace_builder *b, uint64_t t0, uint64_t wait_ns,
				   const char *stack)
{
	story_pause(b, t0);
	return story_save(b, t0, t0, wait_ns, stack);
}

/* ---- reading findings ---- */

static inline uint64_t ledger_ns(const struct finding_window *w, const char *cause)
{
	for (size_t i = 0; i < w->ledger_cnt; i++)
		if (!strcmp(w->ledger[i].cause, cause))
			return w->ledger[i].ns;
	return 0;
}

static inline uint64_t carry_ns(const struct finding_window *w, const char *cause)
{
	for (size_t i = 0; i < w->ledger_cnt; i++)
		if (!strcmp(w->ledger[i].cause, cause))
			return w->ledger[i].carry_over_ns;
	return 0;
}

static inline const struct finding_thread *thread_of(const struct finding_window *w, uint32_t tid)
{
	for (size_t i = 0; i < w->threads_cnt; i++)
		if (w->threads[i].tid == tid)
			return &w->threads[i];
	return NULL;
}

static inline uint64_t blocked_ns(const struct finding_thread *t, const char *cause)
{
	for (size_t i = 0; i < t->blocked_cnt; i++)
		if (!strcmp(t->blocked[i].cause, cause))
			return t->blocked[i].ns;
	return 0;
}

/* The path tiles the window: what is not listed is counted. */
static inline bool path_tiles(const struct finding_window *w)
{
	uint64_t sum = w->path_rest_ns, at = 0;

	for (size_t i = 0; i < w->path_cnt; i++) {
		if (w->path[i].begin_ns < at || (!w->path_rest_cnt && w->path[i].begin_ns != at))
			return false;
		at = w->path[i].begin_ns + w->path[i].ns;
		sum += w->path[i].ns;
	}
	return !w->closer_tid || (sum == w->duration_ns && at <= w->duration_ns);
}

/* The first stretch of the path with this cause; NULL = none. */
static inline const struct finding_segment *path_of(const struct finding_window *w,
						    const char *cause)
{
	for (size_t i = 0; i < w->path_cnt; i++)
		if (!strcmp(w->path[i].cause, cause))
			return &w->path[i];
	return NULL;
}

static inline bool sums_hold(const struct findings *f)
{
	for (size_t w = 0; w < f->windows_cnt; w++) {
		const struct finding_window *win = &f->windows[w];
		uint64_t sum = 0;

		for (size_t i = 0; i < win->ledger_cnt; i++)
			sum += win->ledger[i].ns;
		if (sum != win->duration_ns) {
			print_error("window %zu: ledger %llu of %llu ns\n", w,
				    (unsigned long long)sum, (unsigned long long)win->duration_ns);
			return false;
		}
		if (!path_tiles(win)) {
			print_error("window %zu: its path does not tile it\n", w);
			return false;
		}
		for (size_t t = 0; t < win->threads_cnt; t++) {
			const struct finding_thread *th = &win->threads[t];

			sum = th->running_user_ns + th->running_kernel_ns + th->runnable_ns;
			for (size_t i = 0; i < th->blocked_cnt; i++)
				sum += th->blocked[i].ns;
			if (sum != th->wall_ns) {
				print_error("window %zu thread %u: %llu of %llu ns\n", w, th->tid,
					    (unsigned long long)sum,
					    (unsigned long long)th->wall_ns);
				return false;
			}
		}
	}
	return true;
}

/* Finishes the trace and analyses it; the sums hold whatever is in it. */
static inline struct findings *diagnose_lossy(struct trace_builder *b, const char *window,
					      double max_loss_percent)
{
	const struct analyze_opts opts = { .window = window,
					   .flames = true,
					   .max_loss_percent = max_loss_percent };
	struct findings *f = NULL;

	assert_int_equal(tb__finish(b), 0);
	assert_int_equal(analyze__trace(tb__path(b), &opts, &f), 0);
	assert_non_null(f);
	assert_true(sums_hold(f));
	return f;
}

static inline struct findings *diagnose(struct trace_builder *b, const char *window)
{
	return diagnose_lossy(b, window, 1);
}

#endif
