// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* One file: its data through the slots, its holes not at all. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../user/clock.h"
#include "beneath.h"
#include "crc32c.h"
#include "export_worker.h"

#define ALIGN_BYTES    4096u
#define PREALLOC_BYTES (32u << 20)
#define RATE_NAP_NS    5000000ull
#define RATE_BURST_NS  20000000ull /* of an idle time so much may be made up for */

struct copying {
	struct export_worker *w;
	int src, dst;
	uint64_t size;
	const struct export_hooks *hooks;
	struct export_result *res;
	uint32_t crc;
};

typedef int (*range_fn)(struct copying *c, uint64_t off, size_t len);

/* ---- giving way ---- */

static bool is_cancelled(const struct copying *c)
{
	return c->hooks->cancelled && c->hooks->cancelled(c->hooks->arg);
}

void export_share__init(struct export_share *s, uint64_t rate_bytes)
{
	s->rate_bytes = rate_bytes;
	atomic_init(&s->next_ns, 0);
	sem_init(&s->in_air, 0, SINK_IN_AIR);
}

/* When `cost_ns` worth of bytes may go: everybody who asks is given a later time. */
static uint64_t take_turn(struct export_share *s, uint64_t cost_ns)
{
	uint64_t now = now_ns(), turn;
	uint_fast64_t next = atomic_load(&s->next_ns);

	do
		turn = next + RATE_BURST_NS < now ? now - RATE_BURST_NS : next;
	while (!atomic_compare_exchange_weak(&s->next_ns, &next, turn + cost_ns));
	return turn;
}

static int keep_rate(struct copying *c, size_t bytes)
{
	struct export_share *s = c->hooks->share;
	uint64_t cost_ns, turn, now;

	if (!s || !s->rate_bytes)
		return 0;
	cost_ns = (uint64_t)((double)bytes * 1e9 / (double)s->rate_bytes);
	turn = take_turn(s, cost_ns);
	while ((now = now_ns()) < turn) {
		const struct timespec nap = {
			.tv_nsec = (long)(turn - now < RATE_NAP_NS ? turn - now : RATE_NAP_NS)
		};

		if (is_cancelled(c)) {
			atomic_fetch_sub(&s->next_ns, cost_ns); /* the others go earlier */
			return -ECANCELED;
		}
		nanosleep(&nap, NULL);
	}
	return 0;
}

static int give_way(struct copying *c, size_t bytes)
{
	uint64_t since = now_ns();
	int err = keep_rate(c, bytes);

	if (err)
		return err;
	if (c->hooks->yield)
		c->hooks->yield(c->hooks->arg);
	atomic_fetch_add_explicit(&c->w->counters->held_back_ns, now_ns() - since,
				  memory_order_relaxed);
	return is_cancelled(c) ? -ECANCELED : 0;
}

static void count_size(struct export_counters *n, size_t bytes)
{
	int i = 0;

	while (i < EXPORT_SIZE_BUCKETS - 1 && bytes > (size_t)512 << i)
		i++;
	atomic_fetch_add_explicit(&n->write_sizes[i], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&n->written_bytes, bytes, memory_order_relaxed);
}

static int gate(void *arg, const struct step *s)
{
	struct copying *c = arg;
	int err = give_way(c, s->padded);

	if (!err)
		count_size(c->w->counters, s->padded);
	return err;
}

/* ---- walking over the data ---- */

/* The next stretch of data, on whole blocks; *begin == c->size: only a hole is left. */
static int next_data(struct copying *c, uint64_t from, uint64_t *begin, uint64_t *end)
{
	off_t data = lseek(c->src, (off_t)from, SEEK_DATA), hole;

	if (data < 0 && errno != ENXIO)
		return -errno;
	*begin = *end = c->size;
	if (data < 0 || (uint64_t)data >= c->size)
		return 0;
	*begin = (uint64_t)data - (uint64_t)data % ALIGN_BYTES;
	*begin = *begin < from ? from : *begin;
	hole = lseek(c->src, data, SEEK_HOLE);
	if (hole < 0)
		return -errno;
	*end = ((uint64_t)hole + ALIGN_BYTES - 1) / ALIGN_BYTES * ALIGN_BYTES;
	*end = *end > c->size ? c->size : *end;
	return 0;
}

/* Calls fn for steps of at most `step` bytes of what is data in the source; gaps are holes. */
static int walk_data(struct copying *c, size_t step, range_fn fn, bool sum_holes)
{
	uint64_t done = 0, begin = 0, end = 0;

	while (done < c->size) {
		int err = next_data(c, done, &begin, &end);

		if (err)
			return err;
		if (sum_holes)
			c->crc = crc32c_zeros(c->crc, begin - done);
		for (done = begin; done < end && !err;) {
			size_t len = end - done < step ? (size_t)(end - done) : step;

			err = fn(c, done, len);
			done += len;
		}
		if (err)
			return err;
	}
	return 0;
}

