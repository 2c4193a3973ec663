// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The keeper: what takes long and must disturb nobody. Makes the next spare, and brings memory
 * files to their real place one at a time, giving way to every writer below the directory.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../user/clock.h"
#include "../user/log.h"
#include "beneath.h"
#include "export.h"
#include "guard.h"
#include "link.h"
#include "prealloc.h"

static void nap(uint64_t ns)
{
	struct timespec ts = { .tv_sec = (time_t)(ns / 1000000000ull),
			       .tv_nsec = (long)(ns % 1000000000ull) };

	nanosleep(&ts, NULL);
}

static bool is_cancelled(void *arg)
{
	struct guard *g = arg;
	bool broken;

	pthread_mutex_lock(&g->lease.lock);
	broken = g->lease.broken;
	pthread_mutex_unlock(&g->lease.lock);
	return broken || atomic_load(&g->quit);
}

/* Ours is known by its writers, and said to the guards of other directories on the disk. */
static bool window_is_open(struct guard *g)
{
	bool ours = writers__busy(&g->writers);

	window__hold(&g->window, ours);
	return ours || window__is_open(&g->window);
}

static void give_way(void *arg)
{
	struct guard *g = arg;

	while (!is_cancelled(g) && window_is_open(g))
		nap(1000000);
}

/* ---- spares ---- */

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

/* ---- the lease: whether somebody writes to the memory copy ---- */

static int lease_take(struct guard *g, int fd)
{
	if (fcntl(fd, F_SETSIG, SIGRTMIN + 1) || fcntl(fd, F_SETLEASE, F_RDLCK))
		return -errno;
	pthread_mutex_lock(&g->lease.lock);
	g->lease.fd = fd;
	g->lease.phase = LEASE_COPY;
	g->lease.broken = fcntl(fd, F_GETLEASE) != F_RDLCK;
	pthread_mutex_unlock(&g->lease.lock);
	return 0;
}

static void lease_drop(struct guard *g)
{
	pthread_mutex_lock(&g->lease.lock);
	fcntl(g->lease.fd, F_SETLEASE, F_UNLCK);
	g->lease.fd = -1;
	g->lease.phase = LEASE_NONE;
	g->lease.broken = false;
	pthread_mutex_unlock(&g->lease.lock);
}

/* A writer waits for us: while we copy it may go on at once; after the rename the link comes first. */
void keeper__lease_broken(struct guard *g, int fd)
{
	pthread_mutex_lock(&g->lease.lock);
	if (g->lease.phase != LEASE_NONE && g->lease.fd == fd) {
		g->lease.broken = true;
		if (g->lease.phase == LEASE_COPY)
			fcntl(fd, F_SETLEASE, F_UNLCK);
		pthread_cond_signal(&g->lease.broken_cond);
	}
	pthread_mutex_unlock(&g->lease.lock);
}

/* From here on a break has to wait for the link. False where it is broken already. */
static bool lease_commit(struct guard *g)
{
	bool ok;

	pthread_mutex_lock(&g->lease.lock);
	ok = !g->lease.broken && fcntl(g->lease.fd, F_GETLEASE) == F_RDLCK;
	if (ok)
		g->lease.phase = LEASE_COMMITTED;
	pthread_mutex_unlock(&g->lease.lock);
	return ok;
}

/* Whether a writer that had followed the link before the rename turns up now. */
static bool lease_linger(struct guard *g)
{
	struct timespec until;
	bool broken;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += (long)GUARD_LINGER_NS;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&g->lease.lock);
	while (!g->lease.broken &&
	       pthread_cond_timedwait(&g->lease.broken_cond, &g->lease.lock, &until) != ETIMEDOUT)
		;
	broken = g->lease.broken;
	pthread_mutex_unlock(&g->lease.lock);
	return broken;
}

/* ---- exports ---- */

void keeper__closed(struct guard *g, uint32_t n)
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

void keeper__drop_memory(int tmpfd, uint32_t n, const char *name)
{
	char path[NAME_MAX + 32];

	snprintf(path, sizeof(path), "%u/%s", n, name);
	unlinkat(tmpfd, path, 0);
	snprintf(path, sizeof(path), "%u", n);
	unlinkat(tmpfd, path, AT_REMOVEDIR);
}

