// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What a guard costs the writers below its directory: new files and their writes in a guarded and
 * in a plain directory of the same file system, in turn.
 *
 *   guard_open pairs GUARDED PLAIN COUNT BYTES    opens and writes, one after the other
 *   guard_open storm DIR WRITERS FILES            the files of all writers at once: longest open
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../user/clock.h"

#define WRITES	    64
#define WRITE_BYTES 4096
#define WRITERS_MAX 256
#define STORM_BYTES (256 << 10)

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static double quantile_ms(uint64_t *v, size_t cnt, double q)
{
	qsort(v, cnt, sizeof(*v), compare);
	return (double)v[(size_t)((double)(cnt - 1) * q)] / 1e6;
}

struct costs {
	uint64_t *open_ns, *first_ns, *write_ns, *sync_ns;
};

/* As Firecracker: a directory, the memory file with its size, writes, fsync. */
static int one_file(const char *dir, int n, off_t bytes, struct costs *c)
{
	static char data[WRITE_BYTES];
	char path[4096];
	uint64_t at;
	int fd;

	snprintf(path, sizeof(path), "%s/snap-%d", dir, n);
	if (mkdir(path, 0755))
		return -errno;
	/* the guard serves a new directory first; that has its own figure */
	usleep(3000);
	strcat(path, "/memory.bin");
	at = now_ns();
	fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0644);
	c->open_ns[n] = now_ns() - at;
	if (fd < 0 || ftruncate(fd, bytes))
		return -errno;
	for (int i = -1; i < WRITES; i++) {
		at = now_ns();
		if (pwrite(fd, data, sizeof(data), (off_t)(i + 1) * WRITE_BYTES) != WRITE_BYTES)
			return -errno;
		*(i < 0 ? &c->first_ns[n] : &c->write_ns[n * WRITES + i]) = now_ns() - at;
	}
	at = now_ns();
	if (fsync(fd))
		return -errno;
	c->sync_ns[n] = now_ns() - at;
	close(fd);
	return 0;
}

static struct costs costs__new(size_t cnt)
{
	return (struct costs){ calloc(cnt, 8), calloc(cnt, 8), calloc(cnt * WRITES, 8),
			       calloc(cnt, 8) };
}

static int pairs(const char *guarded, const char *plain, size_t cnt, off_t bytes)
{
	struct costs c[2] = { costs__new(cnt), costs__new(cnt) };
	const char *dirs[2] = { guarded, plain };

	for (size_t n = 0; n < cnt; n++)
		for (size_t k = 0; k < 2; k++) {
			size_t arm = (n + k) % 2;
			int err = one_file(dirs[arm], (int)n, bytes, &c[arm]);

			if (err) {
				fprintf(stderr, "guard_open: %s: %s\n", dirs[arm], strerror(-err));
				return 1;
			}
		}
	for (int arm = 0; arm < 2; arm++)
		printf("%s open_ms %.4f open_p99_ms %.4f first_ms %.5f write_ms %.5f write_p99_ms "
		       "%.5f fsync_ms %.3f\n",
		       arm ? "plain" : "guarded", quantile_ms(c[arm].open_ns, cnt, 0.5),
		       quantile_ms(c[arm].open_ns, cnt, 0.99),
		       quantile_ms(c[arm].first_ns, cnt, 0.5),
		       quantile_ms(c[arm].write_ns, cnt * WRITES, 0.5),
		       quantile_ms(c[arm].write_ns, cnt * WRITES, 0.99),
		       quantile_ms(c[arm].sync_ns, cnt, 0.5));
	return 0;
}

struct storm {
	const char *dir;
	int writer, files;
	uint64_t *open_ns;
	int err;
	pthread_barrier_t *start;
};

static void *storm_writer(void *arg)
{
	static char data[STORM_BYTES];
	struct storm *s = arg;
	char path[4096];

	pthread_barrier_wait(s->start);
	for (int i = 0; i < s->files; i++) {
		uint64_t at;
		int fd;

		snprintf(path, sizeof(path), "%s/%d-%d.memory.bin", s->dir, s->writer, i);
		at = now_ns();
		fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
		s->open_ns[i] = now_ns() - at;
		if (fd < 0 || write(fd, data, sizeof(data)) != sizeof(data))
			s->err = errno;
		if (fd >= 0)
			close(fd);
	}
	return NULL;
}

static int storm(const char *dir, int writers, int files)
{
	struct storm s[WRITERS_MAX];
	pthread_t threads[WRITERS_MAX];
	pthread_barrier_t start;
	size_t cnt = (size_t)writers * (size_t)files;
	uint64_t *all = calloc(cnt, 8);
	int err = 0;

	pthread_barrier_init(&start, NULL, (unsigned int)writers);
	for (int i = 0; i < writers; i++) {
		s[i] = (struct storm){ dir, i, files, all + i * files, 0, &start };
		if (pthread_create(&threads[i], NULL, storm_writer, &s[i]))
			return 1;
	}
	for (int i = 0; i < writers; i++) {
		pthread_join(threads[i], NULL);
		err |= s[i].err;
	}
	printf("storm opens %zu errors %d p50_ms %.3f p99_ms %.3f max_ms %.3f\n", cnt, err,
	       quantile_ms(all, cnt, 0.5), quantile_ms(all, cnt, 0.99), quantile_ms(all, cnt, 1));
	free(all);
	return err != 0;
}

int main(int argc, char **argv)
{
	if (argc == 6 && !strcmp(argv[1], "pairs"))
		return pairs(argv[2], argv[3], strtoul(argv[4], NULL, 10), atoll(argv[5]));
	if (argc == 5 && !strcmp(argv[1], "storm") && atoi(argv[3]) > 0 &&
	    atoi(argv[3]) <= WRITERS_MAX && atoi(argv[4]) > 0)
		return storm(argv[2], atoi(argv[3]), atoi(argv[4]));
	fputs("usage: guard_open pairs GUARDED PLAIN COUNT BYTES | storm DIR WRITERS FILES\n",
	      stderr);
	return 2;
}
