// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* What threads do: operations taken apart into steps, and the steps. */
#include "engine.h"

#include <string.h>

static const struct sleep on_hand_off = { "futex_do_wait;__futex_wait;futex_wait;do_futex",
					  "futex.wait", .walked = true };
static const struct sleep on_mutex = { .stack = "futex_do_wait;futex_lock_pi;do_futex",
				       .cause = "futex.contended" };
static const struct sleep on_inode = {
	"rwsem_down_write_slowpath;down_write;ext4_buffered_write_iter;vfs_write;ksys_write",
	"lock.inode", .uninterruptible = true
};
static const struct sleep on_timer = { .stack = "do_nanosleep;hrtimer_nanosleep;common_nsleep",
				       .cause = "timer.sleep" };
static const struct sleep on_request = {
	"blk_io_schedule;__iomap_dio_rw;iomap_dio_rw;ext4_file_write_iter;vfs_write",
	"io.device_service", .walked = true, .uninterruptible = true, .iowait = true
};
static const struct sleep on_pages = {
	"folio_wait_bit_common;folio_wait_writeback;__filemap_fdatawait_range;"
	"file_write_and_wait_range;ext4_sync_file;do_fsync",
	"fs.writeback_wait", .walked = true, .uninterruptible = true, .iowait = true
};
static const struct sleep on_work = { "__wait_for_common;wait_for_completion;__flush_work",
				      "unknown.stack", .walked = true, .uninterruptible = true };
static const struct sleep on_commit = {
	"jbd2_log_wait_commit;jbd2_complete_transaction;ext4_sync_file;do_fsync",
	"jbd2.commit_wait", .walked = true, .uninterruptible = true
};
static const struct sleep on_ordered = {
	"folio_wait_bit_common;folio_wait_writeback;__filemap_fdatawait_range;"
	"jbd2_journal_finish_inode_data_buffers;jbd2_journal_commit_transaction;kjournald2",
	"jbd2.commit_flush", .walked = true, .uninterruptible = true, .iowait = true
};
static const struct sleep on_log = {
	"bit_wait_io;__wait_on_bit;__wait_on_buffer;jbd2_journal_commit_transaction;kjournald2",
	"jbd2.commit_log", .walked = true, .uninterruptible = true, .iowait = true
};
static const struct sleep at_end = { .stack = "pipe_read;vfs_read;ksys_read", .cause = "ipc.wait" };

struct step *add_step(struct engine *e, uint32_t task, enum step_kind kind)
{
	static struct step nowhere;
	struct task *t = &e->tasks[task];
	struct step *s = &nowhere;

	if (t->steps_cnt == SIM_STEPS)
		e->broken = true;
	else
		s = &t->steps[t->steps_cnt++];
	*s = (struct step){ .kind = kind, .item = SIM_ITEM_NONE, .ref = -1 };
	return s;
}

static void add_run(struct engine *e, uint32_t task, uint32_t ns, int item, const char *name)
{
	struct step *s = add_step(e, task, STEP_RUN);

	s->ns = ns;
	s->item = item;
	s->name = name;
}

static void add(struct engine *e, uint32_t task, enum step_kind kind, uint8_t a)
{
	add_step(e, task, kind)->a = a;
}

static void add_timed(struct engine *e, uint32_t task, enum step_kind kind, uint8_t a, uint32_t ns,
		      int item)
{
	struct step *s = add_step(e, task, kind);

	s->a = a;
	s->ns = ns;
	s->item = item;
}

void add_await_rq(struct engine *e, uint32_t task, uint8_t dev, enum awaited what)
{
	struct step *s = add_step(e, task, STEP_AWAIT_RQ);

	s->a = dev;
	s->ref = what;
}

/* What runs inside of a system call is only known to do so where calls are recorded. */
static const char *in_call(const struct engine *e, uint32_t task)
{
	return e->p->threads[task].foreign ? CAUSE_USER : CAUSE_COPY;
}

/* ---- operations ---- */

