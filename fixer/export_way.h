/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The ways by which bytes can get into the new file. Which of them a pair of file systems allows is
 * found out by trying, at the first step that is written, and remembered for the pair.
 */
#ifndef FLATPAUSE_EXPORT_WAY_H
#define FLATPAUSE_EXPORT_WAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum way {
	WAY_DIRECT =
		0, /* O_DIRECT from our memory: nothing is left dirty for others to wait behind */
	WAY_DONTCACHE,	/* RWF_DONTCACHE: buffered, written out at once and dropped */
	WAY_WINDOW,	/* buffered; writeback begun for each step, waited for one step later */
	WAY_PLAIN,	/* buffered, all of it dirty until fsync */
	WAY_COPY_RANGE, /* copy_file_range: between files of one file system, may share blocks */
	WAY_SENDFILE,
	WAY_SPLICE,
	WAY_CNT,
	WAY_BEST = WAY_CNT /* whatever the pair allows */
};

const char *way_name(enum way w);

/*
 * Whether the kernel takes the bytes from the source itself, a second time: what is written is not
 * what was summed, and only reading it back tells.
 */
bool way_reads_itself(enum way w);

/* What was found out about pairs of devices; the oldest is forgotten. */
#define WAY_PAIRS_MAX 16

struct way_cache {
	struct {
		uint64_t src_dev, dst_dev;
		enum way way;
		bool known;
	} v[WAY_PAIRS_MAX];
	uint32_t next;
};

struct step {
	const char *buf; /* zeroed from `len` to `padded` */
	uint64_t off;
	size_t len, padded;
};

/* The file that is being written. Used by one thread at a time. */
struct target {
	int src, dst;
	uint64_t src_dev, dst_dev;
	struct way_cache *cache;
	enum way wanted, way;
	uint32_t refused;    /* a bit for each way */
	uint64_t window_off; /* the step whose writeback has been started */
	bool window_open;
	int pipe[2]; /* WAY_SPLICE; -1 = none yet */
};

/* Devices are read from the descriptors. 0 or -errno. */
int target__init(struct target *t, int src, int dst, enum way wanted, struct way_cache *cache);
void target__close(struct target *t);

/* The way of the next step, the descriptor made ready for it; -ENOTSUP where none is left. */
int target__choose(struct target *t);

/* Takes the next way if `err` says that this one does not exist here: true, the step is tried again. */
bool target__refuses(struct target *t, int err);

/* Writes one step; changes the way where the one in use is refused. 0 or -errno. */
int target__write(struct target *t, const struct step *s);

#endif
