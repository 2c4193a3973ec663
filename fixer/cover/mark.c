// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "mark.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "../../user/host/read.h"

#define MARK "flatpause-cover-%u:%u"

/* The kernel knows the number by itself: DONT_SYNC, there is nobody yet who would answer. */
int cover_mark__make(int mnt)
{
	struct statx st;
	char name[64];
	int fd;

	if (statx(mnt, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &st))
		return -errno;
	snprintf(name, sizeof(name), MARK, st.stx_dev_major, st.stx_dev_minor);
	fd = memfd_create(name, MFD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static dev_t read_mark(int fdsfd, const char *fd)
{
	unsigned int major, minor;
	char link[128];
	ssize_t n = readlinkat(fdsfd, fd, link, sizeof(link) - 1);

	link[n > 0 ? n : 0] = '\0';
	return sscanf(link, "/memfd:" MARK, &major, &minor) == 2 ? makedev(major, minor) : 0;
}

static dev_t find_mark(const char *root, const char *pid)
{
	char path[PATH_MAX];
	struct dirent *e;
	dev_t dev = 0;
	DIR *d;

	snprintf(path, sizeof(path), "%s/proc/%s/fd", root, pid);
	d = opendir(path);
	while (d && !dev && (e = readdir(d)))
		if (e->d_name[0] != '.')
			dev = read_mark(dirfd(d), e->d_name);
	if (d)
		closedir(d);
	return dev;
}

/* By its user too: anybody may take our name, and make a memfd of any. */
void cover_server__of(struct cover_server *server, const char *root, const char *pid)
{
	char comm[64], status[4096];
	const char *state;

	*server = (struct cover_server){ .pid = (pid_t)atoi(pid) };
	if (read_text(root, comm, sizeof(comm), "/proc/%s/comm", pid) < 0 ||
	    strncmp(comm, "flatpause", 9) != 0 ||
	    read_text(root, status, sizeof(status), "/proc/%s/status", pid) < 0 ||
	    !strstr(status, "\nUid:\t0\t0\t"))
		return;
	state = strstr(status, "\nState:\t");
	server->stopped = state && (state[8] == 'T' || state[8] == 't');
	server->dev = find_mark(root, pid);
}
