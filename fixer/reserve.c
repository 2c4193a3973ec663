// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Warm memory for the next window. A guest that hands free memory back to its host pays for the
 * first touch of every page: 256 MB took 0.7 s where we measured, ten times the copy itself. So
 * between two windows as much as the next memory file needs is touched and held, and let go the
 * moment its link stands: the writer's pages come from the top of the free lists. It holds no data
 * and is within the budget; where there is no room for it the writer just pays as before.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "../user/clock.h"
#include "beneath.h"
#include "guard.h"

#define STEP_BYTES (8u << 20) /* between two looks at the writers */

/* Linux 5.14 */
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

static int touch(struct guard *g, char *at, uint64_t bytes)
{
	for (uint64_t done = 0; done < bytes; done += STEP_BYTES) {
		size_t step = bytes - done < STEP_BYTES ? bytes - done : STEP_BYTES;

		if (atomic_load(&g->quit) || writers__busy(&g->writers))
			return -EAGAIN;
		if (madvise(at + done, step, MADV_POPULATE_WRITE))
			return -errno;
	}
	return 0;
}

/* What the next file will need, if the budget has it to spare; taken from the budget. */
static uint64_t claim(struct guard *g)
{
	uint64_t want, now = now_ns();

	pthread_mutex_lock(&g->lock);
	want = g->conf.size_bytes ? g->conf.size_bytes : g->prev.bytes;
	/* twice: the file itself takes its part the moment that this is let go */
	if (g->warm || now < g->warm_retry_ns || g->used_bytes + 2 * want > g->conf.memory_bytes)
		want = 0;
	g->used_bytes += want;
	pthread_mutex_unlock(&g->lock);
	return want;
}

void reserve__fill(struct guard *g)
{
	uint64_t want;
	char *at;
	int err;

	if (writers__busy(&g->writers))
		return;
	want = claim(g);
	if (!want)
		return;
	at = mmap(NULL, want, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		  -1, 0);
	err = at == MAP_FAILED ? -errno : touch(g, at, want);
	pthread_mutex_lock(&g->lock);
	if (!err) {
		g->warm = at;
		g->warm_bytes = want;
	} else {
		g->used_bytes -= want;
		if (err != -EAGAIN)
			g->warm_retry_ns = now_ns() + GUARD_RETRY_NS;
	}
	pthread_mutex_unlock(&g->lock);
	if (err && at != MAP_FAILED)
		munmap(at, want);
	if (err && err != -EAGAIN)
		guard__note(g, "no warm memory for the next file: %s", strerror(-err));
}

void reserve__let_go(struct guard *g)
{
	uint64_t bytes;
	void *at;

	pthread_mutex_lock(&g->lock);
	at = g->warm;
	bytes = g->warm_bytes;
	g->warm = NULL;
	g->warm_bytes = 0;
	if (at)
		g->used_bytes -= bytes;
	pthread_mutex_unlock(&g->lock);
	if (at)
		munmap(at, bytes);
}
