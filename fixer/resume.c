// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A guard that was killed left its memory files on the tmpfs under their names, and a journal. The
 * next one takes both over: what was in memory is exported, what is lost is named.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../user/clock.h"
#include "../user/log.h"
#include "beneath.h"
#include "guard.h"
#include "link.h"
#include "recover.h"

int resume__conf(struct fix_conf *conf, const struct state *s)
{
	const struct fix_conf *old = &s->conf;

	if (old->mitigation != MITIGATION_MEMFD || conf->mitigation != MITIGATION_MEMFD ||
	    strcmp(old->match, conf->match) != 0 || old->fsid != conf->fsid)
		return log_err(-EEXIST,
			       "%s is tuned already, or a guard of it (%s, --match '%s') ended "
			       "without clean-up; run `flatpause fix revert %s` first",
			       conf->dir, mitigation_name(old->mitigation), old->match, conf->dir);
	memcpy(conf->id, old->id, sizeof(conf->id));
	memcpy(conf->tmp_dir, old->tmp_dir, sizeof(conf->tmp_dir));
	log_info("going on where the guard of %s left off (pid %d is gone)", conf->dir, s->pid);
	return 0;
}

static void record_end(struct guard *g, uint32_t n, const char *state)
{
	journal__append(&g->journal, REC_FILE,
			json_pack("{s:I, s:s}", "n", (json_int_t)n, "state", state), 0);
}

/* What is home, and could not be compared by this guard, stays as the one before has left it. */
static void say_not_now(struct guard *g, const char *dir, const char *name, const char *target)
{
	guard__note(g,
		    "%s/%s is on disk and not compared, too many files wait: it is kept at %s too, "
		    "for the next guard or a revert",
		    dir, name, target);
}

void resume__say_kept(struct guard *g, uint32_t n, const char *dir, const char *name,
		      const char *target, const char *what)
{
	guard__note(g, "%s/%s %s: its memory is kept at %s", dir, name, what, target);
	journal__append(&g->journal, REC_FILE,
			json_pack("{s:I, s:s, s:b}", "n", (json_int_t)n, "state",
				  "on disk, and kept in memory", "both_changed",
				  !strcmp(what, RECOVERED_BOTH_CHANGED)),
			0);
}

/* Nobody works on them yet: what is home gives its slot to what is in memory only. */
static struct held *find_slot(struct guard *g, bool in_memory)
{
	struct held *home = NULL;

	for (int i = 0; i < GUARD_HELD_MAX; i++) {
		if (!g->held[i].n)
			return &g->held[i];
		if (g->held[i].home)
			home = &g->held[i];
	}
	if (!in_memory || !home)
		return NULL;
	say_not_now(g, home->dir, home->name, home->target);
	g->used_bytes -= home->reserved_bytes;
	fd__close(&home->dirfd);
	fd__close(&home->linkfd);
	fd__close(&home->filefd);
	home->n = 0;
	return home;
}

/*
 * Its writer may have closed it while nobody watched; the lease will tell whether it has not. In one
 * that was planted ahead and is empty there has been none yet: his close will be seen.
 */
static int take_over(struct guard *g, json_t *file, struct recovered *r, struct held **slot)
{
	bool his = json_is_true(json_object_get(file, "made_by_writer"));
	struct stat st;
	struct held *h = find_slot(g, r->state != RECOVERED_DURABLE);

	if (!h)
		return -ENOSPC;
	*h = (struct held){
		.n = r->n, .dirfd = r->dirfd, .linkfd = r->linkfd, .filefd = -1, .linked = true
	};
	h->gone = r->state != RECOVERED_LINKED && r->state != RECOVERED_DURABLE;
	memcpy(h->name, r->name, sizeof(h->name));
	memcpy(h->dir, r->dir, sizeof(h->dir));
	memcpy(h->target, r->target, sizeof(h->target));
	r->dirfd = r->linkfd = -1;
	held__remember_link(g, h);
	if (!fstat(r->memory, &st)) {
		h->reserved_bytes = (uint64_t)st.st_blocks * 512;
		g->used_bytes += h->reserved_bytes;
		h->closed_ns = st.st_size || his ? now_ns() : 0;
	}
	*slot = h;
	return 0;
}

static bool never_compared(const struct guard *g, const struct recovered *r)
{
	return !g->conf.no_readback && recovered__never_compared(r);
}

