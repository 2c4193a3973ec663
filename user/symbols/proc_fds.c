// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* What a process has open: a descriptor of before the recording would have no name else. */
#include "symbols.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "../../bpf/abi.h"
#include "../clock.h"
#include "../host/read.h"
#include "../log.h"
#include "table.h"

struct fd_list {
	struct rec_fd *fds;
	size_t cnt, cap;
	struct names names;
};

static int add_fd(struct fd_list *l, pid_t tgid, int dir, const char *name)
{
	struct rec_fd *grown, rec = { 0 };
	char target[PATH_MAX];
	struct stat st;
	ssize_t len = readlinkat(dir, name, target, sizeof(target));
	int err;

	/* Closed since the directory was read, or none of our business: not an error. */
	if (len < 0 || (size_t)len >= sizeof(target) || fstatat(dir, name, &st, 0))
		return 0;
	rec.fd = (int)strtol(name, NULL, 10);
	rec.dev = FP_DEV(major(st.st_dev), minor(st.st_dev));
	rec.ino = st.st_ino;
	rec.oflags = read_oflags(tgid, name);
	err = names__add(&l->names, target, (size_t)len, &rec.path);
	if (err)
		return err;
	grown = grow_list(l->fds, l->cnt, &l->cap, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	l->fds = grown;
	grown[l->cnt++] = rec;
	return 0;
}

static int read_fds(struct fd_list *l, pid_t tgid, DIR *dir)
{
	const struct dirent *d;
	int err = 0;

	while (!err && (d = readdir(dir)))
		if (isdigit((unsigned char)d->d_name[0]))
			err = add_fd(l, tgid, dirfd(dir), d->d_name);
	return err;
}

int proc__write_fds(struct trace_writer *w, pid_t tgid)
{
	struct rec_fds head = { .tgid = (uint32_t)tgid, .ts_ns = now_ns() };
	struct fd_list l = { 0 };
	char path[64];
	DIR *dir;
	int err;

	snprintf(path, sizeof(path), "/proc/%d/fd", tgid);
	dir = opendir(path);
	if (!dir && (errno == ENOENT || errno == ESRCH))
		return -ESRCH; /* ended: nothing to say */
	if (!dir)
		return log_err(-errno, "cannot read %s", path);
	err = read_fds(&l, tgid, dir);
	closedir(dir);
	head.fds_cnt = (uint32_t)l.cnt;
	head.names_size = (uint32_t)l.names.size;
	if (err)
		log_err(err, "cannot read %s", path);
	else
		err = trace_writer__chunk(w, REC_FDS,
					  (struct trace_part[]){ { &head, sizeof(head) },
								 { l.fds, l.cnt * sizeof(*l.fds) },
								 { l.names.buf, l.names.size } },
					  3);
	free(l.fds);
	names__free(&l.names);
	return err;
}
