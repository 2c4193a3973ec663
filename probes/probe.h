/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What we know. A cause is a leaf of one tree: how it shows in stacks, spans and records. A probe
 * is the hooks that see a subject (a ladder, best first). A new hypothesis is a new row in the
 * file of its subject, or a new file here and a row in registry.c.
 */
#ifndef FLATPAUSE_PROBE_H
#define FLATPAUSE_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../bpf/abi.h"
#include "../reports/finding.h"

/* What the analysis knows about a stretch of time in which one thread was blocked or ran. */
struct probe_context {
	const char *const *frames; /* kernel frames, innermost first, suffixes (.isra ...) kept */
	size_t frames_cnt;
	bool running;	 /* false: blocked */
	enum fp_sys cls; /* the syscall around it; FP_SYS_OTHER with in_syscall false = none */
	bool in_syscall;
	bool iowait;
	bool in_span[FP_SPAN_END]; /* spans of this thread that cover it */
	uint8_t lock_flags;	   /* LCB_F_* of the FP_SPAN_LOCK that covers it */
	bool dirty_pause;	   /* begins at a balance_dirty_pages pause of this thread */
	bool kthread;
};

enum cause_kind {
	CAUSE_BLOCKED = 1,
	CAUSE_RUNNING = 2,
	CAUSE_ANY = 3,
	CAUSE_PSEUDO = 4, /* named by the analysis from records, never by a stack */
};

/* Stacks are looked at this deep: what lies further out says where it came from, not what it is. */
#define CAUSE_FRAMES 24
#define CAUSE_GROUPS 3

/* What a signature may ask for beside frames; all that are named must hold. */
enum mark {
	MARK_NO_STACK = 1, /* none was taken, or none of it has a name */
	MARK_STACK = 2,
	MARK_IOWAIT = 4, /* the scheduler's own mark: it waits for a device */
	MARK_NO_IOWAIT = 8,
	MARK_DIRTY_PAUSE = 16,
	MARK_SYSCALL = 32,
	MARK_KTHREAD = 64,
};

/*
 * One way in which a cause shows. Each group of `all_of` is a list of names of which one must be
 * among the frames, compared up to the first '.' (compilers add .isra, .part). Variants of one
 * place over kernel versions stand in one group; a function that some kernel inlines is paired
 * with the one around it, never the only way to be seen.
 */
struct signature {
	enum cause_kind kind; /* 0 = that of the cause */
	const char *const *all_of[CAUSE_GROUPS];
	uint8_t reach;	/* a group's match lies at most so many frames outside the last one's */
	bool innermost; /* the first group's match is frame 0 */
	bool around;	/* names what is around: counts where no signature without it fits */
	uint8_t marks;	/* enum mark */
	uint8_t lock;	/* with FP_SPAN_LOCK: one of these LCB_F_* of contention_begin is set */
	uint32_t spans; /* one of these FP_SPAN_* covers it */
	uint32_t sys;	/* the syscall around it is of one of these classes */
};

#define NAMES(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define SIGNS(...) ((const struct signature[]){ __VA_ARGS__, { 0 } })
#define BIT_OF(n)  (1u << (n))

/*
 * A leaf of the cause tree. The first one that fits wins: the order of the tables in registry.c,
 * then that of the rows, once for signatures that name the place itself, once for those around it.
 */
struct cause {
	const char *id;
	const char *title;
	const char *group;
	enum cause_kind kind;
	const struct signature *signs; /* an empty one ends; NULL = none */
	/* All of them together let the analysis name it (or a span, without a stack). */
	const char *const *tracepoints;
	/* A kernel without any function of this prefix does not have what this is about. */
	const char *part_of;
	bool always; /* needs no evidence of its own: what remains, or what is missing */
};

/* A rung: what must attach for it. Programs are names of the BPF object. */
#define RUNG_PROGRAMS 8
struct rung {
	const char *hook; /* as people read it: "fentry/fexit ext4_mb_new_blocks" */
	const char *programs[RUNG_PROGRAMS]; /* all must load and attach; none = always there */
	const char *lost;		     /* what is lost on this rung; "" = nothing */
	const char *gain;		     /* how to get to a better one; "" = it is the best */
};

#define PROBE_RUNGS 4
struct probe {
	const char *name;
	const char *summary;
	struct rung rungs[PROBE_RUNGS]; /* best first; hook NULL ends */
};

/* The one table. */
extern const struct probe *const probes[];
extern const size_t probes_cnt;

const struct probe *probes__find(const char *name);

/* All causes: tables in the order in which they are tried, each ended by an id of NULL. */
extern const struct cause *const cause_tables[];
extern const size_t cause_tables_cnt;

/* The most specific cause; NULL = none fits. */
const struct cause *probes__classify(const struct probe_context *ctx);
const struct cause *probes__cause(const char *id);

/* Whether `id` is `prefix` itself or lies below it: "io.throttle" holds "io.throttle.wbt". */
bool cause_under(const char *id, const char *prefix);

/*
 * Adds what to do about the verdict's cause, and what will not help, with commands and their undo
 * where there are any. Nothing for "none" and for what has no name. 0 or -ENOMEM.
 */
int advise__verdict(struct findings *f);

/* Whether the symbol `frame` (with .isra.0 or +0x12 behind it) is the function `name`. */
bool frame_is(const char *frame, const char *name);

#endif
