// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Capture with real BPF against processes whose doings are known. Run by test_capture.sh, which
 * gives the directory of an ext4 on a device of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "checked.h"
#include "user/log.h"

/* The switch that ends the first sleep of `tid` that lasted at least SLEEP_NS */
static const struct ev_switch *long_sleep(const struct recorded *r, uint32_t tid,
					  uint64_t *sleep_ns)
{
	uint64_t out_ns = 0;

	for (size_t i = 0; i < r->events_cnt; i++) {
		const struct ev_switch *s = (const void *)r->events[i];

		if (s->h.kind != EV_SWITCH)
			continue;
		if (s->next_tid == tid && out_ns && s->h.ts_ns - out_ns >= SLEEP_NS) {
			*sleep_ns = out_ns;
			return s;
		}
		if (s->h.tid == tid)
			out_ns = s->prev_state && !(s->flags & EV_SWITCH_PREEMPT) ? s->h.ts_ns : 0;
	}
	return NULL;
}

static const struct ev_stack *user_stack_of(const struct recorded *r, uint32_t tid,
					    uint64_t sleep_ns)
{
	const struct ev_sleep_ustack *u;
	size_t pos = 0;

	while ((u = recorded__next(r, &pos, EV_SLEEP_USTACK, tid)))
		if (u->sleep_ns == sleep_ns)
			return recorded__stack(r, u->ustack_id);
	return NULL;
}

static bool within(uint64_t addr, void (*fn)(void))
{
	uint64_t begin = (uint64_t)(uintptr_t)fn;

	return addr >= begin && addr < begin + NAP_BYTES;
}

static void check_long_sleep(const struct recorded *r, const char *frame)
{
	uint64_t sleep_ns = 0;
	const struct ev_switch *s = long_sleep(r, told(r)->tid, &sleep_ns);
	const struct ev_stack *stack;

	assert_non_null(s);
	assert_true(s->flags & EV_SWITCH_STACK_NEXT);
	stack = recorded__stack(r, s->kstack_id);
	assert_non_null(stack);
	assert_int_equal(stack->tgid, 0);
	assert_int_not_equal(stack_has(stack, frame), 0);
	assert_int_not_equal(stack_has(stack, "__schedule"), 0);
	stack = user_stack_of(r, told(r)->tid, sleep_ns);
	assert_non_null(stack);
	assert_int_equal(stack->tgid, r->pid);
}

static void nanosleep_has_both_stacks(void **state)
{
	struct recorded r;
	const struct ev_stack *user;
	uint64_t sleep_ns;

	record_it(&r, sleep_by_nanosleep);
	check_long_sleep(&r, "hrtimer_nanosleep");
	assert_non_null(long_sleep(&r, told(&r)->tid, &sleep_ns));
	user = user_stack_of(&r, told(&r)->tid, sleep_ns);
#if defined(__x86_64__)
	assert_true(user->frames_cnt >= 2);
	assert_true(within(user->frames[0], nap_inner));
	assert_true(within(user->frames[1], nap_outer));
#endif
	recorded__free(&r);
}

static void pipe_has_both_stacks(void **state)
{
	const struct ev_syscall *s;
	struct recorded r;
	size_t pos = 0;

	record_it(&r, sleep_by_pipe);
	check_long_sleep(&r, "anon_pipe_read");
	while ((s = recorded__next(&r, &pos, EV_SYSCALL, told(&r)->tid)))
		if (s->cls == FP_SYS_READ && s->fd == told(&r)->fd)
			break;
	assert_non_null(s);
	assert_int_equal(s->ret, 1);
	assert_int_equal(s->nr, SYS_read);
	recorded__free(&r);
}

static void futex_has_address_and_waker(void **state)
{
	const struct ev_futex *f, *wait = NULL;
	struct recorded r;
	size_t pos = 0;

	record_it(&r, sleep_by_futex);
	check_long_sleep(&r, "futex_wait");
	while ((f = recorded__next(&r, &pos, EV_FUTEX, told(&r)->tid)))
		if (f->uaddr == told(&r)->address && f->op == FUTEX_WAIT_PRIVATE)
			wait = f;
	assert_non_null(wait);
	assert_true(was_woken_by(&r, told(&r)->tid, told(&r)->other_tid));
	assert_false(was_woken_by(&r, told(&r)->other_tid, getpid()));
	recorded__free(&r);
}

