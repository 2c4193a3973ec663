/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Requests of block devices: how long each took, and which of them an earlier window left behind.
 *
 * Carry-over. While a thread waits for a device in [a, b), the device completes bytes. Of these,
 * "old" are (1) requests whose bio was queued before the window began, and (2) background writes
 * (no REQ_SYNC) up to the amount that was dirty when it began: writeback takes the oldest pages
 * first. That amount is what targets wrote to files on the device and was not yet queued to it;
 * where nothing was seen to be written, the last balance_dirty_pages record says it; where there
 * is neither, it is 0. The carry-over of the wait is its length times old bytes / all bytes.
 */
#ifndef FLATPAUSE_ANALYZE_DEVICE_H
#define FLATPAUSE_ANALYZE_DEVICE_H

#include <stdbool.h>
#include <stdint.h>
#include "../trace/reader.h"
#include "kernel_work.h"
#include "vec.h"

#define DEVICES_MAX 16

struct device {
	uint32_t dev;
	uint64_t written_bytes; /* by targets, to files on it */
	uint64_t queued_bytes;	/* writes that reached it */
	uint64_t bdi_dirty_bytes;
	uint64_t bdi_dirty_ns; /* when that was said; 0 = never */
};

/* What was dirty on each device when a window began. */
struct backlog {
	struct {
		uint32_t dev;
		uint64_t bytes;
	} of[DEVICES_MAX];
	uint32_t cnt;
};

#define SUBMITTERS 4

/* A completed request. Its number is given to another one after that. */
struct done {
	uint64_t queue_ns; /* of its first bio; its own begin, where no bio was seen */
	uint64_t getrq_ns, insert_ns, issue_ns, complete_ns; /* 0 = not seen */
	uint64_t ino; /* that the first submitter was writing back; 0 = not known */
	uint32_t ino_dev;
	uint32_t dev;
	uint32_t bytes;
	uint32_t rq;
	uint32_t opf;
	uint32_t getrq_tid;
	uint32_t submitter[SUBMITTERS]; /* earliest first */
	uint16_t submitters;		/* 0 = no bio was seen */
	uint16_t merged;		/* bios that came to the first one */
};

struct bio_entry;
struct rq_entry;

struct devices {
	struct device dev[DEVICES_MAX];
	uint32_t cnt;
	struct bio_entry *bios;	    /* by place on the device */
	struct bio_entry *bios_end; /* by the place behind them */
	struct rq_entry *rqs;
	struct vec done; /* struct done, by completion */
	bool no_memory;
};

/* `inode`: what the thread of the record is writing back; its ino 0 = not known. */
void devices__event(struct devices *d, const struct trace_event *ev, uint64_t keep_ns,
		    const struct inode_mark *inode);
void devices__written(struct devices *d, uint32_t dev, uint64_t bytes);
void devices__backlog(const struct devices *d, uint64_t now_ns, struct backlog *out);
void devices__trim(struct devices *d, uint64_t ns);
void devices__free(struct devices *d);

#define OPF_OP(opf)	((opf)&0xff)
#define OP_READ		0
#define OP_WRITE	1
#define OP_FLUSH	2
#define OP_DISCARD	3
#define OP_SECURE_ERASE 5
#define OPF_SYNC	(1u << 11)
#define OPF_META	(1u << 12)
#define OPF_FUA		(1u << 17)
#define OPF_PREFLUSH	(1u << 18)

/* The first request that completed at `ns` or later: an index into d->done. */
size_t devices__done_after(const struct devices *d, uint64_t ns);

/* The request with this number whose completion ended a wait at `ns`; NULL = not seen. */
struct done *devices__completed(const struct devices *d, uint32_t rq, uint64_t ns);

/* ---- requests.c: from the bio to the completion ---- */
void requests__bio(struct devices *d, const struct ev_bio *ev, const struct inode_mark *inode);
void requests__rq(struct devices *d, const struct ev_rq *ev, uint64_t keep_ns);
void requests__free(struct devices *d);

/* The old share of a window's waits; make one per window, ask it many times. */
struct carry {
	struct vec steps; /* internal: running sums by time */
	uint32_t dev;	  /* the device that the window waits for; 0 = none seen */
	uint64_t bytes;	  /* completed in the window */
	uint64_t old_bytes;
	uint64_t backlog_bytes; /* dirty when the window began */
};

/* `devs`: the devices of the window's files; without one of them the busiest is taken. */
int carry__new(struct carry *c, const struct devices *d, const struct backlog *backlog,
	       uint64_t begin_ns, uint64_t end_ns, const uint32_t *devs, size_t devs_cnt);
uint64_t carry__ns(const struct carry *c, uint64_t a, uint64_t b);
void carry__free(struct carry *c);

#endif
