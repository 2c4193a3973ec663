// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The cover comes and goes: /dev/fuse, mount(2), and what is left of one whose server was killed. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "../../user/host/read.h"
#include "../../user/log.h"
#include "../beneath.h"
#include "../state.h"
#include "cover.h"
#include "mark.h"
#include "mountinfo.h"

#define BYPASS_MAX 8 /* that are named */

/* Linux 5.10 */
#ifndef ST_NOSYMFOLLOW
#define ST_NOSYMFOLLOW 0x2000
#endif
#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif

static int open_places(struct cover_keep *keep, const struct fix_conf *conf)
{
	struct stat st;

	keep->rootfd = dir__open(conf->dir);
	if (keep->rootfd < 0)
		return log_err(keep->rootfd, "cannot open %s", conf->dir);
	if (fstat(keep->rootfd, &st))
		return log_err(-errno, "cannot open %s", conf->dir);
	if (st.st_dev != conf->dev || st.st_ino != conf->ino)
		return log_err(-ESTALE, "%s is another directory now", conf->dir);
	keep->tmpfd = open(conf->tmp_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return keep->tmpfd < 0 ? log_err(-errno, "cannot open %s", conf->tmp_dir) : 0;
}

int cover_keep__open(struct cover_keep *keep, const struct fix_conf *conf)
{
	int err;

	*keep = (struct cover_keep){ .dev = -1, .rootfd = -1, .tmpfd = -1, .mnt = -1, .mark = -1 };
	err = open_places(keep, conf);
	if (err)
		return err;
	keep->dev = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (keep->dev < 0)
		return log_err(-errno, "cannot open /dev/fuse");
	keep->table = node_table__new();
	return keep->table ? 0 : log_err(-ENOMEM, "cannot cover %s", conf->dir);
}

void cover_keep__close(struct cover_keep *keep)
{
	node_table__delete(keep->table);
	keep->table = NULL;
	fd__close(&keep->dev);
	fd__close(&keep->rootfd);
	fd__close(&keep->tmpfd);
	fd__close(&keep->mnt);
	fd__close(&keep->mark);
}

/* ---- what is mounted where ---- */

struct mounts {
	const char *dir;
	int id;	      /* of the mount that is asked about; 0 = by its point */
	bool below;   /* something is mounted below the directory */
	bool covered; /* and on top of it (or of that number), a cover of ours */
	dev_t dev;    /* of what is on top */
};

static int look_at_mount(void *ctx, const struct mount_line *l)
{
	struct mounts *m = ctx;
	size_t len = strlen(m->dir);

	if (m->id ? l->id == m->id : !strcmp(l->point, m->dir)) {
		m->covered = !strcmp(l->type, COVER_FSTYPE); /* the last one is on top */
		m->dev = l->dev;
	} else if (!strncmp(l->point, m->dir, len) && l->point[len] == '/') {
		m->below = true;
	}
	return 0;
}

static int look_at_mounts(const char *dir, int id, struct mounts *m)
{
	*m = (struct mounts){ .dir = dir, .id = id };
	return mountinfo__each("", "self", look_at_mount, m);
}

bool cover__is_on(const char *dir)
{
	struct mounts m;

	return !look_at_mounts(dir, 0, &m) && m.covered;
}

int cover__check(const char *dir, const char **why)
{
	int fd = dir__open(dir), err;
	struct node_key key;
	struct mounts m;

	*why = "it cannot be read";
	if (fd < 0)
		return fd;
	err = node_key__of(fd, NODE_REAL, 0, &key);
	close(fd);
	*why = "its file system has no file handles";
	if (err)
		return -EOPNOTSUPP;
	*why = "this host has no /dev/fuse (modprobe fuse)";
	if (access("/dev/fuse", R_OK | W_OK))
		return -EOPNOTSUPP;
	*why = "/proc/self/mountinfo cannot be read";
	if (look_at_mounts(dir, 0, &m))
		return -EOPNOTSUPP;
	*why = "something is mounted below it, and would be hidden";
	return m.below ? -EBUSY : 0;
}

/* ---- mount and unmount, by descriptors: a path may lead elsewhere by now ---- */

/* What the real mount forbids, the cover does too. */
static unsigned int mount_attrs(int rootfd)
{
	unsigned int attrs = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
	struct statvfs fs;

	if (fstatvfs(rootfd, &fs))
		return attrs | MOUNT_ATTR_NOEXEC;
	if (fs.f_flag & ST_NOEXEC)
		attrs |= MOUNT_ATTR_NOEXEC;
	if (fs.f_flag & ST_RDONLY)
		attrs |= MOUNT_ATTR_RDONLY;
	if (fs.f_flag & ST_NOSYMFOLLOW)
		attrs |= MOUNT_ATTR_NOSYMFOLLOW;
	return attrs;
}

static int configure(int fs, int dev)
{
	static const char *const texts[][2] = { { "source", "flatpause" },
						{ "subtype", "flatpause" },
						{ "rootmode", "40000" },
						{ "user_id", "0" },
						{ "group_id", "0" } };
	static const char *const flags[] = { "allow_other", "default_permissions" };
	char number[16];

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (fsconfig(fs, FSCONFIG_SET_STRING, texts[i][0], texts[i][1], 0))
			return -errno;
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (fsconfig(fs, FSCONFIG_SET_FLAG, flags[i], NULL, 0))
			return -errno;
	snprintf(number, sizeof(number), "%d", dev);
	if (fsconfig(fs, FSCONFIG_SET_STRING, "fd", number, 0) ||
	    fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		return -errno;
	return 0;
}

int cover__mount(struct cover_keep *keep)
{
	int fs = fsopen("fuse", FSOPEN_CLOEXEC), err;

	err = fs < 0 ? -errno : configure(fs, keep->dev);
	if (!err) {
		keep->mnt = fsmount(fs, FSMOUNT_CLOEXEC, mount_attrs(keep->rootfd));
		keep->mark = keep->mnt < 0 ? -errno : cover_mark__make(keep->mnt);
		err = keep->mark < 0 ? keep->mark : 0;
	}
	if (!err && move_mount(keep->mnt, "", keep->rootfd, "",
			       MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH))
		err = -errno;
	if (fs >= 0)
		close(fs);
	if (err)
		return log_err(err, "cannot mount the cover");
	keep->table->mounted = 1;
	return 0;
}

static int unmount(int fd)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return umount2(path, MNT_DETACH) ? -errno : 0;
}

void cover__abort(const struct cover_keep *keep)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", keep->mnt);
	if (keep->mnt >= 0 && umount2(path, MNT_FORCE) &&
	    errno != EBUSY) /* EBUSY: ended, mounted still */
		log_warn("the connection of the cover cannot be ended: %s", strerror(errno));
}