static void files_have_path_and_inode(void **state)
{
	const char path[] = SOME_FILE, path2[] = SOME_FILE ".renamed";
	const struct ev_syscall_args *a;
	const struct ev_open *e, *found = NULL, *failed = NULL;
	const struct ev_path *renamed;
	struct recorded r;
	size_t pos = 0;

	record_it(&r, use_files);
	while ((e = recorded__next(&r, &pos, EV_OPEN, told(&r)->tid))) {
		if (!strcmp(e->path, path))
			found = e;
		if (!strcmp(e->path, "/no/such/file"))
			failed = e;
	}
	assert_non_null(found);
	assert_int_equal(found->fd, told(&r)->fd);
	assert_int_equal(found->ino, told(&r)->ino);
	assert_int_equal(found->dev, told(&r)->dev);
	assert_int_equal(found->oflags & (O_ACCMODE | O_CREAT | O_TRUNC),
			 O_RDWR | O_CREAT | O_TRUNC);
	assert_int_equal(found->dirfd, AT_FDCWD);
	assert_non_null(failed);
	assert_int_equal(failed->fd, -ENOENT);
	assert_int_equal(failed->ino, 0);

	pos = 0;
	a = recorded__next(&r, &pos, EV_SYSCALL_ARGS, told(&r)->tid);
	assert_non_null(a);
	assert_int_equal(a->sys.cls, FP_SYS_FTRUNCATE);
	assert_int_equal(a->sys.fd, told(&r)->fd);
	assert_int_equal(a->args[0], 123456);

	pos = 0;
	renamed = recorded__next(&r, &pos, EV_PATH, told(&r)->tid);
	assert_non_null(renamed);
	assert_int_equal(renamed->ret, 0);
	assert_string_equal(renamed->paths, path);
	assert_string_equal(renamed->paths + renamed->old_len, path2);
	assert_int_equal(renamed->new_len, sizeof(path2));
	recorded__free(&r);
}

/* The text of the n-th request, or NULL */
static const char *api_text(const struct recorded *r, size_t n)
{
	const struct ev_api *e = NULL;
	size_t pos = 0;

	for (size_t i = 0; i <= n; i++)
		e = recorded__next(r, &pos, EV_API, told(r)->tid);
	if (!e)
		return NULL;
	assert_int_equal(e->fd, told(r)->fd);
	assert_true(e->len <= FP_MAX_API && sizeof(*e) + e->len <= e->h.size);
	return e->data;
}

static bool begins(const char *s, const char *with)
{
	return s && !strncmp(s, with, strlen(with));
}

static void api_requests_are_seen(void **state)
{
	struct recorded r;

	record_it(&r, serve_api);
	assert_true(begins(api_text(&r, 0), "PATCH /vm HTTP/1.1"));
	assert_non_null(strstr(api_text(&r, 0), "Paused"));
	assert_true(begins(api_text(&r, 1), "PATCH /vm HTTP/1.1"));
	assert_true(begins(api_text(&r, 2), "{\"state\": \"Resumed\"}"));
	assert_true(begins(api_text(&r, 3), "{\"execute\": \"stop\"}"));
	/* neither another request nor what came through a pipe */
	assert_null(api_text(&r, 4));
	recorded__free(&r);
}

static void lost_records_are_told_in_band(void **state)
{
	struct recorded_opts o = { .capture = usual_capture(),
				   .run = many_calls,
				   .drain_late = true };
	uint64_t told_lost = 0, calls = 0;
	const struct ev_syscall *s;
	const struct ev_lost *l;
	struct recorded r;
	size_t pos = 0;

	o.capture.ring_bytes = 64 << 10;
	assert_int_equal(record_run(&r, &o), 0);
	while ((l = recorded__next(&r, &pos, EV_LOST, 0))) {
		assert_true(l->from_ns <= l->h.ts_ns);
		told_lost += l->records;
	}
	pos = 0;
	while ((s = recorded__next(&r, &pos, EV_SYSCALL, told(&r)->tid)))
		calls += s->cls == FP_SYS_CLOSE;
	assert_true(r.lost > 0);
	assert_int_equal(told_lost, r.lost);
	/* every call is either there or counted; a few other records may be lost as well */
	assert_true(calls < MANY_CALLS);
	assert_in_range(r.lost, MANY_CALLS - calls, MANY_CALLS - calls + 2000);
	recorded__free(&r);
}

