// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "targets.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../grow_list.h"
#include "../host/cgroup.h"
#include "../host/read.h"
#include "../log.h"
#include "../symbols/symbols.h"

#define TARGETS_MAX 4096 /* of one recording; a glob of "*" must not eat the host */

struct target {
	pid_t pid;
	int pidfd;  /* -1 = the command's, or no pidfd_open here */
	bool found; /* by pid, name or cgroup; else of the command */
	bool gone, gone_told;
	bool before_exec; /* its mappings were ours: read again */
	struct proc_maps *maps;
};

struct targets {
	const char *comm_glob;
	const char *cgroup;
	struct target *v;
	size_t cnt, room;
	bool warned_many;
};

static struct target *find(struct targets *t, pid_t pid)
{
	/* From the end: a PID that was used again is the later one. */
	for (size_t i = t->cnt; i-- > 0;)
		if (t->v[i].pid == pid)
			return &t->v[i];
	return NULL;
}

static struct target *append(struct targets *t, pid_t pid, bool found)
{
	struct target *v;

	if (t->cnt == TARGETS_MAX) {
		if (!t->warned_many)
			log_warn("more than %d processes: the rest is %s; a narrower --comm or "
				 "--cgroup records all that it names",
				 TARGETS_MAX, found ? "not recorded" : "recorded without names");
		t->warned_many = true;
		return NULL;
	}
	v = grow_list(t->v, t->cnt, &t->room, sizeof(*v));
	if (!v)
		return NULL;
	t->v = v;
	v = &t->v[t->cnt++];
	*v = (struct target){ .pid = pid, .pidfd = -1, .found = found };
	if (found)
		v->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	return v;
}

/* A thread id is taken for its process, as in `top -H`; said, because it is not what was asked. */
static int process_of(pid_t pid, pid_t *tgid)
{
	char *text, *line;

	*tgid = pid;
	if (read_whole("", &text, 65536, "/proc/%d/status", pid)) {
		log_err(0, "no process %d; `ps -e` lists what runs here", pid);
		return -ESRCH;
	}
	line = strstr(text, "\nTgid:");
	if (line)
		*tgid = (pid_t)strtol(line + 6, NULL, 10);
	free(text);
	if (*tgid != pid)
		log_warn("%d is a thread of process %d: the whole process is recorded", pid, *tgid);
	return 0;
}

/* A pidfd is readable once the process has ended, also while its parent has not reaped it. */
static bool has_ended(struct target *v)
{
	struct pollfd p = { .fd = v->pidfd, .events = POLLIN };

	if (!v->gone)
		v->gone = v->pidfd >= 0 ? poll(&p, 1, 0) > 0 : kill(v->pid, 0) && errno == ESRCH;
	return v->gone;
}

static int add_found(void *ctx, pid_t pid)
{
	struct targets *t = ctx;
	struct target *v = find(t, pid);

	if (pid == getpid() || (v && !has_ended(v)))
		return 0;
	v = append(t, pid, true);
	if (!v)
		return t->warned_many ? 0 : -ENOMEM;
	if (has_ended(v)) { /* it waits to be reaped: nothing comes from it any more */
		if (v->pidfd >= 0)
			close(v->pidfd);
		t->cnt--;
	}
	return 0;
}

/* Calls fn for each process of the host. */
static int each_process(int (*fn)(void *ctx, pid_t pid), void *ctx)
{
	struct dirent *e;
	int ret = 0;
	DIR *dir = opendir("/proc");

	if (!dir)
		return log_err(-errno, "/proc");
	while (!ret && (e = readdir(dir)))
		if (isdigit((unsigned char)e->d_name[0]))
			ret = fn(ctx, (pid_t)strtol(e->d_name, NULL, 10));
	closedir(dir);
	return ret;
}

static int add_if_named(void *ctx, pid_t pid)
{
	struct targets *t = ctx;
	char comm[32];

	if (read_text("", comm, sizeof(comm), "/proc/%d/comm", pid) <= 0 ||
	    fnmatch(t->comm_glob, comm, 0) != 0)
		return 0;
	return add_found(t, pid);
}

static int look_around(struct targets *t)
{
	int err = 0;

	if (t->comm_glob)
		err = each_process(add_if_named, t);
	if (!err && t->cgroup)
		err = cgroup__each_pid(t->cgroup, add_found, t);
	return err;
}

static int add_pids(struct targets *t, const struct targets_opts *opts)
{
	int err = 0;

	for (size_t i = 0; i < opts->pids_cnt && !err; i++) {
		pid_t tgid;

		err = process_of(opts->pids[i], &tgid);
		if (err)
			return err;
		if (tgid == getpid())
			return log_err(-EINVAL, "%d is flatpause itself", tgid);
		err = add_found(t, tgid);
		if (!err && !find(t, tgid)) {
			log_err(0, "process %d has ended: its parent has not reaped it yet", tgid);
			err = -ESRCH;
		}
	}
	return err;
}

static int refuse_empty(const struct targets *t)
{
	if (t->comm_glob)
		log_err(0, "no process is named '%s' now; `ps -eo comm` lists the names",
			t->comm_glob);
	if (t->cgroup)
		log_err(0, "no process is in the cgroup %s now; its cgroup.procs lists them",
			t->cgroup);
	return -ESRCH;
}

int targets__find(struct targets **out, const struct targets_opts *opts)
{
	struct targets *t = calloc(1, sizeof(*t));
	int err;

	if (!t)
		return log_err(-ENOMEM, "targets");
	t->comm_glob = opts->comm_glob;
	t->cgroup = opts->cgroup;
	err = add_pids(t, opts);
	if (!err) {
		size_t named = t->cnt;

		err = look_around(t);
		if (err && t->cgroup)
			log_err(err, "cgroup %s; give its directory, as below /sys/fs/cgroup",
				t->cgroup);
		else if (!err && (t->comm_glob || t->cgroup) && t->cnt == named)
			err = refuse_empty(t);
	}
	if (err) {
		targets__free(t);
		return err;
	}
	*out = t;
	return 0;
}

