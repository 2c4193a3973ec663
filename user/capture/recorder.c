// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "recorder.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../cli/verb.h"
#include "../clock.h"
#include "../log.h"
#include "frames.h"
#include "marks.h"
#include "meta.h"
#include "output.h"
#include "pause_from.h"
#include "run_command.h"
#include "targets.h"

#define NS_PER_MS	1000000ull
#define DRAIN_NS	(5 * NS_PER_MS)	   /* often enough that small rings do not fill up */
#define LOOK_NS		(100 * NS_PER_MS)  /* whether the targets still live */
#define HOUSEKEEPING_NS (1000 * NS_PER_MS) /* new targets, quiet buffers */
#define KILL_AFTER_NS	(2000 * NS_PER_MS) /* from SIGTERM to SIGKILL */
#define WATCH_FIRST_NS	(5 * NS_PER_MS)	   /* mappings of a command: after 5, 35, 215 ms ... */
#define WATCH_FACTOR	6

struct recorder {
	struct recorder_opts opts;
	struct pause_from pause_from;
	struct targets *targets;
	struct capture *capture;
	struct trace_writer *writer;
	struct marks *marks;
	int lock_fd;
	struct rlimit nofile; /* as it was given to us, and is to the command */
	struct disks disks;   /* described in REC_META */
	struct cost cost;
	uint64_t next_drain_ns;
	uint64_t next_look_ns;
	uint64_t next_housekeeping_ns;
	bool target_gone;  /* all that were named: recording ends */
	bool told_of_disk; /* that the trace is on the one that is recorded */
};

/* A command that is running now. */
struct run {
	struct command cmd;
	uint64_t begin_ns, end_ns;
	uint64_t kill_at_ns; /* 0 = not asked to end */
	uint64_t watch_at_ns, watch_step_ns;
	bool timed_out, interrupted, killed;
};

/* ---- start ---- */

static int write_json(struct trace_writer *w, enum rec_type type, json_t *o)
{
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	int err;

	json_decref(o);
	if (!text)
		return log_err(-ENOMEM, "JSON for the trace");
	err = trace_writer__chunk(w, type, &(struct trace_part){ text, strlen(text) }, 1);
	free(text);
	return err;
}

static int recorder__write_meta(struct recorder *r)
{
	struct facts facts = { .cnt = 0 };
	int err = collect_facts(&facts, &r->opts, r->targets, &r->disks);

	if (!err)
		err = write_json(r->writer, REC_META,
				 build_meta(&r->opts, r->capture, r->targets, &facts));
	facts__free(&facts);
	return err;
}

static int recorder__create_trace(struct recorder *r)
{
	struct trace_writer_opts opts = {
		.compress = r->opts.compress,
		.cpus_cnt = capture__cpus(r->capture),
	};
	int err = r->opts.force ? output__clear(r->opts.output) : 0;

	if (!err)
		err = trace_writer__open(&r->writer, r->opts.output, &opts);
	if (err)
		return err;
	r->lock_fd = output__lock(r->opts.output);
	return r->lock_fd < 0 ? r->lock_fd : 0;
}

static int recorder__open_marks(struct recorder *r)
{
	struct stat st;
	char path[64];
	int err;

	if (!r->opts.mark_socket)
		return 0;
	err = marks__open(&r->marks);
	for (size_t i = 0; !err && i < targets__cnt(r->targets); i++) {
		snprintf(path, sizeof(path), "/proc/%d", targets__pid(r->targets, i));
		if (!stat(path, &st))
			marks__allow_uid(r->marks, st.st_uid);
	}
	return err;
}

static int recorder__open_capture(struct recorder *r)
{
	uint64_t before_ns = measure_syscall_ns();
	int err = capture__open(&r->capture, &r->opts.capture);

	if (err)
		return err;
	r->cost.syscall_before_ns = before_ns;
	/* possible CPUs may be hundreds on a virtual machine; those that are offline have no ring */
	r->cost.ring_bytes = r->opts.capture.ring_bytes * (uint64_t)sysconf(_SC_NPROCESSORS_ONLN);
	return 0;
}

/* Rings, hooks, and the files that each target has mapped: a soft limit of 1024 is soon met. */
static int recorder__raise_limit(struct recorder *r)
{
	struct rlimit all;

	if (getrlimit(RLIMIT_NOFILE, &r->nofile))
		return log_err(-errno, "the limit of open files");
	all = r->nofile;
	all.rlim_cur = all.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &all))
		log_verbose("the limit of open files stays at %llu",
			    (unsigned long long)r->nofile.rlim_cur);
	return 0;
}

