// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "journal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../user/clock.h"
#include "crc32c.h"
#include "lock.h"

static int write_all(int fd, const void *data, size_t len, uint64_t at)
{
	const char *p = data;

	while (len) {
		ssize_t n = pwrite(fd, p, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		p += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int journal__begin(struct journal *j, int fd)
{
	struct journal_header h = { .version = JOURNAL_VERSION };

	memcpy(h.magic, JOURNAL_MAGIC, sizeof(h.magic));
	h.crc = crc32c(0, &h, offsetof(struct journal_header, crc));
	*j = (struct journal){ .fd = fd, .end = sizeof(h) };
	urgent_lock__init(&j->lock);
	return write_all(fd, &h, sizeof(h), 0);
}

/* A torn tail is cut off first: behind it nothing could be read again. */
int journal__continue(struct journal *j, int fd, uint64_t seq, uint64_t end)
{
	*j = (struct journal){ .fd = fd, .seq = seq, .end = end };
	/* the planter writes down what it does before an open goes on */
	urgent_lock__init(&j->lock);
	return ftruncate(fd, (off_t)end) ? -errno : 0;
}

/* All of it or nothing: a disk that is full in the middle must not leave half a record. */
static int append_whole(struct journal *j, const void *rec, size_t len)
{
	int err = j->broken ? j->broken : write_all(j->fd, rec, len, j->end);

	if (!err) {
		j->end += len;
		j->seq++;
	} else if (!j->broken && ftruncate(j->fd, (off_t)j->end)) {
		j->broken = err;
	}
	return err;
}

int journal__append(struct journal *j, enum rec_kind kind, json_t *body, int durable)
{
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL, *whole = NULL;
	struct journal_rec rec = { .kind = kind, .time_ns = clock_ns(CLOCK_REALTIME) };
	int err = -ENOMEM;

	json_decref(body);
	if (!text)
		return -ENOMEM;
	rec.len = (uint32_t)strlen(text);
	if (rec.len > JOURNAL_PAYLOAD_MAX) {
		err = -E2BIG;
		goto out;
	}
	rec.payload_crc = crc32c(0, text, rec.len);
	whole = malloc(sizeof(rec) + rec.len);
	if (!whole)
		goto out;
	pthread_mutex_lock(&j->lock);
	rec.seq = j->seq + 1;
	rec.crc = crc32c(0, &rec, offsetof(struct journal_rec, crc));
	memcpy(whole, &rec, sizeof(rec));
	memcpy(whole + sizeof(rec), text, rec.len);
	err = append_whole(j, whole, sizeof(rec) + rec.len);
	pthread_mutex_unlock(&j->lock);
	if (!err && durable && fdatasync(j->fd))
		err = -errno;
out:
	free(whole);
	free(text);
	return err;
}

static int parse_header(const char *data, size_t size, const char **why)
{
	struct journal_header h;

	*why = "it is no journal of flatpause-fixer";
	if (size < sizeof(h))
		return -EBADMSG;
	memcpy(&h, data, sizeof(h));
	if (memcmp(h.magic, JOURNAL_MAGIC, sizeof(h.magic)) != 0)
		return -EBADMSG;
	*why = "its header is damaged";
	if (h.crc != crc32c(0, &h, offsetof(struct journal_header, crc)))
		return -EBADMSG;
	*why = "it was written by another version of flatpause-fixer; use that version";
	return h.version == JOURNAL_VERSION ? 0 : -EPROTONOSUPPORT;
}

/* Checks the header of the record at p; its length can be trusted behind this. */
static int check_rec(const struct journal_rec *rec, uint64_t seq, const char **why)
{
	*why = "a record in it is damaged";
	if (rec->crc != crc32c(0, rec, offsetof(struct journal_rec, crc)))
		return -EBADMSG;
	if (rec->seq != seq || rec->len > JOURNAL_PAYLOAD_MAX)
		return -EBADMSG;
	*why = "it has records of a newer flatpause-fixer; use that version";
	return rec->kind >= REC_INTENT && rec->kind < REC_KIND_END ? 0 : -EPROTONOSUPPORT;
}

static int parse_payload(const struct journal_rec *rec, const char *text, journal_fn fn, void *arg,
			 const char **why)
{
	json_t *body;
	int err;

	*why = "a record in it is damaged";
	if (rec->payload_crc != crc32c(0, text, rec->len))
		return -EBADMSG;
	body = json_loadb(text, rec->len, 0, NULL);
	if (!body)
		return -EBADMSG;
	err = fn(rec, body, arg);
	json_decref(body);
	return err;
}

int journal__parse(const void *data, size_t size, journal_fn fn, void *arg,
		   struct journal_read *read, const char **why)
{
	const char *p = data, *end = p + size;
	int err = parse_header(p, size, why);

	*read = (struct journal_read){ 0 };
	if (err)
		return err;
	p += sizeof(struct journal_header);
	while (p < end) {
		struct journal_rec rec;

		read->end = (uint64_t)(p - (const char *)data);
		if ((size_t)(end - p) < sizeof(rec)) {
			read->torn = 1;
			return 0;
		}
		memcpy(&rec, p, sizeof(rec));
		err = check_rec(&rec, read->seq + 1, why);
		if (err)
			return err;
		p += sizeof(rec);
		if ((size_t)(end - p) < rec.len) {
			read->torn = 1;
			return 0;
		}
		err = parse_payload(&rec, p, fn, arg, why);
		if (err)
			return err;
		p += rec.len;
		read->seq = rec.seq;
	}
	read->end = size;
	return 0;
}

int journal__read(int fd, journal_fn fn, void *arg, struct journal_read *read, const char **why)
{
	struct stat st;
	size_t done = 0;
	char *data;
	int err = 0;

	*why = "it cannot be read";
	if (fstat(fd, &st))
		return -errno;
	if (st.st_size > JOURNAL_BYTES_MAX)
		return -EFBIG;
	data = malloc((size_t)st.st_size + 1);
	if (!data)
		return -ENOMEM;
	while (done < (size_t)st.st_size) {
		ssize_t n = pread(fd, data + done, (size_t)st.st_size - done, (off_t)done);

		if (n <= 0) {
			err = n ? -errno : 0;
			break;
		}
		done += (size_t)n;
	}
	if (!err)
		err = journal__parse(data, done, fn, arg, read, why);
	free(data);
	return err;
}