static int read_range(int fd, char *buf, uint64_t off, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(fd, buf + done, len - done, (off_t)(off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO; /* shorter than it was: somebody truncated it */
		done += (size_t)n;
	}
	return 0;
}

static int prealloc_step(struct copying *c, uint64_t off, size_t len)
{
	int err = give_way(c, 0);

	if (err)
		return err;
	return fallocate(c->dst, 0, (off_t)off, (off_t)len) ? -errno : 0;
}

static int copy_step(struct copying *c, uint64_t off, size_t len)
{
	char *slot = sink__slot(&c->w->sink);
	struct step s = { .buf = slot, .off = off, .len = len };
	int err = read_range(c->src, slot, off, len);

	if (err) {
		pool__give(&c->w->pool, slot);
		return err;
	}
	s.padded = (len + ALIGN_BYTES - 1) / ALIGN_BYTES * ALIGN_BYTES;
	memset(slot + len, 0, s.padded - len); /* the tail is cut off again at the end */
	c->crc = crc32c(c->crc, slot, len);
	c->res->data_bytes += len;
	return sink__put(&c->w->sink, &s);
}

/* ---- the file ---- */

/* The owner first, whose quota it is; a chown takes set-ID bits away. */
static int give_owner(int fd, const struct stat *src)
{
	return fchown(fd, src->st_uid, src->st_gid) || fchmod(fd, src->st_mode & 07777) ? -errno
											: 0;
}

static int open_target(int dirfd, const char *tmp, const struct stat *src)
{
	int fd = beneath__open(dirfd, tmp, O_CREAT | O_EXCL | O_RDWR, 0600), err;

	if (fd < 0)
		return fd;
	err = give_owner(fd, src);
	if (err)
		close(fd);
	return err ? err : fd;
}

/* No space is found out before anything is written; the kill switch does without. */
static int make_room(struct copying *c)
{
	int err = 0;

	if (ftruncate(c->dst, (off_t)c->size))
		return -errno;
	if (c->w->wanted != WAY_PLAIN)
		err = walk_data(c, PREALLOC_BYTES, prealloc_step, false);
	return err == -EOPNOTSUPP || err == -ENOSYS ? 0 : err;
}

static int copy_data(struct copying *c)
{
	struct target target;
	int err = target__init(&target, c->src, c->dst, c->w->wanted, &c->w->cache), end;

	if (err)
		return err;
	sink__begin(&c->w->sink, &target, gate, c,
		    c->hooks->share ? &c->hooks->share->in_air : NULL);
	err = walk_data(c, POOL_SLOT_BYTES, copy_step, true);
	end = sink__end(&c->w->sink); /* also behind an error: what is under way uses our memory */
	c->res->way = target.way;
	target__close(&target);
	return err ? err : end;
}

/* As they are now: a chmod or a touch breaks no lease. */
static int copy_attributes(struct copying *c, struct stat *src)
{
	struct timespec times[2];
	int err;

	if (fstat(c->src, src))
		return -errno;
	err = give_owner(c->dst, src);
	times[0] = src->st_atim;
	times[1] = src->st_mtim;
	return err ? err : futimens(c->dst, times) ? -errno : 0;
}

static int sync_file(struct copying *c)
{
	struct stat st, src;
	int err = give_way(c, 0);

	if (!err && ftruncate(c->dst, (off_t)c->size))
		err = -errno;
	if (!err)
		err = copy_attributes(c, &src);
	if (err)
		return err;
	if (fsync(c->dst) || fstat(c->dst, &st))
		return -errno;
	c->res->mtime = st.st_mtim;
	c->res->ctime = st.st_ctim;
	seen__take(&c->res->seen, &src, &st);
	return (uint64_t)st.st_size == c->size ? 0 : -EBADMSG;
}

static int copy_and_sync(struct copying *c)
{
	uint64_t t0 = now_ns(), t1;
	int err = make_room(c);

	if (!err)
		err = copy_data(c);
	t1 = now_ns();
	if (!err)
		err = sync_file(c);
	c->res->copy_ns = t1 - t0;
	c->res->sync_ns = now_ns() - t1;
	c->res->crc = c->crc;
	return err;
}

int export__copy(struct export_worker *w, int src, int dirfd, const char *tmp,
		 const struct export_hooks *hooks, struct export_result *res)
{
	struct copying c = { .w = w, .src = src, .dst = -1, .hooks = hooks, .res = res };
	struct stat st;
	int err;

	memset(res, 0, sizeof(*res));
	if (fstat(src, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	c.size = res->bytes = (uint64_t)st.st_size;
	c.dst = open_target(dirfd, tmp, &st);
	err = c.dst < 0 ? c.dst : copy_and_sync(&c);
	if (c.dst >= 0)
		close(c.dst);
	if (!err && res->data_bytes && way_reads_itself(res->way))
		err = export__read_back(w, dirfd, tmp, hooks, res);
	if (err && err != -EEXIST)
		unlinkat(dirfd, tmp, 0);
	else if (!err)
		atomic_fetch_add(&w->counters->files, 1);
	return err;
}

/* ---- reading back ---- */

static int sum_step(struct copying *c, uint64_t off, size_t len)
{
	char *slot = pool__take(&c->w->pool);
	sem_t *in_air = c->hooks->share ? &c->hooks->share->in_air : NULL;
	int err;

	air__take(in_air);
	err = give_way(c, len);
	if (!err)
		err = read_range(c->src, slot, off, len);
	air__give(in_air);
	if (!err)
		c->crc = crc32c(c->crc, slot, len);
	pool__give(&c->w->pool, slot);
	atomic_fetch_add_explicit(&c->w->counters->read_back_bytes, len, memory_order_relaxed);
	return err;
}

static bool is_same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool is_untouched(int fd, const struct export_result *res, struct stat *st)
{
	return !fstat(fd, st) && S_ISREG(st->st_mode) && (uint64_t)st->st_size == res->bytes &&
	       is_same_time(&st->st_mtim, &res->mtime);
}

void export__renamed(int fd, struct export_result *res)
{
	struct stat st;

	if (is_untouched(fd, res, &st))
		res->ctime = st.st_ctim;
}

/*
 * Whoever writes other bytes may set the old mtime again, but no ctime. A ctime that moved is no proof
 * of it: a rename, a chmod or another name moves it too. `err`: what an untouched file has.
 */
static int differs(int fd, const struct export_result *res, int err)
{
	struct stat st;

	if (!is_untouched(fd, res, &st))
		return -ESTALE;
	return is_same_time(&st.st_ctim, &res->ctime) ? err : -EUCLEAN;
}

/*
 * Through the page cache, emptied for this file first: the bytes come from the device, and whoever
 * reads the snapshot next (the following BRANCH copies it) finds it warm. A file that somebody has
 * written to since is his, whatever is in it.
 */
static int read_back(struct export_worker *w, int fd, const struct export_hooks *hooks,
		     struct export_result *res)
{
	struct copying c = { .w = w, .src = fd, .hooks = hooks, .res = res, .size = res->bytes };
	uint64_t t0 = now_ns();
	struct stat st;
	int err;

	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	err = is_untouched(fd, res, &st) ? walk_data(&c, POOL_SLOT_BYTES, sum_step, true) : -ESTALE;
	if (!err && c.crc != res->crc)
		err = -EBADMSG;
	if (err == -ENODATA) /* so a block device calls a bad medium */
		err = -EIO;
	if (err == -EBADMSG || err == -EIO)
		err = differs(fd, res, err);
	res->verify_ns = now_ns() - t0;
	res->read_back = !err;
	return err;
}

int export__read_back(struct export_worker *w, int dirfd, const char *name,
		      const struct export_hooks *hooks, struct export_result *res)
{
	int fd = beneath__open(dirfd, name, O_RDONLY | O_NONBLOCK | O_NOATIME, 0), err;

	if (fd < 0)
		return fd == -ENOENT || fd == -ELOOP ? -ESTALE : fd;
	err = read_back(w, fd, hooks, res);
	close(fd);
	return err;
}

int export__read_back_file(struct export_worker *w, int filefd, const struct export_hooks *hooks,
			   struct export_result *res)
{
	char proc[40];
	struct stat st;
	int fd, err;

	if (fstat(filefd, &st))
		return -errno;
	if (!st.st_nlink)
		return -ESTALE;
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", filefd);
	fd = open(proc, O_RDONLY | O_NONBLOCK | O_NOATIME | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = read_back(w, fd, hooks, res);
	close(fd);
	return err;
}

static int recall_step(struct copying *c, uint64_t off, size_t len)
{
	char *slot = pool__take(&c->w->pool);
	int err = give_way(c, 0);

	if (!err)
		err = read_range(c->src, slot, off, len);
	if (!err)
		c->crc = crc32c(c->crc, slot, len);
	pool__give(&c->w->pool, slot);
	return err;
}

/* Before 1970 too. */
static struct timespec time_of(int64_t ns)
{
	int64_t rest = ns % 1000000000;

	rest += rest < 0 ? 1000000000 : 0;
	return (struct timespec){ .tv_sec = (ns - rest) / 1000000000, .tv_nsec = rest };
}

static int recall(struct export_worker *w, int src, const struct seen *seen, uint64_t file_ctime_ns,
		  const struct export_hooks *hooks, struct export_result *res)
{
	struct copying c = { .w = w, .src = src, .hooks = hooks, .res = res };
	int err;

	memset(res, 0, sizeof(*res));
	c.size = res->bytes = seen->memory_bytes;
	res->mtime = time_of((int64_t)seen->file_mtime_ns);
	res->ctime = time_of((int64_t)file_ctime_ns);
	res->seen = *seen;
	err = walk_data(&c, POOL_SLOT_BYTES, recall_step, true);
	res->crc = c.crc;
	return err == -EIO ? -ENODATA : err; /* its disk has nothing to do with it */
}

int export__compare(struct export_worker *w, int src, int filefd, const struct seen *seen,
		    uint64_t file_ctime_ns, const struct export_hooks *hooks,
		    struct export_result *res)
{
	struct stat file;
	int err;

	memset(res, 0, sizeof(*res));
	if (fstat(filefd, &file))
		return -errno;
	if (seen__is_his(seen, &file))
		return -ESTALE;
	err = recall(w, src, seen, file_ctime_ns, hooks, res);
	return err ? err : export__read_back_file(w, filefd, hooks, res);
}
