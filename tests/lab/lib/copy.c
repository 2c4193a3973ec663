// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#define RANGE_BYTES  (1UL << 30) /* what std asks copy_file_range for */
#define SEND_BYTES   0x7ffff000UL
#define BUFFER_BYTES (1UL << 20)

/* The errors upon which std takes the next way, as long as nothing was copied yet. */
static bool means_other_way(int err)
{
	switch (-err) {
	case EXDEV:
	case ENOSYS:
	case EINVAL:
	case EPERM:
	case EOPNOTSUPP:
	case EOVERFLOW:
		return true;
	default:
		return false;
	}
}

/* Each way: bytes copied, 0 = end, -errno */
static ssize_t by_range(int in, int out, void *buf)
{
	ssize_t n = copy_file_range(in, NULL, out, NULL, RANGE_BYTES, 0);

	return n < 0 ? -errno : n;
}

static ssize_t by_sendfile(int in, int out, void *buf)
{
	ssize_t n = sendfile(out, in, NULL, SEND_BYTES);

	return n < 0 ? -errno : n;
}

static ssize_t by_buffer(int in, int out, void *buf)
{
	ssize_t n = read(in, buf, BUFFER_BYTES), done = 0;

	if (n < 0)
		return -errno;
	while (done < n) {
		ssize_t w = write(out, (char *)buf + done, (size_t)(n - done));

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return w < 0 ? -errno : -ENOSPC;
		done += w;
	}
	return n;
}

static int copy_open(int in, int out, void *buf)
{
	static ssize_t (*const ways[])(int, int, void *) = { by_range, by_sendfile, by_buffer };
	bool copied = false;
	size_t way = 0;

	for (;;) {
		ssize_t n = ways[way](in, out, buf);

		if (n == -EINTR)
			continue;
		if (n < 0 && !copied && means_other_way((int)n) && way < 2) {
			way++;
			continue;
		}
		/* copy_file_range says 0 on files that only read() can read: try once */
		if (n == 0 && !copied && way == 0) {
			way = 2;
			continue;
		}
		if (n <= 0)
			return (int)n;
		copied = true;
	}
}

int copy_file(const char *from, const char *to)
{
	int in = -1, out = -1, err = 0;
	struct stat st;
	char *buf = malloc(BUFFER_BYTES);

	if (!buf)
		return -ENOMEM;
	in = open(from, O_RDONLY | O_CLOEXEC);
	if (in < 0 || fstat(in, &st)) {
		err = -errno;
		goto out;
	}
	out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, st.st_mode & 0777);
	if (out < 0) {
		err = -errno;
		goto out;
	}
	err = copy_open(in, out, buf);
out:
	if (out >= 0 && close(out) && !err)
		err = -errno;
	if (in >= 0)
		close(in);
	free(buf);
	return err;
}

static int apply_extent(int in, int out, char *buf, off_t from, off_t to)
{
	while (from < to) {
		size_t want = (size_t)(to - from) < BUFFER_BYTES ? (size_t)(to - from)
								 : BUFFER_BYTES;
		ssize_t n = pread(in, buf, want, from), done = 0;

		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		while (done < n) {
			ssize_t w = pwrite(out, buf + done, (size_t)(n - done), from + done);

			if (w <= 0)
				return w < 0 ? -errno : -ENOSPC;
			done += w;
		}
		from += n;
	}
	return 0;
}

static int apply_open(int in, int out, char *buf, uint64_t *applied_bytes)
{
	off_t at = 0;

	for (;;) {
		off_t data = lseek(in, at, SEEK_DATA), hole;
		int err;

		if (data < 0)
			return errno == ENXIO ? 0 : -errno;
		hole = lseek(in, data, SEEK_HOLE);
		if (hole < 0)
			return -errno;
		err = apply_extent(in, out, buf, data, hole);
		if (err)
			return err;
		*applied_bytes += (uint64_t)(hole - data);
		at = hole;
	}
}

int apply_diff(const char *diff, const char *onto, uint64_t *applied_bytes)
{
	int in = -1, out = -1, err = 0;
	struct stat a, b;
	char *buf = malloc(BUFFER_BYTES);

	*applied_bytes = 0;
	if (!buf)
		return -ENOMEM;
	in = open(diff, O_RDONLY | O_CLOEXEC);
	out = in < 0 ? -1 : open(onto, O_WRONLY | O_CLOEXEC);
	if (in < 0 || out < 0 || fstat(in, &a) || fstat(out, &b))
		err = -errno;
	else if (a.st_size != b.st_size)
		err = -ESTALE; /* the copy and the diff are not of the same guest */
	else
		err = apply_open(in, out, buf, applied_bytes);
	if (out >= 0 && close(out) && !err)
		err = -errno;
	if (in >= 0)
		close(in);
	free(buf);
	return err;
}
