/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What the steps of one analysis share. Internal to this room. */
#ifndef FLATPAUSE_ANALYZE_ANALYSIS_H
#define FLATPAUSE_ANALYZE_ANALYSIS_H

#include "../../reports/finding.h"
#include "blame.h"
#include "device.h"
#include "scan.h"
#include "stacks.h"
#include "tally.h"
#include "timeline.h"
#include "windows.h"

/* What was seen in a window, beside the time: numbers that confirm a cause or reject it. */
struct evidence {
	uint32_t wbt_points;
	uint32_t dirty_pauses; /* of targets */
	uint64_t dirty_pause_ns;
	uint64_t alloc_ns; /* of targets, in the block allocator */
	uint32_t allocs;
	uint32_t commits; /* journal commits that ran in it */
	uint32_t requests;
	uint64_t request_bytes;
	uint64_t worst_request_ns;
	uint32_t parked;      /* passive threads that waited on a futex */
	uint64_t parked_ns;   /* the longest of them */
	uint32_t carry_dev;   /* the device that it waited for */
	uint64_t carry_bytes; /* what was dirty on it when the window began */
	uint64_t old_bytes;   /* completed in the window, but not of its own making */
	uint64_t samples;
	uint64_t running_ns;  /* of all targets */
	struct tally journal; /* waits for a commit, by what the journal's thread did meanwhile */
};

/* A window that the second pass works on. */
struct pending {
	uint32_t index; /* into analysis.windows and findings.windows */
	struct backlog backlog;
	struct window_file *files;
	struct vec sizes; /* of calls of targets: see io_sizes.h */
};

struct file_table;

struct analysis {
	struct trace_reader *r;
	struct symbols *symbols;
	struct stacks *stacks;
	struct scan scan;
	struct timeline tl;
	struct devices devices;
	struct dirtiers dirtiers;
	struct file_table *files;
	struct vec windows;  /* struct window */
	struct vec evidence; /* struct evidence, one per window */
	struct vec pending;  /* struct pending */
	struct vec flames;   /* struct window_flame, one per window; empty where not wanted */
	struct vec states;   /* of the window at hand: see thread_states.c */
	struct vec sizes;    /* of calls in the whole recording: see io_sizes.h */
	struct vec requests; /* one vec per window: see latencies.c */
	size_t request_rows; /* of all windows */
	uint64_t unlisted_requests;
	struct vec rounds; /* struct round_window, one per window */
	size_t next_window;
	uint64_t min_sleep_ns;
	bool syscalls;	  /* recorded */
	bool wakes;	  /* recorded */
	double sample_hz; /* per CPU; 0 = none were recorded */
	bool want_flames;
	struct findings *f;
};

#define WINDOW(a, i)   VEC_AT(&(a)->windows, struct window, i)
#define EVIDENCE(a, i) VEC_AT(&(a)->evidence, struct evidence, i)

/* ---- naming.c ---- */

/* The cause of a blocked piece; never NULL. */
const char *name_blocked(const struct analysis *a, const struct thread *t, const struct piece *p);

/* The cause of a running piece. `sampled`: samples within it may say more. */
const char *name_running(const struct analysis *a, const struct thread *t, const struct piece *p,
			 bool *sampled);

/* The cause of a sample in the kernel under that piece. */
const char *name_sample(const struct analysis *a, const struct thread *t, const struct piece *p,
			const struct sample *s);
const char *name_unknown(const struct piece *p);

/* Runnable: by who had the CPU last, or by the quota that was used up. */
const char *name_runnable(const struct analysis *a, const struct piece *p);

/* Runnable behind thread number `tid`, 0 = the idle CPU; `by` is NULL where it is not known. */
const char *name_occupant(const struct thread *by, uint32_t tid);

/* ---- waits.c: what a wait means for the walk ---- */

