/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Whether a pause window is open on a disk: a shared flock(2) on a file of the disk's number says so, and ends with whoever holds it. Guards hold it while they see writers, so that those of
 * other directories on the disk give way too; an orchestrator that knows better holds it itself:
 * `flock -s /run/flatpause/window-8:0 BRANCH-COMMAND`.
 */
#ifndef FLATPAUSE_WINDOW_H
#define FLATPAUSE_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

struct window {
	int hold, look; /* two descriptors: one lock each */
	bool held;
};

/* Below $FLATPAUSE_RUN_DIR or /run/flatpause, which are made. 0 or -errno; said. */
int window__init(struct window *w, uint64_t dev);
void window__close(struct window *w);

/* Says to others that a window is open, or no longer. */
void window__hold(struct window *w, bool open);

/* Whether somebody says so; to be asked while we do not. */
bool window__is_open(struct window *w);

#endif
