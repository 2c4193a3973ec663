// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Random programs, written down as a kernel would: whatever is in a trace, the partition of every
 * thread closes and every ledger sums to its window to the nanosecond. Where the stream is whole,
 * the states are those of the program. Seeds are fixed and printed.
 */
#include "stories.h"

#include <errno.h>
#include <stdlib.h>

#define THREADS	 6
#define CPUS	 3
#define FIRST	 200u
#define PROGRAMS 300

struct rng {
	uint64_t s;
};

static uint64_t rnd(struct rng *r, uint64_t below)
{
	r->s ^= r->s << 13;
	r->s ^= r->s >> 7;
	r->s ^= r->s << 17;
	return r->s % below;
}

enum state { ASLEEP, READY, RUNS };

struct sim {
	struct trace_builder *b;
	struct rng rng;
	enum state state[THREADS];
	int cpu[THREADS]; /* where it runs */
	int on_cpu[CPUS]; /* -1 = idle */
	uint64_t since[THREADS];
	uint64_t sum[THREADS][3]; /* of the window, by state */
	uint64_t enter[THREADS];  /* 0 = in user mode */
	uint64_t begin, end;
	bool damaged; /* records are dropped at random */
};

static void account(struct sim *s, int t, uint64_t now)
{
	uint64_t lo = s->since[t] > s->begin ? s->since[t] : s->begin;
	uint64_t hi = now < s->end ? now : s->end;

	if (hi > lo)
		s->sum[t][s->state[t]] += hi - lo;
	s->since[t] = now;
}

static void change(struct sim *s, int t, enum state to, uint64_t now)
{
	account(s, t, now);
	s->state[t] = to;
}

static bool dropped(struct sim *s)
{
	return s->damaged && rnd(&s->rng, 20) == 0;
}

static void emit_switch(struct sim *s, int cpu, int prev, int next, uint16_t state, uint16_t flags,
			uint64_t stack)
{
	tb_cpu(s->b, cpu);
	if (!dropped(s))
		tb_switch(s->b, prev < 0 ? 0 : FIRST + prev, state, next < 0 ? 0 : FIRST + next,
			  flags, stack, 0);
}

static void put_on(struct sim *s, int cpu, int t, uint64_t now)
{
	static const char *const stacks[] = { WBT_SLEEP, FUTEX_SLEEP, DIRTY_SLEEP, NULL,
					      "schedule;some_unknown_function" };
	uint64_t id = tb_kstack(s->b, stacks[rnd(&s->rng, 5)]);

	change(s, t, RUNS, now);
	s->cpu[t] = cpu;
	s->on_cpu[cpu] = t;
	emit_switch(s, cpu, -1, t, 0, EV_SWITCH_STACK_NEXT, id);
}

static void step(struct sim *s, int t, uint64_t now)
{
	int cpu = rnd(&s->rng, CPUS), waker = rnd(&s->rng, THREADS);

	switch (s->state[t]) {
	case ASLEEP:
		change(s, t, READY, now);
		tb_cpu(s->b, cpu);
		if (s->state[waker] == RUNS) {
			tb_cpu(s->b, s->cpu[waker]);
			tb_wake(s->b, FIRST + waker, FIRST + t);
		} else {
			tb_wake_ctx(s->b, 0, FIRST + t, EV_CTX_HARDIRQ, 0, 0);
		}
		break;
	case READY:
		if (s->on_cpu[cpu] < 0)
			put_on(s, cpu, t, now);
		break;
	case RUNS:
		cpu = s->cpu[t];
		if (rnd(&s->rng, 3) == 0 && !s->enter[t]) {
			s->enter[t] = now;
			break;
		}
		if (rnd(&s->rng, 3) == 0 && s->enter[t] && s->enter[t] < now) {
			tb_cpu(s->b, cpu);
			tb_syscall(s->b, FIRST + t, 1 + rnd(&s->rng, FP_SYS_END - 1), s->enter[t],
				   3, 0);
			s->enter[t] = 0;
			break;
		}
		s->on_cpu[cpu] = -1;
		if (rnd(&s->rng, 4) == 0) {
			change(s, t, READY, now);
			emit_switch(s, cpu, t, -1, 0, EV_SWITCH_PREEMPT, 0);
		} else {
			change(s, t, ASLEEP, now);
			emit_switch(s, cpu, t, -1, 1 + rnd(&s->rng, 2), 0, 0);
		}
		break;
	}
}

