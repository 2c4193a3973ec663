// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The path through requests and work items, who left what behind, and whose data it was. */
#include "one_window.h"

#define FLUSHER	    50u
#define WORKER	    51u
#define DEV	    MEM_DEV
#define INO	    77u
#define OPF_BG	    1u
#define OPF_SYNCED  (1u | 1u << 11)
#define OPF_FLUSHED (1u | 1u << 18)
#define SECTOR	    2048u
#define BYTES	    65536u

static void submit(struct trace_builder *b, uint32_t tid, uint32_t id, uint64_t queue,
		   uint64_t getrq, uint32_t opf)
{
	tb_at(b, queue);
	tb_bio(b, tid, FP_BIO_QUEUE, id, DEV, SECTOR, BYTES, opf);
	tb_at(b, getrq);
	tb_bio(b, tid, FP_BIO_GETRQ, id, DEV, SECTOR, BYTES, opf);
}

static void serve(struct trace_builder *b, uint32_t rq, uint64_t insert, uint64_t issue,
		  uint64_t complete, uint32_t opf)
{
	tb_at(b, insert);
	tb_rq(b, 0, FP_RQ_INSERT, rq, DEV, SECTOR, BYTES, opf);
	tb_at(b, issue);
	tb_rq(b, 0, FP_RQ_ISSUE, rq, DEV, SECTOR, BYTES, opf);
	tb_at(b, complete);
	tb_rq(b, 0, FP_RQ_COMPLETE, rq, DEV, SECTOR, BYTES, opf);
}

static void sleep_from(struct trace_builder *b, uint64_t ns)
{
	tb_cpu(b, 0);
	tb_at(b, ns);
	tb_block(b, 10, TB_UNINTERRUPTIBLE);
	tb_cpu(b, 1);
}

static void woken_by(struct trace_builder *b, uint64_t ns, uint32_t rq, const char *stack)
{
	tb_cpu(b, 0);
	tb_at(b, ns);
	tb_wake_io(b, 10, rq);
	tb_resume(b, 10, stack, 0);
}

static void kthread_from(struct trace_builder *b, uint32_t tid, const char *comm, uint64_t ns)
{
	tb_cpu(b, 1);
	tb_at(b, 99 * MS);
	tb_sleeper(b, tid, tid, comm, FP_TASK_KTHREAD, TB_INTERRUPTIBLE, "worker_thread;kthread");
	tb_at(b, ns);
	tb_wake_ctx(b, 0, tid, EV_CTX_HARDIRQ, 0, 0);
	tb_run_thread(b, tid);
}

/*
 * The wait of 110..160 was for a request that did not exist yet: the flusher worked until 115,
 * stood in wbt until 125 and submitted; then queue, device, delivery.
 */
static void life_of_a_request(void **state)
{
	struct trace_builder *b = begin();
	const struct finding_window *w;
	struct findings *f;

	kthread_from(b, FLUSHER, "kworker/u8:1", 105 * MS);
	tb_point(b, FLUSHER, FP_POINT_WB_INODE, DEV, INO, 0, 0);
	tb_inode_dirty(b, 900, DEV, INO);
	sleep_from(b, 110 * MS);
	tb_at(b, 115 * MS);
	tb_bio(b, FLUSHER, FP_BIO_QUEUE, 3, DEV, SECTOR, BYTES, OPF_BG);
	tb_block(b, FLUSHER, TB_UNINTERRUPTIBLE);
	tb_at(b, 125 * MS);
	tb_wake_io(b, FLUSHER, 6);
	tb_resume(b, FLUSHER, WBT_SLEEP, 0);
	tb_bio(b, FLUSHER, FP_BIO_GETRQ, 3, DEV, SECTOR, BYTES, OPF_BG);
	serve(b, 7, 126 * MS, 130 * MS, 158 * MS, OPF_BG);
	woken_by(b, 160 * MS, 7, WRITEBACK_SLEEP);
	f = end(b);
	w = &f->windows[0];
	assert_int_equal(ledger_ns(w, "fs.writeback_wait"), 0);
	assert_int_equal(ledger_ns(w, "kernel.cpu_other"), 5 * MS);
	assert_int_equal(ledger_ns(w, "io.throttle.wbt"), 10 * MS);
	assert_int_equal(ledger_ns(w, "io.sched_queue"), 5 * MS);
	assert_int_equal(ledger_ns(w, "io.device_service"), 28 * MS);
	assert_int_equal(ledger_ns(w, "io.completion_delivery"), 2 * MS);
	assert_string_equal(path_of(w, "io.throttle.wbt")->actor, "kworker/u8:1/50");
	assert_string_equal(path_of(w, "io.throttle.wbt")->via, "fs.writeback_wait of vmm/10");
	assert_string_equal(path_of(w, "io.device_service")->actor, "device 7:0");
	assert_int_equal(w->blame_cnt, 1);
	assert_string_equal(w->blame[0].file, "7:0:77");
	assert_string_equal(w->blame[0].dirtied_by, "?/900");
	assert_true(w->blame[0].ns >= 50 * MS);
	findings__free(f);
	tb__free(b);
}

