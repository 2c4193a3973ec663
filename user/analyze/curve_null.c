// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "curve_null.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

/* Statistics that are equal on paper may differ in the last bits. */
#define SAME_STAT 1e-9

/* More laws than one run of a verb can ask for; beyond it the oldest goes. */
#define CACHE_MAX 64

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int null_law__init(struct null_law *law, double *values, size_t draws, bool exact)
{
	size_t n = 0;

	memset(law, 0, sizeof(*law));
	qsort(values, draws, sizeof(*values), compare_doubles);
	law->stat = malloc((draws ? draws : 1) * sizeof(*law->stat));
	law->at_least = malloc((draws ? draws : 1) * sizeof(*law->at_least));
	if (!law->stat || !law->at_least) {
		null_law__free_inside(law);
		return -ENOMEM;
	}
	for (size_t i = 0; i < draws; i++) {
		if (n && values[i] - law->stat[n - 1] <= SAME_STAT)
			continue;
		law->stat[n] = values[i];
		law->at_least[n++] = draws - i;
	}
	law->cnt = n;
	law->draws = draws;
	law->exact = exact;
	return 0;
}

void null_law__free_inside(struct null_law *law)
{
	free(law->stat);
	free(law->at_least);
	memset(law, 0, sizeof(*law));
}

double null_law__p(const struct null_law *law, double stat)
{
	size_t lo = 0, hi = law->cnt;
	uint64_t n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (law->stat[mid] >= stat - SAME_STAT)
			hi = mid;
		else
			lo = mid + 1;
	}
	n = lo < law->cnt ? law->at_least[lo] : 0;
	if (law->exact)
		return (double)n / (double)law->draws;
	return (1.0 + (double)n) / (1.0 + (double)law->draws);
}

double null_law__critical(const struct null_law *law, double alpha)
{
	for (size_t i = 0; i < law->cnt; i++)
		if (null_law__p(law, law->stat[i]) <= alpha)
			return law->stat[i];
	return INFINITY;
}

struct cached_law {
	struct null_key key;
	struct null_law law;
	UT_hash_handle hh;
};

/*
 * The only state of the analysis that outlives a call: pure results, so nobody can tell a kept
 * law from a new one, except by the clock.
 */
static struct {
	pthread_mutex_t lock;
	struct cached_law *laws;
} cache = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void drop_oldest(void)
{
	struct cached_law *oldest = cache.laws; /* uthash keeps the order of insertion */

	if (HASH_COUNT(cache.laws) < CACHE_MAX)
		return;
	HASH_DEL(cache.laws, oldest);
	null_law__free_inside(&oldest->law);
	free(oldest);
}

static struct cached_law *add_law(const struct null_key *key, null_build_fn build)
{
	struct cached_law *entry = calloc(1, sizeof(*entry));

	if (!entry)
		return NULL;
	if (build(key, &entry->law)) {
		free(entry);
		return NULL;
	}
	entry->key = *key;
	drop_oldest();
	HASH_ADD(hh, cache.laws, key, sizeof(entry->key), entry);
	return entry;
}

int null_cache__p(const struct null_key *key, null_build_fn build, const double stat[2],
		  double p[2])
{
	struct cached_law *entry;

	pthread_mutex_lock(&cache.lock);
	HASH_FIND(hh, cache.laws, key, sizeof(*key), entry);
	if (!entry)
		entry = add_law(key, build);
	for (int i = 0; entry && i < 2; i++)
		p[i] = null_law__p(&entry->law, stat[i]);
	pthread_mutex_unlock(&cache.lock);
	return entry ? 0 : -ENOMEM;
}
