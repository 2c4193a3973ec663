/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Every record that crosses from the kernel side to user space, and from there unchanged into
 * the EVENTS chunks of a trace file. This is a contract: fixed width, no pointers, kinds and ops
 * are numbered, only ever appended, never renumbered. A reader skips kinds that it does not know
 * by hdr.size. Records of one CPU stand in the order in which they were reserved.
 *
 * Sizes: no record that is written per event is larger than 40 bytes; EV_STACK, EV_OPEN, EV_PATH
 * and EV_API carry a variable tail, EV_EXTENTS carries names; they are rare.
 */
#ifndef FLATPAUSE_ABI_H
#define FLATPAUSE_ABI_H

#ifndef __bpf__
#include <linux/types.h>
#endif

#define FP_COMM_LEN    16
#define FP_MAX_FRAMES  64  /* kernel or user frames kept of one stack */
#define FP_MAX_PATH    256 /* bytes of a path, with its terminating zero */
#define FP_MAX_API     192 /* first bytes of an API request that are kept */
#define FP_NAME_LEN    40 /* bytes of one name of a path, with its terminating zero; cut if longer */
#define FP_MAX_SYSCALL 512 /* syscall numbers at and above are not looked at */

enum ev_kind {
	EV_LOST = 1,	      /* struct ev_lost: records of this CPU that found the ring full */
	EV_STACK = 2,	      /* struct ev_stack: the frames behind a stack id, sent once */
	EV_SWITCH = 3,	      /* struct ev_switch */
	EV_WAKE = 4,	      /* struct ev_wake: sched_waking */
	EV_FORK = 5,	      /* struct ev_task: a new thread; hdr.tid is the parent */
	EV_EXIT = 6,	      /* struct ev_task */
	EV_EXEC = 7,	      /* struct ev_task: the name changed */
	EV_SLEEP_USTACK = 8,  /* struct ev_sleep_ustack */
	EV_SAMPLE = 9,	      /* struct ev_sample */
	EV_SYSCALL = 10,      /* struct ev_syscall */
	EV_SYSCALL_ARGS = 11, /* struct ev_syscall_args */
	EV_OPEN = 12,	      /* struct ev_open */
	EV_FUTEX = 13,	      /* struct ev_futex */
	EV_PATH = 14,	      /* struct ev_path: rename */
	EV_API = 15,	      /* struct ev_api: a control request read from a socket */
	EV_SPAN = 16,	      /* struct ev_span: something with a begin and an end in one thread */
	EV_POINT = 17,	      /* struct ev_point: something that happened */
	EV_BIO = 18,	      /* struct ev_bio */
	EV_RQ = 19,	      /* struct ev_rq */
	EV_DIRTY = 20,	      /* struct ev_dirty: balance_dirty_pages */
	EV_TASK = 21,	      /* struct ev_task_state: a thread as found when recording began */
	EV_WORK = 22,	      /* struct ev_work: a work item is queued, begins, ends */
	EV_EXTENTS = 23,      /* struct ev_extents: a file got its blocks in advance, or lost all */
	EV_KIND_END
};

/* hdr.ctx: in which context the CPU was */
enum ev_ctx {
	EV_CTX_TASK = 0,
	EV_CTX_SOFTIRQ = 1,
	EV_CTX_HARDIRQ = 2,
	EV_CTX_NMI = 3,
	EV_CTX_UNKNOWN = 4,
};

struct ev_hdr {
	__u64 ts_ns; /* CLOCK_MONOTONIC */
	__u32 tid;   /* the thread that the record is about; 0 = idle or none */
	__u16 size;  /* of the whole record, header included, a multiple of 8 */
	__u8 kind;
	__u8 ctx;
};

struct ev_lost {
	struct ev_hdr h; /* ts_ns: when the ring took records again */
	__u64 from_ns;	 /* the first loss */
	__u64 records;	 /* how many were lost since then */
};

