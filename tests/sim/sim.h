/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * A small machine in which every reason is known: random programs of threads, CPUs, locks,
 * devices, a journal and work items are executed event by event. What a recorder would have seen
 * goes to a log of records, what was really the reason of every wait to a truth beside it. Times
 * are ns since the start of the recording.
 *
 *	program__generate(&p, seed);
 *	run = run__new(&p);             // executes it
 *	truth__walk(run, run->begin_ns, run->end_ns, &truth);
 *	emit__trace(run, &variant, path);
 */
#ifndef FLATPAUSE_TESTS_SIM_H
#define FLATPAUSE_TESTS_SIM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "../../user/analyze/vec.h"

#define SIM_THREADS   9 /* of a program; number 0 closes the window */
#define SIM_OPS	      32
#define SIM_CPUS      4
#define SIM_DEVS      2
#define SIM_WORKERS   2
#define SIM_MUTEXES   2
#define SIM_SEMS      96
#define SIM_TASKS     (SIM_THREADS + SIM_WORKERS + 1)

#define SIM_ITEM_NONE (-1)

/* ---- programs ---- */

enum op_kind {
	OP_RUN = 0,  /* ns in user mode */
	OP_CALL,     /* ns inside of write() */
	OP_SLEEP,    /* ns */
	OP_POST,     /* lets the waiter of hand-off `object` go on */
	OP_WAIT,     /* for hand-off `object` */
	OP_LOCK,     /* takes mutex `object`, runs ns, sleeps more_ns, lets go */
	OP_INODE,    /* takes a lock of the kernel, runs ns in it, lets go */
	OP_IO,	     /* a request to device `object`, served for ns, waited for */
	OP_SUBMIT,   /* the same, not waited for */
	OP_SYNC,     /* waits for the latest request that it submitted itself to `object` */
	OP_WORK,     /* queues a work item that runs ns, does I/O of more_ns; waits for it */
	OP_END_IO,   /* a request of more_ns whose completion queues work of ns; waits for that */
	OP_WRITEOUT, /* a work item runs ns and submits a request of more_ns; waits for the latter */
	OP_COMMIT,   /* a journal commit: runs ns, then flushes and logs for more_ns each */
	OP_BEGIN,    /* the window */
	OP_END,
	OP_KINDS
};

struct op {
	uint8_t kind; /* enum op_kind */
	uint8_t object;
	uint32_t ns, more_ns;
};

struct program_thread {
	bool foreign; /* of another process than the target's */
	uint8_t prio; /* a higher one preempts */
	uint32_t ops_cnt;
	struct op ops[SIM_OPS];
};

struct program {
	uint64_t seed;
	uint32_t cpus, devs, workers;
	uint32_t depth[SIM_DEVS]; /* requests in service at a time */
	uint32_t tags[SIM_DEVS];  /* requests at a time, others wait for a tag */
	uint32_t irq_cpu[SIM_DEVS];
	uint32_t quantum_ns; /* 0 = a thread runs until it sleeps */
	uint32_t ipi_ns;     /* from a wake until the wakee is in a runqueue */
	uint32_t irq_ns;     /* each of the three parts of an interrupt */
	uint32_t threads_cnt;
	struct program_thread threads[SIM_THREADS];
};

void program__generate(struct program *p, uint64_t seed);
uint32_t program__ops(const struct program *p);
void program__print(const struct program *p, FILE *to);

/* Takes one operation out, a hand-off with both of its ends. False: it must stay. */
bool program__drop_op(struct program *p, uint32_t thread, uint32_t op);
bool program__drop_thread(struct program *p, uint32_t thread);

/* A duration of the program, by number: thread, op, ns or more_ns. */
#define SIM_ITEMS (SIM_THREADS * SIM_OPS * 2)
static inline int item_of(uint32_t thread, uint32_t op, int more)
{
	return (int)((thread * SIM_OPS + op) * 2) + more;
}
uint32_t *program__item(struct program *p, int item);

/* ---- what a recorder would have seen ---- */

enum sim_rec_kind {
	SIM_TASK,
	SIM_SWITCH,
	SIM_WAKE,
	SIM_SYSCALL,
	SIM_FUTEX,
	SIM_BIO,
	SIM_RQ,
	SIM_WORK,
	SIM_POINT,
	SIM_IRQ,
	SIM_LOCK_SPAN,
};

struct sim_rec {
	uint64_t ns;
	uint64_t begin_ns; /* of spans and system calls */
	uint64_t id;	   /* sector, work, transaction, uaddr */
	const char *name;  /* stack, function, comm */
	uint32_t tid, other;
	uint32_t run_delay_ns;
	uint16_t cpu, flags;
	uint8_t kind; /* enum sim_rec_kind */
	uint8_t act;  /* fp_bio, fp_rq, fp_work, fp_point, fp_sys, prev_state */
	uint8_t ctx;  /* enum ev_ctx */
	uint8_t dev;
};

