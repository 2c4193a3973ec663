// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A disk whose slowness is known: one file, served by FUSE from memory, that takes as long per
 * read, write and flush as its control file says at that moment. A loop device makes it a disk.
 *
 * Control: "read_us=N write_us=N flush_us=N bytes_per_s=N", each 0 or missing where it is fast.
 * Beside it, in CONTROL.busy, stands a u64: ns during which at least one request was held up.
 */
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define THREADS	     4
#define DISK_NODE    2
#define MAX_BYTES    (1u << 20)
#define MESSAGE_SIZE (MAX_BYTES + 4096)
#define DISK_NAME    "flatpause-lab.disk" /* as every disk of a lab is called */

struct slowness {
	unsigned long long read_us, write_us, flush_us, bytes_per_s;
};

struct slowdisk {
	int fuse, control;
	char *data;
	uint64_t bytes;
	pthread_mutex_t lock;
	uint64_t *busy_ns; /* in CONTROL.busy */
	uint64_t busy_since_ns, free_at_ns;
	unsigned int active;
};

/* ---- how slow ---- */

static unsigned long long value_of(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	return at ? strtoull(at + strlen(key), NULL, 10) : 0;
}

static struct slowness slowness(const struct slowdisk *d)
{
	struct slowness s = { 0 };
	char text[256];
	ssize_t n = pread(d->control, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return s;
	text[n] = '\0';
	s.read_us = value_of(text, "read_us=");
	s.write_us = value_of(text, "write_us=");
	s.flush_us = value_of(text, "flush_us=");
	s.bytes_per_s = value_of(text, "bytes_per_s=");
	return s;
}

/* Until when a request is to be held up; the transfer has one channel, latencies overlap. */
static uint64_t due_ns(struct slowdisk *d, uint64_t now, uint64_t latency_ns, uint64_t bytes,
		       uint64_t bytes_per_s)
{
	if (!bytes || !bytes_per_s)
		return now + latency_ns;
	if (d->free_at_ns < now)
		d->free_at_ns = now;
	d->free_at_ns += bytes * 1000000000ull / bytes_per_s;
	return d->free_at_ns + latency_ns;
}

/* true = it was slow: let_go() once it is answered */
static bool hold_up(struct slowdisk *d, uint64_t latency_ns, uint64_t bytes, uint64_t bytes_per_s)
{
	uint64_t now, until;

	if (!latency_ns && !(bytes && bytes_per_s))
		return false;
	pthread_mutex_lock(&d->lock);
	now = now_ns();
	if (!d->active++)
		d->busy_since_ns = now;
	until = due_ns(d, now, latency_ns, bytes, bytes_per_s);
	pthread_mutex_unlock(&d->lock);
	sleep_ns(until - now);
	return true;
}

static void let_go(struct slowdisk *d)
{
	pthread_mutex_lock(&d->lock);
	if (!--d->active)
		*d->busy_ns += now_ns() - d->busy_since_ns;
	pthread_mutex_unlock(&d->lock);
}

/* ---- the file system: a directory with one file ---- */

static void reply(const struct slowdisk *d, const struct fuse_in_header *in, int err,
		  const void *body, size_t size)
{
	struct fuse_out_header out = { .len = (uint32_t)(sizeof(out) + size),
				       .error = err,
				       .unique = in->unique };
	struct iovec v[2] = { { &out, sizeof(out) }, { (void *)body, size } };

	/* ENOENT: the request was interrupted; who asked is gone */
	if (writev(d->fuse, v, size ? 2 : 1) < 0 && errno != ENOENT)
		log_warn("a reply to FUSE: %s", strerror(errno));
}

static struct fuse_attr attr_of(const struct slowdisk *d, uint64_t node)
{
	bool disk = node == DISK_NODE;

