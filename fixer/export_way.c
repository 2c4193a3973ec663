// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "export_way.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kernel.h"

typedef int (*way_fn)(struct target *t, const struct step *s);

static int write_direct(struct target *t, const struct step *s)
{
	size_t done = 0;

	while (done < s->padded) {
		ssize_t n = pwrite(t->dst, s->buf + done, s->padded - done, (off_t)(s->off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		done += (size_t)n;
	}
	return 0;
}

/* Never more than two steps are dirty: this one is begun, the one before is waited for. */
static int bound_dirty(struct target *t, const struct step *s)
{
	const unsigned int wait = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
				  SYNC_FILE_RANGE_WAIT_AFTER;

	if (sync_file_range(t->dst, (off_t)s->off, (off_t)s->padded, SYNC_FILE_RANGE_WRITE))
		return -errno;
	if (t->window_open && s->off > t->window_off &&
	    sync_file_range(t->dst, (off_t)t->window_off, (off_t)(s->off - t->window_off), wait))
		return -errno;
	t->window_off = s->off;
	t->window_open = true;
	return 0;
}

static int write_dontcache(struct target *t, const struct step *s)
{
	size_t done = 0;

	while (done < s->padded) {
		const struct iovec v = { (char *)s->buf + done, s->padded - done };
		ssize_t n = pwritev2(t->dst, &v, 1, (off_t)(s->off + done), RWF_DONTCACHE);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		done += (size_t)n;
	}
	return bound_dirty(t, s);
}

static int write_window(struct target *t, const struct step *s)
{
	int err = write_direct(t, s);

	return err ? err : bound_dirty(t, s);
}

/* From here on the kernel moves it: as many bytes as there are, nothing to pad. */

static int copy_range(struct target *t, const struct step *s)
{
	off_t in = (off_t)s->off, out = in;

	while ((uint64_t)in < s->off + s->len) {
		size_t left = (size_t)(s->off + s->len - (uint64_t)in);
		ssize_t n = copy_file_range(t->src, &in, t->dst, &out, left, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
	}
	return bound_dirty(t, s);
}

static int send_file(struct target *t, const struct step *s)
{
	off_t in = (off_t)s->off;

	if (lseek(t->dst, in, SEEK_SET) < 0)
		return -errno;
	while ((uint64_t)in < s->off + s->len) {
		size_t left = (size_t)(s->off + s->len - (uint64_t)in);
		ssize_t n = sendfile(t->dst, t->src, &in, left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
	}
	return bound_dirty(t, s);
}

static void drop_pipe(struct target *t)
{
	if (t->pipe[0] < 0)
		return;
	close(t->pipe[0]);
	close(t->pipe[1]);
	t->pipe[0] = t->pipe[1] = -1;
}

/* The pipe holds little: it is emptied before more goes in, or both ends would wait for us. */
static int empty_pipe(struct target *t, off_t *out, ssize_t cnt)
{
	while (cnt > 0) {
		ssize_t n = splice(t->pipe[0], NULL, t->dst, out, (size_t)cnt, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		cnt -= n;
	}
	return 0;
}

static int splice_step(struct target *t, const struct step *s)
{
	off_t in = (off_t)s->off, out = in;
	int err = 0;

	if (t->pipe[0] < 0 && pipe2(t->pipe, O_CLOEXEC))
		return -errno;
	while (!err && (uint64_t)in < s->off + s->len) {
		size_t left = (size_t)(s->off + s->len - (uint64_t)in);
		ssize_t n = splice(t->src, &in, t->pipe[1], NULL, left, SPLICE_F_NONBLOCK);

		if (n < 0 && errno == EINTR)
			continue;
		err = n < 0 ? -errno : !n ? -EIO : empty_pipe(t, &out, n);
	}
	if (err) {
		drop_pipe(t); /* what is left in it belongs to no file any more */
		return err;
	}
	return bound_dirty(t, s);
}

static const struct {
	const char *name;
	way_fn fn;
	bool direct, reads_itself;
} ways[WAY_CNT] = {
	[WAY_DIRECT] = { "direct", write_direct, .direct = true },
	[WAY_DONTCACHE] = { "dontcache", write_dontcache },
	[WAY_WINDOW] = { "window", write_window },
	[WAY_PLAIN] = { "plain", write_direct },
	[WAY_COPY_RANGE] = { "copy_file_range", copy_range, .reads_itself = true },
	[WAY_SENDFILE] = { "sendfile", send_file, .reads_itself = true },
	[WAY_SPLICE] = { "splice", splice_step, .reads_itself = true },
};

const char *way_name(enum way w)
{
	return w < WAY_CNT ? ways[w].name : "best";
}

bool way_reads_itself(enum way w)
{
	return w < WAY_CNT && ways[w].reads_itself;
}

/* ---- which way ---- */

static enum way *remembered(struct target *t)
{
	for (int i = 0; i < WAY_PAIRS_MAX; i++)
		if (t->cache->v[i].known && t->cache->v[i].src_dev == t->src_dev &&
		    t->cache->v[i].dst_dev == t->dst_dev)
			return &t->cache->v[i].way;
	return NULL;
}

static void remember(struct target *t)
{
	enum way *way = remembered(t);
	uint32_t i;

	if (!way) {
		i = t->cache->next++ % WAY_PAIRS_MAX;
		t->cache->v[i].src_dev = t->src_dev;
		t->cache->v[i].dst_dev = t->dst_dev;
		t->cache->v[i].known = true;
		way = &t->cache->v[i].way;
	}
	*way = t->way;
}

/*
 * sendfile and splice are never chosen by themselves: they dirty as much as WAY_WINDOW, and the
 * sum of the bytes needs a reading of its own anyway.
 */
static enum way first_choice(struct target *t)
{
	enum way *known;

	if (t->wanted != WAY_BEST)
		return t->wanted;
	known = remembered(t);
	if (known)
		return *known;
	return t->src_dev == t->dst_dev ? WAY_COPY_RANGE : WAY_DIRECT;
}

static bool make_ready(struct target *t, enum way w)
{
	if (t->refused & 1u << w)
		return false;
	/* refused by F_SETFL where the file system has no O_DIRECT */
	if (fcntl(t->dst, F_SETFL, ways[w].direct ? O_DIRECT : 0)) {
		t->refused |= 1u << w;
		return false;
	}
	t->way = w;
	return true;
}

int target__choose(struct target *t)
{
	if (make_ready(t, first_choice(t)))
		return 0;
	for (enum way w = WAY_DIRECT; w <= WAY_PLAIN; w++)
		if (make_ready(t, w))
			return 0;
	return -ENOTSUP;
}

bool target__refuses(struct target *t, int err)
{
	if (err != -EINVAL && err != -EXDEV && err != -EOPNOTSUPP && err != -ENOSYS)
		return false;
	t->refused |= 1u << t->way;
	return !target__choose(t);
}

int target__init(struct target *t, int src, int dst, enum way wanted, struct way_cache *cache)
{
	struct stat a, b;

	*t = (struct target){ .src = src, .dst = dst, .wanted = wanted, .cache = cache };
	t->pipe[0] = t->pipe[1] = -1;
	if (fstat(src, &a) || fstat(dst, &b))
		return -errno;
	t->src_dev = a.st_dev;
	t->dst_dev = b.st_dev;
	return target__choose(t);
}

void target__close(struct target *t)
{
	drop_pipe(t);
}

int target__write(struct target *t, const struct step *s)
{
	int err;

	do
		err = ways[t->way].fn(t, s);
	while (err && target__refuses(t, err));
	if (!err && t->wanted == WAY_BEST)
		remember(t);
	return err;
}
