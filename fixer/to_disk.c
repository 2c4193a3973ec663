// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Files that go to disk, and why: said for the first, then for all that came since, ever less often
 * while it goes on. Thousands may go in a second, and the journal has to be read again.
 */
#include <stdio.h>
#include <string.h>

#include "../user/clock.h"
#include "guard.h"

#define PERIOD_NS     1000000000ull
#define PERIOD_MAX_NS 3600000000000ull

/* The entry of a reason; a new one takes the place of what was said longest ago, *out. */
static struct to_disk *entry_of(struct guard *g, const char *why, struct to_disk *out)
{
	struct to_disk *best = &g->to_disk[0];

	*out = (struct to_disk){ 0 };
	for (int i = 0; i < TO_DISK_REASONS; i++) {
		struct to_disk *d = &g->to_disk[i];

		if (!strcmp(d->why, why))
			return d;
		if (d->until_ns < best->until_ns)
			best = d;
	}
	*out = *best;
	*best = (struct to_disk){ 0 };
	snprintf(best->why, sizeof(best->why), "%s", why);
	return best;
}

/* How many were not said yet; begins the next period, a longer one where there were any. */
static uint32_t begin_period(struct to_disk *d, uint64_t now)
{
	uint32_t cnt = d->cnt;
	uint64_t longer = d->period_ns * 2 < PERIOD_MAX_NS ? d->period_ns * 2 : PERIOD_MAX_NS;

	d->period_ns = cnt ? longer : PERIOD_NS;
	d->until_ns = now + d->period_ns;
	d->cnt = 0;
	return cnt;
}

static void say_more(struct guard *g, const struct to_disk *d)
{
	guard__note(g, "%u more file%s went to disk: %s", d->cnt, d->cnt == 1 ? "" : "s", d->why);
}

void to_disk__note(struct guard *g, const char *dir, const char *name, const char *why)
{
	uint64_t now = now_ns();
	struct to_disk *d, out;
	uint32_t cnt = 0;
	bool say;

	pthread_mutex_lock(&g->lock);
	d = entry_of(g, why, &out);
	say = now >= d->until_ns;
	if (say)
		cnt = begin_period(d, now);
	else
		d->cnt++;
	pthread_mutex_unlock(&g->lock);
	if (out.cnt)
		say_more(g, &out);
	if (say && cnt)
		guard__note(g, "%s/%s goes to disk, as did %u before it: %s", dir, name, cnt, why);
	else if (say)
		guard__note(g, "%s/%s goes to disk: %s", dir, name, why);
}

void to_disk__sum_up(struct guard *g, bool all)
{
	uint64_t now = now_ns();

	for (int i = 0; i < TO_DISK_REASONS; i++) {
		struct to_disk d;

		pthread_mutex_lock(&g->lock);
		d = g->to_disk[i];
		if (d.cnt && (all || now >= d.until_ns))
			begin_period(&g->to_disk[i], now);
		else
			d.cnt = 0;
		pthread_mutex_unlock(&g->lock);
		if (d.cnt)
			say_more(g, &d);
	}
}
