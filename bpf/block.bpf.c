// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Bios as they are submitted, requests as the device serves them, and the state of writeback
 * throttling. Everything is named by the whole disk, as sectors are after partition remapping.
 */
#include "common.bpf.h"

/* The verifier allows no arithmetic on a pointer; what comes back from memory is a number. */
static __always_inline u32 object_id(volatile u64 *store, void *p)
{
	*store = (u64)p;
	return *store >> 6 & 0x0fffffff;
}

/* Position of the bio or request among the arguments: see cfg_block_queue_arg. */
static __always_inline void *block_arg(u64 *ctx)
{
	return cfg_block_queue_arg ? (void *)ctx[1] : (void *)ctx[0];
}

static __always_inline int emit_bio(u32 act, struct bio *bio)
{
	u64 ts_ns = bpf_ktime_get_ns();
	struct ev_bio *e;

	if (!bio || recording != REC_ON)
		return 0;
	e = ev_reserve(EV_BIO, sizeof(*e), current_tid(), current_ctx(), ts_ns);
	if (!e)
		return 0;
	e->bio_act = act << 28 | object_id(&e->sector, bio);
	e->sector = BPF_CORE_READ(bio, bi_iter.bi_sector);
	e->dev = bio_dev(bio);
	e->bytes = BPF_CORE_READ(bio, bi_iter.bi_size);
	e->opf = BPF_CORE_READ(bio, bi_opf);
	ev_submit(e);
	return 0;
}

SEC("?tp_btf/block_bio_queue")
int block_bio_queue(u64 *ctx)
{
	return emit_bio(FP_BIO_QUEUE, block_arg(ctx));
}

SEC("?tp_btf/block_getrq")
int block_getrq(u64 *ctx)
{
	return emit_bio(FP_BIO_GETRQ, block_arg(ctx));
}

/* Before 5.11: (queue, request, bio) */
static __always_inline void *merge_arg(u64 *ctx)
{
	return cfg_block_queue_arg ? (void *)ctx[2] : (void *)ctx[0];
}

SEC("?tp_btf/block_bio_backmerge")
int block_bio_backmerge(u64 *ctx)
{
	return emit_bio(FP_BIO_MERGE, merge_arg(ctx));
}

SEC("?tp_btf/block_bio_frontmerge")
int block_bio_frontmerge(u64 *ctx)
{
	return emit_bio(FP_BIO_MERGE, merge_arg(ctx));
}

static __always_inline int emit_rq(u32 act, struct request *rq, u32 bytes, u64 ts_ns)
{
	struct ev_rq *e;

	if (recording != REC_ON)
		return 0;
	e = ev_reserve(EV_RQ, sizeof(*e), current_tid(), current_ctx(), ts_ns);
	if (!e)
		return 0;
	e->rq_act = act << 28 | object_id(&e->sector, rq);
	e->sector = BPF_CORE_READ(rq, __sector);
	e->dev = request_dev(rq);
	e->bytes = bytes;
	e->opf = BPF_CORE_READ(rq, cmd_flags);
	ev_submit(e);
	return 0;
}

SEC("?tp_btf/block_rq_insert")
int block_rq_insert(u64 *ctx)
{
	struct request *rq = block_arg(ctx);

	return emit_rq(FP_RQ_INSERT, rq, BPF_CORE_READ(rq, __data_len), bpf_ktime_get_ns());
}

SEC("?tp_btf/block_rq_issue")
int block_rq_issue(u64 *ctx)
{
	struct request *rq = block_arg(ctx);

	return emit_rq(FP_RQ_ISSUE, rq, BPF_CORE_READ(rq, __data_len), bpf_ktime_get_ns());
}

SEC("?tp_btf/block_rq_requeue")
int block_rq_requeue(u64 *ctx)
{
	struct request *rq = block_arg(ctx);

	return emit_rq(FP_RQ_REQUEUE, rq, BPF_CORE_READ(rq, __data_len), bpf_ktime_get_ns());
}

/* Wakes on this CPU in this context, until block_io_done, are this request's doing. */
SEC("?tp_btf/block_rq_complete")
int BPF_PROG(block_rq_complete, struct request *rq, int error, unsigned int bytes)
{
	u64 ts_ns = bpf_ktime_get_ns();
	struct cpu_state *cpu = this_cpu();

	emit_rq(FP_RQ_COMPLETE, rq, bytes, ts_ns);
	if (!cpu)
		return 0;
	cpu->completing_ns = ts_ns;
	cpu->completing_tid = current_tid();
	cpu->completing_ctx = current_ctx();
	cpu->completing_rq = (u64)rq;
	return 0;
}

/* From 5a80bd075f3b ("block: introduce block_io_start/block_io_done tracepoints") on */
SEC("?tp_btf/block_io_done")
int BPF_PROG(block_io_done, struct request *rq)
{
	struct cpu_state *cpu = this_cpu();

	if (cpu && cpu->completing_rq == (u64)rq)
		cpu->completing_rq = 0;
	return 0;
}

static __always_inline u32 bdi_dev(struct backing_dev_info *bdi)
{
	struct device *owner = BPF_CORE_READ(bdi, owner);

	return owner ? BPF_CORE_READ(owner, devt) : 0;
}

SEC("?tp_btf/wbt_lat")
int BPF_PROG(wbt_lat, struct backing_dev_info *bdi, unsigned long lat_ns)
{
	emit_point(FP_POINT_WBT_LAT, lat_ns, bdi_dev(bdi), 0, 0);
	return 0;
}

SEC("?tp_btf/wbt_step")
int BPF_PROG(wbt_step, struct backing_dev_info *bdi, void *msg, int step, unsigned long window_ns,
	     unsigned int background, unsigned int normal)
{
	emit_point(FP_POINT_WBT_STEP, window_ns, bdi_dev(bdi), step,
		   (u32)saturate16(background) << 16 | saturate16(normal));
	return 0;
}

SEC("?tp_btf/wbt_timer")
int BPF_PROG(wbt_timer, struct backing_dev_info *bdi, unsigned int status, int step,
	     unsigned int inflight)
{
	emit_point(FP_POINT_WBT_TIMER, status, bdi_dev(bdi), step, inflight);
	return 0;
}
