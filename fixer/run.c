// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../user/cli/streams.h"
#include "../user/log.h"

void run_args__flatpause(struct run_args *a, char room[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", room, PATH_MAX - 16);
	char *slash;

	*a = (struct run_args){ 0 };
	room[n > 0 ? n : 0] = '\0';
	slash = strrchr(room, '/');
	if (slash)
		strcpy(slash + 1, "flatpause");
	run_args__add(a, slash && !access(room, X_OK) ? room : "flatpause");
}

void run_args__add(struct run_args *a, const char *word)
{
	if (a->cnt < RUN_ARGS_MAX)
		a->v[a->cnt] = word;
	a->cnt++;
}

void run_args__option(struct run_args *a, const char *name, const char *value)
{
	if (!value)
		return;
	run_args__add(a, name);
	run_args__add(a, value);
}

static pid_t start(const struct run_args *a, int out)
{
	pid_t pid;

	if (!a->cnt || a->cnt > RUN_ARGS_MAX)
		return -E2BIG;
	fflush(stdout);
	pid = fork();
	if (pid)
		return pid < 0 ? -errno : pid;
	if (out >= 0 && dup2(out, STDOUT_FILENO) < 0)
		_exit(127);
	streams__restore();
	execvp(a->v[0], (char *const *)a->v);
	fprintf(stderr, "flatpause-fixer: error: cannot run %s: %s\n", a->v[0], strerror(errno));
	_exit(127);
}

static int wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int run__wait(const struct run_args *a)
{
	pid_t pid = start(a, -1);

	return pid < 0 ? log_err(pid, "cannot run %s", a->v[0]) : wait_for(pid);
}

int run__shell(const char *command, const char *label)
{
	struct run_args a = { .v = { "/bin/sh", "-c", command }, .cnt = 3 };

	if (setenv("FLATPAUSE_ARM", label, 1))
		return log_err(-errno, "setenv");
	return run__wait(&a);
}

int run__json(const struct run_args *a, json_t **out)
{
	int pipefd[2], status;
	json_error_t error;
	pid_t pid;
	FILE *in;

	*out = NULL;
	if (pipe2(pipefd, O_CLOEXEC))
		return log_err(-errno, "pipe");
	pid = start(a, pipefd[1]);
	close(pipefd[1]);
	in = fdopen(pipefd[0], "r");
	if (pid < 0 || !in) {
		close(pipefd[0]);
		return log_err(pid < 0 ? pid : -ENOMEM, "cannot run %s", a->v[0]);
	}
	*out = json_loadf(in, 0, &error);
	while (fgetc(in) != EOF)
		; /* the child must not block on what we do not read */
	fclose(in);
	status = wait_for(pid);
	if (!*out && !status)
		return log_err(-EBADMSG, "%s %s printed no JSON: %s", a->v[0], a->v[1], error.text);
	return status;
}