/* ---- what was really so ---- */

enum sim_state { SIM_RUN, SIM_READY, SIM_BLOCKED };

enum sim_edge { /* what ended a wait; `by` is its number */
		EDGE_NONE,
		EDGE_TIMER,
		EDGE_TASK,
		EDGE_WORK,
		EDGE_RQ,
};

struct sim_span {
	uint64_t begin, end;
	const char *cause; /* as the ledger is to call it where it is not walked further */
	int item;
	uint16_t cpu;
	uint16_t by;
	uint8_t state; /* enum sim_state */
	uint8_t edge;  /* enum sim_edge */
	bool walked;   /* a wait that is replaced by what went on elsewhere */
	bool delayed;  /* others had the CPU, or an interrupt */
};

struct sim_rq {
	uint64_t bio_ns, get_ns, issue_ns, done_ns, wake_ns;
	uint64_t sector;
	uint32_t service_ns;
	int item;
	int work;   /* whose part the submitter did with it; -1 = of its own */
	int queues; /* the work item that its completion queues; -1 = none */
	int waiter; /* task; -1 = none */
	uint32_t id;
	uint8_t dev;
	uint8_t submitter; /* task */
	bool over;	   /* whoever waits is woken */
	bool deferred;	   /* its interrupt had to wait for another */
};

struct sim_work {
	uint64_t queue_ns, start_ns, end_ns;
	uint64_t address;
	int queuer; /* task; -1 = the completion of `rq` */
	int rq;
	int worker; /* task; -1 = not begun */
	int woken;  /* the worker that it woke; -1 = all were busy */
	int waiter;
	int owner; /* thread of the program */
	uint32_t op;
	bool over;
};

struct sim_commit {
	uint64_t start_ns, flush_ns, log_ns, end_ns;
	int owner; /* whose operation says how long it takes */
	uint32_t op;
};

struct sim_irq {
	uint64_t begin, end;
	uint32_t cpu;
};

struct run {
	const struct program *p;
	bool preempted; /* some thread, at some time */
	bool tied;	/* a wait was over in the same ns: its order is nobody's */
	bool stuck;	/* the window never closed, or is empty */
	uint64_t begin_ns, end_ns, last_ns;
	uint32_t tasks_cnt;
	uint32_t tid[SIM_TASKS];
	struct vec spans[SIM_TASKS]; /* struct sim_span, without gaps */
	struct vec rqs, works, commits, irqs;
	struct vec log; /* struct sim_rec in order of time */
};

/* Task numbers: the program's threads, then the workers, then the journal's thread. */
struct run *run__new(const struct program *p);
void run__free(struct run *r);

static inline uint32_t task_of_worker(const struct program *p, uint32_t n)
{
	return p->threads_cnt + n;
}

static inline uint32_t task_of_journal(const struct program *p)
{
	return p->threads_cnt + p->workers;
}

/* Not the same for all: two that are woken at once do not run in the same ns. */
static inline uint32_t wake_latency(const struct program *p, uint32_t task)
{
	return p->ipi_ns + 7 * task;
}

/* ---- the true path ---- */

struct truth_piece {
	uint64_t begin, end;
	const char *cause;
	int item;
	uint8_t task;
	uint8_t depth;
};

struct truth {
	struct vec pieces; /* struct truth_piece, by time; they tile the window */
	uint64_t solid_ns; /* from here on nothing but the path was in the way */
};

/* Goes from `hi` of the closing thread back to `lo`, each wait to what ended it. */
int truth__walk(const struct run *r, uint64_t lo, uint64_t hi, struct truth *out);
void truth__free(struct truth *t);

/* ---- traces ---- */

struct variant {
	uint32_t scale;		/* 0 and 1: as it is */
	bool relabel;		/* other threads' and CPUs' numbers */
	int leave_out;		/* a task of which nothing is said; -1 = none */
	bool strangers;		/* threads that have nothing to do with it run too */
	uint64_t split_ns;	/* two windows, cut here; 0 = one */
	uint32_t drop_permille; /* of the records, each with the loss told */
	bool keep_spans;	/* but not of those that tell of what was before them */
	uint32_t skew_ns;	/* every other CPU's clock is behind by this */
	bool reverse_cpus;	/* CPUs are written in another order */
	uint64_t chance;	/* for what is random in a variant */
};

#define VARIANT_PLAIN ((struct variant){ .leave_out = -1 })

/* The thread that closes the window, as it is called in the trace. */
uint32_t emit__tid(const struct run *r, const struct variant *v, uint32_t task);

struct trace_builder;

/* Writes all of it; the caller finishes or frees it. NULL on error. */
struct trace_builder *emit__trace(const struct run *r, const struct variant *v);

/* ---- making a failure small ---- */

/* Whether a program still fails. */
typedef bool (*fails_fn)(const struct program *p, void *ctx);

void program__shrink(struct program *p, fails_fn fails, void *ctx);

#endif
