// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* What each of the simpler ways would have concluded, in its own numbers, and what these leave out. */
#include "rounds_say.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

static const char *const call_names[FP_SYS_END] = {
	[FP_SYS_OTHER] = "other",
	[FP_SYS_OPEN] = "open",
	[FP_SYS_CLOSE] = "close",
	[FP_SYS_FTRUNCATE] = "ftruncate",
	[FP_SYS_FALLOCATE] = "fallocate",
	[FP_SYS_READ] = "read",
	[FP_SYS_WRITE] = "write",
	[FP_SYS_FSYNC] = "fsync",
	[FP_SYS_SYNC_FILE_RANGE] = "sync_file_range",
	[FP_SYS_COPY_FILE_RANGE] = "copy_file_range",
	[FP_SYS_SENDFILE] = "sendfile",
	[FP_SYS_SPLICE] = "splice",
	[FP_SYS_RENAME] = "rename",
	[FP_SYS_FUTEX] = "futex",
	[FP_SYS_IOCTL] = "ioctl",
	[FP_SYS_RECV] = "recv",
	[FP_SYS_SEND] = "send",
	[FP_SYS_POLL] = "poll",
	[FP_SYS_SLEEP] = "nanosleep",
	[FP_SYS_FDATASYNC] = "fdatasync",
	[FP_SYS_WAIT] = "wait",
	[FP_SYS_UNLINK] = "unlink",
	[FP_SYS_MSYNC] = "msync",
	[FP_SYS_DUP] = "dup",
};

void story__say(struct story *s, char **field, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	if (!text) {
		s->no_memory = true;
		return;
	}
	free(*field);
	*field = text;
}

double percent_of(double part, double whole)
{
	return whole > 0 ? 100 * part / whole : 0;
}

int story__begin_round(struct story *s, const char *name)
{
	struct finding_round *r = FINDING_APPEND(&s->f->rounds.list, &s->f->rounds.cnt);

	s->round = r;
	if (!r || finding_set(&r->name, name) || finding_set(&r->method, "") ||
	    finding_set(&r->cause, "") || finding_set(&r->conclusion, "") ||
	    finding_set(&r->why, ""))
		return -ENOMEM;
	return 0;
}

struct finding_round_row *story__add_row(struct story *s, const char *name, uint64_t count,
					 uint64_t ns)
{
	struct finding_round_row *row = FINDING_APPEND(&s->round->rows, &s->round->rows_cnt);

	if (!row || finding_set(&row->name, name) || finding_set(&row->note, ""))
		return NULL;
	row->count = count;
	row->ns = ns;
	return row;
}

static bool same_family(const char *a, const char *b)
{
	size_t n = strlen(a) < strlen(b) ? strlen(a) : strlen(b);

	return n && !strncmp(a, b, n) && (a[n] == '.' || b[n] == '.' || a[n] == b[n]);
}

/* A round that names nothing is right only where there is nothing to name. */
static bool agrees(const struct findings *f, const char *cause)
{
	if (!strcmp(f->verdict.cause, "none"))
		return !cause[0];
	return same_family(cause, f->verdict.cause);
}

int story__conclude(struct story *s, const char *cause)
{
	s->round->agrees = agrees(s->f, cause);
	return finding_set(&s->round->cause, cause);
}

bool story__counts(const struct story *s, const struct finding_window *w)
{
	return s->f->rounds.regime != REGIME_SLOW || w->slow;
}

/* ---- 1: strace -c ---- */

struct call_row {
	int cls;
	const struct round_call *call;
};

static int by_cpu(const void *x, const void *y)
{
	const struct call_row *a = x, *b = y;

	if (a->call->cpu_ns != b->call->cpu_ns)
		return a->call->cpu_ns > b->call->cpu_ns ? -1 : 1;
	return a->cls - b->cls;
}

static int write_calls(struct story *s, struct call_row *rows, size_t *cnt)
{
	char wall[ROUND_NUM];

	*cnt = 0;
	for (int i = 0; i < FP_SYS_END; i++)
		if (s->sum.calls[i].calls)
			rows[(*cnt)++] = (struct call_row){ i, &s->sum.calls[i] };
	if (*cnt)
		qsort(rows, *cnt, sizeof(rows[0]), by_cpu);
	for (size_t i = 0; i < *cnt && i < ROUND_ROWS_MAX; i++) {
		struct finding_round_row *row = story__add_row(
			s, call_names[rows[i].cls], rows[i].call->calls, rows[i].call->cpu_ns);

		if (!row ||
		    finding_setf(&row->note, "wall %s", ns_text(rows[i].call->wall_ns, wall)))
			return -ENOMEM;
	}
	return 0;
}

