// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The way back: stops the guard and finishes from the journal whatever it left, wherever it died. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../user/clock.h"
#include "../user/log.h"
#include "beneath.h"
#include "cover/left.h"
#include "export.h"
#include "guard.h"
#include "link.h"
#include "memfd.h"
#include "name_text.h"
#include "prealloc.h"
#include "recover.h"
#include "revert_compare.h"
#include "verbs.h"

#define LOCK_TRIES	  250 /* 20 ms each */
#define LOCK_TRIES_A_LOOK 25

struct reverting {
	const struct state *s;
	int dirfd; /* of the guarded directory; -1 = it is gone */
	int tmpfd;
	struct export_worker *exporter; /* NULL until there is something to export */
	struct export_counters counters;
	struct journal journal;
	uint64_t deadline_ns; /* for writers that have not closed yet */
	int failed;	      /* files that could not be brought home */
	unsigned int exported;
};

/* By a descriptor, so that no other process that got this pid meanwhile is hit. */
static int stop_guard(const struct state *s)
{
	struct pollfd p = { .events = POLLIN };
	int err = 0;

	p.fd = (int)syscall(SYS_pidfd_open, s->pid, 0);
	if (p.fd < 0 || !state__alive(s)) {
		if (p.fd >= 0)
			close(p.fd);
		return 0;
	}
	for (int i = 0; i < 2 && !err; i++) {
		if (syscall(SYS_pidfd_send_signal, p.fd, i ? SIGKILL : SIGTERM, NULL, 0))
			err = errno == ESRCH ? 0 : -errno;
		if (!err && poll(&p, 1, 10000) == 1)
			break;
		if (!i)
			log_warn("the guard (pid %d) does not stop; killing it", s->pid);
	}
	close(p.fd);
	return err ? log_err(err, "cannot stop the guard, pid %d", s->pid) : 0;
}

/* Nobody else is left to see a lease break: waits until the last writer has closed. */
static int lease_when_closed(int fd, const char *what, uint64_t deadline_ns)
{
	const struct timespec nap = { .tv_nsec = 20000000 };
	bool said = false;

	for (;;) {
		int err = lease__try(fd);

		if (err != -EAGAIN)
			return err;
		if (!said)
			log_info("%s is still being written; waiting for its writer", what);
		said = true;
		if (now_ns() > deadline_ns)
			return -ETXTBSY;
		nanosleep(&nap, NULL);
	}
	return 0;
}

/* Behind the copy; the journal first, so that a revert that is killed is understood by the next. */
static int commit(struct reverting *r, struct recovered *f, const char *tmp,
		  const struct seen *seen)
{
	int fd = held__announce_commit(&r->journal, f->n, f->dirfd, tmp, seen, true);
	int err = fd < 0 ? fd : 0;

	if (!err && lease__is_lost(&f->memory))
		err = -ECANCELED;
	if (err)
		unlinkat(f->dirfd, tmp, 0);
	else
		err = export__commit(f->dirfd, tmp, f->name, f->target);
	f->seen = *seen;
	if (!err && lease__is_lost(&f->memory))
		err = recovered__take_back(f, r->dirfd, fd, r->deadline_ns);
	if (!err && f->linkfd >= 0 && link__names(f->linkfd))
		err = link__give_all(r->dirfd, f->target, fd);
	if (fd >= 0)
		close(fd);
	return err < 0 ? err : 0;
}

static int copy_and_commit(struct reverting *r, struct recovered *f)
{
	struct export_hooks hooks = { .cancelled = lease__is_lost, .arg = &f->memory };
	char tmp[NAME_MAX + 32];
	struct export_result res;
	int err;

	export__tmp_name(tmp, sizeof(tmp), f->name);
	err = export__copy(r->exporter, f->memory, f->dirfd, tmp, &hooks, &res);
	if (err)
		return err;
	if (!res.read_back)
		err = export__read_back(r->exporter, f->dirfd, tmp, &hooks, &res);
	if (!err)
		return commit(r, f, tmp, &res.seen);
	unlinkat(f->dirfd, tmp, 0);
	return err;
}

static int start_exporter(struct reverting *r)
{
	return r->exporter ? 0 : export_worker__start(&r->exporter, &r->counters);
}

/* The lease stays on what came home, until its memory is dropped. */
static int export_now(struct reverting *r, struct recovered *f)
{
	int err = start_exporter(r);

	if (err)
		return err;
	do {
		err = lease_when_closed(f->memory, f->name, r->deadline_ns);
		if (err)
			return err;
		err = copy_and_commit(r, f);
		if (err)
			fcntl(f->memory, F_SETLEASE, F_UNLCK);
	} while (err == -ECANCELED);
	if (!err)
		r->exported++;
	return err;
}