/* What is home waits in a slot too, until it is compared. */
static int take_home(struct guard *g, json_t *file, struct recovered *r)
{
	struct held *h;
	int err = take_over(g, file, r, &h);

	if (err == -ENOSPC) {
		say_not_now(g, r->dir, r->name, r->target);
		return 0;
	}
	if (err)
		return err;
	h->home = true;
	h->filefd = r->filefd;
	r->filefd = -1;
	h->seen = r->seen;
	h->file_ctime_ns = r->file_ctime_ns;
	h->closed_ns = now_ns();
	return 0;
}

/* Home, but its exporter died before it had compared it: that is for one of ours, if it still can. */
static int settle_durable(struct guard *g, json_t *file, struct recovered *r)
{
	int err;

	if (r->memory >= 0 && !r->settled && !g->conf.no_readback)
		return take_home(g, file, r);
	err = recovered__give_names(r, g->dirfd);
	if (!err)
		err = held__drop_memory(g->tmpfd, r->n, r->memory_name);
	if (!err && !never_compared(g, r))
		record_end(g, r->n, "durable");
	return err;
}

/* Nothing goes that somebody writes to: it waits in a slot until he has closed it. */
static int let_go(struct guard *g, json_t *file, struct recovered *r)
{
	int err = held__drop_memory(g->tmpfd, r->n, r->memory_name);
	struct held *h;

	if (err == -EAGAIN)
		return take_over(g, file, r, &h);
	if (!err && r->state == RECOVERED_REMOVED)
		record_end(g, r->n, "deleted by its owner");
	return err;
}

static int settle(struct guard *g, json_t *file, struct recovered *r)
{
	struct held *h;
	int err = 0;

	switch (r->state) {
	case RECOVERED_LINKED:
		return take_over(g, file, r, &h);
	case RECOVERED_LOST:
	case RECOVERED_NOTHING:
		guard__note(g, "LOST: %s/%s was never durable and its memory is gone%s", r->dir,
			    r->name,
			    r->state == RECOVERED_LOST ? "" : " (if anything had been written)");
		link__remove(r->dirfd, r->name, r->target);
		record_end(g, r->n, "lost");
		break;
	case RECOVERED_AWAY:
		guard__note(g, "%s/%s: its link was moved out of %s; %s is kept", r->dir, r->name,
			    g->conf.dir, r->target);
		break;
	case RECOVERED_BOTH:
		resume__say_kept(g, r->n, r->dir, r->name, r->target, RECOVERED_BOTH_CHANGED);
		break;
	case RECOVERED_DURABLE:
		err = settle_durable(g, file, r);
		break;
	case RECOVERED_REMOVED:
	case RECOVERED_DONE:
		err = let_go(g, file, r);
		break;
	}
	return err;
}

/* What was synced is as durable as a sync makes it, and that is all that can be said. */
void resume__say_never_compared(struct guard *g, uint32_t n, const char *dir, const char *name)
{
	guard__note(g, "%s/%s was synced and never compared, and its memory is gone", dir, name);
	record_end(g, n, RECOVERED_NEVER_COMPARED);
}

#define TRIES_MAX 250 /* 5 s */

static int resume_one(struct guard *g, json_t *file)
{
	char sub[24];
	const struct timespec nap = { .tv_nsec = 20000000 };
	struct recovered r;
	int err, tries = 0;

	do {
		if (tries++)
			nanosleep(&nap, NULL);
		err = recover__file(file, g->dirfd, g->tmpfd, g->conf.tmp_dir, &r);
		if (err == -EAGAIN)
			continue;
		if (err)
			return err == -EBADMSG
				       ? 0
				       : log_err(err, "cannot take over %s/%s", r.dir, r.name);
		if (r.n > g->next_n)
			g->next_n = r.n;
		snprintf(sub, sizeof(sub), "%u", r.n);
		if (r.state == RECOVERED_LINKED || r.state == RECOVERED_DURABLE)
			watch__mark_memory_dir(g, g->tmpfd, sub);
		err = settle(g, file, &r);
		if (!err && never_compared(g, &r))
			resume__say_never_compared(g, r.n, r.dir, r.name);
		recovered__close(&r);
	} while (err == -EAGAIN && tries < TRIES_MAX); /* its owner was faster, or a writer came */
	if (err == -ENOSPC)
		return log_err(err, "too many files wait for their export in %s", g->conf.tmp_dir);
	return err ? log_err(err, "cannot take over %s/%s", r.dir, r.name) : 0;
}

int resume__held(struct guard *g)
{
	struct state s = { 0 };
	const char *key;
	json_t *file;
	int err = state__load(g->journal.fd, g->conf.dir, &s);

	json_object_foreach (s.files, key, file) {
		if (!err)
			err = resume_one(g, file);
	}
	if (!err)
		recover__sweep(s.files, g->tmpfd);
	state__free(&s);
	return err;
}