/* Everything that can be refused comes before the trace is created. */
static int recorder__begin(struct recorder *r)
{
	struct targets_opts targets = { r->opts.pids, r->opts.pids_cnt, r->opts.comm_glob,
					r->opts.cgroup };
	int err;

	err = recorder__raise_limit(r);
	err = err ?: pause_from__parse(&r->pause_from, r->opts.pause_from);
	err = err ?: targets__find(&r->targets, &targets);
	err = err ?: output__check(r->opts.output, r->opts.force);
	err = err ?: recorder__open_capture(r);
	err = err ?: recorder__open_marks(r);
	err = err ?: recorder__create_trace(r);
	err = err ?: recorder__write_meta(r);
	err = err ?: capture__start(r->capture, r->writer);
	err = err ?: targets__arm(r->targets, r->capture, r->writer);
	if (err)
		return err;
	r->told_of_disk = warn_of_shared_disk(&r->opts, r->targets, NULL);
	if (r->opts.capture.syscalls)
		r->cost.syscall_after_ns = measure_syscall_ns();
	return 0;
}

static void recorder__free(struct recorder *r)
{
	marks__close(r->marks);
	capture__close(r->capture);
	trace_writer__abandon(r->writer);
	targets__free(r->targets);
	if (r->lock_fd >= 0)
		close(r->lock_fd);
	free(r);
}

int recorder__start(struct recorder **out, const struct recorder_opts *opts)
{
	struct recorder *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return log_err(-ENOMEM, "recorder");
	r->opts = *opts;
	r->lock_fd = -1;
	cost__begin(&r->cost);
	err = recorder__begin(r);
	if (err) {
		/* A trace that nothing was recorded into helps nobody, and is in the way. */
		if (r->lock_fd >= 0)
			unlink(opts->output);
		recorder__free(r);
		return err;
	}
	r->next_housekeeping_ns = now_ns() + HOUSEKEEPING_NS;
	cost__setup_done(&r->cost);
	*out = r;
	return 0;
}

/* ---- while it runs ---- */

static void tell_of_gone_targets(struct recorder *r)
{
	pid_t pid;

	/* By name or cgroup they come and go: no surprise then. */
	while (targets__next_gone(r->targets, &pid)) {
		if (r->opts.comm_glob || r->opts.cgroup)
			log_verbose("process %d has ended", pid);
		else
			log_warn("process %d has ended; what was recorded of it is kept", pid);
	}
	if (targets__cnt(r->targets) && !targets__alive(r->targets))
		r->target_gone = true;
}

/* Drains and does what is due. 0 or -errno of the trace. */
static int recorder__serve(struct recorder *r)
{
	uint64_t now = now_ns();
	int err = 0;

	if (now >= r->next_drain_ns) {
		err = capture__drain(r->capture);
		r->next_drain_ns = now + DRAIN_NS;
	}
	if (now >= r->next_look_ns) {
		tell_of_gone_targets(r);
		r->next_look_ns = now + LOOK_NS;
	}
	if (err >= 0 && now >= r->next_housekeeping_ns) {
		err = trace_writer__tick(r->writer, now);
		err = err ?: targets__rescan(r->targets, r->capture, r->writer);
		r->next_housekeeping_ns = now + HOUSEKEEPING_NS;
	}
	return err < 0 ? err : 0;
}

/* Sleeps until something happens, at most until the next drain. */
static int recorder__sleep(struct recorder *r, const struct command *cmd, uint64_t until_ns)
{
	struct pollfd fds[] = {
		{ .fd = r->marks ? marks__fd(r->marks) : -1, .events = POLLIN },
		{ .fd = cmd && !cmd->ended ? cmd->pidfd : -1, .events = POLLIN },
		{ .fd = cmd ? cmd->out_fd : -1, .events = POLLIN },
	};
	uint64_t now = now_ns();
	uint64_t at = r->next_drain_ns < until_ns ? r->next_drain_ns : until_ns;
	struct timespec ts = { 0, at > now ? (long)(at - now) : 0 };

	if (ts.tv_nsec > (long)DRAIN_NS)
		ts.tv_nsec = (long)DRAIN_NS;
	if (ppoll(fds, sizeof(fds) / sizeof(fds[0]), &ts, NULL) < 0 && errno != EINTR)
		return log_err(-errno, "poll");
	return fds[0].revents ? marks__receive(r->marks, r->writer) : 0;
}

