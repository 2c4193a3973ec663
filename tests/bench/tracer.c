// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Records one process with capture alone, without the rest of `flatpause record`, so that single
 * options can be priced. Prints "ready" when events flow; on SIGTERM one line of JSON.
 * usage: tracer [option=value ...] PID OUTPUT.fpt     (PID 0: only hooks, no target)
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "user/capture/capture.h"
#include "user/log.h"

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static int parse(struct capture_opts *o, const char *arg)
{
	const char *eq = strchr(arg, '=');
	size_t len = eq ? (size_t)(eq - arg) : 0;
	unsigned long long v = eq ? strtoull(eq + 1, NULL, 10) : 0;

	if (!strncmp(arg, "ring", len))
		o->ring_bytes = v;
	else if (!strncmp(arg, "min_sleep_ns", len))
		o->min_sleep_ns = v;
	else if (!strncmp(arg, "hz", len))
		o->sample_hz = (uint32_t)v;
	else if (!strncmp(arg, "syscalls", len))
		o->syscalls = v;
	else if (!strncmp(arg, "wakes", len))
		o->wakes = v;
	else
		return log_err(-1, "no option '%s'", arg);
	return 0;
}

/* Resident memory in kB: "VmRSS" now, "VmHWM" at its peak */
static long memory_kb(const char *field)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[128];
	long kb = 0;

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, field, strlen(field)))
			kb = atol(line + strlen(field) + 1);
	if (f)
		fclose(f);
	return kb;
}

static int record(struct capture *c, struct trace_writer *w, const struct capture_opts *o)
{
	struct timespec pause = { 0, 5000000 };
	struct capture_loss loss[1024];
	uint64_t end_ns = 0, lost = 0;
	int err;

	err = capture__start(c, w);
	if (err)
		return err;
	puts("ready");
	fflush(stdout);
	while (!stop && err >= 0) {
		nanosleep(&pause, NULL);
		err = capture__drain(c);
	}
	err = capture__stop(c, &end_ns);
	if (!err)
		err = trace_writer__flush(w);
	capture__loss(c, loss);
	for (uint32_t i = 0; i < capture__cpus(c); i++)
		lost += loss[i].records;
	printf("{\"events\": %llu, \"bytes\": %llu, \"lost\": %llu, \"rss_kb\": %ld, "
	       "\"peak_kb\": %ld, \"ring_kb\": %llu, \"cpus\": %u}\n",
	       (unsigned long long)trace_writer__events(w),
	       (unsigned long long)trace_writer__bytes(w), (unsigned long long)lost,
	       memory_kb("VmRSS"), memory_kb("VmHWM"), (unsigned long long)o->ring_bytes >> 10,
	       capture__cpus(c));
	return err ? err : trace_writer__finish(w, end_ns, 0);
}

int main(int argc, char **argv)
{
	struct capture_opts o = { .ring_bytes = 16 << 20, .min_sleep_ns = 100000, .wakes = true };
	struct sigaction sa = { .sa_handler = on_signal };
	struct trace_writer *w = NULL;
	struct capture *c = NULL;
	pid_t pid;
	int err = 0;

	log_init("tracer", LOG_NORMAL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	if (argc < 3)
		return log_err(2, "usage: tracer [option=value ...] PID OUTPUT.fpt");
	for (int i = 1; i < argc - 2 && !err; i++)
		err = parse(&o, argv[i]);
	pid = atoi(argv[argc - 2]);
	if (!err)
		err = capture__open(&c, &o);
	if (!err && pid)
		err = capture__add_target(c, pid);
	if (err == -ESRCH)
		log_err(err, "no process %d", pid);
	if (!err) {
		struct trace_writer_opts wo = { .cpus_cnt = capture__cpus(c) };

		err = trace_writer__open(&w, argv[argc - 1], &wo);
	}
	if (!err)
		err = record(c, w, &o);
	if (err)
		trace_writer__abandon(w);
	capture__close(c);
	return err ? 1 : 0;
}
