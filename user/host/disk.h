/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Facts of the disks that a recording is about: file system, queue, limits, what lies below. */
#ifndef FLATPAUSE_HOST_DISK_H
#define FLATPAUSE_HOST_DISK_H

#include <sys/types.h>
#include "facts.h"

#define DISKS_MAX 16

/* Devices as stat() gives them, each once, in the order in which they were met. */
struct disks {
	dev_t v[DISKS_MAX];
	size_t cnt;
	bool overflow; /* more than DISKS_MAX: said in a fact */
};

void disks__add(struct disks *d, dev_t dev);

/* The disk behind a path: 0 or -errno. */
int disks__add_path(struct disks *d, const char *path);

/* The disks behind the working directory and the open regular files of a process. */
int disks__add_process(struct disks *d, pid_t pid);

/*
 * Whether `pid` has a regular file of `dev` open that it writes snapshots to, perhaps: a log, which
 * is appended to or is one of its standard streams, is none.
 */
bool process_writes_to(pid_t pid, dev_t dev);

/*
 * Adds "disk.<name>.*" for those from d->v[from] on, and for what they are stacked on, which joins
 * the list.
 */
void facts__disks(struct facts *f, const char *root, struct disks *d, size_t from);

#endif
