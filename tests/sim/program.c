// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Random programs. Operations are dealt out in one order to all threads; a hand-off is posted
 * before it is waited for in that order, and no lock is held across an operation: so each program
 * comes to its end, however it is scheduled.
 */
#include "sim.h"

#include <string.h>

#define MIN_NS 2000

struct rng {
	uint64_t s;
};

static uint64_t next(struct rng *r)
{
	uint64_t z = (r->s += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static uint32_t below(struct rng *r, uint32_t limit)
{
	return next(r) % limit;
}

static bool one_in(struct rng *r, uint32_t n)
{
	return below(r, n) == 0;
}

/* Of any order of magnitude between some microseconds and some milliseconds, never round. */
static uint32_t duration(struct rng *r)
{
	uint32_t limit = 1u << (12 + below(r, 11));

	return MIN_NS + below(r, limit) + below(r, 997);
}

/* ---- what a machine and a program are made of ---- */

static void make_machine(struct program *p, struct rng *r)
{
	static const uint32_t quanta[] = { 0, 0, 50000, 300000 };

	p->cpus = 1 + below(r, SIM_CPUS);
	p->devs = 1 + below(r, SIM_DEVS);
	p->workers = 1 + below(r, SIM_WORKERS);
	p->quantum_ns = quanta[below(r, 4)];
	if (p->quantum_ns)
		p->quantum_ns += below(r, 997);
	p->ipi_ns = 101 + below(r, 3000);
	p->irq_ns = 103 + below(r, 4000);
	for (uint32_t i = 0; i < SIM_DEVS; i++) {
		p->depth[i] = 1 + below(r, 3);
		p->tags[i] = p->depth[i] + below(r, 3);
		p->irq_cpu[i] = below(r, p->cpus);
	}
}

/* Which kinds a program may have: some have few, so that each is also seen without the others. */
static uint32_t choose_kinds(struct rng *r)
{
	static const uint32_t groups[] = {
		1u << OP_RUN | 1u << OP_CALL,
		1u << OP_SLEEP,
		1u << OP_POST | 1u << OP_WAIT,
		1u << OP_LOCK | 1u << OP_INODE,
		1u << OP_IO,
		1u << OP_SUBMIT | 1u << OP_SYNC,
		1u << OP_WORK,
		1u << OP_END_IO | 1u << OP_WRITEOUT,
		1u << OP_COMMIT,
	};
	uint32_t kinds = 1u << OP_RUN;

	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		if (one_in(r, 2))
			kinds |= groups[i];
	return kinds;
}

struct maker {
	struct program *p;
	struct rng rng;
	uint32_t kinds;
	uint32_t sems;
};

static bool add(struct program *p, uint32_t thread, struct op op)
{
	struct program_thread *t = &p->threads[thread];

	if (t->ops_cnt == SIM_OPS)
		return false;
	t->ops[t->ops_cnt++] = op;
	return true;
}

static uint32_t room(const struct program *p, uint32_t thread)
{
	return SIM_OPS - p->threads[thread].ops_cnt;
}

static void hand_off(struct maker *m, uint32_t from, uint32_t to)
{
	uint8_t sem = m->sems;

	if (from == to || sem == SIM_SEMS || room(m->p, from) < 3 || room(m->p, to) < 3)
		return;
	m->sems++;
	add(m->p, from, (struct op){ .kind = OP_POST, .object = sem });
	add(m->p, to, (struct op){ .kind = OP_WAIT, .object = sem });
}

/* One thread asks, another works, the first waits for the answer. */
static void request(struct maker *m, uint32_t from, uint32_t to)
{
	hand_off(m, from, to);
	if (room(m->p, to) > 4)
		add(m->p, to, (struct op){ .kind = OP_RUN, .ns = duration(&m->rng) });
	hand_off(m, to, from);
}

static uint8_t object_for(struct maker *m, uint8_t kind)
{
	if (kind == OP_LOCK || kind == OP_INODE)
		return below(&m->rng, SIM_MUTEXES);
	return below(&m->rng, m->p->devs);
}

static void step(struct maker *m)
{
	struct rng *r = &m->rng;
	uint32_t thread = one_in(r, 3) ? 0 : below(r, m->p->threads_cnt);
	uint8_t kind = below(r, OP_BEGIN);

	while (!(m->kinds & 1u << kind))
		kind = below(r, OP_BEGIN);
	if (kind == OP_POST) {
		hand_off(m, thread, below(r, m->p->threads_cnt));
	} else if (kind == OP_WAIT) {
		request(m, thread, below(r, m->p->threads_cnt));
	} else if (room(m->p, thread) > 3) {
		struct op op = { .kind = kind,
				 .object = object_for(m, kind),
				 .ns = duration(r),
				 .more_ns = duration(r) };

		if (kind == OP_LOCK && one_in(r, 2))
			op.more_ns = 0;
		if (kind == OP_WORK && one_in(r, 2))
			op.more_ns = 0;
		add(m->p, thread, op);
	}
}

/* Threads that do nothing but wait until all is done: before the end of the window, or after. */
static void add_waiters(struct maker *m)
{
	struct program *p = m->p;
	uint32_t n = below(&m->rng, 3);

	while (n-- && p->threads_cnt < SIM_THREADS) {
		p->threads[p->threads_cnt].foreign = false;
		hand_off(m, 0, p->threads_cnt++);
	}
}

void program__generate(struct program *p, uint64_t seed)
{
	struct maker m = { .p = p, .rng = { .s = seed } };
	uint32_t before, steps;
	bool late;

	memset(p, 0, sizeof(*p));
	p->seed = seed;
	make_machine(p, &m.rng);
	m.kinds = choose_kinds(&m.rng);
	p->threads_cnt = 1 + below(&m.rng, SIM_THREADS - 3);
	for (uint32_t i = 1; i < p->threads_cnt; i++) {
		p->threads[i].foreign = one_in(&m.rng, 4);
		p->threads[i].prio = one_in(&m.rng, 4);
	}
	before = below(&m.rng, 2 * p->threads_cnt);
	steps = 3 + below(&m.rng, 6 * p->threads_cnt);
	while (before--)
		step(&m);
	add(p, 0, (struct op){ .kind = OP_BEGIN });
	while (steps--)
		step(&m);
	for (uint32_t i = 1; i < p->threads_cnt; i++)
		if (one_in(&m.rng, 3))
			hand_off(&m, i, 0);
	late = one_in(&m.rng, 2);
	if (!late)
		add_waiters(&m);
	add(p, 0, (struct op){ .kind = OP_RUN, .ns = duration(&m.rng) });
	add(p, 0, (struct op){ .kind = OP_END });
	if (late)
		add_waiters(&m);
}

/* ---- changing one ---- */

uint32_t program__ops(const struct program *p)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < p->threads_cnt; i++)
		n += p->threads[i].ops_cnt;
	return n;
}

