// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * From a memfd to its path. The holder only holds: whoever calls this does the work, so that it may
 * be killed at any point and done again. The inode that is about to be renamed is written down
 * before; what was written to the memory later than to that file is exported again.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../user/clock.h"
#include "../user/log.h"
#include "beneath.h"
#include "export.h"
#include "hold.h"
#include "lease.h"
#include "memfd.h"

struct homing {
	struct state s;
	const char *journal_path;
	struct journal journal;
	json_t *file;
	int journal_fd, dirfd, memory;
	struct stat st;	  /* of the memory */
	const char *name; /* in dirfd */
	char target[64];  /* of the link */
	char tmp[NAME_MAX + 32];
	uint64_t deadline_ns;
};

static json_int_t int_of(const struct homing *h, const char *key)
{
	return json_integer_value(json_object_get(h->file, key));
}

static bool state_is(const struct homing *h, const char *state)
{
	const char *text = json_string_value(json_object_get(h->file, "state"));

	return text && !strcmp(text, state);
}

static int load(struct homing *h, const char *path)
{
	const char *target;
	int err;

	h->journal_fd = state__lock(h->journal_path, false);
	if (h->journal_fd == -ENOENT)
		return log_err(-ENOENT, "nothing is held for %s", path);
	if (h->journal_fd < 0)
		return log_err(h->journal_fd, "%s is in the hands of another flatpause-fixer",
			       h->journal_path);
	err = state__load(h->journal_fd, h->journal_path, &h->s);
	if (err)
		return err;
	if (h->s.conf.mitigation != MITIGATION_HELD)
		return log_err(-EINVAL, "%s is of another mitigation", h->journal_path);
	h->name = h->s.conf.name;
	h->file = json_object_get(h->s.files, "1");
	target = json_string_value(json_object_get(h->file, "target"));
	snprintf(h->target, sizeof(h->target), "%s", target ? target : "");
	export__tmp_name(h->tmp, sizeof(h->tmp), h->name);
	return journal__continue(&h->journal, h->journal_fd, h->s.read.seq, h->s.read.end);
}

/* The very directory, and not what somebody has put under its name since. */
static int open_dir(struct homing *h)
{
	const struct fix_conf *c = &h->s.conf;
	struct stat st;

	h->dirfd = dir__open(c->dir);
	if (h->dirfd < 0 || fstat(h->dirfd, &st))
		return log_err(h->dirfd < 0 ? h->dirfd : -errno,
			       "cannot open %s; the memory of %s is kept", c->dir, h->name);
	if (st.st_dev != c->dev || st.st_ino != c->ino)
		return log_err(-ESTALE, "%s is another directory now; the memory of %s is kept",
			       c->dir, h->name);
	return 0;
}

static int record(struct homing *h, const char *state, uint64_t commit, uint64_t before,
		  const struct seen *seen)
{
	json_t *j = json_pack("{s:i, s:s, s:I, s:I}", "n", 1, "state", state, "commit",
			      (json_int_t)commit, "commit_before", (json_int_t)before);

	if (seen)
		seen__to_json(seen, j);
	return journal__append(&h->journal, REC_FILE, j, 1);
}

/* Whether it is ours by number and birth: a number alone is given out again at once. */
static bool is_known(const struct homing *h, const char *name, const char *key)
{
	uint64_t ident = memfd__ident(h->dirfd, name);

	return ident && ident == (uint64_t)int_of(h, key);
}

/* Whether our file is at its path and nothing was written to the memory since. */
static bool is_home(const struct homing *h)
{
	struct seen seen;
	struct stat st;

	seen__from_json(&seen, h->file);
	return is_known(h, h->name, "commit") &&
	       !fstatat(h->dirfd, h->name, &st, AT_SYMLINK_NOFOLLOW) &&
	       seen__is_current(&seen, &h->st, &st);
}

/* What may stand at the path and is replaced: what stood there at first, our link, our last export. */
static bool may_replace(const struct homing *h, const char *name)
{
	struct stat st;

	if (fstatat(h->dirfd, name, &st, AT_SYMLINK_NOFOLLOW))
		return false;
	if (S_ISLNK(st.st_mode))
		return json_is_true(json_object_get(h->file, "linked")) &&
		       export__is_link(h->dirfd, name, h->target);
	return is_known(h, name, "old") || is_known(h, name, "commit") ||
	       is_known(h, name, "commit_before");
}

/* By exchange, so that a file which came between check and rename comes back out unharmed. */
static int put(struct homing *h)
{
	if (!renameat2(h->dirfd, h->tmp, h->dirfd, h->name, RENAME_NOREPLACE))
		return 0;
	if (errno != EEXIST)
		return -errno;
	if (!may_replace(h, h->name))
		return -EEXIST;
	if (renameat2(h->dirfd, h->tmp, h->dirfd, h->name, RENAME_EXCHANGE))
		return -errno;
	if (may_replace(h, h->tmp))
		return unlinkat(h->dirfd, h->tmp, 0) ? -errno : 0;
	return renameat2(h->dirfd, h->tmp, h->dirfd, h->name, RENAME_EXCHANGE) ? -errno : -EEXIST;
}

/* Of one that was killed between the exchange and the unlink, or while it copied. */
static void clear_tmp(struct homing *h)
{
	if (faccessat(h->dirfd, h->tmp, F_OK, AT_SYMLINK_NOFOLLOW))
		return;
	if (is_known(h, h->name, "commit") && !may_replace(h, h->tmp))
		renameat2(h->dirfd, h->tmp, h->dirfd, h->name, RENAME_EXCHANGE); /* another's */
	unlinkat(h->dirfd, h->tmp, 0);
}

