// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What writing and reading a trace costs.
 *
 *	trace_speed [PATH]               writes and reads a trace of a million events
 *	trace_speed --make PATH EVENTS   leaves a trace with 20 pauses for the analysis benchmark
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "../../user/log.h"
#include "../../user/trace/reader.h"
#include "../../user/trace/writer.h"
#include "../unit/trace_builder.h"

#define EVENTS_CNT 1000000ull
#define CPUS_CNT   4

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static long peak_rss_kb(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_maxrss;
}

static int write_events(const char *path, uint64_t cnt, bool compress, uint64_t *bytes)
{
	const struct trace_writer_opts opts = { .compress = compress,
						.cpus_cnt = CPUS_CNT,
						.start_ns = 1 };
	struct trace_writer *w;
	int err = trace_writer__open(&w, path, &opts);

	for (uint64_t i = 0; i < cnt && !err; i++) {
		struct ev_switch e = { .h = { 1000 * i, (uint32_t)(100 + i % 7), sizeof(e),
					      EV_SWITCH, EV_CTX_TASK },
				       .next_tid = (uint32_t)(100 + i % 5),
				       .prev_state = 1,
				       .kstack_id = 0x9e3779b97f4a7c15ull * (i % 64),
				       .run_delay_ns = (uint32_t)(i % 5000) };

		err = trace_writer__event(w, (uint32_t)(i % CPUS_CNT), &e, sizeof(e));
	}
	if (!err)
		err = trace_writer__flush(w);
	*bytes = err ? 0 : trace_writer__bytes(w);
	if (!err)
		return trace_writer__finish(w, 1000 * cnt, REC_REASON_DONE);
	trace_writer__abandon(w);
	return err;
}

static int read_events(const char *path, uint64_t *cnt, uint64_t *sum)
{
	struct trace_reader *r;
	struct trace_event ev;
	int got = trace_reader__open(&r, path);

	if (got)
		return got;
	*cnt = *sum = 0;
	while ((got = trace_reader__next(r, &ev)) > 0) {
		(*cnt)++;
		*sum += ev.hdr->ts_ns;
	}
	trace_reader__close(r);
	return got;
}

static int measure(const char *path, bool compress)
{
	uint64_t bytes, cnt = 0, sum;
	double begin, written, done;
	long rss_kb = peak_rss_kb();
	int err;

	begin = now_s();
	err = write_events(path, EVENTS_CNT, compress, &bytes);
	if (err)
		return err;
	written = now_s();
	err = read_events(path, &cnt, &sum);
	done = now_s();
	unlink(path);
	if (err || cnt != EVENTS_CNT)
		return log_err(-EIO, "read %llu of %llu events", (unsigned long long)cnt,
			       EVENTS_CNT);
	printf("%-10s write %6.1f M events/s  open+iterate %6.1f M events/s (%.3f s)  %5.1f "
	       "bytes/event  "
	       "RSS +%ld KiB of %llu KiB\n",
	       compress ? "deflated" : "plain", EVENTS_CNT / (written - begin) / 1e6,
	       EVENTS_CNT / (done - written) / 1e6, done - written, (double)bytes / EVENTS_CNT,
	       peak_rss_kb() - rss_kb, (unsigned long long)(bytes >> 10));
	return 0;
}

/* ---- a trace as a sweep leaves it ---- */

#define WINDOWS_CNT 20
#define FC_API	    101u
#define FC_VCPU	    102u
#define FLUSHER	    50u
#define TGID	    100u
#define DEV	    FP_DEV(7, 0)

static const char *const wbt_stack =
	"io_schedule;rq_qos_wait;wbt_wait;__rq_qos_throttle;blk_mq_submit_bio;"
	"submit_bio_noacct;ext4_io_submit;ext4_do_writepages;ext4_writepages;do_writepages;"
	"filemap_fdatawrite_wbc;file_write_and_wait_range;ext4_sync_file;do_fsync;"
	"__x64_sys_fsync;do_syscall_64";