/* Frames run from the innermost outwards. Ids are a 64-bit hash of the frames, never 0. */
struct ev_stack {
	struct ev_hdr h;
	__u64 id;
	__u32 tgid; /* address space of a user stack; 0 for a kernel stack */
	__u16 frames_cnt;
	__u16 flags;
	__u64 frames[];
};

/* ev_stack.flags */
#define EV_STACK_TRUNCATED 1 /* the walk filled FP_MAX_FRAMES */

/* ev_switch.flags */
#define EV_SWITCH_PREEMPT     1 /* prev was still runnable: ignore prev_state */
#define EV_SWITCH_PREV_IOWAIT 2
#define EV_SWITCH_NEXT_IOWAIT 4	 /* next's sleep that ends here was an I/O wait */
#define EV_SWITCH_STACK_NEXT  8	 /* kstack_id belongs to the sleep of next; else to prev's */
#define EV_SWITCH_RUN_DELAY   16 /* run_delay_ns is valid */
#define EV_SWITCH_THROTTLED   32 /* next's group was out of CPU quota while it waited */

/* hdr.tid leaves the CPU, next_tid takes it. Emitted when either is of interest. */
struct ev_switch {
	struct ev_hdr h;
	__u32 next_tid;
	__u16 prev_state; /* TASK_* bits; 0 = runnable */
	__u16 flags;
	__u64 kstack_id;    /* 0 = none taken (too short, or no sleep) */
	__u32 run_delay_ns; /* time that next stood in the runqueue; saturates */
	__u32 pad;
};

/* ev_wake.flags */
#define EV_WAKE_BY_IO	 1 /* cause is the request whose completion is running on this CPU */
#define EV_WAKE_BY_TIMER 2 /* cause is the address of the timer function that runs on this CPU */

/* hdr.tid is what was running on the waking CPU; only with ctx TASK is it the waker. */
struct ev_wake {
	struct ev_hdr h;
	__u32 wakee_tid;
	__u16 target_cpu;
	__u16 flags;
	__u64 cause; /* FP_ID of the request with EV_WAKE_BY_IO, a function with BY_TIMER, else 0 */
};

enum fp_work {
	FP_WORK_QUEUE = 1, /* hdr: who queued it, in which context */
	FP_WORK_START = 2, /* hdr.tid: the worker that executes it from here to FP_WORK_END */
	FP_WORK_END = 3,
};

struct ev_work {
	struct ev_hdr h;
	__u64 work;  /* address of the work item: the same from QUEUE to END, then free again */
	__u64 func;  /* address of its function */
	__u32 cause; /* QUEUE: FP_ID of the request whose completion queued it, 0 = none */
	__u16 act;   /* enum fp_work */
	__u16 pad;
};

struct ev_task {
	struct ev_hdr h;
	__u32 tid;
	__u32 tgid;
	char comm[FP_COMM_LEN];
};

/* The user stack of the sleep of hdr.tid that began at sleep_ns; taken when it returned. */
struct ev_sleep_ustack {
	struct ev_hdr h;
	__u64 sleep_ns;
	__u64 ustack_id;
};

/* ctx says where the sample hit; ustack_id is set for user hits and, if taken, under a syscall. */
struct ev_sample {
	struct ev_hdr h;
	__u64 kstack_id; /* 0 = user mode */
	__u64 ustack_id;
};

/*
 * What a syscall does, independent of its number on this machine. The recorder fills the map
 * `syscall_class` (number -> class) for the machine that it runs on; classes are only appended.
 */
