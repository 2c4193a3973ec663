// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * `fix memfd`: files in memory. One by one for those who can hand a path to their writer (open,
 * export, close, size); for whole directories of writers that cannot be changed, as `fix apply`.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../user/cli/params.h"
#include "../user/log.h"
#include "memfd.h"
#include "verbs.h"

struct memfd_cfg {
	struct memfd_open_cfg open;
	struct apply_cfg dirs;
	bool discard;
	uint64_t wait_ns;
};

static const struct param memfd_params[] = {
	PARAM(struct memfd_cfg, open.size_bytes, "size", 0, PARAM_SIZE, "BYTES",
	      "open: of the file; it can neither grow nor shrink"),
	PARAM(struct memfd_cfg, open.link, "link", 0, PARAM_FLAG, NULL,
	      "open: a link at PATH, instead of a path to hand on"),
	PARAM(struct memfd_cfg, open.no_seal, "no-seal", 0, PARAM_FLAG, NULL,
	      "open: for writers with O_TRUNC, or of another size"),
	PARAM(struct memfd_cfg, discard, "discard", 0, PARAM_FLAG, NULL,
	      "close: what is in memory is not wanted"),
	PARAM(struct memfd_cfg, wait_ns, "wait", 0, PARAM_DURATION, "DURATION",
	      "export, close: how long to wait for a writer (default 60s)"),
	APPLY_PARAM_BUDGET(struct memfd_cfg, dirs, ""),
	APPLY_PARAMS_FILES(struct memfd_cfg, dirs, "DIR: "),
	APPLY_PARAMS_EXPORT(struct memfd_cfg, dirs, "DIR: "),
	APPLY_PARAM_FOREGROUND(struct memfd_cfg, dirs, "DIR: "),
	PARAM(struct memfd_cfg, dirs.cover_or_links, "links", 0, PARAM_NO_FLAG, NULL,
	      "DIR: no file system over it, only links planted into new directories; not for "
	      "writers with O_EXCL, but seen in every mount namespace"),
	{ 0 },
};

static int usage_err(const char *text)
{
	log_err(0, "%s; see `flatpause fix memfd --help`", text);
	return -EINVAL;
}

static int open_one(struct memfd_cfg *cfg, const char *path)
{
	cfg->open.path = path;
	cfg->open.memory_bytes = cfg->dirs.memory_bytes;
	if (!cfg->open.size_bytes)
		return usage_err("fix memfd open needs --size BYTES");
	return memfd__open(&cfg->open, stdout);
}

static int end_one(const char *path, enum memfd_end end, uint64_t wait_ns)
{
	char journal[PATH_MAX];
	int err = memfd__journal(path, journal);

	return err ? err : memfd__bring_home(path, journal, end, wait_ns);
}

static int print_size(const char *path)
{
	uint64_t bytes;
	int err = memfd__used(path, &bytes);

	if (!err)
		printf("%llu\n", (unsigned long long)bytes);
	return err;
}

/* 1 where the first word is none of ours: a directory then. */
static int one_file(struct memfd_cfg *cfg, const struct param_list *words)
{
	static const char *const verbs[] = { "open", "export", "close", "size" };
	size_t which = 0;

	while (which < 4 && strcmp(words->v[0], verbs[which]) != 0)
		which++;
	if (which == 4)
		return 1;
	if (words->cnt != 2)
		return usage_err("fix memfd open, export, close and size take one PATH");
	switch (which) {
	case 0:
		return open_one(cfg, words->v[1]);
	case 1:
		return end_one(words->v[1], MEMFD_EXPORT, cfg->wait_ns);
	case 2:
		return end_one(words->v[1], cfg->discard ? MEMFD_DISCARD : MEMFD_CLOSE,
			       cfg->wait_ns);
	}
	return print_size(words->v[1]);
}

/* A directory that fails does not take the others along; the first error is what is answered. */
static int directories(const struct memfd_cfg *cfg, const struct param_list *dirs)
{
	struct apply_cfg a = cfg->dirs;
	int first = 0, err;

	if (a.foreground && dirs->cnt > 1)
		return usage_err("--foreground takes one DIR");
	for (size_t i = 0; i < dirs->cnt; i++) {
		a.dir = dirs->v[i];
		err = apply__run(&a);
		if (!err && !a.foreground)
			log_info("memfd is in force for %s; undo: flatpause fix revert %s", a.dir,
				 a.dir);
		if (!first)
			first = err;
	}
	return first;
}

int fix_memfd(int argc, char **argv)
{
	static const struct params_spec spec = {
		.verb = "fix memfd",
		.summary = "Memory first, disk after: for one file, or for what appears in a "
			   "directory.",
		.usage = "flatpause fix memfd open PATH --size BYTES [--link]\n"
			 "       flatpause fix memfd export PATH | close PATH | size PATH\n"
			 "       flatpause fix memfd DIR... [--match GLOB] [options]",
		.examples =
			"  target=$(flatpause fix memfd open /srv/snap-7/memory.bin --size 2G)\n"
			"  ./snapshot --mem-file \"$target\"               # written to memory\n"
			"  flatpause fix memfd close /srv/snap-7/memory.bin  # to disk, checked\n"
			"  flatpause fix memfd /srv/snapshots --match 'memory.bin' --memory 8G\n"
			"  flatpause fix revert /srv/snapshots             # ends the latter\n",
		.params = memfd_params,
	};
	struct memfd_cfg cfg = { .wait_ns = 60000000000ull };
	struct params_result res;
	int err;

	apply_cfg__defaults(&cfg.dirs);
	cfg.dirs.mitigation = "memfd";
	cfg.dirs.cover_or_links = true;
	err = params__parse(&spec, argc, argv, &cfg, &res);
	if (err)
		return err == PARAMS_HELP ? FP_EXIT_OK : FP_EXIT_USAGE;
	if (!res.rest.cnt)
		return exit_code(usage_err("fix memfd takes open, export, close, size or DIR"));
	err = one_file(&cfg, &res.rest);
	return exit_code(err == 1 ? directories(&cfg, &res.rest) : err);
}
