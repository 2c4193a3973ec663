// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Traces that are cut, damaged, or made to hurt: the reader keeps what is whole and never trips. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "../../../user/trace/reader.h"
#include "../trace_builder.h"

static char dir[] = "/tmp/flatpause-damage-XXXXXX";
static char path[128];

struct image {
	uint8_t *bytes;
	size_t size;
};

/* ---- files from bytes ---- */

static void save(const void *bytes, size_t size)
{
	int fd;

	unlink(path); /* ext4 flushes a file that replaces itself by truncation: that takes long */
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	close(fd);
}

static void append(struct image *i, const void *bytes, size_t size)
{
	i->bytes = realloc(i->bytes, i->size + size + 8);
	assert_non_null(i->bytes);
	if (size)
		memcpy(i->bytes + i->size, bytes, size);
	i->size += size;
}

static void append_file_header(struct image *i, uint16_t major, uint16_t minor)
{
	struct rec_file f = { .major = major,
			      .minor = minor,
			      .header_size = sizeof(f),
			      .cpus_cnt = 2,
			      .abi_kinds = EV_KIND_END };

	memcpy(f.magic, REC_MAGIC, sizeof(f.magic));
	append(i, &f, sizeof(f));
}

static void append_chunk(struct image *i, uint32_t type, uint32_t flags, const void *payload,
			 uint32_t size, uint32_t raw_size)
{
	struct rec_chunk head = { .type = type,
				  .flags = flags,
				  .size = size,
				  .raw_size = raw_size,
				  .crc32 = (uint32_t)crc32(0, payload, size) };
	static const char padding[8];

	head.head_crc = (uint32_t)crc32(0, (const Bytef *)&head,
					offsetof(struct rec_chunk, head_crc));
	append(i, &head, sizeof(head));
	append(i, payload, size);
	append(i, padding, -size % 8);
}

static void append_deflated(struct image *i, uint32_t type, const void *payload, size_t size,
			    uint32_t raw_size)
{
	uint8_t *packed = malloc(compressBound(size));
	uLongf packed_size = compressBound(size);

	assert_non_null(packed);
	assert_int_equal(compress2(packed, &packed_size, payload, size, 9), Z_OK);
	append_chunk(i, type, REC_F_DEFLATE, packed, (uint32_t)packed_size, raw_size);
	free(packed);
}

/* An EVENTS chunk of whatever `records` is. */
static void append_events(struct image *i, uint32_t cpu, uint32_t cnt, const void *records,
			  size_t size)
{
	struct rec_events head = { cpu, cnt, 0, ~0ull };
	uint8_t *payload = malloc(sizeof(head) + size + 1);

	assert_non_null(payload);
	memcpy(payload, &head, sizeof(head));
	memcpy(payload + sizeof(head), records, size);
	append_chunk(i, REC_EVENTS, 0, payload, (uint32_t)(sizeof(head) + size),
		     (uint32_t)(sizeof(head) + size));
	free(payload);
}

static const struct ev_wake good = { .h = { 100, 7, sizeof(good), EV_WAKE, 0 }, .wakee_tid = 8 };

static struct trace_reader *open_image(struct image *i)
{
	struct trace_reader *r;

	save(i->bytes, i->size);
	free(i->bytes);
	*i = (struct image){ 0 };
	assert_int_equal(trace_reader__open(&r, path), 0);
	return r;
}

/* Reads everything that can be read; the number of records. */
static uint64_t read_all(struct trace_reader *r)
{
	struct trace_event ev;
	uint64_t cnt = 0, sum = 0;
	size_t size;
	int got;

	for (int type = 0; type < 16; type++)
		for (uint32_t n = 0;; n++) {
			const uint8_t *payload = trace_reader__chunk(r, (enum rec_type)type, n,
								     &size);

			if (!payload)
				break;
			for (size_t k = 0; k < size; k++)
				sum += payload[k];
			assert_int_equal(payload[size], 0);
		}
	assert_int_equal(trace_reader__rewind(r, 0), 0);
	while ((got = trace_reader__next(r, &ev)) > 0) {
		for (size_t k = 0; k < ev.hdr->size; k++)
			sum += ((const uint8_t *)ev.hdr)[k];
		cnt++;
	}
	assert_int_equal(got, 0);
	/* The sum is only there so that every byte is touched: sanitizers look at it. */
	return sum == ~0ull ? 0 : cnt;
}

/* ---- one small trace, cut and flipped everywhere ---- */

#define MAX_CHUNKS 64

struct sample {
	uint8_t *bytes;
	size_t size;
	struct {
		size_t begin, end; /* without padding */
		uint32_t records;
	} chunks[MAX_CHUNKS];
	size_t chunks_cnt;
	uint64_t records;
};

