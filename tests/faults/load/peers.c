// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Victims that wait for another process: a controller that dawdles, a server that is slow. */
#include "load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- a controller and its VMM ---- */

/* The VMM pauses at the first call, resumes at the second and has nothing to do in between. */
static int serve_calls(int fd, uint64_t *dawdled_ns)
{
	char call;
	int err = 0;

	if (read(fd, &call, 1) != 1)
		return log_err(-EPIPE, "the first call");
	err = pause__begin();
	burn_cpu_ns(3 * NS_PER_MS);
	if (write(fd, "k", 1) != 1 || read(fd, dawdled_ns, sizeof(*dawdled_ns)) < 0)
		err = log_err(-EPIPE, "the second call");
	return err ? err : pause__end(*dawdled_ns);
}

/* Between the answer and its next call it sleeps: a retry loop, a missing keep-alive. */
static int make_calls(int fd, uint64_t dawdle_ns)
{
	uint64_t begin;
	char answer;

	if (write(fd, "p", 1) != 1 || read(fd, &answer, 1) != 1)
		return 1;
	begin = now_ns();
	if (dawdle_ns)
		sleep_ns(dawdle_ns);
	begin = now_ns() - begin;
	return write(fd, &begin, sizeof(begin)) != sizeof(begin);
}

static int controller(const struct args *a)
{
	uint64_t dawdled = 0;
	int fd[2], err, status;
	pid_t child;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd))
		return log_err(-errno, "socketpair");
	child = fork();
	if (child < 0)
		return log_err(-errno, "fork");
	if (!child)
		_exit(make_calls(fd[1], arg_ms(a, "gap_ms")));
	close(fd[1]);
	err = serve_calls(fd[0], &dawdled);
	waitpid(child, &status, 0);
	return err ? err : status ? log_err(-EIO, "the controller failed") : 0;
}

/* ---- a program that is run in the pause ---- */

static int hook(const struct args *a)
{
	uint64_t begin;
	pid_t child;
	int err = pause__begin(), status = 0;

	burn_cpu_ns(3 * NS_PER_MS);
	begin = now_ns();
	child = fork();
	if (!child) {
		burn_cpu_ns(arg_ms(a, "ms"));
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) < 0 || status)
		err = log_err(-ECHILD, "the hook");
	return err ? err : pause__end(now_ns() - begin);
}

/* ---- a server that is nobody's child ---- */

static int unix_socket(const char *path, struct sockaddr_un *addr)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (fd < 0 || !path || strlen(path) >= sizeof(addr->sun_path))
		return log_err(fd < 0 ? -errno : -EINVAL, "a socket");
	strcpy(addr->sun_path, path);
	return fd;
}

/* Asks the server once; the answer is how long it worked on it. */
static int ask(const struct args *a)
{
	uint64_t work_ns = arg_ms(a, "ms"), took = 0;
	struct sockaddr_un addr;
	int fd = unix_socket(arg_str(a, "socket", NULL), &addr), err = 0;

	if (fd < 0)
		return fd;
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		return log_err(-errno, "connect");
	err = pause__begin();
	burn_cpu_ns(3 * NS_PER_MS);
	if (write(fd, &work_ns, sizeof(work_ns)) < 0 || read(fd, &took, sizeof(took)) < 0)
		err = log_err(-errno, "the server");
	if (!err)
		err = pause__end(took);
	close(fd);
	return err;
}

static void answer_one(int fd)
{
	uint64_t work_ns, begin;

	if (read(fd, &work_ns, sizeof(work_ns)) == sizeof(work_ns)) {
		begin = now_ns();
		burn_cpu_ns(work_ns);
		begin = now_ns() - begin;
		if (write(fd, &begin, sizeof(begin)) < 0)
			log_warn("the client is gone");
	}
	close(fd);
}

/* Computes as long as each client asks for; until it is killed. */
static int serve(const struct args *a)
{
	struct sockaddr_un addr;
	int fd = unix_socket(arg_str(a, "socket", NULL), &addr), client;

	if (fd < 0)
		return fd;
	unlink(addr.sun_path);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 4))
		return log_err(-errno, "%s", addr.sun_path);
	say_ready();
	while ((client = accept(fd, NULL, NULL)) >= 0)
		answer_one(client);
	return -errno;
}

const struct verb peer_verbs[] = {
	{ "controller", "gap_ms", controller },
	{ "hook", "ms", hook },
	{ "ask", "socket ms", ask },
	{ "serve", "socket", serve },
	{ 0 },
};
