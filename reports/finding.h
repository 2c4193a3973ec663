/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What flatpause found: the one model that every renderer reads and that the analysis fills. It
 * knows nothing of BPF, traces or probes. Times are nanoseconds; renderers turn them into
 * milliseconds. Strings are owned by the model unless said; "" stands for unknown, never NULL.
 */
#ifndef FLATPAUSE_FINDING_H
#define FLATPAUSE_FINDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "finding_tables.h"

#define FINDING_SCHEMA_VERSION 1
#define FINDING_NS_NONE	       UINT64_MAX
#define FINDING_BYTES_NONE     UINT64_MAX

struct flame;

/* A name and a value, in the order in which they are shown. */
struct finding_fact {
	char *name; /* dotted: "disk.wbt_lat_usec" */
	char *value;
};

/* Which rung of its ladder a probe got, and what is lost by it. */
struct finding_hook {
	char *probe;
	char *hook; /* e.g. "tp_btf/ext4_request_blocks + ext4_allocate_blocks" */
	char *rung; /* "1 of 3", or "none" */
	char *lost; /* "" = nothing */
};

struct finding_loss {
	uint64_t events;   /* records that found their ring full */
	uint64_t recorded; /* records that are in the trace */
	bool complete;	   /* the trace ends as it should */
	uint32_t bad_chunks;
};

/* One cause's part of a window or of a thread's wall time. */
struct finding_share {
	char *cause; /* dotted id: "io.throttle.wbt" */
	uint64_t ns;
	uint64_t carry_over_ns;		 /* of it, what an earlier window left behind */
	uint32_t carry_over_prev_window; /* most of that: its index in the same sweep; 0 = none */
};

/* A stretch of a window's critical path: what its time went to, and whom it led through. */
struct finding_segment {
	uint64_t begin_ns; /* since the window began */
	uint64_t ns;
	char *cause;
	char *actor; /* "jbd2/loop0-8/123" (comm/tid), "device 7:0", "" */
	char *via;   /* the waits that led there: "ipc.wait of fc_api/101 > ..."; "" = its own */
};

/* Whose dirty data was written while the path waited for a device. */
struct finding_blame {
	char *file;	  /* path, "major:minor:inode", or "major:minor" where only that is known */
	char *dirtied_by; /* "comm/tid"; "" = not seen */
	uint64_t ns;	  /* of the path */
};

struct finding_thread {
	uint32_t tid;
	uint32_t tgid;
	char *comm;
	char *role;	  /* "worker", "api", "vcpu", "controller", "helper", "kernel", "" */
	uint64_t wall_ns; /* of the window: the thread may live for a part of it */
	uint64_t running_user_ns;
	uint64_t running_kernel_ns;
	uint64_t runnable_ns;
	struct finding_share *blocked;
	size_t blocked_cnt;
	uint64_t unknown_ns; /* what closes the sum; named in blocked[] as unknown.* as well */
	bool passive;	     /* waited for the worker: a consequence, 0 ns attributable */
};

/* What a futex wait was to the window; attribution in user/analyze/futexes.c. */
enum finding_futex_class {
	FUTEX_INDEPENDENT = 0, /* it did not end in the window, or no thread ended it: idle */
	FUTEX_PASSIVE = 1,     /* parked until the path released it: 0 ns attributable */
	FUTEX_CONTENDED = 2,   /* the path itself waited there */
};

struct finding_futex {
	uint64_t uaddr;
	char *mapping; /* as in /proc/PID/maps, "" = unknown */
	uint32_t tid;  /* the waiter */
	uint64_t wait_ns;
	uint32_t waits;
	uint32_t waker_tid; /* of the longest wait; 0 = unknown */
	char *op;	    /* "WAIT_BITSET_PRIVATE" */
	char *comm;	    /* of the waiter */
	char *waker_comm;   /* "" = unknown */
	const char *kind;   /* of mapping: "heap", "bss", "data", "stack", ...; a constant */
	enum finding_futex_class class;
	uint64_t path_ns; /* of wait_ns, what the ledger charges to this wait */
};

enum finding_extents {
	FINDING_EXTENTS_UNKNOWN = 0, /* nothing was preallocated, or not seen */
	FINDING_EXTENTS_KEPT = 1,
	FINDING_EXTENTS_LOST = 2,
};

