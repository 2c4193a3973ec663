// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* ext4: allocation, sync, writing out, truncation. Of everybody: the flusher allocates too. */
#include "common.bpf.h"

static __always_inline u32 inode_dev(struct inode *inode)
{
	return BPF_CORE_READ(inode, i_sb, s_dev);
}

/* What ext4_mb_new_blocks takes: the pair fires at its entry and at its successful exit. */
SEC("?tp_btf/ext4_request_blocks")
int BPF_PROG(ext4_request_blocks, struct ext4_allocation_request *ar)
{
	struct inode *inode = BPF_CORE_READ(ar, inode);

	span_begin(FP_SPAN_EXT4_ALLOC, BPF_CORE_READ(inode, i_ino), inode_dev(inode), 0);
	return 0;
}

SEC("?tp_btf/ext4_allocate_blocks")
int BPF_PROG(ext4_allocate_blocks, struct ext4_allocation_request *ar)
{
	span_end(FP_SPAN_EXT4_ALLOC, BPF_CORE_READ(ar, len));
	return 0;
}

SEC("?tp_btf/ext4_mballoc_alloc")
int BPF_PROG(ext4_mballoc_alloc, struct ext4_allocation_context *ac)
{
	u32 found = BPF_CORE_READ(ac, ac_found), scanned = BPF_CORE_READ(ac, ac_groups_scanned);

	emit_point(FP_POINT_MBALLOC, BPF_CORE_READ(ac, ac_inode, i_ino),
		   BPF_CORE_READ(ac, ac_sb, s_dev), found << 16 | scanned,
		   BPF_CORE_READ(ac, ac_criteria));
	return 0;
}

SEC("?tp_btf/ext4_read_block_bitmap_load")
int BPF_PROG(ext4_read_block_bitmap_load, struct super_block *sb, unsigned long group)
{
	emit_point(FP_POINT_BITMAP_LOAD, group, BPF_CORE_READ(sb, s_dev), 0, 0);
	return 0;
}

SEC("?tp_btf/ext4_sync_file_enter")
int BPF_PROG(ext4_sync_file_enter, struct file *file)
{
	struct inode *inode = BPF_CORE_READ(file, f_inode);

	span_begin(FP_SPAN_EXT4_SYNC, BPF_CORE_READ(inode, i_ino), inode_dev(inode), 0);
	return 0;
}

SEC("?tp_btf/ext4_sync_file_exit")
int BPF_PROG(ext4_sync_file_exit, struct inode *inode, int ret)
{
	span_end(FP_SPAN_EXT4_SYNC, ret < 0 ? -ret : 0);
	return 0;
}

SEC("?tp_btf/ext4_writepages")
int BPF_PROG(ext4_writepages, struct inode *inode)
{
	span_begin(FP_SPAN_EXT4_WRITEPAGES, BPF_CORE_READ(inode, i_ino), inode_dev(inode), 0);
	return 0;
}

SEC("?tp_btf/ext4_writepages_result")
int BPF_PROG(ext4_writepages_result, struct inode *inode, void *wbc, int ret, int pages)
{
	span_end(FP_SPAN_EXT4_WRITEPAGES, pages < 0 ? 0 : pages);
	return 0;
}

/* ---- blocks in advance, and what undoes it ---- */

/* The last two names of the file's path; of its first one, if it has several. */
static __always_inline void fill_names(struct ev_extents *e, struct inode *inode)
{
	struct hlist_node *node = BPF_CORE_READ(inode, i_dentry.first);
	struct dentry *dentry;

	__builtin_memset(e->dir, 0, sizeof(e->dir));
	__builtin_memset(e->name, 0, sizeof(e->name));
	if (!node || !bpf_core_field_exists(((struct dentry *)0)->d_u.d_alias))
		return;
	dentry = (void *)node - bpf_core_field_offset(((struct dentry *)0)->d_u.d_alias);
	bpf_probe_read_kernel_str(e->name, sizeof(e->name), BPF_CORE_READ(dentry, d_name.name));
	bpf_probe_read_kernel_str(e->dir, sizeof(e->dir),
				  BPF_CORE_READ(dentry, d_parent, d_name.name));
}

static __always_inline void emit_extents(u16 act, struct inode *inode, u64 bytes)
{
	struct task_struct *task = bpf_get_current_task_btf();
	u64 ts_ns = bpf_ktime_get_ns();
	struct ev_extents *e = ev_reserve(EV_EXTENTS, sizeof(*e), task->pid, EV_CTX_TASK, ts_ns);

	if (!e)
		return;
	e->ino = BPF_CORE_READ(inode, i_ino);
	e->bytes = bytes;
	e->held_bytes = BPF_CORE_READ(inode, i_blocks) * 512;
	e->dev = inode_dev(inode);
	e->tgid = task->tgid;
	e->act = act;
	e->call = current_call();
	e->block_bits = BPF_CORE_READ(inode, i_blkbits);
	e->pad = 0;
	fill_comm(e->comm, task->comm);
	fill_names(e, inode);
	ev_submit(e);
}

/*
 * The size before is gone when the hook fires; the blocks that are held still tell. A file without
 * a name is being deleted, which undoes nothing.
 */
SEC("?tp_btf/ext4_truncate_enter")
int BPF_PROG(ext4_truncate_enter, struct inode *inode)
{
	u64 ino = BPF_CORE_READ(inode, i_ino), blocks = BPF_CORE_READ(inode, i_blocks) / 8;
	bool deleted = !BPF_CORE_READ(inode, i_nlink);
	u32 dev = inode_dev(inode);

	span_begin(FP_SPAN_EXT4_TRUNCATE, ino, dev, saturate32(blocks));
	if (BPF_CORE_READ(inode, i_size))
		return 0;
	emit_point(FP_POINT_EXT4_TRUNCATE_ALL, ino, dev, saturate32(blocks), deleted);
	if (blocks && !deleted)
		emit_extents(FP_EXTENTS_FREED, inode, blocks * 4096);
	return 0;
}

SEC("?tp_btf/ext4_truncate_exit")
int BPF_PROG(ext4_truncate_exit, struct inode *inode)
{
	span_end(FP_SPAN_EXT4_TRUNCATE, span_value(FP_SPAN_EXT4_TRUNCATE));
	return 0;
}

SEC("?tp_btf/ext4_fallocate_enter")
int BPF_PROG(ext4_fallocate_enter, struct inode *inode)
{
	span_begin(FP_SPAN_EXT4_FALLOCATE, BPF_CORE_READ(inode, i_ino), inode_dev(inode), 0);
	return 0;
}

SEC("?tp_btf/ext4_fallocate_exit")
int BPF_PROG(ext4_fallocate_exit, struct inode *inode, s64 offset, unsigned int max_blocks, int ret)
{
	if (!ret)
		emit_extents(FP_EXTENTS_MADE, inode,
			     (u64)max_blocks << BPF_CORE_READ(inode, i_blkbits));
	span_end(FP_SPAN_EXT4_FALLOCATE, ret ? 0 : max_blocks);
	return 0;
}

SEC("?tp_btf/ext4_alloc_da_blocks")
int BPF_PROG(ext4_alloc_da_blocks, struct inode *inode)
{
	emit_point(FP_POINT_ALLOC_DA_BLOCKS, BPF_CORE_READ(inode, i_ino), inode_dev(inode), 0, 0);
	return 0;
}
