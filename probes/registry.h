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

/*
 * What to do about causes. Texts hold {words} that advice_text.c replaces by what this trace says.
 * `command` NULL = the lines of `flatpause fix` for the mitigation; "" = there is none.
 */
struct remedy {
	const char *const *causes; /* each with all that lies below it */
	/* "memfd", "fallocate", "tune", "host" (a setting outside the disk), "app", "none" */
	const char *mitigation;
	const char *why;
	const char *command;
	const char *undo;
};

extern const struct remedy remedies[];
extern const size_t remedies_cnt;

/* Replaces the {words} of a text; with `quoted`, as a shell takes them. 0 or -ENOMEM. */
int advice_text(const struct findings *f, const char *text, bool quoted, char **out);

/* The file that the slow windows write most to; NULL = none seen. */
const struct finding_file *slow_file(const struct findings *f);

/* A file of a slow window that was preallocated and lost its extents; NULL = none. */
const struct finding_file *lost_extents_file(const struct findings *f);

/* Of the slow windows, or of all where none is slow: what the ledgers say of `prefix`, and in all. */
uint64_t slow_ns(const struct findings *f, const char *prefix, uint64_t *all_ns);

/* The directory under which the snapshot directories are made: ".../snap-3/memory.bin" -> "...". */
int snapshot_root(const struct findings *f, char *buf, size_t size);

/* Whether window `w` is one that the verdict is about. */
bool window_counts(const struct findings *f, size_t w);

#endif
