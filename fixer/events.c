// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What the kernel says of the files below the directory. Between the reading of an event and its
 * answer nothing is allocated or logged here, and no file system touched beyond fstat: a guard
 * that waits makes every writer wait.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../user/clock.h"
#include "beneath.h"
#include "guard.h"
#include "kernel.h"

#define ASKS (FAN_OPEN_PERM | FAN_PRE_ACCESS)
/* From the first change to the look at it: a size that was set is followed by data at once. */
#define LOOK_NS 2000000ull

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

static int push(struct guard *g, const struct job *job)
{
	if (job->kind == JOB_LOOK)
		return closer__later(g, job);
	return jobs__push(job->kind == JOB_CLOSED ? &g->clerk : &g->hand, job);
}

static void queue(struct guard *g, const struct fanotify_event_metadata *m, enum job_kind kind,
		  int slot, int pending)
{
	const struct track *t = &g->tracks[slot];
	struct job job = { .kind = kind, .track = slot, .pending = pending, .pid = m->pid };

	job.gen = t->gen;
	job.made = t->made;
	job.size_bytes = t->prealloc_bytes;
	job.lost = track__how_lost(t);
	job.unasked = g->pre_content && t->asked && !t->asked_once;
	job.touched = t->touched;
	job.seems_kept = t->seems_kept;
	job.emptied = t->emptied;
	job.ready = t->ready;
	job.until_ns = g->since_ns + LOOK_NS;
	job.fd = fcntl(m->fd, F_DUPFD_CLOEXEC, 0);
	if (job.fd >= 0 && !push(g, &job))
		return;
	if (job.fd >= 0)
		close(job.fd);
	atomic_fetch_add(&g->not_written_down, 1);
	if (pending >= 0)
		answer__job_done(g, pending, NULL);
}

/* A matching file that we have not seen: new (nothing in it), or one from before. */
static int adopt(struct guard *g, int fd, const struct stat *st, const char *dir, const char *name)
{
	bool fresh = !st->st_size && !st->st_blocks;
	uint32_t crc = handle__crc(fd, "");
	int slot;

	pthread_mutex_lock(&g->lock);
	slot = track__new(g, st->st_dev, st->st_ino, crc);
	if (slot >= 0) {
		struct track *t = &g->tracks[slot];

		t->made = fresh ? MADE_AT_OPEN : MADE_BEFORE;
		t->prealloc_bytes = fresh ? guard__wanted(g) : (uint64_t)st->st_blocks * 512;
		snprintf(t->dir, sizeof(t->dir), "%s", dir);
		snprintf(t->name, sizeof(t->name), "%s", name);
	}
	pthread_mutex_unlock(&g->lock);
	return slot;
}

/* A file that this open has just created bears the time of it, by a clock that ticks; not one of before. */
static bool is_old(const struct stat *st)
{
	return clock_ns(CLOCK_REALTIME) / 1000000000 > (uint64_t)st->st_ctim.tv_sec + 1;
}

/* What is allocated here would lie in a file that is somewhere else too. The keeper says so, once. */
static bool has_more_names(struct guard *g, const struct stat *st, const char *dir,
			   const char *name)
{
	struct many_names *m = &g->many_names;

	if (st->st_nlink <= 1)
		return false;
	pthread_mutex_lock(&g->lock);
	if (m->step == MANY_NAMES_NONE) {
		snprintf(m->dir, sizeof(m->dir), "%s", dir);
		snprintf(m->name, sizeof(m->name), "%s", name);
		m->step = MANY_NAMES_FOUND;
	}
	pthread_mutex_unlock(&g->lock);
	return true;
}

/*
 * The slot of a file that is about to be opened. One with nothing in it begins anew, unless its
 * writer has just truncated it and this is somebody beside it.
 */
static int slot_of(struct guard *g, int fd, const struct stat *st)
{
	bool fresh = !st->st_size && !st->st_blocks;
	char dir[NAME_MAX + 1], name[NAME_MAX + 1];
	int slot, before;

	if (!split_path(g, fd, dir, name) || !name_matches(g->conf.match, name) ||
	    has_more_names(g, st, dir, name))
		return -1;
	before = track__of(g, fd, st);
	if (before >= 0 && (!fresh || (g->tracks[before].open && g->tracks[before].handle_crc)))
		return before;
	slot = adopt(g, fd, st, dir, name);
	if (slot >= 0)
		g->tracks[slot].found = before >= 0 || is_old(st);
	return slot;
}

