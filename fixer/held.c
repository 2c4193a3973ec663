// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Memory files that are not durable yet: who has one in hand, where its link is, what is written down
 * of it. Whoever took a slot is alone with it until it is put down or released.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../user/cli/params.h"
#include "../user/clock.h"
#include "beneath.h"
#include "export.h"
#include "guard.h"
#include "link.h"
#include "name_text.h"

void held__closed(struct guard *g, uint32_t n)
{
	pthread_mutex_lock(&g->lock);
	for (int i = 0; i < GUARD_HELD_MAX; i++) {
		if (g->held[i].n != n)
			continue;
		g->held[i].closed_ns = now_ns();
		g->held[i].closed_real_ns = clock_ns(CLOCK_REALTIME);
	}
	pthread_mutex_unlock(&g->lock);
}

/* Who opens it for writing between the lease and the unlink waits for us, and finds that it is gone. */
int held__drop_memory(int tmpfd, uint32_t n, const char *name)
{
	char path[NAME_MAX + 32];
	int fd, err;

	snprintf(path, sizeof(path), "%u/%s", n, name);
	fd = beneath__open(tmpfd, path, O_RDONLY | O_NONBLOCK, 0);
	err = fd == -ENOENT ? 0 : fd < 0 ? fd : lease__try(fd);
	if (!err && fd >= 0 && unlinkat(tmpfd, path, 0))
		err = -errno;
	if (fd >= 0)
		close(fd);
	if (err)
		return err;
	snprintf(path, sizeof(path), "%u", n);
	unlinkat(tmpfd, path, AT_REMOVEDIR);
	return 0;
}

/* "7/memory.bin": under the name that it was planted with, whatever its link is called now. */
void held__memory_path(const struct held *h, char *path, size_t size)
{
	snprintf(path, size, "%u/%s", h->n, strrchr(h->target, '/') + 1);
}

/* ---- who has it in hand ---- */

static bool is_free(const struct held *h)
{
	return h->n && !h->taken && h->linked;
}

static bool is_due(const struct held *h, uint64_t now)
{
	return is_free(h) && h->closed_ns && now >= h->closed_ns + GUARD_SETTLE_NS &&
	       now >= h->retry_ns;
}

bool held__take(struct guard *g, int slot)
{
	struct held *h = &g->held[slot];
	bool took;

	pthread_mutex_lock(&g->lock);
	took = is_free(h);
	if (took)
		h->taken = true;
	pthread_mutex_unlock(&g->lock);
	return took;
}

/* One slot at a time under the lock: the watch thread waits for it too. */
int held__take_oldest(struct guard *g)
{
	uint64_t now = now_ns(), oldest = UINT64_MAX;
	uint32_t n = 0;
	int best = -1;

	for (int i = 0; i < GUARD_HELD_MAX; i++) {
		const struct held *h = &g->held[i];

		pthread_mutex_lock(&g->lock);
		if (is_due(h, now) && h->closed_ns < oldest) {
			oldest = h->closed_ns;
			n = h->n;
			best = i;
		}
		pthread_mutex_unlock(&g->lock);
	}
	if (best < 0)
		return -1;
	pthread_mutex_lock(&g->lock);
	if (g->held[best].n == n && is_due(&g->held[best], now))
		g->held[best].taken = true;
	else
		best = -1; /* another was faster */
	pthread_mutex_unlock(&g->lock);
	return best;
}

void held__put_down(struct guard *g, int slot)
{
	pthread_mutex_lock(&g->lock);
	g->held[slot].taken = false;
	pthread_mutex_unlock(&g->lock);
}

int held__release(struct guard *g, int slot)
{
	struct held *h = &g->held[slot];
	int err = held__drop_memory(g->tmpfd, h->n, strrchr(h->target, '/') + 1);

	if (err)
		return err;
	pthread_mutex_lock(&g->lock);
	g->used_bytes -= h->reserved_bytes;
	if (h->dirfd >= 0)
		close(h->dirfd);
	if (h->linkfd >= 0)
		close(h->linkfd);
	if (h->filefd >= 0)
		close(h->filefd);
	h->n = 0;
	h->taken = false;
	pthread_mutex_unlock(&g->lock);
	return 0;
}

/* ---- what is known of it ---- */

void held__record(struct guard *g, const struct held *h, const char *state)
{
	json_t *j = json_pack("{s:I, s:s, s:I}", "n", (json_int_t)h->n, "state", state,
			      "commit_ino", (json_int_t)0);

	if (j && h->closed_real_ns)
		json_object_set_new(j, "resumed_ns", json_integer((json_int_t)h->closed_real_ns));
	journal__append(&g->journal, REC_FILE, j, 0);
}

int held__deleted(struct guard *g, int slot)
{
	struct held *h = &g->held[slot];
	struct held was = *h;
	int err;

	h->gone = true;
	h->retry_ns = now_ns() + GUARD_SETTLE_NS;
	err = held__release(g, slot);
	if (!err)
		held__record(g, &was, "deleted by its owner");
	return err;
}

