// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "io_sizes.h"

#include <errno.h>

#include "../../bpf/abi.h"
#include "../../reports/finding.h"

struct io_row {
	enum io_op op;
	uint64_t calls, bytes;
	uint64_t buckets[SIZE_BUCKETS];
};

static const char *const names[IO_OPS] = {
	[IO_READ] = "read",
	[IO_WRITE] = "write",
	[IO_COPY_FILE_RANGE] = "copy_file_range",
	[IO_SENDFILE] = "sendfile",
	[IO_SPLICE] = "splice",
	[IO_FSYNC] = "fsync",
	[IO_FDATASYNC] = "fdatasync",
	[IO_READ_OTHER] = "read.other",
	[IO_WRITE_OTHER] = "write.other",
};

enum io_op io_op_of(uint8_t cls, bool is_file)
{
	switch (cls) {
	case FP_SYS_READ:
		return is_file ? IO_READ : IO_READ_OTHER;
	case FP_SYS_WRITE:
		return is_file ? IO_WRITE : IO_WRITE_OTHER;
	case FP_SYS_COPY_FILE_RANGE:
		return is_file ? IO_COPY_FILE_RANGE : IO_WRITE_OTHER;
	case FP_SYS_SENDFILE:
		return is_file ? IO_SENDFILE : IO_WRITE_OTHER;
	case FP_SYS_SPLICE:
		return is_file ? IO_SPLICE : IO_WRITE_OTHER;
	case FP_SYS_FSYNC:
		return is_file ? IO_FSYNC : IO_OPS;
	case FP_SYS_FDATASYNC:
		return is_file ? IO_FDATASYNC : IO_OPS;
	default:
		return IO_OPS;
	}
}

int io_sizes__add(struct vec *rows, enum io_op op, uint64_t bytes)
{
	struct io_row *row = NULL;

	for (size_t i = 0; i < vec__cnt(rows) && !row; i++)
		if (VEC_AT(rows, struct io_row, i)->op == op)
			row = VEC_AT(rows, struct io_row, i);
	if (!row) {
		row = VEC_PUSH(rows, struct io_row);
		if (!row)
			return -ENOMEM;
		row->op = op;
	}
	row->calls++;
	row->bytes += bytes;
	row->buckets[size_bucket(bytes)]++;
	return 0;
}

static int write_row(const struct io_row *row, struct finding_sizes **out, size_t *cnt)
{
	struct finding_sizes *s = FINDING_APPEND(out, cnt);

	if (!s || finding_set(&s->op, names[row->op]))
		return -ENOMEM;
	s->calls = row->calls;
	s->bytes = row->bytes;
	memcpy(s->buckets, row->buckets, sizeof(s->buckets));
	return 0;
}

int io_sizes__write(const struct vec *rows, struct finding_sizes **out, size_t *cnt)
{
	for (int op = 0; op < IO_OPS; op++)
		for (size_t i = 0; i < vec__cnt(rows); i++) {
			const struct io_row *row = VEC_AT(rows, struct io_row, i);

			if ((int)row->op == op && write_row(row, out, cnt))
				return -ENOMEM;
		}
	return 0;
}
