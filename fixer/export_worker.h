/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What one worker owns. */
#ifndef FLATPAUSE_EXPORT_WORKER_H
#define FLATPAUSE_EXPORT_WORKER_H

#include "export.h"
#include "export_sink.h"

struct export_worker {
	struct pool pool;
	struct sink sink;
	struct way_cache cache;
	enum way wanted;
	struct export_counters *counters;
};

/*
 * FLATPAUSE_EXPORT: NULL or "" the fastest that the file systems allow; "plain" write and fsync and
 * nothing else (the kill switch); "blocking" and "inline" without
 * io_uring; or the name of a way. -EINVAL: none.
 */
int export__mode_from(const char *text, enum way *wanted, enum sink_kind *sink);

#endif
