// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "finding_tables.h"

#include <stdlib.h>

unsigned int size_bucket(uint64_t bytes)
{
	unsigned int i = 0;

	while (i < SIZE_BUCKETS - 1 && bytes > size_bucket_limit(i))
		i++;
	return i;
}

const char *size_bucket_name(unsigned int bucket)
{
	static const char *const names[SIZE_BUCKETS] = {
		"<= 512 B",   "<= 1 KiB",  "<= 2 KiB",	"<= 4 KiB",   "<= 8 KiB",
		"<= 16 KiB",  "<= 32 KiB", "<= 64 KiB", "<= 128 KiB", "<= 256 KiB",
		"<= 512 KiB", "<= 1 MiB",  "> 1 MiB",
	};

	return bucket < SIZE_BUCKETS ? names[bucket] : "";
}

uint64_t size_bucket_limit(unsigned int bucket)
{
	return bucket < SIZE_BUCKETS - 1 ? 512ull << bucket : UINT64_MAX;
}

void sizes__free(struct finding_sizes *v, size_t cnt)
{
	for (size_t i = 0; i < cnt; i++)
		free(v[i].op);
	free(v);
}

void states__free(struct finding_state *v, size_t cnt)
{
	for (size_t i = 0; i < cnt; i++) {
		free(v[i].frame);
		free(v[i].cause);
	}
	free(v);
}

static void free_round(struct finding_round *r)
{
	for (size_t i = 0; i < r->rows_cnt; i++) {
		free(r->rows[i].name);
		free(r->rows[i].note);
	}
	free(r->rows);
	free(r->name);
	free(r->method);
	free(r->cause);
	free(r->conclusion);
	free(r->why);
}

void rounds__free_inside(struct finding_rounds *r)
{
	for (size_t i = 0; i < r->cnt; i++)
		free_round(&r->list[i]);
	free(r->list);
	free(r->comm);
}

const char *regime_name(enum finding_regime r)
{
	static const char *const names[] = { "all", "fast", "slow" };

	return names[r];
}
