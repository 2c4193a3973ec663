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

int streams__flush(int code)
{
	/* what stdio holds back may find a full disk only now */
	int err = fflush(stdout) ? -errno : ferror(stdout) ? -EIO : 0;

	if (!err || code) /* a verb that failed has said why */
		return code;
	if (err != -EPIPE) /* `| head` has seen enough, which is no error to speak of */
		log_err(err, "cannot write the standard output");
	return FP_EXIT_FAILED;
}
