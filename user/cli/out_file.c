// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "out_file.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../log.h"
#include "streams.h"

static bool is_stdout(const char *path)
{
	return !strcmp(path, "-");
}

/* A device or a pipe cannot be replaced by a file, and a link is followed by who reads it. */
static bool write_in_place(const char *path)
{
	struct stat st;

	return !lstat(path, &st) && !S_ISREG(st.st_mode);
}

/* mkstemp() gives 0600; the file shall have the mode of any other new file, or of the old one. */
static int set_mode(int fd, const char *path)
{
	mode_t mask = umask(0);
	struct stat st;

	umask(mask);
	if (fchmod(fd, stat(path, &st) ? 0666 & ~mask : st.st_mode & 07777))
		return -errno;
	return 0;
}

static int open_temporary(struct out_file *o)
{
	int fd, err;

	if (asprintf(&o->temporary, "%s.XXXXXX", o->path) < 0) {
		o->temporary = NULL;
		return log_err(-ENOMEM, "%s", o->path);
	}
	fd = mkstemp(o->temporary);
	if (fd < 0) {
		err = log_err(-errno, "cannot create %s", o->path);
		free(o->temporary);
		o->temporary = NULL;
		return err;
	}
	err = set_mode(fd, o->path);
	if (!err) {
		o->stream = fdopen(fd, "w");
		err = o->stream ? 0 : -errno;
	}
	if (!err)
		return 0;
	close(fd);
	out_file__discard(o);
	return log_err(err, "cannot create %s", o->path);
}

int out_file__open(struct out_file *o, const char *path)
{
	memset(o, 0, sizeof(*o));
	o->path = path;
	if (is_stdout(path)) {
		o->stream = stdout;
		return 0;
	}
	if (!write_in_place(path))
		return open_temporary(o);
	o->stream = fopen(path, "we");
	return o->stream ? 0 : log_err(-errno, "cannot write %s", path);
}

static int close_stream(struct out_file *o)
{
	int err = stream__error(o->stream);

	if (o->stream != stdout && fclose(o->stream) && !err)
		err = -errno;
	o->stream = NULL;
	return err;
}

int out_file__commit(struct out_file *o)
{
	int err = close_stream(o);

	if (!err && o->temporary && rename(o->temporary, o->path))
		err = -errno;
	if (err) {
		out_file__discard(o);
		return log_err(err, "cannot write %s",
			       is_stdout(o->path) ? "the standard output" : o->path);
	}
	free(o->temporary);
	o->temporary = NULL;
	return 0;
}

void out_file__discard(struct out_file *o)
{
	if (o->stream && o->stream != stdout)
		fclose(o->stream);
	o->stream = NULL;
	if (o->temporary)
		unlink(o->temporary);
	free(o->temporary);
	o->temporary = NULL;
}
