// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Appends chunks to a trace file.
 *
 * The file is never longer than its last whole chunk: a chunk that cannot be written completely
 * is cut off again. Room is allocated ahead of what is written, so that a disk that fills up is
 * noticed while there is still space for what makes the trace readable: symbols, loss and the end.
 */
#include "writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include <zlib.h>

#include "../../bpf/abi.h"
#include "../clock.h"
#include "../log.h"

#define BUFFER_BYTES  (64u << 10)  /* records of one CPU that become one chunk */
#define AHEAD_BYTES   (4ull << 20) /* steps in which room is allocated */
#define TAIL_BYTES    (256u << 10) /* room that events leave to the chunks of the end */
#define END_BYTES     64	   /* room that those leave to REC_END */
#define MAX_PARTS     12
#define MAX_AGE_NS    1000000000ull
#define TICK_NS	      250000000ull
#define CHUNK_ALIGN   8
#define DEFLATE_LEVEL 1

struct cpu_buffer {
	uint8_t *data; /* BUFFER_BYTES, allocated with the CPU's first record */
	uint32_t used;
	uint32_t records;
	uint64_t oldest_ns; /* time of the first record in it */
	uint64_t first_ns, last_ns;
};

struct trace_writer {
	int fd;
	int err;   /* the first error that is no lack of space; nothing is written after it */
	bool full; /* the disk was full once */
	bool reserves;
	bool compress;
	char *path;
	uint64_t bytes;	       /* end of the last whole chunk */
	uint64_t reserved_end; /* blocks are allocated up to here */
	uint64_t events_cnt;
	uint64_t next_tick_ns;
	struct cpu_buffer *cpus;
	uint32_t cpus_cnt;
	uint8_t *deflated; /* grows to what the largest chunk needed */
	size_t deflated_size;
};

static bool is_lack_of_space(int err)
{
	return err == -ENOSPC || err == -EDQUOT || err == -EFBIG;
}

/* Remembers and says an error once; lack of space is -ENOSPC to callers, whatever it was. */
static int writer__fail(struct trace_writer *w, int err)
{
	if (is_lack_of_space(err)) {
		if (!w->bytes)
			log_err(err, "no room for a trace at %s, which wants %u KiB at least",
				w->path, TAIL_BYTES >> 10);
		else if (!w->full)
			log_err(err, "no room for the trace %s; what was recorded is kept",
				w->path);
		w->full = true;
		return -ENOSPC;
	}
	if (!w->err)
		w->err = log_err(err, "cannot write the trace %s", w->path);
	return w->err;
}

static int allocate(int fd, uint64_t from, uint64_t to)
{
	int err;

	do
		err = fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)from, (off_t)(to - from)) ? -errno
											  : 0;
	while (err == -EINTR);
	return err;
}

/*
 * Makes sure that `size` bytes can be written and `keep` more after them. File systems without
 * fallocate are not asked again: there a chunk that fails is cut off, and that is all.
 */
static int writer__reserve(struct trace_writer *w, uint64_t size, uint64_t keep)
{
	uint64_t need = w->bytes + size + keep;
	int err;

	if (!w->reserves || need <= w->reserved_end)
		return 0;
	if (w->full)
		return -ENOSPC;
	err = allocate(w->fd, w->reserved_end, need + AHEAD_BYTES);
	if (!err) {
		w->reserved_end = need + AHEAD_BYTES;
		return 0;
	}
	if (err == -ENOSPC || err == -EDQUOT) {
		err = allocate(w->fd, w->reserved_end, need);
		if (!err)
			w->reserved_end = need;
		return err;
	}
	w->reserves = false;
	return 0;
}

static void advance(struct iovec **iov, int *cnt, size_t written)
{
	while (*cnt && written >= (*iov)->iov_len) {
		written -= (*iov)->iov_len;
		(*iov)++;
		(*cnt)--;
	}
	if (*cnt) {
		(*iov)->iov_base = (char *)(*iov)->iov_base + written;
		(*iov)->iov_len -= written;
	}
}

