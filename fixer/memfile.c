// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "memfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int fill(int fd, uint64_t bytes, bool seal, uid_t uid, gid_t gid)
{
	if (fchmod(fd, 0600) || fchown(fd, uid, gid) || ftruncate(fd, (off_t)bytes))
		return -errno;
	if (seal && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return -errno;
	return 0;
}

int memfile__open(struct memfile *m, const char *name, uint64_t bytes, bool seal, uid_t uid,
		  gid_t gid)
{
	struct stat st;
	char path[40];
	int rw, err;

	if (!bytes || bytes > INT64_MAX)
		return -EINVAL;
	rw = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (rw < 0)
		return -errno;
	err = fill(rw, bytes, seal, uid, gid);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", rw);
	m->fd = err ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	if (!err && (m->fd < 0 || fstat(m->fd, &st)))
		err = -errno;
	close(rw);
	if (err) {
		if (m->fd >= 0)
			close(m->fd);
		m->fd = -1;
		return err;
	}
	m->ino = st.st_ino;
	return -pthread_rwlock_init(&m->lock, NULL);
}

int memfile__used(struct memfile *m, uint64_t *bytes)
{
	struct stat st;
	int err = 0;

	pthread_rwlock_rdlock(&m->lock);
	if (m->fd < 0)
		err = -EBADF;
	else if (fstat(m->fd, &st))
		err = -errno;
	else
		*bytes = (uint64_t)st.st_blocks * 512;
	pthread_rwlock_unlock(&m->lock);
	return err;
}

int memfile__close(struct memfile *m)
{
	int err = -pthread_rwlock_trywrlock(&m->lock);

	if (err)
		return err;
	if (m->fd < 0)
		err = -EBADF;
	else
		close(m->fd);
	m->fd = -1;
	pthread_rwlock_unlock(&m->lock);
	return err;
}
