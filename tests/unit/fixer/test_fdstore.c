// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The protocol of systemd's descriptor store, from the service manager's side. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "fixer/hold.h"

static int manager(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	char name[64];
	int sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(name, sizeof(name), "@flatpause-test-%d", (int)getpid());
	memcpy(at.sun_path + 1, name + 1, strlen(name) - 1);
	assert_true(sock >= 0);
	assert_int_equal(bind(sock, (struct sockaddr *)&at,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))),
			 0);
	setenv("NOTIFY_SOCKET", name, 1);
	return sock;
}

static int receive(int sock, char *text, size_t size)
{
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { text, size - 1 };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(sock, &m, MSG_DONTWAIT);
	int fd = -1;

	assert_true(n > 0);
	text[n] = '\0';
	if (CMSG_FIRSTHDR(&m))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
	return fd;
}

static void is_sent_and_removed(void **state)
{
	int sock = manager(), fd = memfd_create("m", MFD_CLOEXEC), got;
	struct stat a, b;
	char text[256];

	(void)state;
	assert_int_equal(fdstore__push(fd, "flatpause-1"), 0);
	got = receive(sock, text, sizeof(text));
	assert_string_equal(text, "FDSTORE=1\nFDNAME=flatpause-1\nFDPOLL=0");
	assert_int_equal(fstat(fd, &a), 0);
	assert_int_equal(fstat(got, &b), 0);
	assert_int_equal(a.st_ino, b.st_ino);
	assert_int_equal(fdstore__remove("flatpause-1"), 0);
	assert_int_equal(receive(sock, text, sizeof(text)), -1);
	assert_string_equal(text, "FDSTOREREMOVE=1\nFDNAME=flatpause-1");
	close(got);
	close(fd);
	close(sock);
	assert_int_equal(fdstore__push(0, "x"), -ECONNREFUSED);
	unsetenv("NOTIFY_SOCKET");
	assert_int_equal(fdstore__push(0, "x"), -ENOENT);
}

/* Descriptors from 3 on, in the order of their names. */
static void is_found_again(void **state)
{
	int fd = memfd_create("m", MFD_CLOEXEC), found;
	struct stat a, b;
	char pid[16];

	(void)state;
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", "2", 1);
	setenv("LISTEN_FDNAMES", "other:flatpause-7", 1);
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 10);
	assert_int_equal(dup2(fd, 4), 4);
	found = fdstore__find("flatpause-7");
	assert_true(found >= 0);
	assert_int_equal(fstat(fd, &a), 0);
	assert_int_equal(fstat(found, &b), 0);
	assert_int_equal(a.st_ino, b.st_ino);
	assert_int_equal(fdstore__find("flatpause-8"), -ENOENT);
	assert_int_equal(fdstore__find("flatpause"), -ENOENT);
	setenv("LISTEN_PID", "1", 1);
	assert_int_equal(fdstore__find("flatpause-7"), -ENOENT);
	close(found);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_sent_and_removed),
		cmocka_unit_test(is_found_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