static int write_all(int fd, struct iovec *iov, int cnt, uint64_t offset)
{
	advance(&iov, &cnt, 0); /* parts of no bytes in front */
	while (cnt) {
		ssize_t n = pwritev(fd, iov, cnt, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		offset += (uint64_t)n;
		advance(&iov, &cnt, (size_t)n);
	}
	return 0;
}

/* Writes all or nothing at the end of the file. */
static int writer__append(struct trace_writer *w, struct iovec *iov, int cnt, uint64_t keep)
{
	uint64_t size = 0;
	int err;

	for (int i = 0; i < cnt; i++)
		size += iov[i].iov_len;
	err = writer__reserve(w, size, keep);
	if (err)
		return writer__fail(w, err);
	err = write_all(w->fd, iov, cnt, w->bytes);
	if (!err) {
		w->bytes += size;
		return 0;
	}
	/* ftruncate also gives back what was allocated ahead; it is asked for again. */
	if (ftruncate(w->fd, (off_t)w->bytes) == 0)
		w->reserved_end = w->bytes;
	return writer__fail(w, err);
}

/* Deflates parts into w->deflated; 0 bytes when that would not make them smaller. */
static int writer__deflate(struct trace_writer *w, const struct trace_part *parts, int parts_cnt,
			   size_t raw_size, size_t *size)
{
	z_stream z = { 0 };
	int zerr = Z_OK;

	*size = 0;
	if (w->deflated_size < raw_size) {
		uint8_t *grown = realloc(w->deflated, raw_size);

		if (!grown)
			return -ENOMEM;
		w->deflated = grown;
		w->deflated_size = raw_size;
	}
	if (deflateInit(&z, DEFLATE_LEVEL) != Z_OK)
		return -ENOMEM;
	z.next_out = w->deflated;
	z.avail_out = (uInt)raw_size;
	for (int i = 0; i < parts_cnt && zerr == Z_OK; i++) {
		z.next_in = (Bytef *)parts[i].data;
		z.avail_in = (uInt)parts[i].size;
		if (z.avail_in)
			zerr = deflate(&z, Z_NO_FLUSH);
	}
	if (zerr == Z_OK && !z.avail_in)
		zerr = deflate(&z, Z_FINISH);
	if (zerr == Z_STREAM_END && z.total_out < raw_size)
		*size = z.total_out;
	deflateEnd(&z);
	return 0;
}

static uint32_t parts_crc(const struct trace_part *parts, int parts_cnt)
{
	uLong crc = crc32(0, NULL, 0);

	for (int i = 0; i < parts_cnt; i++)
		if (parts[i].size)
			crc = crc32(crc, parts[i].data, (uInt)parts[i].size);
	return (uint32_t)crc;
}

static int writer__put(struct trace_writer *w, enum rec_type type, const struct trace_part *parts,
		       int parts_cnt, uint64_t keep)
{
	static const char padding[CHUNK_ALIGN];
	struct rec_chunk head = { .type = type };
	struct trace_part packed = { .data = NULL };
	struct iovec iov[MAX_PARTS + 2];
	size_t size = 0;
	int cnt = 0, err;

	for (int i = 0; i < parts_cnt; i++)
		size += parts[i].size;
	if (parts_cnt > MAX_PARTS || size > REC_MAX_CHUNK)
		return log_err(-E2BIG, "a chunk of %zu bytes does not go into a trace", size);
	head.raw_size = (uint32_t)size;
	if (w->compress && size) {
		err = writer__deflate(w, parts, parts_cnt, size, &packed.size);
		if (err)
			return writer__fail(w, err);
	}
	if (packed.size) {
		packed.data = w->deflated;
		parts = &packed;
		parts_cnt = 1;
		head.flags = REC_F_DEFLATE;
		size = packed.size;
	}
	head.size = (uint32_t)size;
	head.crc32 = parts_crc(parts, parts_cnt);
	head.head_crc = (uint32_t)crc32(0, (const Bytef *)&head,
					offsetof(struct rec_chunk, head_crc));
	iov[cnt++] = (struct iovec){ &head, sizeof(head) };
	for (int i = 0; i < parts_cnt; i++)
		iov[cnt++] = (struct iovec){ (void *)parts[i].data, parts[i].size };
	iov[cnt++] = (struct iovec){ (void *)padding, -size % CHUNK_ALIGN };
	return writer__append(w, iov, cnt, keep);
}

static int cpu__flush(struct trace_writer *w, uint32_t cpu, uint64_t keep)
{
	struct cpu_buffer *b = &w->cpus[cpu];
	struct rec_events head = { cpu, b->records, b->first_ns, b->last_ns };
	struct trace_part parts[] = { { &head, sizeof(head) }, { b->data, b->used } };
	int err;

	if (!b->used)
		return 0;
	err = writer__put(w, REC_EVENTS, parts, 2, keep);
	if (err)
		return err; /* the buffer stays: trace_writer__finish tries again */
	b->used = 0;
	b->records = 0;
	return 0;
}

static int flush_all(struct trace_writer *w, uint64_t keep)
{
	int err = 0;

	for (uint32_t cpu = 0; cpu < w->cpus_cnt && !err; cpu++)
		err = cpu__flush(w, cpu, keep);
	return err;
}

int trace_writer__flush(struct trace_writer *w)
{
	if (w->err)
		return w->err;
	return w->full ? -ENOSPC : flush_all(w, TAIL_BYTES);
}

int trace_writer__tick(struct trace_writer *w, uint64_t now)
{
	int err = 0;

	if (w->err)
		return w->err;
	if (w->full)
		return -ENOSPC;
	w->next_tick_ns = now + TICK_NS;
	for (uint32_t cpu = 0; cpu < w->cpus_cnt && !err; cpu++) {
		const struct cpu_buffer *b = &w->cpus[cpu];

		if (b->used && now > b->oldest_ns && now - b->oldest_ns >= MAX_AGE_NS)
			err = cpu__flush(w, cpu, TAIL_BYTES);
	}
	return err;
}

static void cpu__append(struct cpu_buffer *b, const struct ev_hdr *hdr, size_t size)
{
	if (!b->used) {
		b->oldest_ns = hdr->ts_ns;
		b->first_ns = hdr->ts_ns;
		b->last_ns = hdr->ts_ns;
	}
	if (hdr->ts_ns < b->first_ns)
		b->first_ns = hdr->ts_ns;
	if (hdr->ts_ns > b->last_ns)
		b->last_ns = hdr->ts_ns;
	memcpy(b->data + b->used, hdr, size);
	b->used += (uint32_t)size;
	b->records++;
}

int trace_writer__event(struct trace_writer *w, uint32_t cpu, const void *ev, size_t size)
{
	const struct ev_hdr *hdr = ev;
	struct cpu_buffer *b;
	int err;

	if (w->err)
		return w->err;
	if (w->full)
		return -ENOSPC;
	if (cpu >= w->cpus_cnt || size < sizeof(*hdr) || size % 8 || hdr->size != size)
		return log_err(-EINVAL, "a record of %zu bytes on CPU %u is malformed", size, cpu);
	b = &w->cpus[cpu];
	if (!b->data) {
		b->data = malloc(BUFFER_BYTES);
		if (!b->data)
			return writer__fail(w, -ENOMEM);
	}
	if (b->used + size > BUFFER_BYTES) {
		err = cpu__flush(w, cpu, TAIL_BYTES);
		if (err)
			return err;
	}
	cpu__append(b, hdr, size);
	w->events_cnt++;
	return hdr->ts_ns >= w->next_tick_ns ? trace_writer__tick(w, hdr->ts_ns) : 0;
}

int trace_writer__chunk(struct trace_writer *w, enum rec_type type, const struct trace_part *parts,
			int parts_cnt)
{
	return w->err ? w->err : writer__put(w, type, parts, parts_cnt, END_BYTES);
}

uint64_t trace_writer__bytes(const struct trace_writer *w)
{
	return w->bytes;
}

uint64_t trace_writer__events(const struct trace_writer *w)
{
	return w->events_cnt;
}

bool trace_writer__full(const struct trace_writer *w)
{
	return w->full;
}

static void writer__free(struct trace_writer *w)
{
	if (!w)
		return;
	if (w->fd >= 0)
		close(w->fd);
	for (uint32_t cpu = 0; w->cpus && cpu < w->cpus_cnt; cpu++)
		free(w->cpus[cpu].data);
	free(w->cpus);
	free(w->deflated);
	free(w->path);
	free(w);
}

static int writer__create(struct trace_writer *w)
{
	w->fd = open(w->path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (w->fd >= 0)
		return 0;
	if (errno == EEXIST)
		return log_err(-EEXIST, "%s is there already and is not overwritten", w->path);
	return log_err(-errno, "cannot create the trace %s", w->path);
}

static int writer__begin(struct trace_writer *w, const struct trace_writer_opts *opts)
{
	struct rec_file head = {
		.major = REC_MAJOR,
		.minor = REC_MINOR,
		.header_size = sizeof(head),
		.start_ns = opts->start_ns ? opts->start_ns : clock_ns(CLOCK_MONOTONIC),
		.start_real_ns = opts->start_real_ns ? opts->start_real_ns
						     : clock_ns(CLOCK_REALTIME),
		.cpus_cnt = opts->cpus_cnt,
		.abi_kinds = EV_KIND_END,
	};
	struct iovec iov = { &head, sizeof(head) };

	memcpy(head.magic, REC_MAGIC, sizeof(head.magic));
	return writer__append(w, &iov, 1, TAIL_BYTES);
}

int trace_writer__open(struct trace_writer **out, const char *path,
		       const struct trace_writer_opts *opts)
{
	struct trace_writer *w;
	int err;

	*out = NULL;
	if (!opts->cpus_cnt || opts->cpus_cnt > REC_MAX_CPUS)
		return log_err(-EINVAL, "a trace of %u CPUs cannot be written", opts->cpus_cnt);
	w = calloc(1, sizeof(*w));
	if (!w)
		return log_err(-ENOMEM, "cannot open the trace %s", path);
	w->fd = -1;
	w->reserves = true;
	w->compress = opts->compress;
	w->cpus_cnt = opts->cpus_cnt;
	w->cpus = calloc(opts->cpus_cnt, sizeof(*w->cpus));
	w->path = strdup(path);
	err = w->cpus && w->path ? writer__create(w) : log_err(-ENOMEM, "cannot open %s", path);
	if (err)
		goto out;
	err = writer__begin(w, opts);
	if (err)
		unlink(path); /* made by us just now, and of no use */
out:
	if (err)
		writer__free(w);
	else
		*out = w;
	return err;
}

int trace_writer__finish(struct trace_writer *w, uint64_t end_ns, int reason)
{
	struct rec_end end = { .end_ns = end_ns };
	struct trace_part part = { &end, sizeof(end) };
	int err, end_err = 0;

	if (!w)
		return 0;
	err = w->err ? w->err : flush_all(w, END_BYTES);
	if (!w->err) {
		end.events_cnt = w->events_cnt;
		end.reason = w->full ? REC_REASON_NO_SPACE : reason;
		for (uint32_t cpu = 0; cpu < w->cpus_cnt; cpu++)
			end.events_cnt -= w->cpus[cpu].records; /* those that found no room */
		end_err = writer__put(w, REC_END, &part, 1, 0);
		/* Gives back what was allocated ahead; it lies behind the end and hurts nobody. */
		if (!end_err && ftruncate(w->fd, (off_t)w->bytes))
			end_err = writer__fail(w, -errno);
	}
	if (!err)
		err = end_err ? end_err : w->full ? -ENOSPC : 0;
	if (close(w->fd) && !err)
		err = writer__fail(w, -errno);
	w->fd = -1;
	writer__free(w);
	return err;
}

void trace_writer__abandon(struct trace_writer *w)
{
	if (!w)
		return;
	if (!w->err && !w->full)
		flush_all(w, TAIL_BYTES);
	if (ftruncate(w->fd, (off_t)w->bytes))
		log_debug("%s keeps blocks behind its end", w->path);
	writer__free(w);
}