/* "7/memory.bin": under the name that it was planted with, whatever its link is called now. */
static void memory_path(const struct held *h, char *path, size_t size)
{
	snprintf(path, size, "%u/%s", h->n, strrchr(h->target, '/') + 1);
}

static void release(struct guard *g, int slot)
{
	struct held *h = &g->held[slot];

	keeper__drop_memory(g->tmpfd, h->n, strrchr(h->target, '/') + 1);
	pthread_mutex_lock(&g->lock);
	g->used_bytes -= h->reserved_bytes;
	close(h->dirfd);
	if (h->linkfd >= 0)
		close(h->linkfd);
	h->n = 0;
	pthread_mutex_unlock(&g->lock);
}

static void record(struct guard *g, const struct held *h, const char *state)
{
	json_t *j = json_pack("{s:I, s:s, s:I}", "n", (json_int_t)h->n, "state", state,
			      "commit_ino", (json_int_t)0);

	if (j && h->closed_real_ns)
		json_object_set_new(j, "resumed_ns", json_integer((json_int_t)h->closed_real_ns));
	journal__append(&g->journal, REC_FILE, j, 0);
}

/* Which inode is about to be renamed: whoever comes behind us knows by it what it finds there. */
static int record_commit(struct guard *g, const struct held *h, const char *tmp)
{
	struct stat st;

	if (fstatat(h->dirfd, tmp, &st, AT_SYMLINK_NOFOLLOW))
		return -errno;
	return journal__append(&g->journal, REC_FILE,
			       json_pack("{s:I, s:s, s:I}", "n", (json_int_t)h->n, "state",
					 "being renamed", "commit_ino", (json_int_t)st.st_ino),
			       0);
}

/* Whether the link is somewhere still; where its owner has moved it, we move with it. */
static bool follow_link(struct guard *g, struct held *h)
{
	char dir[NAME_MAX + 1], name[NAME_MAX + 1], handle[HANDLE_HEX_MAX];
	int dirfd;

	if (export__is_link(h->dirfd, h->name, h->target))
		return true;
	dirfd = link__find(g->dirfd, h->linkfd, h->target, dir, name);
	if (dirfd < 0)
		return h->linkfd >= 0 && link__names(h->linkfd);
	if (handle__get(dirfd, handle))
		handle[0] = '\0';
	journal__append(&g->journal, REC_PLANT,
			json_pack("{s:I, s:s, s:s, s:s}", "n", (json_int_t)h->n, "dir", dir, "name",
				  name, "handle", handle),
			0);
	pthread_mutex_lock(&g->lock);
	close(h->dirfd);
	h->dirfd = dirfd;
	memcpy(h->dir, dir, sizeof(dir));
	memcpy(h->name, name, sizeof(name));
	pthread_mutex_unlock(&g->lock);
	return true;
}

static void record_durable(struct guard *g, const struct held *h, const struct export_result *r)
{
	char crc[16];
	json_t *j;

	snprintf(crc, sizeof(crc), "%08x", r->crc);
	j = json_pack("{s:I, s:s, s:I, s:I, s:I, s:I, s:s, s:f, s:f, s:s, s:b, s:i}", "n",
		      (json_int_t)h->n, "state", "durable", "resumed_ns",
		      (json_int_t)h->closed_real_ns, "durable_ns",
		      (json_int_t)clock_ns(CLOCK_REALTIME), "size", (json_int_t)r->bytes,
		      "data_bytes", (json_int_t)r->data_bytes, "crc32c", crc, "copy_ms",
		      (double)r->copy_ns / 1e6, "sync_ms", (double)r->sync_ns / 1e6, "way",
		      way_name(r->way), "read_back", r->read_back, "restarts", h->restarts);
	journal__append(&g->journal, REC_FILE, j, 1);
}

/* Hard links to the link: each becomes one to the file. */
static void give_names(struct guard *g, const struct held *h)
{
	int cnt;

	if (h->linkfd < 0 || !link__names(h->linkfd))
		return;
	cnt = link__give_all(g->dirfd, h->target, h->dirfd, h->name);
	if (cnt < 0 || link__names(h->linkfd))
		guard__note(
			g, "%s/%s: another name of its link is not below %s, and leads nowhere now",
			h->dir, h->name, g->conf.dir);
}