/* What we put there ourselves, ahead of a writer, and none came. */
static bool was_never_written(const struct recovered *f, json_t *file)
{
	struct stat st;

	return !record__int(file, "resumed_ns") &&
	       !json_is_true(json_object_get(file, "made_by_writer")) && !fstat(f->memory, &st) &&
	       !st.st_size && !lease__try(f->memory);
}

static int bring_home(struct reverting *r, json_t *file, struct recovered *f)
{
	int err;

	if (was_never_written(f, file)) {
		err = link__remove(f->dirfd, f->name, f->target);
		return err ? log_err(err,
				     "the link %s/%s is still there; repeat the revert when that "
				     "is solved",
				     f->dir, f->name)
			   : 0;
	}
	err = export_now(r, f);
	if (err == -ENODATA) /* of a medium; revert_memory() takes it for a loss */
		err = -EIO;
	if (err == -ENOENT ||
	    err == -EAGAIN) /* its owner took the link away, or moved it: the next look tells */
		return -EAGAIN;
	return err ? log_err(err,
			     "%s/%s stays in memory at %s; repeat the revert when that is "
			     "solved",
			     f->dir, f->name, f->target)
		   : 0;
}

static int settle_durable(struct reverting *r, struct recovered *f)
{
	int err = 0;

	if (f->memory >= 0 && !f->settled && !r->s->conf.no_readback) {
		err = start_exporter(r);
		if (!err)
			err = revert_compare__file(r->exporter, r->dirfd, f, r->deadline_ns);
	}
	if (err)
		return err;
	err = recovered__give_names(f, r->dirfd);
	return err ? log_err(err, "%s/%s is on disk, but not under all of its names", f->dir,
			     f->name)
		   : 0;
}

static int revert_recovered(struct reverting *r, json_t *file, struct recovered *f)
{
	switch (f->state) {
	case RECOVERED_LINKED:
		return bring_home(r, file, f);
	case RECOVERED_LOST:
		link__remove(f->dirfd, f->name, f->target);
		return log_err(-ENODATA, "LOST: %s/%s was never durable and its memory is gone",
			       f->dir, f->name);
	case RECOVERED_NOTHING:
		link__remove(f->dirfd, f->name, f->target);
		log_warn("%s/%s: its memory is gone; nobody was seen writing to it", f->dir,
			 f->name);
		return 0;
	case RECOVERED_AWAY:
		return log_err(
			-EXDEV,
			"the link %s/%s was moved out of %s; its bytes stay at %s: copy them "
			"to where they belong, remove that file and repeat the revert",
			f->dir, f->name, r->s->conf.dir, f->target);
	case RECOVERED_BOTH:
		return revert_compare__keep_both(f, -EUCLEAN, RECOVERED_BOTH_CHANGED);
	case RECOVERED_DURABLE:
		return settle_durable(r, f);
	case RECOVERED_REMOVED:
	case RECOVERED_DONE:
		break;
	}
	return 0;
}

/* -EAGAIN where what is there has changed meanwhile, or somebody writes to what may go. */
static int revert_once(struct reverting *r, json_t *file, struct recovered *f)
{
	int err = recover__file(file, r->dirfd, r->tmpfd, r->s->conf.tmp_dir, f);

	if (err == -EAGAIN)
		return err;
	if (err) /* a record that makes no sense speaks of nothing */
		return err == -EBADMSG ? 0 : log_err(err, "cannot open %s/%s", f->dir, f->name);
	if (recovered__never_compared(f) && !r->s->conf.no_readback)
		log_warn("%s/%s was synced and never compared, and its memory is gone", f->dir,
			 f->name);
	err = revert_recovered(r, file, f);
	if (!err && r->tmpfd >= 0)
		err = held__drop_memory(r->tmpfd, f->n, f->memory_name);
	recovered__close(f);
	return err;
}

static void revert_memory(struct reverting *r, json_t *file)
{
	const struct timespec nap = { .tv_nsec = 20000000 };
	struct recovered f;
	int err;

	while ((err = revert_once(r, file, &f)) == -EAGAIN && now_ns() < r->deadline_ns)
		nanosleep(&nap, NULL);
	if (err == -EAGAIN)
		log_err(-ETXTBSY,
			"%s/%s: somebody still writes to its memory, at %s; repeat the "
			"revert when that is over",
			f.dir, f.name, f.target);
	if (err == -ENODATA)
		r->failed++;
	else if (err)
		r->failed += 1 << 16; /* still there: the journal must stay */
}

