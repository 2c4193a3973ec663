// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "left.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../user/host/read.h"
#include "../../user/log.h"
#include "../name_text.h"
#include "cover.h"
#include "mark.h"
#include "mountinfo.h"

/* In one namespace: anybody can make one of his own, and mounts of our type in it. */
#define LEFT_MAX 256

/* A namespace is looked at once, by the first process in it. */
struct mnt_ns {
	uint64_t id;
	size_t first, cnt; /* of what is left in it */
};

struct search {
	struct left_covers *found;
	const char *root, *pid;
	dev_t *here; /* mounted in this namespace */
	size_t here_cnt;
	struct mnt_ns *seen;
	size_t seen_cnt;
	struct mnt_ns *now;
	struct cover_server *servers;
	size_t servers_cnt;
};

static int add_here(void *ctx, const struct mount_line *m)
{
	struct search *s = ctx;
	dev_t *here;

	if (strcmp(m->type, COVER_FSTYPE) != 0)
		return 0;
	here = reallocarray(s->here, s->here_cnt + 1, sizeof(*here));
	if (!here)
		return -ENOMEM;
	s->here = here;
	s->here[s->here_cnt++] = m->dev;
	return 0;
}

static bool is_known(const struct search *s, dev_t dev)
{
	const struct left_covers *l = s->found;

	for (size_t i = 0; i < s->here_cnt; i++)
		if (s->here[i] == dev)
			return true;
	for (size_t i = s->now->first; i < l->cnt; i++)
		if (l->v[i].dev == dev)
			return true;
	return false;
}

