// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The watch thread. Between the reading of an event and its answer it allocates nothing, logs
 * nothing and touches no file system beyond fstat: a guard that waits makes every writer wait.
 */
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

#include "../user/log.h"
#include "beneath.h"
#include "kernel.h"
#include "prealloc.h"

#define ASKS (FAN_OPEN_PERM | FAN_PRE_ACCESS)

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
	journal__append(&g->journal, REC_NOTE, json_pack("{s:s}", "text", text), 0);
}

/* ---- answers ---- */

static void answer(struct guard *g, int fd)
{
	struct fanotify_response r = { .fd = fd, .response = FAN_ALLOW };

	if (write(g->fan, &r, sizeof(r)) < 0)
		return; /* the kernel has given up waiting, or its process was killed */
}

/* See struct track: released before the answer, or only behind the writer. */
static void hold(struct guard *g, int slot, int fd)
{
	struct track *t = &g->tracks[slot];
	bool held;

	pthread_mutex_lock(&g->lock);
	held = t->n && t->hold_cnt < TRACK_HOLD_MAX;
	if (held)
		t->hold[t->hold_cnt++] = fd;
	pthread_mutex_unlock(&g->lock);
	if (!held)
		closer__release(g, fd);
}

static int pending_slot(struct guard *g)
{
	for (int i = 0; i < GUARD_PENDING_MAX; i++)
		if (!g->pending[i].used)
			return i;
	return -1;
}

static bool is_ready(struct guard *g, struct pending *p)
{
	if (p->has_job && !atomic_load(&p->done))
		return false;
	return atomic_load(&g->plants_done) >= p->plants;
}

/* Answers what is ready or late; the time until the next one is due, at most a heartbeat. */
static uint64_t sweep_pending(struct guard *g)
{
	uint64_t now = now_mono_ns(), wait = 250000000ull;

	for (int i = 0; i < GUARD_PENDING_MAX; i++) {
		struct pending *p = &g->pending[i];

		if (!p->used)
			continue;
		if (p->fd >= 0 && (is_ready(g, p) || now >= p->deadline_ns)) {
			if (p->track >= 0)
				hold(g, p->track, p->fd);
			else
				close(p->fd);
			answer(g, p->fd); /* the kernel knows it by its number */
			p->fd = -1;
		}
		/* the slot is the hand's until its job is done, or it would mark another's */
		if (p->fd < 0 && (!p->has_job || atomic_load(&p->done)))
			p->used = false;
		else if (p->fd >= 0 && p->deadline_ns - now < wait)
			wait = p->deadline_ns - now;
	}
	return wait;
}

/* ---- events ---- */

/* "DIR/snap-3/memory.bin" -> "snap-3", "memory.bin"; false where it is not below DIR. */
static bool split_path(const struct guard *g, int fd, char dir[NAME_MAX + 1],
		       char name[NAME_MAX + 1])
{
	char link[40], path[PATH_MAX];
	size_t len = strlen(g->conf.dir);
	char *rel, *slash;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n <= 0)
		return false;
	path[n] = '\0';
	if (strncmp(path, g->conf.dir, len) != 0 || path[len] != '/')
		return false;
	rel = path + len + 1;
	slash = strrchr(rel, '/');
	if (slash)
		*slash = '\0';
	snprintf(dir, NAME_MAX + 1, "%s", slash ? rel : ".");
	return (size_t)snprintf(name, NAME_MAX + 1, "%s", slash ? slash + 1 : rel) <= NAME_MAX;
}

static void queue(struct guard *g, enum job_kind kind, int fd, int slot, int pending,
		  bool look_only)
{
	struct job job = {
		.kind = kind, .track = slot, .pending = pending, .look_only = look_only
	};

	job.size_bytes = g->tracks[slot].prealloc_bytes;

	job.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (job.fd < 0 || jobs__push(&g->hand, &job)) {
		if (job.fd >= 0)
			close(job.fd);
		if (pending >= 0)
			atomic_store(&g->pending[pending].done, true);
	}
}

static void arm(struct guard *g, int fd, bool ask)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	watch__arm(g, AT_FDCWD, path, ask);
}

