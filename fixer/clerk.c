// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The clerk: looks at what became of the extents at the first write, at fsync and at close, and
 * writes it down. Nobody waits for it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../user/host/read.h"
#include "guard.h"
#include "name_text.h"
#include "prealloc.h"

/* What is said of a file again, when somebody writes it anew. */
static void forget(json_t *j)
{
	static const char *const keys[] = { "at_first_write", "at_fsync", "at_close", "redone",
					    "writer_call",    "in_time",  "waited_ms" };

	for (size_t i = 0; j && i < sizeof(keys) / sizeof(keys[0]); i++)
		json_object_set_new(j, keys[i], json_null());
}

static json_t *describe(const struct track *t, enum made made, const char *state)
{
	return json_pack("{s:I, s:o, s:o, s:s, s:s, s:I}", "n", (json_int_t)t->n, "dir",
			 name_text__to_json(t->dir), "name", name_text__to_json(t->name), "state",
			 state, "preallocated", track__made(made), "bytes",
			 (json_int_t)t->prealloc_bytes);
}

static void add_extents(json_t *j, const char *prefix, int err, const struct extents *e)
{
	char key[64];

	if (err) {
		json_object_set_new(j, "extents_unknown", json_string(strerror(-err)));
		return;
	}
	snprintf(key, sizeof(key), "extents_%s", prefix);
	json_object_set_new(j, key,
			    json_pack("{s:i, s:I, s:I, s:I}", "count", e->cnt, "mapped_bytes",
				      (json_int_t)e->mapped_bytes, "delayed_bytes",
				      (json_int_t)e->delalloc_bytes, "unwritten_bytes",
				      (json_int_t)e->unwritten_bytes));
}

/* Who did it, and by which call where the kernel's silence tells. */
static void add_writer(json_t *j, const struct job *job)
{
	char comm[64];

	if (job->pid <= 0 || read_text("", comm, sizeof(comm), "/proc/%d/comm", job->pid) < 0)
		return;
	comm[strcspn(comm, "\n")] = '\0';
	json_object_set_new(j, "writer", name_text__to_json(comm));
	json_object_set_new(j, "writer_pid", json_integer(job->pid));
	if (job->unasked)
		json_object_set_new(j, "writer_call", json_string("copy_file_range"));
}

/* ---- what became of the extents ---- */

/* An old file may have holes: what counts is how much of it is there, not where. */
static int read_extents(const struct job *job, struct extents *e)
{
	bool old = job->made == MADE_BEFORE;
	int err = extents__read(job->fd, old ? UINT64_MAX : job->size_bytes, e);
	uint64_t all = e->mapped_bytes + e->delalloc_bytes;

	if (old && e->mapped_bytes >= job->size_bytes - job->size_bytes / 64) {
		e->ahead_delalloc_bytes = 0;
		e->beyond_bytes = all > job->size_bytes ? all - job->size_bytes : 0;
	}
	return err;
}

/* Where nothing can be compared: NULL else. */
static const char *verdict_none(const struct job *job, int err)
{
	if (err)
		return "unknown: this file system cannot say";
	if (job->size_bytes)
		return NULL;
	return job->made == MADE_BEFORE ? "not preallocated" : "no size known";
}

/*
 * Of the first write, by what was seen of it and by what lies there since. That all of it is mapped now
 * proves nothing alone: it may have been allocated by writeback, or by a hand that was late.
 */
static const char *verdict_first(const struct job *job, int err, const struct extents *e)
{
	bool ahead = job->ready || job->made == MADE_BEFORE || job->made == MADE_SPARE;
	bool part = e->ahead_mapped_bytes && !e->ahead_delalloc_bytes &&
		    !extents__kept(e, job->size_bytes);
	const char *none = verdict_none(job, err);

	if (none)
		return none;
	if (e->ahead_delalloc_bytes || job->emptied || (job->touched && !job->seems_kept))
		return !ahead && part ? "partly there" : job->lost;
	if (!ahead)
		return "not seen";
	if (extents__kept(e, job->size_bytes) || (job->kind == JOB_CLOSED && job->touched))
		return "kept"; /* a writer may have cut it behind its last write */
	return part ? "partly there" : job->lost;
}

