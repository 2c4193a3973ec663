// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Takes out of a program what it fails without, until nothing more can go. */
#include "sim.h"

static bool try_program(struct program *p, const struct program *smaller, fails_fn fails, void *ctx)
{
	if (!fails(smaller, ctx))
		return false;
	*p = *smaller;
	return true;
}

static bool drop_threads(struct program *p, fails_fn fails, void *ctx)
{
	bool any = false;

	for (uint32_t i = p->threads_cnt; i-- > 1;) {
		struct program smaller = *p;

		if (program__drop_thread(&smaller, i))
			any |= try_program(p, &smaller, fails, ctx);
	}
	return any;
}

static bool drop_ops(struct program *p, fails_fn fails, void *ctx)
{
	bool any = false;

	for (uint32_t i = 0; i < p->threads_cnt; i++) {
		for (uint32_t k = p->threads[i].ops_cnt; k-- > 0;) {
			struct program smaller = *p;

			if (program__drop_op(&smaller, i, k))
				any |= try_program(p, &smaller, fails, ctx);
			if (k > p->threads[i].ops_cnt)
				k = p->threads[i].ops_cnt;
		}
	}
	return any;
}

/* A machine with fewer quirks. */
static bool simplify(struct program *p, fails_fn fails, void *ctx)
{
	struct program plain = *p;
	bool any = false;

	if (p->quantum_ns) {
		plain.quantum_ns = 0;
		any |= try_program(p, &plain, fails, ctx);
	}
	for (uint32_t i = 0; i < p->threads_cnt; i++) {
		plain = *p;
		plain.threads[i].prio = 0;
		plain.threads[i].foreign = false;
		if (p->threads[i].prio || p->threads[i].foreign)
			any |= try_program(p, &plain, fails, ctx);
	}
	for (int item = 0; item < (int)(p->threads_cnt * SIM_OPS * 2); item += 2) {
		plain = *p;
		if ((uint32_t)item / 2 % SIM_OPS >= p->threads[item / (SIM_OPS * 2)].ops_cnt ||
		    !*program__item(&plain, item + 1))
			continue;
		*program__item(&plain, item + 1) = 0;
		if (plain.threads[item / (SIM_OPS * 2)].ops[item / 2 % SIM_OPS].kind <= OP_LOCK)
			any |= try_program(p, &plain, fails, ctx);
	}
	return any;
}

void program__shrink(struct program *p, fails_fn fails, void *ctx)
{
	bool any = true;

	for (int round = 0; any && round < 20; round++)
		any = drop_threads(p, fails, ctx) | drop_ops(p, fails, ctx) |
		      simplify(p, fails, ctx);
}
