// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "read.h"

#define MOUNTINFO_MAX (4u << 20)
#define STACKING_MAX  4 /* loop over dm over partition ...: deeper is not looked at */
#define NAME_LEN      64

void disks__add(struct disks *d, dev_t dev)
{
	for (size_t i = 0; i < d->cnt; i++)
		if (d->v[i] == dev)
			return;
	if (d->cnt == DISKS_MAX) {
		d->overflow = true;
		return;
	}
	d->v[d->cnt++] = dev;
}

int disks__add_path(struct disks *d, const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return -errno;
	disks__add(d, S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev);
	return 0;
}

/* A descriptor of a process that leads to a regular file. */
struct open_file {
	pid_t pid;
	const char *fd;
	struct stat st;
	bool writable;
};

/* Calls fn for each until it says true; then 1, else 0 or -errno. */
static int each_open_file(pid_t pid, bool (*fn)(void *ctx, const struct open_file *file), void *ctx)
{
	char path[64];
	struct dirent *e;
	bool stop = false;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	if (!dir)
		return -errno;
	while (!stop && (e = readdir(dir))) {
		struct open_file file = { .pid = pid, .fd = e->d_name };
		struct stat link;

		if (fstatat(dirfd(dir), e->d_name, &link, AT_SYMLINK_NOFOLLOW) ||
		    fstatat(dirfd(dir), e->d_name, &file.st, 0) || !S_ISREG(file.st.st_mode))
			continue;
		/* the mode of such a link tells how the file was opened */
		file.writable = link.st_mode & S_IWUSR;
		stop = fn(ctx, &file);
	}
	closedir(dir);
	return stop ? 1 : 0;
}

static bool add_file_disk(void *ctx, const struct open_file *file)
{
	disks__add(ctx, file->st.st_dev);
	return false;
}

int disks__add_process(struct disks *d, pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/cwd", pid);
	disks__add_path(d, path);
	return each_open_file(pid, add_file_disk, d);
}

static bool is_written_on(void *ctx, const struct open_file *file)
{
	return file->writable && file->st.st_dev == *(const dev_t *)ctx &&
	       strtol(file->fd, NULL, 10) > STDERR_FILENO &&
	       !(read_oflags(file->pid, file->fd) & O_APPEND);
}

bool process_writes_to(pid_t pid, dev_t dev)
{
	return each_open_file(pid, is_written_on, &dev) == 1;
}

/* ---- mounts ---- */

struct mount {
	unsigned int major, minor; /* wanted */
	bool found;
	char point[PATH_MAX];
	char options[256];
	char type[32];
	char source[128];
	char super[256];
};

/* "36 35 98:0 /root /mnt opts shared:1 - ext4 /dev/sda rw,..."; the first mount of a device wins */
static int take_mountinfo_line(void *ctx, char *line)
{
	struct mount *m = ctx;
	char *dash = strstr(line, " - ");
	unsigned int major, minor;

	if (!dash || sscanf(line, "%*d %*d %u:%u", &major, &minor) != 2 || major != m->major ||
	    minor != m->minor)
		return 0;
	if (sscanf(line, "%*d %*d %*s %*s %4095s %255s", m->point, m->options) != 2 ||
	    sscanf(dash + 3, "%31s %127s %255s", m->type, m->source, m->super) != 3)
		return 0;
	m->found = true;
	return 1;
}

static bool find_mount(const char *root, dev_t dev, struct mount *m)
{
	char *text;

	memset(m, 0, sizeof(*m));
	m->major = major(dev);
	m->minor = minor(dev);
	if (read_whole(root, &text, MOUNTINFO_MAX, "/proc/self/mountinfo"))
		return false;
	each_line(text, take_mountinfo_line, m);
	free(text);
	return m->found;
}

/* ---- one disk ---- */

struct disk_facts {
	struct facts *f;
	const char *root;
	char prefix[NAME_LEN + 8]; /* "disk.sda2." */
};

static void add_one(const struct disk_facts *d, const char *name, const char *value)
{
	char full[160];

	snprintf(full, sizeof(full), "%s%s", d->prefix, name);
	if (value[0])
		facts__add(d->f, full, "%s", value);
}

static bool add_sysfs(const struct disk_facts *d, const char *name, const char *dir,
		      const char *file)
{
	char value[256];

	if (read_text(d->root, value, sizeof(value), "%s/%s", dir, file) <= 0)
		return false;
	add_one(d, name, value);
	return true;
}

static void add_file_system(const struct disk_facts *d, const struct mount *m)
{
	char text[16];
	struct statvfs vfs;

	add_one(d, "mount", m->point);
	add_one(d, "fs_type", m->type);
	add_one(d, "mount_options", m->options);
	add_one(d, "super_options", m->super);
	/* Below a root that stands in for / there is nothing to ask the kernel about. */
	if (d->root[0] || statvfs(m->point, &vfs) || !vfs.f_blocks)
		return;
	snprintf(text, sizeof(text), "%.1f", 100.0 * (double)vfs.f_bavail / (double)vfs.f_blocks);
	add_one(d, "free_percent", text);
}

/* The settings in force, defaults included, which mount options do not show. */
static void add_ext4_options(const struct disk_facts *d, const char *name)
{
	char value[1024];

	if (read_text(d->root, value, sizeof(value), "/proc/fs/ext4/%s/options", name) <= 0)
		return;
	for (char *s = value; *s; s++)
		if (*s == '\n')
			*s = ',';
	add_one(d, "ext4_options", value);
}

