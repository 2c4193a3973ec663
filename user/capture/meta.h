/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* REC_META: the JSON object that says what was recorded, on which host, with which hooks. */
#ifndef FLATPAUSE_META_H
#define FLATPAUSE_META_H

#include <jansson.h>
#include "../host/disk.h"
#include "../host/facts.h"
#include "recorder.h"
#include "targets.h"

/*
 * The facts of the host, of the targets and of the disks behind them; `described` are those disks.
 * 0 or -errno (said).
 */
int collect_facts(struct facts *f, const struct recorder_opts *opts, const struct targets *t,
		  struct disks *described);

/* {"host"} with the disks that targets wrote to and that `described` lacks; NULL = none. */
json_t *build_late_meta(const struct capture *c, struct disks *described);

/* {"tool","host","options","hooks","window","command","targets"}; NULL = no memory. */
json_t *build_meta(const struct recorder_opts *opts, const struct capture *c,
		   const struct targets *t, const struct facts *f);

/*
 * A string of bytes, as paths and arguments are: what JSON does not take becomes '?', which in a
 * glob stands for any one byte. NULL for NULL, or no memory.
 */
json_t *json_text(const char *text);

/* Also for doctor. NULL = no memory. */
json_t *facts_json(const struct facts *f);
json_t *hooks_json(const struct capture *c);

/*
 * Warns when the trace goes to a file system that the targets write to as well: by what they have
 * open for writing when recording begins, or (capture is not NULL) have opened while it ran. True if
 * it did.
 */
bool warn_of_shared_disk(const struct recorder_opts *opts, const struct targets *t,
			 const struct capture *c);

#endif
