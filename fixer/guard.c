// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The guard's life: what is opened in which order, the loop of the watch thread, the end. */
#include "guard.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../user/clock.h"
#include "../user/log.h"
#include "beneath.h"
#include "kernel.h"
#include "lock.h"
#include "name_text.h"
#include "prealloc.h"

void guard__wake(struct guard *g)
{
	uint64_t one = 1;

	if (write(g->wake, &one, sizeof(one)) < 0)
		return; /* the counter is full: it is awake */
}

void guard__note(struct guard *g, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_warn("%s: %s", g->conf.dir, text);
	journal__append(&g->journal, REC_NOTE, json_pack("{s:o}", "text", name_text__to_json(text)),
			0);
}

uint64_t guard__wanted(const struct guard *g)
{
	if (g->conf.size_rule == SIZE_FTRUNCATE)
		return 0;
	return g->conf.size_bytes ? g->conf.size_bytes : g->prev.bytes;
}

/* ---- the watch thread ---- */

static void new_dir(struct guard *g, const char *name)
{
	struct job job = { .kind = JOB_PLANT, .fd = -1, .track = -1, .pending = -1 };

	if (!name_ok(name))
		return;
	snprintf(job.name, sizeof(job.name), "%s", name);
	writers__expect(&g->writers, now_ns() + GUARD_EXPECT_NS);
	atomic_fetch_add(&g->plants_queued, 1);
	if (jobs__push(&g->planter, &job))
		atomic_fetch_add(&g->plants_done, 1);
}

static void drain_inotify(struct guard *g)
{
	char buf[8192] __attribute__((aligned(8)));
	ssize_t n;

	while ((n = read(g->inotify, buf, sizeof(buf))) > 0) {
		for (char *p = buf; p < buf + n;) {
			struct inotify_event *e = (struct inotify_event *)p;

			if (e->len && e->mask & IN_ISDIR)
				new_dir(g, e->name);
			p += sizeof(*e) + e->len;
		}
	}
}

/*
 * Directories first: of the opens that were read here none can be older than a directory whose
 * creation has not been read, so an open waits for every directory that was made before it.
 * Whether there was something to read, and more of it may be there by now.
 */
static bool drain_events(struct guard *g, bool more)
{
	char buf[16384] __attribute__((aligned(8)));
	struct fanotify_event_metadata *m = (void *)buf;
	uint64_t begun_ns = now_ns();
	ssize_t n = read(g->fan, buf, sizeof(buf));

	g->since_ns = more ? g->read_ns : begun_ns;
	g->read_ns = begun_ns;
	drain_inotify(g);
	for (; n > 0 && FAN_EVENT_OK(m, n); m = FAN_EVENT_NEXT(m, n)) {
		event__handle(g, m);
		if (g->pending_cnt && now_ns() >= g->due_ns)
			answer__sweep(g);
	}
	return n > 0;
}

static void drain_signals(struct guard *g)
{
	struct signalfd_siginfo si;

	while (read(g->sigfd, &si, sizeof(si)) == sizeof(si)) {
		if ((int)si.ssi_signo == LEASE_SIGNAL)
			exports__lease_broken(g, si.ssi_fd);
		else
			g->stop = true;
	}
}

int guard__run(struct guard *g)
{
	struct pollfd fds[] = { { .fd = g->fan, .events = POLLIN },
				{ .fd = g->inotify, .events = POLLIN },
				{ .fd = g->wake, .events = POLLIN },
				{ .fd = g->sigfd, .events = POLLIN } };
	bool more = false;

	while (!g->stop) {
		struct timespec ts = { .tv_nsec = (long)answer__sweep(g) };
		uint64_t count;

		atomic_store(g->heartbeat, now_ns());
		if (!more && ppoll(fds, 4, &ts, NULL) < 0 && errno != EINTR)
			return log_err(-errno, "the watch of %s ended", g->conf.dir);
		more = drain_events(g, more);
		if (fds[2].revents && read(g->wake, &count, sizeof(count)) < 0 && errno != EAGAIN)
			return log_err(-errno, "the watch of %s ended", g->conf.dir);
		drain_signals(g);
	}
	return 0;
}

