// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "recover.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "beneath.h"
#include "export.h"
#include "guard.h"
#include "link.h"
#include "name_text.h"

const char *record__text(json_t *file, const char *key)
{
	const char *text = json_string_value(json_object_get(file, key));

	return text ? text : "";
}

json_int_t record__int(json_t *file, const char *key)
{
	return json_integer_value(json_object_get(file, key));
}

/* "durable" is not: until it was compared and has all its names, it may have to come back. */
static bool is_final(json_t *file)
{
	static const char *const finals[] = { "deleted by its owner", "on disk", "lost",
					      RECOVERED_NEVER_COMPARED };

	for (size_t i = 0; i < sizeof(finals) / sizeof(finals[0]); i++)
		if (!strcmp(record__text(file, "state"), finals[i]))
			return true;
	return false;
}

/* The snapshot directory, wherever it was moved to; -ESTALE where it was deleted. */
static int open_snapshot(json_t *file, int rootfd, const struct recovered *r)
{
	const char *handle = record__text(file, "handle");
	struct stat st;
	int fd;

	if (rootfd < 0)
		return -ESTALE;
	if (!*handle)
		return beneath__open(rootfd, r->dir, O_PATH | O_DIRECTORY, 0);
	fd = handle__open(rootfd, handle, O_DIRECTORY);
	if (fd >= 0 && (fstat(fd, &st) || !st.st_nlink)) {
		close(fd);
		return -ESTALE;
	}
	return fd;
}

/* Earlier versions did not write that down: there the last record says whether it was read back. */
static bool is_settled(json_t *file)
{
	json_t *settled = json_object_get(file, "settled");

	if (settled)
		return json_is_true(settled);
	return json_is_true(json_object_get(file, "read_back")) &&
	       !strcmp(record__text(file, "state"), "durable");
}

static int fill(json_t *file, const char *tmp_dir, struct recovered *r)
{
	json_t *planted = json_object_get(file, "planted_name"),
	       *name = json_object_get(file, "name");
	int err;

	*r = (struct recovered){ .dirfd = -1, .linkfd = -1, .memory = -1, .filefd = -1 };
	r->n = (uint32_t)record__int(file, "n");
	name_text__from_json(json_object_get(file, "dir"), r->dir, sizeof(r->dir));
	err = name_text__from_json(name, r->name, sizeof(r->name));
	if (!err) /* an earlier version, which followed no renames, had one name */
		err = name_text__from_json(planted ? planted : name, r->memory_name,
					   sizeof(r->memory_name));
	/* a link has the name that its owner gave it, its memory one of ours */
	if (err || !r->n || !name_is_one(r->name) || !name_ok(r->memory_name))
		return -EBADMSG;
	snprintf(r->target, sizeof(r->target), "%s/%u/%s", tmp_dir, r->n, r->memory_name);
	r->settled = is_settled(file);
	r->commit_ino = (uint64_t)record__int(file, "commit_ino");
	seen__from_json(&r->seen, file);
	r->file_ctime_ns = (uint64_t)record__int(file, "file_ctime_ns");
	return 0;
}

static int open_memory(struct recovered *r, int tmpfd)
{
	char path[NAME_MAX + 32];
	int fd;

	snprintf(path, sizeof(path), "%u/%s", r->n, r->memory_name);
	fd = tmpfd < 0 ? -ENOENT : beneath__open(tmpfd, path, O_RDONLY | O_NONBLOCK | O_NOATIME, 0);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	r->memory = fd;
	return 0;
}

/*
 * Its link is not where it was: moved within the tree, moved out of it, or removed. A handle that
 * leads nowhere is no proof: a link that came back for a late writer is another one.
 */
static int look_elsewhere(json_t *file, int rootfd, struct recovered *r)
{
	const char *handle = record__text(file, "link_handle");
	int linkfd = *handle && rootfd >= 0 ? handle__open(rootfd, handle, O_NOFOLLOW) : -ESTALE;
	bool stands = linkfd >= 0 && link__names(linkfd);
	int dirfd = rootfd < 0
			    ? -ENOENT
			    : link__find(rootfd, stands ? linkfd : -1, r->target, r->dir, r->name);

	if (linkfd >= 0)
		close(linkfd);
	if (dirfd < 0 && dirfd != -ENOENT)
		return dirfd;
	r->state = stands ? RECOVERED_AWAY : RECOVERED_REMOVED;
	if (dirfd < 0)
		return 0;
	if (r->dirfd >= 0)
		close(r->dirfd);
	r->dirfd = dirfd;
	r->state = RECOVERED_LINKED;
	return 0;
}

int recovered__give_names(const struct recovered *r, int rootfd)
{
	int fd = r->filefd < 0 ? link__open(r->dirfd, r->name) : r->filefd, cnt;

	if (fd < 0)
		return fd;
	cnt = link__give_all(rootfd, r->target, fd);
	if (fd != r->filefd)
		close(fd);
	return cnt < 0 ? cnt : 0;
}

bool recovered__never_compared(const struct recovered *r)
{
	return !r->settled && r->memory < 0 &&
	       (r->state == RECOVERED_DURABLE || r->state == RECOVERED_DONE);
}

static enum home settle(json_t *file, struct recovered *r)
{
	struct home_step step = { .committed_ino = r->commit_ino, .seen = r->seen };

	if (!strcmp(record__text(file, "state"), "planted"))
		step.over_ino = (uint64_t)record__int(file, "over_ino");
	return home__settle(r->dirfd, r->name, r->target, &step, r->memory);
}