static void build_sample(bool compressed)
{
	struct trace_builder *b;

	unlink(path);
	b = compressed ? tb__open_compressed(path, 2) : tb__open(path, 2);
	assert_non_null(b);
	tb_meta(b, "{\"window\":\"auto\",\"tool\":\"test\"}");
	tb_thread(b, 100, 100, "fc_api", FP_TASK_TARGET);
	for (int i = 0; i < 6; i++) {
		tb_cpu(b, (uint32_t)i % 2);
		tb_pass(b, 2 * TB_S); /* every record becomes a chunk of its own */
		tb_wake(b, 1, 2);
	}
	tb_open(b, 100, 0, "/mnt/memory.bin", 1, 1, 12, 5);
	tb_map(b, 100, 0x1000, 0x2000, 5, 0, "/bin/x");
	tb_run(b, 1, 1, 5, 10, REC_NS_NONE);
	assert_int_equal(tb__finish(b), 0);
	tb__free(b);
}

static void load_sample(struct sample *s, bool compressed)
{
	struct stat st;
	int fd;

	memset(s, 0, sizeof(*s));
	build_sample(compressed);
	fd = open(path, O_RDONLY);
	assert_int_equal(fstat(fd, &st), 0);
	s->size = (size_t)st.st_size;
	s->bytes = malloc(s->size);
	assert_non_null(s->bytes);
	assert_int_equal(read(fd, s->bytes, s->size), s->size);
	close(fd);
	for (size_t at = sizeof(struct rec_file); at < s->size;) {
		const struct rec_chunk *head = (const void *)(s->bytes + at);
		struct rec_events events;
		uLongf size = sizeof(events);

		assert_true(s->chunks_cnt < MAX_CHUNKS);
		s->chunks[s->chunks_cnt].begin = at;
		s->chunks[s->chunks_cnt].end = at + sizeof(*head) + head->size;
		if (head->type == REC_EVENTS) {
			if (head->flags & REC_F_DEFLATE)
				uncompress((Bytef *)&events, &size, (const Bytef *)(head + 1),
					   head->size);
			else
				memcpy(&events, head + 1, sizeof(events));
			s->chunks[s->chunks_cnt].records = events.records;
			s->records += events.records;
		}
		at = (s->chunks[s->chunks_cnt++].end + 7) & ~(size_t)7;
	}
	assert_true(s->chunks_cnt >= 8);
	assert_true(s->records >= 8);
}

static void cut_everywhere(bool compressed)
{
	struct sample s;

	load_sample(&s, compressed);
	for (size_t cut = 0; cut < s.size; cut++) {
		struct trace_reader *r = NULL;
		uint64_t records = 0;
		size_t whole = 0;
		int err;

		while (whole < s.chunks_cnt && s.chunks[whole].end <= cut)
			records += s.chunks[whole++].records;
		save(s.bytes, cut);
		err = trace_reader__open(&r, path);
		assert_int_equal(err, whole ? 0 : -ENODATA);
		if (!err) {
			assert_int_equal(trace_reader__info(r)->events_cnt, records);
			assert_int_equal(read_all(r), records);
			assert_int_equal(trace_reader__info(r)->bad_chunks, 0);
			assert_int_equal(trace_reader__info(r)->complete, whole == s.chunks_cnt);
			assert_true(trace_reader__info(r)->bytes_used >= s.chunks[whole - 1].end);
			assert_true(trace_reader__info(r)->bytes_used <= cut);
		}
		trace_reader__close(r);
	}
	free(s.bytes);
}

static void a_cut_costs_no_whole_chunk(void **state)
{
	cut_everywhere(false);
}

static void a_cut_costs_no_whole_chunk_deflated(void **state)
{
	cut_everywhere(true);
}

/* A byte behind the file's header is changed: the chunk around it is lost, and no other. */
static void check_flip(const struct sample *s, size_t at)
{
	struct trace_reader *r = NULL;
	uint64_t lost = 0, got;
	bool in_chunk = false;

	for (size_t i = 0; i < s->chunks_cnt; i++)
		if (at >= s->chunks[i].begin && at < s->chunks[i].end) {
			lost = s->chunks[i].records;
			in_chunk = true;
		}
	assert_int_equal(trace_reader__open(&r, path), 0);
	got = read_all(r);
	assert_int_equal(got, s->records - lost);
	assert_int_equal(trace_reader__info(r)->bad_chunks, in_chunk);
	trace_reader__close(r);
}

