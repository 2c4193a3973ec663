// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "export.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "beneath.h"
#include "crc32c.h"
#include "state.h"

#define ALIGN_BYTES    4096u
#define PREALLOC_BYTES (32u << 20)

struct copying {
	int src, dst;
	uint64_t size;
	char *buf;
	const struct export_hooks *hooks;
	struct export_result *res;
	uint32_t crc;
	uint64_t window_off; /* buffered writes: the step whose writeback has been started */
	bool direct;
};

typedef int (*range_fn)(struct copying *c, uint64_t off, size_t len);

static int pause_point(const struct copying *c)
{
	if (c->hooks->yield)
		c->hooks->yield(c->hooks->arg);
	return c->hooks->cancelled && c->hooks->cancelled(c->hooks->arg) ? -ECANCELED : 0;
}

/* Calls fn for steps of at most `step` bytes of what is data in the source; gaps are holes. */
static int walk_data(struct copying *c, size_t step, range_fn fn, bool sum_holes)
{
	uint64_t done = 0;

	while (done < c->size) {
		off_t data = lseek(c->src, (off_t)done, SEEK_DATA), hole;
		uint64_t begin, end;
		int err;

		if (data < 0 && errno != ENXIO)
			return -errno;
		begin = data < 0 || (uint64_t)data > c->size ? c->size : (uint64_t)data;
		begin -= begin < c->size ? begin % ALIGN_BYTES : 0;
		begin = begin < done ? done : begin;
		if (sum_holes)
			c->crc = crc32c_zeros(c->crc, begin - done);
		if (begin == c->size)
			return 0;
		hole = lseek(c->src, data, SEEK_HOLE);
		if (hole < 0)
			return -errno;
		end = ((uint64_t)hole + ALIGN_BYTES - 1) / ALIGN_BYTES * ALIGN_BYTES;
		end = end > c->size ? c->size : end;
		for (done = begin; done < end;) {
			size_t len = end - done < step ? (size_t)(end - done) : step;

			err = pause_point(c);
			if (!err)
				err = fn(c, done, len);
			if (err)
				return err;
			done += len;
		}
	}
	return 0;
}