static const char *verdict_later(const struct job *job, const char *first, int err,
				 const struct extents *e)
{
	const char *none = verdict_none(job, err);
	bool undone = !strncmp(first, "undone", 6);

	if (none)
		return none;
	if (e->ahead_delalloc_bytes || (undone && e->delalloc_bytes))
		return "not allocated yet";
	if (!extents__kept(e, job->size_bytes))
		return "less than preallocated";
	if (e->beyond_bytes && !undone)
		return "outgrown";
	if (!strcmp(first, "not seen"))
		return "allocated";
	return strcmp(first, "kept") != 0 ? "allocated since" : "kept";
}

/* ---- what the hand did ---- */

/* A hand that was late may be behind the first write, or the close: what was said of these stays. */
static json_t *describe_made(const struct track *t, const struct job *job)
{
	json_t *j;

	if (t->gen != job->gen || t->verdict)
		return json_pack("{s:I}", "n", (json_int_t)t->n);
	j = describe(t, job->made, job->first_write ? "being written" : "preallocated");
	if (job->first_write || job->made == MADE_AT_OPEN)
		forget(j);
	return j;
}

static void add_first_write(struct guard *g, const struct job *job, json_t *j)
{
	json_object_set_new(j, "at_first_write", json_string(job->lost));
	add_extents(j, "at_first_write", 0, &job->extents);
	add_writer(j, job);
	if (g->conf.redo)
		json_object_set_new(j, "redone", json_boolean(!job->err));
	pthread_mutex_lock(&g->lock);
	if (g->tracks[job->track].gen == job->gen)
		g->tracks[job->track].verdict = job->lost;
	pthread_mutex_unlock(&g->lock);
}

static void made(struct guard *g, struct job *job)
{
	struct track t = track__copy(g, job->track);
	json_t *j = describe_made(&t, job);

	if (!j)
		return;
	if (job->pid > 0 && job->waited_ns)
		json_object_set_new(j, "waited_ms", json_real((double)job->waited_ns / 1e6));
	if (job->first_write)
		add_first_write(g, job, j);
	if (!job->first_write || g->conf.redo)
		json_object_set_new(j, "in_time", json_boolean(job->in_time));
	if (job->err)
		json_object_set_new(j, "not_preallocated", json_string(strerror(-job->err)));
	if (job->err && job->err != -EOPNOTSUPP)
		guard__note(g, "%s/%s: not preallocated: %s", t.dir, t.name, strerror(-job->err));
	journal__append(&g->journal, REC_FILE, j, 0);
}

/* ---- the first write ---- */

static bool has_data(int fd)
{
	return lseek(fd, 0, SEEK_DATA) >= 0 || errno != ENXIO;
}

/* A size may have been set, and nothing written since: then the next change is looked at. */
static bool is_written(struct guard *g, const struct job *job)
{
	if (has_data(job->fd))
		return true;
	pthread_mutex_lock(&g->lock);
	g->tracks[job->track].looking = false;
	pthread_mutex_unlock(&g->lock);
	watch__changes(g, job->fd, true);
	return has_data(job->fd); /* written between our look and the mark */
}

static void look(struct guard *g, struct job *job)
{
	struct track t = track__copy(g, job->track);
	const char *verdict;
	struct extents e;
	json_t *j;
	int err;

	if (t.gen != job->gen || t.verdict || !is_written(g, job))
		return;
	err = read_extents(job, &e);
	verdict = verdict_first(job, err, &e);
	pthread_mutex_lock(&g->lock);
	if (g->tracks[job->track].gen == job->gen) {
		g->tracks[job->track].verdict = verdict;
		g->tracks[job->track].armed = false;
		watch__disarm(g, job->fd);
	}
	pthread_mutex_unlock(&g->lock);
	j = describe(&t, job->made, "being written");
	if (!j)
		return;
	if (job->made == MADE_BEFORE || job->made == MADE_SPARE)
		forget(j); /* nothing was said of this writer yet */
	json_object_set_new(j, "at_first_write", json_string(verdict));
	add_extents(j, "at_first_write", err, &e);
	add_writer(j, job);
	journal__append(&g->journal, REC_FILE, j, 0);
}

