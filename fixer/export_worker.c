// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "export_worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../user/log.h"

#define MODE_VARIABLE "FLATPAUSE_EXPORT"

int export__mode_from(const char *text, enum way *wanted, enum sink_kind *sink)
{
	*wanted = WAY_BEST;
	*sink = SINK_URING;
	if (!text || !*text)
		return 0;
	if (!strcmp(text, "blocking")) {
		*sink = SINK_THREAD;
		return 0;
	}
	if (!strcmp(text, "inline")) {
		*sink = SINK_INLINE;
		return 0;
	}
	for (enum way w = WAY_DIRECT; w < WAY_CNT; w++) {
		if (strcmp(text, way_name(w)) != 0)
			continue;
		*wanted = w;
		*sink = w == WAY_PLAIN ? SINK_INLINE : SINK_URING;
		return 0;
	}
	return -EINVAL;
}

int export__check_mode(void)
{
	const char *mode = getenv(MODE_VARIABLE);
	enum sink_kind sink;
	enum way wanted;

	if (!export__mode_from(mode, &wanted, &sink))
		return 0;
	return log_err(-EINVAL,
		       MODE_VARIABLE "=%s: takes plain, direct, dontcache, window, "
				     "copy_file_range, sendfile, splice, blocking or inline",
		       mode);
}

static int start(struct export_worker *w, enum sink_kind sink)
{
	int err = pool__bind_thread();

	if (err)
		log_verbose("the export stays unbound: %s", strerror(-err));
	err = pool__init(&w->pool, &w->counters->pool);
	if (err)
		return err;
	err = sink__init(&w->sink, sink, &w->pool);
	if (err)
		pool__destroy(&w->pool);
	return err;
}

int export_worker__start(struct export_worker **out, struct export_counters *counters)
{
	struct export_worker *w;
	enum sink_kind sink;
	enum way wanted;
	int err;

	*out = NULL;
	err = export__check_mode();
	if (err)
		return err;
	export__mode_from(getenv(MODE_VARIABLE), &wanted, &sink);
	w = calloc(1, sizeof(*w));
	if (!w)
		return log_err(-ENOMEM, "export");
	w->counters = counters;
	w->wanted = wanted;
	err = start(w, sink);
	if (err) {
		free(w);
		return log_err(err, "cannot start the export");
	}
	*out = w;
	return 0;
}

void export_worker__stop(struct export_worker *w)
{
	if (!w)
		return;
	sink__destroy(&w->sink);
	pool__destroy(&w->pool);
	free(w);
}
