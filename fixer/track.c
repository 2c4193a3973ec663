// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The files whose extents are watched, found by inode in the time of a few cache lines. */
#include "beneath.h"
#include "guard.h"

int track__find(struct guard *g, uint64_t dev, uint64_t ino)
{
	for (int i = 0; i < GUARD_TRACKS_MAX; i++)
		if (atomic_load(&g->track_inos[i]) == ino && g->tracks[i].n &&
		    g->tracks[i].dev == dev)
			return i;
	return -1;
}

/*
 * The file is gone. The clerk may still have something to say of it: the slot is the next file's
 * only when it is the oldest.
 */
static void retire(struct guard *g, int slot)
{
	struct track *t = &g->tracks[slot];

	atomic_store(&g->track_inos[slot], 0);
	track__let_go(g, t);
	t->open = t->armed = false;
}

int track__of(struct guard *g, int fd, const struct stat *st)
{
	int slot = track__find(g, st->st_dev, st->st_ino);
	uint32_t crc;

	if (slot < 0 || !g->tracks[slot].handle_crc)
		return slot;
	crc = handle__crc(fd, "");
	if (!crc || crc == g->tracks[slot].handle_crc)
		return slot;
	pthread_mutex_lock(&g->lock);
	retire(g, slot);
	pthread_mutex_unlock(&g->lock);
	return -1;
}

void track__let_go(struct guard *g, struct track *t)
{
	for (int i = 0; i < t->hold_cnt; i++)
		closer__release(g, t->hold[i]);
	t->hold_cnt = 0;
}

/* The oldest that nobody waits for makes room: its story is in the journal. */
int track__new(struct guard *g, uint64_t dev, uint64_t ino, uint32_t handle_crc)
{
	int before = track__find(g, dev, ino), best = -1;

	if (before >= 0)
		retire(g, before);
	for (int i = 0; i < GUARD_TRACKS_MAX; i++) {
		struct track *t = &g->tracks[i];

		if (t->n && t->open)
			continue;
		if (best < 0 || t->n < g->tracks[best].n)
			best = i;
		if (!t->n)
			break;
	}
	if (best < 0)
		return -1;
	retire(g, best);
	g->tracks[best] = (struct track){
		.dev = dev, .ino = ino, .handle_crc = handle_crc, .n = ++g->next_n
	};
	atomic_store(&g->track_inos[best], ino);
	return best;
}

void track__hold(struct guard *g, int slot, int fd)
{
	struct track *t = &g->tracks[slot];
	bool held;

	pthread_mutex_lock(&g->lock);
	held = t->n && t->hold_cnt < TRACK_HOLD_MAX;
	if (held)
		t->hold[t->hold_cnt++] = fd;
	pthread_mutex_unlock(&g->lock);
	if (!held)
		closer__release(g, fd);
}

/* A spare that was planted waits for its writer; so does what somebody has open. */
static bool is_waited_for(struct guard *g, const struct track *t)
{
	return (t->made == MADE_SPARE && !t->touched) || writers__has(&g->writers, t->dev, t->ino);
}

void track__sweep(struct guard *g)
{
	writers__busy(&g->writers); /* finds out who is gone, and who only reads */
	for (int i = 0; i < GUARD_TRACKS_MAX; i++) {
		struct track *t = &g->tracks[i];

		pthread_mutex_lock(&g->lock);
		if (t->n && (t->open || t->hold_cnt) && !is_waited_for(g, t)) {
			t->open = false;
			track__let_go(g, t);
		}
		pthread_mutex_unlock(&g->lock);
	}
}

struct track track__copy(struct guard *g, int slot)
{
	struct track t;

	pthread_mutex_lock(&g->lock);
	t = g->tracks[slot];
	pthread_mutex_unlock(&g->lock);
	return t;
}

const char *track__how_lost(const struct track *t)
{
	bool at_once = t->made == MADE_AT_OPEN || t->made == MADE_AT_FTRUNCATE;

	if (at_once && !t->ready)
		return "not in time";
	/* open(2) truncates nothing that it creates */
	return t->truncate_seen || (at_once && !t->found) ? "undone by ftruncate"
							  : "undone by O_TRUNC at open";
}

const char *track__made(enum made made)
{
	static const char *const names[] = { "before", "spare", "at open", "at ftruncate" };

	return names[made];
}
