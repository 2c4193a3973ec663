// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * When a watched file has been fsynced: fanotify does not say, a tracepoint of its file system does.
 * Read through perf, from a tracefs that is mounted for us alone. Where any of this is missing, the
 * files are looked at when they are first written and when they are closed, and status says so.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "../user/log.h"
#include "guard.h"

#define RING_PAGES 4
#define TEXT_MAX   4096
#define NAP_MS	   200 /* how soon the end of the guard is noticed */

struct sync_point {
	long magic;
	const char *name;
};

static const struct sync_point points[] = {
	{ EXT4_SUPER_MAGIC, "ext4/ext4_sync_file_exit" },
	{ XFS_SUPER_MAGIC, "xfs/xfs_file_fsync" },
	{ BTRFS_SUPER_MAGIC, "btrfs/btrfs_sync_file" },
};

static int read_event_text(int dir, const char *point, const char *what, char text[TEXT_MAX])
{
	char path[128];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "events/%s/%s", point, what);
	fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, text, TEXT_MAX - 1);
	close(fd);
	if (n < 0)
		return -EIO;
	text[n] = '\0';
	return 0;
}

/* "field:ino_t ino;	offset:16;	size:8;" */
static int field_offset(const char *format, const char *name, unsigned int bytes)
{
	unsigned int offset, size;
	char key[32];
	const char *at;

	snprintf(key, sizeof(key), " %s;", name);
	at = strstr(format, key);
	if (!at || sscanf(at + strlen(key), " offset:%u; size:%u;", &offset, &size) != 2 ||
	    size != bytes || offset > 256)
		return -EBADMSG;
	return (int)offset;
}

/* Seen by nobody else, and gone with the descriptor. */
static int open_tracefs(void)
{
	int fs = (int)syscall(SYS_fsopen, "tracefs", FSOPEN_CLOEXEC), mnt;

	if (fs < 0)
		return -errno;
	mnt = syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0)
		      ? -1
		      : (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0);
	if (mnt < 0)
		mnt = -errno;
	close(fs);
	return mnt;
}

static int find_point(struct sync_watch *s, const char *point, uint64_t *id)
{
	char text[TEXT_MAX];
	int dir = open_tracefs(), err;

	if (dir < 0)
		return dir;
	err = read_event_text(dir, point, "id", text);
	if (!err) {
		*id = strtoull(text, NULL, 10);
		err = read_event_text(dir, point, "format", text);
	}
	close(dir);
	if (err)
		return err;
	s->dev_at = field_offset(text, "dev", 4);
	s->ino_at = field_offset(text, "ino", 8);
	return s->dev_at < 0 || s->ino_at < 0 ? -EBADMSG : 0;
}

/* A CPU that is not online has no ring, and no fsync. */
static int open_cpu(struct sync_watch *s, int cpu, uint64_t id, const char *filter)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT,
		.size = sizeof(attr),
		.config = id,
		.sample_period = 1,
		.sample_type = PERF_SAMPLE_RAW,
		.wakeup_events = 1,
	};
	int fd = (int)syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	void *map;

	if (fd < 0)
		return errno == ENODEV ? 0 : -errno;
	map = mmap(NULL, (size_t)(RING_PAGES + 1) * s->page, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		   0);
	if (map == MAP_FAILED || ioctl(fd, PERF_EVENT_IOC_SET_FILTER, filter)) {
		close(fd);
		return map == MAP_FAILED ? -ENOMEM : -EINVAL;
	}
	s->fds[s->cnt].fd = fd;
	s->fds[s->cnt].events = POLLIN;
	s->rings[s->cnt++] = map;
	return 0;
}

/* The file's own descriptor is among those that are held for it: nothing is opened. */
static void synced(struct guard *g, uint64_t dev, uint64_t ino)
{
	struct job job = { .kind = JOB_SYNCED, .fd = -1, .pending = -1 };
	struct track *t;

	pthread_mutex_lock(&g->lock);
	job.track = track__find(g, dev, ino);
	t = job.track >= 0 ? &g->tracks[job.track] : NULL;
	if (t && t->hold_cnt && !t->synced) {
		t->synced = true;
		job.gen = t->gen;
		job.fd = fcntl(t->hold[0], F_DUPFD_CLOEXEC, 0);
	}
	pthread_mutex_unlock(&g->lock);
	if (job.fd >= 0 && jobs__push(&g->clerk, &job))
		close(job.fd);
}

