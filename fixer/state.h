/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What is applied where: the journals below the state directory, and what their records add up to. */
#ifndef FLATPAUSE_STATE_H
#define FLATPAUSE_STATE_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "journal.h"

enum mitigation {
	MITIGATION_NONE = 0,
	MITIGATION_FALLOCATE,
	MITIGATION_MEMFD,
	MITIGATION_TUNE, /* settings of the device; nothing runs meanwhile */
	MITIGATION_HELD, /* one file in memory, by `fix memfd open`: its holder does nothing else */
};

/* How large the next file is expected to be. */
enum size_rule {
	SIZE_PREVIOUS = 0, /* as the newest that matches */
	SIZE_BYTES,
	SIZE_FILE,	/* as another file is at that time */
	SIZE_FTRUNCATE, /* as the writer says */
};

#define HIDDEN_DIR    ".flatpause" /* in the guarded directory: spares */
#define EXPORT_SUFFIX ".flatpause" /* .NAME.flatpause: an export under way */

/* What the user asked for; goes into the first record of the journal. */
struct fix_conf {
	enum mitigation mitigation;
	char dir[PATH_MAX]; /* absolute, no links in it */
	uint64_t dev, ino, fsid;
	char match[NAME_MAX + 1];
	char name[NAME_MAX + 1]; /* what is planted; "" = not known yet */
	enum size_rule size_rule;
	uint64_t size_bytes; /* SIZE_BYTES, SIZE_FILE: of the file when it was last looked at */
	char size_path[PATH_MAX];
	uint64_t memory_bytes; /* memfd: at most this much in memory */
	char id[24];
	char tmp_dir[128]; /* memfd: where the memory files are */
	bool no_plant;	   /* fallocate: only at open, for writers that insist on O_EXCL */
	bool cover;	   /* memfd: writers are met by a file system over the directory */
	bool no_readback;  /* memfd: what is durable is not read back before its memory goes */
	uint64_t export_rate_bytes; /* memfd: at most so much to disk in a second; 0 = any */
	uint32_t export_workers;    /* memfd: files that go to disk side by side */
	bool redo;		    /* fallocate: again at the first write behind an O_TRUNC */
};

const char *mitigation_name(enum mitigation m);
enum mitigation mitigation_from(const char *name, size_t len);

struct state {
	struct fix_conf conf;
	pid_t pid; /* 0 = none was started */
	uint64_t pid_start;
	char boot[40];
	dev_t cover_dev; /* in that boot; 0 = it has no cover */
	json_t *files;	 /* by "n": all fields of its records, the later ones on top */
	json_t *notes;	 /* texts */
	json_t *knobs;	 /* as knob__to_json(), in the order in which they were set */
	struct journal_read read;
	char path[PATH_MAX]; /* of the journal */
};

/* $FLATPAUSE_STATE_DIR or /var/lib/flatpause: made (0700) and checked. Said. */
int state_dir(char path[PATH_MAX]);

/* The journal of a directory: its path, from device and inode. */
int state__path(uint64_t dev, uint64_t ino, char path[PATH_MAX]);

/* The journal that names `dir`, which need not exist any more; -ENOENT. Not said. */
int state__find(const char *dir, char path[PATH_MAX]);

/* `path` is `dir` or below it; both absolute, without links. */
bool path_is_below(const char *dir, const char *path);

/* Whether a guard is in force above or below `dir`: 1 and its directory, 0 or -errno. */
int state__overlap(const char *dir, char other[PATH_MAX]);

/* What the journal at `path` says was applied; false where that cannot be read, which is not said. */
bool state__conf(const char *path, struct fix_conf *conf);

/* Opens (and creates where `create`) a journal and takes its lock. fd, -EBUSY where another has it. */
int state__lock(const char *path, bool create);

/* Reads a journal; a damaged or newer one is refused and said. */
int state__load(int fd, const char *path, struct state *s);
void state__free(struct state *s);

/* Whether the guard that the journal names is the process that has its pid now. */
bool state__alive(const struct state *s);
/* The number of its cover's file system; 0 where that is of an earlier boot, or there is none. */
dev_t state__cover_dev(const struct state *s);

/* Calls fn with every journal's path, until it gives 1; the first error is answered behind the last. */
int state__each(int (*fn)(const char *path, void *arg), void *arg);

/* The size of a regular file, by its path. 0 or -errno, -EINVAL where it is none or empty. */
int size_of_file(const char *path, uint64_t *bytes);

json_t *conf__to_json(const struct fix_conf *c);
int conf__from_json(json_t *j, struct fix_conf *c);

#endif