static void start(struct sim *s, uint64_t seed, bool damaged)
{
	memset(s, 0, sizeof(*s));
	s->b = tb__open(NULL, CPUS);
	s->rng.s = seed * 0x9e3779b97f4a7c15ull + 1;
	s->damaged = damaged;
	s->begin = 20 * TB_MS + rnd(&s->rng, 30 * TB_MS);
	s->end = s->begin + 1 + rnd(&s->rng, 100 * TB_MS);
	for (int i = 0; i < CPUS; i++)
		s->on_cpu[i] = -1;
	tb_at(s->b, 0);
	for (int t = 0; t < THREADS; t++)
		tb_sleeper(s->b, FIRST + t, FIRST, "random", FP_TASK_TARGET, TB_INTERRUPTIBLE,
			   t % 2 ? FUTEX_SLEEP : NULL);
}

static void run(struct sim *s)
{
	bool opened = false, closed = false;

	for (uint64_t now = 1 + rnd(&s->rng, TB_MS); now < 200 * TB_MS;
	     now += 1 + rnd(&s->rng, 400 * TB_US)) {
		tb_at(s->b, now);
		if (!opened && now >= s->begin) {
			s->begin = now;
			tb_mark(s->b, REC_MARK_BEGIN, "");
			opened = true;
		}
		if (opened && !closed && now >= s->end && now > s->begin) {
			s->end = now;
			tb_mark(s->b, REC_MARK_END, "");
			closed = true;
		}
		step(s, rnd(&s->rng, THREADS), now);
		if (s->damaged && rnd(&s->rng, 60) == 0) {
			uint64_t back = rnd(&s->rng, 3 * TB_MS);

			tb_lost(s->b, now > back ? now - back : 0, 1 + rnd(&s->rng, 9));
		}
	}
	for (int t = 0; t < THREADS; t++)
		account(s, t, 200 * TB_MS);
}

/* The true sums need the window's true edges, and those are known only after it ran. */
static void one_program(uint64_t seed, bool damaged)
{
	struct analyze_opts opts = { .window = "mark", .max_loss_percent = 100 };
	struct findings *f = NULL;
	struct sim probe, s;

	start(&probe, seed, damaged);
	run(&probe);
	tb__free(probe.b);
	start(&s, seed, damaged);
	s.begin = probe.begin;
	s.end = probe.end;
	run(&s);
	assert_int_equal(tb__finish(s.b), 0);
	assert_int_equal(analyze__trace(tb__path(s.b), &opts, &f), 0);
	if (!sums_hold(f))
		fail_msg("seed %llu", (unsigned long long)seed);
	for (int t = 0; !damaged && t < THREADS; t++) {
		const struct finding_thread *th = thread_of(&f->windows[0], FIRST + t);
		uint64_t runs = th->running_user_ns + th->running_kernel_ns;

		if (runs != s.sum[t][RUNS] || th->runnable_ns != s.sum[t][READY])
			fail_msg("seed %llu thread %u: ran %llu of %llu, ready %llu of %llu",
				 (unsigned long long)seed, FIRST + t, (unsigned long long)runs,
				 (unsigned long long)s.sum[t][RUNS],
				 (unsigned long long)th->runnable_ns,
				 (unsigned long long)s.sum[t][READY]);
	}
	findings__free(f);
	tb__free(s.b);
}

static void whole_streams(void **state)
{
	print_message("# seeds 1..%d\n", PROGRAMS);
	for (uint64_t seed = 1; seed <= PROGRAMS; seed++)
		one_program(seed, false);
}

static void damaged_streams(void **state)
{
	print_message("# seeds 1001..%d\n", 1000 + PROGRAMS);
	for (uint64_t seed = 1001; seed <= 1000 + PROGRAMS; seed++)
		one_program(seed, true);
}

