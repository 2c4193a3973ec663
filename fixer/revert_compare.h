/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What a killed guard has not compared, by the revert that comes behind it. */
#ifndef FLATPAUSE_FIXER_REVERT_COMPARE_H
#define FLATPAUSE_FIXER_REVERT_COMPARE_H

#include <stdint.h>

#include "export.h"
#include "recover.h"

/*
 * The link again, in the place of what is open as `filefd`, wherever that was moved to below rootfd.
 * -ECANCELED: done, and it is to be exported again; -EAGAIN: look again; -EUCLEAN: its owner has changed
 * it, so that it stays, said; -errno.
 */
int recovered__take_back(struct recovered *f, int rootfd, int filefd, uint64_t deadline_ns);

/*
 * As its exporter would have done: what the disk does not give back is made again from memory. 0 where
 * the memory may go, -EAGAIN: look again; -errno where both copies have to stay; said.
 */
int revert_compare__file(struct export_worker *w, int rootfd, struct recovered *f,
			 uint64_t deadline_ns);

/* Which copy is the right one a human has to tell: `err`, said. */
int revert_compare__keep_both(const struct recovered *f, int err, const char *what);

#endif
