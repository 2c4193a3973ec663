/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What the live tests of the capture share: a recording that went well, and questions to it. */
#ifndef FLATPAUSE_TESTS_CHECKED_H
#define FLATPAUSE_TESTS_CHECKED_H

#include <stdbool.h>

#include "recorded.h"
#include "workloads.h"

/* Records `run` as usual; fails the test unless all of it was recorded and it exited with 0. */
void record_it(struct recorded *r, int (*run)(void *));
void record_with(struct recorded *r, const struct recorded_opts *o);

/*
 * Skips the test, said, if this kernel has no such tracepoint. Where it has it, the probe's hooks
 * must all be there.
 */
void need_probe(const char *name, const char *tracepoint);

/* What the workload told */
const struct told *told(const struct recorded *r);

/* Whether thread `waker` itself woke `wakee`. */
bool was_woken_by(const struct recorded *r, uint32_t wakee, uint32_t waker);

/* Whether the kernel function at `addr` has a name that begins so; -1 = names are hidden. */
int text_begins(uint64_t addr, const char *prefix);

#endif