static int open_spare_dir(struct reverting *r, json_t *file)
{
	const char *handle = record__text(file, "handle");
	char dir[NAME_MAX + 1];

	if (r->dirfd < 0)
		return -ESTALE;
	name_text__from_json(json_object_get(file, "dir"), dir, sizeof(dir));
	return *handle ? handle__open(r->dirfd, handle, O_DIRECTORY)
		       : beneath__open(r->dirfd, dir, O_PATH | O_DIRECTORY, 0);
}

/* A planted spare that nobody wrote to would pass for a snapshot of zeros. */
static void revert_spare(struct reverting *r, json_t *file)
{
	char name[NAME_MAX + 1];
	struct stat st;
	int dirfd, fd;

	name_text__from_json(json_object_get(file, "name"), name, sizeof(name));
	if (strcmp(record__text(file, "state"), "planted") != 0 || !name_ok(name))
		return;
	dirfd = open_spare_dir(r, file);
	if (dirfd < 0)
		return;
	fd = beneath__open(dirfd, name, O_RDONLY | O_NONBLOCK, 0);
	if (fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode) &&
	    (json_int_t)st.st_ino == record__int(file, "ino") && lseek(fd, 0, SEEK_DATA) < 0 &&
	    errno == ENXIO && !fcntl(fd, F_SETLEASE, F_RDLCK)) {
		if (unlinkat(dirfd, name, 0) && errno != ENOENT) {
			log_err(-errno, "%s/%s, a spare, is still there", record__text(file, "dir"),
				name);
			r->failed += 1 << 16;
		}
		fcntl(fd, F_SETLEASE, F_UNLCK);
	}
	if (fd >= 0)
		close(fd);
	close(dirfd);
}

static int open_places(struct reverting *r)
{
	const struct fix_conf *c = &r->s->conf;
	struct statfs fs;
	struct stat st;
	uint64_t fsid = 0;

	r->tmpfd = c->tmp_dir[0] ? open(c->tmp_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
				 : -1;
	cover__clear_dead(c->dir); /* of a guard that was killed with its supervisor */
	r->dirfd = dir__open(c->dir);
	if (r->dirfd >= 0 && !fstat(r->dirfd, &st) && !fstatfs(r->dirfd, &fs))
		memcpy(&fsid, &fs.f_fsid, sizeof(fsid));
	if (r->dirfd >= 0 && (fsid != c->fsid || st.st_ino != c->ino)) {
		close(r->dirfd); /* another file system is mounted there, or none */
		r->dirfd = -1;
	}
	return 0;
}

/* Memory whose file system is not mounted is kept: its journal stays until it is. */
static int check_places(const struct reverting *r)
{
	const char *key;
	json_t *file;

	if (r->dirfd >= 0 || r->tmpfd < 0)
		return 0;
	json_object_foreach (r->s->files, key, file) {
		char path[NAME_MAX + 32], name[NAME_MAX + 1];

		name_text__from_json(json_object_get(file, "planted_name"), name, sizeof(name));
		snprintf(path, sizeof(path), "%u/%s", (uint32_t)record__int(file, "n"), name);
		if (!faccessat(r->tmpfd, path, F_OK, AT_SYMLINK_NOFOLLOW))
			return log_err(-ENODEV,
				       "%s is not mounted, and %s holds what belongs there; mount "
				       "it and repeat (or remove %s to give it up)",
				       r->s->conf.dir, r->s->conf.tmp_dir, r->s->conf.tmp_dir);
	}
	return 0;
}

/* What is not ours any more is left to whoever made it so; what cannot be removed is still to be. */
static int remove_spare(const struct reverting *r)
{
	int err = spare__remove(r->dirfd, HIDDEN_DIR);

	if (err == -ENOTEMPTY || err == -ENOTDIR || err == -ELOOP) {
		log_warn("%s/%s was not removed: %s", r->s->conf.dir, HIDDEN_DIR, strerror(-err));
		return 0;
	}
	return err ? log_err(err, "%s/%s is still there; repeat the revert when that is solved",
			     r->s->conf.dir, HIDDEN_DIR)
		   : 0;
}

static int undo_files(struct reverting *r)
{
	const char *key;
	json_t *file;
	int err = check_places(r);

	if (!err)
		err = tune__revert(r->s->knobs, "");
	if (err)
		return err;
	json_object_foreach (r->s->files, key, file) {
		if (r->s->conf.mitigation == MITIGATION_MEMFD)
			revert_memory(r, file);
		else
			revert_spare(r, file);
	}
	if (r->dirfd >= 0 && r->s->conf.mitigation == MITIGATION_FALLOCATE) {
		err = remove_spare(r);
		if (err)
			return err;
	}
	if (r->failed >= 1 << 16)
		return -EBUSY;
	/* on disk before the journal goes: else a crash brings back what nobody knows of any more */
	err = r->dirfd < 0 ? 0 : export__sync_dir(r->dirfd);
	if (err && err != -EINVAL)
		return log_err(err, "%s cannot be synced; repeat the revert when that is solved",
			       r->s->conf.dir);
	recover__sweep(r->s->files, r->tmpfd);
	if (r->tmpfd >= 0 && rmdir(r->s->conf.tmp_dir) && errno != ENOENT)
		log_warn("%s was not removed: %s", r->s->conf.tmp_dir, strerror(errno));
	return 0;
}

static void remove_log(const char *path)
{
	char log[PATH_MAX];

	snprintf(log, sizeof(log), "%s", path);
	memcpy(strrchr(log, '.'), ".log", 5);
	unlink(log);
}

/* Of `fix memfd open`: its holder is needed until the end. */
static bool is_held(const char *path)
{
	struct fix_conf conf;

	return state__conf(path, &conf) && conf.mitigation == MITIGATION_HELD;
}

static int load_and_stop(const char *path)
{
	struct state s = { 0 };
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), err;

	if (fd < 0)
		return -errno;
	err = state__load(fd, path, &s);
	close(fd);
	if (!err)
		err = stop_guard(&s);
	state__free(&s);
	return err;
}