	return (struct fuse_attr){ .ino = node,
				   .size = disk ? d->bytes : 0,
				   .blocks = disk ? d->bytes / 512 : 0,
				   .mode = disk ? S_IFREG | 0600 : S_IFDIR | 0700,
				   .nlink = 1,
				   .blksize = 4096 };
}

static void answer_init(const struct slowdisk *d, const struct fuse_in_header *in,
			const struct fuse_init_in *init)
{
	struct fuse_init_out out = { .major = FUSE_KERNEL_VERSION,
				     .minor = FUSE_KERNEL_MINOR_VERSION,
				     .max_readahead = init->max_readahead,
				     .flags = FUSE_ASYNC_READ | FUSE_BIG_WRITES | FUSE_ASYNC_DIO |
					      FUSE_MAX_PAGES,
				     .max_background = 64,
				     .congestion_threshold = 48,
				     .max_write = MAX_BYTES,
				     .max_pages = MAX_BYTES / 4096 };

	out.flags &= init->flags;
	reply(d, in, 0, &out, sizeof(out));
}

static void answer_lookup(const struct slowdisk *d, const struct fuse_in_header *in,
			  const char *name)
{
	struct fuse_entry_out out = { .nodeid = DISK_NODE,
				      .attr_valid = 3600,
				      .entry_valid = 3600,
				      .attr = attr_of(d, DISK_NODE) };

	if (strcmp(name, DISK_NAME))
		reply(d, in, -ENOENT, NULL, 0);
	else
		reply(d, in, 0, &out, sizeof(out));
}

static void answer_attr(const struct slowdisk *d, const struct fuse_in_header *in)
{
	struct fuse_attr_out out = { .attr_valid = 3600, .attr = attr_of(d, in->nodeid) };

	reply(d, in, 0, &out, sizeof(out));
}

static uint32_t within(const struct slowdisk *d, uint64_t offset, uint32_t size)
{
	if (offset >= d->bytes)
		return 0;
	return offset + size > d->bytes ? (uint32_t)(d->bytes - offset) : size;
}

static void answer_read(struct slowdisk *d, const struct fuse_in_header *in,
			const struct fuse_read_in *rd)
{
	uint32_t size = within(d, rd->offset, rd->size);
	struct slowness s = slowness(d);
	bool slow = hold_up(d, s.read_us * NS_PER_US, size, s.bytes_per_s);

	reply(d, in, 0, d->data + rd->offset, size);
	if (slow)
		let_go(d);
}

static void answer_write(struct slowdisk *d, const struct fuse_in_header *in,
			 const struct fuse_write_in *wr)
{
	struct fuse_write_out out = { .size = within(d, wr->offset, wr->size) };
	struct slowness s = slowness(d);
	bool slow;

	slow = hold_up(d, s.write_us * NS_PER_US, out.size, s.bytes_per_s);
	memcpy(d->data + wr->offset, wr + 1, out.size);
	reply(d, in, out.size ? 0 : -ENOSPC, &out, sizeof(out));
	if (slow)
		let_go(d);
}

static void answer_sync(struct slowdisk *d, const struct fuse_in_header *in)
{
	bool slow = hold_up(d, slowness(d).flush_us * NS_PER_US, 0, 0);

	reply(d, in, 0, NULL, 0);
	if (slow)
		let_go(d);
}

static void answer(struct slowdisk *d, const struct fuse_in_header *in, const void *body)
{
	/* no cache of ours above the disk: each request reaches it */
	struct fuse_open_out opened = { .open_flags = in->opcode == FUSE_OPEN ? FOPEN_DIRECT_IO
									      : 0 };
	struct fuse_statfs_out stat = { .st = { .bsize = 4096, .namelen = 255 } };

	switch (in->opcode) {
	case FUSE_INIT:
		return answer_init(d, in, body);
	case FUSE_LOOKUP:
		return answer_lookup(d, in, body);
	case FUSE_GETATTR:
	case FUSE_SETATTR:
		return answer_attr(d, in);
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		return reply(d, in, 0, &opened, sizeof(opened));
	case FUSE_READ:
		return answer_read(d, in, body);
	case FUSE_WRITE:
		return answer_write(d, in, body);
	case FUSE_FSYNC:
		return answer_sync(d, in);
	case FUSE_STATFS:
		return reply(d, in, 0, &stat, sizeof(stat));
	case FUSE_FLUSH:
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
	case FUSE_READDIR:
	case FUSE_DESTROY:
		return reply(d, in, 0, NULL, 0);
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		return;
	default:
		return reply(d, in, -ENOSYS, NULL, 0);
	}
}

static void *serve_disk(void *arg)
{
	struct slowdisk *d = arg;
	char *message = malloc(MESSAGE_SIZE);

	while (message) {
		const struct fuse_in_header *in = (const void *)message;
		ssize_t n = read(d->fuse, message, MESSAGE_SIZE);

		if (n < 0 && (errno == EINTR || errno == ENOENT || errno == EAGAIN))
			continue;
		if (n < (ssize_t)sizeof(*in)) /* ENODEV: unmounted */
			break;
		answer(d, in, in + 1);
	}
	free(message);
	return NULL;
}

/* ---- start ---- */

static int open_control(struct slowdisk *d, const char *control)
{
	char path[4096];
	int fd;

	d->control = open(control, O_RDONLY | O_CLOEXEC);
	if (d->control < 0)
		return log_err(-errno, "%s", control);
	snprintf(path, sizeof(path), "%s.busy", control);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, sizeof(*d->busy_ns)))
		return log_err(-errno, "%s", path);
	d->busy_ns = mmap(NULL, sizeof(*d->busy_ns), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return d->busy_ns == MAP_FAILED ? log_err(-errno, "%s", path) : 0;
}

static int mount_fuse(struct slowdisk *d, const char *mountpoint)
{
	char options[128];

	d->fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (d->fuse < 0)
		return log_err(-errno, "/dev/fuse");
	snprintf(options, sizeof(options), "fd=%d,rootmode=40700,user_id=0,group_id=0,max_read=%u",
		 d->fuse, MAX_BYTES);
	if (mount("flatpause-slowdisk", mountpoint, "fuse.slowdisk", MS_NOSUID | MS_NODEV, options))
		return log_err(-errno, "cannot mount at %s", mountpoint);
	return 0;
}

/* Serves until it is unmounted. */
static int slowdisk(const struct args *a)
{
	struct slowdisk d = { .bytes = arg_num(a, "bytes", 64 << 20),
			      .lock = PTHREAD_MUTEX_INITIALIZER };
	pthread_t threads[THREADS - 1];
	int err = open_control(&d, arg_str(a, "control", ""));

	if (err)
		return err;
	/* touched before it is used: the first touch of memory can be slow where we are a guest */
	d.data = mmap(NULL, d.bytes, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (d.data == MAP_FAILED)
		return log_err(-errno, "%llu bytes", (unsigned long long)d.bytes);
	err = mount_fuse(&d, arg_str(a, "mount", ""));
	if (err)
		return err;
	for (int i = 0; i < THREADS - 1; i++)
		if (pthread_create(&threads[i], NULL, serve_disk, &d))
			return log_err(-EAGAIN, "a thread");
	say_ready();
	serve_disk(&d);
	for (int i = 0; i < THREADS - 1; i++)
		pthread_join(threads[i], NULL);
	return 0;
}

const struct verb disk_verbs[] = {
	{ "slowdisk", "mount control bytes", slowdisk },
	{ 0 },
};
