/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What says that a pause begins or ends: control requests, marks, runs. Used by scan.c. */
#ifndef FLATPAUSE_ANALYZE_SIGNALS_H
#define FLATPAUSE_ANALYZE_SIGNALS_H

#include "scan.h"

/* Adds a window of one kind; an empty one is left out. */
void signals__add(struct scan *s, enum signal_kind kind, const struct signal *sig,
		  const char *label);

/* A control request was read by a thread of `tgid`. */
void signals__request(struct scan *s, uint32_t tgid, const struct ev_api *ev);

/* A thread of `tgid` wrote to a descriptor: it may be the reply that ends a pause. */
void signals__reply(struct scan *s, uint32_t tgid, const struct ev_syscall *ev);

/* At the end of the trace: open pauses, marks, runs; sorts all. 0 or -ENOMEM. */
int signals__finish(struct scan *s, struct trace_reader *r);

#endif