int recorder__wait(struct recorder *r, uint64_t ns)
{
	uint64_t begin = now_ns(), until = begin + ns < begin ? UINT64_MAX : begin + ns;
	int err;

	do {
		err = recorder__sleep(r, NULL, until);
		err = err ?: recorder__serve(r);
		if (err)
			return err;
		if (r->target_gone)
			return -ESRCH;
	} while (!exiting && now_ns() < until);
	return 0;
}

/* ---- one run of the command ---- */

/* Asks the command to end when its time is over or we are told to; insists two seconds later. */
static void run__police(struct run *run, uint64_t timeout_ns, uint64_t now)
{
	if (run->kill_at_ns) {
		if (now >= run->kill_at_ns && !run->killed) {
			command__signal(&run->cmd, SIGKILL);
			run->killed = true;
		}
		return;
	}
	run->timed_out = timeout_ns && now - run->begin_ns >= timeout_ns;
	run->interrupted = !run->timed_out && exiting;
	if (!run->timed_out && !run->interrupted)
		return;
	command__signal(&run->cmd, SIGTERM);
	run->kill_at_ns = now + KILL_AFTER_NS;
}

static int run__watch(struct run *run, struct recorder *r, uint64_t now)
{
	if (now < run->watch_at_ns)
		return 0;
	run->watch_at_ns = now + run->watch_step_ns;
	run->watch_step_ns *= WATCH_FACTOR;
	return targets__watch_group(r->targets, run->cmd.pid, r->writer);
}

/* Of a command that had to be ended, its children too: who ignored SIGTERM is not left behind. */
static bool run__is_over(struct run *run, uint64_t now)
{
	if (!command__ended(&run->cmd))
		return false;
	if (!run->end_ns)
		run->end_ns = now;
	return !run->kill_at_ns || run->killed || !command__group_lives(&run->cmd);
}

/* Until the command has ended. A full trace does not disturb it: nothing is recorded any more. */
static int run__follow(struct run *run, struct recorder *r)
{
	int err = 0;

	for (;;) {
		uint64_t now;
		int slept = recorder__sleep(r, &run->cmd, UINT64_MAX);

		now = now_ns();
		command__read(&run->cmd);
		if (run__is_over(run, now)) {
			command__read(&run->cmd); /* what came before it ended */
			return err;
		}
		run__police(run, r->opts.timeout_ns, now);
		err = err ?: slept;
		err = err ?: recorder__serve(r);
		err = err ?: run__watch(run, r, now);
		if (err)
			r->next_drain_ns = now + DRAIN_NS;
	}
}

static int32_t run__status(const struct run *run)
{
	if (run->timed_out)
		return REC_RUN_TIMEOUT;
	return run->interrupted ? REC_RUN_INTERRUPT : run->cmd.status;
}

static uint64_t run__reported(const struct run *run, const struct pause_from *from)
{
	uint64_t ns;
	int err;

	if (!from->keys_cnt)
		return REC_NS_NONE;
	err = pause_from__find(from, run->cmd.out, run->cmd.out_len, &ns);
	if (!err)
		return ns;
	if (!run->timed_out && !run->interrupted)
		log_warn(err == -EINVAL ? "the pause that the command reports is no number of ms"
					: "the command printed no JSON line with the pause");
	return REC_NS_NONE;
}

static int recorder__run_forked(struct recorder *r, struct run *run, char *const argv[])
{
	int err;

	capture__follow_forks(r->capture, true);
	err = capture__add_target(r->capture, run->cmd.pid);
	if (err == -ESRCH)
		return log_err(err, "%s was ended before it began", argv[0]);
	if (err)
		return err;
	run->begin_ns = now_ns();
	err = command__exec(&run->cmd, argv[0]);
	if (err)
		return err;
	run->watch_at_ns = run->begin_ns + WATCH_FIRST_NS;
	run->watch_step_ns = WATCH_FIRST_NS * WATCH_FACTOR;
	return run__follow(run, r);
}

static int recorder__write_run(struct recorder *r, const struct run *run, uint32_t sweep,
			       uint32_t index, uint64_t reported_ns)
{
	struct rec_run rec = {
		.sweep = sweep,
		.index = index,
		.begin_ns = run->begin_ns,
		.end_ns = run->end_ns,
		.reported_ns = reported_ns,
		.pid = run->cmd.pid,
		.status = run__status(run),
	};

	return trace_writer__chunk(r->writer, REC_RUNS, &(struct trace_part){ &rec, sizeof(rec) },
				   1);
}

