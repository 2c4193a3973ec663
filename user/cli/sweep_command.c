// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "sweep_command.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../log.h"
#include "streams.h"
#include "verb.h"

#define PLACE	"sweeps" /* what it is told to make, in our directory */
#define PRINTED "stdout"

static int make_dir(struct sweep_command *c)
{
	const char *tmp = getenv("TMPDIR");
	int n = snprintf(c->dir, sizeof(c->dir), "%s/flatpause-gate.XXXXXX",
			 tmp && tmp[0] ? tmp : "/tmp");

	if (n < 0 || (size_t)n >= sizeof(c->dir) - 64 || !mkdtemp(c->dir)) {
		c->dir[0] = '\0';
		return log_err(-errno, "cannot make a directory below %s", tmp ? tmp : "/tmp");
	}
	return 0;
}

/* Every "{}" becomes the place; a shell must take that as one plain word. */
static int fill_in(const char *command, const char *place, char **out)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789/._+,@%-";
	const char *hole = strstr(command, "{}");
	size_t size;
	FILE *text;

	if (hole && place[strspn(place, plain)]) {
		log_err(0, "TMPDIR holds a character that a shell takes apart: use "
			   "\"$" SWEEP_COMMAND_OUT "\" in place of {}");
		return -EINVAL;
	}
	text = open_memstream(out, &size);
	if (!text)
		return log_err(-ENOMEM, "cannot run the command");
	for (; hole; command = hole + 2, hole = strstr(command, "{}")) {
		fwrite(command, 1, (size_t)(hole - command), text);
		fputs(place, text);
	}
	fputs(command, text);
	if (!fclose(text))
		return 0;
	free(*out);
	return log_err(-ENOMEM, "cannot run the command");
}

/* In the child: the shell as the leader of a group, so that all of it can be ended. */
static void become_shell(const char *command, int out, const char *place, const char *run,
			 uint32_t sweeps)
{
	int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	char count[16];

	snprintf(count, sizeof(count), "%u", sweeps);
	setpgid(0, 0);
	streams__restore();
	/* our stdin may be the curve, and it is another group's than the terminal's */
	if (in < 0 || dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
	    setenv(SWEEP_COMMAND_OUT, place, 1) || setenv(SWEEP_COMMAND_RUN, run, 1) ||
	    setenv(SWEEP_COMMAND_SWEEPS, count, 1))
		_exit(126);
	execl("/bin/sh", "sh", "-c", command, (char *)NULL);
	_exit(127);
}

/* Ours to wait for until it ends; a signal to us ends it. */
static int wait_for(pid_t pid, int *status)
{
	while (waitpid(pid, status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
		if (exiting)
			kill(-pid, SIGTERM);
	}
	return exiting ? -EINTR : 0;
}

static int explain_status(const char *run, int status)
{
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return 0;
	if (WIFSIGNALED(status))
		log_err(0, "the --%s command was ended by signal %d (%s)", run, WTERMSIG(status),
			strsignal(WTERMSIG(status)));
	else
		log_err(0, "the --%s command ended with status %d", run, WEXITSTATUS(status));
	return -EINVAL;
}

static int run_shell(const char *command, const char *place, const char *printed, const char *run,
		     uint32_t sweeps)
{
	int status = 0, err, out = open(printed, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	pid_t pid;

	if (out < 0)
		return log_err(-errno, "cannot create %s", printed);
	pid = fork();
	if (!pid)
		become_shell(command, out, place, run, sweeps);
	err = pid < 0 ? -errno : 0;
	close(out);
	if (!err) {
		setpgid(pid, pid); /* whoever comes first */
		err = wait_for(pid, &status);
	}
	if (err)
		return log_err(err, "cannot run the --%s command", run);
	return explain_status(run, status);
}

/* ---- what it made ---- */

static int add_path(struct sweep_command *c, const char *dir, const char *name)
{
	char *path;

	if (c->paths_cnt == PARAM_LIST_MAX)
		return log_err(-E2BIG, "the command made more than %d files", PARAM_LIST_MAX);
	if (asprintf(&path, name ? "%s/%s" : "%s", dir, name) < 0)
		return log_err(-ENOMEM, "%s", dir);
	c->paths[c->paths_cnt++] = path;
	return 0;
}

static int is_shown(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

static int add_directory(struct sweep_command *c, const char *dir)
{
	struct dirent **list;
	int cnt = scandir(dir, &list, is_shown, alphasort), err = 0;

	if (cnt < 0)
		return log_err(-errno, "cannot read %s", dir);
	for (int i = 0; i < cnt; i++) {
		if (!err)
			err = add_path(c, dir, list[i]->d_name);
		free(list[i]);
	}
	free(list);
	return err;
}

/* It printed what is no result: to where its messages go. */
static void pass_on(const char *printed)
{
	FILE *in = fopen(printed, "re");
	char buf[4096];
	size_t n;

	while (in && (n = fread(buf, 1, sizeof(buf), in)) > 0)
		fwrite(buf, 1, n, stderr);
	if (in)
		fclose(in);
}

static int collect(struct sweep_command *c, const char *place, const char *printed, const char *run)
{
	struct stat st;
	int err = 0;

	if (!stat(place, &st)) {
		pass_on(printed);
		err = S_ISDIR(st.st_mode) ? add_directory(c, place) : add_path(c, place, NULL);
	} else if (!stat(printed, &st) && st.st_size) {
		err = add_path(c, printed, NULL);
	}
	if (err || c->paths_cnt)
		return err;
	log_err(0, "the --%s command neither printed pauses nor wrote them to $" SWEEP_COMMAND_OUT,
		run);
	return -EINVAL;
}

int sweep_command__run(struct sweep_command *c, const char *command, const char *run,
		       uint32_t sweeps)
{
	char place[sizeof(c->dir) + 32], printed[sizeof(c->dir) + 32], *filled;
	int err;

	memset(c, 0, sizeof(*c));
	err = make_dir(c);
	if (err)
		return err;
	snprintf(place, sizeof(place), "%s/" PLACE, c->dir);
	snprintf(printed, sizeof(printed), "%s/" PRINTED, c->dir);
	err = fill_in(command, place, &filled);
	if (err)
		return err;
	err = run_shell(filled, place, printed, run, sweeps);
	free(filled);
	return err ? err : collect(c, place, printed, run);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

void sweep_command__remove(struct sweep_command *c)
{
	for (size_t i = 0; i < c->paths_cnt; i++)
		free(c->paths[i]);
	/* not across mounts, not through links: what is not ours stays */
	if (c->dir[0] && nftw(c->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT))
		log_warn("cannot remove %s", c->dir);
	memset(c, 0, sizeof(*c));
}
