// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Brings memory files to their real place, side by side: each worker has a thread, a pool and a lease
 * of its own, and one file in hand. They share the journal, the rate, and what they give way to:
 * every writer below the directory.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../user/clock.h"
#include "beneath.h"
#include "export.h"
#include "guard.h"
#include "link.h"
#include "recover.h"

#define NAMES_TRIES 8 /* for an owner who moves names as fast as we look */

static bool is_cancelled(void *arg)
{
	struct exporter *e = arg;

	return lease__is_broken(&e->lease) || atomic_load(&e->g->quit);
}

static void give_way(void *arg)
{
	const struct timespec nap = { .tv_nsec = 1000000 };
	struct exporter *e = arg;

	while (!is_cancelled(e) && keeper__window_is_open(e->g))
		nanosleep(&nap, NULL);
}

static struct export_hooks hooks_of(struct exporter *e)
{
	return (struct export_hooks){
		.yield = give_way, .cancelled = is_cancelled, .arg = e, .share = &e->g->export_share
	};
}

/* ---- what is written down ---- */

static void record_durable(struct guard *g, const struct held *h, const struct export_result *r)
{
	char crc[16];
	json_t *j;

	snprintf(crc, sizeof(crc), "%08x", r->crc);
	j = json_pack("{s:I, s:s, s:I, s:I, s:I, s:I, s:s, s:f, s:f, s:s, s:b, s:i, s:I}", "n",
		      (json_int_t)h->n, "state", "durable", "resumed_ns",
		      (json_int_t)h->closed_real_ns, "durable_ns",
		      (json_int_t)clock_ns(CLOCK_REALTIME), "size", (json_int_t)r->bytes,
		      "data_bytes", (json_int_t)r->data_bytes, "crc32c", crc, "copy_ms",
		      (double)r->copy_ns / 1e6, "sync_ms", (double)r->sync_ns / 1e6, "way",
		      way_name(r->way), "read_back", r->read_back, "restarts", h->restarts,
		      "file_ctime_ns", (json_int_t)h->file_ctime_ns);
	journal__append(&g->journal, REC_FILE, j, 1);
}

/* ---- one file ---- */

/* A file on its way. */
struct homing {
	struct exporter *e;
	struct held *h;
	int filefd; /* O_PATH of what has taken the place of the link; -1 = nothing yet */
	struct export_result r;
};

/*
 * Hard links to the link: each becomes one to the file. More than once where its owner moves them
 * meanwhile: a search may miss what is renamed behind it.
 */
static int give_names(const struct homing *m)
{
	struct guard *g = m->e->g;
	struct held *h = m->h;
	int cnt = 1;

	for (int i = 0; i < NAMES_TRIES && h->linkfd >= 0 && link__names(h->linkfd); i++) {
		cnt = link__give_all(g->dirfd, h->target, m->filefd);
		if (cnt < 0)
			return cnt;
	}
	if (!cnt)
		guard__note(
			g, "%s/%s: another name of its link is not below %s, and leads nowhere now",
			h->dir, h->name, g->conf.dir);
	return 0;
}

/* To where its owner has moved the file since it took the place of the link. */
static int follow_file(const struct homing *m)
{
	char dir[NAME_MAX + 1], name[NAME_MAX + 1];
	int dirfd = link__where(m->e->g->dirfd, m->filefd, dir, name);

	if (dirfd < 0)
		return dirfd;
	held__moved(m->e->g, m->h, dirfd, dir, name);
	return 0;
}

/* A human has to tell which copy is the right one, now or behind a revert. */
static int keep_both(struct homing *m, int why, const char *what)
{
	struct held *h = m->h;

	h->linked = false; /* out of our hands */
	resume__say_kept(m->e->g, h->n, h->dir, h->name, h->target, what);
	return why;
}

/*
 * The link again, in the place of what cannot be relied on, whatever that is called now; what others
 * have put under its first name stays. `why` is returned.
 */