static void expand_lock(struct engine *e, uint32_t task, const struct op *op, int item)
{
	bool kernel = op->kind == OP_INODE;
	uint8_t lock = op->object + (kernel ? SIM_MUTEXES : 0);

	if (kernel)
		add(e, task, STEP_ENTER, FP_SYS_WRITE);
	add(e, task, STEP_ACQUIRE, lock);
	add_run(e, task, op->ns, item, kernel ? in_call(e, task) : CAUSE_USER);
	if (!kernel && op->more_ns)
		add_timed(e, task, STEP_SLEEP, 0, op->more_ns, item + 1);
	add(e, task, STEP_RELEASE, lock);
	if (kernel)
		add(e, task, STEP_EXIT, FP_SYS_WRITE);
}

static void expand_io(struct engine *e, uint32_t task, const struct op *op, int item)
{
	uint8_t cls = op->kind == OP_SYNC ? FP_SYS_FSYNC : FP_SYS_WRITE;

	add(e, task, STEP_ENTER, cls);
	if (op->kind != OP_SYNC) {
		add_timed(e, task, STEP_SUBMIT, op->object, op->ns, item);
		add(e, task, STEP_GET_TAG, op->object);
	}
	if (op->kind != OP_SUBMIT)
		add_await_rq(e, task, op->object, op->kind == OP_SYNC ? AWAIT_PAGES : AWAIT_OWN);
	add(e, task, STEP_EXIT, cls);
}

static void expand_work(struct engine *e, uint32_t task, const struct op *op, int item)
{
	add(e, task, STEP_ENTER, FP_SYS_FSYNC);
	if (op->kind == OP_END_IO) {
		add_timed(e, task, STEP_SUBMIT, op->object, op->more_ns, item + 1);
		add(e, task, STEP_GET_TAG, op->object);
		add(e, task, STEP_AWAIT_PAGES, op->kind);
	} else {
		add(e, task, STEP_QUEUE, 0);
		add(e, task, op->kind == OP_WORK ? STEP_AWAIT_WORK : STEP_AWAIT_PAGES, op->kind);
	}
	add(e, task, STEP_EXIT, FP_SYS_FSYNC);
}

static void expand(struct engine *e, uint32_t task, const struct op *op, int item)
{
	switch ((enum op_kind)op->kind) {
	case OP_RUN:
		add_run(e, task, op->ns, item, CAUSE_USER);
		break;
	case OP_CALL:
		add(e, task, STEP_ENTER, FP_SYS_WRITE);
		add_run(e, task, op->ns, item, in_call(e, task));
		add(e, task, STEP_EXIT, FP_SYS_WRITE);
		break;
	case OP_SLEEP:
		add(e, task, STEP_ENTER, FP_SYS_SLEEP);
		add_timed(e, task, STEP_SLEEP, 0, op->ns, item);
		add(e, task, STEP_EXIT, FP_SYS_SLEEP);
		break;
	case OP_POST:
		add(e, task, STEP_POST, op->object);
		break;
	case OP_WAIT:
		add(e, task, STEP_WAIT, op->object);
		add(e, task, STEP_FUTEX_DONE, op->object);
		break;
	case OP_LOCK:
	case OP_INODE:
		expand_lock(e, task, op, item);
		break;
	case OP_IO:
	case OP_SUBMIT:
	case OP_SYNC:
		expand_io(e, task, op, item);
		break;
	case OP_WORK:
	case OP_END_IO:
	case OP_WRITEOUT:
		expand_work(e, task, op, item);
		break;
	case OP_COMMIT:
		add(e, task, STEP_ENTER, FP_SYS_FSYNC);
		add(e, task, STEP_AWAIT_COMMIT, 0);
		add(e, task, STEP_EXIT, FP_SYS_FSYNC);
		break;
	case OP_BEGIN:
	case OP_END:
		add(e, task, STEP_MARK, op->kind);
		break;
	case OP_KINDS:
		break;
	}
}

/* ---- steps ---- */

void sleep_on(struct engine *e, uint32_t task, const struct sleep *how)
{
	e->tasks[task].sleep = *how;
}

