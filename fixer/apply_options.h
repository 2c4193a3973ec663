/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What is asked for a directory, by whichever verb: `apply`, `memfd DIR`, `guard` and `auto`. */
#ifndef FLATPAUSE_FIXER_APPLY_OPTIONS_H
#define FLATPAUSE_FIXER_APPLY_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "../user/cli/params.h"
#include "export.h"
#include "tune.h"

struct apply_cfg {
	const char *mitigation, *match, *size_from, *dir;
	uint64_t memory_bytes; /* 0 = not given: half of what is free */
	uint64_t export_rate_bytes;
	uint32_t export_workers;
	bool foreground, no_plant, redo, no_readback;
	bool cover;	     /* memfd: by a file system over the directory */
	bool cover_or_links; /* ... where it can be had, by planted links else */
	struct tune_conf tune;
	bool global; /* tune may change settings of the whole host */
};

void apply_cfg__defaults(struct apply_cfg *cfg);

/*
 * Rows of the option table of a verb whose struct has a `struct apply_cfg _f`. `_of`: which of the
 * things that the verb can do they belong to, "memfd: "; "" = all.
 */
#define APPLY_PARAMS_FILES(_s, _f, _of)                                                      \
	PARAM(_s, _f.match, "match", 0, PARAM_STRING, "GLOB",                                \
	      _of "the memory file's name (default memory.bin)"),                            \
		PARAM(_s, _f.size_from, "size-from", 0, PARAM_STRING, "SIZE",                \
		      _of "'previous' (default: the newest matching file), 'ftruncate' (as " \
			  "the writer says), a file of that size, or bytes")
#define APPLY_PARAM_BUDGET(_s, _f, _of)                                                         \
	{                                                                                       \
		.name = "memory", .type = PARAM_SIZE, .offset = offsetof(_s, _f.memory_bytes),  \
		.min = 1, .arg = "BYTES",                                                       \
		.help = _of "budget; beyond it files go to disk (default: half of free memory)" \
	}
#define APPLY_PARAMS_EXPORT(_s, _f, _of)                                                   \
	PARAM(_s, _f.export_rate_bytes, "export-rate", 0, PARAM_SIZE, "BYTES",             \
	      _of "at most so many bytes a second to disk (default: as fast as it goes)"), \
		{ .name = "export-workers",                                                \
		  .type = PARAM_U32,                                                       \
		  .offset = offsetof(_s, _f.export_workers),                               \
		  .min = 1,                                                                \
		  .max = EXPORT_WORKERS_MAX,                                               \
		  .arg = "N",                                                              \
		  .help = _of "so many files go to disk side by side (default 2)" },       \
		PARAM(_s, _f.no_readback, "no-readback", 0, PARAM_FLAG, NULL,              \
		      _of "what is durable is not read back from disk before its memory goes")
#define APPLY_PARAM_COVER(_s, _f, _of)                                                       \
	PARAM(_s, _f.cover, "cover", 0, PARAM_FLAG, NULL,                                    \
	      _of "by a file system over DIR (FUSE), which meets writers however they open " \
		  "their files; else by links that are planted into new directories")
#define APPLY_PARAM_NO_PLANT(_s, _f, _of)                       \
	PARAM(_s, _f.no_plant, "no-plant", 0, PARAM_FLAG, NULL, \
	      _of "nothing is put into new directories in advance (for writers that use O_EXCL)")
#define APPLY_PARAM_REDO(_s, _f, _of)                                                             \
	PARAM(_s, _f.redo, "redo", 0, PARAM_FLAG, NULL,                                           \
	      _of "again at the first write behind an O_TRUNC; ext4's own flush at close, which " \
		  "may be what helps, does not happen then")
#define APPLY_PARAM_FOREGROUND(_s, _f, _of) \
	PARAM(_s, _f.foreground, "foreground", 0, PARAM_FLAG, NULL, _of "do not become a daemon")

_Static_assert(EXPORT_WORKERS == 2, "the default that is told");

#endif