static int take_back(struct homing *m, int why)
{
	struct guard *g = m->e->g;
	struct held *h = m->h;
	char tmp[NAME_MAX + 32], what[128];
	struct stat st;
	int err = -ENOENT;

	for (int i = 0; i < NAMES_TRIES && err == -ENOENT; i++) {
		if (fstat(m->filefd, &st) || !st.st_nlink)
			return why; /* removed by its owner: the link's other names, if any, decide */
		if (seen__is_his(&h->seen, &st))
			return keep_both(m, why, RECOVERED_BOTH_CHANGED);
		export__tmp_name(tmp, sizeof(tmp), h->name);
		err = export__relink(h->dirfd, tmp, h->name, h->target, st.st_dev, st.st_ino);
		if (err == -ENOENT && follow_file(m))
			break;
	}
	if (err) { /* or it would pass for deleted by its owner, and go */
		snprintf(what, sizeof(what), "cannot be replaced by its link (%s)", strerror(-err));
		return keep_both(m, why, what);
	}
	pthread_mutex_lock(&g->lock); /* it is another link than before */
	if (h->linkfd >= 0)
		close(h->linkfd);
	h->linkfd = link__open(h->dirfd, h->name);
	pthread_mutex_unlock(&g->lock);
	held__remember_link(g, h);
	return why;
}

/* Of a file that is home: it is durable, and no record may say anything else. */
static int home_failed(struct guard *g, struct held *h, int err)
{
	h->retry_ns = now_ns() + GUARD_RETRY_NS;
	if (err != h->said_err)
		guard__note(g,
			    "%s/%s is on disk, cannot be compared for now (%s) and is kept at %s",
			    h->dir, h->name, strerror(-err), h->target);
	h->said_err = err;
	return err;
}

/*
 * Not now. Both copies stay where they are, and no record says otherwise than that one has taken the
 * place of the link: whoever comes next, if not we, comes to the same.
 */
static int stay_home(struct homing *m, int err)
{
	struct guard *g = m->e->g;
	struct held *h = m->h;

	h->home = true;
	h->filefd = m->filefd;
	m->filefd = -1;
	if (!atomic_load(&g->quit))
		home_failed(g, h, err);
	return err;
}

static bool is_there(const struct held *h, const struct stat *file)
{
	struct stat st;

	return !fstatat(h->dirfd, h->name, &st, AT_SYMLINK_NOFOLLOW) && st.st_dev == file->st_dev &&
	       st.st_ino == file->st_ino;
}

/* Whether the rename was done, whatever failed behind it. */
static bool is_in_place(const struct homing *m)
{
	struct stat file;

	return !fstat(m->filefd, &file) && is_there(m->h, &file);
}

/*
 * Renames, waits for late writers (one may have followed the link before the rename), and takes the
 * rename back where one comes.
 */
static int commit(struct homing *m, const char *tmp)
{
	struct exporter *e = m->e;
	struct held *h = m->h;
	int err;

	m->filefd = held__announce_commit(&e->g->journal, h->n, h->dirfd, tmp, &m->r.seen, false);
	err = m->filefd < 0 ? m->filefd : lease__commit(&e->lease) ? 0 : -ECANCELED;
	if (err) {
		unlinkat(h->dirfd, tmp, 0);
		return err;
	}
	err = export__commit(h->dirfd, tmp, h->name, h->target);
	if (err && !is_in_place(m))
		return err;
	export__renamed(m->filefd, &m->r);
	h->seen = m->r.seen;
	h->file_ctime_ns = timespec_ns(&m->r.ctime);
	if (err) /* renamed, but its directory is not synced: nothing may go yet */
		return stay_home(m, err);
	return lease__linger(&e->lease, GUARD_LINGER_NS) ? take_back(m, -ECANCELED) : 0;
}

/* As it is found behind a reboot: what was synced is there, and that is all that can be said. */
static int memory_is_gone(struct guard *g, int slot)
{
	struct held *h = &g->held[slot];
	int err = link__give_all(g->dirfd, h->target, h->filefd);
	const struct held was = *h;

	if (err >= 0)
		err = held__release(g, slot);
	if (err)
		return home_failed(g, h, err);
	resume__say_never_compared(g, was.n, was.dir, was.name);
	return 0;
}