static void post(struct engine *e, uint32_t task, uint8_t sem)
{
	int waiter = e->sem_waiter[sem];

	e->posted[sem] = true;
	if (waiter >= 0)
		wake(e, waiter, e->tasks[task].cpu, task, EV_CTX_TASK, EDGE_TASK, task);
}

static bool wait_for_post(struct engine *e, uint32_t task, uint8_t sem)
{
	if (e->posted[sem])
		return true;
	e->sem_waiter[sem] = task;
	e->tasks[task].wait_ns = e->now;
	e->tasks[task].slept_on = true;
	sleep_on(e, task, &on_hand_off);
	return false;
}

static void futex_record(struct engine *e, uint32_t task, uint64_t uaddr, bool pi)
{
	struct task *t = &e->tasks[task];
	struct sim_rec *rec;

	if (!t->slept_on)
		return;
	t->slept_on = false;
	rec = record(e, SIM_FUTEX, t->cpu, task);
	rec->begin_ns = t->wait_ns;
	rec->id = uaddr;
	/* FUTEX_LOCK_PI or what C libraries use for a mutex; FUTEX_WAIT_BITSET. All PRIVATE. */
	rec->act = !pi ? 137 : e->p->seed % 2 ? 134 : 128;
}

static void contention_record(struct engine *e, uint32_t task, uint8_t lock)
{
	struct sim_rec *rec = record(e, SIM_LOCK_SPAN, e->tasks[task].cpu, task);

	rec->begin_ns = e->tasks[task].wait_ns;
	rec->id = 0xffff888000000000ull + lock * 64;
}

static bool acquire(struct engine *e, uint32_t task, uint8_t lock)
{
	struct mutex *m = &e->mutexes[lock];
	struct task *t = &e->tasks[task];
	bool kernel = lock >= SIM_MUTEXES;

	if (m->holder == (int)task) { /* it was handed over */
		if (kernel && t->slept_on)
			contention_record(e, task, lock);
		else
			futex_record(e, task, 0x7f0000002000ull + lock * 4, true);
		t->slept_on = false;
		return true;
	}
	if (m->holder < 0) {
		m->holder = task;
		return true;
	}
	m->queue[m->queue_cnt++] = task;
	t->wait_ns = e->now;
	t->slept_on = true;
	sleep_on(e, task, kernel ? &on_inode : &on_mutex);
	/* Only its system call says that a futex is a lock. */
	t->sleep.walked = !kernel && e->p->threads[task].foreign;
	return false;
}

static void release(struct engine *e, uint32_t task, uint8_t lock)
{
	struct mutex *m = &e->mutexes[lock];

	m->holder = -1;
	if (!m->queue_cnt)
		return;
	m->holder = take_first(m->queue, &m->queue_cnt);
	wake(e, m->holder, e->tasks[task].cpu, task, EV_CTX_TASK, EDGE_TASK, task);
}

static bool await_rq(struct engine *e, uint32_t task, const struct step *s)
{
	static const struct sleep *const how[] = { [AWAIT_OWN] = &on_request,
						   [AWAIT_PAGES] = &on_pages,
						   [AWAIT_ORDERED] = &on_ordered,
						   [AWAIT_LOG] = &on_log };
	int rq = e->tasks[task].latest[s->a];

	if (rq < 0 || rq_at(e, rq)->over)
		return true;
	rq_at(e, rq)->waiter = task;
	sleep_on(e, task, how[s->ref]);
	return false;
}

/* For what was queued just before: the item itself, or the pages that it writes. */
static bool await_work(struct engine *e, uint32_t task, const struct step *s)
{
	struct task *t = &e->tasks[task];
	int work = (int)vec__cnt(&e->r->works) - 1;
	struct sim_rq *rq = NULL;

	if (t->slept_on) { /* it waited, and is woken */
		t->slept_on = false;
		return true;
	}
	if (s->a == OP_END_IO) {
		rq = rq_at(e, t->latest[op_at(e, task, t->op - 1)->object]);
		work = rq->queues;
	}
	if (work >= 0 && work_at(e, work)->over)
		return true;
	t->slept_on = true;
	if (rq && !rq->over)
		rq->waiter = task;
	else
		work_at(e, work)->waiter = task;
	sleep_on(e, task, s->kind == STEP_AWAIT_WORK ? &on_work : &on_pages);
	return false;
}

