/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What the files of this room share: one object per subject, and how advice is written. */
#ifndef FLATPAUSE_PROBES_REGISTRY_H
#define FLATPAUSE_PROBES_REGISTRY_H

#include "probe.h"

extern const struct probe probe_cpu;
extern const struct probe probe_futex;
extern const struct probe probe_wbt;
extern const struct probe probe_dirty;
extern const struct probe probe_mballoc;
extern const struct probe probe_jbd2;
extern const struct probe probe_device;
extern const struct probe probe_file;
extern const struct probe probe_work; /* path.c, as all that follow */
extern const struct probe probe_interrupt;
extern const struct probe probe_timer;
extern const struct probe probe_lock;
extern const struct probe probe_memory;
extern const struct probe probe_dirtier;

extern const struct cause causes_irq[];	      /* cpu.c */
extern const struct cause causes_throttle[];  /* wbt.c */
extern const struct cause causes_queue[];     /* device.c */
extern const struct cause causes_dirty[];     /* dirty.c */
extern const struct cause causes_jbd2[];      /* jbd2.c */
extern const struct cause causes_kvm[];	      /* kvm.c */
extern const struct cause causes_lock[];      /* lock.c */
extern const struct cause causes_reclaim[];   /* memory.c */
extern const struct cause causes_discard[];   /* device.c */
extern const struct cause causes_writeback[]; /* dirty.c */
extern const struct cause causes_mballoc[];   /* mballoc.c */
extern const struct cause causes_ext4[];      /* ext4.c */
extern const struct cause causes_fault[];     /* memory.c */
extern const struct cause causes_other_fs[];  /* other_fs.c */
extern const struct cause causes_file[];      /* file.c */
extern const struct cause causes_futex[];     /* futex.c */
extern const struct cause causes_wait[];      /* wait.c */
extern const struct cause causes_device[];    /* device.c */
extern const struct cause causes_work[];      /* work.c */
extern const struct cause causes_cpu[];	      /* cpu.c */
extern const struct cause causes_unknown[];   /* cpu.c */

/* Whether this is the one that ends a list of signatures. */
bool signature__is_end(const struct signature *s);

/* Whether `id` is `prefix` itself or lies below it: "io.throttle" holds "io.throttle.wbt". */
bool cause_under(const char *id, const char *prefix);

/*
 * Adds one advice whose command and undo are runnable lines of `flatpause fix`. `mitigation` is
 * "memfd", "fallocate", "tune", or "none" (then `why` says what will not help, and both stay empty).
 * Where the trace shows no directory that snapshots are written to, DIR stands in the command.
 */
int advice_add(struct findings *f, const char *mitigation, const char *why);

/* Like advice_add() for a device's knob: `knob` is a directory of the verdict's device. */
int advice_add_tune(struct findings *f, const char *why);

/* The file that the slow windows write most to; NULL = none seen. */
const struct finding_file *slow_file(const struct findings *f);

/* A file of a slow window that was preallocated and lost its extents; NULL = none. */
const struct finding_file *lost_extents_file(const struct findings *f);

/* The directory under which the snapshot directories are made: ".../snap-3/memory.bin" -> "...". */
int snapshot_root(const struct findings *f, char *buf, size_t size);

/*
 * Says why preallocation does not help here: the extents were lost, or the wait is on the device
 * or on dirty pages, which preallocation leaves as they are.
 */
int advise_no_fallocate(struct findings *f, const char *reason);

#endif
