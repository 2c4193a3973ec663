// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Syscalls by name, so that one table serves every machine; what one does not have drops out. */
#include "syscall_table.h"

#include <stddef.h>
#include <sys/syscall.h>

struct row {
	int nr;
	struct sys_desc desc;
};

#define NO SYS_NO_ARG
#define FD(_nr, _cls)                            \
	{                                        \
		_nr,                             \
		{                                \
			.cls = _cls, .fd_arg = 0 \
		}                                \
	}
#define NOFD(_nr, _cls)                           \
	{                                         \
		_nr,                              \
		{                                 \
			.cls = _cls, .fd_arg = NO \
		}                                 \
	}
#define ARGS(_nr, _cls)                                                             \
	{                                                                           \
		_nr,                                                                \
		{                                                                   \
			.cls = _cls, .fd_arg = 0, .args_from = 1, .flags = SYS_ARGS \
		}                                                                   \
	}
#define READ(_nr, _cls, _buf)                                 \
	{                                                     \
		_nr,                                          \
		{                                             \
			.cls = _cls, .fd_arg = 0, .buf = _buf \
		}                                             \
	}
#define OPEN(_nr, _dir, _path, _how, _flags)                                                      \
	{                                                                                         \
		_nr,                                                                              \
		{                                                                                 \
			.cls = FP_SYS_OPEN, .fd_arg = _dir, .path_arg = _path, .path2_arg = _how, \
			.flags = _flags                                                           \
		}                                                                                 \
	}
#define RENAME(_nr, _old, _new)                                                                 \
	{                                                                                       \
		_nr,                                                                            \
		{                                                                               \
			.cls = FP_SYS_RENAME, .fd_arg = NO, .path_arg = _old, .path2_arg = _new \
		}                                                                               \
	}

/* clang-format off */
static const struct row rows[] = {
#ifdef SYS_open
	OPEN(SYS_open, NO, 0, 1, 0),
	OPEN(SYS_creat, NO, 0, 1, SYS_CREAT),
#endif
	OPEN(SYS_openat, 0, 1, 2, 0),
#ifdef SYS_openat2
	OPEN(SYS_openat2, 0, 1, 2, SYS_OPEN_HOW),
#endif
	FD(SYS_close, FP_SYS_CLOSE),
	FD(SYS_dup, FP_SYS_DUP),
#ifdef SYS_dup2
	FD(SYS_dup2, FP_SYS_DUP),
#endif
	FD(SYS_dup3, FP_SYS_DUP),

	ARGS(SYS_ftruncate, FP_SYS_FTRUNCATE),
	ARGS(SYS_fallocate, FP_SYS_FALLOCATE),
	ARGS(SYS_sync_file_range, FP_SYS_SYNC_FILE_RANGE),
	ARGS(SYS_copy_file_range, FP_SYS_COPY_FILE_RANGE),
	ARGS(SYS_sendfile, FP_SYS_SENDFILE),
	ARGS(SYS_splice, FP_SYS_SPLICE),
	ARGS(SYS_ioctl, FP_SYS_IOCTL),
	{ SYS_msync, { .cls = FP_SYS_MSYNC, .fd_arg = NO, .args_from = 0, .flags = SYS_ARGS } },

	READ(SYS_read, FP_SYS_READ, SYS_BUF_ARG1),
	READ(SYS_readv, FP_SYS_READ, SYS_BUF_IOVEC),
	FD(SYS_pread64, FP_SYS_READ),
	FD(SYS_preadv, FP_SYS_READ),
	FD(SYS_preadv2, FP_SYS_READ),
	READ(SYS_recvfrom, FP_SYS_RECV, SYS_BUF_ARG1),
	READ(SYS_recvmsg, FP_SYS_RECV, SYS_BUF_MSGHDR),
	FD(SYS_recvmmsg, FP_SYS_RECV),
	FD(SYS_accept, FP_SYS_RECV),
	FD(SYS_accept4, FP_SYS_RECV),

	FD(SYS_write, FP_SYS_WRITE),
	FD(SYS_writev, FP_SYS_WRITE),
	FD(SYS_pwrite64, FP_SYS_WRITE),
	FD(SYS_pwritev, FP_SYS_WRITE),
	FD(SYS_pwritev2, FP_SYS_WRITE),
	FD(SYS_sendto, FP_SYS_SEND),
	FD(SYS_sendmsg, FP_SYS_SEND),
	FD(SYS_sendmmsg, FP_SYS_SEND),

	FD(SYS_fsync, FP_SYS_FSYNC),
	FD(SYS_fdatasync, FP_SYS_FDATASYNC),
	FD(SYS_syncfs, FP_SYS_FSYNC),
	NOFD(SYS_sync, FP_SYS_FSYNC),

#ifdef SYS_rename
	RENAME(SYS_rename, 0, 1),
#endif
#ifdef SYS_renameat
	RENAME(SYS_renameat, 1, 3),
#endif
	RENAME(SYS_renameat2, 1, 3),
#ifdef SYS_unlink
	NOFD(SYS_unlink, FP_SYS_UNLINK),
#endif
	NOFD(SYS_unlinkat, FP_SYS_UNLINK),

	NOFD(SYS_futex, FP_SYS_FUTEX),

#ifdef SYS_poll
	NOFD(SYS_poll, FP_SYS_POLL),
	NOFD(SYS_select, FP_SYS_POLL),
	FD(SYS_epoll_wait, FP_SYS_POLL),
#endif
	NOFD(SYS_ppoll, FP_SYS_POLL),
	NOFD(SYS_pselect6, FP_SYS_POLL),
	FD(SYS_epoll_pwait, FP_SYS_POLL),
#ifdef SYS_epoll_pwait2
	FD(SYS_epoll_pwait2, FP_SYS_POLL),
#endif
	NOFD(SYS_nanosleep, FP_SYS_SLEEP),
	NOFD(SYS_clock_nanosleep, FP_SYS_SLEEP),
	NOFD(SYS_wait4, FP_SYS_WAIT),
	NOFD(SYS_waitid, FP_SYS_WAIT),
};
/* clang-format on */

void fill_syscall_table(struct sys_desc *table)
{
	for (int i = 0; i < FP_MAX_SYSCALL; i++)
		table[i] = (struct sys_desc){ .cls = FP_SYS_OTHER, .fd_arg = NO };
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].nr >= 0 && rows[i].nr < FP_MAX_SYSCALL)
			table[rows[i].nr] = rows[i].desc;
}
