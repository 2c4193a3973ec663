// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Becoming a daemon that its starter can rely on, and the watchdog beside it. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../user/clock.h"
#include "../user/log.h"
#include "beneath.h"
#include "guard.h"

#define FILES_MAX	8192
#define COVER_FILES_MAX 65536 /* one for each file that is open below it, or two */
#define DOG_NAP_NS	200000000ull

/*
 * Everything the watchdog needs stays in registers and in one shared page. It counts its own naps: by
 * the clock a guard would seem stuck behind any moment in which the whole machine stood still.
 */
static void watch_over(pid_t guard, atomic_uint_fast64_t *heartbeat)
{
	const struct timespec nap = { .tv_nsec = DOG_NAP_NS };
	uint64_t last = 0, now;
	unsigned int still = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "flatpause-dog");
	syscall(SYS_close_range, 0u, ~0u, 0u);
	while (getppid() == guard) {
		nanosleep(&nap, NULL);
		now = atomic_load(heartbeat);
		still = now == last ? still + 1 : 0;
		last = now;
		if (still * DOG_NAP_NS > GUARD_STUCK_NS) {
			kill(guard, SIGKILL); /* the kernel lets the writers go on */
			break;
		}
	}
	_exit(0);
}

int watchdog__start(struct guard *g)
{
	g->heartbeat = mmap(NULL, sizeof(*g->heartbeat), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (g->heartbeat == MAP_FAILED) {
		g->heartbeat = NULL;
		return log_err(-ENOMEM, "watchdog");
	}
	atomic_store(g->heartbeat, now_ns());
	g->watchdog = fork();
	if (g->watchdog < 0)
		return log_err(-errno, "cannot start the watchdog");
	if (!g->watchdog)
		watch_over(g->self, g->heartbeat);
	return 0;
}

void watchdog__stop(struct guard *g)
{
	if (g->watchdog <= 0)
		return;
	kill(g->watchdog, SIGKILL);
	waitpid(g->watchdog, NULL, 0);
	g->watchdog = 0;
}

/* Says what was said by a daemon: the file beside the journal. */
int daemon__redirect(const struct fix_conf *conf)
{
	char path[PATH_MAX];
	int log, null, err;

	err = state__path(conf->dev, conf->ino, path);
	if (err)
		return err;
	memcpy(strrchr(path, '.'), ".log", 5);
	log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (log < 0 || null < 0)
		return log_err(-errno, "cannot write %s", path);
	if (dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(log, 2) < 0)
		return -errno;
	close(log);
	close(null);
	return 0;
}

/*
 * A table of descriptors that grows while threads share it waits for an RCU grace period (7 to 33 ms
 * were seen), and so does every thread that opens something meanwhile. So it grows here, before
 * there are threads, and never again.
 */
static int make_room(int fd, rlim_t max)
{
	struct rlimit files = { .rlim_cur = max, .rlim_max = max };
	int top;

	if (setrlimit(RLIMIT_NOFILE, &files) && getrlimit(RLIMIT_NOFILE, &files))
		return log_err(-errno, "cannot tell how many descriptors there may be");
	if (files.rlim_cur > max)
		files.rlim_cur = max;
	top = fcntl(fd, F_DUPFD_CLOEXEC, (int)files.rlim_cur - 1);
	if (top < 0)
		return log_err(-errno, "no room for %llu descriptors",
			       (unsigned long long)files.rlim_cur);
	close(top);
	return 0;
}

int guard_main(const struct fix_conf *conf, int journal_fd, uint64_t seq, uint64_t end,
	       const struct previous *prev, uint64_t spare_bytes, int ready,
	       struct cover_keep *keep)
{
	struct guard *g = malloc(sizeof(*g));
	int err = g ? make_room(journal_fd, keep ? COVER_FILES_MAX : FILES_MAX)
		    : log_err(-ENOMEM, "guard");

	if (!err)
		err = guard__start(g, conf, journal_fd, seq, end, prev, spare_bytes, keep);
	if (!err && ready >= 0)
		err = daemon__redirect(conf);
	if (ready >= 0) {
		if (write(ready, &err, sizeof(err)) != sizeof(err))
			err = err ? err : -EPIPE;
		close(ready);
	} else if (!err) {
		log_info("guarding %s (%s); Ctrl-C ends it", conf->dir,
			 mitigation_name(conf->mitigation));
	}
	if (!err)
		err = guard__run(g);
	if (g)
		guard__stop(g);
	if (!keep) /* a thread of its cover may still be at it; the caller ends the process */
		free(g);
	return err;
}

static int run_here(const struct fix_conf *conf, int journal_fd, uint64_t seq, uint64_t end,
		    const struct previous *prev, uint64_t spare_bytes, int ready)
{
	if (conf->cover)
		return supervise(conf, journal_fd, seq, end, prev, ready);
	return guard_main(conf, journal_fd, seq, end, prev, spare_bytes, ready, NULL);
}

/* Of whoever started us: a pipe of his would stay open as long as we live. */
static void close_others(int a, int b)
{
	unsigned int low = (unsigned int)(a < b ? a : b), high = (unsigned int)(a < b ? b : a);

	syscall(SYS_close_range, 3u, low - 1, 0u);
	if (high > low + 1)
		syscall(SYS_close_range, low + 1, high - 1, 0u);
	syscall(SYS_close_range, high + 1, ~0u, 0u);
}

int daemon__run(const struct fix_conf *conf, int journal_fd, uint64_t seq, uint64_t end,
		const struct previous *prev, uint64_t spare_bytes, bool foreground)
{
	int ready[2], err = -EPIPE;
	pid_t pid;

	if (foreground) {
		log_never_wait();
		return run_here(conf, journal_fd, seq, end, prev, spare_bytes, -1);
	}
	if (pipe2(ready, O_CLOEXEC))
		return log_err(-errno, "pipe");
	pid = fork();
	if (pid < 0)
		return log_err(-errno, "cannot start the guard");
	if (!pid) {
		close(ready[0]);
		if (setsid() < 0 || chdir("/"))
			_exit(1);
		pid = fork(); /* not a session leader: no terminal can come back */
		if (pid)
			_exit(pid < 0);
		close_others(journal_fd, ready[1]);
		err = run_here(conf, journal_fd, seq, end, prev, spare_bytes, ready[1]);
		_exit(err ? 1 : 0);
	}
	close(ready[1]);
	waitpid(pid, NULL, 0);
	if (read(ready[0], &err, sizeof(err)) != sizeof(err))
		err = log_err(-EPIPE, "the guard died before it was ready");
	close(ready[0]);
	return err;
}