/* A flush is one, whoever asks; what blk-throttle put aside gets its request in another thread. */
static void flush_and_throttled_bio(void **state)
{
	for (int i = 0; i < 2; i++) {
		struct trace_builder *b = begin();
		struct findings *f;

		tb_cpu(b, 1);
		submit(b, 10, 3, 105 * MS, 105 * MS, i ? OPF_FLUSHED : OPF_SYNCED);
		if (!i) {
			tb_at(b, 140 * MS);
			tb_bio(b, WORKER, FP_BIO_GETRQ, 3, DEV, SECTOR, BYTES, OPF_SYNCED);
		}
		sleep_from(b, 110 * MS);
		serve(b, 7, 140 * MS, 141 * MS, 150 * MS, i ? OPF_FLUSHED : OPF_SYNCED);
		woken_by(b, 150 * MS, 7, WRITEBACK_SLEEP);
		f = end(b);
		assert_int_equal(ledger_ns(&f->windows[0], i ? "io.flush" : "io.device_service"),
				 9 * MS);
		assert_int_equal(ledger_ns(&f->windows[0], "io.throttle.blk"), i ? 0 : 30 * MS);
		assert_int_equal(ledger_ns(&f->windows[0], "io.sched_queue"), i ? 31 * MS : 1 * MS);
		findings__free(f);
		tb__free(b);
	}
}

/* A direct write whose bio a worker queued later: its group's limit held it back. */
static void bio_put_aside(void **state)
{
	static const char *const stacks[] = { "blk_io_schedule;__iomap_dio_rw;iomap_dio_rw",
					      WRITEBACK_SLEEP };

	for (int i = 0; i < 2; i++) {
		struct trace_builder *b = begin();
		struct findings *f;

		kthread_from(b, WORKER, "kworker/1:0", 138 * MS);
		sleep_from(b, 110 * MS);
		tb_at(b, 139 * MS);
		tb_work_start(b, WORKER, 0xabc0, "blk_throtl_dispatch_work_fn");
		submit(b, WORKER, 3, 140 * MS, 140 * MS, OPF_SYNCED);
		serve(b, 7, 140 * MS, 140 * MS, 150 * MS, OPF_SYNCED);
		tb_work_end(b, WORKER, 0xabc0, "blk_throtl_dispatch_work_fn");
		woken_by(b, 150 * MS, 7, stacks[i]);
		f = end(b);
		assert_int_equal(ledger_ns(&f->windows[0], "io.device_service"), 10 * MS);
		assert_int_equal(ledger_ns(&f->windows[0], "io.throttle.blk"), i ? 0 : 30 * MS);
		findings__free(f);
		tb__free(b);
	}
}

/*
 * A device without FUA: the write is flushed before and behind, and ends with a second completion.
 * Nothing but a flush is never issued under its own number.
 */