static void sleeper_throughout_is_seen(void **state)
{
	struct recorded_opts o = { .capture = usual_capture(),
				   .run = sleep_in_futex_forever,
				   .start_first = true,
				   .stop_after_ms = 100 };
	const struct ev_task_state *t;
	struct recorded r;
	size_t pos = 0;

	assert_int_equal(record_run(&r, &o), 0);
	t = recorded__next(&r, &pos, EV_TASK, told(&r)->tid);
	assert_non_null(t);
	assert_int_equal(t->tgid, r.pid);
	assert_int_equal(t->flags, FP_TASK_TARGET);
	assert_int_not_equal(t->state, 0);
	assert_int_not_equal(stack_has(recorded__stack(&r, t->kstack_id), "futex_wait"), 0);
	assert_int_equal(recorded__count(&r, EV_SWITCH, told(&r)->tid), 0);
	recorded__free(&r);
}

static void open_calls_are_told_at_the_end(void **state)
{
	struct recorded_opts o = { .capture = usual_capture(),
				   .run = sleep_in_pipe_forever,
				   .stop_after_ms = 200 };
	const struct ev_syscall *s, *open = NULL;
	const struct ev_futex *f, *waiting = NULL;
	struct recorded r;
	size_t pos = 0;

	assert_int_equal(record_run(&r, &o), 0);
	while ((s = recorded__next(&r, &pos, EV_SYSCALL, told(&r)->tid)))
		if (s->flags & EV_FLAG_OPEN)
			open = s;
	assert_non_null(open);
	assert_int_equal(open->cls, FP_SYS_READ);
	assert_int_equal(open->fd, told(&r)->fd);
	assert_int_equal(open->h.ts_ns, r.end_ns);
	assert_true(open->enter_ns < r.end_ns);
	recorded__free(&r);

	o.run = sleep_in_futex_forever;
	assert_int_equal(record_run(&r, &o), 0);
	pos = 0;
	while ((f = recorded__next(&r, &pos, EV_FUTEX, told(&r)->tid)))
		if (f->ret == FP_FUTEX_OPEN)
			waiting = f;
	assert_non_null(waiting);
	assert_int_equal(waiting->uaddr, told(&r)->address);
	recorded__free(&r);
}

static void threads_born_and_dead_inside(void **state)
{
	const struct ev_task *e;
	struct recorded r;
	size_t pos = 0;

	record_it(&r, make_threads);
	e = recorded__next(&r, &pos, EV_FORK, told(&r)->tid);
	assert_non_null(e);
	assert_int_equal(e->tid, told(&r)->other_tid);
	assert_int_equal(e->tgid, r.pid);
	assert_int_equal(recorded__count(&r, EV_EXIT, told(&r)->other_tid), 1);
	assert_true(recorded__count(&r, EV_SWITCH, told(&r)->other_tid) >= 2);
	/* the process itself ended too, and recording went on to a clean end */
	assert_int_equal(recorded__count(&r, EV_EXIT, r.pid), 1);
	recorded__free(&r);
}

/* A ring that has gone round is full of old records: none of it may go out behind a short name. */
static void names_carry_nothing_else(void **state)
{
	struct recorded_opts o = { .capture = usual_capture(), .run = make_threads_late };
	static const char zeros[FP_COMM_LEN];
	struct recorded r;
	size_t names = 0;

	o.capture.ring_bytes = 8192;
	assert_int_equal(record_run(&r, &o), 0);
	for (size_t i = 0; i < r.events_cnt; i++) {
		const struct ev_task *e = (const void *)r.events[i];
		const struct ev_task_state *t = (const void *)e;
		const char *comm = e->h.kind == EV_TASK ? t->comm : e->comm;
		size_t len;

		if (e->h.kind != EV_TASK && e->h.kind != EV_EXIT && e->h.kind != EV_FORK)
			continue;
		names++;
		len = strnlen(comm, FP_COMM_LEN);
		assert_true(len < FP_COMM_LEN);
		assert_memory_equal(comm + len, zeros, FP_COMM_LEN - len);
	}
	assert_true(names > 0);
	recorded__free(&r);
}

