// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "capture_options.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../capture/meta.h"
#include "../log.h"
#include "verb.h"

#define RING_DEFAULT_BYTES (2ull << 20)
#define RING_MAX_BYTES	   (1ull << 30)
#define MIN_SLEEP_NS	   100000
#define MIN_OTHER_NS	   1000000 /* other syscalls: only those that can matter in a pause */
#define SAMPLE_HZ	   199	   /* no divisor of what timers like */

void capture_options__defaults(struct capture_options *o)
{
	memset(o, 0, sizeof(*o));
	o->window = "auto";
	o->ring_bytes = RING_DEFAULT_BYTES;
	o->min_sleep_ns = MIN_SLEEP_NS;
	o->sample_hz = SAMPLE_HZ;
	o->syscalls = true;
	o->wakes = true;
	o->upper_rungs = true;
	o->marks = true;
	o->max_loss_percent = 1;
}

bool window_is_known(const char *window)
{
	static const char *const known[] = { "auto", "exec", "reported", "mark", "api" };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strcmp(window, known[i]))
			return true;
	return !strncmp(window, "file:", 5) && window[5];
}

static uint64_t next_power_of_two(uint64_t v)
{
	uint64_t p = 1;

	while (p < v)
		p <<= 1;
	return p;
}

int check_ring_bytes(uint64_t bytes)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t least = 16 * page, good;
	char text[32];

	if (bytes >= least && bytes <= RING_MAX_BYTES && !(bytes & (bytes - 1)))
		return 0;
	good = next_power_of_two(bytes < least ? least : bytes);
	if (good > RING_MAX_BYTES)
		good = RING_MAX_BYTES;
	log_err(0, "--ring takes a power of two from %lluK to 1G; try --ring %lluK (%s)",
		(unsigned long long)least / 1024, (unsigned long long)good / 1024,
		format_bytes(good, text, sizeof(text)));
	return -EINVAL;
}

static int add_pid(struct capture_options *o, const char *text)
{
	uint64_t pid;

	if (parse_u64(text, &pid) || pid == 0 || pid > INT_MAX) {
		log_err(0, "-p takes a process id or several with commas, not '%s'", text);
		return -EINVAL;
	}
	if (o->pid_cnt == CAPTURE_PIDS_MAX) {
		log_err(0, "more than %d process ids; use --comm or --cgroup", CAPTURE_PIDS_MAX);
		return -EINVAL;
	}
	o->pid[o->pid_cnt++] = (pid_t)pid;
	return 0;
}

static int parse_pids(struct capture_options *o, const char *list)
{
	while (list) {
		const char *comma = strchrnul(list, ',');
		char one[16];
		int err;

		snprintf(one, sizeof(one), "%.*s", (int)(comma - list), list);
		err = (size_t)(comma - list) < sizeof(one) ? add_pid(o, one) : add_pid(o, list);
		if (err)
			return err;
		list = *comma ? comma + 1 : NULL;
	}
	return 0;
}

static void set_log_level(const struct capture_options *o)
{
	enum log_level level = LOG_NORMAL;

	if (o->quiet)
		level = LOG_QUIET;
	if (o->verbose)
		level = LOG_VERBOSE;
	if (o->debug)
		level = LOG_DEBUG;
	log_init("flatpause", level);
}

static void name_output(struct capture_options *o)
{
	time_t now = time(NULL);
	struct tm tm;

	if (o->output)
		return;
	localtime_r(&now, &tm);
	strftime(o->default_output, sizeof(o->default_output), "flatpause-%Y%m%d-%H%M%S.fpt", &tm);
	o->output = o->default_output;
}

int capture_options__check(struct capture_options *o)
{
	int err = check_ring_bytes(o->ring_bytes);

	for (size_t i = 0; !err && i < o->pids.cnt; i++)
		err = parse_pids(o, o->pids.v[i]);
	if (err)
		return err;
	if (!window_is_known(o->window)) {
		log_err(0,
			"--window takes auto, exec, reported, mark, api or file:GLOB, not "
			"'%s'",
			o->window);
		return -EINVAL;
	}
	if (o->output && (!o->output[0] || !strcmp(o->output, "-"))) {
		log_err(0, "-o takes the path of a file: a trace is not written to a pipe");
		return -EINVAL;
	}
	name_output(o);
	set_log_level(o);
	return 0;
}

