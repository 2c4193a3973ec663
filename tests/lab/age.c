// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * age: makes the free space of a file system old: fills it with one file and punches a hole every
 * few blocks, so that whoever allocates afterwards gets its blocks in crumbs.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "user/cli/params.h"
#include "user/log.h"

struct cfg {
	uint64_t size_bytes;
	uint64_t hole_bytes;
	uint64_t every_bytes;
};

static const struct param params[] = {
	PARAM(struct cfg, size_bytes, "size", 's', PARAM_SIZE, "SIZE",
	      "how much to fill (required)"),
	PARAM(struct cfg, hole_bytes, "hole", 0, PARAM_SIZE, "SIZE", "of each hole (default 8K)"),
	PARAM(struct cfg, every_bytes, "every", 0, PARAM_SIZE, "SIZE",
	      "from hole to hole (default 16K)"),
	{ 0 },
};

static const struct params_spec spec = {
	.verb = "age",
	.summary = "Fragments the free space of the file system that FILE is on.",
	.usage = "--size SIZE FILE",
	.examples = "  age --size 5G /mnt/aged\n",
	.params = params,
};

static int punch(int fd, const struct cfg *cfg, uint64_t *holes)
{
	for (uint64_t at = 0; at + cfg->hole_bytes <= cfg->size_bytes; at += cfg->every_bytes) {
		if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at,
			      (off_t)cfg->hole_bytes))
			return -errno;
		(*holes)++;
	}
	return 0;
}

static int age(const struct cfg *cfg, const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600), err = 0;
	uint64_t holes = 0;

	if (fd < 0)
		return log_err(-errno, "cannot make %s", path);
	if (fallocate(fd, 0, 0, (off_t)cfg->size_bytes))
		err = log_err(-errno, "cannot fill %s", path);
	if (!err) {
		err = punch(fd, cfg, &holes);
		if (err)
			log_err(err, "cannot punch holes into %s", path);
	}
	if (!err && fsync(fd))
		err = log_err(-errno, "cannot sync %s", path);
	close(fd);
	if (!err)
		printf("{\"file\":\"%s\",\"holes\":%llu,\"hole_bytes\":%llu}\n", path,
		       (unsigned long long)holes, (unsigned long long)cfg->hole_bytes);
	return err;
}

int main(int argc, char **argv)
{
	struct cfg cfg = { .hole_bytes = 8192, .every_bytes = 16384 };
	struct params_result res = { 0 };
	int err;

	log_init("age", LOG_NORMAL);
	err = params__parse(&spec, argc, argv, &cfg, &res);
	if (err == PARAMS_HELP)
		return FP_EXIT_OK;
	if (!err && (res.rest.cnt != 1 || !cfg.size_bytes))
		err = log_err(-EINVAL, "age needs --size and one FILE");
	if (!err && (!cfg.hole_bytes || cfg.hole_bytes >= cfg.every_bytes))
		err = log_err(-EINVAL, "--hole must be smaller than --every");
	if (err)
		return FP_EXIT_USAGE;
	return age(&cfg, res.rest.v[0]) ? FP_EXIT_FAILED : FP_EXIT_OK;
}
