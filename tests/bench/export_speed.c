// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Brings a file from memory to DIR once and says how fast, for export.sh.
 * usage: export_speed BYTES DIR     FLATPAUSE_EXPORT in the environment: by which way
 * prints: MB/s until it is durable, MB/s with the reading back, the way, waits for a slot
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fixer/export.h"
#include "user/clock.h"

static int fill(int fd, uint64_t bytes)
{
	static unsigned char block[1 << 20];
	uint32_t x = 12345;

	for (uint64_t done = 0; done < bytes; done += sizeof(block)) {
		for (size_t i = 0; i < sizeof(block); i++)
			block[i] = (unsigned char)((x = x * 1664525 + 1013904223) >> 24);
		if (write(fd, block, sizeof(block)) != (ssize_t)sizeof(block))
			return -errno;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static struct export_counters counters;
	static const struct export_hooks hooks;
	struct export_worker *w;
	struct export_result r;
	int src, dirfd, err;
	uint64_t bytes, t0, t1;

	if (argc != 3) {
		fprintf(stderr, "usage: export_speed BYTES DIR\n");
		return 2;
	}
	bytes = strtoull(argv[1], NULL, 0);
	src = memfd_create("source", MFD_CLOEXEC);
	dirfd = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (src < 0 || dirfd < 0 || fill(src, bytes) || export_worker__start(&w, &counters)) {
		perror("export_speed");
		return 1;
	}
	t0 = now_ns();
	err = export__copy(w, src, dirfd, "exported", &hooks, &r);
	t1 = now_ns();
	if (!err && !r.read_back)
		err = export__read_back(w, dirfd, "exported", &hooks, &r);
	unlinkat(dirfd, "exported", 0);
	if (err) {
		fprintf(stderr, "export_speed: %s\n", strerror(-err));
		return 1;
	}
	printf("%.1f %.1f %s %llu\n", (double)bytes * 1e3 / (double)(t1 - t0),
	       (double)bytes * 1e3 / (double)(now_ns() - t0), way_name(r.way),
	       (unsigned long long)atomic_load(&counters.pool.backpressure_waits));
	export_worker__stop(w);
	return 0;
}
