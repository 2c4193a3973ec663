// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "lease.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>

#include "lock.h"

/* SIGIO, which would come else, ends a process. */
int lease__try(int fd)
{
	if (fcntl(fd, F_SETSIG, SIGURG) || fcntl(fd, F_SETLEASE, F_RDLCK))
		return errno == EBUSY ? -EAGAIN : -errno;
	return 0;
}

bool lease__is_lost(void *fd)
{
	return fcntl(*(int *)fd, F_GETLEASE) != F_RDLCK;
}

void lease__init(struct lease *l)
{
	*l = (struct lease){ .fd = -1 };
	urgent_lock__init(&l->lock);
	pthread_cond_init(&l->broken_cond, NULL);
}

int lease__take(struct lease *l, int fd)
{
	if (fcntl(fd, F_SETSIG, LEASE_SIGNAL) || fcntl(fd, F_SETLEASE, F_RDLCK))
		return -errno;
	pthread_mutex_lock(&l->lock);
	l->fd = fd;
	l->phase = LEASE_COPY;
	l->broken = fcntl(fd, F_GETLEASE) != F_RDLCK;
	pthread_mutex_unlock(&l->lock);
	return 0;
}

void lease__drop(struct lease *l)
{
	pthread_mutex_lock(&l->lock);
	fcntl(l->fd, F_SETLEASE, F_UNLCK);
	l->fd = -1;
	l->phase = LEASE_NONE;
	l->broken = false;
	pthread_mutex_unlock(&l->lock);
}

/* A signal can be late, for a file that had this number before: the kernel says whether it is ours. */
void lease__break(struct lease *l, int fd)
{
	pthread_mutex_lock(&l->lock);
	if (l->phase != LEASE_NONE && l->fd == fd && fcntl(fd, F_GETLEASE) != F_RDLCK) {
		l->broken = true;
		if (l->phase == LEASE_COPY)
			fcntl(fd, F_SETLEASE, F_UNLCK);
		pthread_cond_signal(&l->broken_cond);
	}
	pthread_mutex_unlock(&l->lock);
}

bool lease__is_broken(struct lease *l)
{
	bool broken;

	pthread_mutex_lock(&l->lock);
	broken = l->broken;
	pthread_mutex_unlock(&l->lock);
	return broken;
}

bool lease__commit(struct lease *l)
{
	bool ok;

	pthread_mutex_lock(&l->lock);
	ok = !l->broken && fcntl(l->fd, F_GETLEASE) == F_RDLCK;
	if (ok)
		l->phase = LEASE_COMMITTED;
	pthread_mutex_unlock(&l->lock);
	return ok;
}

bool lease__linger(struct lease *l, uint64_t ns)
{
	struct timespec until;
	bool broken;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += (time_t)(ns / 1000000000);
	until.tv_nsec += (long)(ns % 1000000000);
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&l->lock);
	while (!l->broken && pthread_cond_timedwait(&l->broken_cond, &l->lock, &until) != ETIMEDOUT)
		;
	broken = l->broken;
	pthread_mutex_unlock(&l->lock);
	return broken;
}