/* A matching file that we have not seen: new (nothing in it), or one from before. */
static int adopt(struct guard *g, const struct stat *st, const char *dir, const char *name)
{
	bool fresh = !st->st_size && !st->st_blocks;
	uint64_t want;
	int slot;

	pthread_mutex_lock(&g->lock);
	want = g->conf.size_bytes ? g->conf.size_bytes : g->prev.bytes;
	slot = track__new(g, st->st_dev, st->st_ino);
	if (slot >= 0) {
		struct track *t = &g->tracks[slot];

		t->made = fresh ? "at open" : "before";
		t->prealloc_bytes = fresh ? want : (uint64_t)st->st_blocks * 512;
		snprintf(t->dir, sizeof(t->dir), "%s", dir);
		snprintf(t->name, sizeof(t->name), "%s", name);
	}
	pthread_mutex_unlock(&g->lock);
	return slot;
}

/* fallocate: a matching file is about to be opened. True where the answer waits for a job. */
static bool opened_match(struct guard *g, int fd, const struct stat *st, int pending)
{
	char dir[NAME_MAX + 1], name[NAME_MAX + 1];
	int slot = track__find(g, st->st_dev, st->st_ino);
	bool fresh = !st->st_size && !st->st_blocks;
	struct track *t;

	if (slot < 0) {
		if (!split_path(g, fd, dir, name) || !name_matches(g->conf.match, name))
			return false;
		slot = adopt(g, st, dir, name);
		if (slot < 0)
			return false;
	}
	t = &g->tracks[slot];
	if (t->armed)
		return false;
	/*
	 * Only changes are seen of this open: the kernel decides in open(2), before it asks us,
	 * whether it will ask before a write. A mark for that has to be there earlier.
	 */
	t->armed = true;
	t->truncate_seen = false;
	t->verdict = NULL;
	if (!fresh && !t->spare)
		t->prealloc_bytes = (uint64_t)st->st_blocks * 512;
	arm(g, fd, false);
	if (!fresh || !t->prealloc_bytes || pending < 0)
		return false;
	queue(g, JOB_NEW_FILE, fd, slot, pending, false);
	return true;
}

/* Whether the answer went to the pending list; it owns fd then. */
static bool handle_open(struct guard *g, int fd, const struct stat *st, pid_t pid)
{
	uint64_t plants = atomic_load(&g->plants_queued);
	int slot = pending_slot(g);
	struct pending *p;
	bool job = false;

	writers__opened(&g->writers, pid, st->st_dev, st->st_ino);
	if (slot >= 0)
		atomic_store(&g->pending[slot].done, false);
	if (g->conf.mitigation == MITIGATION_FALLOCATE)
		job = opened_match(g, fd, st, slot);
	if (slot < 0 || (!job && atomic_load(&g->plants_done) >= plants))
		return false;
	p = &g->pending[slot];
	p->used = true;
	p->has_job = job;
	p->fd = fd;
	p->track = -1;
	p->plants = plants;
	p->deadline_ns = now_mono_ns() + GUARD_ANSWER_NS;
	return true;
}

/* What happened to the preallocation, from what fstat says at this moment. */
static const char *judge(const struct track *t, const struct stat *st)
{
	if ((uint64_t)st->st_blocks * 512 >= t->prealloc_bytes - t->prealloc_bytes / 64)
		return "kept";
	if (st->st_size && st->st_blocks)
		return "partly there";
	return t->truncate_seen ? "undone by ftruncate" : "undone by O_TRUNC at open";
}

static int pend_first_write(struct guard *g, int fd, int track)
{
	int slot = pending_slot(g);
	struct pending *p;

	if (slot < 0)
		return -1;
	p = &g->pending[slot];
	p->used = p->has_job = true;
	p->fd = fd;
	p->track = track;
	p->plants = 0;
	p->deadline_ns = now_mono_ns() + GUARD_ANSWER_NS;
	atomic_store(&p->done, false);
	return slot;
}

/* A change that did not ask first: O_TRUNC, ftruncate, copy_file_range; or no FAN_PRE_ACCESS. */
static void handle_modify(struct guard *g, int fd, const struct stat *st, int slot)
{
	struct track *t = &g->tracks[slot];
	bool look = g->pre_content && t->asked;

	if (!look)
		t->verdict = judge(t, st);
	queue(g, JOB_FIRST_WRITE, fd, slot, -1, look);
	if (!look) {
		t->armed = false;
		watch__disarm(g, fd);
	}
}

