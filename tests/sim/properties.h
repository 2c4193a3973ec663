/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What must hold for every program: each check says what did not, for the report of a failure. */
#ifndef FLATPAUSE_TESTS_SIM_PROPERTIES_H
#define FLATPAUSE_TESTS_SIM_PROPERTIES_H

#include "sim.h"
#include "../../reports/finding.h"

struct failure {
	char why[400];
};

/* What the runs of a suite have seen: a property that nothing ever touches shows nothing. */
struct tally_of_checks {
	uint64_t programs, records, stuck;
	uint64_t items, moved,
		reordered; /* shortened; the end moved; the order of events changed */
	uint64_t walked;   /* pieces of paths that are not the closing thread's own */
	uint64_t pieces;
	uint64_t window_ns, unknown_ns; /* of skewed clocks: of all, and what could not be told */
};

/* The findings of a run's trace. NULL (and why) if it cannot be analyzed. */
struct findings *diagnose_run(const struct run *r, const struct variant *v, struct failure *f);

/* L1 and L10 of all windows: ledgers and threads sum to their time. */
bool all_sums(const struct findings *found, struct failure *f);

/*
 * L1-L5, L10: sums, states of threads, and the ledger cause by cause against the true path; none
 * of it unknown where nothing was lost.
 */
bool check_ledger(const struct run *r, struct tally_of_checks *n, struct failure *f);

/* Shortens one duration after the other: the end moves if and only if the path was made of it. */
bool check_oracle(const struct run *r, struct tally_of_checks *n, struct failure *f);

/* L9 and M1-M6: variants of the same trace, of which the outcome is known. */
bool check_deterministic(const struct run *r, struct tally_of_checks *n, struct failure *f);
bool check_scaled(const struct run *r, struct tally_of_checks *n, struct failure *f);
bool check_relabelled(const struct run *r, struct tally_of_checks *n, struct failure *f);
bool check_bystanders(const struct run *r, struct tally_of_checks *n, struct failure *f);
bool check_split(const struct run *r, struct tally_of_checks *n, struct failure *f);
bool check_dropped(const struct run *r, struct tally_of_checks *n, struct failure *f);
bool check_skewed(const struct run *r, struct tally_of_checks *n, struct failure *f);

/* Sums of a window by cause; runqueues count as one, whoever had the CPU. */
struct sums {
	struct {
		char cause[40];
		uint64_t ns;
	} row[64];
	uint32_t cnt;
};

void sums__add(struct sums *s, const char *cause, uint64_t ns);
void sums__window(struct sums *s, const struct finding_window *w);
uint64_t sums__of(const struct sums *s, const char *cause);
bool sums__equal(const struct sums *a, const struct sums *b, uint32_t times, struct failure *f);

bool failed(struct failure *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
