// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Answers that wait for something, each at most GUARD_ANSWER_NS. The hand gives the answer itself
 * when its job is done in time: a hand-over to the watch thread first would double what the writer
 * waits. Where it is late, the watch thread answers, and the job goes on behind the answer.
 */
#include <unistd.h>

#include "../user/clock.h"
#include "guard.h"

#define HEARTBEAT_NS 100000000ull

void answer__now(struct guard *g, int fd)
{
	struct fanotify_response r = { .fd = (uint32_t)fd, .response = FAN_ALLOW };

	if (write(g->fan, &r, sizeof(r)) < 0)
		return; /* the kernel has given up waiting, or its process was killed */
}

/* Before the answer: the descriptor's release comes ahead of the writer's, or only behind it. */
static bool give(struct guard *g, struct pending *p)
{
	int waits = PENDING_WAITS, fd = p->fd;

	if (!atomic_compare_exchange_strong(&p->phase, &waits, PENDING_ANSWERED))
		return false;
	if (atomic_exchange(&p->mark_owed, false))
		watch__arm(g, fd, NULL, watch__asks(g));
	if (p->track >= 0)
		track__hold(g, p->track, fd);
	else
		close(fd);
	answer__now(g, fd); /* the kernel knows it by its number */
	p->waited_ns = now_ns() - p->since_ns;
	return true;
}

int answer__slot(struct guard *g)
{
	if (g->pending_cnt == GUARD_PENDING_MAX)
		return -1;
	for (int i = 0; i < GUARD_PENDING_MAX; i++)
		if (atomic_load(&g->pending[i].phase) == PENDING_FREE)
			return i;
	return -1;
}

void answer__pend(struct guard *g, int slot, int fd, int track, uint64_t plants, bool has_job)
{
	struct pending *p = &g->pending[slot];

	p->fd = fd;
	p->track = track;
	p->plants = plants;
	p->has_job = has_job;
	p->since_ns = g->since_ns;
	p->waited_ns = 0;
	p->deadline_ns = g->since_ns + GUARD_ANSWER_NS;
	if (!g->pending_cnt || p->deadline_ns < g->due_ns)
		g->due_ns = p->deadline_ns;
	atomic_store(&p->done, false);
	atomic_store(&p->mark_owed, false);
	atomic_store(&p->phase, PENDING_WAITS);
	g->pending_cnt++;
}

bool answer__is_out(struct guard *g, int slot)
{
	return atomic_load(&g->pending[slot].phase) != PENDING_WAITS;
}

bool answer__take_mark(struct guard *g, int slot)
{
	return atomic_exchange(&g->pending[slot].mark_owed, false);
}

bool answer__job_done(struct guard *g, int slot, uint64_t *waited_ns)
{
	struct pending *p = &g->pending[slot];
	bool waits = !answer__is_out(g, slot);

	if (atomic_load(&g->plants_done) >= p->plants)
		waits = give(g, p);
	else
		guard__wake(g);
	if (waited_ns)
		*waited_ns = waits && !p->waited_ns ? now_ns() - p->since_ns : p->waited_ns;
	atomic_store(&p->done, true); /* last: the slot may be another's from here on */
	return waits;
}

static bool is_ready(struct guard *g, struct pending *p)
{
	if (p->has_job && !atomic_load(&p->done))
		return false;
	return atomic_load(&g->plants_done) >= p->plants;
}

uint64_t answer__sweep(struct guard *g)
{
	uint64_t wait = HEARTBEAT_NS, now;

	if (!g->pending_cnt)
		return wait;
	now = now_ns();
	for (int i = 0; i < GUARD_PENDING_MAX; i++) {
		struct pending *p = &g->pending[i];
		int phase = atomic_load(&p->phase);

		if (phase == PENDING_WAITS && (is_ready(g, p) || now >= p->deadline_ns)) {
			give(g, p);
			phase = PENDING_ANSWERED;
		}
		if (phase == PENDING_ANSWERED && (!p->has_job || atomic_load(&p->done))) {
			atomic_store(&p->phase, PENDING_FREE);
			g->pending_cnt--;
		} else if (phase == PENDING_WAITS && p->deadline_ns - now < wait) {
			wait = p->deadline_ns - now;
		}
	}
	g->due_ns = now + wait;
	return wait;
}

void answer__all(struct guard *g)
{
	for (int i = 0; i < GUARD_PENDING_MAX; i++)
		give(g, &g->pending[i]);
}