/* -EINVAL: somebody else was faster. */
void cover__detach(struct cover_keep *keep)
{
	int err;

	if (keep->mnt < 0)
		return;
	err = unmount(keep->mnt);
	if (err && err != -EINVAL)
		log_warn("the cover was not taken away: %s", strerror(-err));
	fd__close(&keep->mnt); /* or it would be open below itself for ever */
}

static int mount_id(int fd)
{
	char text[512], *at;

	if (read_text("", text, sizeof(text), "/proc/self/fdinfo/%d", fd) < 0)
		return 0;
	at = strstr(text, "mnt_id:");
	return at ? atoi(at + 7) : 0;
}

bool cover__is_gone(const struct cover_keep *keep)
{
	int id = keep->mnt < 0 ? 0 : mount_id(keep->mnt);
	struct mounts m;

	return id && !look_at_mounts("", id, &m) && !m.covered;
}

dev_t cover__dev(const struct cover_keep *keep)
{
	int id = keep->mnt < 0 ? 0 : mount_id(keep->mnt);
	struct mounts m;

	return id && !look_at_mounts("", id, &m) && m.covered ? m.dev : 0;
}

bool cover__clear_dead(const char *dir)
{
	int fd = open(dir, O_PATH | O_NOFOLLOW | O_CLOEXEC), id;
	struct statvfs fs;
	struct mounts m;
	bool cleared = false;

	if (fd < 0)
		return false;
	id = mount_id(fd);
	if (fstatvfs(fd, &fs) && errno == ENOTCONN && id && !look_at_mounts(dir, id, &m) &&
	    m.covered)
		cleared = !unmount(fd);
	close(fd);
	return cleared;
}

/* ---- who is in the directory already ---- */

struct bypass {
	const char *dir;
	dev_t dev;
	int named;
};

/*
 * A link of /proc: the current directory, or a descriptor of one. Without asking its file system: that
 * may be a cover from before, which nobody serves any more.
 */
static bool leads_in(const struct bypass *b, int procfd, const char *link)
{
	size_t len = strlen(b->dir);
	char path[PATH_MAX];
	struct statx st;
	ssize_t n = readlinkat(procfd, link, path, sizeof(path) - 1);

	if (n <= 0)
		return false;
	path[n] = '\0';
	return !strncmp(path, b->dir, len) && (!path[len] || path[len] == '/') &&
	       !statx(procfd, link, AT_STATX_DONT_SYNC, STATX_TYPE, &st) && S_ISDIR(st.stx_mode) &&
	       makedev(st.stx_dev_major, st.stx_dev_minor) == b->dev;
}

static bool is_inside(const struct bypass *b, int procfd)
{
	int fd = openat(procfd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	bool inside = leads_in(b, procfd, "cwd");
	struct dirent *e;

	if (!d) {
		fd__close(&fd);
		return inside;
	}
	while (!inside && (e = readdir(d)))
		inside = e->d_name[0] != '.' && leads_in(b, fd, e->d_name);
	closedir(d);
	return inside;
}

static void look_at_process(struct bypass *b, int procfd, const char *pid)
{
	int fd = openat(procfd, pid, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char comm[64] = "?";

	if (fd < 0)
		return;
	read_text("", comm, sizeof(comm), "/proc/%s/comm", pid);
	comm[strcspn(comm, "\n")] = '\0';
	/* a supervisor of ours may still serve what is open from before */
	if (strncmp(comm, "flatpause", 9) != 0 && is_inside(b, fd)) {
		log_warn("%s (pid %s) is in %s already: what it opens from there goes past the "
			 "cover, to disk",
			 comm, pid, b->dir);
		b->named++;
	}
	close(fd);
}

void cover__warn_bypass(const struct cover_keep *keep, const char *dir)
{
	struct bypass b = { .dir = dir };
	struct dirent *e;
	struct stat st;
	DIR *d = opendir("/proc");

	if (!d || fstat(keep->rootfd, &st)) {
		if (d)
			closedir(d);
		return;
	}
	b.dev = st.st_dev;
	while (b.named < BYPASS_MAX && (e = readdir(d)))
		if (isdigit((unsigned char)e->d_name[0]) && atoi(e->d_name) != getpid())
			look_at_process(&b, dirfd(d), e->d_name);
	closedir(d);
}
