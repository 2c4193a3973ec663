/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The first pass over a trace: which threads are targets, where records were lost, the stacks,
 * and everything from which windows are found.
 */
#ifndef FLATPAUSE_ANALYZE_SCAN_H
#define FLATPAUSE_ANALYZE_SCAN_H

#include <stdbool.h>
#include <stdint.h>
#include "../trace/reader.h"
#include "stacks.h"
#include "vec.h"

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct scan_tid {
	uint32_t tid;
	uint32_t tgid; /* 0 = not known */
	bool target;
	bool command; /* of the BRANCH command or its children */
	bool died;    /* set by the second pass: without a fork it is not seen again */
	UT_hash_handle hh;
};

struct lost_range {
	uint64_t from_ns, to_ns;
	uint64_t records;
	uint32_t cpu;
};

enum signal_kind { /* where a window may come from, most exact first */
		   SIGNAL_MARK = 0,
		   SIGNAL_API = 1,
		   SIGNAL_REPORTED = 2,
		   SIGNAL_FILE = 3,
		   SIGNAL_EXEC = 4,
		   SIGNALS
};

/* One window as a detector sees it. */
struct signal {
	uint64_t begin_ns, end_ns;
	uint32_t closer_tid; /* 0 = not known */
	uint32_t tgid;	     /* 0 = not known */
	bool open;
	char label[48];
};

/* File activity of targets within a run: where a reported pause is anchored. */
struct activity {
	uint64_t first_ns, last_ns;
};

/* A descriptor through which a target may write; a shell's `> file` has two for a moment. */
struct open_file {
	uint32_t tgid;
	int32_t fd;
	uint32_t tid;
	bool match; /* SIGNAL_FILE asks for it */
	uint64_t begin_ns;
	uint32_t opening; /* the same for all descriptors of one open */
	char label[48];
};

/* A pause that was asked for over a control socket and is not over yet. */
struct pause {
	uint32_t tgid;
	int32_t fd;	  /* of the resume request */
	int32_t patch_fd; /* a request whose body has not come yet; -1 = none */
	bool paused, resuming;
	uint64_t begin_ns;
	const char *label;
};

struct scan {
	struct scan_tid *tids;
	struct vec lost;     /* struct lost_range of any CPU: sorted, apart from each other */
	struct vec lost_cpu; /* the same of each CPU, one after the other */
	struct vec signals[SIGNALS]; /* struct signal, by begin */
	struct vec run_list;	     /* struct rec_run */
	const struct rec_run *runs;  /* by begin */
	uint32_t runs_cnt;
	struct activity *vmm_activity;	   /* one per run: of targets that are not the command */
	struct activity *command_activity; /* one per run: of the command and its children */
	uint64_t lost_records;
	uint64_t start_ns, end_ns;
	const char *glob;      /* of SIGNAL_FILE */
	struct vec open_files; /* struct open_file */
	uint32_t openings;
	struct vec pauses; /* struct pause */
	bool no_memory;
};

/* `glob` selects memory files for SIGNAL_FILE. 0 or -errno (said). Free with scan__free(). */
int scan__trace(struct scan *s, struct trace_reader *r, struct stacks *stacks, const char *glob);
void scan__free(struct scan *s);

bool scan__is_target(const struct scan *s, uint32_t tid);
bool scan__is_command(const struct scan *s, uint32_t tid);
struct scan_tid *scan__tid(const struct scan *s, uint32_t tid);
uint32_t scan__tgid(const struct scan *s, uint32_t tid);

/*
 * The first range of lost records that ends after `ns` and begins before `to`: of any CPU with
 * cpu = UINT32_MAX. NULL = none.
 */
const struct lost_range *scan__lost(const struct scan *s, uint32_t cpu, uint64_t ns, uint64_t to);

#endif
