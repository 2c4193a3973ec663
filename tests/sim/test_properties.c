// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Thousands of random programs: whatever they do, the ledger of their window is the true one.
 *
 * SEED=N runs that one program alone, with all checks. FIRST=N and PROGRAMS=N choose others than
 * the usual ones. A program that fails is made as small as it can be and printed; the same SEED
 * fails, and shrinks, the same way each time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "properties.h"

#define PROGRAMS 10000
#define SHARE	 7 /* of the metamorphic properties each has every seventh program */

typedef bool (*check_fn)(const struct run *r, struct tally_of_checks *n, struct failure *f);

struct attempt {
	check_fn check;
	struct tally_of_checks tally;
	struct failure failure;
};

static bool fails(const struct program *p, void *ctx)
{
	struct attempt *a = ctx;
	struct run *r = run__new(p);
	bool bad = r && !r->stuck && !a->check(r, &a->tally, &a->failure);

	run__free(r);
	return bad;
}

static void report(const struct program *p, struct attempt *a)
{
	struct program small = *p;

	program__shrink(&small, fails, a);
	fails(&small, a); /* the reason is that of the small one */
	print_error("# SEED=%llu: %s\n# smallest program that fails, %u operations:\n",
		    (unsigned long long)p->seed, a->failure.why, program__ops(&small));
	program__print(&small, stderr);
	fail_msg("seed %llu", (unsigned long long)p->seed);
}

static void one_program(uint64_t seed, struct attempt *a)
{
	struct program p;
	struct run *r;
	bool good;

	program__generate(&p, seed);
	r = run__new(&p);
	assert_non_null(r);
	a->tally.programs++;
	a->tally.stuck += r->stuck;
	good = r->stuck || a->check(r, &a->tally, &a->failure);
	run__free(r);
	if (!good)
		report(&p, a);
}

static uint64_t from_environment(const char *name, uint64_t fallback)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : fallback;
}

/* Each `every`-th of the programs, from `nth` on: they share the time that there is. */
static struct tally_of_checks all_programs(check_fn check, uint32_t every, uint32_t nth)
{
	struct attempt a = { .check = check };
	uint64_t first = from_environment("FIRST", 1);
	uint64_t cnt = from_environment("PROGRAMS", PROGRAMS);

	if (getenv("SEED")) {
		one_program(from_environment("SEED", 1), &a);
		return a.tally;
	}
	for (uint64_t seed = first + nth; seed < first + cnt; seed += every)
		one_program(seed, &a);
	print_message("# seeds %llu..%llu, every %u\n", (unsigned long long)(first + nth),
		      (unsigned long long)(first + cnt - 1), every);
	assert_int_equal(a.tally.stuck, 0);
	return a.tally;
}

static void ledger_is_true(void **state)
{
	struct tally_of_checks n = all_programs(check_ledger, 1, 0);

	print_message("# %llu programs, %llu records, %llu pieces of paths, %llu of them walked\n",
		      (unsigned long long)n.programs, (unsigned long long)n.records,
		      (unsigned long long)n.pieces, (unsigned long long)n.walked);
	assert_true(getenv("SEED") || (n.walked && n.walked < n.pieces));
}

static void oracle(void **state)
{
	struct tally_of_checks n = all_programs(check_oracle, 1, 0);

	print_message("# %llu items made shorter: %llu moved the end, %llu more changed the order "
		      "of events\n",
		      (unsigned long long)n.items, (unsigned long long)n.moved,
		      (unsigned long long)n.reordered);
	assert_true(getenv("SEED") || (n.moved > n.items / 50 && n.reordered < n.items / 20));
}

static void same_report_each_time(void **state)
{
	all_programs(check_deterministic, SHARE, 0);
}

static void time_scaled(void **state)
{
	all_programs(check_scaled, SHARE, 1);
}

static void numbers_changed(void **state)
{
	all_programs(check_relabelled, SHARE, 2);
}

static void bystanders(void **state)
{
	all_programs(check_bystanders, SHARE, 3);
}

static void window_split(void **state)
{
	all_programs(check_split, SHARE, 4);
}

static void records_lost(void **state)
{
	all_programs(check_dropped, SHARE, 5);
}

static void clocks_apart(void **state)
{
	struct tally_of_checks n = all_programs(check_skewed, SHARE, 6);

	/* Three hand-offs within 2 us may wait for each other in a circle then: that has no name. */
	print_message("# %llu of %llu ns unknown\n", (unsigned long long)n.unknown_ns,
		      (unsigned long long)n.window_ns);
	assert_true(getenv("SEED") || n.unknown_ns < n.window_ns / 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(oracle),
		cmocka_unit_test(ledger_is_true),
		cmocka_unit_test(same_report_each_time),
		cmocka_unit_test(time_scaled),
		cmocka_unit_test(numbers_changed),
		cmocka_unit_test(bystanders),
		cmocka_unit_test(window_split),
		cmocka_unit_test(records_lost),
		cmocka_unit_test(clocks_apart),
	};

	if (!access("/dev/shm", W_OK)) /* a trace for each program: they need not touch a disk */
		setenv("TMPDIR", "/dev/shm", 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
