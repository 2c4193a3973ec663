/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What the journal says of a memory file, held against what is there: after kill -9, at any point. */
#ifndef FLATPAUSE_FIXER_RECOVER_H
#define FLATPAUSE_FIXER_RECOVER_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "seen.h"

enum recovered_state {
	RECOVERED_LINKED,  /* in memory, its link stands: to be exported */
	RECOVERED_DURABLE, /* on disk and synced; its exporter died before it was settled */
	RECOVERED_DONE,	   /* said to be durable before, or to be gone */
	RECOVERED_REMOVED, /* its owner removed the link: its memory may go when nobody writes to it */
	RECOVERED_BOTH, /* on disk, and changed by its owner; its memory is newer, or written to */
	RECOVERED_AWAY, /* in memory, its link is outside the directory: nobody may touch it */
	RECOVERED_LOST, /* was written, never durable, and its memory is gone */
	RECOVERED_NOTHING, /* the same, but nobody is known to have written to it */
};

struct recovered {
	enum recovered_state state;
	uint32_t n;
	char dir[NAME_MAX + 1], name[NAME_MAX + 1];
	char memory_name[NAME_MAX + 1];
	char target[NAME_MAX + 160];
	int dirfd;  /* O_PATH of the directory of the link; -1 */
	int linkfd; /* O_PATH of the link; -1 */
	int memory; /* O_RDONLY; -1 */
	/* of a file that took the place of its link */
	int filefd;	     /* O_PATH, where it is durable and its memory is there; -1 */
	uint64_t commit_ino; /* 0 = none */
	bool settled;	     /* compared with its memory, as far as that was asked for */
	struct seen seen;
	uint64_t file_ctime_ns; /* 0 = not known */
};

/* Of the fields of its records: "" and 0 where it has none. */
const char *record__text(json_t *file, const char *key);
json_int_t record__int(json_t *file, const char *key);

/*
 * `file`: the fields of its records; rootfd: the guarded directory, tmpfd: where the memory files
 * are (-1 = gone), tmp_dir: its path. Undoes half an export. 0, and recovered__close() is due;
 * -EBADMSG where the record makes no sense, -EAGAIN where what is there changed meanwhile, -errno. Not
 * said.
 */
int recover__file(json_t *file, int rootfd, int tmpfd, const char *tmp_dir, struct recovered *r);
void recovered__close(struct recovered *r);

/* What is durable, and compared where it has to be, takes the place of the link's other names too. */
int recovered__give_names(const struct recovered *r, int rootfd);

/* Whether nobody can compare it any more, and nobody has. */
bool recovered__never_compared(const struct recovered *r);
#define RECOVERED_NEVER_COMPARED "on disk, not compared" /* its state from then on */

#define RECOVERED_BOTH_CHANGED	 "was changed by its owner, and in memory too"

/* Removes what a guard had made below tmpfd and not written down yet: nobody has been told of it. */
void recover__sweep(json_t *files, int tmpfd);

#endif
