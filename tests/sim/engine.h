/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The machine at work: shared by engine.c (time, CPUs), tasks.c, devices.c and workers.c. */
#ifndef FLATPAUSE_TESTS_SIM_ENGINE_H
#define FLATPAUSE_TESTS_SIM_ENGINE_H

#include "sim.h"
#include "../../bpf/abi.h"

#define SIM_EVENTS 256
#define SIM_STEPS  16

/* Names that are the same wherever they are used: compared by content all the same. */
#define CAUSE_USER     "user.cpu"
#define CAUSE_COPY     "fs.copy"
#define CAUSE_KERNEL   "kernel.cpu_other"
#define CAUSE_RUNQUEUE "cpu.runqueue"

/* What an operation is made of. */
enum step_kind {
	STEP_RUN,
	STEP_ENTER, /* a system call */
	STEP_EXIT,
	STEP_SLEEP,
	STEP_POST,
	STEP_WAIT,
	STEP_FUTEX_DONE,
	STEP_ACQUIRE,
	STEP_RELEASE,
	STEP_SUBMIT, /* a bio; then, with a tag, a request */
	STEP_GET_TAG,
	STEP_AWAIT_RQ,
	STEP_QUEUE,
	STEP_AWAIT_WORK,
	STEP_AWAIT_PAGES, /* of the request that a work item submits */
	STEP_AWAIT_COMMIT,
	STEP_COMMIT_POINT,
	STEP_TAKE_WORK, /* workers: the next item, or sleep */
	STEP_WORK_DONE,
	STEP_MARK,
};

enum awaited { AWAIT_OWN, AWAIT_PAGES, AWAIT_ORDERED, AWAIT_LOG };

struct step {
	uint8_t kind;
	uint8_t a;
	int item;
	uint32_t ns;
	int ref; /* enum awaited */
	const char *name;
};

struct sleep {
	const char *stack; /* with the cause of it */
	const char *cause;
	bool walked;
	bool uninterruptible;
	bool iowait;
};

enum task_state { TASK_ASLEEP, TASK_WAKING, TASK_QUEUED, TASK_RUNNING };

struct task {
	uint8_t state;
	uint8_t prio;
	bool kthread;
	uint32_t cpu;
	uint64_t since_ns;  /* of the state that the truth knows */
	uint64_t queued_ns; /* in a runqueue since */
	bool delayed;
	bool slept; /* what it comes back from has a stack */
	struct sleep sleep;
	uint8_t edge;
	int by;
	/* what it does */
	uint32_t op;
	struct step steps[SIM_STEPS];
	uint32_t step, steps_cnt;
	uint64_t run_left;
	uint64_t run_since;
	uint64_t enter_ns;
	uint64_t wait_ns;     /* when a futex was entered */
	bool slept_on;	      /* a step slept, and is tried again */
	int work;	      /* being executed; -1 = none */
	int latest[SIM_DEVS]; /* requests of its own */
};

struct cpu {
	int cur; /* task; -1 = idle */
	uint32_t queue[SIM_TASKS];
	uint32_t queue_cnt;
	uint64_t irq_until;
	uint64_t run_end_ns;
	uint32_t run_gen, slice_gen;
};

enum event_kind {
	EVENT_RUN_END,
	EVENT_SLICE,
	EVENT_ENQUEUE,
	EVENT_TIMER,
	EVENT_DEV_DONE,
	EVENT_RQ_COMPLETE,
	EVENT_RQ_WAKE,
	EVENT_IRQ_END,
};

struct event {
	uint64_t ns;
	uint64_t seq;
	uint32_t who; /* cpu, task or request */
	uint32_t gen;
	uint8_t kind;
};

struct mutex {
	int holder; /* task; -1 = free */
	uint32_t queue[SIM_TASKS];
	uint32_t queue_cnt;
};

struct device {
	uint32_t pending[SIM_TASKS * 8]; /* requests that are not issued yet */
	uint32_t pending_cnt;
	uint32_t in_service, tags_used;
	uint32_t tag_queue[SIM_TASKS];
	uint32_t tag_queue_cnt;
	uint32_t ids; /* request numbers in use, a bit each: they are used again */
};

struct engine {
	struct run *r;
	const struct program *p;
	uint64_t now;
	uint64_t seq;
	struct event events[SIM_EVENTS];
	uint32_t events_cnt;
	struct task tasks[SIM_TASKS];
	struct cpu cpus[SIM_CPUS];
	bool posted[SIM_SEMS];
	int sem_waiter[SIM_SEMS];
	struct mutex mutexes[2 * SIM_MUTEXES]; /* of users, then of the kernel */
	struct device devs[SIM_DEVS];
	uint64_t sectors;
	uint32_t pending_works[SIM_TASKS * 2];
	uint32_t pending_works_cnt;
	bool worker_idle[SIM_WORKERS];
	int commit;	      /* being written; -1 = none */
	int next_commit;      /* that gathers waiters; -1 = none */
	int wants[SIM_TASKS]; /* the commit that a task waits for; -1 = none */
	bool journal_idle;
	bool broken; /* no room: the program is larger than the machine */
};

/* engine.c */
void push_event(struct engine *e, uint64_t ns, enum event_kind kind, uint32_t who, uint32_t gen);
struct sim_rec *record(struct engine *e, enum sim_rec_kind kind, uint32_t cpu, int task);
void wake(struct engine *e, uint32_t task, uint32_t cpu, int waker, enum ev_ctx ctx,
	  enum sim_edge edge, int by);
void interrupt(struct engine *e, uint32_t cpu, uint64_t ns);
uint32_t take_first(uint32_t *queue, uint32_t *cnt);

/*
 * Takes `task`, which runs, as far as it comes without time passing. True: it runs on, for
 * task->run_left. False: it sleeps, as task->sleep says.
 */
bool task__advance(struct engine *e, uint32_t task);
void sleep_on(struct engine *e, uint32_t task, const struct sleep *how);
struct step *add_step(struct engine *e, uint32_t task, enum step_kind kind);
void add_await_rq(struct engine *e, uint32_t task, uint8_t dev, enum awaited what);

/* devices.c */
int submit_bio(struct engine *e, uint32_t task, uint32_t dev, uint32_t ns, int item);
bool get_tag(struct engine *e, uint32_t task, int rq);
void device__done(struct engine *e, uint32_t rq);
void device__complete(struct engine *e, uint32_t rq);
void device__wake(struct engine *e, uint32_t rq);
void device__irq_end(struct engine *e, uint32_t rq);

/* workers.c */
int queue_work(struct engine *e, int task, int rq, uint32_t cpu, int owner, uint32_t op);
bool take_work(struct engine *e, uint32_t task);
void work_done(struct engine *e, uint32_t task);
bool want_commit(struct engine *e, uint32_t task);
bool take_commit(struct engine *e, uint32_t task);
void commit_point(struct engine *e, uint32_t task, int point);

static inline struct sim_rq *rq_at(const struct engine *e, int rq)
{
	return VEC_AT(&e->r->rqs, struct sim_rq, rq);
}

static inline struct sim_work *work_at(const struct engine *e, int work)
{
	return VEC_AT(&e->r->works, struct sim_work, work);
}

static inline struct sim_commit *commit_at(const struct engine *e, int commit)
{
	return VEC_AT(&e->r->commits, struct sim_commit, commit);
}

static inline const struct op *op_at(const struct engine *e, int thread, uint32_t op)
{
	return &e->p->threads[thread].ops[op];
}

#endif
