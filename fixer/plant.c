// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The rendezvous: a directory has appeared, and its writer will open a known name in it.
 *
 * memfd plants a link to a file on a tmpfs. What else there is, and why not:
 *   a tmpfs mounted over the new directory (tried): O_EXCL works, but the directory can neither be
 *     renamed nor removed (EBUSY) nor hard links made out of it (EXDEV) until it is unmounted, and
 *     what does not match --match lands in memory too, beyond the budget with ENOSPC;
 *   an overlay with its upper layer on a tmpfs (tried): opening an old file for writing copies all of
 *     it into memory inside the pause (64 MB: 85 ms, once), and a file whose upper copy is removed
 *     after its export is still served from it: its memory is not freed while the mount lasts;
 *   FUSE (not tried): would know every operation, but who kills the daemon fails every writer's open
 *     and every file that is open. A link goes on working when its guard is dead.
 * The link costs the writer 3 % of what writing 64 MB to the tmpfs itself takes (one run of `make
 * bench`). Its limit: a writer with O_EXCL finds the link and gets EEXIST. For those there is `fix
 * memfd open` where they can be told the path, and `--mitigation fallocate --no-plant` where not.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "../user/log.h"
#include "beneath.h"
#include "guard.h"
#include "link.h"

static void look_at_dir(int dirfd, const char *match, struct previous *prev, char *name)
{
	struct dirent *e;
	struct stat st;
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((e = readdir(d))) {
		if (!name_matches(match, e->d_name) ||
		    fstatat(dirfd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode))
			continue;
		if (!st.st_size || st.st_mtim.tv_sec < prev->mtime.tv_sec ||
		    (st.st_mtim.tv_sec == prev->mtime.tv_sec &&
		     st.st_mtim.tv_nsec <= prev->mtime.tv_nsec))
			continue;
		*prev = (struct previous){ .bytes = (uint64_t)st.st_size,
					   .mode = st.st_mode & 07777,
					   .uid = st.st_uid,
					   .gid = st.st_gid,
					   .mtime = st.st_mtim };
		snprintf(name, NAME_MAX + 1, "%s", e->d_name);
	}
	closedir(d);
}

void previous__find(int dirfd, const char *match, struct previous *prev, char *name)
{
	struct dirent *e;
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), sub;
	DIR *d;

	look_at_dir(dirfd, match, prev, name);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		sub = beneath__open(dirfd, e->d_name, O_RDONLY | O_DIRECTORY, 0);
		if (sub < 0)
			continue;
		look_at_dir(sub, match, prev, name);
		close(sub);
	}
	closedir(d);
}

/* Into the journal before it is done: a revert after kill -9 knows where to look. */
static int announce(struct guard *g, uint32_t n, int dirfd, const char *dir, const char *name,
		    const char *state, uint64_t ino)
{
	char handle[HANDLE_HEX_MAX] = "";
	json_t *j;

	if (handle__get(dirfd, handle))
		handle[0] = '\0';
	j = json_pack("{s:I, s:s, s:s, s:s, s:s, s:s, s:I}", "n", (json_int_t)n, "dir", dir, "name",
		      name, "planted_name", name, "handle", handle, "state", state, "ino",
		      (json_int_t)ino);
	return journal__append(&g->journal, REC_PLANT, j, 0);
}

static void plant_spare(struct guard *g, int dirfd, const char *dir)
{
	uint64_t bytes, ino;
	uint32_t n = 0;
	int slot = -1;

	pthread_mutex_lock(&g->lock);
	bytes = g->conf.no_plant || !g->conf.name[0] ? 0 : g->spare_bytes;
	ino = g->spare_ino;
	if (bytes)
		slot = track__new(g, g->conf.dev, ino);
	if (slot >= 0) {
		struct track *t = &g->tracks[slot];

		n = t->n;
		t->prealloc_bytes = bytes;
		t->open = t->armed = t->asked = true;
		t->made = MADE_SPARE;
		snprintf(t->dir, sizeof(t->dir), "%s", dir);
		snprintf(t->name, sizeof(t->name), "%s", g->conf.name);
		g->spare_bytes = 0;
	}
	pthread_mutex_unlock(&g->lock);
	if (slot < 0)
		return;
	if (!announce(g, n, dirfd, dir, g->conf.name, "planted", ino)) {
		watch__arm(g, g->hiddenfd, "spare", true);
		if (!renameat2(g->hiddenfd, "spare", dirfd, g->conf.name, RENAME_NOREPLACE))
			return;
		guard__note(g, "%s/%s: the spare came too late: %s", dir, g->conf.name,
			    strerror(errno));
	}
	pthread_mutex_lock(&g->lock);
	g->tracks[slot].n = 0;
	g->spare_bytes = bytes;
	pthread_mutex_unlock(&g->lock);
}

