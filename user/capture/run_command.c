// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "run_command.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../log.h"

struct command_pipes {
	int out[2], go[2], error[2];
};

static void close_pair(int fds[2])
{
	for (int i = 0; i < 2; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static int open_pipes(struct command_pipes *p)
{
	*p = (struct command_pipes){ { -1, -1 }, { -1, -1 }, { -1, -1 } };
	if (pipe2(p->out, O_CLOEXEC) || pipe2(p->go, O_CLOEXEC) || pipe2(p->error, O_CLOEXEC)) {
		int err = -errno;

		close_pair(p->out);
		close_pair(p->go);
		close_pair(p->error);
		return log_err(err, "cannot make pipes for the command");
	}
	return 0;
}

static void report_and_die(int fd, int err)
{
	if (write(fd, &err, sizeof(err)) < 0)
		_exit(126);
	_exit(err == ENOENT ? 127 : 126);
}

/* Between fork and exec: only what is safe there. */
static void be_the_child(const struct command_pipes *p, char *const argv[],
			 const struct rlimit *nofile)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	sigset_t none;
	char go;
	int null;

	setpgid(0, 0);
	sigaction(SIGINT, &dfl, NULL);
	sigaction(SIGTERM, &dfl, NULL);
	sigaction(SIGPIPE, &dfl, NULL);
	sigaction(SIGXFSZ, &dfl, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	close(p->go[1]);
	if (read(p->go[0], &go, 1) != 1) /* the recorder gave up */
		_exit(126);
	null = open("/dev/null", O_RDONLY);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(p->out[1], STDOUT_FILENO) < 0)
		report_and_die(p->error[1], errno);
	if (null > STDERR_FILENO)
		close(null);
	if (nofile && setrlimit(RLIMIT_NOFILE, nofile))
		report_and_die(p->error[1], errno);
	execvp(argv[0], argv);
	report_and_die(p->error[1], errno);
}

int command__fork(struct command *c, char *const argv[], bool echo, const struct rlimit *nofile)
{
	struct command_pipes p;
	int err;

	memset(c, 0, sizeof(*c));
	c->pid = -1;
	c->pidfd = c->out_fd = c->go_fd = c->error_fd = -1;
	c->echo = echo;
	c->out = malloc(COMMAND_OUTPUT_MAX);
	if (!c->out)
		return log_err(-ENOMEM, "output of the command");
	err = open_pipes(&p);
	if (err)
		return err;
	c->pid = fork();
	if (c->pid == 0)
		be_the_child(&p, argv, nofile);
	err = c->pid < 0 ? log_err(-errno, "cannot fork for %s", argv[0]) : 0;
	close(p.out[1]);
	close(p.go[0]);
	close(p.error[1]);
	c->out_fd = p.out[0];
	c->go_fd = p.go[1];
	c->error_fd = p.error[0];
	if (err)
		return err;
	setpgid(c->pid, c->pid); /* also from here: who is first does not matter then */
	fcntl(c->out_fd, F_SETFL, O_NONBLOCK);
	c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
	if (c->pidfd < 0)
		return log_err(-errno, "pidfd_open (needs Linux 5.3)");
	return 0;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

int command__exec(struct command *c, const char *name)
{
	int child_errno = 0;
	ssize_t n;

	if (write(c->go_fd, "g", 1) != 1)
		return log_err(-errno, "cannot start %s", name);
	close_fd(&c->go_fd);
	do /* exec closes the pipe: end of file means success */
		n = read(c->error_fd, &child_errno, sizeof(child_errno));
	while (n < 0 && errno == EINTR);
	close_fd(&c->error_fd);
	if (n != (ssize_t)sizeof(child_errno))
		return 0;
	return log_err(-child_errno, "cannot run %s", name);
}

/* Keeps the end of the output, where the result stands. */
static void command__keep(struct command *c, const char *data, size_t n)
{
	size_t over;

	if (n > COMMAND_OUTPUT_MAX) {
		data += n - COMMAND_OUTPUT_MAX;
		n = COMMAND_OUTPUT_MAX;
	}
	over = c->out_len + n > COMMAND_OUTPUT_MAX ? c->out_len + n - COMMAND_OUTPUT_MAX : 0;
	if (over) {
		memmove(c->out, c->out + over, c->out_len - over);
		c->out_len -= over;
	}
	memcpy(c->out + c->out_len, data, n);
	c->out_len += n;
}

static void echo_to_stderr(const char *data, size_t n)
{
	while (n) {
		ssize_t done = write(STDERR_FILENO, data, n);

		if (done <= 0)
			return;
		data += done;
		n -= (size_t)done;
	}
}

void command__read(struct command *c)
{
	char buf[8192];

	/* Bounded: a command that floods its stdout must not keep us from draining the rings. */
	for (int i = 0; i < 64 && c->out_fd >= 0; i++) {
		ssize_t n = read(c->out_fd, buf, sizeof(buf));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			close_fd(&c->out_fd);
			return;
		}
		command__keep(c, buf, (size_t)n);
		if (c->echo)
			echo_to_stderr(buf, (size_t)n);
	}
}

bool command__ended(struct command *c)
{
	if (!c->ended && c->pid > 0 && waitpid(c->pid, &c->status, WNOHANG) == c->pid)
		c->ended = true;
	return c->ended;
}

bool command__group_lives(const struct command *c)
{
	return c->pid > 0 && (!kill(-c->pid, 0) || errno == EPERM);
}

void command__signal(const struct command *c, int sig)
{
	if (c->pid > 0)
		kill(-c->pid, sig);
}

void command__close(struct command *c)
{
	if (c->pid > 0 && !command__ended(c)) {
		/* A child that still waits for its start is not in its group yet, perhaps. */
		kill(c->pid, SIGKILL);
		command__signal(c, SIGKILL);
		while (waitpid(c->pid, &c->status, 0) < 0 && errno == EINTR)
			;
	}
	close_fd(&c->pidfd);
	close_fd(&c->out_fd);
	close_fd(&c->go_fd);
	close_fd(&c->error_fd);
	free(c->out);
	c->out = NULL;
}