/* Whether somebody else owns the event's descriptor now; *answered where it needs no answer. */
static bool handle_first_write(struct guard *g, const struct fanotify_event_metadata *m,
			       const struct stat *st, bool *answered)
{
	const struct range_info *range = (const void *)(m + 1);
	int slot = track__find(g, st->st_dev, st->st_ino), pending = -1;
	struct track *t;

	if (slot < 0) {
		watch__disarm(g, m->fd);
		return false;
	}
	t = &g->tracks[slot];
	if (t->armed && !(m->mask & FAN_PRE_ACCESS)) {
		handle_modify(g, m->fd, st, slot);
	} else if (t->armed && m->event_len >= m->metadata_len + sizeof(*range) &&
		   range->type == FAN_EVENT_INFO_TYPE_RANGE && !range->count) {
		t->truncate_seen |= st->st_size > 0; /* ftruncate; the write is still to come */
	} else if (t->armed) {
		t->verdict = judge(t, st);
		t->armed = false;
		watch__disarm(g, m->fd);
		pending = pend_first_write(g, m->fd, slot);
		queue(g, JOB_FIRST_WRITE, m->fd, slot, pending, false);
		*answered = pending >= 0;
	}
	if (pending < 0)
		hold(g, slot, m->fd);
	return true;
}

/* ".../flatpause-ID/7/memory.bin" -> 7 */
static uint32_t memory_number(const struct guard *g, int fd)
{
	char link[40], path[PATH_MAX];
	size_t len = strlen(g->conf.tmp_dir);
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n <= 0)
		return 0;
	path[n] = '\0';
	if (!len || strncmp(path, g->conf.tmp_dir, len) != 0 || path[len] != '/')
		return 0;
	return (uint32_t)strtoul(path + len + 1, NULL, 10);
}

static void handle_close(struct guard *g, int fd, const struct stat *st, pid_t pid)
{
	struct track *t;
	uint32_t n;
	int slot;

	writers__closed(&g->writers, pid, st->st_dev, st->st_ino);
	if (g->conf.mitigation == MITIGATION_MEMFD) {
		n = memory_number(g, fd);
		if (n)
			keeper__closed(g, n);
		return;
	}
	slot = track__find(g, st->st_dev, st->st_ino);
	if (slot < 0)
		return;
	t = &g->tracks[slot];
	queue(g, JOB_CLOSED, fd, slot, -1, t->armed);
	if (t->armed && t->asked)
		return; /* nothing was written yet */
	watch__disarm(g, fd);
	t->armed = false; /* now: the next open may come before the hand */
	t->asked = g->conf.redo;
	if (t->asked) {
		arm(g, fd, true);
		t->armed = true;
		t->truncate_seen = false;
	}
}

static void handle_event(struct guard *g, const struct fanotify_event_metadata *m)
{
	struct stat st;
	bool kept = false, answered = false, shared = false;

	if (m->fd < 0)
		return; /* queue overflow: the kernel let those go on */
	if (m->pid != g->self && !fstat(m->fd, &st) && S_ISREG(st.st_mode)) {
		shared = writers__has(&g->writers, st.st_dev, st.st_ino);
		if (m->mask & FAN_OPEN_PERM)
			kept = answered = handle_open(g, m->fd, &st, m->pid);
		if (m->mask & FAN_OPEN)
			writers__opened(&g->writers, m->pid, st.st_dev, st.st_ino);
		if (m->mask & FAN_CLOSE_WRITE)
			handle_close(g, m->fd, &st, m->pid);
		else if (m->mask & (FAN_PRE_ACCESS | FAN_MODIFY))
			kept = handle_first_write(g, m, &st, &answered);
	}
	/* our own spare may have a writer before the closer gets to it; it has nothing to flush */
	if (!kept && m->pid != g->self && (m->mask & FAN_CLOSE_WRITE || shared))
		closer__release(g, m->fd);
	else if (!kept)
		close(m->fd); /* before the answer: nothing has been written through this open */
	if (m->mask & ASKS && !answered)
		answer(g, m->fd);
}

