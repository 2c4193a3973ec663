// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The keeper: knows whether a window is open, and between two of them gets ready for the next: makes
 * a spare, touches memory, looks where links have gone. What is in memory already is exports.c's.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../user/clock.h"
#include "guard.h"
#include "prealloc.h"

/* Ours is known by its writers, and said to the guards of other directories on the disk. */
bool keeper__window_is_open(struct guard *g)
{
	bool ours, open;

	pthread_mutex_lock(&g->window_lock);
	ours = writers__busy(&g->writers);
	window__hold(&g->window, ours);
	open = ours || window__is_open(&g->window);
	pthread_mutex_unlock(&g->window_lock);
	return open;
}

/* Once a second: tracks, and the file that says how large. Where it is gone, what it said last holds. */
static void look_around(struct guard *g)
{
	uint64_t bytes, now = now_ns();

	if (now - g->looked_ns < 1000000000ull)
		return;
	g->looked_ns = now;
	track__sweep(g);
	if (g->conf.size_rule != SIZE_FILE || size_of_file(g->conf.size_path, &bytes))
		return;
	pthread_mutex_lock(&g->lock);
	g->conf.size_bytes = bytes;
	pthread_mutex_unlock(&g->lock);
}

/*
 * Between two windows, never beside one: allocating holds the very locks that a writer needs.
 * fallocate mode 0, so that the size is what the writer expects to find.
 */
static void make_spare(struct guard *g)
{
	uint64_t want, now = now_ns();
	struct previous p;
	struct stat st;
	int err;

	pthread_mutex_lock(&g->lock);
	p = g->prev;
	want = guard__wanted(g);
	if (g->spare_bytes || g->spares_useless || g->conf.no_plant || now < g->spare_retry_ns)
		want = 0;
	pthread_mutex_unlock(&g->lock);
	if (!want)
		return;
	err = spare__make(g->hiddenfd, "spare", want, p.mode, p.uid, p.gid);
	if (!err && fstatat(g->hiddenfd, "spare", &st, AT_SYMLINK_NOFOLLOW))
		err = -errno;
	pthread_mutex_lock(&g->lock);
	if (err == -EOPNOTSUPP)
		g->spares_useless = true;
	else if (err)
		g->spare_retry_ns = now + GUARD_RETRY_NS;
	if (!err) {
		g->spare_ino = st.st_ino;
		g->spare_bytes = want;
	}
	pthread_mutex_unlock(&g->lock);
	if (err)
		guard__note(g, "no spare of %llu bytes: %s", (unsigned long long)want,
			    strerror(-err));
}

static void look_at_links(struct guard *g)
{
	uint64_t now = now_ns();

	if (now - g->looked_ns < 1000000000ull)
		return;
	g->looked_ns = now;
	held__look(g);
	to_disk__sum_up(g, false);
}

static void look_at_sizes(struct guard *g)
{
	uint64_t now = now_ns();

	if (now - g->grown_ns < GUARD_GROWTH_NS)
		return;
	g->grown_ns = now;
	held__measure(g);
}

/* The watch thread says nothing itself: writers wait for it. */
static void say_many_names(struct guard *g)
{
	struct many_names *m = &g->many_names;
	bool found;

	pthread_mutex_lock(&g->lock);
	found = m->step == MANY_NAMES_FOUND;
	if (found)
		m->step = MANY_NAMES_SAID;
	pthread_mutex_unlock(&g->lock);
	if (found)
		guard__note(g,
			    "%s/%s has another name, here or elsewhere: such files are left alone",
			    m->dir, m->name);
}

/* Once a second: whether somebody has unmounted the cover. New files go to disk then. */
static void look_at_cover(struct guard *g, uint64_t *looked_ns)
{
	uint64_t now = now_ns();

	if (!g->keep || now - *looked_ns < 1000000000ull)
		return;
	*looked_ns = now;
	if (!cover__is_gone(g->keep))
		return;
	guard__note(g, "the cover was unmounted by somebody: new files go to disk");
	kill(getpid(), SIGTERM);
}

static void *keep(void *arg)
{
	const struct timespec nap = { .tv_nsec = 10000000 };
	struct guard *g = arg;
	uint64_t looked_ns = 0;

	while (!atomic_load(&g->quit)) {
		bool open = keeper__window_is_open(g);

		look_at_cover(g, &looked_ns);
		if (g->conf.mitigation == MITIGATION_MEMFD) {
			look_at_links(g);
			look_at_sizes(g);
			if (!open && !atomic_load(&g->exporting))
				reserve__fill(g);
		} else if (!open) {
			look_around(g);
			make_spare(g);
			say_many_names(g);
		}
		nanosleep(&nap, NULL);
	}
	return NULL;
}

int keeper__start(struct guard *g)
{
	int err = window__init(&g->window, g->conf.dev);

	if (err)
		return err;
	pthread_mutex_init(&g->window_lock, NULL);
	err = -pthread_create(&g->keeper, NULL, keep, g);
	g->keeper_running = !err;
	if (err)
		window__close(&g->window);
	else if (g->conf.mitigation == MITIGATION_MEMFD)
		err = exports__start(g);
	return err;
}

void keeper__stop(struct guard *g)
{
	atomic_store(&g->quit, true);
	exports__stop(g);
	if (g->keeper_running) {
		pthread_join(g->keeper, NULL);
		window__close(&g->window);
	}
	g->keeper_running = false;
	reserve__let_go(g);
	to_disk__sum_up(g, true);
	say_many_names(g);
}
