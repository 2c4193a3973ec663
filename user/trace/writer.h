/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Appends chunks to a trace file. */
#ifndef FLATPAUSE_TRACE_WRITER_H
#define FLATPAUSE_TRACE_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "format.h"

struct trace_writer;

struct trace_writer_opts {
	bool compress; /* deflate chunks, zlib level 1 */
	uint32_t cpus_cnt;
	uint64_t start_ns;	/* 0 = now */
	uint64_t start_real_ns; /* 0 = now */
};

/*
 * Creates `path` itself (O_CREAT|O_EXCL|O_NOFOLLOW, mode 0600), under no temporary name: a
 * recording that is killed must leave what it has. An existing file is refused with -EEXIST.
 * 0 or -errno, said.
 */
int trace_writer__open(struct trace_writer **w, const char *path,
		       const struct trace_writer_opts *opts);

/* Writes one chunk whose payload is the concatenation of `parts`. 0 or -errno, said once. */
struct trace_part {
	const void *data;
	size_t size;
};
int trace_writer__chunk(struct trace_writer *w, enum rec_type type, const struct trace_part *parts,
			int parts_cnt);

/*
 * Buffers one ev_* record of `cpu`; full buffers and those older than a second go out as
 * REC_EVENTS chunks. The record's size field must equal `size`.
 */
int trace_writer__event(struct trace_writer *w, uint32_t cpu, const void *ev, size_t size);

/*
 * Writes out buffers whose first record is older than a second; `now_ns` is CLOCK_MONOTONIC. The
 * records themselves drive this while they come; call it when the rings are quiet.
 */
int trace_writer__tick(struct trace_writer *w, uint64_t now_ns);

/* Writes out all buffered events. */
int trace_writer__flush(struct trace_writer *w);

uint64_t trace_writer__bytes(const struct trace_writer *w);
uint64_t trace_writer__events(const struct trace_writer *w);

/*
 * True once the disk was full: events are refused with -ENOSPC from then on, but the chunks that
 * make a trace readable (symbols, maps, runs, loss) still fit into the room kept for them.
 */
bool trace_writer__full(const struct trace_writer *w);

/*
 * Flushes, writes REC_END and closes. `reason` as in rec_end; a full disk makes it
 * REC_REASON_NO_SPACE whatever was given. 0, or the first error of this trace. NULL is fine.
 */
int trace_writer__finish(struct trace_writer *w, uint64_t end_ns, int reason);

/* Closes without REC_END; what was written stays. NULL is fine. */
void trace_writer__abandon(struct trace_writer *w);

#endif
