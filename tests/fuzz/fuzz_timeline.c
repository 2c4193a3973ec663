// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Traces of simulated runs, cut, with records repeated, reordered, taken out and filled with other
 * records' fields: the analysis ends, and every sum holds. The same seeds make the same damage each
 * time: fuzz_timeline [SEED [ROUNDS]].
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../sim/properties.h"

#define ROUNDS 500

static const uint64_t seeds[] = { 1, 100000, 200000, 300000 };

struct rng {
	uint64_t s;
};

static uint64_t below(struct rng *r, uint64_t limit)
{
	r->s ^= r->s << 13;
	r->s ^= r->s >> 7;
	r->s ^= r->s << 17;
	return limit ? r->s % limit : 0;
}

static struct sim_rec *any_record(struct run *r, struct rng *rng)
{
	return VEC_AT(&r->log, struct sim_rec, below(rng, vec__cnt(&r->log)));
}

static void repeat(struct run *r, struct rng *rng)
{
	struct sim_rec *copy = VEC_PUSH(&r->log, struct sim_rec);
	size_t at = below(rng, vec__cnt(&r->log));

	if (!copy)
		return;
	memmove(VEC_AT(&r->log, struct sim_rec, at) + 1, VEC_AT(&r->log, struct sim_rec, at),
		(vec__cnt(&r->log) - 1 - at) * sizeof(*copy));
}

static void take_out(struct run *r, struct rng *rng)
{
	size_t at = below(rng, vec__cnt(&r->log));

	if (vec__cnt(&r->log) < 8)
		return;
	memmove(VEC_AT(&r->log, struct sim_rec, at), VEC_AT(&r->log, struct sim_rec, at + 1),
		(vec__cnt(&r->log) - 1 - at) * sizeof(struct sim_rec));
	r->log.end--;
}

/* The records change places; with or without their times. */
static void reorder(struct run *r, struct rng *rng)
{
	struct sim_rec *a = any_record(r, rng), *b = any_record(r, rng), tmp = *a;
	uint64_t ns = a->ns;

	*a = *b;
	*b = tmp;
	if (below(rng, 2)) {
		b->ns = a->ns;
		a->ns = ns;
	}
}

/* A field of another record of the same kind, where there is one, or of any. */
static void confuse(struct run *r, struct rng *rng)
{
	struct sim_rec *a = any_record(r, rng);
	const struct sim_rec *b = any_record(r, rng);

	switch (below(rng, 6)) {
	case 0:
		a->tid = b->tid;
		break;
	case 1:
		a->other = a->kind == b->kind ? b->other : a->other;
		break;
	case 2:
		a->begin_ns = b->ns;
		break;
	case 3:
		a->id = a->kind == b->kind ? b->id : a->id;
		break;
	case 4:
		a->act = a->kind == b->kind ? b->act : a->act;
		break;
	default:
		a->flags = a->kind == b->kind ? b->flags : a->flags;
		break;
	}
}

static void damage(struct run *r, struct rng *rng)
{
	uint64_t hits = 1 + below(rng, 1 + vec__cnt(&r->log) / 8);

	if (!below(rng, 4))
		r->log.end -= below(rng, vec__cnt(&r->log) - 4);
	while (hits--) {
		switch (below(rng, 4)) {
		case 0:
			repeat(r, rng);
			break;
		case 1:
			take_out(r, rng);
			break;
		case 2:
			reorder(r, rng);
			break;
		default:
			confuse(r, rng);
			break;
		}
	}
}

static bool one_round(uint64_t seed, uint64_t *unknown_ns, struct failure *f)
{
	struct variant v = VARIANT_PLAIN;
	struct rng rng = { .s = seed * 0x9e3779b97f4a7c15ull + 1 };
	struct findings *found = NULL;
	struct program p;
	struct run *r;
	bool good;

	program__generate(&p, seed);
	r = run__new(&p);
	if (!r || r->stuck || vec__cnt(&r->log) < 16) {
		run__free(r);
		return r;
	}
	damage(r, &rng);
	if (!below(&rng, 4))
		v.drop_permille = 50;
	found = diagnose_run(r, &v, f);
	good = found && all_sums(found, f);
	for (size_t i = 0; good && i < found->windows[0].ledger_cnt; i++)
		if (!strncmp(found->windows[0].ledger[i].cause, "unknown.", 8))
			*unknown_ns += found->windows[0].ledger[i].ns;
	findings__free(found);
	run__free(r);
	return good;
}

static bool run_seed(int number, uint64_t first, uint64_t rounds)
{
	struct failure f = { "" };
	uint64_t unknown_ns = 0, i = 0;
	bool good = true;

	while (good && i < rounds && (good = one_round(first + i, &unknown_ns, &f)))
		i++;
	/* Damage that the analysis never notices would test nothing. */
	if (good && rounds == ROUNDS)
		good = unknown_ns > 0;
	printf("%sok %d - %llu damaged traces from seed %llu, %llu ns unknown%s%s\n",
	       good ? "" : "not ", number, (unsigned long long)i,
	       (unsigned long long)first + (good ? 0 : i), (unsigned long long)unknown_ns,
	       f.why[0] ? ": " : "", f.why);
	fflush(stdout);
	return good;
}

int main(int argc, char **argv)
{
	int failed_cnt = 0, cnt = argc > 1 ? 1 : (int)(sizeof(seeds) / sizeof(seeds[0]));
	uint64_t rounds = argc > 2 ? strtoull(argv[2], NULL, 0) : ROUNDS;

	if (!access("/dev/shm", W_OK))
		setenv("TMPDIR", "/dev/shm", 0);
	printf("1..%d\n", cnt);
	for (int i = 0; i < cnt; i++)
		failed_cnt += !run_seed(i + 1, argc > 1 ? strtoull(argv[1], NULL, 0) : seeds[i],
					rounds);
	return failed_cnt > 0;
}
