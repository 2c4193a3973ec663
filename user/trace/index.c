// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Finds the chunks of a trace file. Nothing in it is trusted: a header counts only with its own
 * CRC, a payload only with its. Behind a damaged header the next one is looked for, so that damage
 * costs the chunk that it hit and no more.
 */
#include "reader_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "../grow_list.h"
#include "../log.h"

#define PIECE_BYTES (64u << 10)
#define CHUNK_ALIGN 8

/* One pass over the file: what is at hand of it, and where the pass stands. */
struct scan {
	struct trace_reader *r;
	uint64_t at;   /* next header */
	uint64_t size; /* of the file */
	uint8_t piece[PIECE_BYTES];
	uint8_t rest[PIECE_BYTES];
};

static bool is_header(const struct rec_chunk *head)
{
	if (head->size > REC_MAX_CHUNK || head->raw_size > REC_MAX_CHUNK)
		return false;
	return head->head_crc ==
	       crc32(0, (const Bytef *)head, offsetof(struct rec_chunk, head_crc));
}

/* The CRC of a payload; the beginning of it stays in s->piece, `first` bytes. */
static int payload_crc(struct scan *s, uint64_t offset, uint32_t size, uint32_t *crc, size_t *first)
{
	uLong sum = crc32(0, NULL, 0);
	uint8_t *to = s->piece;

	*first = 0;
	while (size) {
		size_t step = size < PIECE_BYTES ? size : PIECE_BYTES;
		ssize_t n = reader__pread(s->r, to, step, offset);

		if (n < 0)
			return (int)n;
		if ((size_t)n != step)
			return -EBADMSG; /* the file shrank under us */
		sum = crc32(sum, to, (uInt)step);
		if (to == s->piece)
			*first = step;
		to = s->rest;
		offset += step;
		size -= (uint32_t)step;
	}
	*crc = (uint32_t)sum;
	return 0;
}

static int add_chunk(struct trace_reader *r, const struct chunk_ref *c)
{
	void *grown = grow_list(r->chunks, r->chunks_cnt, &r->chunks_cap, sizeof(*r->chunks));

	if (!grown)
		return -ENOMEM;
	r->chunks = grown;
	r->chunks[r->chunks_cnt++] = *c;
	return 0;
}

/* -EBADMSG: damage that the CRC does not show, that is, a writer that lies. */
static int add_events(struct trace_reader *r, const struct chunk_ref *c, const uint8_t *begin,
		      size_t begin_size)
{
	struct events_ref ref = { .chunk = *c };
	void *grown;
	size_t got;

	if (c->raw_size < sizeof(ref.head) || c->raw_size > REC_MAX_EVENTS ||
	    c->size > REC_MAX_EVENTS)
		return -EBADMSG;
	got = begin_size < sizeof(ref.head) ? begin_size : sizeof(ref.head);
	if (c->flags & REC_F_DEFLATE)
		got = inflate_begin(&ref.head, sizeof(ref.head), begin, begin_size);
	else
		memcpy(&ref.head, begin, got);
	if (got < sizeof(ref.head) || ref.head.cpu >= r->file.cpus_cnt ||
	    ref.head.records > (c->raw_size - sizeof(ref.head)) / sizeof(struct ev_hdr))
		return -EBADMSG;
	grown = grow_list(r->events, r->events_cnt, &r->events_cap, sizeof(*r->events));
	if (!grown)
		return -ENOMEM;
	r->events = grown;
	r->events[r->events_cnt++] = ref;
	r->info.events_cnt += ref.head.records;
	if (!r->info.complete && ref.head.last_ns > r->info.end.end_ns)
		r->info.end.end_ns = ref.head.last_ns;
	return 0;
}

static int add_end(struct trace_reader *r, const struct chunk_ref *c, const uint8_t *begin,
		   size_t begin_size)
{
	struct rec_end end;
	size_t got = begin_size < sizeof(end) ? begin_size : sizeof(end);

	if (c->flags & REC_F_DEFLATE)
		got = inflate_begin(&end, sizeof(end), begin, begin_size);
	else
		memcpy(&end, begin, got);
	if (got < sizeof(end))
		return -EBADMSG;
	r->info.end = end;
	r->info.complete = true;
	return 0;
}

static int add(struct scan *s, const struct chunk_ref *c, size_t first)
{
	struct trace_reader *r = s->r;

	if (c->type < REC_META || c->type > REC_REGIONS || c->flags & ~(uint32_t)REC_F_DEFLATE) {
		r->info.unknown_chunks++;
		return 0;
	}
	if (!(c->flags & REC_F_DEFLATE) && c->raw_size != c->size)
		return -EBADMSG;
	if (c->type == REC_EVENTS)
		return add_events(r, c, s->piece, first);
	if (c->type == REC_END)
		return add_end(r, c, s->piece, first);
	return add_chunk(r, c);
}

