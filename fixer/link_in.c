// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A name that leads into memory: a file on the tmpfs, within the budget, and a link to it in the
 * snapshot directory; in the journal before either is there.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "../user/clock.h"
#include "beneath.h"
#include "export.h"
#include "guard.h"
#include "link.h"

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
		g->held[slot] = (struct held){
			.n = *n, .dirfd = -1, .linkfd = -1, .filefd = -1, .reserved_bytes = want
		};
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
static int make_memory_file(struct guard *g, const char *sub, const struct link_order *o)
{
	char path[NAME_MAX + 32];
	int fd, err = 0;

	snprintf(path, sizeof(path), "%s/%s", sub, o->name);
	fd = beneath__open(g->tmpfd, path, O_RDONLY | O_CREAT | O_EXCL, 0600);
	if (fd < 0)
		return fd;
	if (fchown(fd, o->uid, o->gid) || fchmod(fd, o->mode))
		err = -errno;
	close(fd);
	return err;
}

/* The writer's user gets a directory of its own; nobody else may look. */
static int make_memory_dir(struct guard *g, uint32_t n, const struct link_order *o)
{
	char sub[24];
	int err = 0;

	snprintf(sub, sizeof(sub), "%u", n);
	if (mkdirat(g->tmpfd, sub, 0700))
		return -errno;
	err = make_memory_file(g, sub, o);
	if (!err && fchownat(g->tmpfd, sub, o->uid, o->gid, AT_SYMLINK_NOFOLLOW))
		err = -errno;
	if (!err)
		err = watch__mark_memory_dir(g, g->tmpfd, sub);
	if (err)
		held__drop_memory(g->tmpfd, n, o->name);
	return err;
}

static int announce(struct guard *g, uint32_t n, const struct link_order *o)
{
	json_t *j = plant__describe(n, o->dirfd, o->dir, o->name);

	if (j) /* it takes memory from here on */
		json_object_set_new(j, "made_ns",
				    json_integer((json_int_t)clock_ns(CLOCK_REALTIME)));
	if (j && o->by_writer)
		json_object_set_new(j, "made_by_writer", json_true());
	if (j && o->over)
		json_object_set_new(j, "over_ino", json_integer((json_int_t)o->over_ino));
	return journal__append(&g->journal, REC_PLANT, j, 0);
}

static int make_link(const struct held *h, const struct link_order *o)
{
	char tmp[NAME_MAX + 32];
	int err;

	if (!o->over)
		return symlinkat(h->target, o->dirfd, o->name) ? -errno : 0;
	export__tmp_name(tmp, sizeof(tmp), o->name);
	err = export__relink(o->dirfd, tmp, o->name, h->target, o->over_dev, o->over_ino);
	return err == -ENOENT ? -ESTALE : err;
}

static int announce_and_link(struct guard *g, struct held *h, const struct link_order *o)
{
	int err = announce(g, h->n, o);

	if (!err)
		err = make_link(h, o);
	if (err) {
		held__drop_memory(g->tmpfd, h->n, o->name);
		journal__append(&g->journal, REC_FILE,
				json_pack("{s:I, s:s}", "n", (json_int_t)h->n, "state", "on disk"),
				0);
		return err;
	}
	h->linkfd = link__open(o->dirfd, o->name);
	held__remember_link(g, h);
	return 0;
}

int link_in__plant(struct guard *g, const struct link_order *o, uint32_t *n)
{
	const char *why;
	struct held *h;
	int slot, err;

	slot = reserve(g, n, &why);
	if (slot < 0) {
		to_disk__note(g, o->dir, o->name, why);
		return -ENOSPC;
	}
	h = &g->held[slot];
	snprintf(h->name, sizeof(h->name), "%s", o->name);
	snprintf(h->dir, sizeof(h->dir), "%s", o->dir);
	snprintf(h->target, sizeof(h->target), "%s/%u/%s", g->conf.tmp_dir, *n, o->name);
	h->dirfd = fcntl(o->dirfd, F_DUPFD_CLOEXEC, 0);
	err = h->dirfd < 0 ? -errno : make_memory_dir(g, *n, o);
	if (!err)
		err = announce_and_link(g, h, o);
	if (err) {
		give_back(g, slot);
		return err;
	}
	pthread_mutex_lock(&g->lock);
	h->linked = true;
	pthread_mutex_unlock(&g->lock);
	return 0;
}