static bool sleep_for(struct engine *e, uint32_t task, const struct step *s)
{
	struct task *t = &e->tasks[task];

	if (t->slept_on) {
		t->slept_on = false;
		return true;
	}
	t->slept_on = true;
	push_event(e, e->now + s->ns, EVENT_TIMER, task, 0);
	sleep_on(e, task, &on_timer);
	return false;
}

static void syscall_record(struct engine *e, uint32_t task, uint8_t cls)
{
	struct sim_rec *rec = record(e, SIM_SYSCALL, e->tasks[task].cpu, task);

	rec->begin_ns = e->tasks[task].enter_ns;
	rec->act = cls;
}

static void mark(struct engine *e, uint8_t kind)
{
	if (kind == OP_BEGIN)
		e->r->begin_ns = e->now;
	else
		e->r->end_ns = e->now;
}

/* One step that takes no time; false: it has to sleep first, and the step is tried again then. */
static bool do_step(struct engine *e, uint32_t task, struct step *s)
{
	struct task *t = &e->tasks[task];

	switch ((enum step_kind)s->kind) {
	case STEP_RUN:
		break;
	case STEP_ENTER:
		t->enter_ns = e->now;
		break;
	case STEP_EXIT:
		syscall_record(e, task, s->a);
		break;
	case STEP_SLEEP:
		return sleep_for(e, task, s);
	case STEP_POST:
		post(e, task, s->a);
		break;
	case STEP_WAIT:
		return wait_for_post(e, task, s->a);
	case STEP_FUTEX_DONE:
		futex_record(e, task, 0x7f0000001000ull + s->a * 4, false);
		break;
	case STEP_ACQUIRE:
		return acquire(e, task, s->a);
	case STEP_RELEASE:
		release(e, task, s->a);
		break;
	case STEP_SUBMIT:
		t->latest[s->a] = submit_bio(e, task, s->a, s->ns, s->item);
		break;
	case STEP_GET_TAG:
		return get_tag(e, task, t->latest[s->a]);
	case STEP_AWAIT_RQ:
		return await_rq(e, task, s);
	case STEP_QUEUE:
		queue_work(e, task, -1, t->cpu, task, t->op - 1);
		break;
	case STEP_AWAIT_WORK:
	case STEP_AWAIT_PAGES:
		return await_work(e, task, s);
	case STEP_AWAIT_COMMIT:
		if (want_commit(e, task))
			return true;
		sleep_on(e, task, &on_commit);
		return false;
	case STEP_COMMIT_POINT:
		commit_point(e, task, s->a);
		break;
	case STEP_TAKE_WORK:
		return take_work(e, task);
	case STEP_WORK_DONE:
		work_done(e, task);
		break;
	case STEP_MARK:
		mark(e, s->a);
		break;
	}
	return true;
}

/* Puts the steps of what comes next in place. False: there is nothing left to do. */
static bool next_steps(struct engine *e, uint32_t task)
{
	struct task *t = &e->tasks[task];

	t->step = t->steps_cnt = 0;
	if (task == task_of_journal(e->p))
		return take_commit(e, task);
	if (t->kthread) {
		add(e, task, STEP_TAKE_WORK, 0);
		return true;
	}
	if (t->op == e->p->threads[task].ops_cnt) {
		sleep_on(e, task, &at_end);
		return false;
	}
	expand(e, task, op_at(e, task, t->op), item_of(task, t->op, 0));
	t->op++;
	return true;
}

bool task__advance(struct engine *e, uint32_t task)
{
	struct task *t = &e->tasks[task];

	while (!e->broken) {
		struct step *s = &t->steps[t->step];

		if (t->step == t->steps_cnt) {
			if (!next_steps(e, task))
				return false;
			continue;
		}
		if (s->kind == STEP_RUN) {
			if (!t->run_left)
				t->run_left = s->ns;
			if (t->run_left)
				return true;
		}
		if (!do_step(e, task, s))
			return false;
		t->step++;
	}
	return false;
}
