/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What the fixer is about to do, written down before it does it, so that `fix revert` can finish
 * after kill -9 at any time. A file of records, append-only; each has a header with its own CRC32C
 * and a JSON object with another. A file that ends inside its last record is a write that was cut
 * (the action it announced was not begun); any other damage, and any kind or version that we do
 * not know, is refused.
 */
#ifndef FLATPAUSE_JOURNAL_H
#define FLATPAUSE_JOURNAL_H

#include <jansson.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#define JOURNAL_MAGIC	    "FPFIXJNL"
#define JOURNAL_VERSION	    1
#define JOURNAL_BYTES_MAX   (64u << 20)
#define JOURNAL_PAYLOAD_MAX 65536u

/* Kinds are numbered for good: append only. */
enum rec_kind {
	REC_INTENT = 1, /* what is applied, to which directory: always the first */
	REC_DAEMON = 2, /* who does it: pid, start time, boot id */
	REC_PLANT = 3,	/* a spare or a link is about to appear in a new directory */
	REC_FILE = 4,	/* what became of a file: see file_state */
	REC_NOTE = 5,	/* a warning worth showing in `fix status` */
	REC_KNOB = 6,	/* a setting is about to be changed: struct knob */
	REC_KIND_END
};

struct journal_header {
	char magic[8];
	uint32_t version;
	uint32_t crc; /* of the 12 bytes above */
};

struct journal_rec {
	uint32_t kind;
	uint32_t len;	  /* of the JSON text that follows */
	uint64_t seq;	  /* 1, 2, 3, ... */
	uint64_t time_ns; /* CLOCK_REALTIME */
	uint32_t payload_crc;
	uint32_t crc; /* of the 28 bytes above */
};

_Static_assert(sizeof(struct journal_header) == 16, "on disk");
_Static_assert(sizeof(struct journal_rec) == 32, "on disk");

struct journal {
	int fd;
	uint64_t seq, end; /* of the last record; the offset behind it */
	int broken; /* half a record could not be cut off again: nothing may come behind it */
	pthread_mutex_t lock;
};

/* Begins an empty file; or goes on behind the last whole record, `seq` as journal__read() gave it. */
int journal__begin(struct journal *j, int fd);
int journal__continue(struct journal *j, int fd, uint64_t seq, uint64_t end);

/* Appends a record; steals `body`. `durable`: on disk when this returns. Any thread. 0 or -errno. */
int journal__append(struct journal *j, enum rec_kind kind, json_t *body, int durable);

struct journal_read {
	uint64_t seq; /* of the last record */
	uint64_t end; /* offset behind it */
	int torn;     /* the file ended inside a record behind that */
};

typedef int (*journal_fn)(const struct journal_rec *rec, json_t *body, void *arg);

/*
 * Calls fn for each record of a journal in memory; fn's non-zero ends it. 0, fn's value, -EBADMSG
 * (damaged) or -EPROTONOSUPPORT (from another version); *why says what is wrong.
 */
int journal__parse(const void *data, size_t size, journal_fn fn, void *arg,
		   struct journal_read *read, const char **why);

/* The same from a descriptor; -EFBIG above JOURNAL_BYTES_MAX. */
int journal__read(int fd, journal_fn fn, void *arg, struct journal_read *read, const char **why);

#endif