void held__remember_link(struct guard *g, const struct held *h)
{
	char handle[HANDLE_HEX_MAX];

	if (h->linkfd >= 0 && !handle__get(h->linkfd, handle))
		journal__append(
			&g->journal, REC_FILE,
			json_pack("{s:I, s:s}", "n", (json_int_t)h->n, "link_handle", handle), 0);
}

int held__announce_commit(struct journal *j, uint32_t n, int dirfd, const char *tmp,
			  const struct seen *seen, bool compared)
{
	int fd = beneath__open(dirfd, tmp, O_PATH, 0), err;
	char handle[HANDLE_HEX_MAX];
	struct stat st;
	json_t *file;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st)) {
		err = -errno;
		close(fd);
		return err;
	}
	if (handle__get(fd, handle))
		handle[0] = '\0';
	file = json_pack("{s:I, s:s, s:I, s:s, s:b, s:n}", "n", (json_int_t)n, "state",
			 "being renamed", "commit_ino", (json_int_t)st.st_ino, "commit_handle",
			 handle, "settled", compared, "file_ctime_ns");
	seen__to_json(seen, file);
	err = journal__append(j, REC_FILE, file, 0);
	if (err)
		close(fd);
	return err ? err : fd;
}

void held__moved(struct guard *g, struct held *h, int dirfd, const char *dir, const char *name)
{
	char handle[HANDLE_HEX_MAX];

	if (handle__get(dirfd, handle))
		handle[0] = '\0';
	journal__append(&g->journal, REC_PLANT,
			json_pack("{s:I, s:o, s:o, s:s}", "n", (json_int_t)h->n, "dir",
				  name_text__to_json(dir), "name", name_text__to_json(name),
				  "handle", handle),
			0);
	pthread_mutex_lock(&g->lock);
	if (h->dirfd >= 0)
		close(h->dirfd);
	h->dirfd = dirfd;
	snprintf(h->dir, sizeof(h->dir), "%s", dir);
	snprintf(h->name, sizeof(h->name), "%s", name);
	pthread_mutex_unlock(&g->lock);
}

bool held__follow_link(struct guard *g, struct held *h)
{
	char dir[NAME_MAX + 1], name[NAME_MAX + 1];
	int dirfd;

	if (h->gone)
		return false;
	if (h->home)
		return true;
	if (export__is_link(h->dirfd, h->name, h->target))
		return true;
	dirfd = link__find(g->dirfd, h->linkfd, h->target, dir, name);
	if (dirfd < 0) /* a search that failed says nothing */
		return dirfd != -ENOENT || (h->linkfd >= 0 && link__names(h->linkfd));
	held__moved(g, h, dirfd, dir, name);
	return true;
}

static int stat_memory(const struct guard *g, const struct held *h, struct stat *st)
{
	char path[NAME_MAX + 32];

	held__memory_path(h, path, sizeof(path));
	return fstatat(g->tmpfd, path, st, AT_SYMLINK_NOFOLLOW) ? -errno : 0;
}

/* Caller holds g->lock. */
static void count_as(struct guard *g, struct held *h, uint64_t bytes)
{
	g->used_bytes += bytes - h->reserved_bytes;
	h->reserved_bytes = bytes;
}

/* The file is what it is now, not what was reserved for it. */
void held__account(struct guard *g, struct held *h)
{
	struct stat st;

	if (stat_memory(g, h, &st))
		return;
	pthread_mutex_lock(&g->lock);
	count_as(g, h, (uint64_t)st.st_blocks * 512);
	/* what could not be held twice is a hole with a size, and says nothing of the next one */
	if (st.st_size && (uint64_t)st.st_size <= g->conf.memory_bytes)
		g->prev.bytes = (uint64_t)st.st_size;
	pthread_mutex_unlock(&g->lock);
}

static void count_growth(struct guard *g, struct held *h)
{
	struct stat st;

	if (stat_memory(g, h, &st))
		return;
	pthread_mutex_lock(&g->lock);
	if ((uint64_t)st.st_blocks * 512 > h->reserved_bytes)
		count_as(g, h, (uint64_t)st.st_blocks * 512);
	pthread_mutex_unlock(&g->lock);
}

void held__measure(struct guard *g)
{
	char used[32], budget[32];
	bool over, was;

	for (int i = 0; i < GUARD_HELD_MAX; i++) {
		if (!held__take(g, i))
			continue;
		count_growth(g, &g->held[i]);
		held__put_down(g, i);
	}
	pthread_mutex_lock(&g->lock);
	over = g->used_bytes - g->warm_bytes > g->conf.memory_bytes;
	format_bytes(g->used_bytes - g->warm_bytes, used, sizeof(used));
	was = g->over_budget;
	g->over_budget = over;
	pthread_mutex_unlock(&g->lock);
	if (!over)
		return;
	reserve__let_go(g);
	if (!was)
		guard__note(g,
			    "what is in memory has grown to %s, over the budget of %s: the next "
			    "files go to disk until it is less",
			    used, format_bytes(g->conf.memory_bytes, budget, sizeof(budget)));
}

void held__look(struct guard *g)
{
	for (int i = 0; i < GUARD_HELD_MAX; i++) {
		struct held *h = &g->held[i];

		if (!held__take(g, i))
			continue;
		if (held__follow_link(g, h) || held__deleted(g, i))
			held__put_down(g, i);
	}
}