static void flush_sequences(void **state)
{
	for (int data = 0; data < 2; data++) {
		uint32_t bytes = data ? BYTES : 0;
		struct trace_builder *b = begin();
		struct findings *f;

		tb_cpu(b, 1);
		tb_at(b, 110 * MS);
		tb_bio(b, 10, FP_BIO_QUEUE, 3, DEV, SECTOR, bytes, 1 | 1 << 18 | data << 17);
		tb_bio(b, 10, FP_BIO_GETRQ, 3, DEV, SECTOR, bytes, 1 | 1 << 18 | data << 17);
		sleep_from(b, 110 * MS + 1);
		tb_at(b, 111 * MS);
		tb_rq(b, 0, FP_RQ_ISSUE, 8, DEV, UINT64_MAX, 0, 2 | 1 << 18);
		tb_at(b, 120 * MS);
		tb_rq(b, 0, FP_RQ_COMPLETE, 8, DEV, UINT64_MAX, 0, 2 | 1 << 18);
		if (data)
			serve(b, 7, 120 * MS, 121 * MS, 130 * MS, OPF_SYNCED);
		tb_at(b, 150 * MS);
		tb_rq(b, 0, FP_RQ_COMPLETE, 7, DEV, SECTOR, 0, OPF_SYNCED);
		woken_by(b, 150 * MS, 7, WRITEBACK_SLEEP);
		f = end(b);
		assert_int_equal(ledger_ns(&f->windows[0], "io.flush"), 40 * MS - 1);
		findings__free(f);
		tb__free(b);
	}
}

/* A number that is used again, and a completion that was lost: each wait gets its own request. */
static void request_numbers_are_reused(void **state)
{
	struct trace_builder *b = begin();
	const struct finding_window *w;
	struct findings *f;

	tb_cpu(b, 1);
	submit(b, 10, 3, 105 * MS, 105 * MS, OPF_SYNCED);
	sleep_from(b, 106 * MS);
	serve(b, 7, 106 * MS, 108 * MS, 120 * MS, OPF_SYNCED);
	woken_by(b, 120 * MS, 7, WRITEBACK_SLEEP);
	tb_cpu(b, 1);
	tb_at(b, 121 * MS); /* its completion is never told */
	tb_rq(b, 0, FP_RQ_ISSUE, 7, DEV, 999, BYTES, OPF_SYNCED);
	submit(b, 10, 4, 130 * MS, 130 * MS, OPF_SYNCED);
	sleep_from(b, 131 * MS);
	serve(b, 7, 131 * MS, 134 * MS, 150 * MS, OPF_SYNCED);
	woken_by(b, 150 * MS, 7, WRITEBACK_SLEEP);
	f = end(b);
	w = &f->windows[0];
	assert_int_equal(ledger_ns(w, "io.sched_queue"), (2 + 3) * MS);
	assert_int_equal(ledger_ns(w, "io.device_service"), (12 + 16) * MS);
	findings__free(f);
	tb__free(b);
}

/* Two bios in one request: the path goes to whoever came first. */
static void merged_bios(void **state)
{
	struct trace_builder *b = begin();
	const struct finding_window *w;
	struct findings *f;

	kthread_from(b, FLUSHER, "kworker/u8:1", 105 * MS);
	sleep_from(b, 106 * MS);
	submit(b, FLUSHER, 3, 112 * MS, 112 * MS, OPF_BG);
	tb_at(b, 113 * MS);
	tb_bio(b, FLUSHER, FP_BIO_QUEUE, 4, DEV, SECTOR + BYTES / 512, BYTES, OPF_BG);
	tb_bio(b, FLUSHER, FP_BIO_MERGE, 4, DEV, SECTOR + BYTES / 512, BYTES, OPF_BG);
	serve(b, 7, 120 * MS, 120 * MS, 150 * MS, OPF_BG);
	woken_by(b, 150 * MS, 7, WRITEBACK_SLEEP);
	f = end(b);
	w = &f->windows[0];
	assert_int_equal(ledger_ns(w, "kernel.cpu_other"), 6 * MS);
	assert_int_equal(ledger_ns(w, "io.sched_queue"), 8 * MS);
	assert_int_equal(ledger_ns(w, "io.device_service"), 30 * MS);
	findings__free(f);
	tb__free(b);
}

