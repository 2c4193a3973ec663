// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "uring.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static void *map(int fd, size_t bytes, off_t what)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, what);

	return at == MAP_FAILED ? NULL : at;
}

static int map_rings(struct uring *u, const struct io_uring_params *p)
{
	char *sq, *cq;

	u->sq_bytes = p->sq_off.array + p->sq_entries * sizeof(uint32_t);
	u->cq_bytes = p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe);
	u->sqes_bytes = p->sq_entries * sizeof(struct io_uring_sqe);
	u->sq = map(u->fd, u->sq_bytes, IORING_OFF_SQ_RING);
	u->cq = map(u->fd, u->cq_bytes, IORING_OFF_CQ_RING);
	u->sqes = map(u->fd, u->sqes_bytes, IORING_OFF_SQES);
	if (!u->sq || !u->cq || !u->sqes)
		return -ENOMEM;
	sq = u->sq;
	cq = u->cq;
	u->sq_tail = (uint32_t *)(sq + p->sq_off.tail);
	u->sq_array = (uint32_t *)(sq + p->sq_off.array);
	u->sq_mask = *(uint32_t *)(sq + p->sq_off.ring_mask);
	u->cq_head = (uint32_t *)(cq + p->cq_off.head);
	u->cq_tail = (uint32_t *)(cq + p->cq_off.tail);
	u->cq_mask = *(uint32_t *)(cq + p->cq_off.ring_mask);
	u->cqes = cq + p->cq_off.cqes;
	return 0;
}

int uring__init(struct uring *u, uint32_t entries)
{
	struct io_uring_params p = { 0 };
	int err;

	memset(u, 0, sizeof(*u));
	u->fd = (int)syscall(SYS_io_uring_setup, entries, &p);
	if (u->fd < 0)
		return -errno;
	err = map_rings(u, &p);
	if (err)
		uring__destroy(u);
	return err;
}

void uring__destroy(struct uring *u)
{
	if (u->sq)
		munmap(u->sq, u->sq_bytes);
	if (u->cq)
		munmap(u->cq, u->cq_bytes);
	if (u->sqes)
		munmap(u->sqes, u->sqes_bytes);
	if (u->fd >= 0)
		close(u->fd);
	memset(u, 0, sizeof(*u));
	u->fd = -1;
}

/* How many were taken, or -errno. */
static int enter(struct uring *u, unsigned int submit, unsigned int wait)
{
	const unsigned int flags = wait ? IORING_ENTER_GETEVENTS : 0;
	long n;

	do
		n = syscall(SYS_io_uring_enter, u->fd, submit, wait, flags, NULL, 0);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : (int)n;
}

int uring__write(struct uring *u, int fd, const void *buf, size_t len, uint64_t off, uint64_t id)
{
	uint32_t tail = *u->sq_tail, i = tail & u->sq_mask;
	struct io_uring_sqe *sqe = (struct io_uring_sqe *)u->sqes + i;
	int n;

	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_WRITE;
	sqe->fd = fd;
	sqe->addr = (uintptr_t)buf;
	sqe->len = (uint32_t)len;
	sqe->off = off;
	sqe->user_data = id;
	u->sq_array[i] = i;
	__atomic_store_n(u->sq_tail, tail + 1, __ATOMIC_RELEASE);
	n = enter(u, 1, 0);
	if (n == 1)
		return 0;
	__atomic_store_n(u->sq_tail, tail, __ATOMIC_RELEASE); /* it has not been looked at */
	return n ? n : -EAGAIN;
}

int uring__wait(struct uring *u, uint64_t *id, int *res)
{
	uint32_t head = *u->cq_head;
	const struct io_uring_cqe *cqe;

	while (head == __atomic_load_n(u->cq_tail, __ATOMIC_ACQUIRE)) {
		int n = enter(u, 0, 1);

		if (n < 0)
			return n;
	}
	cqe = (const struct io_uring_cqe *)u->cqes + (head & u->cq_mask);
	*id = cqe->user_data;
	*res = cqe->res;
	__atomic_store_n(u->cq_head, head + 1, __ATOMIC_RELEASE);
	return 0;
}
