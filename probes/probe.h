/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What we know. A probe is one subject: the hooks that see it (a ladder, best first), the causes
 * that it can name (signatures on stacks and evidence), and the advice that follows from them.
 * A new hypothesis is a new file here and a row in registry.c.
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
	bool dirty_pause;	   /* begins at a balance_dirty_pages pause of this thread */
	bool kthread;
};

enum cause_kind {
	CAUSE_BLOCKED = 1,
	CAUSE_RUNNING = 2,
	CAUSE_ANY = 3,
};

/*
 * A leaf of the cause tree. `all_of` holds up to three groups; each group is a list of names of
 * which one must be among the frames, compared up to the first '.' (compilers add .isra, .part).
 * Stacks of sleeps begin below the scheduler: schedule(), io_schedule() and the like are not among
 * the frames, so that no signature may ask for them.
 * The most specific cause wins: registry order, deepest first.
 */
#define CAUSE_GROUPS 3
#define CAUSE_NAMES  10
struct cause {
	const char *id;
	const char *title;
	const char *group;
	enum cause_kind kind;
	const char *all_of[CAUSE_GROUPS][CAUSE_NAMES];
	/* Instead of or after frames: evidence. NULL = frames decide. */
	bool (*match)(const struct probe_context *ctx);
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
	const struct cause *causes;	/* id NULL ends; may be NULL */
	/*
	 * Adds advice for the verdict of `f` if this probe has some. 0 or -ENOMEM.
	 * What a mitigation will not help with is said as well.
	 */
	int (*advise)(struct findings *f);
};

/* The one table. */
extern const struct probe *const probes[];
extern const size_t probes_cnt;

const struct probe *probes__find(const char *name);

/* The most specific cause of all probes; NULL = none matches. */
const struct cause *probes__classify(const struct probe_context *ctx);
const struct cause *probes__cause(const char *id);

/* Frames are compared as the table says. */
bool frame_is(const char *frame, const char *name);

#endif