/* One wait of the API thread for the device, as its events show it: nine of them. */
static void one_wait(struct trace_builder *b, uint32_t request)
{
	uint64_t begin = tb_now(b);

	tb_cpu(b, 0);
	tb_bio(b, FC_API, FP_BIO_QUEUE, request, DEV, request * 8ull, 4096, 1);
	tb_block(b, FC_API, TB_UNINTERRUPTIBLE);
	tb_pass(b, 2000);
	tb_cpu(b, 1);
	tb_rq(b, FLUSHER, FP_RQ_ISSUE, request, DEV, request * 8ull, 4096, 1);
	tb_pass(b, 2000);
	tb_rq(b, 0, FP_RQ_COMPLETE, request, DEV, request * 8ull, 4096, 1);
	tb_wake_io(b, FC_API, request);
	tb_pass(b, 1000);
	tb_cpu(b, 0);
	tb_resume(b, FC_API, wbt_stack, 1000);
	tb_span(b, FC_API, FP_SPAN_EXT4_ALLOC, begin, DEV, 12, 1);
	tb_cpu(b, 2);
	tb_sample(b, FC_VCPU, TGID, "vcpu_enter_guest;kvm_arch_vcpu_ioctl_run", "vcpu_loop;main");
	tb_syscall(b, FC_VCPU, FP_SYS_IOCTL, begin, 9, 0);
	tb_pass(b, 1000);
}

/* Window `n` of WINDOWS_CNT, 50 ms apart at least: fast up to the 6th, then three times as long. */
static void one_window(struct trace_builder *b, uint32_t n, uint64_t waits, uint32_t *request)
{
	uint64_t begin = tb_now(b), sync_begin;

	tb_cpu(b, 0);
	tb_run_thread(b, FC_API);
	tb_api(b, FC_API, 7, "PATCH /vm HTTP/1.1\r\n\r\n{\"state\":\"Paused\"}");
	tb_pass(b, 10 * TB_US);
	tb_open(b, FC_API, tb_now(b) - TB_US, "/mnt/snap/memory.bin", 01101, DEV, 12, 11);
	sync_begin = tb_now(b);
	for (uint64_t i = 0; i < waits; i++)
		one_wait(b, (*request)++);
	tb_cpu(b, 0);
	tb_syscall(b, FC_API, FP_SYS_FSYNC, sync_begin, 11, 0);
	tb_syscall(b, FC_API, FP_SYS_CLOSE, tb_now(b), 11, 0);
	tb_api(b, FC_API, 7, "PATCH /vm HTTP/1.1\r\n\r\n{\"state\":\"Resumed\"}");
	tb_pass(b, 20 * TB_US);
	tb_syscall(b, FC_API, FP_SYS_WRITE, tb_now(b) - 10 * TB_US, 7, 100);
	tb_run(b, 1, n + 1, begin, tb_now(b), REC_NS_NONE);
	tb_block(b, FC_API, TB_INTERRUPTIBLE);
	tb_pass(b, 50 * TB_MS);
}

static int make_trace(const char *path, uint64_t events_cnt)
{
	struct trace_builder *b = tb__open(path, CPUS_CNT);
	uint64_t unit = events_cnt / 9 / (6 + (WINDOWS_CNT - 6) * 3);
	uint32_t request = 1;
	int err;

	if (!b)
		return -1;
	tb_meta(b, "{\"window\":\"auto\"}");
	tb_sleeper(b, FC_API, TGID, "fc_api", FP_TASK_TARGET, TB_INTERRUPTIBLE,
		   "ep_poll;do_epoll_wait");
	tb_thread(b, FC_VCPU, TGID, "fc_vcpu 0", FP_TASK_TARGET);
	tb_sleeper(b, FLUSHER, FLUSHER, "kworker/u4:1", FP_TASK_KTHREAD, TB_INTERRUPTIBLE,
		   "worker_thread;kthread");
	tb_pass(b, TB_MS);
	for (uint32_t n = 0; n < WINDOWS_CNT; n++)
		one_window(b, n, n < 6 ? unit : 3 * unit, &request);
	err = tb__finish(b);
	tb__free(b);
	return err;
}

int main(int argc, char **argv)
{
	const char *path = argc > 1 ? argv[1] : "/tmp/flatpause-trace-speed.fpt";

	log_init("trace_speed", LOG_NORMAL);
	if (argc == 4 && !strcmp(argv[1], "--make"))
		return make_trace(argv[2], strtoull(argv[3], NULL, 10)) ? 1 : 0;
	if (argc > 2) {
		fprintf(stderr, "usage: trace_speed [PATH] | --make PATH EVENTS\n");
		return 2;
	}
	return measure(path, false) || measure(path, true);
}