/* The next write to a file shall be seen; a mark on it has to follow. */
static void expect_write(struct guard *g, struct track *t, bool asked)
{
	pthread_mutex_lock(&g->lock);
	t->gen++;
	t->armed = true;
	t->asked = asked && watch__asks(g);
	t->touched = t->asked_once = t->truncate_seen = t->looking = t->synced = false;
	t->seems_kept = t->emptied = t->ready = false;
	pthread_mutex_unlock(&g->lock);
}

/*
 * `asked`: the kernel will ask before it, too. It decides so in open(2), before it asks us about
 * that: the mark has to be there earlier.
 */
static void arm(struct guard *g, int fd, struct track *t, bool asked)
{
	expect_write(g, t, asked);
	watch__arm(g, fd, NULL, watch__asks(g));
}

/* fallocate: a matching file is about to be opened. True where the answer waits for a job. */
static bool opened_match(struct guard *g, const struct fanotify_event_metadata *m,
			 const struct stat *st, int pending, uint64_t plants)
{
	int slot = slot_of(g, m->fd, st);
	bool being_written;
	struct track *t;

	if (slot < 0)
		return false;
	t = &g->tracks[slot];
	being_written = t->open && !t->armed;
	t->open = true;
	if (t->made == MADE_BEFORE && !t->touched)
		t->prealloc_bytes = (uint64_t)st->st_blocks * 512;
	if (t->armed || being_written) /* a reader beside a writer begins no new story */
		return false;
	if (st->st_size || st->st_blocks || !t->prealloc_bytes || pending < 0) {
		arm(g, m->fd, t, false);
		return false;
	}
	expect_write(g, t, false);
	answer__pend(g, pending, m->fd, -1, plants, true);
	atomic_store(&g->pending[pending].mark_owed, true);
	queue(g, m, JOB_NEW_FILE, slot, pending);
	return true;
}

/* Whether the answer went to the pending list; it owns fd then. */
static bool handle_open(struct guard *g, const struct fanotify_event_metadata *m,
			const struct stat *st)
{
	uint64_t plants = atomic_load(&g->plants_queued);
	int pending = answer__slot(g);

	writers__opened(&g->writers, m->pid, st->st_dev, st->st_ino);
	if (g->conf.mitigation == MITIGATION_FALLOCATE && opened_match(g, m, st, pending, plants))
		return true;
	if (pending < 0 || atomic_load(&g->plants_done) >= plants)
		return false;
	answer__pend(g, pending, m->fd, -1, plants, false);
	return true;
}

/* It was truncated since: who asked before only read, or wrote what is gone. */
static void begins_anew(struct track *t)
{
	t->touched = t->asked_once = t->seems_kept = false;
}

static bool seems_kept(const struct track *t, const struct stat *st)
{
	return (uint64_t)st->st_blocks * 512 >= t->prealloc_bytes - t->prealloc_bytes / 64;
}

/*
 * Who asked may be a reader; a truncation brings the question back. The one that came between our
 * look and the mark does not, so the look comes again.
 */
static void no_more_questions(struct guard *g, int fd, struct track *t)
{
	struct stat st;

	watch__quiet(g, fd, true);
	if (fstat(fd, &st) || seems_kept(t, &st))
		return;
	watch__quiet(g, fd, false);
	begins_anew(t);
}

/* Before the first write; whether the answer waits for the hand. */
static bool asked_write(struct guard *g, const struct fanotify_event_metadata *m,
			const struct stat *st, int slot)
{
	struct track *t = &g->tracks[slot];
	int pending;

	t->touched = t->asked_once = true;
	t->seems_kept = seems_kept(t, st);
	if (t->seems_kept) {
		no_more_questions(g, m->fd, t);
		return false;
	}
	t->armed = false;
	if (g->conf.redo && g->conf.size_bytes > t->prealloc_bytes)
		t->prealloc_bytes = g->conf.size_bytes;
	watch__disarm(g, m->fd);
	pending = g->conf.redo ? answer__slot(g) : -1;
	if (pending >= 0)
		answer__pend(g, pending, m->fd, slot, 0, true);
	queue(g, m, JOB_FIRST_WRITE, slot, pending);
	return pending >= 0;
}