enum fp_sys {
	FP_SYS_OTHER = 0, /* recorded only if it took cfg_min_other_ns or longer */
	FP_SYS_OPEN = 1,
	FP_SYS_CLOSE = 2,
	FP_SYS_FTRUNCATE = 3,
	FP_SYS_FALLOCATE = 4,
	FP_SYS_READ = 5,
	FP_SYS_WRITE = 6,
	FP_SYS_FSYNC = 7,
	FP_SYS_SYNC_FILE_RANGE = 8,
	FP_SYS_COPY_FILE_RANGE = 9,
	FP_SYS_SENDFILE = 10,
	FP_SYS_SPLICE = 11,
	FP_SYS_RENAME = 12,
	FP_SYS_FUTEX = 13,
	FP_SYS_IOCTL = 14,
	FP_SYS_RECV = 15,
	FP_SYS_SEND = 16,
	FP_SYS_POLL = 17, /* epoll, poll, select */
	FP_SYS_SLEEP = 18,
	FP_SYS_FDATASYNC = 19,
	FP_SYS_WAIT = 20,
	FP_SYS_UNLINK = 21,
	FP_SYS_MSYNC = 22,
	FP_SYS_DUP = 23, /* ret = the new descriptor */
	FP_SYS_END
};

/* ev_syscall.flags; for spans see FP_SPAN_OPEN */
#define EV_FLAG_OPEN 1 /* still running when recording ended: hdr.ts_ns is that end */

struct ev_syscall {
	struct ev_hdr h; /* ts_ns: exit */
	__u64 enter_ns;
	__s64 ret;
	__s32 fd; /* -1 = the call has none */
	__u16 nr;
	__u8 cls; /* enum fp_sys */
	__u8 flags;
};

/* For the rare calls whose arguments tell: ftruncate, fallocate, sync_file_range, ... ioctl */
struct ev_syscall_args {
	struct ev_syscall sys;
	__u64 args[3]; /* the arguments after the descriptor */
};

struct ev_open {
	struct ev_hdr h; /* ts_ns: exit */
	__u64 enter_ns;
	__u64 ino; /* 0 if the open failed */
	__u32 dev; /* kernel dev_t: major << 20 | minor */
	__s32 fd;  /* or -errno */
	__u32 oflags;
	__s32 dirfd;
	char path[]; /* zero terminated, padded to 8; as the caller gave it */
};

/* ev_futex.ret: still waiting when recording ended (an EV_SYSCALL with EV_FLAG_OPEN is beside it) */
#define FP_FUTEX_OPEN (-0x7fffffff - 1)

struct ev_futex {
	struct ev_hdr h; /* ts_ns: exit */
	__u64 enter_ns;
	__u64 uaddr;
	__u32 op;
	__s32 ret;
};

struct ev_path {
	struct ev_hdr h;
	__s32 ret;
	__u16 old_len; /* both with their zero; the tail holds old, then new, padded to 8 */
	__u16 new_len;
	char paths[];
};

/* The first bytes of a request that looks like a VMM control call; `fd` names the connection. */
struct ev_api {
	struct ev_hdr h; /* ts_ns: the read returned */
	__s32 fd;
	__u32 len; /* of data, before padding */
	char data[];
};

enum fp_span {
	FP_SPAN_EXT4_ALLOC = 1,	     /* request_blocks .. allocate_blocks; value = blocks */
	FP_SPAN_EXT4_SYNC = 2,	     /* sync_file_enter .. exit; value = -ret */
	FP_SPAN_EXT4_WRITEPAGES = 3, /* value = pages written */
	FP_SPAN_EXT4_TRUNCATE = 4,   /* value = 4 KiB blocks held before */
	FP_SPAN_EXT4_FALLOCATE = 5,  /* value = blocks */
	FP_SPAN_RECLAIM = 6,
	FP_SPAN_MEMCG_RECLAIM = 7,
	FP_SPAN_WBT_WAIT = 8,	    /* upper rung only: fentry/fexit wbt_wait */
	FP_SPAN_JBD2_WAIT = 9,	    /* upper rung only: jbd2_log_wait_commit */
	FP_SPAN_MB_NEW_BLOCKS = 10, /* upper rung only: ext4_mb_new_blocks */
	FP_SPAN_IRQ = 11,	    /* an interrupt took the CPU from hdr.tid; value = irq */
	FP_SPAN_SOFTIRQ = 12,	    /* the same for softirqs; value = vector */
	FP_SPAN_LOCK = 13, /* contention_begin .. end; ino = address of the lock, value = LCB_F_* */
	FP_SPAN_COMPACT = 14,
	FP_SPAN_END
};

