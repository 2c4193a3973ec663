/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The tables beside the ledger: what threads sat in, sizes of I/O, latencies of devices, and what
 * simpler tools would have concluded from the same recording. Part of the model of finding.h.
 */
#ifndef FLATPAUSE_FINDING_TABLES_H
#define FLATPAUSE_FINDING_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bucket i holds sizes up to 512 << i bytes, the last one whatever is larger than 1 MiB. */
#define SIZE_BUCKETS 13

struct finding_sizes {
	char *op; /* "read", "write", "fsync", ...; "write.other": to what is no known file */
	uint64_t calls;
	uint64_t bytes; /* fsync: what was written to the file since it was last synced */
	uint64_t buckets[SIZE_BUCKETS];
};

/* The bucket of a size; 0 bytes are in the first. */
unsigned int size_bucket(uint64_t bytes);
/* "<= 512 B" ... "<= 1 MiB", "> 1 MiB" */
const char *size_bucket_name(unsigned int bucket);
/* The largest size of a bucket in bytes, UINT64_MAX of the last one. */
uint64_t size_bucket_limit(unsigned int bucket);

/* The time that threads of targets spent in one innermost kernel function; exact. */
struct finding_state {
	char *frame; /* "do_epoll_wait"; "[running, user]", "[waiting for a CPU]", ... */
	char *cause; /* of most of it; "" where it ran */
	uint64_t ns; /* of all threads: ns / duration is the mean number of threads */
};

enum finding_regime {
	REGIME_ALL = 0, /* of a curve without a step */
	REGIME_FAST = 1,
	REGIME_SLOW = 2,
};

/* Requests that a device completed, by what they were for. */
struct finding_latency {
	uint32_t dev;
	enum finding_regime regime; /* ALL in windows: that window's */
	const char *class;	    /* "read", "write", "meta", "flush", "discard"; a constant */
	uint64_t requests;
	uint64_t bytes;
	uint64_t p50_ns, p90_ns, p99_ns, max_ns; /* issue to completion, nearest rank */
	uint64_t buckets[SIZE_BUCKETS];		 /* their sizes */
};

struct finding_round_row {
	char *name;
	uint64_t count; /* calls, polls, waits, samples */
	uint64_t ns;	/* 0 = that tool does not know */
	char *note;
};

/* What one way of looking would have said of this recording. */
struct finding_round {
	char *name;   /* "strace -c" */
	char *method; /* what was done to the recording to get its answer */
	struct finding_round_row *rows;
	size_t rows_cnt;
	char *cause;	  /* the cause that it would have named, "" = none */
	char *conclusion; /* in words */
	bool agrees;	  /* with the verdict */
	char *why;	  /* why it misleads, or what it leaves open */
};

struct finding_rounds {
	enum finding_regime regime; /* of the windows that were looked at */
	uint32_t windows;
	uint64_t window_ns; /* their sum */
	uint32_t tgid;	    /* the process that a person would have looked at */
	char *comm;
	struct finding_round *list;
	size_t cnt;
};

void sizes__free(struct finding_sizes *v, size_t cnt);
void states__free(struct finding_state *v, size_t cnt);
void rounds__free_inside(struct finding_rounds *r);

const char *regime_name(enum finding_regime r); /* "all", "fast", "slow" */

#endif