/* What follows from a comparison: only what is known to be so lets either copy go. */
static int judge(struct homing *m, int err)
{
	struct guard *g = m->e->g;
	struct held *h = m->h;

	switch (err) {
	case 0:
	case -ESTALE: /* its owner has written to it: it is his */
		break;
	case -ECANCELED:
		return atomic_load(&g->quit) ? stay_home(m, err) : take_back(m, err);
	case -EBADMSG:
	case -EIO:
		guard__note(g, "%s/%s: the disk does not give back what was written: %s", h->dir,
			    h->name, strerror(-err));
		return take_back(m, err);
	case -EUCLEAN:
		return keep_both(m, err,
				 "is not what was written to it, and who changed it is not known");
	case -ENODATA:
		return keep_both(m, err, "cannot be compared, its memory cannot be read");
	default:
		return stay_home(m, err);
	}
	journal__append(&g->journal, REC_FILE,
			json_pack("{s:I, s:s, s:b, s:b, s:f}", "n", (json_int_t)h->n, "state",
				  "durable", "settled", 1, "read_back", m->r.read_back, "verify_ms",
				  (double)m->r.verify_ns / 1e6),
			0);
	return 0;
}

/*
 * The file is durable and at its place; its memory stays until the device has given the same bytes
 * back. Where it gives others, the link comes back and all is done again.
 */
static int compare(struct homing *m, const struct export_hooks *hooks)
{
	int err = 0;

	if (!m->e->g->conf.no_readback && !m->r.read_back)
		err = export__read_back_file(m->e->worker, m->filefd, hooks, &m->r);
	return judge(m, err);
}

/* When it is tried again, and why it failed; 0 where its owner deleted it, and it was let go. */
static int after_failure(struct guard *g, int slot, int err)
{
	struct held *h = &g->held[slot];

	if (atomic_load(&g->quit) || !h->linked)
		return err;
	if (!held__follow_link(g, h))
		return held__deleted(g, slot);
	if (err == -ECANCELED || err == -ENOENT) { /* written to, or moved, meanwhile */
		h->restarts++;
		h->retry_ns = now_ns() + GUARD_SETTLE_NS;
		held__record(g, h, "in memory: written again");
		return err;
	}
	h->retry_ns = now_ns() + GUARD_RETRY_NS;
	held__record(g, h,
		     err == -ENOSPC   ? "in memory: no space on disk, trying again"
		     : err == -EDQUOT ? "in memory: over quota, trying again"
				      : "in memory: export failed, trying again");
	guard__note(g, "%s/%s stays in memory and is tried again: %s", h->dir, h->name,
		    strerror(-err));
	return err;
}

static int copy_and_commit(struct homing *m, int src)
{
	struct exporter *e = m->e;
	struct held *h = m->h;
	const struct export_hooks hooks = hooks_of(e);
	char tmp[NAME_MAX + 32];
	int err;

	held__record(e->g, h, "being exported");
	export__tmp_name(tmp, sizeof(tmp), h->name);
	err = export__copy(e->worker, src, h->dirfd, tmp, &hooks, &m->r);
	if (err == -EEXIST) { /* of a guard that died: only we use this name */
		unlinkat(h->dirfd, tmp, 0);
		err = export__copy(e->worker, src, h->dirfd, tmp, &hooks, &m->r);
	}
	if (!err)
		err = commit(m, tmp);
	if (err)
		return err;
	record_durable(e->g, h, &m->r);
	return compare(m, &hooks);
}

/* Behind the comparison, or an error on the way to it. */
static int finish(struct homing *m, int slot, int err)
{
	struct exporter *e = m->e;

	if (!err)
		err = give_names(m);
	if (!err &&
	    held__release(e->g, slot)) /* a writer waits for us: what he writes is not lost */
		err = take_back(m, -ECANCELED);
	if (err && !m->h->home)
		err = after_failure(e->g, slot, err);
	if (m->filefd >= 0)
		close(m->filefd);
	lease__drop(&e->lease);
	return err;
}

static int export_leased(struct exporter *e, int slot, int src)
{
	struct held *h = &e->g->held[slot];
	struct homing m = { .e = e, .h = h, .filefd = -1 };
	int err = lease__take(&e->lease, src);

	if (err) { /* a writer has it: its close will come */
		h->retry_ns = now_ns() + GUARD_SETTLE_NS;
		return err;
	}
	return finish(&m, slot, copy_and_commit(&m, src));
}

/* Under a lease on its memory, which nobody has changed since it was copied. */
static int compare_again(struct homing *m, int src)
{
	const struct export_hooks hooks = hooks_of(m->e);
	struct held *h = m->h;
	struct stat memory, file;
	int err;

	if (fstat(src, &memory) || fstat(m->filefd, &file))
		return stay_home(m, -errno);
	if (!file.st_nlink || !seen__is_current(&h->seen, &memory, &file))
		return take_back(m, -ECANCELED);
	if (!is_there(h, &file))
		follow_file(m); /* moved out of our tree it is compared all the same */
	else if ((err = export__sync_dir(
			  h->dirfd))) /* whoever renamed it may not have come to that */
		return stay_home(m, err);
	err = judge(m, export__compare(m->e->worker, src, m->filefd, &h->seen, h->file_ctime_ns,
				       &hooks, &m->r));
	if (!err && link__give_all(m->e->g->dirfd, h->target, m->filefd) < 0)
		err = take_back(m, -ECANCELED);
	return err;
}