enum wait_kind {
	WAIT_KEPT = 0,	  /* the cause itself */
	WAIT_HELD = 1,	  /* the cause itself; its holder is asked what he did */
	WAIT_HANDOFF = 2, /* it is what the other side did */
	WAIT_DEVICE = 3,  /* it is the life of a request, or what was done to end it */
	WAIT_COMMIT = 4,  /* it is the phase of the journal's commit */
};

/* May refine `*cause`: a futex that is a lock is a contended one. */
enum wait_kind wait_kind_of(const struct analysis *a, const struct thread *t, const struct piece *p,
			    const char **cause);

/* The name of a wait on the path whose other side was not seen. */
const char *unwalked_name(const char *cause);

/* Waits that end when a device has done its work: some of it may be an earlier window's. */
bool waits_for_device(const char *cause);

/* ---- partition.c: the wall time of every target thread in a window ---- */
int partition__window(struct analysis *a, uint32_t w);

/* A blocked segment that was still open when its window was done. */
void partition__fixup(void *ctx, struct thread *t, const struct seg *seg);

/* ---- ledger.c: who closed the window, and what its time went to ---- */

struct path;

int ledger__window(struct analysis *a, uint32_t w, const struct carry *carry, struct path *path);

/* Of a thread: its time on the path, and the longest wait of the path that it ended. */
uint64_t path__ns(const struct path *p, uint32_t tid);
uint64_t path__ended_ns(const struct path *p, uint32_t tid);

/* Of [begin, end) of that thread, what the ledger charges to a futex. */
uint64_t path__futex_ns(const struct path *p, uint32_t tid, uint64_t begin, uint64_t end);

/* ---- journal.c: what the journal's thread did while the path waited for a commit ---- */
int journal__note(struct tally *journal, const char *cause, uint64_t ns);
int journal__not_seen(struct tally *journal, uint64_t ns);

/* One line of evidence; `buf` is empty if there was no such wait. */
void journal__say(const struct tally *journal, char *buf, size_t size);

/* ---- passive.c ---- */
int passive__mark(struct analysis *a, uint32_t w, const struct path *path);

/* ---- futexes.c: after passive__mark() ---- */
int futexes__window(struct analysis *a, uint32_t w, const struct path *path);

/* ---- thread_states.c: in which kernel function the threads sat ---- */

/* The innermost function of a sleep that is not the scheduler's own; or the state, in brackets. */
const char *thread_states__frame(const struct analysis *a, const struct piece *p);

/* Gathers a piece of a thread of a target; `cause` is NULL where it ran or was runnable. */
int thread_states__add(struct analysis *a, const struct piece *p, const char *cause);
int thread_states__window(struct analysis *a, uint32_t w);

/* A sleep that was gathered without its stack, `ns` of it in window w, has one now. */
int thread_states__fixup(struct analysis *a, uint32_t w, const struct piece *p, uint64_t ns,
			 const char *cause);

/* ---- latencies.c: what devices did ---- */
int latencies__window(struct analysis *a, uint32_t w);
int latencies__finish(struct analysis *a); /* over the windows of a regime */
void latencies__free(struct analysis *a);

/* ---- blame.c ---- */

/* `t` is the thread with this number; NULL = not known. */
struct dirtier dirtier_of(const struct thread *t, uint32_t tid);

/* ---- evidence.c ---- */
void evidence__event(struct analysis *a, const struct trace_event *ev);

/* ---- meta.c: what the recorder wrote down about the host and itself ---- */
int meta__load(struct analysis *a);

/* ---- blind.c: says which causes the recorded kernel could not show, where it matters ---- */
int blind__warn(struct analysis *a);

/* The part of [begin, end) within a window. */
static inline uint64_t overlap_ns(const struct window *w, uint64_t begin, uint64_t end)
{
	uint64_t lo = begin > w->begin_ns ? begin : w->begin_ns;
	uint64_t hi = end < w->end_ns ? end : w->end_ns;

	return hi > lo ? hi - lo : 0;
}

#endif
