// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Devices: a bio is queued, gets a tag when there is one, is issued when the device has a place,
 * and its completion interrupts one CPU. An interrupt has three equal parts: until the request is
 * complete, until its waiter is woken, and until it is over.
 */
#include "engine.h"

#include <string.h>

static const struct sleep on_tag = {
	.stack = "blk_mq_get_tag;__blk_mq_alloc_requests;blk_mq_submit_bio;submit_bio_noacct",
	.cause = "io.tag_wait",
	.uninterruptible = true,
	.iowait = true
};

static void bio_record(struct engine *e, uint32_t task, const struct sim_rq *rq, uint8_t act)
{
	struct sim_rec *rec = record(e, SIM_BIO, e->tasks[task].cpu, task);

	rec->id = rq->sector;
	rec->other = rq->sector / 8; /* the bio's own number */
	rec->act = act;
	rec->dev = rq->dev;
}

static void rq_record(struct engine *e, uint32_t cpu, int task, const struct sim_rq *rq,
		      uint8_t act)
{
	struct sim_rec *rec = record(e, SIM_RQ, cpu, task);

	rec->id = rq->sector;
	rec->other = rq->id;
	rec->act = act;
	rec->dev = rq->dev;
	rec->ctx = act == FP_RQ_COMPLETE ? EV_CTX_HARDIRQ : EV_CTX_TASK;
}

int submit_bio(struct engine *e, uint32_t task, uint32_t dev, uint32_t ns, int item)
{
	struct sim_rq *rq = VEC_PUSH(&e->r->rqs, struct sim_rq);

	if (!rq) {
		e->broken = true;
		return -1;
	}
	e->sectors += 8;
	*rq = (struct sim_rq){ .bio_ns = e->now,
			       .sector = e->sectors,
			       .service_ns = ns,
			       .item = item,
			       .dev = dev,
			       .submitter = task,
			       .work = e->tasks[task].work,
			       .queues = -1,
			       .waiter = -1 };
	if (rq->work >= 0 &&
	    op_at(e, work_at(e, rq->work)->owner, work_at(e, rq->work)->op)->kind == OP_WRITEOUT)
		rq->waiter = work_at(e, rq->work)->waiter;
	bio_record(e, task, rq, FP_BIO_QUEUE);
	return (int)vec__cnt(&e->r->rqs) - 1;
}

static void issue(struct engine *e, int index, uint32_t cpu, int task)
{
	struct sim_rq *rq = rq_at(e, index);

	e->devs[rq->dev].in_service++;
	rq->issue_ns = e->now;
	rq_record(e, cpu, task, rq, FP_RQ_ISSUE);
	push_event(e, e->now + rq->service_ns, EVENT_DEV_DONE, index, 0);
}

/* The lowest number that is free: pointers of requests are used again at once. */
static uint32_t take_id(struct device *d, uint32_t dev)
{
	uint32_t n = 0;

	while (d->ids & 1u << n)
		n++;
	d->ids |= 1u << n;
	return 1 + n + dev * 32;
}

bool get_tag(struct engine *e, uint32_t task, int index)
{
	struct sim_rq *rq = rq_at(e, index);
	struct device *d = &e->devs[rq->dev];

	if (d->tags_used == e->p->tags[rq->dev]) {
		d->tag_queue[d->tag_queue_cnt++] = task;
		sleep_on(e, task, &on_tag);
		return false;
	}
	d->tags_used++;
	rq->id = take_id(d, rq->dev);
	rq->get_ns = e->now;
	bio_record(e, task, rq, FP_BIO_GETRQ);
	rq_record(e, e->tasks[task].cpu, task, rq, FP_RQ_INSERT);
	if (d->in_service < e->p->depth[rq->dev])
		issue(e, index, e->tasks[task].cpu, task);
	else
		d->pending[d->pending_cnt++] = index;
	return true;
}

void device__done(struct engine *e, uint32_t index)
{
	uint32_t cpu = e->p->irq_cpu[rq_at(e, index)->dev];
	struct cpu *c = &e->cpus[cpu];
	struct sim_irq *irq;

	if (e->now < c->irq_until) {
		rq_at(e, index)->deferred = true;
		push_event(e, c->irq_until, EVENT_DEV_DONE, index, 0);
		return;
	}
	irq = VEC_PUSH(&e->r->irqs, struct sim_irq);
	if (!irq) {
		e->broken = true;
		return;
	}
	*irq = (struct sim_irq){ e->now, e->now + 3 * e->p->irq_ns, cpu };
	interrupt(e, cpu, 3 * e->p->irq_ns);
	push_event(e, e->now + e->p->irq_ns, EVENT_RQ_COMPLETE, index, 0);
	push_event(e, e->now + 2 * e->p->irq_ns, EVENT_RQ_WAKE, index, 0);
	push_event(e, e->now + 3 * e->p->irq_ns, EVENT_IRQ_END, index, 0);
}

void device__complete(struct engine *e, uint32_t index)
{
	struct sim_rq *rq = rq_at(e, index);
	struct device *d = &e->devs[rq->dev];
	uint32_t cpu = e->p->irq_cpu[rq->dev];

	rq->done_ns = e->now;
	rq_record(e, cpu, e->cpus[cpu].cur, rq, FP_RQ_COMPLETE);
	d->in_service--;
	if (d->pending_cnt)
		issue(e, take_first(d->pending, &d->pending_cnt), cpu, e->cpus[cpu].cur);
}

void device__wake(struct engine *e, uint32_t index)
{
	struct sim_rq *rq = rq_at(e, index);
	struct device *d = &e->devs[rq->dev];
	uint32_t cpu = e->p->irq_cpu[rq->dev];
	int cur = e->cpus[cpu].cur;

	rq->over = true;
	rq->wake_ns = e->now;
	if (rq->queues >= 0)
		queue_work(e, -1, index, cpu, rq->item / (SIM_OPS * 2), rq->item / 2 % SIM_OPS);
	else if (rq->waiter >= 0)
		wake(e, rq->waiter, cpu, cur, EV_CTX_HARDIRQ, EDGE_RQ, index);
	rq = rq_at(e, index);
	d->tags_used--;
	d->ids &= ~(1u << ((rq->id - 1) % 32));
	if (d->tag_queue_cnt)
		wake(e, take_first(d->tag_queue, &d->tag_queue_cnt), cpu, cur, EV_CTX_HARDIRQ,
		     EDGE_RQ, index);
}

void device__irq_end(struct engine *e, uint32_t index)
{
	const struct sim_rq *rq = rq_at(e, index);
	uint32_t cpu = e->p->irq_cpu[rq->dev];
	struct sim_rec *rec = record(e, SIM_IRQ, cpu, e->cpus[cpu].cur);

	rec->begin_ns = e->now - 3 * e->p->irq_ns;
	rec->id = 24 + rq->dev;
}
