/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Who keeps a memfd alive: a process that does nothing else, so that neither a crash nor a restart
 * of a controller takes the bytes along; and systemd's descriptor store where we run under it.
 */
#ifndef FLATPAUSE_FIXER_HOLD_H
#define FLATPAUSE_FIXER_HOLD_H

#include <limits.h>
#include <sys/types.h>

#include "state.h"

#define HOLD_FD 3 /* under which the holder has it: /proc/PID/fd/3 */

/*
 * Starts a holder of `fd`. It waits for hold__confirm(*go) and ends where the caller ends before
 * that: no holder that no journal names. Its pid or -errno; said.
 */
pid_t hold__start(int fd, int *go);
int hold__confirm(int go);

/* The path to hand to a writer. */
void hold__path(pid_t pid, char path[64]);

/* The memory that the journal's holder has, O_RDONLY: from it, else from the descriptor store.
 * -ENODATA where both are gone. Not said. */
int hold__open(const struct state *s, ino_t ino);

/* Ends the holder and takes it out of the store: frees the memory unless it is mapped somewhere. */
void hold__end(const struct state *s);

/* ---- fdstore.c ---- */

/* Gives `fd` to the service manager under `name`. 0, -ENOENT where there is none, -errno. */
int fdstore__push(int fd, const char *name);
/* What it gave back to us at start under that name (LISTEN_FDS); -ENOENT. */
int fdstore__find(const char *name);
int fdstore__remove(const char *name);

#endif
