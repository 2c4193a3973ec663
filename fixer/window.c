// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "window.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "../user/host/read.h"
#include "../user/log.h"

static int open_dir(void)
{
	const char *dir = getenv("FLATPAUSE_RUN_DIR");
	struct stat st;
	int fd;

	if (!dir || !*dir)
		dir = "/run/flatpause";
	if (mkdir(dir, 0755) && errno != EEXIST)
		return log_err(-errno, "cannot make %s", dir);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st))
		return log_err(-errno, "cannot open %s", dir);
	if (st.st_uid == geteuid() && !(st.st_mode & 022))
		return fd;
	close(fd);
	return log_err(-EPERM, "%s must belong to us and to nobody else", dir);
}

/* Partitions of one disk wait for each other: the lock is the whole disk's. */
static void disk_of(uint64_t dev, char *text, size_t size)
{
	char part[16];

	if (read_text("", part, sizeof(part), "/sys/dev/block/%u:%u/partition", major(dev),
		      minor(dev)) > 0 &&
	    read_text("", text, size, "/sys/dev/block/%u:%u/../dev", major(dev), minor(dev)) > 0)
		return;
	snprintf(text, size, "%u:%u", major(dev), minor(dev));
}

int window__init(struct window *w, uint64_t dev)
{
	const int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
	int dir = open_dir(), err = 0;
	char disk[32], name[64];

	*w = (struct window){ .hold = -1, .look = -1 };
	if (dir < 0)
		return dir;
	disk_of(dev, disk, sizeof(disk));
	snprintf(name, sizeof(name), "window-%s", disk);
	w->hold = openat(dir, name, flags, 0600);
	w->look = openat(dir, name, flags, 0600);
	if (w->hold < 0 || w->look < 0)
		err = log_err(-errno, "cannot open %s of the run directory", name);
	close(dir);
	if (err)
		window__close(w);
	return err;
}

void window__close(struct window *w)
{
	if (w->hold >= 0)
		close(w->hold);
	if (w->look >= 0)
		close(w->look);
	w->hold = w->look = -1;
}

/* Refused only for the instant in which somebody looks: the caller comes again. */
void window__hold(struct window *w, bool open)
{
	if (w->hold < 0 || open == w->held)
		return;
	if (!flock(w->hold, open ? LOCK_SH | LOCK_NB : LOCK_UN))
		w->held = open;
}

bool window__is_open(struct window *w)
{
	if (w->look < 0)
		return false;
	if (flock(w->look, LOCK_EX | LOCK_NB))
		return true;
	flock(w->look, LOCK_UN);
	return false;
}
