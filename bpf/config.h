/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What user space tells the kernel side before it is loaded; not part of any file format. */
#ifndef FLATPAUSE_BPF_CONFIG_H
#define FLATPAUSE_BPF_CONFIG_H

#ifndef __bpf__
#include <linux/types.h>
#endif

/* PID_MAX_LIMIT of 64-bit kernels: two bits a thread id make one MiB, less than a wrong guess */
#define FP_PID_LIMIT	  (4u << 20)
#define FP_TIDS_PER_WORD  32
#define FP_INTEREST_WORDS (FP_PID_LIMIT / FP_TIDS_PER_WORD)

#define FP_NEIGHBOURS	  128 /* slots; the oldest is evicted */

/* Where the bytes that a call read are found: struct sys_desc.buf */
enum sys_buf {
	SYS_BUF_NONE = 0,
	SYS_BUF_ARG1 = 1,   /* read, recvfrom */
	SYS_BUF_IOVEC = 2,  /* readv */
	SYS_BUF_MSGHDR = 3, /* recvmsg */
};

#define SYS_NO_ARG 0xff

/* sys_desc.flags */
#define SYS_ARGS     1 /* recorded as EV_SYSCALL_ARGS */
#define SYS_OPEN_HOW 2 /* the flags argument points to struct open_how */
#define SYS_CREAT    4 /* no flags argument: O_WRONLY|O_CREAT|O_TRUNC */

/* Value of the map `syscall_class`. Argument positions count from 0. */
struct sys_desc {
	__u8 cls;	/* enum fp_sys */
	__u8 fd_arg;	/* the descriptor (open: the directory) */
	__u8 path_arg;	/* open: path; rename: old path */
	__u8 path2_arg; /* open: flags; rename: new path */
	__u8 args_from; /* first of the arguments kept in EV_SYSCALL_ARGS */
	__u8 buf;	/* enum sys_buf */
	__u8 flags;	/* SYS_* */
	__u8 pad;
};

/* Value of the map `cpus`: own cache lines, so that counting does not bounce between CPUs. */
struct cpu_state {
	__u64 lost_pending; /* not yet told in band */
	__u64 lost_from_ns; /* begin of what is pending */
	__u64 lost_total;
	__u64 lost_first_ns;
	__u64 lost_last_ns;
	__u64 completing_rq; /* address of the request whose completion runs, 0 = none */
	__u64 completing_ns;
	__u32 completing_tid;
	__u32 completing_ctx;
	__u64 probing; /* > 0: we look at user memory, faults are ours */
	/* What runs between entry and exit here; a hard interrupt comes in between a soft one. */
	__u64 irq_ns, softirq_ns; /* begin of one that took the CPU from a followed thread, or 0 */
	__u32 irq_tid, softirq_tid;
	__u64 timer_hard, timer_soft; /* function of the timer that expires, 0 = none */
	__u64 dirty_inode, dirty_ns;  /* the inode that was made dirty last here, when, by whom */
	__u32 dirty_tid, named_tid;
	__u32 displaced_tid, displaced_tgid; /* whom our own process took this CPU from last */
	char displaced_comm[16];
	__u64 pad[4];
};

/* Kernel text that belongs to tracing itself: skipped at the top of kernel stacks */
#define FP_OWN_TEXT_RANGES 4
struct text_range {
	__u64 begin, end;
};

/* `recording` */
enum {
	REC_OFF = 0,
	REC_ON = 1,
	REC_ENDING = 2, /* only the iterator that writes what is open */
};

/* `iter_mode` */
enum {
	ITER_ADOPT = 1, /* mark the threads of iter_tgid as targets, quietly */
	ITER_TASKS = 2, /* EV_TASK for targets (iter_tgid 0: of all, and kernel threads) */
	ITER_OPEN = 3,	/* what is open in every thread */
};

#endif
