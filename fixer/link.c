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
#include "lease.h"

struct walk {
	const char *target;
	link_fn fn;
	void *arg;
	dev_t dev;
	int err; /* the first directory that could not be searched */
};

static int walk_dir(struct walk *w, int fd, const char *dir, int depth);

/* Moved or replaced meanwhile is not there; else it is not known what lies in it. */
static int skip_dir(struct walk *w, int err)
{
	if (err != -ENOENT && err != -ENOTDIR && err != -ELOOP && err != -EXDEV && !w->err)
		w->err = err;
	return 0;
}

static int walk_entry(struct walk *w, int dirfd, const char *dir, const char *name, int depth)
{
	const struct link_name at = { .dirfd = dirfd, .dir = dir, .name = name };
	bool top = !strcmp(dir, ".");
	char sub[NAME_MAX + 1];
	struct stat st;
	int fd;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW))
		return 0; /* removed meanwhile */
	if (S_ISLNK(st.st_mode))
		return export__is_link(dirfd, name, w->target) ? w->fn(&at, w->arg) : 0;
	if (!S_ISDIR(st.st_mode) || st.st_dev != w->dev)
		return 0;
	if (depth == LINK_DEPTH_MAX)
		return skip_dir(w, -ENAMETOOLONG);
	fd = beneath__open(dirfd, name, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return skip_dir(w, fd);
	if (snprintf(sub, sizeof(sub), "%s%s%s", top ? "" : dir, top ? "" : "/", name) < 0)
		sub[0] = '\0';
	return walk_dir(w, fd, sub, depth + 1);
}

