// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "hold.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../user/log.h"

#define GO_FD 4

/* Nothing here allocates, opens or writes: there is nothing that could fail later. */
static void hold(int fd, int go)
{
	sigset_t none;
	char byte;

	if (dup2(fd, HOLD_FD + 10) < 0 || dup2(go, GO_FD + 10) < 0 ||
	    dup2(HOLD_FD + 10, HOLD_FD) < 0 || dup2(GO_FD + 10, GO_FD) < 0)
		_exit(1);
	syscall(SYS_close_range, 0u, 2u, 0u);
	syscall(SYS_close_range, GO_FD + 1u, ~0u, 0u);
	prctl(PR_SET_NAME, "flatpause-hold");
	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (setsid() < 0 || chdir("/") || read(GO_FD, &byte, 1) != 1)
		_exit(1);
	close(GO_FD);
	for (;;)
		pause();
}

pid_t hold__start(int fd, int *go)
{
	int p[2];
	pid_t pid;

	if (pipe2(p, O_CLOEXEC))
		return log_err(-errno, "pipe");
	pid = fork();
	if (!pid) {
		close(p[1]);
		hold(fd, p[0]);
	}
	close(p[0]);
	if (pid < 0) {
		close(p[1]);
		return log_err(-errno, "cannot start a holder");
	}
	*go = p[1];
	return pid;
}

int hold__confirm(int go)
{
	return write(go, "", 1) == 1 ? 0 : log_err(-EPIPE, "the holder died");
}

void hold__path(pid_t pid, char path[64])
{
	snprintf(path, 64, "/proc/%d/fd/%d", (int)pid, HOLD_FD);
}

static void store_name(const struct state *s, char name[40])
{
	snprintf(name, 40, "flatpause-%s", s->conf.id);
}

static int check(int fd, ino_t ino)
{
	struct stat st;

	if (fd < 0)
		return -ENODATA;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_ino == ino)
		return fd;
	close(fd);
	return -ENODATA;
}

int hold__open(const struct state *s, ino_t ino)
{
	char path[64], name[40];
	int fd = -ENODATA;

	hold__path(s->pid, path);
	if (state__alive(s))
		fd = check(open(path, O_RDONLY | O_CLOEXEC), ino);
	store_name(s, name);
	return fd >= 0 ? fd : check(fdstore__find(name), ino);
}

void hold__end(const struct state *s)
{
	struct pollfd p = { .events = POLLIN };
	char name[40];

	store_name(s, name);
	fdstore__remove(name);
	p.fd = s->pid > 0 ? (int)syscall(SYS_pidfd_open, s->pid, 0) : -1;
	if (p.fd < 0)
		return;
	if (state__alive(s) && !syscall(SYS_pidfd_send_signal, p.fd, SIGTERM, NULL, 0))
		poll(&p, 1, 5000);
	close(p.fd);
}