/* The writer says how long its file will be; what lies there already stays. */
static bool asked_size(struct guard *g, const struct fanotify_event_metadata *m,
		       const struct stat *st, int slot, uint64_t bytes)
{
	struct track *t = &g->tracks[slot];
	int pending;

	/* to the same size, too: what lies behind the end goes */
	if (bytes < (uint64_t)st->st_size || (bytes == (uint64_t)st->st_size && !t->emptied))
		t->truncate_seen = true;
	if (g->conf.size_rule != SIZE_FTRUNCATE || (uint64_t)st->st_blocks * 512 >= bytes ||
	    bytes <= (uint64_t)st->st_size)
		return false;
	t->made = MADE_AT_FTRUNCATE;
	t->prealloc_bytes = bytes;
	t->emptied = t->truncate_seen = false;
	pending = answer__slot(g);
	if (pending >= 0)
		answer__pend(g, pending, m->fd, slot, 0, true);
	queue(g, m, JOB_NEW_FILE, slot, pending);
	return pending >= 0;
}

/* A change that did not ask first: O_TRUNC, ftruncate, copy_file_range; or an open that came before us. */
static void changed(struct guard *g, const struct fanotify_event_metadata *m, const struct stat *st,
		    int slot)
{
	struct track *t = &g->tracks[slot];
	bool look;

	if (!st->st_size || (t->seems_kept && !seems_kept(t, st))) {
		begins_anew(t);
		if (t->asked)
			watch__arm(g, m->fd, NULL, true);
	}
	if (!st->st_size) {
		t->emptied |= !seems_kept(t, st);
		return; /* the first write is still to come */
	}
	if (!t->touched)
		t->seems_kept = seems_kept(t, st);
	t->touched = true;
	if (g->conf.size_rule == SIZE_FTRUNCATE && !g->pre_content && !st->st_blocks) {
		t->made = MADE_AT_FTRUNCATE;
		t->prealloc_bytes = (uint64_t)st->st_size;
		t->emptied = false;
		queue(g, m, JOB_NEW_FILE, slot, -1);
		return;
	}
	pthread_mutex_lock(&g->lock);
	look = !t->looking;
	t->looking = true;
	pthread_mutex_unlock(&g->lock);
	if (!look)
		return;
	/* the writes that follow pay nothing; where the space is there nobody needs to be asked either */
	if (t->seems_kept)
		watch__disarm(g, m->fd);
	else
		watch__changes(g, m->fd, false);
	queue(g, m, JOB_LOOK, slot, -1);
}

/* Until it has one name again, and is opened: then it begins anew. */
static void leave_alone(struct guard *g, int fd, int slot)
{
	struct track *t = &g->tracks[slot];

	pthread_mutex_lock(&g->lock);
	t->gen++;
	t->open = t->armed = t->asked = false;
	track__let_go(g, t);
	pthread_mutex_unlock(&g->lock);
	watch__disarm(g, fd);
}