static int say_calls(struct story *s, const struct call_row *top, uint64_t system_ns)
{
	const struct round_window *r = &s->sum;
	uint64_t rest = r->main_ns > system_ns ? r->main_ns - system_ns : 0;
	bool user = percent_of(rest, r->main_ns) >= ROUND_MOST;
	char a[ROUND_NUM], b[ROUND_NUM], c[ROUND_NUM];
	struct finding_round_row *row = story__add_row(s, "[remainder]", 0, rest);

	if (!row || finding_set(&row->note, "read as user CPU"))
		return -ENOMEM;
	if (user)
		story__say(s, &s->round->conclusion,
			   "only %s of the pause is system CPU of its calls; the other %.1f %% is "
			   "user "
			   "CPU",
			   ns_text(system_ns, a), percent_of(rest, r->main_ns));
	else
		story__say(s, &s->round->conclusion, "system CPU: %.0f %% of the pause in %s",
			   percent_of(top->call->cpu_ns, r->main_ns), call_names[top->cls]);
	if (user)
		story__say(s, &s->round->why,
			   "the thread ran %s in user mode and slept %s of %s: without -w a sleep "
			   "inside "
			   "a "
			   "call counts as nothing%s",
			   ns_text(r->main_user_ns, a), ns_text(r->main_asleep_ns, b),
			   ns_text(r->main_ns, c),
			   r->threads > 1 ? ", and without -f no other thread is seen" : "");
	else
		story__say(s, &s->round->why,
			   "it says in which call, and nothing of what the kernel did there; the "
			   "%s that "
			   "the thread slept are in no row",
			   ns_text(r->main_asleep_ns, b));
	return story__conclude(s, user ? "user.cpu" : "kernel.cpu_other");
}

static int tell_calls(struct story *s)
{
	struct call_row rows[FP_SYS_END];
	uint64_t system_ns = 0;
	size_t cnt;
	int err = story__begin_round(s, "syscall summary");

	if (!err)
		err = finding_setf(&s->round->method,
				   "strace -c on thread %u (%s): system CPU time by call",
				   s->sum.tgid, s->sum.comm);
	if (err)
		return err;
	if (!s->a->syscalls || !s->sum.main_ns) {
		story__say(s, &s->round->conclusion,
			   "no calls of its main thread are "
			   "in this recording");
		return story__conclude(s, "");
	}
	for (int i = 0; i < FP_SYS_END; i++)
		system_ns += s->sum.calls[i].cpu_ns;
	err = write_calls(s, rows, &cnt);
	return err ? err : say_calls(s, rows, system_ns);
}

/* ---- 2: stacks, polled ---- */

static int by_hits(const void *x, const void *y)
{
	const struct round_poll *a = x, *b = y;

	if (a->hits != b->hits)
		return a->hits > b->hits ? -1 : 1;
	return strcmp(a->frame, b->frame);
}

/* What everybody skips: threads that wait for work. */
static bool looks_idle(const struct round_poll *p)
{
	return !strncmp(p->cause, "ipc.", 4) || !strncmp(p->cause, "kvm.", 4) ||
	       !strncmp(p->cause, "timer.", 6);
}

static int write_polls(struct story *s, uint64_t all, uint64_t empty)
{
	const struct round_window *r = &s->sum;
	struct finding_round_row *row;

	for (size_t i = 0; i < vec__cnt(&r->polls) && i < ROUND_ROWS_MAX; i++) {
		const struct round_poll *p = VEC_AT(&r->polls, struct round_poll, i);

		row = story__add_row(s, p->frame, p->hits, 0);
		if (!row || finding_setf(&row->note, "%.1f %% of the stacks, %s",
					 percent_of(p->hits, all), p->cause))
			return -ENOMEM;
	}
	row = story__add_row(s, "[empty]", empty, 0);
	if (!row || !empty)
		return row ? 0 : -ENOMEM;
	return finding_setf(&row->note,
			    "in truth %llu in user mode, %llu in the kernel, %llu waiting for a "
			    "CPU, %llu unknown",
			    (unsigned long long)r->empty[EMPTY_USER],
			    (unsigned long long)r->empty[EMPTY_KERNEL],
			    (unsigned long long)r->empty[EMPTY_RUNNABLE],
			    (unsigned long long)r->empty[EMPTY_UNKNOWN]);
}

static const struct round_poll *busiest_poll(const struct round_window *r)
{
	for (size_t i = 0; i < vec__cnt(&r->polls); i++) {
		const struct round_poll *p = VEC_AT(&r->polls, struct round_poll, i);

		if (!looks_idle(p))
			return p;
	}
	return NULL;
}

