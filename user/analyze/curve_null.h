/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The law of a test statistic when there is no step: every value that occurred, and how often one
 * at least as large did. Laws that depend on the shape of the data alone are kept in the process.
 */
#ifndef FLATPAUSE_CURVE_NULL_H
#define FLATPAUSE_CURVE_NULL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct null_law {
	double *stat;	    /* distinct values, ascending */
	uint64_t *at_least; /* draws whose value is stat[i] or larger */
	size_t cnt;
	uint64_t draws;
	bool exact; /* every arrangement was counted, none was drawn */
};

/* Takes `draws` values, which it sorts. 0 or -ENOMEM. */
int null_law__init(struct null_law *law, double *values, size_t draws, bool exact);
void null_law__free_inside(struct null_law *law);

/* P(T >= stat): exact, or (1 + number) / (draws + 1), which is never 0. */
double null_law__p(const struct null_law *law, double stat);

/* The smallest value with P(T >= value) <= alpha; INFINITY where none has. */
double null_law__critical(const struct null_law *law, double alpha);

enum null_kind {
	NULL_RANKS = 1, /* max-rank without ties */
	NULL_MAXT = 2,
};

struct null_key {
	uint32_t kind;
	uint32_t windows;
	uint32_t sweeps;
	uint32_t draws;
	uint64_t seed;
};

/* Fills a law for a key. 0 or -ENOMEM. */
typedef int (*null_build_fn)(const struct null_key *key, struct null_law *law);

/* p of two statistics under the law of `key`, which is built when it is asked for first. */
int null_cache__p(const struct null_key *key, null_build_fn build, const double stat[2],
		  double p[2]);

#endif
