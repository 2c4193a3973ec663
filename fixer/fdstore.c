// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * systemd's descriptor store, by its protocol (sd_notify(3), sd_listen_fds(3)): what is sent to it
 * comes back to the next start of the service. It needs FileDescriptorStoreMax= in the unit.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "hold.h"

#define LISTEN_FDS_START 3

static int notify(const char *text, int fd)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (void *)text, strlen(text) };
	struct msghdr m = { .msg_name = &to, .msg_iov = &iov, .msg_iovlen = 1 };
	int sock, err = 0;

	if (!path || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof(to.sun_path))
		return -ENOENT;
	strcpy(to.sun_path, path);
	m.msg_namelen = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	if (path[0] == '@')
		to.sun_path[0] = '\0';
	if (fd >= 0) {
		control.h = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
					      .cmsg_type = SCM_RIGHTS,
					      .cmsg_len = CMSG_LEN(sizeof(fd)) };
		memcpy(CMSG_DATA(&control.h), &fd, sizeof(fd));
		m.msg_control = &control;
		m.msg_controllen = sizeof(control);
	}
	sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return -errno;
	if (sendmsg(sock, &m, MSG_NOSIGNAL) < 0)
		err = -errno;
	close(sock);
	return err;
}

int fdstore__push(int fd, const char *name)
{
	char text[128];

	/* FDPOLL=0: a memfd cannot be polled, and would be thrown out */
	snprintf(text, sizeof(text), "FDSTORE=1\nFDNAME=%s\nFDPOLL=0", name);
	return notify(text, fd);
}

int fdstore__remove(const char *name)
{
	char text[128];

	snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s", name);
	return notify(text, -1);
}

int fdstore__find(const char *name)
{
	const char *cnt = getenv("LISTEN_FDS"), *at = getenv("LISTEN_FDNAMES");
	const char *pid = getenv("LISTEN_PID");
	int max = cnt ? atoi(cnt) : 0;
	size_t len = strlen(name);

	if (!at || !pid || atoi(pid) != (int)getpid())
		return -ENOENT;
	for (int i = 0; i < max && *at; i++) {
		size_t n = strcspn(at, ":");

		if (n == len && !strncmp(at, name, len)) {
			int fd = fcntl(LISTEN_FDS_START + i, F_DUPFD_CLOEXEC, 0);

			return fd < 0 ? -errno : fd;
		}
		at += n + (at[n] == ':');
	}
	return -ENOENT;
}
