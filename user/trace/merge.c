// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Merges the records of all CPUs by (time, CPU, position in the file): a heap over one cursor per
 * CPU, each with one chunk in memory.
 */
#include "reader_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../log.h"

int reader__make_cursors(struct trace_reader *r)
{
	uint32_t cnt = 0;

	for (size_t i = 0; i < r->events_cnt; i++)
		cnt += !i || r->events[i].head.cpu != r->events[i - 1].head.cpu;
	if (!cnt)
		return 0;
	r->cursors = calloc(cnt, sizeof(*r->cursors));
	r->heap = calloc(cnt, sizeof(*r->heap));
	if (!r->cursors || !r->heap)
		return log_err(-ENOMEM, "cannot read %s", r->path);
	r->cursors_cnt = cnt;
	return 0;
}

void reader__free_cursors(struct trace_reader *r)
{
	for (uint32_t i = 0; i < r->cursors_cnt; i++)
		free(r->cursors[i].buf);
	free(r->cursors);
	free(r->heap);
}

/* A chunk that passed its CRC and is damaged all the same is counted once and then left out. */
static void drop_events(struct trace_reader *r, struct events_ref *ref)
{
	r->info.bad_chunks++;
	r->info.events_cnt -= ref->head.records;
	ref->chunk.raw_size = 0;
}

/* Loads the cursor's next chunk that reaches beyond from_ns. 1, 0 = there is none, -errno. */
static int cursor__load(struct trace_reader *r, struct cursor *c)
{
	while (c->next_ref < c->end_ref) {
		struct events_ref *ref = &r->events[c->next_ref++];
		uint8_t *buf;
		int err;

		if (!ref->chunk.raw_size || ref->head.last_ns < r->from_ns)
			continue;
		buf = reader__grow(r, c->buf, c->buf_size, ref->chunk.raw_size);
		if (!buf)
			return -ENOMEM;
		c->buf = buf;
		if (c->buf_size < ref->chunk.raw_size)
			c->buf_size = ref->chunk.raw_size;
		err = reader__payload(r, &ref->chunk, c->buf);
		if (!err) {
			c->pos = sizeof(struct rec_events);
			c->end = ref->chunk.raw_size;
			return 1;
		}
		if (err != -EBADMSG)
			return err;
		drop_events(r, ref);
	}
	r->held_bytes -= c->buf_size;
	free(c->buf);
	c->buf = NULL;
	c->buf_size = 0;
	return 0;
}

static const struct ev_hdr *cursor__hdr(const struct cursor *c)
{
	return (const struct ev_hdr *)(const void *)(c->buf + c->pos);
}

/* Moves on to a good record at c->pos or behind it. 1, 0 = end, -errno. */
static int cursor__settle(struct trace_reader *r, struct cursor *c)
{
	for (;;) {
		const struct ev_hdr *hdr;
		enum record_state state;

		if (c->pos >= c->end) {
			int got = cursor__load(r, c);

			if (got <= 0)
				return got;
			continue;
		}
		hdr = cursor__hdr(c);
		state = check_record(hdr, c->end - c->pos);
		if (state == RECORD_OK && hdr->ts_ns >= r->from_ns)
			return 1;
		if (state >= RECORD_BAD)
			r->bad_records++;
		c->pos = state == RECORD_BROKEN ? c->end : c->pos + hdr->size;
	}
}

static bool is_before(const struct heap_item *a, const struct heap_item *b)
{
	if (a->key_ns != b->key_ns)
		return a->key_ns < b->key_ns;
	return a->cursor < b->cursor;
}

static void sift_down(struct trace_reader *r, uint32_t i)
{
	struct heap_item item = r->heap[i];

	for (;;) {
		uint32_t child = 2 * i + 1;

		if (child >= r->heap_cnt)
			break;
		if (child + 1 < r->heap_cnt && is_before(&r->heap[child + 1], &r->heap[child]))
			child++;
		if (!is_before(&r->heap[child], &item))
			break;
		r->heap[i] = r->heap[child];
		i = child;
	}
	r->heap[i] = item;
}

static void take_time(struct trace_reader *r, struct heap_item *item)
{
	struct cursor *c = &r->cursors[item->cursor];
	uint64_t ts = cursor__hdr(c)->ts_ns;

	if (ts < c->prev_ns)
		r->inversions++;
	c->prev_ns = ts;
	if (ts > item->key_ns)
		item->key_ns = ts;
}

int trace_reader__rewind(struct trace_reader *r, uint64_t from_ns)
{
	uint32_t next = 0;

	r->started = true;
	r->top_is_out = false;
	r->from_ns = from_ns;
	r->inversions = 0;
	r->bad_records = 0;
	r->heap_cnt = 0;
	for (uint32_t i = 0; i < r->cursors_cnt; i++) {
		struct cursor *c = &r->cursors[i];
		struct heap_item item = { .cursor = i };
		uint32_t cpu = r->events[next].head.cpu;
		int got;

		c->next_ref = next;
		while (next < r->events_cnt && r->events[next].head.cpu == cpu)
			next++;
		c->end_ref = next;
		c->pos = c->end = 0;
		c->prev_ns = 0;
		got = cursor__settle(r, c);
		if (got < 0)
			return got;
		if (!got)
			continue;
		take_time(r, &item);
		r->heap[r->heap_cnt++] = item;
	}
	for (uint32_t i = r->heap_cnt / 2; i-- > 0;)
		sift_down(r, i);
	return 0;
}

/* Replaces the top by the next record of its CPU. */
static int step(struct trace_reader *r)
{
	struct heap_item *top = &r->heap[0];
	struct cursor *c = &r->cursors[top->cursor];
	int got;

	c->pos += cursor__hdr(c)->size;
	got = cursor__settle(r, c);
	if (got < 0)
		return got;
	if (got)
		take_time(r, top);
	else
		*top = r->heap[--r->heap_cnt];
	if (r->heap_cnt)
		sift_down(r, 0);
	return 0;
}

int trace_reader__next(struct trace_reader *r, struct trace_event *ev)
{
	const struct cursor *c;
	int err = 0;

	if (!r->started)
		err = trace_reader__rewind(r, 0);
	else if (r->top_is_out)
		err = step(r);
	r->top_is_out = false;
	if (err)
		r->heap_cnt = 0; /* what stands in it may point behind a buffer */
	if (err || !r->heap_cnt)
		return err;
	c = &r->cursors[r->heap[0].cursor];
	ev->cpu = r->events[c->end_ref - 1].head.cpu;
	ev->hdr = cursor__hdr(c);
	r->top_is_out = true;
	return 1;
}

uint64_t trace_reader__inversions(const struct trace_reader *r)
{
	return r->inversions;
}

uint64_t trace_reader__bad_records(const struct trace_reader *r)
{
	return r->bad_records;
}