/*
 * Or-ed to ev_span.op, which has no flags: EV_FLAG_OPEN of a span. hdr.ts_ns is the end of the
 * recording.
 */
#define FP_SPAN_OPEN 0x8000

struct ev_span {
	struct ev_hdr h; /* ts_ns: end */
	__u64 begin_ns;
	__u64 ino; /* 0 = none */
	__u32 dev;
	__u16 op;	/* enum fp_span, FP_SPAN_OPEN */
	__u16 value_lo; /* value, saturated at 65535 */
};

enum fp_point {
	FP_POINT_ALLOC_DA_BLOCKS = 1, /* flush at close or rename; id = ino */
	FP_POINT_MBALLOC = 2,	      /* id = ino, a = found << 16 | groups scanned, b = criteria */
	FP_POINT_BITMAP_LOAD = 3,     /* id = block group */
	FP_POINT_JBD2_START = 4,      /* id = transaction, as in all jbd2 points */
	FP_POINT_JBD2_LOCKING = 5,
	FP_POINT_JBD2_FLUSHING = 6,
	FP_POINT_JBD2_LOGGING = 7,
	FP_POINT_JBD2_END = 8,
	FP_POINT_JBD2_CHECKPOINT = 9, /* a = ms */
	FP_POINT_WB_QUEUE = 10,	      /* id = pages, a = reason (enum wb_reason), b = sync_mode */
	FP_POINT_WB_START = 11,
	FP_POINT_WB_WRITTEN = 12,
	FP_POINT_WB_INODE = 13,	  /* single_inode_start: id = ino */
	FP_POINT_FOLIO_WAIT = 14, /* folio_wait_writeback: id = ino */
	FP_POINT_WBT_LAT = 15,	  /* id = latency ns */
	FP_POINT_WBT_STEP = 16,	  /* id = window ns, a = step, b = background << 16 | normal */
	FP_POINT_WBT_TIMER = 17,  /* a = step, b = in flight */
	FP_POINT_FAULT_USER = 18, /* id = address */
	FP_POINT_FAULT_KERNEL = 19,
	FP_POINT_JBD2_INODE_DATA = 20, /* id = ino: an ordered flush by the commit */
	/* to size 0; id = ino, a = 4 KiB blocks held before, b = 1: it has no name any more */
	FP_POINT_EXT4_TRUNCATE_ALL = 21,
	/* hdr.tid made data or metadata of inode `id` dirty, in a call of class a (enum fp_sys;
	 * OTHER = not known); thinned */
	FP_POINT_INODE_DIRTY = 22,
	FP_POINT_END
};

struct ev_point {
	struct ev_hdr h;
	__u64 id;
	__u32 dev;
	__u16 op; /* enum fp_point */
	__u16 pad;
	__u32 a;
	__u32 b;
};

enum fp_bio {
	FP_BIO_QUEUE = 1,
	FP_BIO_GETRQ = 2,
	FP_BIO_MERGE = 3,
};

/* hdr.tid is the submitter */
struct ev_bio {
	struct ev_hdr h;
	__u64 sector;
	__u32 dev;
	__u32 bytes;
	__u32 opf;     /* blk_opf_t, low 32 bits */
	__u32 bio_act; /* enum fp_bio << 28 | bio id: bits 6..33 of its address */
};

enum fp_rq {
	FP_RQ_INSERT = 1,
	FP_RQ_ISSUE = 2,
	FP_RQ_COMPLETE = 3,
	FP_RQ_REQUEUE = 4,
};

