/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The few kernel types that we read, and of those only the fields that we read: our own vmlinux.h,
 * so that building needs no BTF of the building host. Offsets and sizes come from the running
 * kernel (CO-RE); what a field is called or where it lives on other kernels is told in
 * core_compat.bpf.h, whose types end in ___ and a word.
 */
#ifndef FLATPAUSE_KERNEL_H
#define FLATPAUSE_KERNEL_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s32 s32;
typedef __s64 s64;

/* Only the kind and the name of an enum matter to CO-RE, not what is in it. */
enum writeback_sync_modes { WB_SYNC_NONE };
enum wb_reason { WB_REASON_BACKGROUND };

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct device {
	u32 devt;
};

struct gendisk {
	int major;
	int first_minor;
};

struct block_device {
	struct gendisk *bd_disk;
	u32 bd_dev;
};

struct request_queue {
	struct gendisk *disk;
};

struct backing_dev_info {
	struct device *owner;
	unsigned int capabilities;
};

struct bdi_writeback {
	struct backing_dev_info *bdi;
};

struct super_block {
	u32 s_dev;
	struct backing_dev_info *s_bdi;
};

struct hlist_node {
	struct hlist_node *next;
};

struct hlist_head {
	struct hlist_node *first;
};

struct inode {
	u16 i_mode;
	struct super_block *i_sb;
	unsigned long i_ino;
	unsigned int i_nlink;
	s64 i_size;
	u8 i_blkbits;
	u64 i_blocks;
	struct hlist_head i_dentry;
};

struct qstr {
	const unsigned char *name;
};

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
	union {
		struct hlist_node d_alias;
	} d_u;
};

struct address_space {
	struct inode *host;
};

struct file {
	struct inode *f_inode;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct sched_info {
	unsigned long long run_delay;
	unsigned long long last_queued;
};

struct rq {
	u64 clock;
};

struct cfs_rq {
	struct rq *rq;
};

struct sched_entity {
	struct cfs_rq *cfs_rq;
};

struct cfs_bandwidth {
	int nr_throttled;
	u64 throttled_time;
};

struct task_group {
	struct task_group *parent;
	struct cfs_bandwidth cfs_bandwidth;
};

#if defined(__TARGET_ARCH_x86)
struct thread_info {
	u32 status;
	u32 cpu;
};

struct thread_struct {
	unsigned long sp;
};

struct pt_regs {
	unsigned long r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, sp;
};
#elif defined(__TARGET_ARCH_arm64)
struct thread_info {
	u32 cpu;
	int preempt_count;
	unsigned long flags;
};

struct cpu_context {
	unsigned long sp;
};

struct thread_struct {
	struct cpu_context cpu_context;
};

struct user_pt_regs {
	u64 regs[31];
	u64 sp, pc, pstate;
};

struct pt_regs {
	u64 regs[31];
	u64 orig_x0;
	s32 syscallno;
};
#endif

struct task_struct {
	struct thread_info thread_info;
	unsigned int __state;
	unsigned int flags;
	unsigned in_iowait : 1;
	u32 pid;
	u32 tgid;
	struct sched_entity se;
	struct task_group *sched_task_group;
	unsigned long nvcsw;
	char comm[16];
	struct files_struct *files;
	struct sched_info sched_info;
	struct thread_struct thread;
};

struct ext4_allocation_request {
	struct inode *inode;
	unsigned int len;
};

struct ext4_allocation_context {
	struct inode *ac_inode;
	struct super_block *ac_sb;
	u16 ac_groups_scanned;
	u16 ac_found;
	u8 ac_criteria;
};

struct journal_s {
	struct block_device *j_fs_dev;
};

struct transaction_s {
	struct journal_s *t_journal;
	u32 t_tid;
};

struct transaction_chp_stats_s {
	unsigned long cs_chp_time;
};

struct dirty_throttle_control {
	unsigned long dirty;
	unsigned long thresh;
	unsigned long wb_dirty;
	unsigned long wb_thresh;
};

struct wb_writeback_work {
	long nr_pages;
	struct super_block *sb;
	enum writeback_sync_modes sync_mode;
	enum wb_reason reason;
};

struct bvec_iter {
	u64 bi_sector;
	unsigned int bi_size;
};

struct bio {
	struct block_device *bi_bdev;
	u32 bi_opf;
	struct bvec_iter bi_iter;
};

struct request {
	struct request_queue *q;
	u32 cmd_flags;
	unsigned int __data_len;
	u64 __sector;
};

struct rq_qos {
	struct request_queue *q;
};

struct work_struct {
	void *func;
};

struct hrtimer {
	void *function;
	u8 is_soft;
};

struct timer_list {
	void *function;
};

struct bpf_iter_meta {
	void *seq;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

#pragma clang attribute pop

/* include/linux/sched.h; stable since they were introduced */
#define TASK_INTERRUPTIBLE   0x0001
#define TASK_UNINTERRUPTIBLE 0x0002
#define TASK_DEAD	     0x0080
#define TASK_NOLOAD	     0x0400
#define PF_KTHREAD	     0x00200000
#define TS_COMPAT	     0x0002

#define S_IFMT		     0170000
#define S_IFREG		     0100000
#define S_IFSOCK	     0140000

#endif