/* ---- fsync and close ---- */

static void synced(struct guard *g, struct job *job)
{
	struct track t = track__copy(g, job->track);
	const char *first = t.verdict;
	struct extents e;
	int err;
	json_t *j = json_pack("{s:I}", "n", (json_int_t)t.n); /* it may have been closed since */

	if (!j)
		return;
	job->made = t.made;
	job->size_bytes = t.prealloc_bytes;
	err = read_extents(job, &e);
	if (!first) {
		job->lost = track__how_lost(&t);
		job->touched = t.touched;
		job->seems_kept = t.seems_kept;
		job->emptied = t.emptied;
		job->ready = t.ready;
		first = verdict_first(job, err, &e);
	}
	json_object_set_new(j, "at_fsync", json_string(verdict_later(job, first, err, &e)));
	add_extents(j, "at_fsync", err, &e);
	journal__append(&g->journal, REC_FILE, j, 0);
}

/* Written less than was preallocated: the rest is given back. */
static void trim(struct guard *g, int fd, const struct stat *st)
{
	int rw;

	if ((uint64_t)st->st_blocks * 512 <= (uint64_t)st->st_size + TRIM_SLACK)
		return;
	rw = watch__reopen(g, fd, false);
	if (rw < 0)
		return;
	prealloc__trim(rw);
	close(rw);
}

/* The next file is expected to be like this one. What it was is returned. */
static struct track settle(struct guard *g, const struct job *job, const struct stat *st)
{
	struct track t;

	pthread_mutex_lock(&g->lock);
	t = g->tracks[job->track];
	if (st->st_size) {
		g->prev = (struct previous){ .bytes = (uint64_t)st->st_size,
					     .mode = st->st_mode & 07777,
					     .uid = st->st_uid,
					     .gid = st->st_gid,
					     .mtime = st->st_mtim };
		if (!g->conf.name[0])
			snprintf(g->conf.name, sizeof(g->conf.name), "%s", t.name);
	}
	g->tracks[job->track].verdict = NULL;
	if (!t.open)
		track__let_go(g, &g->tracks[job->track]);
	pthread_mutex_unlock(&g->lock);
	t.prealloc_bytes = job->size_bytes;
	return t;
}

static void closed(struct guard *g, struct job *job)
{
	const char *first;
	struct extents e;
	struct track t;
	struct stat st;
	json_t *j;
	int err = read_extents(job, &e);

	if (fstat(job->fd, &st))
		return;
	trim(g, job->fd, &st);
	t = settle(g, job, &st);
	j = describe(&t, job->made, "closed");
	if (!j)
		return;
	first = t.verdict;
	if (!first) { /* too short to look at in between, or written through a mapping */
		first = verdict_first(job, err, &e);
		json_object_set_new(j, "at_first_write", json_string(first));
		add_writer(j, job);
	}
	json_object_set_new(j, "at_close", json_string(verdict_later(job, first, err, &e)));
	json_object_set_new(j, "size", json_integer(st.st_size));
	add_extents(j, "at_close", err, &e);
	journal__append(&g->journal, REC_FILE, j, 0);
}

void clerk__do(struct guard *g, struct job *job)
{
	unsigned int lost = atomic_exchange(&g->not_written_down, 0);

	if (lost)
		guard__note(g, "too much at once: %u steps of files are not written down", lost);
	if (job->kind == JOB_MADE)
		made(g, job);
	else if (job->kind == JOB_LOOK)
		look(g, job);
	else if (job->kind == JOB_SYNCED)
		synced(g, job);
	else if (job->kind == JOB_CLOSED)
		closed(g, job);
}