/*
 * Its last threads let go of the lock a little later. A supervisor starts another server when one is
 * killed, perhaps while we look: then the journal names another guard than before. The lock, or
 * -ENOENT: another revert was faster.
 */
static int stop_and_lock(const char *path)
{
	const struct timespec nap = { .tv_nsec = 20000000 };
	int fd = -EBUSY;

	for (int i = 0; i < LOCK_TRIES && fd == -EBUSY; i++) {
		int err = i % LOCK_TRIES_A_LOOK ? 0 : load_and_stop(path);

		if (err)
			return err;
		fd = state__lock(path, false);
		if (fd == -EBUSY)
			nanosleep(&nap, NULL);
	}
	return fd == -EBUSY ? log_err(fd, "%s is in use by another flatpause-fixer", path) : fd;
}

/* An `apply` that was killed before it wrote its intent has done nothing yet. */
static bool is_empty(const char *path)
{
	struct stat st;

	return !stat(path, &st) && st.st_size <= (off_t)sizeof(struct journal_header);
}

/* A search for a link has every directory above it open. */
static void allow_open_files(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files))
		return;
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
}

int revert__journal(const char *path, uint64_t wait_ns)
{
	struct reverting r = { .dirfd = -1, .tmpfd = -1 };
	struct state s = { 0 };
	int err, fd = -1;

	allow_open_files();
	if (is_empty(path)) {
		fd = state__lock(path, false);
		if (fd < 0)
			return log_err(fd, "%s is in use by another flatpause-fixer", path);
		unlink(path);
		close(fd);
		return 0;
	}
	if (is_held(path))
		return memfd__bring_home(path, path, MEMFD_CLOSE, wait_ns);
	fd = stop_and_lock(path);
	if (fd < 0) {
		err = fd == -ENOENT ? 0 : fd;
		goto out;
	}
	err = state__load(fd, path, &s); /* with what the guard wrote until it stopped */
	if (err)
		goto out;
	r.s = &s;
	r.deadline_ns = now_ns() + wait_ns;
	err = journal__continue(&r.journal, fd, s.read.seq, s.read.end);
	if (!err)
		err = open_places(&r);
	if (!err)
		err = undo_files(&r);
	if (err)
		goto out;
	unlink(path);
	remove_log(path);
	if (r.exported)
		log_info("%u memory file%s of %s exported and synced", r.exported,
			 r.exported == 1 ? "" : "s", s.conf.dir);
	log_info("%s is no longer in force for %s", mitigation_name(s.conf.mitigation), s.conf.dir);
	err = r.failed ? -ENODATA : 0;
out:
	export_worker__stop(r.exporter);
	for (int i = 0; i < 3; i++) {
		int each[] = { fd, r.dirfd, r.tmpfd };

		if (each[i] >= 0)
			close(each[i]);
	}
	if (r.s && state__cover_dev(&s))
		left_covers__warn(state__cover_dev(&s), s.conf.dir);
	state__free(&s);
	return err;
}

int revert__dir(const char *dir, uint64_t wait_ns)
{
	char path[PATH_MAX];
	int err = state__find(dir, path);

	if (err == -ENOENT) {
		log_info("nothing is in force for %s", dir);
		return 0;
	}
	return err ? err : revert__journal(path, wait_ns);
}