/* Whether somebody else owns the event's descriptor now; *answered where it needs no answer. */
static bool handle_change(struct guard *g, const struct fanotify_event_metadata *m,
			  const struct stat *st, bool *answered)
{
	const struct range_info *range = (const void *)(m + 1);
	int slot = track__of(g, m->fd, st);
	bool kept, has_range = m->event_len >= m->metadata_len + sizeof(*range) &&
			       range->type == FAN_EVENT_INFO_TYPE_RANGE;

	if (slot < 0) {
		watch__disarm(g, m->fd);
		return false;
	}
	if (has_more_names(g, st, g->tracks[slot].dir, g->tracks[slot].name)) {
		leave_alone(g, m->fd, slot);
		return false;
	}
	/* where its story has ended, this question was on its way when another was answered */
	if (!g->tracks[slot].armed)
		watch__disarm(g, m->fd);
	else if (!(m->mask & FAN_PRE_ACCESS))
		changed(g, m, st, slot);
	else if (has_range && !range->count)
		*answered = asked_size(g, m, st, slot, range->offset);
	else
		*answered = asked_write(g, m, st, slot);
	/* a reader where nothing was truncated: no flush that our release could use up, and no close */
	kept = !*answered && g->tracks[slot].open &&
	       (m->mask & FAN_MODIFY || !g->tracks[slot].seems_kept);
	if (kept)
		track__hold(g, slot, m->fd);
	return kept || *answered;
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

static void closed_match(struct guard *g, const struct fanotify_event_metadata *m, int slot)
{
	struct track *t = &g->tracks[slot];

	if (t->armed && t->asked && !t->touched && !(m->mask & FAN_MODIFY)) {
		pthread_mutex_lock(&g->lock);
		track__let_go(g, t); /* nothing was written yet */
		pthread_mutex_unlock(&g->lock);
		return;
	}
	queue(g, m, JOB_CLOSED, slot, -1);
	t->open = false;
	t->made = MADE_BEFORE; /* for whoever writes it next */
	if (g->conf.redo) {
		arm(g, m->fd, t, true); /* the next open may come before the hand */
	} else {
		pthread_mutex_lock(&g->lock);
		t->gen++;
		t->armed = false;
		pthread_mutex_unlock(&g->lock);
		watch__disarm(g, m->fd);
	}
}

static void handle_close(struct guard *g, const struct fanotify_event_metadata *m,
			 const struct stat *st)
{
	uint32_t n;
	int slot;

	writers__closed(&g->writers, m->pid, st->st_dev, st->st_ino);
	if (g->conf.mitigation == MITIGATION_MEMFD) {
		n = memory_number(g, m->fd);
		if (n)
			held__closed(g, n);
		return;
	}
	slot = track__of(g, m->fd, st);
	if (slot >= 0 && st->st_nlink > 1)
		leave_alone(g, m->fd, slot);
	else if (slot >= 0)
		closed_match(g, m, slot);
}

void event__handle(struct guard *g, const struct fanotify_event_metadata *m)
{
	struct stat st;
	bool kept = false, answered = false, shared = false;

	if (m->fd < 0)
		return; /* queue overflow: the kernel let those go on */
	if (m->pid != g->self && !fstat(m->fd, &st) && S_ISREG(st.st_mode)) {
		shared = writers__has(&g->writers, st.st_dev, st.st_ino);
		if (m->mask & FAN_OPEN_PERM)
			kept = answered = handle_open(g, m, &st);
		if (m->mask & FAN_OPEN)
			writers__opened(&g->writers, m->pid, st.st_dev, st.st_ino);
		if (m->mask & FAN_CLOSE_WRITE)
			handle_close(g, m, &st);
		else if (m->mask & (FAN_PRE_ACCESS | FAN_MODIFY))
			kept = handle_change(g, m, &st, &answered);
	}
	/* our own spare may have a writer before the closer gets to it; it has nothing to flush */
	if (!kept && m->pid != g->self && (m->mask & (FAN_CLOSE_WRITE | FAN_MODIFY) || shared))
		closer__release(g, m->fd);
	else if (!kept)
		close(m->fd); /* before the answer: nothing has been written through this open */
	if (m->mask & ASKS && !answered)
		answer__now(g, m->fd);
}

/* ---- what was there before ---- */

static void adopt_file(struct guard *g, int dirfd, const char *dir, const char *name)
{
	/* O_PATH: no event of our own, which nobody would answer yet */
	int fd = beneath__open(dirfd, name, O_PATH, 0), slot = -1;
	struct stat st;
	char path[40];

	if (fd < 0)
		return;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_blocks &&
	    !has_more_names(g, &st, dir, name))
		slot = adopt(g, fd, &st, dir, name);
	if (slot >= 0) {
		struct track *t = &g->tracks[slot];

		t->gen = 1;
		t->armed = t->asked = true;
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		watch__arm(g, AT_FDCWD, path, true);
	}
	close(fd);
}

void event__adopt_dir(struct guard *g, int dirfd, const char *dir)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((e = readdir(d)))
		if (name_matches(g->conf.match, e->d_name))
			adopt_file(g, dirfd, dir, e->d_name);
	closedir(d);
}