static const uint16_t sizes[EV_KIND_END] = {
	[EV_SWITCH] = sizeof(struct ev_switch),
	[EV_WAKE] = sizeof(struct ev_wake),
	[EV_FORK] = sizeof(struct ev_task),
	[EV_EXIT] = sizeof(struct ev_task),
	[EV_EXEC] = sizeof(struct ev_task),
	[EV_SLEEP_USTACK] = sizeof(struct ev_sleep_ustack),
	[EV_SAMPLE] = sizeof(struct ev_sample),
	[EV_SYSCALL] = sizeof(struct ev_syscall),
	[EV_SYSCALL_ARGS] = sizeof(struct ev_syscall_args),
	[EV_OPEN] = sizeof(struct ev_open) + 16,
	[EV_FUTEX] = sizeof(struct ev_futex),
	[EV_API] = sizeof(struct ev_api) + 64,
	[EV_SPAN] = sizeof(struct ev_span),
	[EV_POINT] = sizeof(struct ev_point),
	[EV_BIO] = sizeof(struct ev_bio),
	[EV_RQ] = sizeof(struct ev_rq),
	[EV_DIRTY] = sizeof(struct ev_dirty),
	[EV_TASK] = sizeof(struct ev_task_state),
	[EV_LOST] = sizeof(struct ev_lost),
	[EV_WORK] = sizeof(struct ev_work),
	[EV_EXTENTS] = sizeof(struct ev_extents),
};

/* Small numbers meet each other; large ones overflow what does not expect them. */
static uint64_t nasty(struct rng *r, uint64_t now)
{
	switch (rnd(r, 6)) {
	case 0:
		return rnd(r, 8);
	case 1:
		return FIRST + rnd(r, THREADS);
	case 2:
		return now - rnd(r, 50 * TB_MS);
	case 3:
		return now + rnd(r, 50 * TB_MS);
	case 4:
		return UINT64_MAX - rnd(r, 3);
	default:
		return r->s;
	}
}

static void emit_garbage(struct trace_builder *b, struct rng *r)
{
	union {
		struct ev_hdr h;
		struct ev_extents extents; /* the largest */
		uint64_t words[sizeof(struct ev_extents) / 8];
	} e;
	uint8_t kind = 1 + rnd(r, EV_KIND_END - 1);

	if (!sizes[kind])
		return;
	for (size_t i = 0; i < sizeof(e) / 8; i++) {
		uint64_t lo = nasty(r, tb_abs(b, tb_now(b))), hi = nasty(r, 0);

		e.words[i] = rnd(r, 2) ? lo : (lo & 0xffffffff) | hi << 32;
	}
	if (kind == EV_OPEN)
		memset((char *)&e + sizeof(struct ev_open), 0, 16);
	if (kind == EV_EXTENTS) { /* else the reader drops nearly all of them */
		e.extents.comm[FP_COMM_LEN - 1] = '\0';
		e.extents.dir[FP_NAME_LEN - 1] = e.extents.name[FP_NAME_LEN - 1] = '\0';
		e.extents.block_bits %= 32;
		e.extents.act = (uint16_t)rnd(r, 4);
	}
	e.h.kind = kind;
	e.h.size = sizes[kind];
	e.h.tid = FIRST + rnd(r, THREADS + 1);
	e.h.ctx = rnd(r, 6);
	e.h.ts_ns = 0;
	tb_cpu(b, rnd(r, CPUS));
	tb_event(b, &e);
}

/* Fields without any sense: no crash, and the sums hold all the same. */
static void senseless_records(void **state)
{
	const struct analyze_opts opts = { .window = "mark",
					   .flames = true,
					   .max_loss_percent = 100 };

	print_message("# seeds 5001..%d\n", 5000 + PROGRAMS);
	for (uint64_t seed = 5001; seed <= 5000 + PROGRAMS; seed++) {
		struct trace_builder *b = tb__open(NULL, CPUS);
		struct rng r = { .s = seed * 0x9e3779b97f4a7c15ull };
		struct findings *f = NULL;
		int err;

		for (int t = 0; t < THREADS; t++)
			tb_sleeper(b, FIRST + t, FIRST, "random", FP_TASK_TARGET, 1, NULL);
		for (int i = 0; i < 400; i++) {
			tb_pass(b, 1 + rnd(&r, TB_MS));
			if (i == 100)
				tb_mark(b, REC_MARK_BEGIN, "");
			if (i == 300)
				tb_mark(b, REC_MARK_END, "");
			emit_garbage(b, &r);
		}
		assert_int_equal(tb__finish(b), 0);
		err = analyze__trace(tb__path(b), &opts, &f);
		if ((err && err != -EOVERFLOW) || !sums_hold(f))
			fail_msg("seed %llu: %d", (unsigned long long)seed, err);
		findings__free(f);
		tb__free(b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_streams),
		cmocka_unit_test(damaged_streams),
		cmocka_unit_test(senseless_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