/* What was done to a file, and by whom. */
struct finding_deed {
	char *by;  /* "comm/tid"; "" = not known */
	char *how; /* "O_TRUNC at open", "copy_file_range"; "" = not known, or there is one way */
	uint64_t at_ns; /* 0 = not done, or not seen; else as begin_ns of windows */
};

struct finding_file {
	char *path;   /* of files of others only the last names: "snap-3/memory.bin" */
	uint32_t dev; /* major << 20 | minor */
	uint64_t ino;
	uint32_t open_flags;
	uint64_t bytes_written;
	uint64_t bytes_read;
	uint64_t fsync_ns;
	uint64_t alloc_ns; /* in the block allocator */
	enum finding_extents extents;
	char *extents_why; /* "undone by O_TRUNC at open"; what shows that they were kept */
	struct finding_deed preallocated; /* the last time until the window's end */
	struct finding_deed undone;	  /* before it was preallocated: it was made again */
	struct finding_deed written;	  /* the first write since the later of the two */
	uint64_t preallocated_bytes;	  /* 0 = not known */
	uint64_t
		alloc_bytes; /* of a preallocated file: given to it in the window; NONE = not known */
	struct finding_sizes *sizes; /* by operation; calls that overlap the window count whole */
	size_t sizes_cnt;
};

struct finding_window {
	uint32_t index; /* from 1, within its sweep */
	uint32_t sweep; /* from 1 */
	uint64_t begin_ns;
	uint64_t duration_ns;
	uint64_t reported_ns; /* FINDING_NS_NONE = the command reported nothing */
	char *detector;	      /* "mark", "api", "file:...", "reported", "exec" */
	char *label;
	bool open;		      /* never closed: clipped at the end of the recording */
	bool slow;		      /* of the slow regime of its curve */
	bool spike;		      /* far above its neighbours, without a step */
	uint32_t closer_tid;	      /* whose ledger this is */
	struct finding_share *ledger; /* sums to duration_ns exactly, largest first */
	size_t ledger_cnt;
	struct finding_thread *threads;
	size_t threads_cnt;
	struct finding_futex *futexes;
	size_t futexes_cnt;
	struct finding_file *files;
	size_t files_cnt;
	struct finding_segment *path; /* by time; neighbours that are alike are one */
	size_t path_cnt;
	uint64_t path_rest_cnt; /* shorter stretches that are not listed */
	uint64_t path_rest_ns;
	struct finding_blame *blame; /* longest first */
	size_t blame_cnt;
	struct finding_sizes *sizes; /* of all calls of targets, whatever the file */
	size_t sizes_cnt;
	struct finding_state *states; /* sums to the threads' wall time exactly, largest first */
	size_t states_cnt;
	struct finding_latency *devices;
	size_t devices_cnt;
};

enum curve_verdict {
	CURVE_INCONCLUSIVE = 0,
	CURVE_FLAT = 1,
	CURVE_STEPPED = 2,
};

struct finding_curve {
	enum curve_verdict verdict;
	uint32_t at_window;   /* the first slow window, from 1; 0 = none */
	double ratio;	      /* Hodges-Lehmann, late / early at at_window or at the best split */
	double ratio_lower95; /* 0 = too few values for a bound */
	double ratio_upper95; /* INFINITY = too few values for a bound */
	double p;	      /* 2 * min(p_rank, p_t), at most 1 */
	uint32_t sweeps;
	uint32_t windows;  /* per sweep */
	double *values_ms; /* sweeps * windows, sweep-major */
	char *why;	   /* one sentence */
};

struct finding_rejected {
	char *cause;
	char *why; /* with the number that rejects it */
};

/* What the pauses were held against when their cause was named. */
enum verdict_basis {
	VERDICT_NONE = 0,     /* no anomaly, or no verdict */
	VERDICT_GROWTH = 1,   /* slow windows against the fast ones before them */
	VERDICT_SPIKES = 2,   /* single windows against the others */
	VERDICT_BASELINE = 3, /* another recording */
	VERDICT_HELD = 4,     /* nothing: they are long, and this is what holds them */
};

struct finding_verdict {
	char *cause; /* a leaf, "unknown.*", or "none" for no anomaly */
	enum verdict_basis basis;
	double share;	   /* of the growth, or of the pauses where nothing is to compare; 0..1 */
	double confidence; /* 0..1 */
	double unknown_share; /* of the slow windows' time: what has no name */
	bool incomplete;      /* that is too much for a complete answer */
	char *text;	      /* the answer in words, numbers included */
	char **evidence;
	size_t evidence_cnt;
	struct finding_rejected *rejected;
	size_t rejected_cnt;
};