/* Renames, waits for late writers, and takes the rename back where one comes. */
static int commit(struct guard *g, struct held *h, const char *tmp)
{
	int err;

	err = record_commit(g, h, tmp);
	if (!err && !lease_commit(g))
		err = -ECANCELED;
	if (err) {
		unlinkat(h->dirfd, tmp, 0);
		return err;
	}
	err = export__commit(h->dirfd, tmp, h->name, h->target);
	if (err)
		return err;
	if (!lease_linger(g))
		return 0;
	err = export__relink(h->dirfd, tmp, h->name, h->target);
	return err ? err : -ECANCELED;
}

/* The link again, in the place of what cannot be relied on. */
static int take_back(struct guard *g, struct held *h, const char *tmp, int why)
{
	int err = export__relink(h->dirfd, tmp, h->name, h->target);

	if (!err)
		return why;
	h->linked = false; /* or it would pass for deleted by its owner, and go */
	guard__note(g, "%s/%s: cannot be replaced by its link (%s); what it should be is %s",
		    h->dir, h->name, strerror(-err), h->target);
	return why;
}

/*
 * The file is durable and at its place; its memory stays until the device has given the same bytes
 * back. Where it gives others, the link comes back and all is done again.
 */
static int compare(struct guard *g, struct held *h, const char *tmp,
		   const struct export_hooks *hooks, struct export_result *r)
{
	int err = 0;

	if (!g->conf.no_readback && !r->read_back)
		err = export__read_back(g->exporter, h->dirfd, h->name, hooks, r);
	if (err == -ECANCELED && atomic_load(&g->quit))
		return err; /* both copies stay, and the revert that ended us knows what to do */
	if (err == -ECANCELED)
		return take_back(g, h, tmp, err);
	if (err == -EBADMSG || err == -EIO) {
		guard__note(g, "%s/%s: the disk does not give back what was written: %s", h->dir,
			    h->name, strerror(-err));
		return take_back(g, h, tmp, err);
	}
	journal__append(&g->journal, REC_FILE,
			json_pack("{s:I, s:b, s:f}", "n", (json_int_t)h->n, "read_back",
				  r->read_back, "verify_ms", (double)r->verify_ns / 1e6),
			0);
	return 0;
}

static void after_failure(struct guard *g, int slot, int err)
{
	struct held *h = &g->held[slot];

	if (atomic_load(&g->quit) || !h->linked)
		return;
	if (!follow_link(g, h)) {
		record(g, h, "deleted by its owner");
		release(g, slot);
		return;
	}
	if (err == -ECANCELED || err == -ENOENT) { /* written to, or moved, meanwhile */
		h->restarts++;
		h->retry_ns = now_ns() + GUARD_SETTLE_NS;
		record(g, h, "in memory: written again");
		return;
	}
	h->retry_ns = now_ns() + GUARD_RETRY_NS;
	record(g, h,
	       err == -ENOSPC ? "in memory: no space on disk, trying again"
			      : "in memory: export failed, trying again");
	guard__note(g, "%s/%s stays in memory and is tried again: %s", h->dir, h->name,
		    strerror(-err));
}

static void export_one(struct guard *g, int slot)
{
	const struct export_hooks hooks = { give_way, is_cancelled, g, g->conf.export_rate_bytes };
	struct held *h = &g->held[slot];
	char path[NAME_MAX + 32], tmp[NAME_MAX + 32];
	struct export_result r;
	struct stat st;
	int src, err;

	memory_path(h, path, sizeof(path));
	src = beneath__open(g->tmpfd, path, O_RDONLY | O_NONBLOCK, 0);
	if (!follow_link(g, h)) {
		record(g, h, "deleted by its owner");
		release(g, slot);
		goto out;
	}
	if (src < 0 || fstat(src, &st) || !S_ISREG(st.st_mode) || st.st_nlink != 1) {
		after_failure(g, slot, src == -ENOENT ? -ENODATA : src < 0 ? src : -EPERM);
		goto out;
	}
	err = lease_take(g, src);
	if (err) { /* a writer has it: its close will come */
		h->retry_ns = now_ns() + GUARD_SETTLE_NS;
		goto out;
	}
	record(g, h, "being exported");
	export__tmp_name(tmp, sizeof(tmp), h->name);
	err = export__copy(g->exporter, src, h->dirfd, tmp, &hooks, &r);
	if (err == -EEXIST) { /* of a guard that died: only we use this name */
		unlinkat(h->dirfd, tmp, 0);
		err = export__copy(g->exporter, src, h->dirfd, tmp, &hooks, &r);
	}
	if (!err)
		err = commit(g, h, tmp);
	if (!err) {
		record_durable(g, h, &r);
		err = compare(g, h, tmp, &hooks, &r);
	}
	if (err) {
		after_failure(g, slot, err);
	} else {
		give_names(g, h);
		release(g, slot);
	}
	lease_drop(g);
out:
	if (src >= 0)
		close(src);
}

