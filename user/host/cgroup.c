// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "read.h"

#define CGROUP_DEPTH_MAX 16
#define CGROUP_PIDS_MAX	 (1u << 20) /* bytes of one cgroup.procs */

struct limit {
	const char *name;	/* of the fact */
	const char *controller; /* of version 1; "" = the unified hierarchy */
	const char *file;
};

static const struct limit limits[] = {
	{ "cpu.max", "", "cpu.max" },
	{ "memory.high", "", "memory.high" },
	{ "memory.max", "", "memory.max" },
	{ "io.max", "", "io.max" },
	{ "io.weight", "", "io.weight" },
	{ "cpu.cfs_quota_us", "cpu", "cpu.cfs_quota_us" },
	{ "cpu.cfs_period_us", "cpu", "cpu.cfs_period_us" },
	{ "memory.limit_in_bytes", "memory", "memory.limit_in_bytes" },
	{ "blkio.write_bps", "blkio", "blkio.throttle.write_bps_device" },
	{ "blkio.read_bps", "blkio", "blkio.throttle.read_bps_device" },
};

/* One line of /proc/PID/cgroup, and where its hierarchy is mounted. */
struct membership {
	struct facts *f;
	const char *root;
	pid_t pid;
	char *mounts; /* /proc/self/mountinfo */
};

static bool has_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *s = list; (s = strstr(s, word)); s += n)
		if ((s == list || s[-1] == ',') && (s[n] == ',' || s[n] == '\0'))
			return true;
	return false;
}

/* The mount point of a hierarchy; `controller` is "" for cgroup2. */
static bool find_hierarchy(const char *mounts, const char *controller, char *point, size_t size)
{
	const char *line = mounts;

	while (line && *line) {
		const char *end = strchrnul(line, '\n');
		char text[1024], at[512], type[32], super[256];
		char *dash;

		snprintf(text, sizeof(text), "%.*s", (int)(end - line), line);
		line = *end ? end + 1 : NULL;
		dash = strstr(text, " - ");
		if (!dash || sscanf(text, "%*d %*d %*s %*s %511s", at) != 1 ||
		    sscanf(dash + 3, "%31s %*s %255s", type, super) != 2)
			continue;
		if (controller[0] ? !strcmp(type, "cgroup") && has_word(super, controller)
				  : !strcmp(type, "cgroup2")) {
			snprintf(point, size, "%s", at);
			return true;
		}
	}
	return false;
}

static bool is_no_limit(const char *value)
{
	/* v1 says "no limit" of memory as the largest page-aligned signed number */
	return !value[0] || !strcmp(value, "max") || !strncmp(value, "max ", 4) ||
	       !strcmp(value, "-1") || !strcmp(value, "9223372036854771712");
}

static void add_limits(const struct membership *m, const char *controllers, const char *path)
{
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		const struct limit *l = &limits[i];
		char point[512], value[256], name[96];

		if (l->controller[0] ? !has_word(controllers, l->controller) : controllers[0])
			continue;
		if (!find_hierarchy(m->mounts, l->controller, point, sizeof(point)))
			continue;
		if (read_text(m->root, value, sizeof(value), "%s%s/%s", point, path, l->file) < 0 ||
		    is_no_limit(value))
			continue;
		snprintf(name, sizeof(name), "target.%d.%s", m->pid, l->name);
		facts__add(m->f, name, "%s", value);
	}
}

/* "0::/a/b" or "4:memory:/a/b" */
static int take_cgroup_line(void *ctx, char *line)
{
	const struct membership *m = ctx;
	char name[96], *controllers = strchr(line, ':'), *path;

	path = controllers ? strchr(controllers + 1, ':') : NULL;
	if (!path)
		return 0;
	*path++ = '\0';
	controllers++;
	if (strcmp(path, "/") != 0) {
		snprintf(name, sizeof(name), "target.%d.cgroup%s%s", m->pid,
			 controllers[0] ? "." : "", controllers);
		facts__add(m->f, name, "%s", path);
	}
	add_limits(m, controllers, path);
	return 0;
}

void facts__process(struct facts *f, const char *root, pid_t pid)
{
	struct membership m = { .f = f, .root = root, .pid = pid };
	char name[64], comm[64], *text;

	if (read_text(root, comm, sizeof(comm), "/proc/%d/comm", pid) > 0) {
		snprintf(name, sizeof(name), "target.%d.comm", pid);
		facts__add(f, name, "%s", comm);
	}
	if (read_whole(root, &text, 65536, "/proc/%d/cgroup", pid))
		return;
	if (!read_whole(root, &m.mounts, 4u << 20, "/proc/self/mountinfo")) {
		each_line(text, take_cgroup_line, &m);
		free(m.mounts);
	}
	free(text);
}

struct pid_visitor {
	int (*fn)(void *ctx, pid_t pid);
	void *ctx;
};

static int take_pid_line(void *ctx, char *line)
{
	struct pid_visitor *v = ctx;
	char *end;
	long pid = strtol(line, &end, 10);

	/* 0 stands for a process outside our PID namespace */
	if (*end || pid <= 0 || pid > INT_MAX)
		return 0;
	return v->fn(v->ctx, (pid_t)pid);
}

static int visit(const char *dir, struct pid_visitor *v, int depth)
{
	char path[PATH_MAX], *text;
	struct dirent *e;
	int ret;
	DIR *d;

	ret = read_whole("", &text, CGROUP_PIDS_MAX, "%s/cgroup.procs", dir);
	if (ret)
		return ret;
	ret = each_line(text, take_pid_line, v);
	free(text);
	if (ret || depth == CGROUP_DEPTH_MAX)
		return ret;
	d = opendir(dir);
	while (d && !ret && (e = readdir(d))) {
		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, e->d_name) < sizeof(path))
			ret = visit(path, v, depth + 1);
		/* it went away while we looked, or has only threads, which its parent lists */
		if (ret == -ENOENT || ret == -ENODEV || ret == -EOPNOTSUPP)
			ret = 0;
	}
	if (d)
		closedir(d);
	return ret;
}

int cgroup__each_pid(const char *dir, int (*fn)(void *ctx, pid_t pid), void *ctx)
{
	struct pid_visitor v = { .fn = fn, .ctx = ctx };

	return visit(dir, &v, 0);
}
