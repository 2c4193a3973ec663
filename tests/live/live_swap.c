// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Lets two names change places, again and again: a directory and a link, say, between somebody's
 * check and his use of it. Run by test_fix_badinput.sh.
 * usage: live_swap A B TIMES USEC     prints how often; ends with A and B where they were
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	unsigned long times, usec, done = 0;

	if (argc != 5) {
		fprintf(stderr, "usage: live_swap A B TIMES USEC\n");
		return 2;
	}
	times = strtoul(argv[3], NULL, 10) & ~1ul;
	usec = strtoul(argv[4], NULL, 10);
	for (; done < times; done++) {
		if (renameat2(AT_FDCWD, argv[1], AT_FDCWD, argv[2], RENAME_EXCHANGE)) {
			fprintf(stderr, "live_swap: %s\n", strerror(errno));
			return 1;
		}
		usleep((useconds_t)usec);
	}
	printf("%lu\n", done);
	return 0;
}