/* Whether somebody can have written to what is not there any more. */
static bool had_writer(json_t *file)
{
	return record__int(file, "resumed_ns") ||
	       json_is_true(json_object_get(file, "made_by_writer"));
}

/* What took the place of the link, whatever its name is now, where there is memory to compare it with. */
static int open_committed(json_t *file, int rootfd, const struct recovered *r)
{
	if (!r->commit_ino || rootfd < 0 || r->memory < 0)
		return -ESTALE;
	return handle__open(rootfd, record__text(file, "commit_handle"), O_NOFOLLOW);
}

/* Its owner has renamed it within the tree. */
static bool follow_file(json_t *file, int rootfd, struct recovered *r)
{
	char dir[NAME_MAX + 1], name[NAME_MAX + 1];
	int fd = open_committed(file, rootfd, r), dirfd;

	if (fd < 0)
		return false;
	dirfd = link__where(rootfd, fd, dir, name);
	close(fd);
	if (dirfd < 0)
		return false;
	if (r->dirfd >= 0)
		close(r->dirfd);
	r->dirfd = dirfd;
	memcpy(r->dir, dir, sizeof(dir));
	memcpy(r->name, name, sizeof(name));
	return true;
}

/*
 * He has moved it out of the tree, or to where the kernel knows no name of it now (nobody has used it
 * since): it is compared by itself. What cannot be replaced by a link is kept beside its memory.
 */
static bool open_moved(json_t *file, int rootfd, struct recovered *r)
{
	int fd = open_committed(file, rootfd, r);
	struct stat st, memory;

	if (fd < 0)
		return false;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_ino != r->commit_ino || !st.st_nlink ||
	    fstat(r->memory, &memory)) {
		close(fd);
		return false;
	}
	r->filefd = fd;
	r->state = seen__is_current(&r->seen, &memory, &st) ? RECOVERED_DURABLE : RECOVERED_BOTH;
	return true;
}

/* Whatever happens to its name from here on: what is compared, and replaced, is this one. */
static int open_file(struct recovered *r)
{
	struct stat st;

	r->filefd = link__open(r->dirfd, r->name);
	if (r->filefd < 0)
		return r->filefd == -ENOENT ? -EAGAIN : r->filefd;
	if (fstat(r->filefd, &st))
		return -errno;
	return S_ISREG(st.st_mode) && st.st_ino == r->commit_ino ? 0 : -EAGAIN;
}

static int look(json_t *file, int rootfd, struct recovered *r)
{
	enum home home = HOME_GONE;

	r->dirfd = open_snapshot(file, rootfd, r);
	if (r->dirfd < 0 && r->dirfd != -ESTALE && r->dirfd != -ENOENT)
		return r->dirfd;
	if (r->dirfd >= 0)
		home = settle(file, r);
	if (home == HOME_GONE && follow_file(file, rootfd, r))
		home = settle(file, r);
	if (home == HOME_FAILED)
		return -EIO;
	if (home == HOME_GONE && open_moved(file, rootfd, r))
		return 0;
	if (home == HOME_GONE)
		return look_elsewhere(file, rootfd, r);
	/* what was said to be kept for a human does not go because he touched the file */
	if (home == HOME_DURABLE && r->memory >= 0 &&
	    json_is_true(json_object_get(file, "both_changed")))
		home = HOME_BOTH;
	r->state = home == HOME_DURABLE ? RECOVERED_DURABLE
		   : home == HOME_BOTH	? RECOVERED_BOTH
					: RECOVERED_LINKED;
	return home == HOME_DURABLE && r->memory >= 0 ? open_file(r) : 0;
}

int recover__file(json_t *file, int rootfd, int tmpfd, const char *tmp_dir, struct recovered *r)
{
	int err = fill(file, tmp_dir, r);

	if (err)
		return err;
	r->state = RECOVERED_DONE;
	if (is_final(file)) {
		r->settled = true;
		return 0;
	}
	err = open_memory(r, tmpfd);
	if (err || (r->memory < 0 && !strcmp(record__text(file, "state"), "durable")))
		return err;
	err = look(file, rootfd, r);
	if (err) {
		recovered__close(r);
		return err;
	}
	if (r->state == RECOVERED_LINKED && r->memory < 0)
		r->state = had_writer(file) ? RECOVERED_LOST : RECOVERED_NOTHING;
	if (r->state == RECOVERED_LINKED)
		r->linkfd = link__open(r->dirfd, r->name);
	return 0;
}

void recovered__close(struct recovered *r)
{
	fd__close(&r->dirfd);
	fd__close(&r->linkfd);
	fd__close(&r->memory);
	fd__close(&r->filefd);
}

static void sweep_dir(int tmpfd, const char *name)
{
	int fd = beneath__open(tmpfd, name, O_RDONLY | O_DIRECTORY, 0);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d) {
		fd__close(&fd);
		return;
	}
	while ((e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			held__drop_memory(tmpfd, (uint32_t)strtoul(name, NULL, 10), e->d_name);
	closedir(d);
	unlinkat(tmpfd, name, AT_REMOVEDIR);
}

void recover__sweep(json_t *files, int tmpfd)
{
	int fd = tmpfd < 0 ? -1 : openat(tmpfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d) {
		fd__close(&fd);
		return;
	}
	while ((e = readdir(d)))
		if (e->d_name[0] >= '1' && e->d_name[0] <= '9' &&
		    !json_object_get(files, e->d_name))
			sweep_dir(tmpfd, e->d_name);
	unlinkat(tmpfd, "probe", 0); /* of an `apply` that was killed */
	closedir(d);
}
