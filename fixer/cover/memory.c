// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Which files below the cover are in memory: those behind a link of ours, as the guard plants them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../beneath.h"
#include "../guard.h"
#include "serve.h"

uint32_t memory__number(const struct cover *c, int linkfd, char path[NAME_MAX + 32])
{
	size_t len = strlen(c->tmp_dir);
	char target[PATH_MAX], *end;
	struct stat st;
	unsigned long n;
	ssize_t got;

	/* anybody may make a link into our memory; that does not open the directories there to him */
	if (fstat(linkfd, &st) || st.st_uid != geteuid())
		return 0;
	got = readlinkat(linkfd, "", target, sizeof(target) - 1);
	if (got <= 0)
		return 0;
	target[got] = '\0';
	if (strncmp(target, c->tmp_dir, len) != 0 || target[len] != '/')
		return 0;
	n = strtoul(target + len + 1, &end, 10);
	if (!n || n > UINT32_MAX || *end != '/' || !name_ok(end + 1))
		return 0;
	snprintf(path, NAME_MAX + 32, "%lu/%s", n, end + 1);
	return (uint32_t)n;
}

bool memory__wants(const struct cover *c, const char *name)
{
	return c->g && name_matches(c->g->conf.match, name);
}

/* "snap-3", "." : for people, so a long one is cut */
static void dir_text(const struct cover *c, int fd, char dir[NAME_MAX + 1])
{
	size_t len = strlen(c->g->conf.dir);
	char proc[40], path[PATH_MAX];
	ssize_t n;

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	n = readlink(proc, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	if (strncmp(path, c->g->conf.dir, len) != 0 || path[len] != '/')
		snprintf(dir, NAME_MAX + 1, ".");
	else
		snprintf(dir, NAME_MAX + 1, "%.*s", NAME_MAX, path + len + 1);
}

/* Beside the writer: it takes as long as tens of its writes. */
void memory__expect(struct cover *c)
{
	struct job job = { .kind = JOB_LET_GO, .fd = -1, .track = -1, .pending = -1 };

	if (c->g && c->g->planter.running)
		jobs__push(&c->g->planter, &job);
}

static int plant(struct cover *c, struct link_order *o)
{
	char dir[NAME_MAX + 1];
	uint32_t n;
	int err;

	dir_text(c, o->dirfd, dir);
	o->dir = dir;
	o->by_writer = true;
	err = link_in__plant(c->g, o, &n);
	if (!err)
		memory__expect(c);
	else if (err != -ENOSPC && err != -EEXIST && err != -ESTALE)
		to_disk__note(c->g, dir, o->name, strerror(-err));
	return err;
}

/* What an export would not take along. */
static int goes_to_disk(struct cover *c, int dirfd, const char *name, const char *why)
{
	char dir[NAME_MAX + 1];

	dir_text(c, dirfd, dir);
	to_disk__note(c->g, dir, name, why);
	return -EOPNOTSUPP;
}

int memory__make(struct request *r, int parentfd, const char *name, mode_t mode)
{
	struct link_order o = { .dirfd = parentfd, .name = name, .mode = mode & 07777 };
	struct stat st;

	if (fstat(parentfd, &st))
		return -errno;
	if (attrs__has(parentfd, "system.posix_acl_default"))
		return goes_to_disk(r->c, parentfd, name, "its directory has a default ACL");
	o.uid = r->h->uid;
	o.gid = st.st_mode & S_ISGID ? st.st_gid : r->h->gid;
	return plant(r->c, &o);
}

/* The node becomes that of the memory file behind the link that has its name now. */
static int follow(struct cover *c, uint64_t id, int parentfd, const char *name)
{
	int link = openat(parentfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC), fd, err;
	char path[NAME_MAX + 32];
	struct node_key key;
	uint32_t n;

	if (link < 0)
		return -errno;
	n = memory__number(c, link, path);
	close(link);
	fd = n ? beneath__open(c->tmpfd, path, O_PATH, 0) : -ESTALE;
	if (fd < 0)
		return fd;
	err = node_key__of(fd, NODE_MEMORY, n, &key);
	close(fd);
	if (!err)
		nodes__replace(&c->nodes, id, &key);
	return err;
}

static bool has_acl(struct cover *c, const struct node *node)
{
	int fd = cover__open_copy(c, node, O_PATH);
	bool has = fd < 0 || attrs__has(fd, "system.posix_acl_access");

	if (fd >= 0)
		close(fd);
	return has;
}

/* One name only: by its others somebody would go on reading what was emptied. */
int memory__replace(struct request *r, uint64_t id)
{
	struct cover *c = r->c;
	struct link_order o = { .over = true };
	struct node node;
	struct stat st;
	int err;

	if (!nodes__get(&c->nodes, id, &node) || node.kind != NODE_REAL || node.opens ||
	    !memory__wants(c, node.name))
		return -EINVAL;
	o.name = node.name;
	o.dirfd = cover__open_node(c, node.parent, O_PATH | O_DIRECTORY);
	if (o.dirfd < 0)
		return o.dirfd;
	err = fstatat(o.dirfd, o.name, &st, AT_SYMLINK_NOFOLLOW) ? -errno : 0;
	if (!err && (!S_ISREG(st.st_mode) || st.st_nlink != 1 || st.st_ino != node.ino ||
		     st.st_dev != node.dev))
		err = -EINVAL;
	/* an export would lose these */
	if (!err && has_acl(c, &node))
		err = -EOPNOTSUPP;
	o.mode = st.st_mode & (r->h->uid ? 01777 : 07777);
	o.uid = st.st_uid;
	o.gid = st.st_gid;
	o.over_dev = node.dev;
	o.over_ino = node.ino;
	if (!err)
		err = plant(c, &o);
	if (!err)
		err = follow(c, id, o.dirfd, o.name);
	close(o.dirfd);
	return err;
}

int memory__link(const struct cover *c, uint32_t n)
{
	int fd = -ENOENT;

	if (!c->g)
		return fd;
	pthread_mutex_lock(&c->g->lock);
	for (int i = 0; i < GUARD_HELD_MAX && fd < 0; i++)
		if (c->g->held[i].n == n && c->g->held[i].linkfd >= 0)
			fd = fcntl(c->g->held[i].linkfd, F_DUPFD_CLOEXEC, 0);
	pthread_mutex_unlock(&c->g->lock);
	return fd;
}

void memory__opened(struct cover *c, const struct node *node, pid_t pid)
{
	if (c->g)
		writers__writing(&c->g->writers, pid, node->dev, node->ino);
}

void memory__closed(struct cover *c, const struct node *node)
{
	if (!c->g)
		return;
	writers__closed(&c->g->writers, 0, node->dev, node->ino);
	if (node->kind == NODE_MEMORY)
		held__closed(c->g, node->n);
}