static void flip_everywhere(bool compressed)
{
	static const uint8_t masks[] = { 0xff, 0x01, 0x80 };
	struct sample s;

	load_sample(&s, compressed);
	for (size_t at = 0; at < s.size; at++)
		for (size_t m = 0; m < sizeof(masks); m++) {
			struct trace_reader *r = NULL;

			s.bytes[at] ^= masks[m];
			save(s.bytes, s.size);
			if (at >= sizeof(struct rec_file)) {
				check_flip(&s, at);
			} else if (!trace_reader__open(&r, path)) {
				read_all(
					r); /* the file's header has no CRC: it may mean anything */
				trace_reader__close(r);
			}
			s.bytes[at] ^= masks[m];
		}
	free(s.bytes);
}

static void damage_costs_the_chunk_that_it_hit(void **state)
{
	flip_everywhere(false);
}

static void damage_costs_the_chunk_that_it_hit_deflated(void **state)
{
	flip_everywhere(true);
}

static void garbage_between_chunks_is_skipped(void **state)
{
	struct image i = { 0 };
	struct trace_reader *r;
	uint8_t garbage[200000];

	for (size_t k = 0; k < sizeof(garbage); k++)
		garbage[k] = (uint8_t)(k * 2654435761u >> 13);
	append_file_header(&i, REC_MAJOR, REC_MINOR);
	append_events(&i, 0, 1, &good, sizeof(good));
	append(&i, garbage, sizeof(garbage)); /* over several pieces that are searched */
	append_events(&i, 1, 1, &good, sizeof(good));
	r = open_image(&i);
	assert_int_equal(read_all(r), 2);
	assert_int_equal(trace_reader__info(r)->bad_chunks, 1);
	trace_reader__close(r);
}

/* ---- what is no trace ---- */

static void what_is_no_trace_is_refused(void **state)
{
	static const char text[] =
		"#!/bin/sh\necho a text that is longer than the header of a trace "
		"must be, so that it is looked at\n";
	struct trace_reader *r;
	char fifo[160];

	save("", 0);
	assert_int_equal(trace_reader__open(&r, path), -ENODATA);
	assert_null(r);
	save("x", 1);
	assert_int_equal(trace_reader__open(&r, path), -EINVAL);
	save(text, sizeof(text));
	assert_int_equal(trace_reader__open(&r, path), -EINVAL);
	assert_int_equal(trace_reader__open(&r, dir), -EISDIR);
	assert_int_equal(trace_reader__open(&r, "/dev/null"), -EINVAL);
	assert_int_equal(trace_reader__open(&r, "/nowhere"), -ENOENT);
	snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(trace_reader__open(&r, fifo),
			 -EINVAL); /* and does not wait for a writer */
	trace_reader__close(NULL);
}

static void newer_minor_is_read_newer_major_is_not(void **state)
{
	struct image i = { 0 };
	struct trace_reader *r;

	append_file_header(&i, REC_MAJOR, REC_MINOR + 9);
	append_chunk(&i, 999, 0, "from the future", 15, 15);
	append_chunk(&i, REC_META, 1u << 30, "packed in a new way", 19, 190);
	append_events(&i, 0, 1, &good, sizeof(good));
	r = open_image(&i);
	assert_int_equal(read_all(r), 1);
	assert_int_equal(trace_reader__info(r)->unknown_chunks, 2);
	assert_int_equal(trace_reader__info(r)->bad_chunks, 0);
	trace_reader__close(r);

	append_file_header(&i, REC_MAJOR + 1, 0);
	append_events(&i, 0, 1, &good, sizeof(good));
	save(i.bytes, i.size);
	free(i.bytes);
	assert_int_equal(trace_reader__open(&r, path), -EPROTO);
}

/* ---- what lies, with every CRC right ---- */

static void counts_that_lie_cost_their_chunk(void **state)
{
	static uint8_t zeros[REC_MAX_EVENTS + 8];
	struct image i = { 0 };
	struct trace_reader *r;

	append_file_header(&i, REC_MAJOR, REC_MINOR);
	append_events(&i, 0, 0xffffffff, &good, sizeof(good)); /* more records than bytes */
	append_events(&i, 0, 3, &good, sizeof(good));
	append_events(&i, 2, 1, &good, sizeof(good)); /* a CPU that the header does not know */
	append_events(&i, 0xffffffff, 1, &good, sizeof(good));
	append_chunk(&i, REC_EVENTS, 0, &good, 8, 8); /* too short for its head */
	append_chunk(&i, REC_EVENTS, 0, zeros, sizeof(zeros), sizeof(zeros)); /* too long */
	append_chunk(&i, REC_META, 0, "abc", 3, 4); /* sizes that must be equal */
	append_chunk(&i, REC_END, 0, "abc", 3, 3);
	append_events(&i, 0, 1, &good, sizeof(good));
	r = open_image(&i);
	assert_int_equal(read_all(r), 1);
	assert_int_equal(trace_reader__info(r)->events_cnt, 1);
	assert_int_equal(trace_reader__info(r)->bad_chunks, 8);
	assert_false(trace_reader__info(r)->complete);
	trace_reader__close(r);
}

