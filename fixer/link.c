// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "link.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "beneath.h"
#include "export.h"

struct walk {
	const char *target;
	link_fn fn;
	void *arg;
	dev_t dev;
};

static int walk_dir(const struct walk *w, int dirfd, const char *dir, int depth);

static int walk_entry(const struct walk *w, int dirfd, const char *dir, const char *name, int depth)
{
	const struct link_name at = { .dirfd = dirfd, .dir = dir, .name = name };
	char sub[NAME_MAX + 1];
	struct stat st;
	int fd, err;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW))
		return 0; /* removed meanwhile */
	if (S_ISLNK(st.st_mode))
		return export__is_link(dirfd, name, w->target) ? w->fn(&at, w->arg) : 0;
	if (!S_ISDIR(st.st_mode) || st.st_dev != w->dev || depth == LINK_DEPTH_MAX)
		return 0;
	/* longer ones are kept in journals by their handle, the text is for people */
	if (!strcmp(dir, "."))
		snprintf(sub, sizeof(sub), "%s", name);
	else
		snprintf(sub, sizeof(sub), "%.120s/%.120s", dir, name);
	fd = beneath__open(dirfd, name, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return 0;
	err = walk_dir(w, fd, sub, depth + 1);
	close(fd);
	return err;
}

static int walk_dir(const struct walk *w, int dirfd, const char *dir, int depth)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	while (!err && (e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			err = walk_entry(w, fd, dir, e->d_name, depth);
	closedir(d);
	return err;
}

int link__walk(int rootfd, const char *target, link_fn fn, void *arg)
{
	struct walk w = { .target = target, .fn = fn, .arg = arg };
	struct stat st;

	if (fstat(rootfd, &st))
		return -errno;
	w.dev = st.st_dev;
	return walk_dir(&w, rootfd, ".", 0);
}

int link__open(int dirfd, const char *name)
{
	return beneath__open(dirfd, name, O_PATH, 0);
}

unsigned int link__names(int linkfd)
{
	struct stat st;

	return fstat(linkfd, &st) ? 0 : (unsigned int)st.st_nlink;
}

struct found {
	char *dir, *name;
	int dirfd;
};

static int take_first(const struct link_name *at, void *arg)
{
	struct found *f = arg;

	if (!name_ok(at->name))
		return 0;
	f->dirfd = openat(at->dirfd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (f->dirfd < 0)
		return -errno;
	snprintf(f->dir, NAME_MAX + 1, "%s", at->dir);
	snprintf(f->name, NAME_MAX + 1, "%s", at->name);
	return 1;
}

/* The kernel keeps a name for what is open: it follows renames, and is one of several at most. */
static int ask_kernel(int rootfd, int linkfd, const char *target, struct found *f)
{
	char proc[40], root[PATH_MAX], path[PATH_MAX], *rel, *slash;
	ssize_t n, len;

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", rootfd);
	len = readlink(proc, root, sizeof(root) - 1);
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", linkfd);
	n = readlink(proc, path, sizeof(path) - 1);
	if (len <= 0 || n <= 0)
		return -ENOENT;
	root[len] = path[n] = '\0';
	if (strncmp(path, root, (size_t)len) != 0 || path[len] != '/')
		return -ENOENT;
	rel = path + len + 1;
	slash = strrchr(rel, '/');
	if (slash)
		*slash = '\0';
	if (!name_ok(slash ? slash + 1 : rel) || (slash && strlen(rel) > NAME_MAX))
		return -ENOENT;
	snprintf(f->name, NAME_MAX + 1, "%s", slash ? slash + 1 : rel);
	snprintf(f->dir, NAME_MAX + 1, "%s", slash ? rel : ".");
	f->dirfd = beneath__open(rootfd, f->dir, O_PATH | O_DIRECTORY, 0);
	if (f->dirfd < 0)
		return -ENOENT;
	if (export__is_link(f->dirfd, f->name, target))
		return 0;
	close(f->dirfd);
	return -ENOENT;
}

int link__find(int rootfd, int linkfd, const char *target, char dir[NAME_MAX + 1],
	       char name[NAME_MAX + 1])
{
	struct found f = { .dir = dir, .name = name, .dirfd = -1 };
	int err;

	if (linkfd >= 0 && !link__names(linkfd))
		return -ENOENT;
	if (linkfd >= 0 && !ask_kernel(rootfd, linkfd, target, &f))
		return f.dirfd;
	err = link__walk(rootfd, target, take_first, &f);
	return err == 1 ? f.dirfd : err < 0 ? err : -ENOENT;
}

struct giving {
	int dirfd;
	const char *name, *target;
	int cnt;
};

/* A second name of the link becomes a second name of the file. */
static int give(const struct link_name *at, void *arg)
{
	struct giving *g = arg;
	char tmp[NAME_MAX + 32];

	export__tmp_name(tmp, sizeof(tmp), at->name);
	unlinkat(at->dirfd, tmp, 0); /* of one that was killed here */
	if (linkat(g->dirfd, g->name, at->dirfd, tmp, 0))
		return -errno;
	if (!export__is_link(at->dirfd, at->name, g->target) ||
	    renameat(at->dirfd, tmp, at->dirfd, at->name)) {
		unlinkat(at->dirfd, tmp, 0);
		return 0; /* its owner was faster */
	}
	g->cnt++;
	return 0;
}

int link__give_all(int rootfd, const char *target, int dirfd, const char *name)
{
	struct giving g = { .dirfd = dirfd, .name = name, .target = target };
	int err = link__walk(rootfd, target, give, &g);

	return err ? err : g.cnt;
}

static bool is_later(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec > b->tv_sec : a->tv_nsec >= b->tv_nsec;
}

/*
 * The rename was done. A writer that had followed the link before it may have gone on in memory
 * while nobody watched: then its bytes are the later ones.
 */
static enum home settle_renamed(int dirfd, const char *name, const char *tmp, const char *target,
				const struct stat *file, int memory)
{
	bool swapped = export__is_link(dirfd, tmp, target);
	struct stat m, t;

	if (!swapped && !fstatat(dirfd, tmp, &t, AT_SYMLINK_NOFOLLOW)) {
		/* another's file came between check and rename: it goes back, ours was for nothing */
		if (!renameat2(dirfd, tmp, dirfd, name, RENAME_EXCHANGE))
			unlinkat(dirfd, tmp, 0);
		return HOME_GONE;
	}
	if (memory < 0 || fstat(memory, &m) || !is_later(&m.st_mtim, &file->st_mtim)) {
		if (swapped)
			unlinkat(dirfd, tmp, 0);
		return export__sync_dir(dirfd) ? HOME_GONE : HOME_DURABLE;
	}
	if (swapped)
		return renameat(dirfd, tmp, dirfd, name) ? HOME_GONE : HOME_LINKED;
	return export__relink(dirfd, tmp, name, target) ? HOME_GONE : HOME_LINKED;
}

enum home home__settle(int dirfd, const char *name, const char *target, uint64_t committed_ino,
		       int memory)
{
	char tmp[NAME_MAX + 32];
	struct stat st;

	export__tmp_name(tmp, sizeof(tmp), name);
	if (export__is_link(dirfd, name, target)) {
		unlinkat(dirfd, tmp, 0); /* half an export, under a name that only we use */
		return HOME_LINKED;
	}
	if (committed_ino && !fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) &&
	    S_ISREG(st.st_mode) && st.st_ino == committed_ino)
		return settle_renamed(dirfd, name, tmp, target, &st, memory);
	if (fstatat(dirfd, tmp, &st, AT_SYMLINK_NOFOLLOW))
		return HOME_GONE;
	/* a file under that name which is not the one we were about to rename came out of its place */
	if (!committed_ino || st.st_ino == committed_ino || export__is_link(dirfd, tmp, target))
		unlinkat(dirfd, tmp, 0);
	return HOME_GONE;
}
