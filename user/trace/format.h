/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The trace file (.fpt): what recording leaves and everything after it reads. A contract.
 *
 *   struct rec_file, then chunks: struct rec_chunk + payload, padded to 8 bytes.
 *
 * Append-only. A file cut anywhere is read up to its last whole chunk and called incomplete; only
 * a REC_END chunk makes it complete. Chunk types and minor versions that a reader does not know
 * are skipped; a newer major is refused. All integers are little endian. Nothing in the file is
 * trusted: lengths, counts and offsets are checked before use.
 */
#ifndef FLATPAUSE_TRACE_FORMAT_H
#define FLATPAUSE_TRACE_FORMAT_H

#include <linux/types.h>

#define REC_MAGIC      "FLATPAU\n"
#define REC_MAJOR      1
#define REC_MINOR      1 /* 1: EV_EXTENTS, the call in FP_POINT_INODE_DIRTY */

#define REC_MAX_CHUNK  (64u << 20) /* raw payload bytes; a larger length is damage */
#define REC_MAX_EVENTS (1u << 20)  /* the same for REC_EVENTS, of which one per CPU is in memory */
#define REC_MAX_CPUS   8192

struct rec_file {
	char magic[8];
	__u16 major;
	__u16 minor;
	__u32 header_size;   /* where the first chunk stands */
	__u64 start_ns;	     /* CLOCK_MONOTONIC at the start of recording */
	__u64 start_real_ns; /* CLOCK_REALTIME at the same moment */
	__u32 cpus_cnt;
	__u32 abi_kinds; /* EV_KIND_END of the writer */
	__u64 reserved[3];
};

enum rec_type {
	REC_META = 1,	/* JSON object: tool, host, options, hooks; later ones only add to "host" */
	REC_EVENTS = 2, /* struct rec_events, then ev_* records of one CPU, in order */
	REC_KSYMS = 3,	/* struct rec_ksyms: kernel symbols that occur */
	REC_MAPS = 4,	/* struct rec_maps: one process's mappings */
	REC_FDS = 5,	/* struct rec_fds: files open in a process when it became a target */
	REC_RUNS = 6,	/* struct rec_run[]: one per run of the BRANCH command */
	REC_MARKS = 7,	/* struct rec_mark[] */
	REC_LOSS = 8,	/* struct rec_loss[]: per CPU, at the end */
	REC_END = 9,	/* struct rec_end */
	REC_SYMS = 10,	/* struct rec_syms: user symbols, resolved on the recording host */
	REC_COST = 11,	/* JSON object: what recording cost (own CPU, syscall hook, per switch) */
	REC_REGIONS = 12, /* struct rec_regions: what /proc/PID/maps has no name for */
};

#define REC_F_DEFLATE 1 /* the payload is a zlib stream of raw_size bytes */

struct rec_chunk {
	__u32 type;
	__u32 flags;
	__u32 size;	/* payload bytes in the file, without padding */
	__u32 raw_size; /* payload bytes after inflating; = size without REC_F_DEFLATE */
	__u32 crc32;	/* zlib's crc32 of the payload as it stands in the file */
	__u32 head_crc; /* crc32 of the five fields above: a damaged length is seen as such */
};

struct rec_events {
	__u32 cpu;
	__u32 records;
	__u64 first_ns; /* smallest and largest ts_ns in the chunk */
	__u64 last_ns;
};

/* Sorted by address. An entry covers [addr, addr + size). Names lie in the tail. */
struct rec_sym {
	__u64 addr;
	__u32 size;
	__u32 name; /* offset into the names, each zero terminated */
};

struct rec_ksyms {
	__u32 syms_cnt;
	__u32 names_size;
	/* struct rec_sym[syms_cnt], char names[names_size] */
};

struct rec_map {
	__u64 start;
	__u64 end;
	__u64 offset; /* in the file */
	__u64 ino;
	__u32 dev;
	__u32 path; /* offset into the names; "" = anonymous, "[heap]", ... as in /proc/PID/maps */
	__u32 prot; /* 1 read, 2 write, 4 execute, 8 shared */
	__u32 build_id_len;
	__u8 build_id[20];
	__u8 pad[4];
};

struct rec_maps {
	__u32 tgid;
	__u32 maps_cnt;
	__u64 ts_ns;
	__u32 names_size;
	__u32 reserved;
	/* struct rec_map[maps_cnt], char names[names_size] */
};

