// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "read.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int open_below(const char *root, const char *fmt, va_list ap)
{
	char path[PATH_MAX];
	int n, m, fd;

	n = snprintf(path, sizeof(path), "%s", root);
	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	m = vsnprintf(path + n, sizeof(path) - (size_t)n, fmt, ap);
	if (m < 0 || (size_t)m >= sizeof(path) - (size_t)n)
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return fd < 0 ? -errno : fd;
}

/* Until `size` bytes, the end, or an error; files of /proc come in pieces. */
static ssize_t read_up_to(int fd, char *buf, size_t size)
{
	size_t got = 0;

	while (got < size) {
		ssize_t n = read(fd, buf + got, size - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	return (ssize_t)got;
}

static size_t trim_end(char *buf, size_t len)
{
	while (len && isspace((unsigned char)buf[len - 1]))
		len--;
	buf[len] = '\0';
	return len;
}

static int vread_text(const char *root, char *buf, size_t size, const char *fmt, va_list ap)
{
	int fd = open_below(root, fmt, ap);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = read_up_to(fd, buf, size - 1);
	close(fd);
	return n < 0 ? (int)n : (int)trim_end(buf, (size_t)n);
}

int read_text(const char *root, char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vread_text(root, buf, size, fmt, ap);
	va_end(ap);
	return n;
}

int read_whole(const char *root, char **out, size_t max, const char *fmt, ...)
{
	size_t size = 4096, len = 0;
	char *buf = NULL, *bigger;
	int fd, err = 0;
	va_list ap;
	ssize_t n;

	va_start(ap, fmt);
	fd = open_below(root, fmt, ap);
	va_end(ap);
	if (fd < 0)
		return fd;
	for (;;) {
		size = size > max ? max : size;
		bigger = realloc(buf, size + 1);
		if (!bigger) {
			err = -ENOMEM;
			break;
		}
		buf = bigger;
		n = read_up_to(fd, buf + len, size - len);
		if (n < 0) {
			err = (int)n;
			break;
		}
		len += (size_t)n;
		if (len < size || size == max)
			break;
		size *= 2;
	}
	close(fd);
	if (err) {
		free(buf);
		return err;
	}
	buf[len] = '\0';
	*out = buf;
	return 0;
}

int read_number(const char *root, uint64_t *out, const char *fmt, ...)
{
	char text[64], *end;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vread_text(root, text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0)
		return n;
	if (!isdigit((unsigned char)text[0]))
		return -EINVAL;
	errno = 0;
	*out = strtoull(text, &end, 10);
	return errno ? -ERANGE : 0;
}

/* "flags:\t0100002" of /proc/PID/fdinfo/FD, octal */
uint32_t read_oflags(pid_t pid, const char *fd)
{
	unsigned int oflags = 0;
	char text[512], *line;

	if (read_text("", text, sizeof(text), "/proc/%d/fdinfo/%s", pid, fd) <= 0)
		return 0;
	line = strstr(text, "flags:");
	return line && sscanf(line, "flags: %o", &oflags) == 1 ? oflags : 0;
}

int each_line(char *text, int (*fn)(void *ctx, char *line), void *ctx)
{
	char *save = NULL;
	int ret = 0;

	for (char *line = strtok_r(text, "\n", &save); line && !ret;
	     line = strtok_r(NULL, "\n", &save))
		ret = fn(ctx, line);
	return ret;
}
