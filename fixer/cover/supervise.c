// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Holds the connection to the kernel while servers come and go. Does nothing else, so that there is
 * little that could kill it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../user/clock.h"
#include "../../user/log.h"
#include "../beneath.h"
#include "../guard.h"
#include "cover.h"

/* A server that dies as often as this within the time will not live: the cover is taken away. */
#define DEATHS_MAX 5
#define DEATHS_NS  10000000000ull
/* How long the threads of a killed server may take. */
#define ENDING_MAX_S 3

struct supervisor {
	const struct fix_conf *conf;
	const struct previous *prev;
	char journal[PATH_MAX];
	int journal_fd;
	uint64_t seq, end;
	int ready; /* told by the first server; -1 = it was */
	struct cover_keep keep;
	uint64_t deaths_ns[DEATHS_MAX];
	unsigned int deaths;
	bool aborted; /* nobody can be served any more */
};

static pid_t start_server(struct supervisor *s)
{
	pid_t self = getpid(), pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG,
		      SIGTERM); /* in order, as long as there is somebody who can */
		if (getppid() != self)
			_exit(1);
		_exit(guard_main(s->conf, s->journal_fd, s->seq, s->end, s->prev, 0, s->ready,
				 &s->keep)
			      ? 1
			      : 0);
	}
	close(s->journal_fd); /* the lock is the server's: a revert waits for it alone */
	return pid < 0 ? log_err(-errno, "cannot start a server for %s", s->conf->dir) : pid;
}

/*
 * A thread of a killed server that waits for an answer of that very server does not end before the
 * connection does. It must not come to that; where it does, everybody gets an error and the directory.
 */
static void end_connection(struct supervisor *s)
{
	log_warn("%s: the server of its cover was killed and does not end: the connection is ended",
		 s->conf->dir);
	cover__abort(&s->keep);
	s->aborted = true;
}

/* Until it has ended; passes on what it is told to do. */
static int wait_server(struct supervisor *s, pid_t pid, const sigset_t *set)
{
	const struct timespec second = { .tv_sec = 1 };
	int status = 0, sig, ending = 0;

	while (waitpid(pid, &status, WNOHANG) == 0) {
		sig = sigtimedwait(set, NULL, &second);
		if (sig > 0 && sig != SIGCHLD)
			kill(pid, SIGTERM);
		ending = pid_start_time(pid) ? 0 : ending + (sig < 0);
		if (ending > ENDING_MAX_S && !s->aborted)
			end_connection(s);
	}
	return status;
}

static bool dies_too_often(struct supervisor *s)
{
	uint64_t now = now_ns(), *oldest = &s->deaths_ns[s->deaths++ % DEATHS_MAX];
	bool often = *oldest && now - *oldest < DEATHS_NS;

	*oldest = now;
	return often;
}

/* The journal again, from where the dead server left it. */
static int take_journal(struct supervisor *s)
{
	struct state state = { 0 };
	int err;

	s->journal_fd = state__lock(s->journal, false);
	if (s->journal_fd < 0)
		return s->journal_fd; /* a revert is at it, or has been */
	err = state__load(s->journal_fd, s->journal, &state);
	s->seq = state.read.seq;
	s->end = state.read.end;
	state__free(&state);
	if (err)
		close(s->journal_fd);
	return err;
}

/* True where another server goes on. */
static bool go_on(struct supervisor *s, int status)
{
	if (!WIFSIGNALED(status) || !s->keep.table->mounted || s->aborted)
		return false;
	if (!s->keep.table->resends) {
		log_warn(
			"%s: the server of its cover was killed (signal %d); this kernel (before "
			"6.9) does not ask another what it asked that one: the cover is taken away",
			s->conf->dir, WTERMSIG(status));
		return false;
	}
	if (dies_too_often(s)) {
		log_warn("%s: servers of its cover are killed again and again: it is taken away",
			 s->conf->dir);
		return false;
	}
	if (take_journal(s))
		return false;
	log_warn("%s: the server of its cover was killed (signal %d); another goes on",
		 s->conf->dir, WTERMSIG(status));
	return true;
}

/* What is open stays usable until it is closed. */
static void drain(struct supervisor *s)
{
	struct cover *c = malloc(sizeof(*c));

	if (!c || cover__start(c, &s->keep, NULL, s->conf->tmp_dir))
		log_warn("files that are open below %s cannot be served any more", s->conf->dir);
	else
		cover__drain(c);
	free(c);
}

static int run(struct supervisor *s)
{
	bool daemon = s->ready >= 0;
	int status = 0;
	sigset_t set;
	pid_t pid;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	prctl(PR_SET_NAME, "flatpause-cover");
	do {
		pid = start_server(s);
		if (pid < 0)
			break;
		if (s->ready >= 0) {
			close(s->ready);
			s->ready = -1;
			if (daemon)
				daemon__redirect(s->conf);
		}
		status = wait_server(s, pid, &set);
	} while (go_on(s, status));
	if (s->keep.table->mounted)
		cover__detach(&s->keep);
	/* without an answer to come, whoever waits is better off with an error */
	if (!s->aborted && s->keep.table->mounted && (s->keep.table->resends || WIFEXITED(status)))
		drain(s);
	return pid < 0 ? pid : WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EIO;
}

/* Memory is what the files below the cover may well use up. */
static void spare_us(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "-1000", 5) != 5)
		log_verbose("the kernel may end the cover where memory is short: %s",
			    strerror(errno));
	if (fd >= 0)
		close(fd);
}

int supervise(const struct fix_conf *conf, int journal_fd, uint64_t seq, uint64_t end,
	      const struct previous *prev, int ready)
{
	struct supervisor s = { .conf = conf, .prev = prev, .journal_fd = journal_fd };
	int err;

	s.seq = seq;
	s.end = end;
	s.ready = ready;
	spare_us();
	err = state__path(conf->dev, conf->ino, s.journal);
	if (!err)
		err = cover_keep__open(&s.keep, conf);
	if (!err) {
		cover__warn_bypass(&s.keep, conf->dir);
		err = cover__mount(&s.keep);
	}
	if (!err)
		err = run(&s);
	else if (ready >= 0 && write(ready, &err, sizeof(err)) != sizeof(err))
		err = -EPIPE;
	cover_keep__close(&s.keep);
	return err;
}
