/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Sums of time by cause. Ids are the registry's own strings, or constants: compared by content. */
#ifndef FLATPAUSE_ANALYZE_TALLY_H
#define FLATPAUSE_ANALYZE_TALLY_H

#include "../../reports/finding.h"
#include "vec.h"

struct tally_row {
	const char *cause;
	uint64_t ns;
	uint64_t carry_ns;
	uint32_t carry_window; /* most of it was left by that one */
	uint64_t carry_weight; /* by how much more than by the others */
};

struct tally {
	struct vec rows;
	uint64_t total_ns;
};

int tally__add(struct tally *t, const char *cause, uint64_t ns, uint64_t carry_ns);
/* Of the row of `cause`, which is there: `ns` more were left behind by window `window`. */
void tally__carry(struct tally *t, const char *cause, uint64_t ns, uint32_t window);

int tally__merge(struct tally *t, const struct tally *more);
void tally__free(struct tally *t);

/* As shares, largest first, equal ones by name. 0 or -ENOMEM. */
int tally__write(const struct tally *t, struct finding_share **shares, size_t *cnt);

/* Adds `ns` to the share of `cause`, appending it where it is missing; keeps the order. */
int shares__add(struct finding_share **shares, size_t *cnt, const char *cause, uint64_t ns);
uint64_t shares__find(const struct finding_share *shares, size_t cnt, const char *cause);

/*
 * Splits `ns` over rows by their weight (row.ns) so that the parts sum to it exactly: largest
 * remainder. Adds to `out`. Nothing is added if the weights are all 0.
 */
int tally__apportion(const struct tally *weights, uint64_t ns, struct tally *out);

#endif
