// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Victims whose pause is work on files. */
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WORK_MS 3 /* what every pause computes besides */

static int open_file(const char *path, int flags)
{
	int fd = path ? open(path, flags | O_CLOEXEC, 0600) : (errno = EINVAL, -1);

	return fd < 0 ? log_err(-errno, "cannot open %s", path ? path : "(no path=)") : fd;
}

/* Runs `work` on an open file inside a pause; what it takes is what is injected, where asked. */
static int paused(int fd, const struct args *a, int (*work)(int fd, const struct args *a))
{
	uint64_t begin;
	int err = pause__begin(), closed;

	if (err)
		return err;
	burn_cpu_ns(WORK_MS * NS_PER_MS);
	begin = now_ns();
	err = work(fd, a);
	if (err)
		log_err(err, "the pause's work");
	closed = pause__end(now_ns() - begin);
	return err ? err : closed;
}

/* ---- write, then fsync ---- */

static int write_and_sync(int fd, const struct args *a)
{
	int err = write_all(fd, arg_num(a, "bytes", 256 << 10), arg_num(a, "chunk", 64 << 10));

	if (!err && arg_num(a, "fsync", 1) && fsync(fd))
		err = -errno;
	return err;
}

/* A snapshot file: new (or truncated), written, fsynced. */
static int write_new(const struct args *a)
{
	int fd = open_file(arg_str(a, "path", NULL), O_WRONLY | O_CREAT | O_TRUNC), err;

	if (fd < 0)
		return fd;
	err = paused(fd, a, write_and_sync);
	close(fd);
	return err;
}

static int sync_data(int fd, const struct args *a)
{
	int err = write_all(fd, arg_num(a, "bytes", 256 << 10), arg_num(a, "chunk", 64 << 10));

	if (!err && fdatasync(fd))
		err = -errno;
	return err;
}

/* The same bytes again in place: no allocation and no journal in it, only the device. */
static int overwrite(const struct args *a)
{
	bool direct = arg_num(a, "direct", 0);
	int fd = open_file(arg_str(a, "path", NULL), O_WRONLY | (direct ? O_DIRECT : 0)), err;

	if (fd < 0)
		return fd;
	err = paused(fd, a, sync_data);
	close(fd);
	return err;
}

static int sync_only(int fd, const struct args *a)
{
	return fsync(fd) ? -errno : 0;
}

/* A file made dirty before the pause, whose fsync is in it. */
static int sync_dirty(const struct args *a)
{
	int fd = open_file(arg_str(a, "path", NULL), O_WRONLY), err;

	if (fd < 0)
		return fd;
	err = write_all(fd, arg_num(a, "bytes", 256 << 10), 1 << 20);
	if (err)
		log_err(err, "cannot make the file dirty");
	else
		err = paused(fd, a, sync_only);
	close(fd);
	return err;
}

static int replace_path(int fd, const struct args *a)
{
	int err;

	fd = open_file(arg_str(a, "path", NULL), O_WRONLY | O_CREAT | O_TRUNC);
	if (fd < 0)
		return fd;
	err = write_all(fd, arg_num(a, "bytes", 1 << 20), 1 << 20);
	return close(fd) ? -errno : err;
}

/* Opened, written and closed in the pause, without fsync: what was there before is what matters. */
static int replace(const struct args *a)
{
	return paused(-1, a, replace_path);
}

/* ---- other calls ---- */

static int write_pieces(int fd, const struct args *a)
{
	uint64_t pieces = arg_num(a, "pieces", 100), size = arg_num(a, "chunk", 4096);
	char *data = calloc(1, size);
	int err = data ? 0 : -ENOMEM;

	/* one page here, one there, as a dirty bitmap has it */
	for (uint64_t i = 0; !err && i < pieces; i++)
		if (pwrite(fd, data, size, (off_t)(i * 2 * size)) < 0)
			err = -errno;
	if (!err && arg_num(a, "fsync", 0) && fsync(fd))
		err = -errno;
	free(data);
	return err;
}

/* Many small writes into a file as it is: the kernel's own work. */
static int pieces(const struct args *a)
{
	int fd = open_file(arg_str(a, "path", NULL), O_WRONLY | O_CREAT), err;

	if (fd < 0)
		return fd;
	err = paused(fd, a, write_pieces);
	close(fd);
	return err;
}

static int unlink_path(int fd, const struct args *a)
{
	const char *path = arg_str(a, "path", "");

	return unlink(path) && errno != ENOENT ? -errno : 0;
}

/* The last name and the last descriptor: its blocks are freed in the pause. */
static int unlink_file(const struct args *a)
{
	return paused(-1, a, unlink_path);
}

static int open_and_read(int fd, const struct args *a)
{
	char data[4096];
	ssize_t n;

	fd = open(arg_str(a, "path", ""), O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, data, sizeof(data));
	close(fd);
	return n < 0 ? -errno : 0;
}

/* Somebody else's file, opened in the pause. */
static int open_file_in_pause(const struct args *a)
{
	return paused(-1, a, open_and_read);
}

static int make_files(int fd, const struct args *a)
{
	const char *dir = arg_str(a, "dir", ".");
	uint64_t cnt = arg_num(a, "files", 10);
	char path[4096];

	for (uint64_t i = 0; i < cnt; i++) {
		snprintf(path, sizeof(path), "%s/f-%d-%llu", dir, getpid(), (unsigned long long)i);
		fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		if (fd < 0)
			return -errno;
		close(fd);
	}
	return 0;
}

/* New names: handles of the journal, one after the other. */
static int create(const struct args *a)
{
	return paused(-1, a, make_files);
}

/* Allocates a run of new blocks, holding the inode as long as it takes. */
static int extend_file(int fd, const struct args *a)
{
	if (ftruncate(fd, 0))
		return -errno;
	return fallocate(fd, 0, 0, (off_t)arg_num(a, "bytes", 1 << 20)) ? -errno : 0;
}

static int extend(const struct args *a)
{
	int fd = open_file(arg_str(a, "path", NULL), O_WRONLY | O_CREAT), err;

	if (fd < 0)
		return fd;
	err = paused(fd, a, extend_file);
	close(fd);
	return err;
}

const struct verb file_verbs[] = {
	{ "write", "path bytes chunk fsync", write_new },
	{ "overwrite", "path bytes chunk direct", overwrite },
	{ "sync", "path bytes", sync_dirty },
	{ "replace", "path bytes", replace },
	{ "pieces", "path pieces chunk fsync", pieces },
	{ "unlink", "path", unlink_file },
	{ "open", "path", open_file_in_pause },
	{ "create", "dir files", create },
	{ "extend", "path bytes", extend },
	{ 0 },
};
