/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The threads of a trace in time: for every thread that was followed (targets, kernel threads, and
 * neighbours that woke one) a list of segments (running, runnable, blocked, unknown) without gaps,
 * the syscalls and spans that lie over them, the samples, and what kernel threads work on. Fed
 * record by record; what ended before the oldest window that is still of interest is dropped, so
 * that memory is bounded by what lives and one window.
 */
#ifndef FLATPAUSE_ANALYZE_TIMELINE_H
#define FLATPAUSE_ANALYZE_TIMELINE_H

#include <stdbool.h>
#include <stdint.h>
#include "../trace/reader.h"
#include "kernel_work.h"
#include "scan.h"
#include "stacks.h"
#include "vec.h"

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

enum seg_kind {
	SEG_NONE = 0, /* nothing is known, or the thread does not exist */
	SEG_RUN = 1,
	SEG_RUNNABLE = 2,
	SEG_BLOCKED = 3,
	SEG_UNKNOWN = 4,
};

/* seg.flags */
#define SEG_IOWAIT    1
#define SEG_DIRTY     2	  /* begins at a balance_dirty_pages pause */
#define SEG_WOKEN     4	  /* a wake was seen */
#define SEG_BY_TASK   8	  /* `detail` is the thread that woke it */
#define SEG_BY_IO     16  /* `detail` is the request whose completion woke it */
#define SEG_OPEN      32  /* not over yet */
#define SEG_PRETRACE  64  /* began before the recording */
#define SEG_BY_TIMER  128 /* a timer function woke it */
#define SEG_THROTTLED 256 /* runnable, but its group was out of CPU quota */

enum seg_reason { /* seg.detail of SEG_UNKNOWN */
		  REASON_LOST = 1,
		  REASON_MISSED = 2, /* a context switch is missing, and no loss explains it */
		  REASON_PRETRACE = 3,
};

struct seg {
	uint64_t begin, end;
	union {
		uint32_t kstack;   /* of a SEG_BLOCKED: index into stacks */
		uint32_t occupant; /* of a SEG_RUNNABLE: who had the CPU last; 0 = idle */
	};
	uint32_t ustack;
	uint32_t detail; /* SEG_RUN, SEG_RUNNABLE: the CPU; else as said above */
	uint16_t flags;
	uint8_t kind;
	uint8_t pad;
};

/* List 0 holds the syscalls of a thread, list n the spans of enum fp_span n. */
#define SPAN_LISTS FP_SPAN_END

struct span {
	uint64_t begin, end;
	uint64_t arg; /* spans: inode; futexes: address; else 0 */
	uint32_t dev;
	int32_t fd;
	uint16_t value; /* futexes: op; spans: as in struct ev_span */
	uint8_t cls;	/* enum fp_sys */
	uint8_t pad[5];
};

struct sample {
	uint64_t ts_ns;
	uint32_t kstack;
	uint32_t ustack;
};

/* A blocked piece of a window that was reported before its stack was known. */
struct fixup {
	uint32_t window, thread; /* indices into the findings */
	uint64_t begin, end;
	const char *cause; /* as which it was reported */
};

struct thread {
	uint32_t tid;
	uint32_t tgid;
	char comm[FP_COMM_LEN];
	bool target;
	bool kthread;
	bool journal;	  /* jbd2's own thread */
	uint64_t born_ns; /* the recording's start, where that is not known */
	uint64_t dead_ns; /* UINT64_MAX while it lives */
	uint64_t exit_ns; /* sched_process_exit; it still runs a little */
	uint32_t parent;
	/* the segment that is open now */
	enum seg_kind kind;
	bool snapshot_running; /* the snapshot found it on a runqueue */
	uint16_t flags;
	uint32_t kstack;
	uint32_t cpu;
	uint64_t since_ns;
	uint64_t wake_ns; /* 0 = none seen */
	uint32_t wake_detail;
	uint16_t wake_flags;
	uint16_t early_flags;
	uint32_t early_detail;
	bool wake_early;	/* it came before the sleep: one that comes in it counts instead */
	uint64_t early_wake_ns; /* a wake while it still ran */
	uint64_t unwoken_ns;	/* when it came back from a sleep that no wake ended; 0 = it was */
	uint64_t dirty_ns;	/* of the last balance_dirty_pages pause */
	struct vec segs;
	struct vec spans[SPAN_LISTS];
	struct vec samples;
	struct vec fixups;
	struct kernel_work *work;   /* NULL = it did none */
	uint32_t row, row_window;   /* where the partition of window row_window - 1 has it */
	struct thread *prev, *next; /* all threads, dead ones until they are out of every window */
	struct thread *older;	    /* the one that had the same tid before it */
	UT_hash_handle hh;	    /* living ones by tid */
	UT_hash_handle hh_last;	    /* the latest with each tid, living or not */
};

