// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Writers that are throttled, the flusher's work with its reason, waits for writeback. */
#include "common.bpf.h"

/* The device whose writeback a bdi stands for; 0 for file systems without one. */
static __always_inline u32 wb_dev(struct bdi_writeback *wb)
{
	struct device *owner = BPF_CORE_READ(wb, bdi, owner);

	return owner ? BPF_CORE_READ(owner, devt) : 0;
}

static __always_inline void emit_dirty(u32 dev, u64 limit, u64 dirty, u64 bdi_limit, u64 bdi_dirty,
				       s64 pause_jiffies)
{
	u64 ts_ns = bpf_ktime_get_ns();
	struct ev_dirty *e = ev_reserve(EV_DIRTY, sizeof(*e), current_tid(), EV_CTX_TASK, ts_ns);

	if (!e)
		return;
	e->dev = dev;
	e->limit_pages = saturate32(limit);
	e->dirty_pages = saturate32(dirty);
	e->bdi_limit_pages = saturate32(bdi_limit);
	e->bdi_dirty_pages = saturate32(bdi_dirty);
	e->pause_ms = pause_jiffies > 0 ? saturate16((u64)pause_jiffies * cfg_jiffy_ns / 1000000)
					: 0;
	e->pad = 0;
	ev_submit(e);
}

SEC("?tp_btf/balance_dirty_pages")
int balance_dirty_pages(u64 *ctx)
{
	if (cfg_bdp_dtc) {
		struct dirty_throttle_control *dtc = (void *)ctx[1];

		emit_dirty(wb_dev((void *)ctx[0]), BPF_CORE_READ(dtc, thresh),
			   BPF_CORE_READ(dtc, dirty), BPF_CORE_READ(dtc, wb_thresh),
			   BPF_CORE_READ(dtc, wb_dirty), ctx[6]);
	} else {
		/* wb, thresh, bg_thresh, dirty, bdi_thresh, bdi_dirty, 2 rates, dirtied, period */
		emit_dirty(wb_dev((void *)ctx[0]), ctx[1], ctx[3], ctx[4], ctx[5], ctx[10]);
	}
	return 0;
}

static __always_inline int emit_work(u16 op, struct bdi_writeback *wb,
				     struct wb_writeback_work *work)
{
	struct super_block *sb = BPF_CORE_READ(work, sb);

	emit_point(op, BPF_CORE_READ(work, nr_pages), sb ? BPF_CORE_READ(sb, s_dev) : wb_dev(wb),
		   BPF_CORE_READ(work, reason), BPF_CORE_READ(work, sync_mode));
	return 0;
}

SEC("?tp_btf/writeback_queue")
int BPF_PROG(writeback_queue, struct bdi_writeback *wb, struct wb_writeback_work *work)
{
	return emit_work(FP_POINT_WB_QUEUE, wb, work);
}

SEC("?tp_btf/writeback_start")
int BPF_PROG(writeback_start, struct bdi_writeback *wb, struct wb_writeback_work *work)
{
	return emit_work(FP_POINT_WB_START, wb, work);
}

SEC("?tp_btf/writeback_written")
int BPF_PROG(writeback_written, struct bdi_writeback *wb, struct wb_writeback_work *work)
{
	return emit_work(FP_POINT_WB_WRITTEN, wb, work);
}

static __always_inline int emit_inode(u16 op, struct inode *inode)
{
	if (!inode)
		return 0;
	emit_point(op, BPF_CORE_READ(inode, i_ino), BPF_CORE_READ(inode, i_sb, s_dev), 0, 0);
	return 0;
}

SEC("?tp_btf/writeback_single_inode_start")
int BPF_PROG(writeback_single_inode_start, struct inode *inode)
{
	return emit_inode(FP_POINT_WB_INODE, inode);
}

/* Both names carry the mapping second; the page or folio itself is not looked at. */
SEC("?tp_btf/folio_wait_writeback")
int BPF_PROG(folio_wait_writeback, void *folio, struct address_space *mapping)
{
	return mapping ? emit_inode(FP_POINT_FOLIO_WAIT, BPF_CORE_READ(mapping, host)) : 0;
}

/* Its name before b9b0ff61eef5 ("mm/writeback: Convert tracing writeback_page_template to folios") */
SEC("?tp_btf/wait_on_page_writeback")
int BPF_PROG(wait_on_page_writeback, void *page, struct address_space *mapping)
{
	return mapping ? emit_inode(FP_POINT_FOLIO_WAIT, BPF_CORE_READ(mapping, host)) : 0;
}