static int wait_for_writers(struct homing *h)
{
	const struct timespec nap = { .tv_nsec = 20000000 };
	bool said = false;

	for (;;) {
		int err = lease__try(h->memory);

		if (!err)
			return 0;
		if (err != -EAGAIN)
			return log_err(err, "no lease on the memory of %s", h->name);
		if (!said)
			log_info("%s is still being written; waiting for its writer", h->name);
		said = true;
		if (now_ns() > h->deadline_ns)
			return log_err(-ETXTBSY, "%s is still being written", h->name);
		nanosleep(&nap, NULL);
	}
}

static bool lease_broken(void *arg)
{
	return fcntl(*(int *)arg, F_GETLEASE) != F_RDLCK;
}

static int copy_and_put(struct homing *h, struct export_worker *w)
{
	const struct export_hooks hooks = { .cancelled = lease_broken, .arg = &h->memory };
	struct export_result res;
	uint64_t ident = 0, before = (uint64_t)int_of(h, "commit");
	int err = export__copy(w, h->memory, h->dirfd, h->tmp, &hooks, &res);

	if (!err && !res.read_back)
		err = export__read_back(w, h->dirfd, h->tmp, &hooks, &res);
	if (!err)
		ident = memfd__ident(h->dirfd, h->tmp);
	if (!err)
		err = record(h, "being renamed", ident, before, &res.seen);
	if (!err && lease_broken(&h->memory))
		err = -ECANCELED;
	if (!err)
		err = put(h);
	if (err) {
		unlinkat(h->dirfd, h->tmp, 0);
		return err;
	}
	json_object_set_new(h->file, "commit", json_integer((json_int_t)ident));
	return export__sync_dir(h->dirfd);
}

/* Again as long as somebody writes: what is written last is what stays. */
static int export_it(struct homing *h)
{
	static struct export_counters counters;
	struct export_worker *w = NULL;
	int err = export_worker__start(&w, &counters);

	if (err)
		return err;
	do {
		err = wait_for_writers(h);
		if (err)
			goto out;
		err = copy_and_put(h, w);
		if (!err && lease_broken(&h->memory))
			err = -ECANCELED;
		fcntl(h->memory, F_SETLEASE, F_UNLCK);
	} while (err == -ECANCELED);
	if (err)
		log_err(err, "%s/%s is not exported; its memory is kept, at %s", h->s.conf.dir,
			h->name, h->target);
	else
		err = record(h, "durable", (uint64_t)int_of(h, "commit"), 0, NULL);
out:
	export_worker__stop(w);
	return err;
}

/* Of what we made: the link, where it still is ours. */
static void remove_link(struct homing *h)
{
	if (export__is_link(h->dirfd, h->name, h->target))
		unlinkat(h->dirfd, h->name, 0);
}

static int report_lost(struct homing *h)
{
	if (state_is(h, "durable"))
		return 0; /* its holder ended behind the export: nothing is missing */
	if (open_dir(h))
		return -ESTALE;
	remove_link(h);
	clear_tmp(h);
	unlink(h->journal_path);
	if (!h->s.pid)
		return 0; /* killed before anybody was told of it */
	return log_err(-ENODATA, "LOST: %s/%s was never durable and its memory is gone",
		       h->s.conf.dir, h->name);
}

static int bring(struct homing *h, enum memfd_end end)
{
	int err;

	h->memory = h->file ? hold__open(&h->s, (ino_t)int_of(h, "memory_ino")) : -ENODATA;
	if (h->memory < 0 || fstat(h->memory, &h->st))
		return report_lost(h);
	err = open_dir(h);
	if (err)
		return err;
	clear_tmp(h);
	err = end == MEMFD_DISCARD ? 0 : wait_for_writers(h);
	if (!err && fstat(h->memory, &h->st)) /* with what they have written meanwhile */
		err = -errno;
	fcntl(h->memory, F_SETLEASE, F_UNLCK);
	if (err)
		return err;
	if (end == MEMFD_DISCARD || (!h->st.st_blocks && !is_home(h))) {
		if (end == MEMFD_EXPORT)
			return log_err(-ENODATA, "nothing was written to the memory of %s",
				       h->name);
		remove_link(h);
		return 0;
	}
	return is_home(h) ? 0 : export_it(h);
}

int memfd__bring_home(const char *path, const char *journal, enum memfd_end end, uint64_t wait_ns)
{
	struct homing h = { .journal_path = journal, .journal_fd = -1, .dirfd = -1, .memory = -1 };
	int err;

	h.deadline_ns = now_ns() + wait_ns;
	err = load(&h, path);
	if (!err)
		err = bring(&h, end);
	if (!err && end != MEMFD_EXPORT) {
		hold__end(&h.s);
		unlink(journal);
	}
	for (int i = 0; i < 3; i++) {
		int each[] = { h.journal_fd, h.dirfd, h.memory };

		if (each[i] >= 0)
			close(each[i]);
	}
	state__free(&h.s);
	return err;
}

int memfd__used(const char *path, uint64_t *bytes)
{
	struct state s = { 0 };
	char journal[PATH_MAX];
	struct stat st;
	int err = memfd__journal(path, journal), fd, memory;

	if (err)
		return err;
	fd = open(journal, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return log_err(-ENOENT, "nothing is held for %s", path);
	err = state__load(fd, journal, &s);
	close(fd);
	if (err)
		goto out;
	memory = hold__open(&s, (ino_t)json_integer_value(json_object_get(
					json_object_get(s.files, "1"), "memory_ino")));
	if (memory < 0 || fstat(memory, &st))
		err = log_err(-EBADF, "the memory of %s is closed", path);
	else
		*bytes = (uint64_t)st.st_blocks * 512;
	if (memory >= 0)
		close(memory);
out:
	state__free(&s);
	return err;
}