/* A writer who has its memory open has the later bytes: the link comes back for him. */
static int compare_home(struct exporter *e, int slot, int src)
{
	struct held *h = &e->g->held[slot];
	struct homing m = { .e = e, .h = h, .filefd = h->filefd };
	int err = lease__take(&e->lease, src);

	if (!err && !lease__commit(&e->lease))
		err = -EAGAIN;
	h->home = false; /* from here on it is as one that we have just renamed */
	h->filefd = -1;
	if (!err)
		err = compare_again(&m, src);
	else
		err = err == -EAGAIN || err == -EBUSY ? take_back(&m, -ECANCELED)
						      : stay_home(&m, err);
	return finish(&m, slot, err);
}

/* 0: the slot was let go; else it stays, to be tried again. */
static int export_one(struct exporter *e, int slot)
{
	struct guard *g = e->g;
	struct held *h = &g->held[slot];
	char path[NAME_MAX + 32];
	struct stat st;
	int src, err;

	if (!held__follow_link(g, h))
		return held__deleted(g, slot);
	held__memory_path(h, path, sizeof(path));
	src = beneath__open(g->tmpfd, path, O_RDONLY | O_NONBLOCK | O_NOATIME, 0);
	if (src == -ENOENT)
		return h->home ? memory_is_gone(g, slot) : after_failure(g, slot, -ENODATA);
	if (src < 0)
		return h->home ? home_failed(g, h, src) : after_failure(g, slot, src);
	if (fstat(src, &st) || !S_ISREG(st.st_mode) || st.st_nlink != 1)
		err = h->home ? home_failed(g, h, -EPERM) : after_failure(g, slot, -EPERM);
	else
		err = h->home ? compare_home(e, slot, src) : export_leased(e, slot, src);
	close(src);
	return err;
}

/* ---- the workers ---- */

/* On the thread that uses it. Without it nothing is lost: the files stay in memory. */
static bool has_worker(struct exporter *e)
{
	uint64_t now = now_ns();

	if (e->worker || now < e->retry_ns)
		return e->worker;
	if (export_worker__start(&e->worker, e->g->counters)) {
		e->retry_ns = now + GUARD_RETRY_NS;
		guard__note(e->g, "an export worker cannot begin: memory files stay in memory");
	}
	return e->worker;
}

static void *work(void *arg)
{
	const struct timespec nap = { .tv_nsec = 10000000 };
	struct exporter *e = arg;
	struct guard *g = e->g;

	while (!atomic_load(&g->quit)) {
		int slot = has_worker(e) ? held__take_oldest(g) : -1;

		if (slot < 0) {
			nanosleep(&nap, NULL);
			continue;
		}
		atomic_fetch_add(&g->exporting, 1);
		held__account(g, &g->held[slot]);
		give_way(e);
		if (export_one(e, slot))
			held__put_down(g, slot);
		atomic_fetch_sub(&g->exporting, 1);
	}
	export_worker__stop(e->worker);
	e->worker = NULL;
	return NULL;
}

void exports__lease_broken(struct guard *g, int fd)
{
	for (uint32_t i = 0; i < g->exporters_cnt; i++)
		lease__break(&g->exporters[i].lease, fd);
}

int exports__start(struct guard *g)
{
	int err = export_counters__share(&g->counters);

	export_share__init(&g->export_share, g->conf.export_rate_bytes);
	while (!err && g->exporters_cnt < g->conf.export_workers) {
		struct exporter *e = &g->exporters[g->exporters_cnt];

		e->g = g;
		lease__init(&e->lease);
		err = -pthread_create(&e->thread, NULL, work, e);
		if (!err)
			g->exporters_cnt++;
	}
	return err;
}

void exports__stop(struct guard *g)
{
	for (uint32_t i = 0; i < g->exporters_cnt; i++)
		pthread_join(g->exporters[i].thread, NULL);
	g->exporters_cnt = 0;
}
