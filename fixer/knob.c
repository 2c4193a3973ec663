// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "knob.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../user/host/read.h"

int knob__look(struct knob *k, const char *root)
{
	int n = read_text(root, k->old, sizeof(k->old), "%s", k->path);

	return n < 0 ? n : n ? 0 : -ENODATA;
}

/* A setting is taken whole by one write, or refused. */
static int write_value(const char *root, const char *path, const char *value)
{
	char full[PATH_MAX];
	size_t len = strlen(value);
	int fd, err = 0;

	if ((size_t)snprintf(full, sizeof(full), "%s%s", root, path) >= sizeof(full))
		return -ENAMETOOLONG;
	fd = open(full, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	if (write(fd, value, len) != (ssize_t)len)
		err = errno ? -errno : -EIO;
	close(fd);
	return err;
}

int knob__set(const struct knob *k, const char *root)
{
	char present[KNOB_VALUE];
	int err = write_value(root, k->path, k->now);

	if (!err && read_text(root, present, sizeof(present), "%s", k->path) < 0)
		err = -EIO;
	return err ? err : strcmp(present, k->now) ? -EIO : 0;
}

int knob__revert(const struct knob *k, const char *root, char present[KNOB_VALUE])
{
	bool other = k->undo_path[0];
	int n = read_text(root, present, KNOB_VALUE, "%s", k->path), err;

	if (n == -ENOENT || n == -ENODEV)
		return KNOB_GONE;
	if (n < 0)
		return n;
	if (!strcmp(present, k->old))
		return KNOB_UNTOUCHED;
	if (strcmp(present, k->now) != 0)
		return KNOB_FOREIGN;
	err = write_value(root, other ? k->undo_path : k->path, other ? k->undo_value : k->old);
	return err ? err : KNOB_RESTORED;
}

json_t *knob__to_json(const struct knob *k)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "path", k->path, "old", k->old, "now",
			 k->now, "undo_path", k->undo_path, "undo_value", k->undo_value, "why",
			 k->why);
}

/* What a journal tells us to write to must be a place that we would have written to. */
static bool is_ours(const char *path)
{
	static const char *const places[] = { "/sys/class/bdi/", "/sys/dev/block/",
					      "/proc/sys/vm/dirty_background_" };

	if (strstr(path, "/../../"))
		return false;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (!strncmp(path, places[i], strlen(places[i])))
			return true;
	return false;
}

static int copy(char *to, size_t size, const char *from)
{
	return (size_t)snprintf(to, size, "%s", from) < size ? 0 : -EINVAL;
}

int knob__from_json(const json_t *j, struct knob *k)
{
	const char *path, *old, *now, *undo_path, *undo_value, *why;

	if (json_unpack((json_t *)j, "{s:s, s:s, s:s, s:s, s:s, s:s}", "path", &path, "old", &old,
			"now", &now, "undo_path", &undo_path, "undo_value", &undo_value, "why",
			&why))
		return -EINVAL;
	if (!is_ours(path) || (*undo_path && !is_ours(undo_path)))
		return -EINVAL;
	if (copy(k->path, sizeof(k->path), path) || copy(k->old, sizeof(k->old), old) ||
	    copy(k->now, sizeof(k->now), now) ||
	    copy(k->undo_path, sizeof(k->undo_path), undo_path) ||
	    copy(k->undo_value, sizeof(k->undo_value), undo_value) ||
	    copy(k->why, sizeof(k->why), why))
		return -EINVAL;
	return 0;
}