/* A bio of three requests: each part waited for its request since the whole was queued. */
static void split_bio(void **state)
{
	struct trace_builder *b = begin();
	const struct finding_window *w;
	struct findings *f;

	kthread_from(b, FLUSHER, "kworker/u8:1", 105 * MS);
	sleep_from(b, 106 * MS);
	tb_at(b, 112 * MS);
	tb_bio(b, FLUSHER, FP_BIO_QUEUE, 3, DEV, SECTOR, 3 * BYTES, OPF_BG);
	for (int i = 0; i < 3; i++) {
		uint64_t sector = SECTOR + i * BYTES / 512;

		tb_at(b, (114 + 2 * i) * MS);
		tb_bio(b, FLUSHER, FP_BIO_GETRQ, 9 + i, DEV, sector, BYTES, OPF_BG);
		tb_rq(b, FLUSHER, FP_RQ_ISSUE, 7 + i, DEV, sector, BYTES, OPF_BG);
	}
	tb_at(b, 150 * MS);
	tb_rq(b, 0, FP_RQ_COMPLETE, 9, DEV, SECTOR + 2 * BYTES / 512, BYTES, OPF_BG);
	woken_by(b, 150 * MS, 9, WRITEBACK_SLEEP);
	f = end(b);
	w = &f->windows[0];
	/* the submitter ran, from 106 to the bio's queueing and on to the third request */
	assert_int_equal(ledger_ns(w, "kernel.cpu_other"), 12 * MS);
	assert_int_equal(ledger_ns(w, "io.device_service"), 32 * MS);
	assert_string_equal(w->blame[0].dirtied_by, "kworker/u8:1/50");
	findings__free(f);
	tb__free(b);
}

/*
 * The worker that ends the wait at 150 began with its item at 140; it was queued at 130 by the
 * completion of a request that was issued at 115.
 */
static void work_item_behind_a_request(void **state)
{
	struct trace_builder *b = begin();
	const struct finding_window *w;
	struct findings *f;

	kthread_from(b, WORKER, "kworker/1:1", 138 * MS);
	tb_cpu(b, 2);
	submit(b, 10, 3, 105 * MS, 105 * MS, OPF_SYNCED);
	sleep_from(b, 110 * MS);
	tb_cpu(b, 2);
	serve(b, 7, 112 * MS, 115 * MS, 130 * MS, OPF_SYNCED);
	tb_work_queue_io(b, 7, 0xabc0, "ext4_end_io_rsv_work");
	tb_cpu(b, 1);
	tb_at(b, 140 * MS);
	tb_work_start(b, WORKER, 0xabc0, "ext4_end_io_rsv_work");
	tb_at(b, 150 * MS - 1);
	tb_wake(b, WORKER, 10);
	tb_at(b, 155 * MS);
	tb_work_end(b, WORKER, 0xabc0, "ext4_end_io_rsv_work");
	tb_block(b, WORKER, TB_INTERRUPTIBLE);
	tb_cpu(b, 0);
	tb_at(b, 150 * MS);
	tb_resume(b, 10, WRITEBACK_SLEEP, 0);
	f = end(b);
	w = &f->windows[0];
	assert_int_equal(ledger_ns(w, "kernel.cpu_other"), 10 * MS - 1);
	assert_int_equal(ledger_ns(w, "wq.latency"), 10 * MS);
	assert_int_equal(ledger_ns(w, "io.device_service"), 15 * MS);
	assert_int_equal(ledger_ns(w, "io.sched_queue"), 5 * MS);
	assert_int_equal(ledger_ns(w, "fs.writeback_wait"), 0);
	findings__free(f);
	tb__free(b);
}

/* Queued by a thread: before that, it is what this one did. A clock that is 2 us ahead is repaired. */
static void work_item_of_a_thread(void **state)
{
	for (int skew = 0; skew < 2; skew++) {
		uint64_t start = skew ? 130 * MS - 1500 : 140 * MS;
		struct trace_builder *b = begin();
		const struct finding_window *w;
		struct findings *f;

		kthread_from(b, WORKER, "kworker/1:1", 120 * MS);
		tb_cpu(b, 2);
		tb_at(b, 100 * MS);
		tb_thread(b, 20, 20, "helper", 0);
		sleep_from(b, 110 * MS);
		tb_cpu(b, 2);
		tb_at(b, 130 * MS);
		tb_work_queue(b, 20, 0xabc0, "do_something");
		tb_cpu(b, 1);
		tb_at(b, start);
		tb_work_start(b, WORKER, 0xabc0, "do_something");
		tb_at(b, 150 * MS - 1);
		tb_wake(b, WORKER, 10);
		tb_at(b, 155 * MS);
		tb_work_end(b, WORKER, 0xabc0, "do_something");
		tb_cpu(b, 2);
		tb_at(b, 156 * MS);
		tb_block(b, 20, TB_INTERRUPTIBLE);
		tb_cpu(b, 0);
		tb_at(b, 150 * MS);
		tb_resume(b, 10, "pipe_read;vfs_read", 0);
		f = end(b);
		w = &f->windows[0];
		assert_int_equal(ledger_ns(w, "wq.latency"), skew ? 0 : 10 * MS);
		assert_int_equal(ledger_ns(w, "kernel.cpu_other"), 150 * MS - 1 - start);
		assert_int_equal(warns_of(f, "ran backwards"), skew);
		findings__free(f);
		tb__free(b);
	}
}

