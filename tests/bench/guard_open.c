// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What a guard costs the writers below its directory: new files and their writes in a guarded and
 * in a plain directory of the same file system, in turn.
 *
 *   guard_open pairs GUARDED PLAIN COUNT BYTES    opens and writes, one after the other
 *   guard_open storm DIR WRITERS FILES ROUNDS     the files of all writers at once, a line for each
 *                                                 round: opens, and the longest sleep in one
 *
 * A writer of a storm waits for a CPU too, with or without a guard. What it waits for the guard it
 * sleeps: from the question that the kernel asks to the answer, the guard's own waiting included.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
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
#define SENTRY_NS   500000ull
#define STALL_NS    1000000ull
#define STALLS_MAX  1024

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

/* ---- when a CPU stood still ---- */

/*
 * A thread on each CPU, ahead of everything that the guard runs, that wants it every half a
 * millisecond. Where it gets it late, the hypervisor ran somebody else, or the kernel was where it
 * cannot be preempted: whoever waited then did not wait for the guard.
 */
struct stall {
	uint64_t from_ns, to_ns;
};

struct sentry {
	int cpu, cnt;
	pthread_t thread;
	atomic_bool *stop;
	struct stall v[STALLS_MAX];
};

static void *sentry(void *arg)
{
	struct sentry *s = arg;
	uint64_t next = now_ns(), now;

	while (!atomic_load(s->stop)) {
		struct timespec ts;

		next += SENTRY_NS;
		ts.tv_sec = (time_t)(next / 1000000000ull);
		ts.tv_nsec = (long)(next % 1000000000ull);
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
		now = now_ns();
		if (now - next < STALL_NS)
			continue;
		if (s->cnt < STALLS_MAX)
			s->v[s->cnt++] = (struct stall){ next - SENTRY_NS, now };
		next = now;
	}
	return NULL;
}

static int sentry__start(struct sentry *s, int cpu, atomic_bool *stop)
{
	struct sched_param p = { .sched_priority = 50 };
	pthread_attr_t attr;
	cpu_set_t set;
	int err;

	s->cpu = cpu;
	s->stop = stop;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	pthread_attr_init(&attr);
	pthread_attr_setaffinity_np(&attr, sizeof(set), &set);
	pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
	pthread_attr_setschedpolicy(&attr, SCHED_FIFO);
	pthread_attr_setschedparam(&attr, &p);
	err = pthread_create(&s->thread, &attr, sentry, s);
	pthread_attr_destroy(&attr);
	return err;
}

struct sentries {
	atomic_bool stop;
	int cnt;
	struct sentry *v;
};

/* Without them nobody could tell whose a wait was: then there is no figure. */
static int sentries__start(struct sentries *s)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	int err = 0;

	*s = (struct sentries){ .v = calloc((size_t)cpus, sizeof(*s->v)) };
	if (!s->v)
		return ENOMEM;
	while (!err && s->cnt < cpus) {
		err = sentry__start(&s->v[s->cnt], s->cnt, &s->stop);
		s->cnt += !err;
	}
	return err;
}

static void sentries__stop(struct sentries *s)
{
	atomic_store(&s->stop, true);
	for (int i = 0; i < s->cnt; i++)
		pthread_join(s->v[i].thread, NULL);
}

static uint64_t longest_stall(const struct sentries *s)
{
	uint64_t longest = 0;

	for (int i = 0; i < s->cnt; i++)
		for (int k = 0; k < s->v[i].cnt; k++)
			if (s->v[i].v[k].to_ns - s->v[i].v[k].from_ns > longest)
				longest = s->v[i].v[k].to_ns - s->v[i].v[k].from_ns;
	return longest;
}

/* What the hypervisor says that it took, in steps of 10 ms: the long stalls are to be found in it. */
static double stolen_ms(void)
{
	FILE *f = fopen("/proc/stat", "re");
	unsigned long ticks = 0;

	if (f && fscanf(f, "cpu %*u %*u %*u %*u %*u %*u %*u %lu", &ticks) != 1)
		ticks = 0;
	if (f)
		fclose(f);
	return (double)ticks * 1e3 / (double)sysconf(_SC_CLK_TCK);
}

/* Of [from, to) the part in which any CPU stood still; where two did at once it counts twice. */
static uint64_t stalled(const struct sentries *s, uint64_t from_ns, uint64_t to_ns)
{
	uint64_t sum = 0;

	for (int i = 0; i < s->cnt; i++)
		for (int k = 0; k < s->v[i].cnt; k++) {
			uint64_t a = s->v[i].v[k].from_ns, b = s->v[i].v[k].to_ns;

			a = a > from_ns ? a : from_ns;
			b = b < to_ns ? b : to_ns;
			sum += b > a ? b - a : 0;
		}
	return sum;
}

/* ---- storms ---- */

/* What a thread's time went to until now. Asleep is what is in neither of the last two. */
struct spent {
	uint64_t wall_ns, cpu_ns, queued_ns; /* queued: could have run, and had no CPU */
};

struct opened {
	uint64_t began_ns, wall_ns, queued_ns, asleep_ns;
};

struct storm {
	const char *dir;
	int writer, files;
	struct opened *v;
	int err;
	pthread_barrier_t *start;
};

/* The second number of schedstat is the time on run queues. */
static uint64_t queued_until_now(int schedstat)
{
	char text[96] = "";
	uint64_t ns = 0;

	if (pread(schedstat, text, sizeof(text) - 1, 0) > 0)
		sscanf(text, "%*u %lu", &ns);
	return ns;
}

/* Of one moment: again where the thread lost its CPU in between. */
static struct spent spent__now(int schedstat)
{
	struct spent s;

