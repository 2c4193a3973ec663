/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Shared by the files that make up the builder; tests include trace_builder.h. */
#ifndef FLATPAUSE_TESTS_TRACE_BUILDER_INTERNAL_H
#define FLATPAUSE_TESTS_TRACE_BUILDER_INTERNAL_H

#include "trace_builder.h"
#include "../../user/trace/writer.h"

#define TB_KERNEL_BASE 0xffffffff81000000ull
#define TB_USER_BASE   0x400000ull
#define TB_FUNC_BYTES  0x1000

struct list {
	void *items;
	size_t cnt;
	size_t item_size;
};

struct sym {
	uint32_t tgid; /* 0 = kernel */
	uint64_t addr;
	char name[96];
};

struct map {
	uint32_t tgid;
	struct rec_map rec;
	char path[FP_MAX_PATH];
};

struct open_fd {
	uint32_t tgid;
	struct rec_fd rec;
	char path[FP_MAX_PATH];
};

struct region {
	uint32_t tgid;
	struct rec_region rec;
	char name[FP_MAX_PATH];
};

struct trace_builder {
	struct trace_writer *w;
	char path[512];
	bool own_path;
	int err;
	uint32_t cpu;
	uint64_t now_ns; /* as in the file */
	char *meta, *cost;
	struct list syms, stacks, maps, fds, regions, runs, marks, losses;
};

/* Room for one more item, zeroed; NULL: b->err says so. */
void *list__add(struct trace_builder *b, struct list *l, size_t item_size);

/* The first error is the one that tb__finish() gives. */
void keep_err(struct trace_builder *b, int err);

/* Writes a record on the current CPU; a header as of now, in task context. */
void emit(struct trace_builder *b, const struct ev_hdr *h);
struct ev_hdr hdr(const struct trace_builder *b, enum ev_kind kind, uint32_t tid, size_t size);

/* Writes symbols, maps, runs, ... */
void write_collected(struct trace_builder *b);

#endif
