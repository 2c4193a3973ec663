/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The kernel side as one object: load, attach, add targets, drain. It writes to a trace and knows
 * nothing of sweeps or windows; the recorder (recorder.h) drives it.
 */
#ifndef FLATPAUSE_CAPTURE_H
#define FLATPAUSE_CAPTURE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "../trace/writer.h"

struct capture;

struct capture_opts {
	uint64_t ring_bytes;   /* per CPU; a power of two and a multiple of the page size */
	uint64_t min_sleep_ns; /* stacks of sleeps at least this long; 0 = of every sleep */
	uint32_t sample_hz;    /* 0 = no sampling */
	bool syscalls;	       /* hook syscalls of targets (every process pays for it) */
	bool wakes;	       /* sched_waking */
	bool upper_rungs;      /* try fentry/fexit before the floor */
	uint64_t min_other_ns; /* FP_SYS_OTHER calls shorter than this are not recorded */
};

/* What became of one probe's ladder; strings live as long as the capture. */
struct capture_hook {
	const char *probe;
	const char *hook;
	const char *rung;
	const char *lost;
	const char *gain; /* how to get a better rung; "" = best already */
};

struct capture_loss {
	uint64_t records;
	uint64_t first_ns, last_ns;
};

/*
 * Opens, loads and attaches what this kernel allows; each hook's failure steps down its ladder and
 * never ends the run. -ENOTSUP if not even the floor loads (no BTF, no BPF, not root): said, with
 * what is missing and the next step; the verb exits with FP_EXIT_UNSUPPORTED.
 */
int capture__open(struct capture **c, const struct capture_opts *opts);

/* As capture__open without attaching anything: for doctor. */
int capture__probe(struct capture **c, const struct capture_opts *opts);

const struct capture_hook *capture__hooks(const struct capture *c, size_t *cnt);

/*
 * All threads of `tgid`, and those that it will have, become targets. Threads that sleep now are
 * recorded with the stack that they sleep on (task iterator). -ESRCH if there is no such process:
 * not said, as between a look at /proc and this call a process may well go.
 */
int capture__add_target(struct capture *c, pid_t tgid);

/* Children of targets become targets at fork (the command of a sweep). Default off. */
void capture__follow_forks(struct capture *c, bool on);

/* Events flow from here on, into `w`. */
int capture__start(struct capture *c, struct trace_writer *w);

/* Drains all rings once; call it every few milliseconds. Number of records, or -errno. */
int capture__drain(struct capture *c);

/* Stops the events, drains what is left, writes spans and syscalls that are still open. */
int capture__stop(struct capture *c, uint64_t *end_ns);

/* Loss per CPU, capture__cpus() entries. */
uint32_t capture__cpus(const struct capture *c);
void capture__loss(const struct capture *c, struct capture_loss *loss);

/* Kernel addresses and (tgid, user address) pairs that occurred in stacks, for symbolizing. */
int capture__each_frame(struct capture *c, int (*fn)(void *ctx, uint32_t tgid, uint64_t addr),
			void *ctx);

/* Devices (as ev_open.dev) of the first files that targets opened for writing, each once. */
#define CAPTURE_DEVICES 8
const uint32_t *capture__written_devices(const struct capture *c, size_t *cnt);

/* Detaches and frees. NULL is fine. */
void capture__close(struct capture *c);

#endif
