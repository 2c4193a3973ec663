/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Sizes of I/O calls in power-of-two buckets, by operation. They are counted here and not by BPF:
 * with syscall records each call is at hand with its file and its window, which a map in the kernel
 * would not know; without them the hooks are off, and a map would bring back the very cost that was
 * to be saved. Sizes of requests are there in both cases (latencies.c).
 */
#ifndef FLATPAUSE_ANALYZE_IO_SIZES_H
#define FLATPAUSE_ANALYZE_IO_SIZES_H

#include <stdbool.h>

#include "../../reports/finding_tables.h"
#include "vec.h"

enum io_op {
	IO_READ,
	IO_WRITE,
	IO_COPY_FILE_RANGE, /* these three by what they write */
	IO_SENDFILE,
	IO_SPLICE,
	IO_FSYNC,      /* its size: what targets wrote to the file since it was last synced */
	IO_FDATASYNC,  /* likewise */
	IO_READ_OTHER, /* pipes, sockets, eventfds; descriptors of which nothing is known */
	IO_WRITE_OTHER,
	IO_OPS
};

/* The operation of a class of syscalls; IO_OPS = none. */
enum io_op io_op_of(uint8_t cls, bool is_file);

/* `rows` is a vec of the operations that occurred. 0 or -ENOMEM. */
int io_sizes__add(struct vec *rows, enum io_op op, uint64_t bytes);

/* Into the finding, in the order of enum io_op. 0 or -ENOMEM. */
int io_sizes__write(const struct vec *rows, struct finding_sizes **out, size_t *cnt);

#endif
