// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Opens a trace file and gives its chunks.
 *
 * The file is read with pread into bounded buffers, not mapped: a file that is truncated while it
 * is read is then a short read and no SIGBUS, a record cannot change between its check and its
 * use, and what is resident is one chunk per CPU, whatever the size of the file.
 */
#include "reader_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "../log.h"

/* Only a file made to hurt needs more: chunks of 64 KiB that inflate to 64 MiB each. */
#define MAX_HELD_BYTES (512ull << 20)

ssize_t reader__pread(const struct trace_reader *r, void *to, size_t size, uint64_t offset)
{
	size_t got = 0;

	while (got < size) {
		ssize_t n = pread(r->fd, (char *)to + got, size - got, (off_t)(offset + got));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	return (ssize_t)got;
}

size_t inflate_begin(void *to, size_t raw_size, const void *from, size_t size)
{
	z_stream z = { .next_in = (Bytef *)from,
		       .avail_in = (uInt)size,
		       .next_out = to,
		       .avail_out = (uInt)raw_size };
	int zerr;

	if (inflateInit(&z) != Z_OK)
		return 0;
	zerr = inflate(&z, Z_SYNC_FLUSH);
	inflateEnd(&z);
	return zerr == Z_OK || zerr == Z_STREAM_END ? z.total_out : 0;
}

/* A stream that is shorter or longer than it was said to be is damage. */
static bool inflate_all(uint8_t *to, uLongf raw_size, const uint8_t *from, size_t size)
{
	uLongf got = raw_size;

	return uncompress(to, &got, from, (uLong)size) == Z_OK && got == raw_size;
}

uint8_t *reader__grow(struct trace_reader *r, uint8_t *old, size_t old_size, size_t size)
{
	uint8_t *grown;

	if (old && old_size >= size)
		return old;
	if (r->held_bytes - old_size + size > MAX_HELD_BYTES) {
		log_err(-ENOMEM, "%s asks for more memory than a trace ever needs", r->path);
		return NULL;
	}
	grown = realloc(old, size);
	if (!grown) {
		log_err(-ENOMEM, "cannot read %s", r->path);
		return NULL;
	}
	r->held_bytes += size - old_size;
	return grown;
}

int reader__payload(struct trace_reader *r, const struct chunk_ref *c, uint8_t *to)
{
	bool packed = c->flags & REC_F_DEFLATE;
	uint8_t *grown;
	ssize_t n;

	if (packed) {
		grown = reader__grow(r, r->packed, r->packed_size, (size_t)c->size + 1);
		if (!grown)
			return -ENOMEM;
		if (r->packed_size < (size_t)c->size + 1)
			r->packed_size = (size_t)c->size + 1;
		r->packed = grown;
	}
	n = reader__pread(r, packed ? r->packed : to, c->size, c->offset);
	if (n < 0)
		return log_err((int)n, "cannot read %s", r->path);
	if ((size_t)n != c->size)
		return -EBADMSG;
	if (packed && !inflate_all(to, c->raw_size, r->packed, c->size))
		return -EBADMSG;
	return 0;
}

/* ---- chunks ---- */

/* First chunk of a type, or where it would stand. */
static size_t lower_bound(const struct trace_reader *r, uint32_t type)
{
	size_t low = 0, high = r->chunks_cnt;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (r->chunks[mid].type < type)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void drop_chunk(struct trace_reader *r, size_t i)
{
	memmove(&r->chunks[i], &r->chunks[i + 1], (r->chunks_cnt - i - 1) * sizeof(r->chunks[0]));
	r->chunks_cnt--;
	r->info.bad_chunks++;
}

static int load_chunk(struct trace_reader *r, struct chunk_ref *c)
{
	size_t size = (size_t)c->raw_size + 1;
	uint8_t *payload = reader__grow(r, NULL, 0, size);
	int err;

	if (!payload)
		return -ENOMEM;
	err = reader__payload(r, c, payload);
	if (err) {
		free(payload);
		r->held_bytes -= size;
		return err;
	}
	payload[c->raw_size] = 0;
	c->payload = payload;
	return 0;
}

const void *trace_reader__chunk(struct trace_reader *r, enum rec_type type, uint32_t n,
				size_t *size)
{
	size_t i = lower_bound(r, (uint32_t)type);

	if (n >= r->chunks_cnt - i)
		return NULL;
	i += n;
	while (i < r->chunks_cnt && r->chunks[i].type == (uint32_t)type) {
		struct chunk_ref *c = &r->chunks[i];
		int err = c->payload ? 0 : load_chunk(r, c);

		if (!err) {
			*size = c->raw_size;
			return c->payload;
		}
		if (err != -EBADMSG)
			return NULL;
		drop_chunk(r, i); /* the next one takes its number */
	}
	return NULL;
}

const struct trace_info *trace_reader__info(const struct trace_reader *r)
{
	return &r->info;
}

/* ---- life ---- */

static int open_file(struct trace_reader *r)
{
	struct stat st;

	/* O_NONBLOCK: a FIFO without a writer would hold us for ever. */
	r->fd = open(r->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (r->fd < 0)
		return log_err(-errno, "cannot open the trace %s", r->path);
	if (fstat(r->fd, &st))
		return log_err(-errno, "cannot open the trace %s", r->path);
	if (S_ISDIR(st.st_mode))
		return log_err(-EISDIR, "%s is no flatpause trace", r->path);
	if (!S_ISREG(st.st_mode))
		return log_err(-EINVAL, "%s is no file; a trace is read from a regular file",
			       r->path);
	r->info.bytes = (uint64_t)st.st_size;
	return 0;
}

int trace_reader__open(struct trace_reader **out, const char *path)
{
	struct trace_reader *r = calloc(1, sizeof(*r));
	int err;

	*out = NULL;
	if (!r)
		return log_err(-ENOMEM, "cannot open the trace %s", path);
	r->fd = -1;
	r->info.file = &r->file;
	r->path = strdup(path);
	err = r->path ? open_file(r) : log_err(-ENOMEM, "cannot open the trace %s", path);
	if (!err)
		err = reader__index(r);
	if (!err)
		err = reader__make_cursors(r);
	if (err)
		trace_reader__close(r);
	else
		*out = r;
	return err;
}

void trace_reader__close(struct trace_reader *r)
{
	if (!r)
		return;
	reader__free_cursors(r);
	for (size_t i = 0; i < r->chunks_cnt; i++)
		free(r->chunks[i].payload);
	free(r->chunks);
	free(r->events);
	free(r->packed);
	free(r->path);
	if (r->fd >= 0)
		close(r->fd);
	free(r);
}