struct ev_rq {
	struct ev_hdr h;
	__u64 sector;
	__u32 dev;
	__u32 bytes;
	__u32 opf;
	__u32 rq_act; /* enum fp_rq << 28 | request id: bits 6..33 of its address */
};

#define FP_ACT(x) ((x) >> 28)
#define FP_ID(x)  ((x)&0x0fffffffu)

struct ev_dirty {
	struct ev_hdr h;
	__u32 dev;
	__u32 limit_pages; /* the domain's threshold in force */
	__u32 dirty_pages;
	__u32 bdi_limit_pages;
	__u32 bdi_dirty_pages;
	__u16 pause_ms; /* the sleep that follows; saturates; 0 = none */
	__u16 pad;
};

struct ev_task_state {
	struct ev_hdr h; /* ts_ns: when the snapshot was taken */
	__u64 kstack_id; /* of a sleeping thread */
	__u32 tgid;
	__u16 state;
	__u16 flags; /* FP_TASK_* */
	char comm[FP_COMM_LEN];
};

enum fp_extents {
	FP_EXTENTS_MADE = 1,  /* an fallocate that succeeded */
	FP_EXTENTS_FREED = 2, /* a truncation to size 0 of a file that keeps its name */
};

/* Of everybody, targets or not, with the names as they were then: a stranger has no other record. */
struct ev_extents {
	struct ev_hdr h;
	__u64 ino;
	__u64 bytes;	  /* MADE: asked for; FREED: held before */
	__u64 held_bytes; /* MADE: what the file holds now, blocks of its metadata included */
	__u32 dev;
	__u32 tgid;
	__u16 act;	 /* enum fp_extents */
	__u8 call;	 /* enum fp_sys; OTHER = not known */
	__u8 block_bits; /* a block of this file system has 1 << block_bits bytes */
	__u32 pad;
	char comm[FP_COMM_LEN];
	char dir[FP_NAME_LEN]; /* the last name of the directory; "" = not known, "/" = a root */
	char name[FP_NAME_LEN];
};

#define FP_TASK_KTHREAD	     1
#define FP_TASK_TARGET	     2

#define FP_DEV(major, minor) ((__u32)(major) << 20 | (__u32)(minor))

_Static_assert(sizeof(struct ev_hdr) == 16, "ev_hdr");
_Static_assert(sizeof(struct ev_lost) == 32, "ev_lost");
_Static_assert(sizeof(struct ev_stack) == 32, "ev_stack");
_Static_assert(sizeof(struct ev_switch) == 40, "ev_switch");
_Static_assert(sizeof(struct ev_wake) == 32, "ev_wake");
_Static_assert(sizeof(struct ev_task) == 40, "ev_task");
_Static_assert(sizeof(struct ev_work) == 40, "ev_work");
_Static_assert(sizeof(struct ev_sleep_ustack) == 32, "ev_sleep_ustack");
_Static_assert(sizeof(struct ev_sample) == 32, "ev_sample");
_Static_assert(sizeof(struct ev_syscall) == 40, "ev_syscall");
_Static_assert(sizeof(struct ev_syscall_args) == 64, "ev_syscall_args");
_Static_assert(sizeof(struct ev_open) == 48, "ev_open");
_Static_assert(sizeof(struct ev_futex) == 40, "ev_futex");
_Static_assert(sizeof(struct ev_path) == 24, "ev_path");
_Static_assert(sizeof(struct ev_api) == 24, "ev_api");
_Static_assert(sizeof(struct ev_span) == 40, "ev_span");
_Static_assert(sizeof(struct ev_point) == 40, "ev_point");
_Static_assert(sizeof(struct ev_bio) == 40, "ev_bio");
_Static_assert(sizeof(struct ev_rq) == 40, "ev_rq");
_Static_assert(sizeof(struct ev_dirty) == 40, "ev_dirty");
_Static_assert(sizeof(struct ev_task_state) == 48, "ev_task_state");
_Static_assert(sizeof(struct ev_extents) == 152, "ev_extents");

#endif
