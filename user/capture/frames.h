/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Names for the addresses that occurred in stacks, resolved while the processes can be asked. */
#ifndef FLATPAUSE_FRAMES_H
#define FLATPAUSE_FRAMES_H

#include "capture.h"
#include "targets.h"

/*
 * Writes REC_KSYMS, and REC_SYMS of each process whose mappings were read. Kernel symbols that
 * are hidden are said and cost only their names. 0 or -errno.
 */
int write_symbols(struct capture *c, struct targets *t, struct trace_writer *w);

/*
 * Only REC_SYMS, only of the command's processes that have ended; they are forgotten then. After
 * each run, so that a thousand of them do not hold the files of their mappings open.
 */
int write_ended_symbols(struct capture *c, struct targets *t, struct trace_writer *w);

#endif
