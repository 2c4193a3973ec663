/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The critical path of a window: from the thread that closes it backwards through who or what ended
 * each of its waits. Internal to this room: critical_path.c walks, path_io.c walks through requests
 * and work items, path.c keeps what the walk finds, ledger.c sums it up.
 */
#ifndef FLATPAUSE_ANALYZE_CRITICAL_PATH_H
#define FLATPAUSE_ANALYZE_CRITICAL_PATH_H

#include "analysis.h"

#define PATH_MAX_DEPTH 256
#define PATH_ROOT      0 /* the hop of the closer itself */

/* A wait that the path leads through. Equal ones are the same hop. */
struct hop {
	uint32_t from; /* the hop before it */
	const char *cause;
	const struct thread *t;
};

/* A stretch of the window that has one cause. */
struct path_piece {
	uint64_t lo, hi;
	const char *cause;
	const char *shown;	 /* if samples say more of it; else the cause */
	const struct thread *t;	 /* the actor; NULL = the device `dev` */
	const struct done *rq;	 /* if it is a part of a request's life */
	const struct thread *by; /* who held it up meanwhile; NULL = not seen */
	const char *by_cause;	 /* what that one was at; NULL = it just had the CPU */
	uint32_t dev;
	uint32_t hop;
	uint32_t by_tid; /* where `by` is not known: its number */
	bool pooled;	 /* the samples of its pool split it in the ledger */
};

struct path_actor {
	uint32_t tid;
	uint64_t ns;	   /* of the window, on the path */
	uint64_t ended_ns; /* the longest wait of the path that it ended */
	UT_hash_handle hh;
};

/* Kernel time under a syscall: samples split it, else it has the syscall's name. */
struct pool {
	const char *fallback;
	uint64_t ns;
	struct tally samples;
};

#define PATH_POOLS 8

struct path {
	struct vec pieces;	   /* struct path_piece; sorted once the walk is over */
	struct vec hops;	   /* struct hop; 0 is the root */
	struct path_actor *actors; /* by tid */
	struct tally journal;	   /* as in struct evidence */
	struct pool pools[PATH_POOLS];
	uint32_t pools_cnt;
};

/* An interval that is still to be explained. */
struct job {
	const struct thread *t;
	uint64_t lo, hi;
	const char *fallback;	     /* the wait that led here: what is not seen of `t` is its */
	const struct thread *commit; /* the journal's thread, inside a commit that is waited for */
	const char *phase; /* of it, by the stack of the journal's wait; NULL = by its marks */
	uint32_t hop;
	uint32_t depth;
};

struct walk {
	struct analysis *a;
	const struct window *w;
	struct path *path;
	struct tally *aside; /* what is found goes here, and not on the path; NULL = on the path */
	struct vec jobs;     /* struct job */
};

/* Walks [w->begin_ns, w->end_ns) of `closer`: the pieces tile it. 0 or -ENOMEM. */
int path__walk(struct analysis *a, const struct window *w, const struct thread *closer,
	       struct path *path);

/* ---- between the files of the walk ---- */

int walk__push(struct walk *k, const struct job *j);

/* Adds [lo, hi) of `t` under `cause`; inside a commit the phase is the name. */
int walk__emit(struct walk *k, const struct job *j, const struct path_piece *piece);

/*
 * [j->lo, j->hi) of `j->t`, which waited for the request `rq`; `cause` is the wait's own name.
 * `own`: by its stack it can only wait for what it has submitted itself.
 */
int walk__request(struct walk *k, const struct job *j, const struct done *rq, const char *cause,
		  bool own);

/* [j->lo, run->begin) of a worker that had not begun with `run` yet. */
int walk__before_work(struct walk *k, const struct job *j, const struct work_run *run);

/* The hop of a wait of `t`; UINT32_MAX on no memory. */
uint32_t path__hop(struct path *p, uint32_t from, const char *cause, const struct thread *t);

/* ---- path.c: reading it ---- */

int path__note_ender(struct path *p, uint32_t tid, uint64_t ns);
int path__note_actors(struct path *p);
void path__sort(struct path *p);
int path__write(const struct path *p, const struct window *w, struct finding_window *fw);
void path__free_inside(struct path *p);

/* ---- blame.c: whose dirty data was written meanwhile ---- */
int blame__window(struct analysis *a, uint32_t w, const struct path *p, uint32_t dev);

#endif
