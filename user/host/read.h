/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Bounded reads of /proc and /sys below a root directory ("" = the real one). */
#ifndef FLATPAUSE_HOST_READ_H
#define FLATPAUSE_HOST_READ_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Reads at most size - 1 bytes of root + path, zero terminates and cuts white space at the end.
 * Number of bytes, or -errno. Opened with O_NONBLOCK, so that a FIFO cannot hold us.
 */
int read_text(const char *root, char *buf, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* As read_text, into memory that the caller frees; files above `max` bytes are cut there. */
int read_whole(const char *root, char **out, size_t max, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* The first number of a file: 0, -EINVAL if it holds none, -errno. */
int read_number(const char *root, uint64_t *out, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The flags that a descriptor of `pid` was opened with, O_WRONLY and the like; 0 = not to be read. */
uint32_t read_oflags(pid_t pid, const char *fd);

/* Calls fn for each line of `text`, which is cut up; ends early when fn returns non-zero. */
int each_line(char *text, int (*fn)(void *ctx, char *line), void *ctx);

#endif