	do {
		s.queued_ns = queued_until_now(schedstat);
		s.cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
		s.wall_ns = now_ns();
	} while (queued_until_now(schedstat) != s.queued_ns);
	return s;
}

static struct opened difference(const struct spent *a, const struct spent *b)
{
	struct opened o = { .began_ns = a->wall_ns,
			    .wall_ns = b->wall_ns - a->wall_ns,
			    .queued_ns = b->queued_ns - a->queued_ns };
	uint64_t awake = b->cpu_ns - a->cpu_ns + o.queued_ns;

	o.asleep_ns = o.wall_ns > awake ? o.wall_ns - awake : 0;
	return o;
}

static void *storm_writer(void *arg)
{
	static char data[STORM_BYTES];
	struct storm *s = arg;
	char path[4096];
	int stat = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);

	if (stat < 0)
		s->err = errno;
	pthread_barrier_wait(s->start);
	for (int i = 0; i < s->files; i++) {
		struct spent before, after;
		int fd;

		snprintf(path, sizeof(path), "%s/%d-%d.memory.bin", s->dir, s->writer, i);
		/* apart from the open, where creators would sleep for the directory's lock as well */
		if (mknod(path, S_IFREG | 0644, 0))
			s->err = errno;
		before = spent__now(stat);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		after = spent__now(stat);
		s->v[i] = difference(&before, &after);
		if (fd < 0 || write(fd, data, sizeof(data)) != sizeof(data))
			s->err = errno;
		if (fd >= 0)
			close(fd);
	}
	close(stat);
	return NULL;
}

static int run_storm(const char *dir, int writers, int files, struct opened *v)
{
	struct storm s[WRITERS_MAX];
	pthread_t threads[WRITERS_MAX];
	pthread_barrier_t start;
	int err = 0;

	pthread_barrier_init(&start, NULL, (unsigned int)writers);
	for (int i = 0; i < writers; i++) {
		s[i] = (struct storm){ dir, i, files, v + i * files, 0, &start };
		if (pthread_create(&threads[i], NULL, storm_writer, &s[i]))
			return EAGAIN;
	}
	for (int i = 0; i < writers; i++) {
		pthread_join(threads[i], NULL);
		err = err ? err : s[i].err;
	}
	return err;
}

static void delete_files(const char *dir, int writers, int files)
{
	char path[4096];

	for (int w = 0; w < writers; w++)
		for (int i = 0; i < files; i++) {
			snprintf(path, sizeof(path), "%s/%d-%d.memory.bin", dir, w, i);
			unlink(path);
		}
}

/* What a writer slept while no CPU stood still: nobody but the guard can have been the reason. */
static uint64_t for_us(const struct opened *o, const struct sentries *sentries)
{
	uint64_t still = stalled(sentries, o->began_ns, o->began_ns + o->wall_ns);

	return o->asleep_ns > still ? o->asleep_ns - still : 0;
}

static void print_storm(const struct opened *v, size_t cnt, const struct sentries *sentries,
			double stolen)
{
	uint64_t *wall = calloc(cnt, 8), asleep = 0, queued = 0, us = 0, n;

	for (size_t i = 0; wall && i < cnt; i++) {
		wall[i] = v[i].wall_ns;
		asleep = v[i].asleep_ns > asleep ? v[i].asleep_ns : asleep;
		queued = v[i].queued_ns > queued ? v[i].queued_ns : queued;
		n = for_us(&v[i], sentries);
		us = n > us ? n : us;
	}
	if (wall)
		printf("storm opens %zu p50_ms %.3f p99_ms %.3f max_ms %.3f queued_ms %.3f "
		       "asleep_ms %.3f stalled_ms %.3f for_us_ms %.3f stolen_ms %.0f\n",
		       cnt, quantile_ms(wall, cnt, 0.5), quantile_ms(wall, cnt, 0.99),
		       quantile_ms(wall, cnt, 1), (double)queued / 1e6, (double)asleep / 1e6,
		       (double)longest_stall(sentries) / 1e6, (double)us / 1e6, stolen);
	fflush(stdout);
	free(wall);
}

static int storms(const char *dir, int writers, int files, int rounds)
{
	size_t cnt = (size_t)writers * (size_t)files;
	struct opened *v = calloc(cnt, sizeof(*v));
	int err = v ? 0 : ENOMEM;

	for (int i = 0; !err && i < rounds; i++) {
		struct sentries sentries;
		double stolen = stolen_ms();

		err = sentries__start(&sentries);
		if (!err)
			err = run_storm(dir, writers, files, v);
		sentries__stop(&sentries);
		if (!err)
			print_storm(v, cnt, &sentries, stolen_ms() - stolen);
		free(sentries.v);
		delete_files(dir, writers, files);
		usleep(500000); /* the next one finds a guard that has written down this one */
	}
	if (err)
		fprintf(stderr, "guard_open: %s: %s\n", dir, strerror(err));
	free(v);
	return err != 0;
}

int main(int argc, char **argv)
{
	if (argc == 6 && !strcmp(argv[1], "pairs"))
		return pairs(argv[2], argv[3], strtoul(argv[4], NULL, 10), atoll(argv[5]));
	if (argc == 6 && !strcmp(argv[1], "storm") && atoi(argv[3]) > 0 &&
	    atoi(argv[3]) <= WRITERS_MAX && atoi(argv[4]) > 0)
		return storms(argv[2], atoi(argv[3]), atoi(argv[4]), atoi(argv[5]));
	fputs("usage: guard_open pairs GUARDED PLAIN COUNT BYTES | storm DIR WRITERS FILES "
	      "ROUNDS\n",
	      stderr);
	return 2;
}
