// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * `fix guard`: guards of several directories in the foreground, one process each, so that one that
 * dies or gets stuck leaves the others alone. Its end is the end of all, and undoes them.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../user/cli/params.h"
#include "../user/log.h"
#include "verbs.h"

#define DIRS_MAX 64

struct guard_cfg {
	struct apply_cfg fix;
};

struct guards {
	pid_t pid[DIRS_MAX];
	pid_t ran
		[DIRS_MAX]; /* ended in order or was killed: what could not start has undone itself */
	char **dir, *real[DIRS_MAX];
	int cnt, running, failed;
};

static int guard_one(const struct guard_cfg *cfg, const char *dir, pid_t parent)
{
	struct apply_cfg a = cfg->fix;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		return -ECHILD;
	a.dir = dir;
	return apply__run(&a);
}

static int start_all(struct guards *g, const struct guard_cfg *cfg, const sigset_t *old)
{
	pid_t self = getpid();

	for (int i = 0; i < g->cnt; i++) {
		g->pid[i] = fork();
		if (g->pid[i] < 0)
			return log_err(-errno, "cannot start the guard of %s", g->dir[i]);
		if (!g->pid[i]) {
			sigprocmask(SIG_SETMASK, old, NULL);
			_exit(exit_code(guard_one(cfg, g->dir[i], self)));
		}
		g->running++;
	}
	return 0;
}

static void stop_all(const struct guards *g)
{
	for (int i = 0; i < g->cnt; i++)
		if (g->pid[i] > 0)
			kill(g->pid[i], SIGTERM);
}

/* Takes what has ended; a guard that could not start ends the others, one that died does not. */
static void collect(struct guards *g, bool stopping)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (int i = 0; i < g->cnt; i++) {
			if (g->pid[i] != pid)
				continue;
			g->pid[i] = 0;
			g->running--;
			g->ran[i] = WIFSIGNALED(status) || !WEXITSTATUS(status) ? pid : 0;
			if (WIFEXITED(status) && !WEXITSTATUS(status))
				continue;
			if (WIFEXITED(status) && !g->failed)
				g->failed = WEXITSTATUS(status);
			if (WIFSIGNALED(status)) {
				log_warn("the guard of %s was killed (signal %d); its writers go "
					 "on without",
					 g->dir[i], WTERMSIG(status));
				g->failed = g->failed ? g->failed : FP_EXIT_FAILED;
			} else if (!stopping) {
				stop_all(g);
			}
		}
	}
}

static void wait_all(struct guards *g, int sigfd)
{
	struct pollfd p = { .fd = sigfd, .events = POLLIN };
	struct signalfd_siginfo si;
	bool stopping = false;

	while (g->running > 0) {
		if (poll(&p, 1, 1000) > 0 && read(sigfd, &si, sizeof(si)) == sizeof(si) &&
		    si.ssi_signo != SIGCHLD) {
			stopping = true;
			stop_all(g);
		}
		collect(g, stopping);
	}
}

/* As the journals name them: by its real path one is found that is gone at the end. */
static void find_real(struct guards *g)
{
	for (int i = 0; i < g->cnt; i++) {
		g->real[i] = realpath(g->dir[i], NULL);
		if (g->real[i])
			g->dir[i] = g->real[i];
	}
}

/*
 * Whether what the journal tells of is what guard `pid` did. One that was killed before it could
 * write who it is holds its journal's lock no more; another that is just beginning does.
 */
static bool is_of_guard(const char *path, pid_t pid)
{
	int fd = state__lock(path, false);
	bool idle = fd >= 0, ours;
	struct state s = { 0 };

	if (!idle)
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return false;
	/* what cannot be read is left to the revert, which says why */
	ours = state__load(fd, path, &s) ? idle : s.pid == pid || (!s.pid && idle);
	state__free(&s);
	close(fd);
	return ours;
}

static int revert_ours(const char *dir, pid_t pid)
{
	char path[PATH_MAX];
	int err = state__find(dir, path);

	if (err || !is_of_guard(path, pid))
		return err == -ENOENT ? 0 : err;
	return revert__journal(path, 1000000000ull);
}

/*
 * What is in force by another controller is its own to undo: only where there was none before, none
 * came between our look and our guard's, which was refused then, and none came behind our guard.
 */
static int revert_all(const struct guards *g, const bool *ours)
{
	int first = 0;

	for (int i = 0; i < g->cnt; i++) {
		int err = ours[i] && g->ran[i] ? revert_ours(g->dir[i], g->ran[i]) : 0;

		if (!first)
			first = err;
	}
	return first;
}

static int guard(struct guards *g, const struct guard_cfg *cfg)
{
	bool ours[DIRS_MAX];
	sigset_t set, old;
	char path[PATH_MAX];
	int sigfd, err, undone;

	if (geteuid())
		return exit_code(log_err(-EPERM, "`fix guard` needs root (fanotify)"));
	find_real(g);
	for (int i = 0; i < g->cnt; i++)
		ours[i] = state__find(g->dir[i], path) == -ENOENT;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, &old);
	sigfd = signalfd(-1, &set, SFD_CLOEXEC);
	if (sigfd < 0)
		return exit_code(log_err(-errno, "signalfd"));
	log_never_wait();
	err = start_all(g, cfg, &old);
	if (err)
		stop_all(g);
	wait_all(g, sigfd);
	undone = revert_all(g, ours);
	close(sigfd);
	if (!err && g->failed)
		return g->failed;
	return exit_code(err ? err : undone);
}

static const struct param guard_params[] = {
	APPLY_PARAMS_FILES(struct guard_cfg, fix, ""),
	APPLY_PARAM_NO_PLANT(struct guard_cfg, fix, ""),
	PARAM(struct guard_cfg, fix.redo, "no-redo", 0, PARAM_NO_FLAG, NULL,
	      "what an O_TRUNC at open undid is reported, and not made again"),
	{ 0 },
};

int fix_guard(int argc, char **argv)
{
	static const struct params_spec spec = {
		.verb = "fix guard",
		.summary = "Guards directories in the foreground, for VMMs that cannot be changed: "
			   "their memory files get their space before the first write. Ctrl-C ends "
			   "and undoes it; `flatpause fix status` tells what became of each file.",
		.usage = "flatpause fix guard [options] DIR...",
		.examples = "  flatpause fix guard /srv/snapshots\n"
			    "  flatpause fix guard /srv/a /srv/b --match 'mem*.bin' --size-from "
			    "ftruncate\n",
		.params = guard_params,
	};
	struct params_result res;
	struct guards g = { 0 };
	struct guard_cfg cfg;
	int err;

	apply_cfg__defaults(&cfg.fix);
	cfg.fix.mitigation = "fallocate";
	cfg.fix.redo = cfg.fix.foreground = true;
	err = params__parse(&spec, argc, argv, &cfg, &res);
	if (err)
		return err == PARAMS_HELP ? FP_EXIT_OK : FP_EXIT_USAGE;
	if (!res.rest.cnt || res.rest.cnt > DIRS_MAX) {
		log_err(0,
			"fix guard takes one to %d directories; see `flatpause fix guard --help`",
			DIRS_MAX);
		return FP_EXIT_USAGE;
	}
	g.dir = (char **)res.rest.v;
	g.cnt = res.rest.cnt;
	err = guard(&g, &cfg);
	for (int i = 0; i < g.cnt; i++)
		free(g.real[i]);
	return err;
}