/* The file is what it is now, not what was reserved for it. */
static void account(struct guard *g, struct held *h)
{
	char path[NAME_MAX + 32];
	struct stat st;

	memory_path(h, path, sizeof(path));
	if (fstatat(g->tmpfd, path, &st, AT_SYMLINK_NOFOLLOW))
		return;
	pthread_mutex_lock(&g->lock);
	g->used_bytes += (uint64_t)st.st_blocks * 512 - h->reserved_bytes;
	h->reserved_bytes = (uint64_t)st.st_blocks * 512;
	if (st.st_size)
		g->prev.bytes = (uint64_t)st.st_size;
	pthread_mutex_unlock(&g->lock);
}

/* The one that waits longest; directories that were deleted are noticed once a second. */
static int next_export(struct guard *g)
{
	uint64_t now = now_ns(), oldest = UINT64_MAX;
	bool look = now - g->looked_ns > 1000000000ull;
	int best = -1;

	if (look)
		g->looked_ns = now;
	for (int i = 0; i < GUARD_HELD_MAX; i++) {
		struct held h;

		pthread_mutex_lock(&g->lock);
		h = g->held[i];
		pthread_mutex_unlock(&g->lock);
		if (!h.n || !h.linked)
			continue;
		if (look && !follow_link(g, &g->held[i])) {
			record(g, &h, "deleted by its owner");
			release(g, i);
			continue;
		}
		if (!h.closed_ns || now < h.closed_ns + GUARD_SETTLE_NS || now < h.retry_ns ||
		    h.closed_ns >= oldest)
			continue;
		oldest = h.closed_ns;
		best = i;
	}
	return best;
}

/* On the thread that uses it. Without it nothing is lost: the files stay in memory. */
static bool has_exporter(struct guard *g)
{
	uint64_t now = now_ns();

	if (g->exporter || now < g->exporter_retry_ns)
		return g->exporter;
	if (export_worker__start(&g->exporter, g->counters)) {
		g->exporter_retry_ns = now + GUARD_RETRY_NS;
		guard__note(g, "exports cannot begin: memory files stay in memory");
	}
	return g->exporter;
}

static void *keep(void *arg)
{
	struct guard *g = arg;

	while (!atomic_load(&g->quit)) {
		bool open = window_is_open(g);
		int slot = -1;

		if (g->conf.mitigation == MITIGATION_MEMFD) {
			slot = has_exporter(g) ? next_export(g) : -1;
		} else if (!open) {
			look_around(g);
			make_spare(g);
		}
		if (slot >= 0) {
			account(g, &g->held[slot]);
			give_way(g);
			export_one(g, slot);
		} else {
			if (g->conf.mitigation == MITIGATION_MEMFD && !open)
				reserve__fill(g);
			nap(10000000);
		}
	}
	export_worker__stop(g->exporter);
	g->exporter = NULL;
	return NULL;
}

int keeper__start(struct guard *g)
{
	int err = export_counters__share(&g->counters);

	if (!err)
		err = window__init(&g->window, g->conf.dev);
	if (err)
		return err;
	err = -pthread_create(&g->keeper, NULL, keep, g);
	g->keeper_running = !err;
	if (err)
		window__close(&g->window);
	return err;
}

void keeper__stop(struct guard *g)
{
	atomic_store(&g->quit, true);
	if (g->keeper_running) {
		pthread_join(g->keeper, NULL);
		window__close(&g->window);
	}
	g->keeper_running = false;
	reserve__let_go(g);
}