int recorder__run(struct recorder *r, uint32_t sweep, uint32_t index, char *const argv[],
		  struct recorder_run *out)
{
	struct run run = { .begin_ns = 0 };
	int err, written;

	memset(out, 0, sizeof(*out));
	out->reported_ns = REC_NS_NONE;
	err = command__fork(&run.cmd, argv, r->opts.echo, &r->nofile);
	if (!err)
		err = recorder__run_forked(r, &run, argv);
	if (run.end_ns) { /* it ran, whatever became of the recording */
		out->reported_ns = run__reported(&run, &r->pause_from);
		out->status = run__status(&run);
		out->duration_ns = run.end_ns - run.begin_ns;
		written = recorder__write_run(r, &run, sweep, index, out->reported_ns);
		err = err ?: written;
	}
	command__close(&run.cmd);
	if (err)
		return err;
	/* Between BRANCHes there is time for names, and to see what libraries targets have loaded. */
	err = capture__drain(r->capture);
	err = err < 0 ? err : write_ended_symbols(r->capture, r->targets, r->writer);
	targets__refresh(r->targets);
	return err;
}

/* ---- the end ---- */

static int recorder__write_late_meta(struct recorder *r)
{
	json_t *late = build_late_meta(r->capture, &r->disks);

	return late ? write_json(r->writer, REC_META, late) : 0;
}

static int recorder__write_loss(struct recorder *r)
{
	uint32_t cpus = capture__cpus(r->capture);
	struct capture_loss *loss = calloc(cpus, sizeof(*loss));
	struct rec_loss *recs = calloc(cpus, sizeof(*recs));
	int err = -ENOMEM;

	if (!loss || !recs)
		goto out;
	capture__loss(r->capture, loss);
	for (uint32_t i = 0; i < cpus; i++) {
		recs[i] = (struct rec_loss){ .cpu = i,
					     .records = loss[i].records,
					     .first_ns = loss[i].first_ns,
					     .last_ns = loss[i].last_ns };
		r->cost.lost += loss[i].records;
	}
	err = trace_writer__chunk(r->writer, REC_LOSS,
				  &(struct trace_part){ recs, cpus * sizeof(*recs) }, 1);
out:
	free(loss);
	free(recs);
	return err;
}

static int recorder__write_cost(struct recorder *r)
{
	int err = trace_writer__full(r->writer) ? 0 : trace_writer__flush(r->writer);

	if (err)
		return err;
	cost__end_done(&r->cost);
	r->cost.events = trace_writer__events(r->writer);
	r->cost.bytes = trace_writer__bytes(r->writer);
	return write_json(r->writer, REC_COST, cost__json(&r->cost));
}

static int recorder__reason(const struct recorder *r)
{
	if (exiting)
		return REC_REASON_SIGNAL;
	return r->target_gone ? REC_REASON_TARGET_GONE : REC_REASON_DONE;
}

/* Each part is tried though one before it failed: a trace without symbols is still a trace. */
static int recorder__end(struct recorder *r, uint64_t *end_ns)
{
	bool full = trace_writer__full(r->writer);
	int err = 0, step;

	if (r->marks && !full)
		err = marks__receive(r->marks, r->writer);
	targets__refresh(r->targets);
	step = targets__write_maps(r->targets, r->writer);
	err = err ?: step;
	step = capture__stop(r->capture, end_ns);
	err = err ?: step;
	cost__recording_done(&r->cost);
	step = recorder__write_loss(r);
	err = err ?: step;
	step = recorder__write_late_meta(r);
	err = err ?: step;
	step = write_symbols(r->capture, r->targets, r->writer);
	err = err ?: step;
	step = recorder__write_cost(r);
	return err ?: step;
}

int recorder__finish(struct recorder *r, struct recorder_summary *sum)
{
	uint64_t end_ns = now_ns();
	bool full;
	int err, finished;

	if (!r)
		return 0;
	err = recorder__end(r, &end_ns);
	full = trace_writer__full(r->writer);
	if (sum) {
		*sum = (struct recorder_summary){
			.cost = r->cost,
			.duration_ns = r->cost.wall_ns,
			.marks = r->marks ? marks__cnt(r->marks) : 0,
			.reason = full ? REC_REASON_NO_SPACE : recorder__reason(r),
		};
	}
	if (!r->told_of_disk)
		warn_of_shared_disk(&r->opts, r->targets, r->capture);
	finished = trace_writer__finish(r->writer, end_ns, recorder__reason(r));
	r->writer = NULL;
	recorder__free(r);
	return full ? -ENOSPC : err ?: finished;
}