struct finding_advice {
	char *mitigation; /* "fallocate", "memfd", "tune", "host", "app", "none" */
	char *why;
	char *command;
	char *undo;
};

/* How a cause is shown: filled for every cause that occurs. */
struct finding_cause {
	char *id;
	char *title; /* "writeback throttling (wbt)" */
	char *group; /* "io", "writeback", "ext4", "jbd2", "futex", "cpu", "mm", "unknown", ... */
};

struct findings {
	char *tool_version;
	char *source; /* the trace's path as given */
	struct finding_fact *host;
	size_t host_cnt;
	struct finding_fact *cost; /* what recording cost */
	size_t cost_cnt;
	struct finding_hook *hooks;
	size_t hooks_cnt;
	struct finding_loss loss;
	struct finding_window *windows;
	size_t windows_cnt;
	struct finding_curve curve;
	struct finding_verdict verdict;
	struct finding_advice *advice;
	size_t advice_cnt;
	struct finding_cause *causes;
	size_t causes_cnt;
	struct finding_sizes *sizes; /* of the whole recording, between the windows too */
	size_t sizes_cnt;
	struct finding_latency *devices; /* over windows, by regime */
	size_t devices_cnt;
	struct finding_rounds rounds;
	char **warnings; /* clock disagreement, stack coverage, ... shown with the verdict */
	size_t warnings_cnt;
	struct flame
		*flame_slow; /* slow windows (all of them where there is no step); may be NULL */
	struct flame *flame_fast; /* the others; may be NULL */
};

/* Whether an arm flattened the curve that was before. */
enum curve_outcome {
	CURVE_NOT_SHOWN = 0, /* inconclusive: what is there cannot decide it */
	CURVE_FLATTENED = 1,
	CURVE_NOT_FLATTENED = 2,
};

enum arm_kind {
	ARM_BEFORE = 0,
	ARM_MITIGATED = 1,
	ARM_CONTROL = 2,
};

/* One arm of a comparison: the same BRANCHes, with or without a mitigation. */
struct arm {
	char *label; /* "before", "fallocate", "memfd", "control" */
	enum arm_kind kind;
	struct finding_curve curve;
	struct findings *findings; /* NULL where only a curve is known */
	/* the comparison with `before` and with the control; 0 = not there */
	double ratio_to_before;	    /* median, slow windows before / same windows here */
	double ratio_to_control;    /* median here / median of the control */
	enum curve_outcome outcome; /* of a mitigation only */
	char *text;
};

struct comparison {
	char *name; /* the scenario, or the trace's name */
	struct arm *arms;
	size_t arms_cnt;
	char *kept;		    /* label of the arm whose mitigation was kept; "none" */
	enum curve_outcome outcome; /* of what was kept; where nothing was, of all that was tried */
	char *text;
};

struct report {
	char *title;
	struct comparison *comparisons;
	size_t comparisons_cnt;
};

/* Frees everything inside and the object. NULL is fine. */
void findings__free(struct findings *f);
void comparison__free_inside(struct comparison *c);
void report__free(struct report *r);

struct findings *findings__new(void); /* all strings "", NULL on no memory */

const char *curve_verdict_name(enum curve_verdict v);	  /* "stepped", "flat", "inconclusive" */
const char *verdict_basis_name(enum verdict_basis b);	  /* "growth", ..., "none" */
const char *curve_outcome_name(enum curve_outcome o);	  /* "flattened", "not_flattened", ... */
const char *futex_class_name(enum finding_futex_class c); /* "passive", "contended", ... */
const char *curve_verdict_name(enum curve_verdict v);	  /* "stepped", "flat", "inconclusive" */
const char *curve_outcome_name(enum curve_outcome o);	  /* "flattened", "not_flattened", ... */

/*
 * Appends a zeroed element to a (pointer, count) pair and gives its address, NULL on no memory:
 * `t = FINDING_APPEND(&w->threads, &w->threads_cnt)`.
 */
void *finding_append(void **array, size_t *cnt, size_t element_size);
#define FINDING_APPEND(array, cnt) \
	((__typeof__(*(array)))finding_append((void **)(array), (cnt), sizeof(**(array))))

/* Replaces an owned string; NULL is stored as "". 0 or -ENOMEM. */
int finding_set(char **field, const char *value);
int finding_setf(char **field, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
