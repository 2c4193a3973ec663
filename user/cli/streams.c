// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "streams.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "../log.h"

int streams__open(void)
{
	int fd;

	/* A trace or a journal that got descriptor 2 would have messages written into it. */
	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd < 0)
		return -errno;
	close(fd);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a file size limit is an error like a full disk */
	return 0;
}

void streams__restore(void)
{
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
}

int stream__error(FILE *stream)
{
	if (!ferror(stream))
		return fflush(stream) ? -errno : 0;
	/* it knows that a write failed, not why: another one fails for the same reason */
	errno = 0;
	if ((fputc('\n', stream) == EOF || fflush(stream)) && errno)
		return -errno;
	return -EIO;
}

int streams__flush(int code)
{
	int err = stream__error(stdout);

	if (!err || code) /* a verb that failed has said why */
		return code;
	if (err != -EPIPE) /* `| head` has seen enough, which is no error to speak of */
		log_err(err, "cannot write the standard output");
	return FP_EXIT_FAILED;
}
