/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Shared by the files that make up the reader; nobody else includes it. */
#ifndef FLATPAUSE_TRACE_READER_INTERNAL_H
#define FLATPAUSE_TRACE_READER_INTERNAL_H

#include <sys/types.h>
#include "reader.h"

/* Where a chunk lies that passed its CRC. Of events, also whose and from when. */
struct chunk_ref {
	uint64_t offset; /* of the payload */
	uint32_t size;
	uint32_t raw_size;
	uint32_t type;
	uint32_t flags;
	uint8_t *payload; /* once asked for; never of events */
};

struct events_ref {
	struct chunk_ref chunk;
	struct rec_events head;
};

/* The records of one CPU: one chunk of them is in memory. */
struct cursor {
	uint32_t next_ref, end_ref; /* in trace_reader.events */
	uint8_t *buf;
	uint32_t buf_size;
	uint32_t pos, end; /* in buf */
	uint64_t prev_ns;
};

struct heap_item {
	uint64_t key_ns; /* never runs backwards within a CPU, even where its records do */
	uint32_t cursor; /* = CPU order, which settles equal times */
};

struct trace_reader {
	int fd;
	char *path;
	struct rec_file file;
	struct trace_info info;

	struct chunk_ref *chunks; /* all but events, by type, then in order of the file */
	size_t chunks_cnt, chunks_cap;
	struct events_ref *events; /* by CPU, then in order of the file */
	size_t events_cnt, events_cap;

	struct cursor *cursors; /* one per CPU that has events */
	uint32_t cursors_cnt;
	struct heap_item *heap;
	uint32_t heap_cnt;
	bool started;	  /* the first pass has begun */
	bool top_is_out;  /* the record at the top was given to the caller */
	uint64_t from_ns; /* of this pass */
	uint64_t inversions, bad_records;

	uint8_t *packed; /* stored bytes of a deflated chunk */
	size_t packed_size;
	uint64_t held_bytes; /* payloads and buffers in memory */
};

/* The file is scanned once, front to back; fills file, info, chunks and events. */
int reader__index(struct trace_reader *r);

/* Reads and inflates a chunk into `to`, which holds raw_size bytes. -EBADMSG if it is damaged. */
int reader__payload(struct trace_reader *r, const struct chunk_ref *c, uint8_t *to);

/* Grows or allocates; counts against what one reader may hold. NULL: said. */
uint8_t *reader__grow(struct trace_reader *r, uint8_t *old, size_t old_size, size_t size);

/* All of `size` bytes, or what is there before the end of the file; -errno. */
ssize_t reader__pread(const struct trace_reader *r, void *to, size_t size, uint64_t offset);

/* Inflates the first `raw_size` bytes; how many came out. */
size_t inflate_begin(void *to, size_t raw_size, const void *from, size_t size);

int reader__make_cursors(struct trace_reader *r);
void reader__free_cursors(struct trace_reader *r);

enum record_state {
	RECORD_OK,
	RECORD_UNKNOWN, /* a kind of a newer writer: skipped by its size */
	RECORD_BAD,	/* its size is right, so that the next one can be found */
	RECORD_BROKEN,	/* its size is not: nothing behind it in its chunk can be found */
};

/* `room`: bytes from hdr to the end of its chunk. */
enum record_state check_record(const struct ev_hdr *hdr, size_t room);

#endif
