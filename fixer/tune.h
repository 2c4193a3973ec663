/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Settings of one device, where the evidence asks for them. A limit on what may be dirty on it
 * bounds the backlog that an fsync can meet (and slows down the copy that makes it); without
 * writeback throttling nobody waits for a queue slot that is kept free.
 * Source: Documentation/ABI/testing/sysfs-class-bdi, sysfs-block (wbt_lat_usec).
 */
#ifndef FLATPAUSE_FIXER_TUNE_H
#define FLATPAUSE_FIXER_TUNE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "journal.h"
#include "knob.h"

#define TUNE_LEAVE UINT64_MAX

/* What is asked for; TUNE_LEAVE = as it is. */
struct tune_conf {
	uint64_t max_bytes;    /* that may be dirty on the device, held at once (strict_limit) */
	uint64_t wbt_lat_usec; /* 0 = no writeback throttling */
	uint64_t background_bytes; /* vm.dirty_background_bytes: of the whole host */
};

void tune_conf__defaults(struct tune_conf *c);
bool tune_conf__is_empty(const struct tune_conf *c);

/*
 * What the evidence of a diagnosis asks for; empty where it asks for none. Never a setting of the
 * whole host.
 */
void tune_conf__choose(struct tune_conf *c, const json_t *diagnosis);

/* As options of `fix apply`: "--max-bytes 32M" ... */
void tune_conf__options(const struct tune_conf *c, char *buf, size_t size);

/*
 * The knobs of a device with their old and new values; those that have the value already are left
 * out. Number of knobs or -errno (said). Changes nothing.
 */
int tune__knobs(const struct tune_conf *c, uint64_t dev, const char *root,
		struct knob knobs[KNOBS_MAX]);

/*
 * Journals each knob, then sets it. Where one fails the earlier ones are put back. 0 or -errno
 * (said).
 */
int tune__set(struct journal *j, const struct knob *knobs, int cnt, const char *root);

/* Puts back what is still ours, last one first; what others changed is said. 0 or -errno (said). */
int tune__revert(const json_t *knobs, const char *root);

#endif
