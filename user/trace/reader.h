/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Opens a trace file, checks it, and gives its records merged by (time, cpu, position). */
#ifndef FLATPAUSE_TRACE_READER_H
#define FLATPAUSE_TRACE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../../bpf/abi.h"
#include "format.h"

struct trace_reader;

struct trace_info {
	const struct rec_file *file;
	bool complete;	     /* a REC_END chunk was found */
	struct rec_end end;  /* if complete; else end_ns = last record's time */
	uint64_t bytes;	     /* of the file */
	uint64_t bytes_used; /* up to the last whole chunk */
	uint64_t events_cnt;
	uint32_t bad_chunks;	 /* wrong CRC, or no chunk where one should be: skipped */
	uint32_t unknown_chunks; /* types that this reader does not know */
};

/*
 * 0, or -EINVAL (no trace), -EPROTO (a newer major), -ENODATA (no whole chunk), -errno; said.
 * A cut or damaged file opens with what is whole; the caller prints trace_info.complete.
 */
int trace_reader__open(struct trace_reader **r, const char *path);
void trace_reader__close(struct trace_reader *r);
const struct trace_info *trace_reader__info(const struct trace_reader *r);

/*
 * The n-th chunk of a type (not REC_EVENTS), its payload inflated; NULL when there are fewer.
 * Lives as long as r. A zero byte stands behind it, so that JSON can be read as a string; counts
 * and offsets inside it are not checked yet.
 */
const void *trace_reader__chunk(struct trace_reader *r, enum rec_type type, uint32_t n,
				size_t *size);

/*
 * One record: checked so that hdr.size lies within its chunk and covers its kind's struct and
 * tail (frames, paths with their zero, comm with its zero). It is valid until the next call of
 * trace_reader__next, __rewind or __close: copy what is needed for longer.
 */
struct trace_event {
	uint32_t cpu;
	const struct ev_hdr *hdr;
};

/*
 * Starts again from the first record, at `from_ns` or after if given (whole chunks before it are
 * skipped by their time range). Records that run backwards within a CPU keep their order and are
 * counted in trace_reader__inversions.
 */
int trace_reader__rewind(struct trace_reader *r, uint64_t from_ns);

/* 1 = a record, 0 = end, -errno. Merging is a heap over the CPUs: O(log cpus) a record. */
int trace_reader__next(struct trace_reader *r, struct trace_event *ev);

/* Both of the pass so far. */
uint64_t trace_reader__inversions(const struct trace_reader *r);
uint64_t trace_reader__bad_records(const struct trace_reader *r);

#endif