static void children_are_no_targets_unless_asked(void **state)
{
	struct recorded r;

	record_it(&r, make_child);
	assert_int_equal(recorded__count(&r, EV_FORK, told(&r)->tid), 0);
	assert_int_equal(recorded__count(&r, EV_SYSCALL, told(&r)->other_tid), 0);
	recorded__free(&r);
}

static void names_given_later_are_told(void **state)
{
	const struct ev_task *e, *last = NULL;
	struct recorded r;
	size_t pos = 0;

	record_it(&r, rename_thread);
	while ((e = recorded__next(&r, &pos, EV_EXEC, told(&r)->tid)))
		last = e;
	assert_non_null(last);
	assert_string_equal(last->comm, "fc_vcpu 7");
	recorded__free(&r);
}

static void min_sleep_zero_takes_every_stack(void **state)
{
	struct recorded_opts o = { .capture = usual_capture(), .run = sleep_by_pipe };
	const struct ev_switch *s;
	struct recorded r;
	size_t pos = 0, sleeps = 0;

	o.capture.min_sleep_ns = 0;
	o.capture.syscalls = false;
	assert_int_equal(record_run(&r, &o), 0);
	while ((s = recorded__next(&r, &pos, EV_SWITCH, told(&r)->tid))) {
		const struct ev_stack *k;

		/* A dying thread's switch is no sleep that anybody asks about. */
		if (!(s->prev_state & 3) || (s->flags & EV_SWITCH_PREEMPT))
			continue;
		assert_int_not_equal(s->kstack_id, 0);
		if (s->flags & EV_SWITCH_STACK_NEXT)
			continue;
		k = recorded__stack(&r, s->kstack_id);
		assert_non_null(k);
		/* our own frames are not in it */
		assert_int_equal(stack_has(k, "bpf_trace_run") > 0, 0);
		assert_int_equal(stack_has(k, "bpf_prog_") > 0, 0);
		assert_int_not_equal(stack_has(k, "__schedule"), 0);
		assert_non_null(user_stack_of(&r, told(&r)->tid, s->h.ts_ns));
		sleeps++;
	}
	assert_true(sleeps >= 1);
	recorded__free(&r);
}

static void samples_hit_what_runs(void **state)
{
	struct recorded_opts o = { .capture = usual_capture(), .run = burn };
	const struct ev_sample *s;
	struct recorded r;
	size_t pos = 0, with_user = 0;

	o.capture.sample_hz = 99;
	assert_int_equal(record_run(&r, &o), 0);
	while ((s = recorded__next(&r, &pos, EV_SAMPLE, told(&r)->tid)))
		with_user += recorded__stack(&r, s->ustack_id) != NULL;
	assert_true(with_user >= 1);
	assert_int_equal(recorded__count(&r, EV_SAMPLE, getpid()), 0);
	recorded__free(&r);
}

static void faults_are_the_targets_own(void **state)
{
	const struct ev_point *p;
	struct recorded r;
	size_t pos = 0, touched = 0;

	record_it(&r, touch_memory);
	while ((p = recorded__next(&r, &pos, EV_POINT, told(&r)->tid))) {
		if (p->op == FP_POINT_FAULT_USER && p->id >= told(&r)->address &&
		    p->id < told(&r)->address + 64 * 4096)
			touched++;
		/* the walk of a user stack ends at address 0: that fault is not the target's */
		assert_false(p->op == FP_POINT_FAULT_KERNEL && p->id < 4096);
	}
	if (!touched) {
		print_message("no fault tracepoint on this machine\n");
		skip();
	}
	recorded__free(&r);
}

static bool wrote_to(const struct recorded *r, uint32_t dev)
{
	for (size_t i = 0; i < r->devices_cnt; i++)
		if (r->devices[i] == dev)
			return true;
	return false;
}

static void devices_are_those_of_output(void **state)
{
	struct recorded r;

	if (!getenv("FLATPAUSE_EXT4"))
		skip();
	record_it(&r, sync_file);
	assert_true(wrote_to(&r, told(&r)->dev));
	recorded__free(&r);
	record_it(&r, open_no_output);
	assert_int_equal(recorded__count(&r, EV_OPEN, told(&r)->tid), 2);
	assert_false(wrote_to(&r, told(&r)->dev));
	recorded__free(&r);
}