static int read_range(int fd, char *buf, uint64_t off, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(fd, buf + done, len - done, (off_t)(off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO; /* shorter than it was: somebody truncated it */
		done += (size_t)n;
	}
	return 0;
}

static int write_range(int fd, const char *buf, uint64_t off, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pwrite(fd, buf + done, len - done, (off_t)(off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		done += (size_t)n;
	}
	return 0;
}

static int prealloc_step(struct copying *c, uint64_t off, size_t len)
{
	return fallocate(c->dst, 0, (off_t)off, (off_t)len) ? -errno : 0;
}

/*
 * Where O_DIRECT is refused: writeback of each step begins at once and the one before is waited
 * for, so that never more than two steps are dirty.
 */
static int bound_dirty(struct copying *c, uint64_t off, size_t len)
{
	if (sync_file_range(c->dst, (off_t)off, (off_t)len, SYNC_FILE_RANGE_WRITE))
		return -errno;
	if (off && sync_file_range(c->dst, (off_t)c->window_off, EXPORT_STEP_BYTES,
				   SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
					   SYNC_FILE_RANGE_WAIT_AFTER))
		return -errno;
	c->window_off = off;
	return 0;
}

static int copy_step(struct copying *c, uint64_t off, size_t len)
{
	size_t padded = (len + ALIGN_BYTES - 1) / ALIGN_BYTES * ALIGN_BYTES;
	int err = read_range(c->src, c->buf, off, len);

	if (err)
		return err;
	memset(c->buf + len, 0, padded - len); /* the tail is cut off again at the end */
	c->crc = crc32c(c->crc, c->buf, len);
	err = write_range(c->dst, c->buf, off, padded);
	if (err == -EINVAL && c->direct) {
		c->direct = false;
		if (fcntl(c->dst, F_SETFL, 0))
			return -errno;
		err = write_range(c->dst, c->buf, off, padded);
	}
	if (!err && !c->direct)
		err = bound_dirty(c, off, padded);
	c->res->data_bytes += len;
	return err;
}

static int verify_step(struct copying *c, uint64_t off, size_t len)
{
	int err = read_range(c->dst, c->buf, off, len);

	if (!err)
		c->crc = crc32c(c->crc, c->buf, len);
	return err;
}

static int open_target(int dirfd, const char *tmp, const struct stat *src, bool *direct)
{
	const int flags = O_CREAT | O_EXCL | O_RDWR;
	int fd = beneath__open(dirfd, tmp, flags | O_DIRECT, 0600);

	*direct = fd >= 0;
	if (fd == -EINVAL) {
		unlinkat(dirfd, tmp, 0); /* O_DIRECT is refused behind the creation */
		fd = beneath__open(dirfd, tmp, flags, 0600);
	}
	if (fd < 0)
		return fd;
	if (fchown(fd, src->st_uid, src->st_gid) || fchmod(fd, src->st_mode & 07777)) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

/*
 * The second reading goes through the page cache, emptied for this file first: the bytes come from
 * the device, and whoever reads the snapshot next (the following BRANCH copies it) finds it warm.
 */
static int verify(struct copying *c, int dirfd, const char *tmp)
{
	uint32_t written = c->crc;
	struct stat st;
	int err;

	close(c->dst);
	c->dst = beneath__open(dirfd, tmp, O_RDONLY, 0);
	if (c->dst < 0)
		return c->dst;
	if (fstat(c->dst, &st))
		return -errno;
	posix_fadvise(c->dst, 0, 0, POSIX_FADV_DONTNEED);
	c->crc = 0;
	err = walk_data(c, EXPORT_STEP_BYTES, verify_step, true);
	if (err)
		return err;
	return c->crc == written && (uint64_t)st.st_size == c->size ? 0 : -EBADMSG;
}

static int copy_and_sync(struct copying *c, int dirfd, const char *tmp)
{
	uint64_t t0 = now_mono_ns(), t1, t2;
	int err;

	if (ftruncate(c->dst, (off_t)c->size))
		return -errno;
	/* no space is found out before anything is written */
	err = walk_data(c, PREALLOC_BYTES, prealloc_step, false);
	if (err && err != -EOPNOTSUPP && err != -ENOSYS)
		return err;
	err = walk_data(c, EXPORT_STEP_BYTES, copy_step, true);
	if (err)
		return err;
	if (ftruncate(c->dst, (off_t)c->size))
		return -errno;
	t1 = now_mono_ns();
	err = pause_point(c);
	if (err)
		return err;
	if (fsync(c->dst))
		return -errno;
	t2 = now_mono_ns();
	err = verify(c, dirfd, tmp);
	c->res->copy_ns = t1 - t0;
	c->res->sync_ns = t2 - t1;
	c->res->verify_ns = now_mono_ns() - t2;
	c->res->crc = c->crc;
	c->res->direct = c->direct;
	return err;
}

/* Every page is touched before it is needed: no fault, and no memory to ask for, in between. */
static char *get_buffer(void)
{
	char *buf = mmap(NULL, EXPORT_STEP_BYTES, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (buf == MAP_FAILED)
		return NULL;
	for (size_t i = 0; i < EXPORT_STEP_BYTES; i += ALIGN_BYTES)
		*(volatile char *)(buf + i) = 0;
	return buf;
}

int export__copy(int src, int dirfd, const char *tmp, const struct export_hooks *hooks,
		 struct export_result *res)
{
	struct copying c = { .src = src, .dst = -1, .hooks = hooks, .res = res };
	struct stat st;
	int err;

	memset(res, 0, sizeof(*res));
	if (fstat(src, &st))
		return -errno;
	c.size = res->bytes = (uint64_t)st.st_size;
	c.buf = get_buffer();
	if (!c.buf)
		return -ENOMEM;
	c.dst = open_target(dirfd, tmp, &st, &c.direct);
	err = c.dst < 0 ? c.dst : copy_and_sync(&c, dirfd, tmp);
	if (c.dst >= 0)
		close(c.dst);
	if (err && err != -EEXIST)
		unlinkat(dirfd, tmp, 0);
	munmap(c.buf, EXPORT_STEP_BYTES);
	return err;
}

bool export__is_link(int dirfd, const char *name, const char *target)
{
	char at[PATH_MAX];
	ssize_t n = readlinkat(dirfd, name, at, sizeof(at) - 1);

	if (n < 0)
		return false;
	at[n] = '\0';
	return !strcmp(at, target);
}

static int sync_dir(int dirfd)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (fsync(fd))
		err = -errno;
	close(fd);
	return err;
}

/*
 * The two names change places in one step, so that a file which somebody put there between check
 * and rename is never lost: it comes back out, and goes back in.
 */
static int exchange(int dirfd, const char *tmp, const char *name, const char *target)
{
	if (renameat2(dirfd, tmp, dirfd, name, RENAME_EXCHANGE)) {
		if (errno != EINVAL && errno != ENOSYS)
			return -errno;
		return renameat(dirfd, tmp, dirfd, name) ? -errno : 0;
	}
	if (!export__is_link(dirfd, tmp, target)) {
		if (renameat2(dirfd, tmp, dirfd, name, RENAME_EXCHANGE))
			return -errno;
		return -ENOENT;
	}
	return unlinkat(dirfd, tmp, 0) ? -errno : 0;
}

int export__commit(int dirfd, const char *tmp, const char *name, const char *target)
{
	int err = export__is_link(dirfd, name, target) ? 0 : -ENOENT;

	if (!err)
		err = exchange(dirfd, tmp, name, target);
	if (err == -ENOENT)
		unlinkat(dirfd, tmp, 0);
	return err ? err : sync_dir(dirfd);
}

int export__relink(int dirfd, const char *tmp, const char *name, const char *target)
{
	if (symlinkat(target, dirfd, tmp))
		return -errno;
	if (renameat(dirfd, tmp, dirfd, name)) {
		int err = -errno;

		unlinkat(dirfd, tmp, 0);
		return err;
	}
	return 0;
}

void export__tmp_name(char *buf, size_t size, const char *name)
{
	snprintf(buf, size, ".%s" EXPORT_SUFFIX, name);
}