uint32_t *program__item(struct program *p, int item)
{
	struct op *op = &p->threads[item / (SIM_OPS * 2)].ops[item / 2 % SIM_OPS];

	return item % 2 ? &op->more_ns : &op->ns;
}

static void remove_op(struct program_thread *t, uint32_t op)
{
	memmove(&t->ops[op], &t->ops[op + 1], (--t->ops_cnt - op) * sizeof(t->ops[0]));
}

static bool is_hand_off(const struct op *op)
{
	return op->kind == OP_POST || op->kind == OP_WAIT;
}

static void remove_hand_off(struct program *p, uint8_t sem)
{
	for (uint32_t i = 0; i < p->threads_cnt; i++) {
		struct program_thread *t = &p->threads[i];

		for (uint32_t k = t->ops_cnt; k-- > 0;)
			if (is_hand_off(&t->ops[k]) && t->ops[k].object == sem)
				remove_op(t, k);
	}
}

bool program__drop_op(struct program *p, uint32_t thread, uint32_t op)
{
	struct program_thread *t = &p->threads[thread];

	if (op >= t->ops_cnt || t->ops[op].kind >= OP_BEGIN)
		return false;
	if (is_hand_off(&t->ops[op]))
		remove_hand_off(p, t->ops[op].object);
	else
		remove_op(t, op);
	return true;
}

bool program__drop_thread(struct program *p, uint32_t thread)
{
	if (!thread || thread >= p->threads_cnt)
		return false;
	while (p->threads[thread].ops_cnt)
		program__drop_op(p, thread, p->threads[thread].ops_cnt - 1);
	memmove(&p->threads[thread], &p->threads[thread + 1],
		(--p->threads_cnt - thread) * sizeof(p->threads[0]));
	return true;
}

/* ---- as text ---- */

static void print_op(const struct op *op, FILE *to)
{
	static const char *const names[OP_KINDS] = {
		"run",	  "call", "sleep", "post",   "wait",	 "lock",   "inode", "io",
		"submit", "sync", "work",  "end_io", "writeout", "commit", "BEGIN", "END",
	};

	fprintf(to, " %s", names[op->kind]);
	if (op->kind >= OP_BEGIN)
		return;
	if (is_hand_off(op)) {
		fprintf(to, " s%u", op->object);
		return;
	}
	if (op->kind > OP_SLEEP)
		fprintf(to, " %u", op->object);
	if (op->kind != OP_SYNC)
		fprintf(to, " %u", op->ns);
	if (op->kind == OP_LOCK || op->kind >= OP_WORK)
		fprintf(to, "+%u", op->more_ns);
}

void program__print(const struct program *p, FILE *to)
{
	fprintf(to, "# seed %llu: %u cpus, %u workers, quantum %u, ipi %u, irq %u ns\n",
		(unsigned long long)p->seed, p->cpus, p->workers, p->quantum_ns, p->ipi_ns,
		p->irq_ns);
	for (uint32_t i = 0; i < p->devs; i++)
		fprintf(to, "# device %u: depth %u, %u tags, irq on cpu %u\n", i, p->depth[i],
			p->tags[i], p->irq_cpu[i]);
	for (uint32_t i = 0; i < p->threads_cnt; i++) {
		const struct program_thread *t = &p->threads[i];

		fprintf(to, "# thread %u%s%s:", i, t->foreign ? " foreign" : "",
			t->prio ? " urgent" : "");
		for (uint32_t k = 0; k < t->ops_cnt; k++) {
			fputs(k ? ";" : "", to);
			print_op(&t->ops[k], to);
		}
		fputc('\n', to);
	}
}
