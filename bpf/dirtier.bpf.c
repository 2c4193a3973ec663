// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Who makes inodes dirty, so that what the flusher or the journal writes while somebody waits has a
 * culprit. Of everybody, as strangers are looked for; the hook fires for each page that becomes
 * dirty, so that one inode and thread tell of themselves once in a while only.
 */
#include "common.bpf.h"

#define AGAIN_AFTER_NS 50000000
#define BDI_CAP_WRITEBACK \
	1 /* include/linux/backing-dev.h, since 5.10; none for tmpfs, pipes, proc */

struct dirtier {
	u64 ino;
	u32 dev;
	u32 tid;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct dirtier);
	__type(value, u64);
} dirtiers SEC(".maps");

/* A writer goes on with its inode: seen here without a look-up, as nearly always. */
static __always_inline bool is_same_again(struct cpu_state *cpu, struct inode *inode, u32 tid,
					  u64 ts_ns)
{
	u64 addr = (u64)inode;

	if (cpu->dirty_inode == addr && cpu->dirty_tid == tid &&
	    ts_ns - cpu->dirty_ns < AGAIN_AFTER_NS)
		return true;
	cpu->dirty_inode = addr;
	cpu->dirty_tid = tid;
	cpu->dirty_ns = ts_ns;
	return false;
}

/* A stranger's name is nowhere else; told again only after another one's. */
static __always_inline void tell_name(struct cpu_state *cpu, struct task_struct *task, u64 ts_ns)
{
	if (cpu->named_tid == task->pid || interest_of(task->pid))
		return;
	cpu->named_tid = task->pid;
	emit_task_state(task, 0, 0, 0, ts_ns);
}

SEC("?tp_btf/writeback_mark_inode_dirty")
int BPF_PROG(writeback_mark_inode_dirty, struct inode *inode)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct cpu_state *cpu = this_cpu();
	struct dirtier key;
	u64 ts_ns, *last;
	u8 call;

	if (recording != REC_ON || !cpu || task->tgid == cfg_own_tgid)
		return 0;
	ts_ns = bpf_ktime_get_ns();
	if (is_same_again(cpu, inode, task->pid, ts_ns) ||
	    !(inode->i_sb->s_bdi->capabilities & BDI_CAP_WRITEBACK))
		return 0;
	key.ino = inode->i_ino;
	key.dev = inode->i_sb->s_dev;
	key.tid = task->pid;
	last = bpf_map_lookup_elem(&dirtiers, &key);
	if (last && ts_ns - *last < AGAIN_AFTER_NS)
		return 0;
	call = current_call();
	/* Opening and sizing come before the write, which is the one to tell of: it is told again. */
	if ((inode->i_mode & S_IFMT) == S_IFREG &&
	    (call == FP_SYS_OPEN || call == FP_SYS_FTRUNCATE || call == FP_SYS_FALLOCATE))
		cpu->dirty_inode = 0;
	else
		bpf_map_update_elem(&dirtiers, &key, &ts_ns, BPF_ANY);
	tell_name(cpu, task, ts_ns);
	emit_point(FP_POINT_INODE_DIRTY, key.ino, key.dev, call, 0);
	return 0;
}