/* ---- start and stop ---- */

/*
 * A writer's pause must not wait for our time slice, nor the watch for the hand's: threads of one
 * priority do not preempt each other, and two of them fill two CPUs. Who may take long stays ordinary.
 */
static int hurry(struct guard *g)
{
	const struct sched_param watch = { .sched_priority = 2 }, work = { .sched_priority = 1 };
	int err = pthread_setschedparam(g->planter.thread, SCHED_RR, &work);

	if (!err)
		err = pthread_setschedparam(g->hand.thread, SCHED_RR, &work);
	if (!err)
		err = pthread_setschedparam(pthread_self(), SCHED_RR, &watch);
	return err;
}

static int open_signals(struct guard *g)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, LEASE_SIGNAL);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	g->sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return g->sigfd < 0 ? log_err(-errno, "signalfd") : 0;
}

static int open_dirs(struct guard *g, const struct cover_keep *keep)
{
	struct stat st;

	/* by its path there is a cover already where another guard was before us */
	g->dirfd = keep ? fcntl(keep->rootfd, F_DUPFD_CLOEXEC, 0) : dir__open(g->conf.dir);
	if (g->dirfd < 0 || fstat(g->dirfd, &st))
		return log_err(g->dirfd < 0 ? g->dirfd : -errno, "cannot open %s", g->conf.dir);
	if (st.st_dev != g->conf.dev || st.st_ino != g->conf.ino)
		return log_err(-ESTALE, "%s is another directory now", g->conf.dir);
	if (g->conf.mitigation == MITIGATION_FALLOCATE)
		g->hiddenfd = beneath__open(g->dirfd, HIDDEN_DIR, O_RDONLY | O_DIRECTORY, 0);
	else
		g->tmpfd = open(g->conf.tmp_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (g->hiddenfd == -1 && g->tmpfd == -1)
		return log_err(-errno, "cannot open our own directory");
	return 0;
}

/* Directories that were there before: what is written in them counts too. */
static void mark_existing(struct guard *g)
{
	bool adopt = g->conf.mitigation == MITIGATION_FALLOCATE && g->conf.redo;
	struct dirent *e;
	DIR *d;
	int fd = openat(g->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), sub;

	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d)
		return;
	if (adopt)
		event__adopt_dir(g, g->dirfd, ".");
	while ((e = readdir(d))) {
		if (!name_ok(e->d_name) || !strcmp(e->d_name, HIDDEN_DIR))
			continue;
		sub = beneath__open(g->dirfd, e->d_name, O_RDONLY | O_DIRECTORY, 0);
		if (sub < 0)
			continue; /* a file */
		watch__mark_dir(g, sub, ".");
		if (adopt)
			event__adopt_dir(g, sub, e->d_name);
		close(sub);
	}
	closedir(d);
}

static int adopt_spare(struct guard *g, uint64_t bytes)
{
	struct stat st;

	if (!bytes)
		return 0;
	if (fstatat(g->hiddenfd, "spare", &st, AT_SYMLINK_NOFOLLOW))
		return log_err(-errno, "the spare is gone");
	g->spare_ino = st.st_ino;
	g->spare_bytes = bytes;
	return 0;
}

static int record_self(struct guard *g, const struct cover_keep *keep)
{
	char boot[40];

	boot_id(boot);
	return journal__append(&g->journal, REC_DAEMON,
			       json_pack("{s:I, s:I, s:s, s:I}", "pid", (json_int_t)g->self,
					 "start", (json_int_t)pid_start_time(g->self), "boot", boot,
					 "cover_dev", (json_int_t)(keep ? cover__dev(keep) : 0)),
			       1);
}

/* A job of these begins in the moment in which the writer goes on, who comes first. */
#define BEHIND_WRITERS 10

