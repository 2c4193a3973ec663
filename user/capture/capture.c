// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "capture.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../bpf/config.h"
#include "flatpause.skel.h"

#include "../clock.h"
#include "../log.h"
#include "capture_internal.h"

/* Passes over a process that makes threads while it is adopted; each finds fewer new ones. */
#define ADOPT_PASSES 16

static int check_opts(const struct capture_opts *opts)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), ring = opts->ring_bytes;

	if (ring < page || ring > 1u << 30 || (ring & (ring - 1)))
		return log_err(-EINVAL,
			       "a ring of %llu bytes: it must be a power of two from %llu to 1G",
			       (unsigned long long)ring, (unsigned long long)page);
	if (opts->sample_hz > 10000)
		return log_err(-EINVAL, "%u samples a second are too many (10000)",
			       opts->sample_hz);
	return 0;
}

static int open_capture(struct capture **out, const struct capture_opts *opts, bool attach)
{
	struct capture *c;
	int err;

	*out = NULL;
	err = check_opts(opts);
	if (err)
		return err;
	c = calloc(1, sizeof(*c));
	if (!c)
		return log_err(-ENOMEM, "no memory to record");
	c->opts = *opts;
	err = libbpf_num_possible_cpus();
	if (err < 0) {
		log_err(err, "cannot tell how many CPUs there are");
		goto out;
	}
	c->cpus_cnt = (uint32_t)err;
	err = capture_load(c);
	if (!err && attach)
		err = capture_open_rings(c);
	if (!err && attach)
		err = capture_attach(c);
	if (!err)
		err = capture_choose_rungs(c);
	/* Loading takes three times what recording needs. */
	malloc_trim(0);
out:
	if (err) {
		capture__close(c);
		return err;
	}
	*out = c;
	return 0;
}

int capture__open(struct capture **c, const struct capture_opts *opts)
{
	return open_capture(c, opts, true);
}

int capture__probe(struct capture **c, const struct capture_opts *opts)
{
	return open_capture(c, opts, false);
}

const struct capture_hook *capture__hooks(const struct capture *c, size_t *cnt)
{
	*cnt = c->hooks_cnt;
	return c->hooks;
}

int capture__add_target(struct capture *c, pid_t tgid)
{
	uint32_t found = 0, all = 0;
	int err;

	if (tgid <= 0)
		return -ESRCH;
	if (tgid == getpid())
		return log_err(-EINVAL, "flatpause cannot record itself");
	for (int i = 0; i < ADOPT_PASSES; i++) {
		err = capture_walk_tasks(c, ITER_ADOPT, (uint32_t)tgid, &found);
		if (err)
			return err;
		all += found;
		if (!found)
			break;
	}
	if (!all) {
		log_verbose("no process %d (a thread's id is not enough)", tgid);
		return -ESRCH;
	}
	return c->started ? capture_walk_tasks(c, ITER_TASKS, (uint32_t)tgid, NULL) : 0;
}

void capture__follow_forks(struct capture *c, bool on)
{
	c->skel->bss->follow_forks = on;
}

int capture__start(struct capture *c, struct trace_writer *w)
{
	c->writer = w;
	c->started = true;
	c->skel->bss->recording = REC_ON;
	return capture_walk_tasks(c, ITER_TASKS, 0, NULL);
}

int capture__stop(struct capture *c, uint64_t *end_ns)
{
	uint64_t misses;
	int err, drained;

	if (!c->started || c->stopped)
		return -EINVAL;
	c->stopped = true;
	*end_ns = now_ns();
	c->skel->bss->end_ns = *end_ns;
	c->skel->bss->recording = REC_ENDING;
	err = capture__drain(c); /* room for what is open */
	if (err >= 0)
		err = capture_walk_tasks(c, ITER_OPEN, 0, NULL);
	c->skel->bss->recording = REC_OFF;
	do {
		drained = capture__drain(c);
	} while (drained > 0);
	misses = capture_count_misses(c);
	if (misses)
		log_warn("%llu events were missed by hooks that were interrupted by themselves",
			 (unsigned long long)misses);
	if (!err)
		err = drained;
	return err ? err : capture_tell_last_loss(c, *end_ns);
}

int capture__each_frame(struct capture *c, int (*fn)(void *ctx, uint32_t tgid, uint64_t addr),
			void *ctx)
{
	for (size_t i = 0; i < c->frames.slots_cnt; i++) {
		const struct frame *f = &c->frames.slots[i];
		int err = f->addr ? fn(ctx, f->tgid, f->addr) : 0;

		if (err)
			return err;
	}
	return 0;
}

const uint32_t *capture__written_devices(const struct capture *c, size_t *cnt)
{
	*cnt = c->devices_cnt;
	return c->devices;
}

void capture__close(struct capture *c)
{
	if (!c)
		return;
	capture_unload(c);
	capture_close_rings(c);
	frame_set__free(&c->frames);
	free(c->hooks);
	free(c);
}