/* A slot and its share of the budget; -1 where the file has to go to disk, with the reason. */
static int reserve(struct guard *g, uint32_t *n, const char **why)
{
	struct statfs fs;
	uint64_t want;
	int slot = -1;

	pthread_mutex_lock(&g->lock);
	want = guard__wanted(g);
	*why = "too many files wait for their export";
	for (int i = 0; slot < 0 && i < GUARD_HELD_MAX; i++)
		if (!g->held[i].n)
			slot = i;
	/* what is held warm is let go for this file */
	if (slot >= 0 && g->used_bytes - g->warm_bytes + want > g->conf.memory_bytes) {
		*why = "the memory budget is used up";
		slot = -1;
	}
	if (slot >= 0 && (fstatfs(g->tmpfd, &fs) || fs.f_bavail * (uint64_t)fs.f_bsize < want)) {
		*why = "the tmpfs is full";
		slot = -1;
	}
	if (slot >= 0) {
		*n = ++g->next_n;
		g->used_bytes += want;
		g->held[slot] =
			(struct held){ .n = *n, .dirfd = -1, .linkfd = -1, .reserved_bytes = want };
	}
	pthread_mutex_unlock(&g->lock);
	return slot;
}

static void give_back(struct guard *g, int slot)
{
	struct held *h = &g->held[slot];

	pthread_mutex_lock(&g->lock);
	g->used_bytes -= h->reserved_bytes;
	if (h->dirfd >= 0)
		close(h->dirfd);
	h->n = 0;
	pthread_mutex_unlock(&g->lock);
}

/* Empty, and there before its link: some writers (cp) refuse to follow a link to nothing. */
static int make_memory_file(struct guard *g, const char *sub, const struct stat *owner)
{
	char path[NAME_MAX + 32];
	mode_t mode;
	int fd, err = 0;

	pthread_mutex_lock(&g->lock);
	mode = g->prev.mode;
	pthread_mutex_unlock(&g->lock);
	snprintf(path, sizeof(path), "%s/%s", sub, g->conf.name);
	fd = beneath__open(g->tmpfd, path, O_RDONLY | O_CREAT | O_EXCL, 0600);
	if (fd < 0)
		return fd;
	if (fchown(fd, owner->st_uid, owner->st_gid) || fchmod(fd, mode))
		err = -errno;
	close(fd);
	return err;
}

/* The writer's user gets a directory of its own; nobody else may look. */
static int make_memory_dir(struct guard *g, uint32_t n, const struct stat *owner)
{
	char sub[24];
	int err = 0;

	snprintf(sub, sizeof(sub), "%u", n);
	if (mkdirat(g->tmpfd, sub, 0700))
		return -errno;
	err = make_memory_file(g, sub, owner);
	if (!err && fchownat(g->tmpfd, sub, owner->st_uid, owner->st_gid, AT_SYMLINK_NOFOLLOW))
		err = -errno;
	if (!err)
		err = watch__mark_memory_dir(g, g->tmpfd, sub);
	if (err)
		keeper__drop_memory(g->tmpfd, n, g->conf.name);
	return err;
}

/* By this a later guard tells a link that was moved from one that was removed. */
static void remember_link(struct guard *g, const struct held *h)
{
	char handle[HANDLE_HEX_MAX];

	if (h->linkfd >= 0 && !handle__get(h->linkfd, handle))
		journal__append(
			&g->journal, REC_FILE,
			json_pack("{s:I, s:s}", "n", (json_int_t)h->n, "link_handle", handle), 0);
}

static void plant_link(struct guard *g, int dirfd, const char *dir)
{
	const char *why;
	struct stat st;
	struct held *h;
	uint32_t n = 0;
	int slot, err;

	if (!g->conf.name[0] || fstat(dirfd, &st))
		return;
	slot = reserve(g, &n, &why);
	if (slot < 0) {
		guard__note(g, "%s/%s goes to disk: %s", dir, g->conf.name, why);
		return;
	}
	h = &g->held[slot];
	snprintf(h->name, sizeof(h->name), "%s", g->conf.name);
	snprintf(h->dir, sizeof(h->dir), "%s", dir);
	snprintf(h->target, sizeof(h->target), "%s/%u/%s", g->conf.tmp_dir, n, g->conf.name);
	h->dirfd = fcntl(dirfd, F_DUPFD_CLOEXEC, 0);
	err = h->dirfd < 0 ? -errno : make_memory_dir(g, n, &st);
	if (!err) {
		err = announce(g, n, dirfd, dir, h->name, "planted", 0);
		if (!err && symlinkat(h->target, dirfd, h->name))
			err = -errno;
		if (!err) {
			h->linkfd = link__open(dirfd, h->name);
			remember_link(g, h);
			pthread_mutex_lock(&g->lock);
			h->linked = true;
			pthread_mutex_unlock(&g->lock);
			reserve__let_go(g);
			return;
		}
		keeper__drop_memory(g->tmpfd, n, h->name);
		journal__append(&g->journal, REC_FILE,
				json_pack("{s:I, s:s}", "n", (json_int_t)n, "state", "on disk"), 0);
	}
	guard__note(g, "%s/%s goes to disk: %s", dir, h->name,
		    err == -EEXIST ? "its writer was there first" : strerror(-err));
	give_back(g, slot);
}

void plant__do(struct guard *g, struct job *job)
{
	int dirfd = name_ok(job->name) && strcmp(job->name, HIDDEN_DIR) != 0
			    ? beneath__open(g->dirfd, job->name, O_PATH | O_DIRECTORY, 0)
			    : -ENOENT;

	if (dirfd >= 0) {
		watch__mark_dir(g, dirfd, ".");
		if (g->conf.mitigation == MITIGATION_MEMFD)
			plant_link(g, dirfd, job->name);
		else
			plant_spare(g, dirfd, job->name);
		close(dirfd);
	}
	atomic_fetch_add(&g->plants_done, 1);
}