static int say_empty_stacks(struct story *s, uint64_t all, uint64_t empty)
{
	story__say(s, &s->round->conclusion, "%.0f %% of the stacks are empty: user mode",
		   percent_of(empty, all));
	story__say(s, &s->round->why,
		   "an empty stack is any thread that is not asleep: of %llu, %llu ran in user "
		   "mode",
		   (unsigned long long)empty, (unsigned long long)s->sum.empty[EMPTY_USER]);
	return story__conclude(s, "user.cpu");
}

static int say_polls(struct story *s, uint64_t all)
{
	const struct round_window *r = &s->sum;
	const struct round_poll *p = busiest_poll(r);
	double off = 100 - percent_of(r->running_ns, s->f->rounds.window_ns);
	bool futex = p && !strncmp(p->cause, "futex.", 6);

	off = off < 0 ? 0 : off;
	if (!p) {
		story__say(s, &s->round->conclusion, "off CPU %.0f %% of the pause, all idle", off);
		story__say(s, &s->round->why, "no poll fell on what held the pause");
		return story__conclude(s, "");
	}
	story__say(s, &s->round->conclusion,
		   "off CPU %.0f %% of the pause; of the threads that are not idle most are in "
		   "%s%s",
		   off, p->frame, futex ? ": lock contention" : "");
	if (p->passive * 2 > p->hits)
		story__say(s, &s->round->why,
			   "%llu of the %llu stacks in %s are of threads that the path released: "
			   "they wait because the pause is long",
			   (unsigned long long)p->passive, (unsigned long long)p->hits, p->frame);
	else
		story__say(s, &s->round->why,
			   "%llu polls see %llu moments of the pause, %.0f %% of all stacks in %s; "
			   "who waits for whom is in none of them",
			   (unsigned long long)r->ticks, (unsigned long long)r->ticks,
			   percent_of(p->hits, all), p->frame);
	return story__conclude(s, futex ? "futex.contended" : p->cause);
}

static int tell_polls(struct story *s)
{
	struct round_window *r = &s->sum;
	uint64_t all = 0, empty = 0;
	int err = story__begin_round(s, "stack poll");

	if (!err)
		err = finding_setf(&s->round->method,
				   "/proc/%u/task/*/stack every %llu ms: %llu polls of up to %u "
				   "thread%s",
				   r->tgid, POLL_NS / 1000000, (unsigned long long)r->ticks,
				   r->threads, r->threads == 1 ? "" : "s");
	if (err)
		return err;
	if (vec__cnt(&r->polls))
		qsort(VEC_AT(&r->polls, struct round_poll, 0), vec__cnt(&r->polls),
		      sizeof(struct round_poll), by_hits);
	for (size_t i = 0; i < vec__cnt(&r->polls); i++)
		all += VEC_AT(&r->polls, struct round_poll, i)->hits;
	for (int i = 0; i < EMPTIES; i++)
		empty += r->empty[i];
	all += empty;
	if (!all) {
		story__say(s, &s->round->conclusion, "no poll fell into a pause");
		return story__conclude(s, "");
	}
	err = write_polls(s, all, empty);
	if (err)
		return err;
	return percent_of(empty, all) >= ROUND_MOST ? say_empty_stacks(s, all, empty)
						    : say_polls(s, all);
}

/* ---- all ---- */

static int sum_windows(struct story *s)
{
	struct finding_rounds *out = &s->f->rounds;

	for (size_t w = 0; w < s->f->windows_cnt; w++)
		if (s->f->windows[w].slow)
			out->regime = REGIME_SLOW;
	for (size_t w = 0; w < s->f->windows_cnt; w++) {
		if (!story__counts(s, &s->f->windows[w]))
			continue;
		out->windows++;
		out->window_ns += s->f->windows[w].duration_ns;
		if (round_window__merge(&s->sum, VEC_AT(&s->a->rounds, struct round_window, w)))
			return -ENOMEM;
	}
	out->tgid = s->sum.tgid;
	return finding_set(&out->comm, s->sum.comm);
}

int rounds__conclude(struct analysis *a)
{
	static int (*const rounds[])(struct story * s) = { tell_calls, tell_polls, tell_futexes,
							   tell_samples, tell_ledger };
	struct story s = { .a = a, .f = a->f };
	int err = sum_windows(&s);

	for (size_t i = 0; !err && i < sizeof(rounds) / sizeof(rounds[0]); i++)
		err = rounds[i](&s);
	round_window__free_inside(&s.sum);
	return s.no_memory ? -ENOMEM : err;
}