struct timeline {
	struct stacks *stacks;
	struct scan *scan; /* what the first pass found: targets, losses */
	uint64_t start_ns;
	uint64_t now_ns;
	uint64_t keep_ns; /* segments that end before it are of no interest */
	struct thread *by_tid;
	struct thread *last_by_tid;
	struct thread *threads;
	struct work_queue queued;
	struct cpus cpus;
	/* A blocked segment of a thread with fixups is complete. */
	void (*on_fixup)(void *ctx, struct thread *t, const struct seg *seg);
	void *ctx;
	uint64_t repaired; /* records that ran backwards in their thread */
	uint64_t missed;   /* switches of targets that were not reported */
	bool no_memory;	   /* said at the end: once is enough */
};

void timeline__init(struct timeline *tl, struct scan *scan, struct stacks *stacks,
		    uint64_t start_ns);
void timeline__free(struct timeline *tl);

/* Takes one record of any kind. */
void timeline__event(struct timeline *tl, const struct trace_event *ev);

/* Forgets what ended before `ns`. */
void timeline__trim(struct timeline *tl, uint64_t ns);

/* The living thread with this tid, the last that had it, or who had it at `ns`; NULL = none. */
struct thread *timeline__thread(const struct timeline *tl, uint32_t tid);
struct thread *timeline__last(const struct timeline *tl, uint32_t tid);
struct thread *timeline__thread_at(const struct timeline *tl, uint32_t tid, uint64_t ns);

/* The open segment up to tl->now_ns; false if there is none. */
bool thread__open_seg(const struct timeline *tl, const struct thread *t, struct seg *out);

/* The span of a list that lies over `ns`; NULL = none. */
const struct span *thread__span_at(const struct thread *t, int list, uint64_t ns);

/* ---- reading a stretch of one thread, piece by piece ---- */

struct piece {
	uint64_t begin, end;
	enum seg_kind kind; /* SEG_NONE: the thread did not exist */
	uint32_t reason;    /* of SEG_UNKNOWN */
	bool in_kernel; /* of SEG_RUN: inside a syscall, span or interrupt, or a kernel thread */
	bool irq;	/* of SEG_RUN: an interrupt had the CPU */
	const struct seg *seg;
	const struct span *sys; /* the syscall around it, NULL = none */
	uint16_t spans;		/* bit n: inside a span of list n */
	uint8_t lock_flags;	/* LCB_F_* of the lock span around it */
};

struct pieces {
	const struct timeline *tl;
	const struct thread *t;
	uint64_t at, hi;
	size_t seg_i;
	size_t span_i[SPAN_LISTS];
	struct seg open; /* stands behind the last complete one */
	bool has_open;
};

/* The first segment that ends behind `ns`: an index into `segs`. */
size_t seg_after(const struct vec *segs, uint64_t ns);

/* Tiles [lo, hi) of `t` exactly: while (pieces__next(&it, &p)) ... */
void pieces__begin(struct pieces *it, const struct timeline *tl, const struct thread *t,
		   uint64_t lo, uint64_t hi);
bool pieces__next(struct pieces *it, struct piece *p);

/* What the probes are asked about a piece. */
void piece__context(const struct piece *p, const struct thread *t, struct probe_context *ctx);

#endif