/* Owns fd. */
static int walk_dir(struct walk *w, int fd, const char *dir, int depth)
{
	DIR *d = fdopendir(fd);
	struct dirent *e;
	int err = 0;

	if (!d) {
		err = -errno;
		close(fd);
		return skip_dir(w, err);
	}
	while (!err && (errno = 0, e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			err = walk_entry(w, fd, dir, e->d_name, depth);
	if (!err && errno)
		skip_dir(w, -errno);
	closedir(d);
	return err;
}

int link__walk(int rootfd, const char *target, link_fn fn, void *arg)
{
	struct walk w = { .target = target, .fn = fn, .arg = arg };
	int fd = openat(rootfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), err;
	struct stat st;

	if (fd < 0 || fstat(fd, &st)) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	w.dev = st.st_dev;
	err = walk_dir(&w, fd, ".", 0);
	return err ? err : w.err;
}

int link__open(int dirfd, const char *name)
{
	return beneath__open(dirfd, name, O_PATH, 0);
}

int link__remove(int dirfd, const char *name, const char *target)
{
	if (!export__is_link(dirfd, name, target) || !unlinkat(dirfd, name, 0))
		return 0;
	return errno == ENOENT ? 0 : -errno;
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

	f->dirfd = openat(at->dirfd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (f->dirfd < 0)
		return -errno;
	snprintf(f->dir, NAME_MAX + 1, "%s", at->dir);
	snprintf(f->name, NAME_MAX + 1, "%s", at->name);
	return 1;
}

static bool is_same(int dirfd, const char *name, int fd)
{
	struct stat a, b;

	return !fstatat(dirfd, name, &a, AT_SYMLINK_NOFOLLOW) && !fstat(fd, &b) &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* The kernel keeps a name for what is open: it follows renames, and is one of several at most. */
int link__where(int rootfd, int fd, char dir[NAME_MAX + 1], char name[NAME_MAX + 1])
{
	char proc[40], root[PATH_MAX], path[PATH_MAX], *rel, *slash;
	ssize_t n, len;
	int dirfd;

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", rootfd);
	len = readlink(proc, root, sizeof(root) - 1);
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
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
	dirfd = beneath__open(rootfd, slash ? rel : ".", O_PATH | O_DIRECTORY, 0);
	if (dirfd < 0)
		return -ENOENT;
	snprintf(name, NAME_MAX + 1, "%s", slash ? slash + 1 : rel);
	snprintf(dir, NAME_MAX + 1, "%.*s", NAME_MAX, slash ? rel : ".");
	if (is_same(dirfd, name, fd))
		return dirfd;
	close(dirfd);
	return -ENOENT;
}

int link__find(int rootfd, int linkfd, const char *target, char dir[NAME_MAX + 1],
	       char name[NAME_MAX + 1])
{
	struct found f = { .dir = dir, .name = name, .dirfd = -1 };
	int err = -ENOENT;

	if (linkfd >= 0 && !link__names(linkfd))
		return -ENOENT;
	if (linkfd >= 0)
		err = link__where(rootfd, linkfd, dir, name);
	if (err >= 0)
		return err;
	err = link__walk(rootfd, target, take_first, &f);
	return err == 1 ? f.dirfd : err < 0 ? err : -ENOENT;
}

struct giving {
	int filefd;
	const char *target;
	int cnt;
};

/* By what is open: under its name there may be another's file now. */
static int link_file(int filefd, int dirfd, const char *name)
{
	char proc[40];

	if (!linkat(filefd, "", dirfd, name, AT_EMPTY_PATH))
		return 0;
	if (errno != ENOENT && errno != EPERM && errno != EINVAL)
		return -errno;
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", filefd);
	return linkat(AT_FDCWD, proc, dirfd, name, AT_SYMLINK_FOLLOW) ? -errno : 0;
}

/* A second name of the link becomes a second name of the file. */
static int give(const struct link_name *at, void *arg)
{
	struct giving *g = arg;
	char tmp[NAME_MAX + 32];
	int err;

	export__tmp_name(tmp, sizeof(tmp), at->name);
	if (export__is_link(at->dirfd, tmp, g->target) || is_same(at->dirfd, tmp, g->filefd))
		unlinkat(at->dirfd, tmp, 0); /* of one that was killed here */
	err = link_file(g->filefd, at->dirfd, tmp);
	if (!err)
		err = export__commit(at->dirfd, tmp, at->name, g->target);
	else
		return err;
	g->cnt += !err;
	return err == -ENOENT ? 0 : err; /* its owner was faster */
}

int link__give_all(int rootfd, const char *target, int filefd)
{
	struct giving g = { .filefd = filefd, .target = target };
	int err = link__walk(rootfd, target, give, &g);

	return err ? err : g.cnt;
}

/* What came under `tmp` by an exchange that was cut off, and is neither ours nor expected, goes back. */
static enum home put_back(int dirfd, const char *name, const char *tmp,
			  const struct export_old *instead)
{
	int err = export__replace(dirfd, tmp, name, instead);

	return err && err != -ENOENT ? HOME_FAILED : HOME_GONE;
}

/*
 * The rename was done. A writer that had followed the link before it may have gone on in memory
 * while nobody watched: then its bytes are the later ones, unless the file was changed too.
 */
static enum home settle_renamed(int dirfd, const char *name, const char *target,
				const struct home_step *step, const struct stat *file, int memory)
{
	const struct export_old old = { .dev = file->st_dev, .ino = file->st_ino };
	char tmp[NAME_MAX + 32];
	struct stat m, t;
	bool swapped;
	int err;

	export__tmp_name(tmp, sizeof(tmp), name);
	swapped = export__is_link(dirfd, tmp, target);
	if (!swapped && !fstatat(dirfd, tmp, &t, AT_SYMLINK_NOFOLLOW))
		return put_back(dirfd, name, tmp, &old);
	if (memory < 0 || fstat(memory, &m) ||
	    (lease__try(memory) != -EAGAIN && seen__is_current(&step->seen, &m, file))) {
		if (swapped)
			unlinkat(dirfd, tmp, 0);
		return export__sync_dir(dirfd) ? HOME_FAILED : HOME_DURABLE;
	}
	if (seen__is_his(&step->seen, file)) {
		if (swapped)
			unlinkat(dirfd, tmp, 0);
		return HOME_BOTH;
	}
	if (swapped)
		err = export__replace(dirfd, tmp, name, &old);
	else
		err = export__relink(dirfd, tmp, name, target, old.dev, old.ino);
	return !err ? HOME_LINKED : err == -ENOENT ? HOME_GONE : HOME_FAILED;
}

/* The link stands: beside it is half a file, what it has replaced, or what nobody expected there. */
static enum home settle_linked(int dirfd, const char *name, const char *tmp, const char *target,
			       const struct home_step *step)
{
	const struct export_old old = { .target = target };
	uint64_t ino = step->committed_ino ? step->committed_ino : step->over_ino;
	struct stat t;

	if (fstatat(dirfd, tmp, &t, AT_SYMLINK_NOFOLLOW))
		return HOME_LINKED;
	if (ino && t.st_ino != ino && !export__is_link(dirfd, tmp, target))
		return put_back(dirfd, name, tmp, &old);
	unlinkat(dirfd, tmp, 0); /* under a name that only we use */
	return HOME_LINKED;
}

enum home home__settle(int dirfd, const char *name, const char *target,
		       const struct home_step *step, int memory)
{
	uint64_t ino = step->committed_ino ? step->committed_ino : step->over_ino;
	char tmp[NAME_MAX + 32];
	struct stat st;

	export__tmp_name(tmp, sizeof(tmp), name);
	if (export__is_link(dirfd, name, target))
		return settle_linked(dirfd, name, tmp, target, step);
	if (step->committed_ino && !fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) &&
	    S_ISREG(st.st_mode) && st.st_ino == step->committed_ino)
		return settle_renamed(dirfd, name, target, step, &st, memory);
	if (fstatat(dirfd, tmp, &st, AT_SYMLINK_NOFOLLOW))
		return HOME_GONE;
	/* a file under that name which is not the one we were about to rename came out of its place */
	if (!ino || st.st_ino == ino || export__is_link(dirfd, tmp, target))
		unlinkat(dirfd, tmp, 0);
	return HOME_GONE;
}
