// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "writers.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../user/clock.h"
#include "beneath.h"
#include "lock.h"

#define SETTLE_NS \
	50000000ull /* an open that shows in no fdinfo by then was given up or passed on */

void writers__init(struct writers *w)
{
	memset(w, 0, sizeof(*w));
	urgent_lock__init(&w->lock);
}

static void add(struct writers *w, struct writer v)
{
	v.used = true;
	v.opened_ns = now_ns();
	pthread_mutex_lock(&w->lock);
	for (int i = 0; i < WRITERS_MAX; i++) {
		if (w->v[i].used)
			continue;
		w->v[i] = v;
		pthread_mutex_unlock(&w->lock);
		return;
	}
	w->overflowed++;
	pthread_mutex_unlock(&w->lock);
}

void writers__opened(struct writers *w, pid_t pid, uint64_t dev, uint64_t ino)
{
	add(w, (struct writer){ .dev = dev, .ino = ino, .pid = pid });
}

void writers__writing(struct writers *w, pid_t pid, uint64_t dev, uint64_t ino)
{
	add(w, (struct writer){ .dev = dev, .ino = ino, .pid = pid, .known = true });
}

void writers__closed(struct writers *w, pid_t pid, uint64_t dev, uint64_t ino)
{
	struct writer *found = NULL;

	pthread_mutex_lock(&w->lock);
	for (int i = 0; i < WRITERS_MAX; i++) {
		struct writer *v = &w->v[i];

		if (v->used && v->dev == dev && v->ino == ino && (!found || v->pid == pid))
			found = v;
	}
	if (found)
		found->used = false;
	pthread_mutex_unlock(&w->lock);
}

bool writers__has(struct writers *w, uint64_t dev, uint64_t ino)
{
	bool has = false;

	pthread_mutex_lock(&w->lock);
	for (int i = 0; i < WRITERS_MAX && !has; i++)
		has = w->v[i].used && w->v[i].ino == ino && w->v[i].dev == dev;
	pthread_mutex_unlock(&w->lock);
	return has;
}

void writers__expect(struct writers *w, uint64_t until_ns)
{
	pthread_mutex_lock(&w->lock);
	w->expected_until_ns = until_ns;
	pthread_mutex_unlock(&w->lock);
}

static bool fd_writes(pid_t pid, const char *fd)
{
	char path[64], line[128];
	bool writes = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%.16s", (int)pid, fd);
	f = fopen(path, "re");
	if (!f)
		return false;
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, "flags:", 6))
			writes = (strtoul(line + 6, NULL, 8) & O_ACCMODE) != O_RDONLY;
	fclose(f);
	return writes;
}

enum look { LOOK_NONE, LOOK_READS, LOOK_WRITES };

static enum look look_at(pid_t pid, uint64_t dev, uint64_t ino)
{
	char path[64];
	enum look seen = LOOK_NONE;
	struct dirent *e;
	struct stat st;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	d = opendir(path);
	if (!d)
		return LOOK_NONE;
	while (seen != LOOK_WRITES && (e = readdir(d))) {
		if (e->d_name[0] == '.' || fstatat(dirfd(d), e->d_name, &st, 0))
			continue;
		if (st.st_dev == dev && st.st_ino == ino)
			seen = fd_writes(pid, e->d_name) ? LOOK_WRITES : LOOK_READS;
	}
	closedir(d);
	return seen;
}

/* The answer of /proc goes only to the entry that it was asked for. */
static void settle(struct writers *w, int i, const struct writer *was, enum look look)
{
	struct writer *v = &w->v[i];

	pthread_mutex_lock(&w->lock);
	if (v->used && v->pid == was->pid && v->ino == was->ino && v->opened_ns == was->opened_ns) {
		if (look == LOOK_WRITES)
			v->known = true;
		else if (look == LOOK_READS || now_ns() - v->opened_ns > SETTLE_NS)
			v->used = false;
	}
	pthread_mutex_unlock(&w->lock);
}

bool writers__busy(struct writers *w)
{
	bool busy;

	pthread_mutex_lock(&w->lock);
	busy = now_ns() < w->expected_until_ns;
	pthread_mutex_unlock(&w->lock);
	for (int i = 0; i < WRITERS_MAX; i++) {
		struct writer v;

		pthread_mutex_lock(&w->lock);
		v = w->v[i];
		pthread_mutex_unlock(&w->lock);
		if (!v.used)
			continue;
		if (!v.known)
			settle(w, i, &v, look_at(v.pid, v.dev, v.ino));
		pthread_mutex_lock(&w->lock);
		v = w->v[i];
		/* whose process is gone has closed everything, seen or not */
		if (v.used && v.known && !pid_start_time(v.pid))
			w->v[i].used = v.used = false;
		pthread_mutex_unlock(&w->lock);
		busy |= v.used && now_ns() - v.opened_ns < WRITERS_YIELD_NS;
	}
	return busy;
}
