// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* fanotify and inotify: which marks there are, and why these. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "../user/log.h"
#include "beneath.h"
#include "guard.h"
#include "kernel.h"

static int mark(struct guard *g, unsigned int flags, uint64_t mask, int dirfd, const char *name)
{
	int err;

	pthread_mutex_lock(&g->marks);
	err = fanotify_mark(g->fan, flags, mask, dirfd, name) ? -errno : 0;
	pthread_mutex_unlock(&g->marks);
	return err;
}

/* FAN_CLASS_PRE_CONTENT is there since long; whether FAN_PRE_ACCESS is, a mark tells. */
static int open_group(struct guard *g)
{
	g->fan = fanotify_init(FAN_CLASS_PRE_CONTENT | FAN_CLOEXEC | FAN_NONBLOCK |
				       FAN_UNLIMITED_QUEUE | FAN_UNLIMITED_MARKS,
			       O_RDONLY | O_LARGEFILE | O_CLOEXEC | O_NOATIME);
	if (g->fan >= 0)
		return 0;
	if (errno == EPERM)
		return log_err(-EPERM, "the guard needs root (CAP_SYS_ADMIN) for fanotify");
	return log_err(-errno, "this kernel offers no fanotify permission events");
}

/* A mark on a directory of our own that is taken away again: does the kernel know the event? */
static void probe_pre_access(struct guard *g)
{
	g->pre_content = !mark(g, FAN_MARK_ADD, FAN_PRE_ACCESS | FAN_EVENT_ON_CHILD, g->dirfd, ".");
	if (g->pre_content)
		mark(g, FAN_MARK_REMOVE, FAN_PRE_ACCESS | FAN_EVENT_ON_CHILD, g->dirfd, ".");
	else
		log_verbose(
			"no FAN_PRE_ACCESS here: the first write is seen just after it happened");
}

/*
 * Where the directory is the root of a mounted file system of its own, one mark covers it all and
 * there is no moment at which a new directory is not covered. Elsewhere marks stand on the
 * directory and on those in it: the rest of that file system (which may be '/') never notices us.
 */
static bool is_own_fs(const struct guard *g)
{
	struct stat here, above, root;

	return !fstat(g->dirfd, &here) && !fstatat(g->dirfd, "..", &above, 0) &&
	       !stat("/", &root) && here.st_dev != above.st_dev && here.st_dev != root.st_dev;
}

static int mark_all(struct guard *g)
{
	const uint64_t mask = FAN_OPEN_PERM | FAN_CLOSE_WRITE;

	g->fs_mark = is_own_fs(g) &&
		     !mark(g, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, mask, g->dirfd, ".");
	return g->fs_mark ? 0 : watch__mark_dir(g, g->dirfd, ".");
}

int watch__mark_dir(struct guard *g, int dirfd, const char *name)
{
	if (g->fs_mark)
		return 0;
	return mark(g, FAN_MARK_ADD | FAN_MARK_ONLYDIR | FAN_MARK_DONT_FOLLOW,
		    FAN_OPEN_PERM | FAN_CLOSE_WRITE | FAN_EVENT_ON_CHILD, dirfd, name);
}

/*
 * Not below a cover, which sees its writers itself: to learn who an open by the kernel's own way is of
 * we would look at that process's descriptors, which are of the cover, and wait for ourselves.
 */
int watch__mark_memory_dir(struct guard *g, int dirfd, const char *name)
{
	if (g->conf.cover)
		return 0;
	return mark(g, FAN_MARK_ADD | FAN_MARK_ONLYDIR | FAN_MARK_DONT_FOLLOW,
		    FAN_OPEN | FAN_CLOSE_WRITE | FAN_EVENT_ON_CHILD, dirfd, name);
}

bool watch__asks(const struct guard *g)
{
	return g->conf.redo || g->conf.size_rule == SIZE_FTRUNCATE;
}

static uint64_t writes(const struct guard *g, bool ask)
{
	return (ask && g->pre_content ? FAN_PRE_ACCESS : 0) | FAN_MODIFY;
}

/*
 * FAN_MODIFY beside it: copy_file_range writes without asking, and an O_TRUNC shows as a change.
 */
int watch__arm(struct guard *g, int dirfd, const char *name, bool ask)
{
	return mark(g, FAN_MARK_ADD, writes(g, ask), dirfd, name);
}

void watch__disarm(struct guard *g, int fd)
{
	mark(g, FAN_MARK_REMOVE, writes(g, true), fd, NULL);
	if (g->pre_content)
		watch__quiet(g, fd, false);
}

void watch__changes(struct guard *g, int fd, bool on)
{
	mark(g, on ? FAN_MARK_ADD : FAN_MARK_REMOVE, FAN_MODIFY, fd, NULL);
}

/* Without SURV_MODIFY: the kernel takes it away itself when the file is changed. */
void watch__quiet(struct guard *g, int fd, bool on)
{
	mark(g, (on ? FAN_MARK_ADD : FAN_MARK_REMOVE) | FAN_MARK_IGNORED_MASK, FAN_PRE_ACCESS, fd,
	     NULL);
}

/*
 * An open of ours asks our own watch thread and waits for it, twice what the rest of it takes. Not
 * where we are ignored; but while a writer has the file the kernel takes in only a mark that outlives
 * changes (inode_is_open_for_write() in fs/notify/fanotify/fanotify_user.c), and that stays a mark's
 * nature until it is gone, which watch__quiet() could not live with. So it is for a file without
 * marks. A writer that opens this very file in the same microseconds goes unseen, and unhindered.
 */
int watch__reopen(struct guard *g, int fd, bool bare)
{
	const unsigned int ignore = FAN_MARK_IGNORED_MASK | FAN_MARK_IGNORED_SURV_MODIFY;
	char path[40];
	int rw;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (bare)
		mark(g, FAN_MARK_ADD | ignore, FAN_OPEN_PERM, fd, NULL);
	rw = open(path, O_RDWR | O_CLOEXEC);
	if (rw < 0)
		rw = -errno;
	if (bare)
		mark(g, FAN_MARK_REMOVE | FAN_MARK_IGNORED_MASK, FAN_OPEN_PERM, fd, NULL);
	return rw;
}

int watch__open(struct guard *g)
{
	char path[40];
	int err = open_group(g);

	if (err)
		return err;
	g->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (g->wake < 0)
		return log_err(-errno, "cannot watch %s", g->conf.dir);
	if (g->conf.cover)
		return 0; /* which sees every writer itself */
	probe_pre_access(g);
	err = mark_all(g);
	if (err)
		return log_err(err, "cannot watch opens below %s", g->conf.dir);
	g->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (g->inotify < 0)
		return log_err(-errno, "cannot watch %s", g->conf.dir);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", g->dirfd);
	if (inotify_add_watch(g->inotify, path, IN_CREATE | IN_MOVED_TO | IN_ONLYDIR) < 0)
		return log_err(-errno, "cannot watch for directories in %s", g->conf.dir);
	return 0;
}