/* A process that went between a look at /proc and the call is nothing to tell of. */
static void wrong_targets_are_refused(void **state)
{
	int stderr_fd = dup(STDERR_FILENO), said = memfd_create("stderr", 0);
	struct capture_opts o = usual_capture();
	struct capture *c = NULL;

	assert_int_equal(capture__open(&c, &o), 0);
	assert_int_equal(dup2(said, STDERR_FILENO), STDERR_FILENO);
	assert_int_equal(capture__add_target(c, 4194303), -ESRCH);
	assert_int_equal(capture__add_target(c, 0), -ESRCH);
	assert_int_equal(capture__add_target(c, -5), -ESRCH);
	assert_int_equal(dup2(stderr_fd, STDERR_FILENO), STDERR_FILENO);
	assert_int_equal(lseek(said, 0, SEEK_END), 0);
	close(said);
	close(stderr_fd);
	assert_int_equal(capture__add_target(c, getpid()), -EINVAL);
	capture__close(c);
	capture__close(NULL);
}

static void wrong_options_are_refused(void **state)
{
	struct capture_opts o = usual_capture();
	struct capture *c = NULL;

	o.ring_bytes = 100000;
	assert_int_equal(capture__open(&c, &o), -EINVAL);
	assert_null(c);
	o.ring_bytes = 16;
	assert_int_equal(capture__open(&c, &o), -EINVAL);
	o = usual_capture();
	o.sample_hz = 1000000;
	assert_int_equal(capture__open(&c, &o), -EINVAL);
}

static void without_privilege_it_is_said(void **state)
{
	struct capture_opts o = usual_capture();
	struct capture *c = NULL;
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
			_exit(2);
		_exit(capture__open(&c, &o) == -ENOTSUP && !c ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* Whatever this kernel refuses, each probe stands on some rung and says what that loses. */
static void every_probe_has_a_rung(void **state)
{
	struct capture_opts o = usual_capture();
	const struct capture_hook *h;
	struct capture *c = NULL;
	size_t cnt = 0;

	o.upper_rungs = true;
	o.sample_hz = 99;
	assert_int_equal(capture__open(&c, &o), 0);
	h = capture__hooks(c, &cnt);
	assert_true(cnt >= 5);
	for (size_t i = 0; i < cnt; i++) {
		assert_string_not_equal(h[i].rung, "none");
		assert_non_null(h[i].hook);
		assert_true(!strcmp(h[i].rung, "best") || h[i].lost[0]);
	}
	capture__close(c);
	assert_int_equal(capture__probe(&c, &o), 0);
	assert_ptr_equal(capture__hooks(c, &cnt) != NULL, true);
	capture__close(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nanosleep_has_both_stacks),
		cmocka_unit_test(pipe_has_both_stacks),
		cmocka_unit_test(futex_has_address_and_waker),
		cmocka_unit_test(files_have_path_and_inode),
		cmocka_unit_test(api_requests_are_seen),
		cmocka_unit_test(lost_records_are_told_in_band),
		cmocka_unit_test(sleeper_throughout_is_seen),
		cmocka_unit_test(open_calls_are_told_at_the_end),
		cmocka_unit_test(threads_born_and_dead_inside),
		cmocka_unit_test(names_carry_nothing_else),
		cmocka_unit_test(children_are_no_targets_unless_asked),
		cmocka_unit_test(names_given_later_are_told),
		cmocka_unit_test(min_sleep_zero_takes_every_stack),
		cmocka_unit_test(samples_hit_what_runs),
		cmocka_unit_test(faults_are_the_targets_own),
		cmocka_unit_test(devices_are_those_of_output),
		cmocka_unit_test(wrong_targets_are_refused),
		cmocka_unit_test(wrong_options_are_refused),
		cmocka_unit_test(without_privilege_it_is_said),
		cmocka_unit_test(every_probe_has_a_rung),
	};

	log_init("live_capture", LOG_NORMAL);
	return cmocka_run_group_tests_name("capture", tests, NULL, NULL);
}