/* The chunk whose header stands at s->at. */
static int scan_chunk(struct scan *s, const struct rec_chunk *head)
{
	struct chunk_ref c = { s->at + sizeof(*head), head->size, head->raw_size, head->type,
			       head->flags,	      NULL };
	uint32_t crc = 0;
	size_t first;
	int err = payload_crc(s, c.offset, c.size, &crc, &first);

	if (!err)
		err = crc == head->crc32 ? add(s, &c, first) : -EBADMSG;
	if (err == -EBADMSG) {
		s->r->info.bad_chunks++;
		err = 0;
	}
	s->at = c.offset + c.size + (-c.size % CHUNK_ALIGN);
	s->r->info.bytes_used = s->at < s->size ? s->at : s->size;
	return err;
}

/* Moves s->at to the next header behind it, or to the end of the file. */
static int find_header(struct scan *s)
{
	s->r->info.bad_chunks++;
	s->at += CHUNK_ALIGN - s->at % CHUNK_ALIGN;
	for (;;) {
		ssize_t n = reader__pread(s->r, s->piece, PIECE_BYTES, s->at);
		size_t last;

		if (n < 0)
			return (int)n;
		if ((size_t)n < sizeof(struct rec_chunk)) {
			s->at = s->size;
			return 0;
		}
		last = (size_t)n - sizeof(struct rec_chunk);
		for (size_t i = 0; i <= last; i += CHUNK_ALIGN) {
			struct rec_chunk head;

			memcpy(&head, s->piece + i, sizeof(head));
			if (is_header(&head)) {
				s->at += i;
				return 0;
			}
		}
		s->at += last - last % CHUNK_ALIGN + CHUNK_ALIGN;
	}
}

static int scan_all(struct scan *s)
{
	int err = 0;

	while (!err && s->at < s->size && s->size - s->at >= sizeof(struct rec_chunk)) {
		struct rec_chunk head;
		ssize_t n = reader__pread(s->r, &head, sizeof(head), s->at);

		if (n < 0)
			return (int)n;
		if ((size_t)n < sizeof(head))
			break;
		if (!is_header(&head))
			err = find_header(s);
		else if (head.size > s->size - s->at - sizeof(head))
			break; /* cut within this chunk */
		else
			err = scan_chunk(s, &head);
	}
	return err;
}

static int by_type(const void *a, const void *b)
{
	const struct chunk_ref *x = a, *y = b;

	if (x->type != y->type)
		return x->type < y->type ? -1 : 1;
	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static int by_cpu(const void *a, const void *b)
{
	const struct events_ref *x = a, *y = b;

	if (x->head.cpu != y->head.cpu)
		return x->head.cpu < y->head.cpu ? -1 : 1;
	return x->chunk.offset < y->chunk.offset ? -1 : x->chunk.offset > y->chunk.offset;
}

static int read_file_header(struct trace_reader *r)
{
	struct rec_file *f = &r->file;
	ssize_t n = reader__pread(r, f, sizeof(*f), 0);

	if (n < 0)
		return log_err((int)n, "cannot read %s", r->path);
	if (n == 0)
		return log_err(-ENODATA, "%s is empty: its recording ended before it began",
			       r->path);
	if (memcmp(f->magic, REC_MAGIC,
		   (size_t)n < sizeof(f->magic) ? (size_t)n : sizeof(f->magic)) != 0)
		return log_err(-EINVAL, "%s is no flatpause trace", r->path);
	if ((size_t)n < sizeof(*f))
		return log_err(-ENODATA, "the trace %s is cut within its header: nothing is left",
			       r->path);
	if (f->major > REC_MAJOR)
		return log_err(-EPROTO, "%s has format %u.%u, this flatpause reads up to %u.x",
			       r->path, f->major, f->minor, REC_MAJOR);
	if (!f->major || f->header_size < sizeof(*f) || f->header_size % CHUNK_ALIGN ||
	    !f->cpus_cnt || f->cpus_cnt > REC_MAX_CPUS)
		return log_err(-EINVAL, "the header of the trace %s is damaged", r->path);
	return 0;
}

int reader__index(struct trace_reader *r)
{
	struct scan *s;
	int err = read_file_header(r);

	if (err)
		return err;
	s = calloc(1, sizeof(*s));
	if (!s)
		return log_err(-ENOMEM, "cannot read %s", r->path);
	s->r = r;
	s->at = r->file.header_size;
	s->size = r->info.bytes;
	err = scan_all(s);
	free(s);
	if (err)
		return log_err(err, "cannot read %s", r->path);
	if (!r->chunks_cnt && !r->events_cnt && !r->info.complete)
		return log_err(-ENODATA, "the trace %s holds no whole chunk: nothing is left",
			       r->path);
	if (r->chunks_cnt)
		qsort(r->chunks, r->chunks_cnt, sizeof(*r->chunks), by_type);
	if (r->events_cnt)
		qsort(r->events, r->events_cnt, sizeof(*r->events), by_cpu);
	return 0;
}