static int add_left(void *ctx, const struct mount_line *m)
{
	struct search *s = ctx;
	struct left_covers *l = s->found;
	struct left_cover *c;

	if (strcmp(m->type, COVER_FSTYPE) != 0 || is_known(s, m->dev))
		return 0;
	if (s->now->cnt >= LEFT_MAX)
		return -E2BIG;
	c = reallocarray(l->v, l->cnt + 1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	l->v = c;
	c += l->cnt++;
	*c = (struct left_cover){ .dev = m->dev, .mnt_ns = s->now->id, .pid = (pid_t)atoi(s->pid) };
	snprintf(c->point, sizeof(c->point), "%s", m->point);
	if (read_text(s->root, c->comm, sizeof(c->comm), "/proc/%s/comm", s->pid) < 0)
		strcpy(c->comm, "?");
	s->now->cnt++;
	return 0;
}

/* "mnt:[4026531841]"; 0 = it has ended, or is not for us to see */
static uint64_t namespace_of(const char *root, const char *pid)
{
	char path[PATH_MAX], text[64];
	unsigned long long id;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/proc/%s/ns/mnt", root, pid);
	n = readlink(path, text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	return sscanf(text, "mnt:[%llu]", &id) == 1 ? id : 0;
}

static struct mnt_ns *find_seen(const struct search *s, uint64_t id)
{
	for (size_t i = 0; i < s->seen_cnt; i++)
		if (s->seen[i].id == id)
			return &s->seen[i];
	return NULL;
}

/* A process without mounts is one that has ended: EINVAL is said of it too. */
static bool has_ended(int err)
{
	return err == -ENOENT || err == -ESRCH || err == -EINVAL;
}

static int look_at_namespace(struct search *s, uint64_t id)
{
	struct mnt_ns *seen = reallocarray(s->seen, s->seen_cnt + 1, sizeof(*seen));
	int err;

	if (!seen)
		return -ENOMEM;
	s->seen = seen;
	s->now = &seen[s->seen_cnt];
	*s->now = (struct mnt_ns){ .id = id, .first = s->found->cnt };
	err = mountinfo__each(s->root, s->pid, add_left, s);
	if (err == -ENOMEM)
		return err;
	if (has_ended(err)) /* the next process of it is asked */
		return 0;
	s->seen_cnt++;
	if (err)
		log_warn("not all mounts of process %s could be looked at, and covers may be left "
			 "in its mount namespace: %s",
			 s->pid, strerror(-err));
	return 0;
}

static int add_server(struct search *s, const char *pid)
{
	struct cover_server server, *all;

	cover_server__of(&server, s->root, pid);
	if (!server.dev)
		return 0;
	all = reallocarray(s->servers, s->servers_cnt + 1, sizeof(*all));
	if (!all)
		return -ENOMEM;
	s->servers = all;
	s->servers[s->servers_cnt++] = server;
	return 0;
}

/* A supervisor and its server are two: one that is not stopped is enough. */
static void find_servers(const struct search *s)
{
	for (size_t i = 0; i < s->found->cnt; i++) {
		struct left_cover *c = &s->found->v[i];

		for (size_t k = 0; k < s->servers_cnt; k++) {
			const struct cover_server *server = &s->servers[k];

			if (server->dev != c->dev || (c->server && !c->stopped))
				continue;
			c->server = server->pid;
			c->stopped = server->stopped;
			c->known = true;
		}
	}
}

static int look_at_process(struct search *s, const char *pid)
{
	uint64_t id = namespace_of(s->root, pid);
	struct mnt_ns *seen = id ? find_seen(s, id) : NULL;
	int err = add_server(s, pid);

	s->pid = pid;
	if (!err && id && !seen)
		err = look_at_namespace(s, id);
	seen = id && !err ? find_seen(s, id) : NULL;
	for (size_t i = 0; seen && i < seen->cnt; i++)
		s->found->v[seen->first + i].processes++;
	return err;
}

static int look_at_all(struct search *s)
{
	char path[PATH_MAX];
	struct dirent *e;
	int err = 0;
	DIR *d;

	snprintf(path, sizeof(path), "%s/proc", s->root);
	d = opendir(path);
	if (!d)
		return -errno;
	while (!err && (e = readdir(d)))
		if (isdigit((unsigned char)e->d_name[0]))
			err = look_at_process(s, e->d_name);
	closedir(d);
	return err;
}

int left_covers__find(struct left_covers *l, const char *root)
{
	struct search s = { .found = l, .root = root };
	int err;

	*l = (struct left_covers){ 0 };
	err = mountinfo__each(root, "self", add_here, &s);
	if (!err)
		err = look_at_all(&s);
	if (!err)
		find_servers(&s);
	free(s.here);
	free(s.seen);
	free(s.servers);
	if (err)
		left_covers__free(l);
	return err;
}

void left_covers__free(struct left_covers *l)
{
	free(l->v);
	*l = (struct left_covers){ 0 };
}

/* Names are made by whoever likes to: none of their bytes may reach a terminal as they are. */
static void describe(const struct left_cover *c, char *text, size_t size)
{
	json_t *comm = name_text__to_json(c->comm);
	char more[32] = "", means[128] = "nobody serves it any more, and who uses it gets an error";

	if (c->processes > 1)
		snprintf(more, sizeof(more), " and %u more", c->processes - 1);
	if (c->server && c->stopped)
		snprintf(means, sizeof(means),
			 "its server (pid %d) is stopped, and who uses it waits", c->server);
	else if (c->server)
		strcpy(means, "it is served there, from and to the disk, until that ends");
	else if (!c->known)
		strcpy(means, "no journal names it, and no flatpause-fixer is seen to serve it");
	snprintf(text, size, "is %smounted for %s (pid %d)%s, in a mount namespace (%llu)%s: %s",
		 c->known ? "still " : "", json_string_value(comm), c->pid, more,
		 (unsigned long long)c->mnt_ns, c->known ? " that was made while it was up" : "",
		 means);
	json_decref(comm);
}

void left_cover__print(const struct left_cover *c, FILE *to)
{
	json_t *point = name_text__to_json(c->point);
	char text[1024];

	describe(c, text, sizeof(text));
	fprintf(to, "%s: %s %s\n", json_string_value(point),
		c->known ? "a cover that was taken away" : "what calls itself a cover", text);
	json_decref(point);
}

json_t *left_cover__to_json(const struct left_cover *c)
{
	return json_pack("{s:o, s:I, s:I, s:o, s:I, s:b, s:I, s:b, s:b}", "point",
			 name_text__to_json(c->point), "mnt_ns", (json_int_t)c->mnt_ns, "pid",
			 (json_int_t)c->pid, "comm", name_text__to_json(c->comm), "processes",
			 (json_int_t)c->processes, "served", c->server != 0, "server_pid",
			 (json_int_t)c->server, "server_stopped", c->stopped, "known", c->known);
}

void left_covers__warn(dev_t dev, const char *dir)
{
	struct left_covers l;
	char text[1024];
	int err = left_covers__find(&l, "");

	if (err) {
		log_warn(
			"cannot tell whether the cover of %s is left in other mount namespaces: %s",
			dir, strerror(-err));
		return;
	}
	for (size_t i = 0; i < l.cnt; i++) {
		if (l.v[i].dev != dev)
			continue;
		l.v[i].known = true;
		describe(&l.v[i], text, sizeof(text));
		log_warn("the cover of %s %s", dir, text);
	}
	left_covers__free(&l);
}