static void add_queue(const struct disk_facts *d, const char *sys)
{
	static const char *const knobs[] = { "rotational",  "scheduler",   "wbt_lat_usec",
					     "write_cache", "nr_requests", "max_sectors_kb",
					     "fua" };
	char dir[320];

	/* A partition has no queue of its own. */
	snprintf(dir, sizeof(dir), "%s/queue", sys);
	if (!add_sysfs(d, knobs[0], dir, knobs[0])) {
		snprintf(dir, sizeof(dir), "%s/../queue", sys);
		add_sysfs(d, knobs[0], dir, knobs[0]);
	}
	for (size_t i = 1; i < sizeof(knobs) / sizeof(knobs[0]); i++)
		add_sysfs(d, knobs[i], dir, knobs[i]);
	if (!add_sysfs(d, "model", sys, "device/model"))
		add_sysfs(d, "model", sys, "../device/model");
}

/* Writeback limits of the device; a partition shares those of its whole disk. */
static void add_bdi(const struct disk_facts *d, const char *sys, dev_t dev)
{
	static const char *const knobs[] = { "max_bytes", "min_bytes", "max_ratio", "min_ratio",
					     "strict_limit" };
	char dir[64], id[32], name[32];

	snprintf(id, sizeof(id), "%u:%u", major(dev), minor(dev));
	if (read_text(d->root, name, sizeof(name), "%s/partition", sys) > 0 &&
	    read_text(d->root, name, sizeof(name), "%s/../dev", sys) > 0)
		snprintf(id, sizeof(id), "%s", name);
	snprintf(dir, sizeof(dir), "/sys/class/bdi/%s", id);
	for (size_t i = 0; i < sizeof(knobs) / sizeof(knobs[0]); i++) {
		char fact[48];

		snprintf(fact, sizeof(fact), "bdi.%s", knobs[i]);
		add_sysfs(d, fact, dir, knobs[i]);
	}
}

/* "/sys/dev/block/8:2" leads to ".../block/sda/sda2": its last part is the name. */
static bool device_name(const char *root, const char *sys, char *name)
{
	char path[PATH_MAX], target[PATH_MAX];
	const char *slash;
	ssize_t n;

	if ((size_t)snprintf(path, sizeof(path), "%s%s", root, sys) >= sizeof(path))
		return false;
	n = readlink(path, target, sizeof(target) - 1);
	if (n <= 0)
		return false;
	target[n] = '\0';
	slash = strrchr(target, '/');
	snprintf(name, NAME_LEN, "%.*s", NAME_LEN - 1, slash ? slash + 1 : target);
	return name[0] != '\0';
}

/* What a loop device or a device mapper lies on joins the list, so that it is described too. */
static void add_stacking(const struct disk_facts *d, const char *sys, struct disks *below)
{
	char file[PATH_MAX], path[PATH_MAX], id[32];
	unsigned int maj, min;
	struct dirent *e;
	DIR *dir;

	if (read_text(d->root, file, sizeof(file), "%s/loop/backing_file", sys) > 0) {
		add_one(d, "loop.backing_file", file);
		add_sysfs(d, "loop.dio", sys, "loop/dio");
		if (!d->root[0])
			disks__add_path(below, file);
	}
	if ((size_t)snprintf(path, sizeof(path), "%s%s/slaves", d->root, sys) >= sizeof(path))
		return;
	dir = opendir(path);
	while (dir && (e = readdir(dir))) {
		if (e->d_name[0] == '.')
			continue;
		add_one(d, "below", e->d_name);
		if (read_text(d->root, id, sizeof(id), "%s/slaves/%s/dev", sys, e->d_name) > 0 &&
		    sscanf(id, "%u:%u", &maj, &min) == 2)
			disks__add(below, makedev(maj, min));
	}
	if (dir)
		closedir(dir);
}

/* /dev/null, pipes, /proc: nothing that a snapshot is written to. */
static bool is_pseudo(const struct mount *m)
{
	static const char *const types[] = { "devtmpfs", "devpts", "proc", "sysfs", "mqueue" };

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (!strcmp(m->type, types[i]))
			return true;
	return !m->found && m->major == 0;
}

static void add_disk(struct facts *f, const char *root, dev_t dev, struct disks *below)
{
	struct disk_facts d = { .f = f, .root = root };
	char sys[64], name[NAME_LEN], text[32];
	struct mount *m = calloc(1, sizeof(*m));
	bool block;

	if (!m) {
		f->err = -ENOMEM;
		return;
	}
	find_mount(root, dev, m);
	if (is_pseudo(m)) {
		free(m);
		return;
	}
	snprintf(sys, sizeof(sys), "/sys/dev/block/%u:%u", major(dev), minor(dev));
	snprintf(text, sizeof(text), "%u:%u", major(dev), minor(dev));
	block = device_name(root, sys, name);
	if (!block) /* tmpfs, overlayfs, btrfs: a device without a disk */
		snprintf(name, sizeof(name), "%s", text);
	snprintf(d.prefix, sizeof(d.prefix), "disk.%s.", name);
	add_one(&d, "dev", text);
	if (m->found) {
		add_one(&d, "source", m->source);
		add_file_system(&d, m);
	}
	if (block) {
		add_ext4_options(&d, name);
		add_queue(&d, sys);
		add_bdi(&d, sys, dev);
		add_stacking(&d, sys, below);
	}
	free(m);
}

void facts__disks(struct facts *f, const char *root, struct disks *d, size_t from)
{
	size_t most = d->cnt + STACKING_MAX;

	/* The list grows while we walk it: each disk appends what it lies on. */
	for (size_t i = from; i < d->cnt && i < most; i++)
		add_disk(f, root, d->v[i], d);
	if (d->overflow)
		facts__add(f, "disks.more", "more than %d disks: the rest is not described",
			   DISKS_MAX);
}
