// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The rendezvous without a cover: a directory has appeared, and its writer will open a known name in
 * it. What leads into memory is a link to a file on a tmpfs. It goes on working when its guard is
 * dead, is seen in every mount namespace, and costs its writer nothing that could be measured. Its
 * limits: a writer with O_EXCL finds it and gets EEXIST, and only new directories get one; the cover
 * (cover/cover.h) has neither. What else was tried, and why not:
 *   a tmpfs mounted over the new directory: O_EXCL works, but the directory can neither be renamed
 *     nor removed (EBUSY) nor hard links made out of it (EXDEV) until it is unmounted, and what does
 *     not match --match lands in memory too, beyond the budget with ENOSPC;
 *   an overlay with its upper layer on a tmpfs: opening an old file for writing copies all of it into
 *     memory inside the pause (64 MB: 85 ms, once), and a file whose upper copy is removed after its
 *     export is still served from it: its memory is not freed while the mount lasts.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../user/log.h"
#include "beneath.h"
#include "guard.h"
#include "name_text.h"

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

json_t *plant__describe(uint32_t n, int dirfd, const char *dir, const char *name)
{
	char handle[HANDLE_HEX_MAX] = "";

	if (handle__get(dirfd, handle))
		handle[0] = '\0';
	return json_pack("{s:I, s:o, s:o, s:o, s:s, s:s}", "n", (json_int_t)n, "dir",
			 name_text__to_json(dir), "name", name_text__to_json(name), "planted_name",
			 name_text__to_json(name), "handle", handle, "state", "planted");
}

static void plant_spare(struct guard *g, int dirfd, const char *dir)
{
	uint32_t n = 0, crc = handle__crc(g->hiddenfd, "spare");
	uint64_t bytes, ino;
	int slot = -1;
	json_t *j;

	pthread_mutex_lock(&g->lock);
	bytes = g->conf.no_plant || !g->conf.name[0] ? 0 : g->spare_bytes;
	ino = g->spare_ino;
	if (bytes)
		slot = track__new(g, g->conf.dev, ino, crc);
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
	j = plant__describe(n, dirfd, dir, g->conf.name);
	if (j)
		json_object_set_new(j, "ino", json_integer((json_int_t)ino));
	if (!journal__append(&g->journal, REC_PLANT, j, 0)) {
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

static void plant_link(struct guard *g, int dirfd, const char *dir)
{
	struct link_order o = { .dirfd = dirfd, .dir = dir, .name = g->conf.name };
	struct stat st;
	uint32_t n;
	int err;

	if (!g->conf.name[0] || fstat(dirfd, &st))
		return;
	pthread_mutex_lock(&g->lock);
	o.mode = g->prev.mode;
	pthread_mutex_unlock(&g->lock);
	o.uid = st.st_uid; /* whoever writes there is its owner */
	o.gid = st.st_gid;
	err = link_in__plant(g, &o, &n);
	if (!err)
		reserve__let_go(g);
	else if (err != -ENOSPC) /* that was said */
		to_disk__note(g, dir, o.name,
			      err == -EEXIST ? "its writer was there first" : strerror(-err));
}

static void plant(struct guard *g, const struct job *job)
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

void plant__do(struct guard *g, struct job *job)
{
	if (job->kind == JOB_PLANT)
		plant(g, job);
	else if (job->kind == JOB_LET_GO)
		reserve__let_go(g);
}