void capture_options__apply(const struct capture_options *o, struct recorder_opts *r)
{
	r->capture = (struct capture_opts){
		.ring_bytes = o->ring_bytes,
		.min_sleep_ns = o->min_sleep_ns,
		.sample_hz = o->sample_hz,
		.syscalls = o->syscalls,
		.wakes = o->wakes,
		.upper_rungs = o->upper_rungs,
		.min_other_ns = MIN_OTHER_NS,
	};
	r->output = o->output;
	r->compress = o->compress;
	r->force = o->force;
	r->pids = o->pid;
	r->pids_cnt = o->pid_cnt;
	r->window = o->window;
	r->mark_socket = o->marks;
	r->disks = o->disks.v;
	r->disks_cnt = o->disks.cnt;
	r->echo = o->verbose || o->debug;
}

double loss_percent(const struct recorder_summary *sum)
{
	double all = (double)sum->cost.events + (double)sum->cost.lost;

	return all > 0 ? 100.0 * (double)sum->cost.lost / all : 0;
}

static void print_cost(const struct cost *c)
{
	char cpu[32], around[32], rss[32], rings[32];

	printf("cost   %s CPU while recording (%.1f%% of one), %s before and after it\n",
	       format_ns(c->cpu_ns, cpu, sizeof(cpu)),
	       c->wall_ns ? 100.0 * (double)c->cpu_ns / (double)c->wall_ns : 0,
	       format_ns(c->setup_cpu_ns + c->end_cpu_ns, around, sizeof(around)));
	printf("       %s memory while recording, %s of it rings\n",
	       format_bytes(c->rss_bytes, rss, sizeof(rss)),
	       format_bytes(c->ring_bytes, rings, sizeof(rings)));
	if (c->syscall_after_ns)
		printf("       a trivial syscall of any process: %llu ns before, %llu ns with "
		       "our hook\n",
		       (unsigned long long)c->syscall_before_ns,
		       (unsigned long long)c->syscall_after_ns);
}

static void say_too_much_lost(const struct capture_options *o)
{
	if (o->ring_bytes <= RING_MAX_BYTES / 4)
		log_warn("too much was lost for a verdict; record again with --ring %lluK",
			 (unsigned long long)(o->ring_bytes * 4 / 1024));
	else
		log_warn("too much was lost for a verdict, and --ring is large already; record "
			 "fewer targets, or with --no-syscalls or a longer --min-sleep");
}

void print_summary(const struct capture_options *o, const struct recorder_summary *sum)
{
	char bytes[32];

	if (sum->reason == REC_REASON_NO_SPACE)
		log_warn("the trace is cut short; free some space, or give another place with -o");
	if (!sum->cost.events)
		log_warn("nothing was recorded: the targets did nothing in this time");
	printf("trace  %s\n", o->output);
	printf("events %llu in %s, %llu lost (%.2f%%)\n", (unsigned long long)sum->cost.events,
	       format_bytes(sum->cost.bytes, bytes, sizeof(bytes)),
	       (unsigned long long)sum->cost.lost, loss_percent(sum));
	if (sum->marks)
		printf("marks  %llu\n", (unsigned long long)sum->marks);
	print_cost(&sum->cost);
	if (loss_percent(sum) > o->max_loss_percent)
		say_too_much_lost(o);
	else if (sum->cost.events)
		log_info("next: flatpause diagnose %s", o->output);
}

json_t *summary_json(const struct capture_options *o, const struct recorder_summary *sum)
{
	static const char *const reasons[] = { "done", "signal", "target gone", "no space" };

	return json_pack("{s:i, s:o, s:s, s:I, s:I, s:I, s:{s:I, s:f}, s:o}", "schema_version", 1,
			 "trace", json_text(o->output), "ended", reasons[sum->reason & 3], "events",
			 (json_int_t)sum->cost.events, "bytes", (json_int_t)sum->cost.bytes,
			 "marks", (json_int_t)sum->marks, "loss", "events",
			 (json_int_t)sum->cost.lost, "percent", loss_percent(sum), "cost",
			 cost__json(&sum->cost));
}

int print_json(json_t *o)
{
	char *text = o ? json_dumps(o, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : NULL;

	json_decref(o);
	if (!text) {
		log_err(-ENOMEM, "JSON of the result");
		return FP_EXIT_FAILED;
	}
	puts(text);
	free(text);
	return FP_EXIT_OK;
}

int exit_of_start(int err)
{
	return err == -ENOTSUP ? FP_EXIT_UNSUPPORTED : FP_EXIT_FAILED;
}

int exit_of_command(int status)
{
	if (status < 0) /* killed by us: REC_RUN_TIMEOUT, REC_RUN_INTERRUPT */
		return FP_EXIT_FAILED;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