static void new_dir(struct guard *g, const char *name)
{
	struct job job = { .kind = JOB_PLANT, .fd = -1, .track = -1, .pending = -1 };

	if (!name_ok(name))
		return;
	snprintf(job.name, sizeof(job.name), "%s", name);
	writers__expect(&g->writers, now_mono_ns() + GUARD_EXPECT_NS);
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
 */
static void drain_events(struct guard *g)
{
	char buf[16384] __attribute__((aligned(8)));
	ssize_t n = read(g->fan, buf, sizeof(buf));
	struct fanotify_event_metadata *m = (void *)buf;

	drain_inotify(g);
	for (; n > 0 && FAN_EVENT_OK(m, n); m = FAN_EVENT_NEXT(m, n))
		handle_event(g, m);
}

static void drain_signals(struct guard *g)
{
	struct signalfd_siginfo si;

	while (read(g->sigfd, &si, sizeof(si)) == sizeof(si)) {
		if ((int)si.ssi_signo == SIGRTMIN + 1)
			keeper__lease_broken(g, si.ssi_fd);
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

	while (!g->stop) {
		uint64_t count, wait = sweep_pending(g);
		struct timespec ts = { .tv_nsec = (long)wait };

		atomic_store(g->heartbeat, now_mono_ns());
		if (ppoll(fds, 4, &ts, NULL) < 0 && errno != EINTR)
			return log_err(-errno, "the watch of %s ended", g->conf.dir);
		drain_events(g);
		if (fds[2].revents && read(g->wake, &count, sizeof(count)) < 0 && errno != EAGAIN)
			return log_err(-errno, "the watch of %s ended", g->conf.dir);
		drain_signals(g);
	}
	return 0;
}

/* ---- start and stop ---- */

/* A writer's pause must not wait for our time slice; threads that may take long stay ordinary. */
static void hurry(pthread_t thread)
{
	struct sched_param p = { .sched_priority = 1 };

	pthread_setschedparam(thread, SCHED_RR, &p);
}

static int open_signals(struct guard *g)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGRTMIN + 1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	g->sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return g->sigfd < 0 ? log_err(-errno, "signalfd") : 0;
}

static int open_dirs(struct guard *g)
{
	struct stat st;

	g->dirfd = open(g->conf.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (g->dirfd < 0 || fstat(g->dirfd, &st))
		return log_err(-errno, "cannot open %s", g->conf.dir);
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
	struct dirent *e;
	DIR *d;
	int fd = g->fs_mark ? -1 : openat(g->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d)
		return;
	while ((e = readdir(d)))
		if (name_ok(e->d_name) && strcmp(e->d_name, HIDDEN_DIR) != 0)
			watch__mark_dir(g, g->dirfd, e->d_name); /* a file: ENOTDIR */
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

static int record_self(struct guard *g)
{
	char boot[40];

	boot_id(boot);
	return journal__append(&g->journal, REC_DAEMON,
			       json_pack("{s:I, s:I, s:s}", "pid", (json_int_t)g->self, "start",
					 (json_int_t)pid_start_time(g->self), "boot", boot),
			       1);
}

static int start_threads(struct guard *g)
{
	int err = jobs__start(&g->planter, g, plant__do);

	if (!err)
		err = jobs__start(&g->hand, g, hand__do);
	if (!err)
		err = jobs__start(&g->closer, g, closer__do);
	if (!err)
		err = keeper__start(g);
	if (err)
		return log_err(err, "cannot start the guard's threads");
	hurry(g->planter.thread);
	hurry(g->hand.thread);
	hurry(pthread_self());
	return 0;
}

int guard__start(struct guard *g, const struct fix_conf *conf, int journal_fd, uint64_t seq,
		 uint64_t end, const struct previous *prev, uint64_t spare_bytes)
{
	int err;

	memset(g, 0, sizeof(*g));
	g->conf = *conf;
	g->prev = *prev;
	g->fan = g->inotify = g->wake = g->sigfd = g->dirfd = g->hiddenfd = g->tmpfd = -1;
	g->lease.fd = -1;
	g->self = getpid();
	pthread_mutex_init(&g->lock, NULL);
	pthread_mutex_init(&g->lease.lock, NULL);
	pthread_cond_init(&g->lease.broken_cond, NULL);
	writers__init(&g->writers);
	err = journal__continue(&g->journal, journal_fd, seq, end);
	if (!err)
		err = watchdog__start(g); /* before there is anything that it could inherit */
	if (!err)
		err = open_signals(g);
	if (!err)
		err = open_dirs(g);
	if (!err)
		err = watch__open(g);
	if (!err)
		err = adopt_spare(g, spare_bytes);
	if (err)
		return err;
	mark_existing(g);
	if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT))
		log_verbose("cannot lock our memory: %s", strerror(errno));
	err = record_self(g);
	return err ? log_err(err, "cannot write the journal") : start_threads(g);
}

void guard__stop(struct guard *g)
{
	for (int i = 0; i < GUARD_PENDING_MAX; i++)
		if (g->pending[i].used && g->pending[i].fd >= 0)
			answer(g, g->pending[i].fd);
	if (g->fan >= 0)
		close(g->fan); /* whoever still waits goes on */
	keeper__stop(g);
	jobs__stop(&g->planter);
	jobs__stop(&g->hand);
	jobs__stop(&g->closer);
	watchdog__stop(g);
}
