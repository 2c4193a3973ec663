// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* `flatpause fix ...` runs flatpause-fixer: the one beside this program, else the one in PATH. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../log.h"
#include "verb.h"

static int path_beside_us(char *path, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", path, size - 1);
	char *slash;
	size_t room;

	if (n < 0)
		return -errno;
	path[n] = '\0';
	slash = strrchr(path, '/');
	if (!slash)
		return -ENOENT;
	room = size - (size_t)(slash + 1 - path);
	if ((size_t)snprintf(slash + 1, room, "flatpause-fixer") >= room)
		return -ENAMETOOLONG;
	return access(path, X_OK) ? -errno : 0;
}

int verb_fix(int argc, char **argv)
{
	char path[PATH_MAX];

	(void)argc;
	if (!path_beside_us(path, sizeof(path)))
		execv(path, argv);
	execvp("flatpause-fixer", argv);
	log_err(-errno, "flatpause-fixer is neither beside flatpause nor in PATH; install both");
	return FP_EXIT_UNSUPPORTED;
}
