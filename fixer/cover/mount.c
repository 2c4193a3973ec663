// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The cover comes and goes: /dev/fuse, mount(2), and what is left of one whose server was killed. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "../../user/log.h"
#include "cover.h"

int cover_keep__open(struct cover_keep *keep, const char *dir, const char *tmp_dir)
{
	*keep = (struct cover_keep){ .dev = -1, .rootfd = -1, .tmpfd = -1 };
	keep->rootfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (keep->rootfd < 0)
		return log_err(-errno, "cannot open %s", dir);
	keep->tmpfd = open(tmp_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (keep->tmpfd < 0)
		return log_err(-errno, "cannot open %s", tmp_dir);
	keep->dev = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (keep->dev < 0)
		return log_err(-errno, "cannot open /dev/fuse");
	keep->table = node_table__new();
	return keep->table ? 0 : log_err(-ENOMEM, "cannot cover %s", dir);
}

void cover_keep__close(struct cover_keep *keep)
{
	node_table__delete(keep->table);
	for (int i = 0; i < 3; i++) {
		int each[] = { keep->dev, keep->rootfd, keep->tmpfd };

		if (each[i] >= 0)
			close(each[i]);
	}
	*keep = (struct cover_keep){ .dev = -1, .rootfd = -1, .tmpfd = -1 };
}

/* "\040" -> " ", as in mountinfo. */
static void unescape(char *text)
{
	char *to = text;

	for (; *text; text++) {
		unsigned int c;

		if (text[0] == '\\' && sscanf(text + 1, "%3o", &c) == 1) {
			*to++ = (char)c;
			text += 3;
		} else {
			*to++ = *text;
		}
	}
	*to = '\0';
}

struct mounts {
	bool below;   /* something is mounted below the directory */
	bool covered; /* and on top of it, a cover of ours */
};

/* One line: "ID PARENT MAJ:MIN ROOT POINT OPTIONS [TAGS...] - TYPE SOURCE OPTIONS" */
static void look_at_mount(char *line, const char *dir, struct mounts *m)
{
	size_t len = strlen(dir);
	char *type = strstr(line, " - "), *point = line;

	for (int i = 0; i < 4 && point; i++)
		point = strchr(point + 1, ' ');
	if (!point || !type)
		return;
	type += 3;
	type[strcspn(type, " ")] = '\0';
	point++;
	point[strcspn(point, " ")] = '\0';
	unescape(point);
	if (!strcmp(point, dir))
		m->covered = !strcmp(type, COVER_FSTYPE); /* the last one is on top */
	else if (!strncmp(point, dir, len) && point[len] == '/')
		m->below = true;
}

static int look_at_mounts(const char *dir, struct mounts *m)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t room = 0;

	*m = (struct mounts){ 0 };
	if (!f)
		return -errno;
	while (getline(&line, &room, f) > 0)
		look_at_mount(line, dir, m);
	free(line);
	fclose(f);
	return 0;
}

bool cover__is_on(const char *dir)
{
	struct mounts m;

	return !look_at_mounts(dir, &m) && m.covered;
}

int cover__check(const char *dir, const char **why)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW), err;
	struct node_key key;
	struct mounts m;

	*why = "it cannot be read";
	if (fd < 0)
		return -errno;
	err = node_key__of(fd, NODE_REAL, 0, &key);
	close(fd);
	*why = "its file system has no file handles";
	if (err)
		return -EOPNOTSUPP;
	*why = "this host has no /dev/fuse (modprobe fuse)";
	if (access("/dev/fuse", R_OK | W_OK))
		return -EOPNOTSUPP;
	*why = "something is mounted below it, and would be hidden";
	return look_at_mounts(dir, &m) || m.below ? -EBUSY : 0;
}

int cover__mount(const struct cover_keep *keep, const char *dir)
{
	char options[160];
	struct stat st;

	if (keep->table->mounted)
		return 0;
	if (fstat(keep->rootfd, &st))
		return log_err(-errno, "cannot cover %s", dir);
	snprintf(options, sizeof(options),
		 "fd=%d,rootmode=%o,user_id=0,group_id=0,allow_other,default_permissions",
		 keep->dev, st.st_mode & S_IFMT);
	if (mount("flatpause", dir, COVER_FSTYPE, MS_NOSUID | MS_NODEV, options))
		return log_err(-errno, "cannot cover %s", dir);
	keep->table->mounted = 1;
	return 0;
}

void cover__detach(const struct cover_keep *keep, const char *dir)
{
	struct mounts m;

	if (keep->table->mounted && !look_at_mounts(dir, &m) && m.covered &&
	    umount2(dir, MNT_DETACH | UMOUNT_NOFOLLOW))
		log_warn("%s: the cover was not taken away: %s; umount -l %s", dir, strerror(errno),
			 dir);
}

bool cover__clear_dead(const char *dir)
{
	struct statfs fs;
	struct mounts m;

	if (!statfs(dir, &fs) || errno != ENOTCONN || look_at_mounts(dir, &m) || !m.covered)
		return false;
	return !umount2(dir, MNT_DETACH | UMOUNT_NOFOLLOW);
}