static void a_length_beyond_the_limit_is_damage(void **state)
{
	struct image i = { 0 };
	struct trace_reader *r;
	struct rec_chunk *head;

	append_file_header(&i, REC_MAJOR, REC_MINOR);
	append_chunk(&i, REC_META, 0, "abcdefgh", 8, 8);
	head = (void *)(i.bytes + sizeof(struct rec_file));
	head->size = head->raw_size = REC_MAX_CHUNK + 1;
	head->head_crc = (uint32_t)crc32(0, (const Bytef *)head,
					 offsetof(struct rec_chunk, head_crc));
	append_events(&i, 0, 1, &good, sizeof(good));
	r = open_image(&i);
	assert_int_equal(read_all(r), 1);
	assert_int_equal(trace_reader__info(r)->bad_chunks, 1);
	trace_reader__close(r);
}

static void streams_that_lie_cost_their_chunk(void **state)
{
	struct image i = { 0 };
	struct trace_reader *r;
	uint8_t *bomb = calloc(1, REC_MAX_CHUNK);
	struct rec_events head = { 0, 1, 0, ~0ull };
	uint8_t payload[sizeof(head) + sizeof(good)];
	size_t size;

	assert_non_null(bomb);
	memcpy(payload, &head, sizeof(head));
	memcpy(payload + sizeof(head), &good, sizeof(good));
	append_file_header(&i, REC_MAJOR, REC_MINOR);
	append_deflated(&i, REC_META, "short", 5, REC_MAX_CHUNK); /* says more than it holds */
	append_deflated(&i, REC_META, bomb, REC_MAX_CHUNK, 10);	  /* holds more than it says */
	append_chunk(&i, REC_META, REC_F_DEFLATE, "no stream", 9, 100);
	append_chunk(&i, REC_META, REC_F_DEFLATE, "", 0, 100);
	append_deflated(&i, REC_META, "good", 4, 4);
	append_deflated(&i, REC_EVENTS, payload, sizeof(payload), sizeof(payload) + 32);
	append_deflated(&i, REC_EVENTS, payload, sizeof(payload), sizeof(payload) - 8);
	append_deflated(&i, REC_EVENTS, payload, 10, sizeof(payload));
	append_deflated(&i, REC_EVENTS, bomb, REC_MAX_CHUNK, REC_MAX_CHUNK);
	append_deflated(&i, REC_EVENTS, payload, sizeof(payload), sizeof(payload));
	free(bomb);
	r = open_image(&i);
	assert_string_equal(trace_reader__chunk(r, REC_META, 0, &size), "good");
	assert_int_equal(size, 4);
	assert_null(trace_reader__chunk(r, REC_META, 1, &size));
	assert_int_equal(read_all(r), 1);
	assert_int_equal(read_all(r), 1); /* counted once, however often it is read */
	assert_int_equal(trace_reader__info(r)->bad_chunks, 8);
	assert_int_equal(trace_reader__info(r)->events_cnt, 1);
	trace_reader__close(r);
}

static void a_file_that_shrinks_is_no_danger(void **state)
{
	struct trace_reader *r;
	struct trace_event ev;
	struct sample s;
	size_t size;

	load_sample(&s, false);
	free(s.bytes);
	assert_int_equal(trace_reader__open(&r, path), 0);
	assert_int_equal(trace_reader__next(r, &ev), 1);
	assert_int_equal(truncate(path, 100), 0);
	while (trace_reader__next(r, &ev) > 0)
		assert_true(ev.hdr->size >= sizeof(*ev.hdr));
	assert_null(trace_reader__chunk(r, REC_META, 0, &size));
	assert_true(trace_reader__info(r)->bad_chunks > 0);
	trace_reader__close(r);
}

static int make_dir(void **state)
{
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/trace.fpt", dir);
	return 0;
}

static int remove_dir(void **state)
{
	char command[160];

	snprintf(command, sizeof(command), "rm -r '%s'", dir);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cut_costs_no_whole_chunk),
		cmocka_unit_test(a_cut_costs_no_whole_chunk_deflated),
		cmocka_unit_test(damage_costs_the_chunk_that_it_hit),
		cmocka_unit_test(damage_costs_the_chunk_that_it_hit_deflated),
		cmocka_unit_test(garbage_between_chunks_is_skipped),
		cmocka_unit_test(what_is_no_trace_is_refused),
		cmocka_unit_test(newer_minor_is_read_newer_major_is_not),
		cmocka_unit_test(counts_that_lie_cost_their_chunk),
		cmocka_unit_test(a_length_beyond_the_limit_is_damage),
		cmocka_unit_test(streams_that_lie_cost_their_chunk),
		cmocka_unit_test(a_file_that_shrinks_is_no_danger),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