static void handle_sample(struct guard *g, const uint8_t *raw, uint32_t size)
{
	struct sync_watch *s = &g->sync;
	uint32_t dev;
	uint64_t ino;

	if (size < (uint32_t)s->dev_at + 4 || size < (uint32_t)s->ino_at + 8)
		return;
	memcpy(&dev, raw + s->dev_at, 4);
	memcpy(&ino, raw + s->ino_at, 8);
	synced(g, makedev(dev >> 20, dev & 0xfffff), ino); /* as the kernel packs it */
}

/* Records may wrap around the end of the ring. */
static void copy_out(uint8_t *to, const uint8_t *data, uint64_t size, uint64_t at, uint64_t len)
{
	for (uint64_t i = 0; i < len; i++)
		to[i] = data[(at + i) % size];
}

static void drain(struct guard *g, struct perf_event_mmap_page *ring)
{
	const uint64_t size = (uint64_t)RING_PAGES * g->sync.page;
	const uint8_t *data = (const uint8_t *)ring + g->sync.page;
	uint64_t head = __atomic_load_n(&ring->data_head, __ATOMIC_ACQUIRE);
	uint64_t at = ring->data_tail;

	while (head - at >= sizeof(struct perf_event_header)) {
		struct perf_event_header h;
		uint8_t rec[512];
		uint32_t raw;

		copy_out((uint8_t *)&h, data, size, at, sizeof(h));
		if (h.size < sizeof(h) || h.size > head - at)
			break;
		if (h.type == PERF_RECORD_SAMPLE && h.size <= sizeof(rec) &&
		    h.size >= sizeof(h) + sizeof(raw)) {
			copy_out(rec, data, size, at, h.size);
			memcpy(&raw, rec + sizeof(h), sizeof(raw));
			if (raw <= h.size - sizeof(h) - sizeof(raw))
				handle_sample(g, rec + sizeof(h) + sizeof(raw), raw);
		}
		at += h.size;
	}
	__atomic_store_n(&ring->data_tail, head, __ATOMIC_RELEASE);
}

static void *run(void *arg)
{
	struct guard *g = arg;
	struct sync_watch *s = &g->sync;

	while (!atomic_load(&g->quit)) {
		if (poll(s->fds, (nfds_t)s->cnt, NAP_MS) < 0 && errno != EINTR)
			return NULL;
		for (int i = 0; i < s->cnt; i++)
			drain(g, s->rings[i]);
	}
	return NULL;
}

static int open_rings(struct guard *g, const char *point)
{
	struct sync_watch *s = &g->sync;
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	char filter[48];
	uint64_t id = 0;
	int err = find_point(s, point, &id);

	if (err)
		return err;
	s->page = (size_t)sysconf(_SC_PAGESIZE);
	s->fds = calloc((size_t)cpus, sizeof(*s->fds));
	s->rings = calloc((size_t)cpus, sizeof(*s->rings));
	if (!s->fds || !s->rings)
		return -ENOMEM;
	snprintf(filter, sizeof(filter), "dev == %u",
		 (unsigned int)(major(g->conf.dev) << 20 | minor(g->conf.dev)));
	for (int cpu = 0; !err && cpu < cpus; cpu++)
		err = open_cpu(s, cpu, id, filter);
	return err;
}

void sync_watch__start(struct guard *g)
{
	const char *point = NULL;
	struct statfs fs;
	int err = -EOPNOTSUPP;

	if (fstatfs(g->dirfd, &fs))
		return;
	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++)
		if (points[i].magic == (long)fs.f_type)
			point = points[i].name;
	if (point)
		err = open_rings(g, point);
	if (!err)
		err = -pthread_create(&g->sync.thread, NULL, run, g);
	g->sync.running = !err;
	if (err)
		guard__note(g, "extents are not looked at after fsync: %s%s",
			    point ? "" : "no tracepoint is known for this file system: ",
			    strerror(-err));
}

void sync_watch__stop(struct guard *g)
{
	struct sync_watch *s = &g->sync;

	if (s->running)
		pthread_join(s->thread, NULL);
	s->running = false;
	for (int i = 0; i < s->cnt; i++) {
		munmap(s->rings[i], (size_t)(RING_PAGES + 1) * s->page);
		close(s->fds[i].fd);
	}
	free(s->fds);
	free(s->rings);
	*s = (struct sync_watch){ 0 };
}
