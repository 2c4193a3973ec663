/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Who serves which cover: whoever does has a memfd among its descriptors whose name says so. It is
 * read as a link of /proc. To ask the cover itself would be to wait for it, and its server may be
 * stopped, or wait for a disk that is gone.
 */
#ifndef FLATPAUSE_FIXER_COVER_MARK_H
#define FLATPAUSE_FIXER_COVER_MARK_H

#include <stdbool.h>
#include <sys/types.h>

/* The mark of the cover that `mnt` is the root of, which nobody serves yet. fd, -errno. */
int cover_mark__make(int mnt);

struct cover_server {
	dev_t dev; /* of the cover; 0 = this process serves none */
	pid_t pid;
	bool stopped; /* by a signal or a debugger: it answers nobody */
};

/* Of a process, by its number below `root` ("" = this host). One that is not root's is none of ours. */
void cover_server__of(struct cover_server *server, const char *root, const char *pid);

#endif
