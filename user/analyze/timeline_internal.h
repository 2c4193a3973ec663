/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Between timeline.c (threads, what lies over their segments) and switches.c (the segments). */
#ifndef FLATPAUSE_TIMELINE_INTERNAL_H
#define FLATPAUSE_TIMELINE_INTERNAL_H

#include "timeline.h"

/* A record this little before another that must have come first: the clock of its CPU is behind. */
#define SKEW_NS 2000

#include <utlist.h>

/* NULL on no memory (noted in tl). */
struct thread *thread__new(struct timeline *tl, uint32_t tid, uint64_t born_ns);

/* Like thread__new(), for one that is met alive: born before the recording, or with its run. */
struct thread *thread__found(struct timeline *tl, uint32_t tid, uint32_t tgid);
void thread__kill(struct timeline *tl, struct thread *t, uint64_t ts);

/* A target is made at its first record, whatever that is; NULL for any other thread. */
struct thread *timeline_target(struct timeline *tl, uint32_t tid);

/* The same for any thread that is followed: what is no target was told of when that began. */
struct thread *timeline_followed(struct timeline *tl, uint32_t tid);

/* Adds a complete segment to the list of such a thread; empty and outdated ones are dropped. */
void segment_append(struct timeline *tl, struct thread *t, const struct seg *seg);

/* The state that begins at `ts`. */
void segment_open(struct thread *t, enum seg_kind kind, uint64_t ts);

/* What is open becomes a complete segment that ends at `ts`. */
void segment_close_run(struct timeline *tl, struct thread *t, uint64_t ts);
struct seg segment_blocked(const struct thread *t, uint64_t end);

void timeline_on_switch(struct timeline *tl, const struct trace_event *ev);
void timeline_on_wake(struct timeline *tl, const struct ev_wake *ev);
void timeline_on_adopted(struct timeline *tl, struct thread *t, uint64_t ts);
void timeline_seen_running(struct timeline *tl, uint32_t tid, uint64_t ts, uint32_t cpu);

#endif