/* Three windows: the third waits for a request that was queued in the first. */
static void who_left_it_behind(void **state)
{
	struct trace_builder *b = tb__open(NULL, 2);
	struct findings *f;

	tb_thread(b, 10, 10, "vmm", FP_TASK_TARGET);
	for (int i = 1; i <= 3; i++) {
		tb_at(b, i * 100 * MS);
		tb_mark(b, REC_MARK_BEGIN, "");
		tb_at(b, i * 100 * MS + 50 * MS);
		tb_mark(b, REC_MARK_END, "");
	}
	tb_cpu(b, 1);
	submit(b, 900, 3, 120 * MS, 121 * MS, OPF_BG);
	sleep_from(b, 310 * MS);
	serve(b, 7, 300 * MS, 305 * MS, 340 * MS, OPF_BG);
	woken_by(b, 340 * MS, 7, WRITEBACK_SLEEP);
	tb_at(b, 400 * MS);
	tb_preempt(b, 10, 0);
	f = diagnose(b, "mark");
	assert_int_equal(ledger_ns(&f->windows[2], "io.device_service"), 30 * MS);
	assert_int_equal(carry_ns(&f->windows[2], "io.device_service"), 30 * MS);
	assert_string_equal(f->windows[2].ledger[0].cause, "io.device_service");
	assert_int_equal(f->windows[2].ledger[0].carry_over_prev_window, 1);
	assert_int_equal(f->windows[0].ledger[0].carry_over_prev_window, 0);
	findings__free(f);
	tb__free(b);
}

/* Two windows open at once, one inside the other: each has its own path over the same wait. */
static void window_in_window(void **state)
{
	struct trace_builder *b = tb__open(NULL, 2);
	struct findings *f;

	tb_thread(b, 10, 10, "vmm", FP_TASK_TARGET);
	for (int i = 0; i < 2; i++) { /* files, opened and closed: 100..200 and 130..180 */
		tb_at(b, (i ? 131 : 101) * MS);
		tb_open(b, 10, (i ? 130 : 100) * MS, i ? "/d/mem2" : "/d/mem1", O_WRONLY | O_CREAT,
			DEV, 5 + i, 12 + i);
	}
	tb_cpu(b, 1);
	submit(b, 900, 3, 105 * MS, 106 * MS, OPF_BG);
	sleep_from(b, 140 * MS);
	serve(b, 7, 110 * MS, 120 * MS, 170 * MS, OPF_BG);
	woken_by(b, 170 * MS, 7, WRITEBACK_SLEEP);
	tb_at(b, 180 * MS);
	tb_syscall(b, 10, FP_SYS_CLOSE, 179 * MS, 13, 0);
	tb_at(b, 200 * MS);
	tb_syscall(b, 10, FP_SYS_CLOSE, 199 * MS, 12, 0);
	tb_at(b, 400 * MS);
	tb_preempt(b, 10, 0);
	f = diagnose(b, "file:mem*");
	assert_int_equal(f->windows_cnt, 2);
	for (int i = 0; i < 2; i++)
		assert_int_equal(ledger_ns(&f->windows[i], "io.device_service"), 30 * MS);
	/* what was queued before the inner one began is its carry-over, and not the outer one's */
	assert_int_equal(carry_ns(&f->windows[0], "io.device_service"), 0);
	assert_int_equal(carry_ns(&f->windows[1], "io.device_service"), 30 * MS);
	assert_int_equal(path_of(&f->windows[1], "io.device_service")->begin_ns, 10 * MS);
	findings__free(f);
	tb__free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(life_of_a_request),
		cmocka_unit_test(flush_and_throttled_bio),
		cmocka_unit_test(flush_sequences),
		cmocka_unit_test(bio_put_aside),
		cmocka_unit_test(request_numbers_are_reused),
		cmocka_unit_test(merged_bios),
		cmocka_unit_test(split_bio),
		cmocka_unit_test(work_item_behind_a_request),
		cmocka_unit_test(work_item_of_a_thread),
		cmocka_unit_test(who_left_it_behind),
		cmocka_unit_test(window_in_window),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