static int start_threads(struct guard *g)
{
	int err = jobs__start(&g->planter, g, plant__do, 0);

	if (!err)
		err = jobs__start(&g->hand, g, hand__do, 0);
	if (!err)
		err = jobs__start(&g->clerk, g, clerk__do, BEHIND_WRITERS);
	if (!err)
		err = jobs__start(&g->closer, g, closer__do, BEHIND_WRITERS);
	if (!err)
		err = keeper__start(g);
	if (err)
		return log_err(err, "cannot start the guard's threads");
	if (g->conf.mitigation == MITIGATION_FALLOCATE)
		sync_watch__start(g);
	err = hurry(g);
	if (err)
		guard__note(
			g,
			"real-time priority is refused (%s): where the CPUs are busy writers may "
			"wait longer",
			strerror(err));
	return 0;
}

static int start_cover(struct guard *g, struct cover_keep *keep)
{
	g->keep = keep;
	if (keep->table->answered)
		guard__note(g, "the server of the cover was killed; another went on");
	g->cover = malloc(sizeof(*g->cover));
	if (!g->cover)
		return log_err(-ENOMEM, "cannot cover %s", g->conf.dir);
	return cover__start(g->cover, keep, g, g->conf.tmp_dir);
}

int guard__start(struct guard *g, const struct fix_conf *conf, int journal_fd, uint64_t seq,
		 uint64_t end, const struct previous *prev, uint64_t spare_bytes,
		 struct cover_keep *keep)
{
	int err;

	memset(g, 0, sizeof(*g));
	g->conf = *conf;
	g->prev = *prev;
	g->fan = g->inotify = g->wake = g->sigfd = g->dirfd = g->hiddenfd = g->tmpfd = -1;
	g->self = getpid();
	urgent_lock__init(&g->lock);
	urgent_lock__init(&g->marks);
	writers__init(&g->writers);
	err = journal__continue(&g->journal, journal_fd, seq, end);
	if (!err)
		err = watchdog__start(g); /* before there is anything that it could inherit */
	if (!err)
		err = open_signals(g);
	if (!err)
		err = open_dirs(g, keep);
	if (!err)
		err = watch__open(g);
	if (!err)
		err = adopt_spare(g, spare_bytes);
	if (err)
		return err;
	if (!g->pre_content && g->conf.redo)
		guard__note(
			g,
			"this kernel does not ask before a first write (FAN_PRE_ACCESS, 6.14 and "
			"later): what an O_TRUNC at open undoes is reported, not made again");
	if (!g->pre_content && g->conf.size_rule == SIZE_FTRUNCATE)
		guard__note(
			g, "this kernel does not ask before an ftruncate (FAN_PRE_ACCESS, 6.14 and "
			   "later): the space comes behind it, beside the first writes");
	if (!keep)
		mark_existing(g);
	/* what is there is touched now; what comes (threads' stacks), when it is used */
	if (!keep && (mlockall(MCL_CURRENT) || mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)))
		guard__note(g,
			    "our memory cannot be locked (%s): where it is short writers may wait "
			    "longer",
			    strerror(errno));
	err = record_self(g, keep);
	if (!err && conf->mitigation == MITIGATION_MEMFD) {
		err = resume__held(g);
		if (err)
			return err;
	}
	if (err)
		return log_err(err, "cannot write the journal");
	if (keep) /* before the keeper: who has what open decides over exports */
		err = start_cover(g, keep);
	return err ? err : start_threads(g);
}

/* What is open below a cover is served by its supervisor from here on. */
void guard__stop(struct guard *g)
{
	if (g->keep)
		cover__detach(g->keep);
	if (g->cover)
		cover__stop(g->cover);
	answer__all(g);
	if (g->fan >= 0)
		close(g->fan); /* whoever still waits goes on */
	keeper__stop(g);
	sync_watch__stop(g);
	jobs__stop(&g->planter);
	jobs__stop(&g->hand);
	jobs__stop(&g->closer); /* before the clerk, whom it still brings something */
	jobs__stop(&g->clerk);
	watchdog__stop(g);
}