/* Where a thread's stack lies, and which parts of a file's writable segment are what. */
enum rec_region_kind {
	REC_REGION_DATA = 1,
	REC_REGION_BSS = 2,
	REC_REGION_STACK = 3,
};

struct rec_region {
	__u64 start;
	__u64 end;
	__u32 kind; /* enum rec_region_kind */
	__u32 tid;  /* of a stack */
	__u32 name; /* the file, offset into the names; "" of a stack */
	__u32 reserved;
};

struct rec_regions {
	__u32 tgid;
	__u32 regions_cnt;
	__u64 ts_ns;
	__u32 names_size;
	__u32 reserved;
	/* struct rec_region[regions_cnt], char names[names_size] */
};

struct rec_fd {
	__s32 fd;
	__u32 dev;
	__u64 ino;
	__u32 path;
	__u32 oflags;
};

struct rec_fds {
	__u32 tgid;
	__u32 fds_cnt;
	__u64 ts_ns;
	__u32 names_size;
	__u32 reserved;
	/* struct rec_fd[fds_cnt], char names[names_size] */
};

/* User symbols by address, of one process, for the frames that occur. Sorted by address. */
struct rec_syms {
	__u32 tgid;
	__u32 syms_cnt;
	__u32 names_size;
	__u32 reserved;
	/* struct rec_sym[syms_cnt], char names[names_size] */
};

#define REC_NS_NONE (~0ull)

/* rec_run.status: as waitpid gives it; the following stand for what it cannot say */
#define REC_RUN_TIMEOUT	  -1 /* killed after --timeout */
#define REC_RUN_INTERRUPT -2 /* recording was ended while it ran */

struct rec_run {
	__u32 sweep; /* from 1 */
	__u32 index; /* from 1: the BRANCH */
	__u64 begin_ns;
	__u64 end_ns;
	__u64 reported_ns; /* what the command said its pause was; REC_NS_NONE = nothing */
	__s32 pid;
	__s32 status;
};

enum rec_mark_kind {
	REC_MARK_BEGIN = 1,
	REC_MARK_END = 2,
};

struct rec_mark {
	__u64 ts_ns;
	__u32 kind;
	__u32 pid; /* of the sender, by SCM_CREDENTIALS */
	char label[48];
};

struct rec_loss {
	__u32 cpu;
	__u32 reserved;
	__u64 records;
	__u64 first_ns; /* the range in which records were lost; 0, 0 = none */
	__u64 last_ns;
};

struct rec_end {
	__u64 end_ns;
	__u64 events_cnt; /* all CPUs */
	__s32 reason;	  /* enum rec_reason */
	__u32 reserved;
};

enum rec_reason {
	REC_REASON_DONE = 0,
	REC_REASON_SIGNAL = 1,
	REC_REASON_TARGET_GONE = 2,
	REC_REASON_NO_SPACE = 3, /* what fitted is here */
};

_Static_assert(sizeof(struct rec_file) == 64, "rec_file");
_Static_assert(sizeof(struct rec_chunk) == 24, "rec_chunk");
_Static_assert(sizeof(struct rec_events) == 24, "rec_events");
_Static_assert(sizeof(struct rec_sym) == 16, "rec_sym");
_Static_assert(sizeof(struct rec_ksyms) == 8, "rec_ksyms");
_Static_assert(sizeof(struct rec_map) == 72, "rec_map");
_Static_assert(sizeof(struct rec_maps) == 24, "rec_maps");
_Static_assert(sizeof(struct rec_region) == 32, "rec_region");
_Static_assert(sizeof(struct rec_regions) == 24, "rec_regions");
_Static_assert(sizeof(struct rec_fd) == 24, "rec_fd");
_Static_assert(sizeof(struct rec_fds) == 24, "rec_fds");
_Static_assert(sizeof(struct rec_syms) == 16, "rec_syms");
_Static_assert(sizeof(struct rec_run) == 40, "rec_run");
_Static_assert(sizeof(struct rec_mark) == 64, "rec_mark");
_Static_assert(sizeof(struct rec_loss) == 32, "rec_loss");
_Static_assert(sizeof(struct rec_end) == 24, "rec_end");

#endif