void targets__free(struct targets *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->cnt; i++) {
		proc_maps__free(t->v[i].maps);
		if (t->v[i].pidfd >= 0)
			close(t->v[i].pidfd);
	}
	free(t->v);
	free(t);
}

/* A process that is going has no mappings left; what was read before stays. */
static bool target__read_maps(struct target *v)
{
	struct proc_maps *maps = NULL;

	if (proc_maps__read(&maps, v->pid))
		return false;
	proc_maps__free(v->maps);
	v->maps = maps;
	return true;
}

static int target__snapshot(struct target *v, struct trace_writer *w)
{
	return target__read_maps(v) ? proc_maps__write(v->maps, w) : 0;
}

static int arm_from(struct targets *t, size_t from, struct capture *c, struct trace_writer *w)
{
	for (size_t i = from; i < t->cnt; i++) {
		struct target *v = &t->v[i];
		int err = capture__add_target(c, v->pid);

		if (err == -ESRCH) { /* targets__next_gone tells of it */
			v->gone = true;
			continue;
		}
		if (!err)
			err = target__snapshot(v, w);
		if (!err)
			err = proc__write_fds(w, v->pid);
		if (err && err != -ESRCH && err != -ENOENT)
			return err;
	}
	return 0;
}

int targets__arm(struct targets *t, struct capture *c, struct trace_writer *w)
{
	return arm_from(t, 0, c, w);
}

int targets__rescan(struct targets *t, struct capture *c, struct trace_writer *w)
{
	size_t before = t->cnt;

	if (!t->comm_glob && !t->cgroup)
		return 0;
	if (look_around(t)) /* the cgroup may be gone by now */
		return 0;
	return arm_from(t, before, c, w);
}

/* ---- the processes of a command ---- */

struct group {
	struct targets *t;
	pid_t pgid;
	struct trace_writer *w;
};

static pid_t group_of(pid_t pid)
{
	char text[512], *paren;
	int pgid;

	if (read_text("", text, sizeof(text), "/proc/%d/stat", pid) <= 0)
		return -1;
	paren = strrchr(text, ')'); /* the name before it may hold anything */
	return paren && sscanf(paren + 1, " %*c %*d %d", &pgid) == 1 ? pgid : -1;
}

static bool runs_our_program(pid_t pid)
{
	struct stat a, b;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	return !stat(path, &a) && !stat("/proc/self/exe", &b) && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

static int watch_process(void *ctx, pid_t pid)
{
	struct group *g = ctx;
	struct target *v;

	if (group_of(pid) != g->pgid)
		return 0;
	v = find(g->t, pid);
	if (v && v->maps && !v->before_exec)
		return 0;
	if (!v)
		v = append(g->t, pid, false);
	if (!v)
		return 0;
	v->before_exec = runs_our_program(pid);
	return target__snapshot(v, g->w);
}

int targets__watch_group(struct targets *t, pid_t pgid, struct trace_writer *w)
{
	struct group g = { .t = t, .pgid = pgid, .w = w };

	return each_process(watch_process, &g);
}

void targets__refresh(struct targets *t)
{
	for (size_t i = 0; i < t->cnt; i++)
		if (t->v[i].found && !t->v[i].gone)
			target__read_maps(&t->v[i]);
}

int targets__write_maps(struct targets *t, struct trace_writer *w)
{
	int err = 0;

	for (size_t i = 0; i < t->cnt && !err; i++)
		if (t->v[i].found && t->v[i].maps)
			err = proc_maps__write(t->v[i].maps, w);
	return err;
}

/* ---- who is there ---- */

size_t targets__cnt(const struct targets *t)
{
	size_t n = 0;

	for (size_t i = 0; i < t->cnt; i++)
		n += t->v[i].found;
	return n;
}

pid_t targets__pid(const struct targets *t, size_t nth)
{
	for (size_t i = 0; i < t->cnt; i++)
		if (t->v[i].found && nth-- == 0)
			return t->v[i].pid;
	return -1;
}

bool targets__has_maps(struct targets *t, uint32_t tgid, bool only_ended)
{
	struct target *v = find(t, (pid_t)tgid);

	return v && v->maps && (!only_ended || (!v->found && has_ended(v)));
}

void targets__drop_ended(struct targets *t)
{
	size_t kept = 0;

	for (size_t i = 0; i < t->cnt; i++) {
		if (t->v[i].found || !has_ended(&t->v[i]))
			t->v[kept++] = t->v[i];
		else
			proc_maps__free(t->v[i].maps);
	}
	t->cnt = kept;
}

bool targets__alive(struct targets *t)
{
	if (t->comm_glob || t->cgroup)
		return true;
	for (size_t i = 0; i < t->cnt; i++)
		if (t->v[i].found && !has_ended(&t->v[i]))
			return true;
	return false;
}

bool targets__next_gone(struct targets *t, pid_t *pid)
{
	for (size_t i = 0; i < t->cnt; i++) {
		struct target *v = &t->v[i];

		if (!v->found || v->gone_told || !has_ended(v))
			continue;
		v->gone_told = true;
		*pid = v->pid;
		return true;
	}
	return false;
}

int targets__write_symbols(struct targets *t, uint32_t tgid, const uint64_t *addrs, size_t cnt,
			   struct trace_writer *w)
{
	struct target *v = find(t, (pid_t)tgid);

	return v && v->maps ? usyms__write(w, v->maps, addrs, cnt) : 0;
}
