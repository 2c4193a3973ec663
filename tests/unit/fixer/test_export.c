// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "fixer/crc32c.h"
#include "fixer/export.h"
#include "user/clock.h"

static char root[] = "/var/tmp/test-export.XXXXXX";
static int rootfd;
static struct export_counters counters;
static struct export_worker *worker;

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(root))
		return -1;
	rootfd = open(root, O_RDONLY | O_DIRECTORY);
	return rootfd < 0 || export_worker__start(&worker, &counters);
}

static int tear_down(void **state)
{
	char command[64];

	(void)state;
	close(rootfd);
	export_worker__stop(worker);
	snprintf(command, sizeof(command), "rm -rf %s", root);
	return system(command);
}

static int source(const char *data, size_t len, off_t at, off_t size)
{
	int fd = memfd_create("source", 0);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	assert_int_equal(pwrite(fd, data, len, at), (ssize_t)len);
	return fd;
}

static const struct export_hooks no_hooks;

static void check_same(int src, const char *name, const struct export_result *r)
{
	char a[65536], b[65536];
	int fd = openat(rootfd, name, O_RDONLY);
	uint32_t crc = 0;
	ssize_t n;

	assert_true(fd >= 0);
	assert_int_equal(lseek(src, 0, SEEK_SET), 0);
	while ((n = read(src, a, sizeof(a))) > 0) {
		assert_int_equal(read(fd, b, sizeof(b)), n);
		assert_memory_equal(a, b, (size_t)n);
		crc = crc32c(crc, a, (size_t)n);
	}
	assert_int_equal(read(fd, b, 1), 0);
	assert_int_equal(crc, r->crc);
	close(fd);
}

static void every_shape_of_file(void **state)
{
	static const off_t sizes[] = { 1, 511, 4096, 4097, 300000, 262144, 5000000 };
	static const off_t ats[] = { 0, 1, 4095, 262143, 4000000 };
	struct export_result r;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (size_t k = 0; k < sizeof(ats) / sizeof(ats[0]); k++) {
			int src;

			if (ats[k] >= sizes[i])
				continue;
			src = source("x", 1, ats[k], sizes[i]);
			assert_int_equal(
				export__copy(worker, src, rootfd, ".m.flatpause", &no_hooks, &r),
				0);
			assert_int_equal(r.bytes, sizes[i]);
			check_same(src, ".m.flatpause", &r);
			assert_int_equal(unlinkat(rootfd, ".m.flatpause", 0), 0);
			close(src);
		}
	}
}

static void empty_and_all_hole(void **state)
{
	struct export_result r;
	struct stat st;
	int src = memfd_create("source", 0);

	(void)state;
	assert_int_equal(export__copy(worker, src, rootfd, "e", &no_hooks, &r), 0);
	assert_int_equal(r.crc, 0);
	assert_int_equal(ftruncate(src, 1 << 20), 0);
	assert_int_equal(export__copy(worker, src, rootfd, "h", &no_hooks, &r), 0);
	assert_int_equal(r.data_bytes, 0);
	assert_int_equal(fstatat(rootfd, "h", &st, 0), 0);
	assert_int_equal(st.st_size, 1 << 20);
	check_same(src, "h", &r);
	close(src);
}

static bool after_two(void *arg)
{
	return ++*(int *)arg > 2;
}

/* As its users see it, it is the same file. */
static void times_and_mode_come_along(void **state)
{
	const struct timespec times[2] = { { .tv_sec = 981173106, .tv_nsec = 123456789 },
					   { .tv_sec = 981173107, .tv_nsec = 1 } };
	struct export_result r;
	int src = source("x", 1, 70000, 100000);
	struct stat st;

	(void)state;
	assert_int_equal(futimens(src, times), 0);
	assert_int_equal(fchmod(src, 0640), 0);
	assert_int_equal(export__copy(worker, src, rootfd, "times", &no_hooks, &r), 0);
	assert_int_equal(export__read_back(worker, rootfd, "times", &no_hooks, &r), 0);
	assert_int_equal(fstatat(rootfd, "times", &st, 0), 0);
	assert_memory_equal(&st.st_mtim, &times[1], sizeof(st.st_mtim));
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(unlinkat(rootfd, "times", 0), 0);
	close(src);
}

static void cancelled_leaves_nothing(void **state)
{
	static char data[1 << 20] = "data";
	int calls = 0, src = source(data, sizeof(data), 0, sizeof(data));
	struct export_hooks hooks = { .cancelled = after_two, .arg = &calls };
	struct export_result r;

	(void)state;
	assert_int_equal(export__copy(worker, src, rootfd, "c", &hooks, &r), -ECANCELED);
	assert_int_equal(faccessat(rootfd, "c", F_OK, 0), -1);
	close(src);
}

static void another_way(const char *mode)
{
	export_worker__stop(worker);
	assert_int_equal(setenv("FLATPAUSE_EXPORT", mode, 1), 0);
	assert_int_equal(export_worker__start(&worker, &counters), 0);
	unsetenv("FLATPAUSE_EXPORT");
}

/* 5 MB of which every byte counts, and a hole of 3 MB in it. */
static int long_source(void)
{
	static unsigned char data[2500001];
	uint32_t x = 1;
	int fd;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (unsigned char)((x = x * 1664525 + 1013904223) >> 24);
	fd = source((char *)data, sizeof(data), 0, 8000003);
	assert_int_equal(pwrite(fd, data, sizeof(data), 5500002), sizeof(data));
	return fd;
}

static void every_way_writes_the_same(void **state)
{
	static const char *const modes[] = { "direct",		"dontcache", "window", "plain",
					     "copy_file_range", "sendfile",  "splice", "blocking",
					     "inline",		"" };
	struct export_result r;
	int src = long_source();

	(void)state;
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		another_way(modes[i]);
		assert_int_equal(export__copy(worker, src, rootfd, "w", &no_hooks, &r), 0);
		check_same(src, "w", &r);
		print_message("# %s: went by %s\n", modes[i], way_name(r.way));
		assert_int_equal(r.read_back, way_reads_itself(r.way));
		assert_int_equal(export__read_back(worker, rootfd, "w", &no_hooks, &r), 0);
		assert_true(r.read_back);
		assert_int_equal(unlinkat(rootfd, "w", 0), 0);
	}
	close(src);
}

/* Forced to what the pair refuses, it goes by another way, and tells by which. */
static void a_refused_way_is_not_taken(void **state)
{
	struct export_result r;
	int src = long_source();
	struct stat a, b;

	(void)state;
	assert_int_equal(fstat(src, &a) | fstat(rootfd, &b), 0);
	assert_int_not_equal(a.st_dev, b.st_dev);
	another_way("copy_file_range"); /* EXDEV since Linux 5.19 */
	assert_int_equal(export__copy(worker, src, rootfd, "x", &no_hooks, &r), 0);
	assert_int_not_equal(r.way, WAY_COPY_RANGE);
	check_same(src, "x", &r);
	close(src);
	/* within one file system it is there, and chosen */
	another_way("");
	src = openat(rootfd, "x", O_RDONLY);
	assert_int_equal(export__copy(worker, src, rootfd, "y", &no_hooks, &r), 0);
	assert_int_equal(r.way, WAY_COPY_RANGE);
	assert_true(r.read_back);
	check_same(src, "y", &r);
	close(src);
	assert_int_equal(unlinkat(rootfd, "x", 0) | unlinkat(rootfd, "y", 0), 0);
}

static void only_known_modes(void **state)
{
	struct export_worker *none;

	(void)state;
	setenv("FLATPAUSE_EXPORT", "fast", 1);
	assert_int_equal(export_worker__start(&none, &counters), -EINVAL);
	assert_null(none);
	unsetenv("FLATPAUSE_EXPORT");
}

static void reading_back_tells_whose_fault(void **state)
{
	struct timespec times[2];
	struct export_result r;
	int src = long_source(), fd;

	(void)state;
	assert_int_equal(export__copy(worker, src, rootfd, "b", &no_hooks, &r), 0);
	fd = openat(rootfd, "b", O_RDWR);
	assert_int_equal(pwrite(fd, "!", 1, 1000000), 1);
	/* somebody wrote to it: his */
	assert_int_equal(export__read_back(worker, rootfd, "b", &no_hooks, &r), -ESTALE);
	/* and he may set its mtime to what it was; or he renamed what the disk did not keep */
	times[0] = times[1] = r.mtime;
	assert_int_equal(futimens(fd, times), 0);
	assert_int_equal(export__read_back(worker, rootfd, "b", &no_hooks, &r), -EUCLEAN);
	/* nobody wrote to it, and yet it is another: the disk's */
	export__renamed(fd, &r);
	assert_int_equal(export__read_back(worker, rootfd, "b", &no_hooks, &r), -EBADMSG);
	assert_false(r.read_back);
	assert_int_equal(unlinkat(rootfd, "b", 0), 0);
	assert_int_equal(export__read_back(worker, rootfd, "b", &no_hooks, &r), -ESTALE);
	close(fd);
	close(src);
}

static void count_call(void *arg)
{
	atomic_fetch_add((atomic_int *)arg, 1);
}

/* Before every write of a slot the device is asked for; nothing goes out between two askings. */
static void it_asks_before_each_write(void **state)
{
	static const char *const modes[] = { "direct", "blocking", "plain", "splice" };
	atomic_int calls;
	struct export_hooks hooks = { .yield = count_call, .arg = &calls };
	struct export_result r;
	int src = long_source();

	(void)state;
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		uint64_t before, writes = 0;

		another_way(modes[i]);
		atomic_store(&calls, 0);
		before = atomic_load(&counters.written_bytes);
		assert_int_equal(export__copy(worker, src, rootfd, "a", &hooks, &r), 0);
		writes = (atomic_load(&counters.written_bytes) - before + POOL_SLOT_BYTES - 1) /
			 POOL_SLOT_BYTES;
		assert_true((uint64_t)atomic_load(&calls) > writes);
		assert_int_equal(unlinkat(rootfd, "a", 0), 0);
	}
	another_way("");
	close(src);
}

/* As the clock goes: not less than the bytes ask for. More is the machine's affair. */
static void the_rate_is_kept(void **state)
{
	struct export_share share;
	struct export_hooks hooks = { .share = &share };
	struct export_result r;
	int src = long_source();

	(void)state;
	export_share__init(&share, 20000000);
	assert_int_equal(export__copy(worker, src, rootfd, "r", &hooks, &r), 0);
	assert_true(r.copy_ns > 150000000); /* 5 MB in 250 ms, but for the first step and burst */
	assert_int_equal(unlinkat(rootfd, "r", 0), 0);
	close(src);
}

struct sharing {
	struct export_share *share;
	const char *name;
	int src;
};

static void *export_by_the_rate(void *arg)
{
	const struct sharing *s = arg;
	struct export_hooks hooks = { .share = s->share };
	struct export_worker *w;
	struct export_result r;
	int err = export_worker__start(&w, &counters);

	if (!err)
		err = export__copy(w, s->src, rootfd, s->name, &hooks, &r);
	export_worker__stop(w);
	return err ? arg : NULL;
}

/* Two workers have one rate between them: 10 MB in 500 ms, where a rate for each would take 250. */
static void the_rate_is_shared(void **state)
{
	struct export_share share;
	struct sharing s[2] = { { &share, "r1", long_source() }, { &share, "r2", long_source() } };
	pthread_t threads[2];
	uint64_t since = now_ns();
	void *failed;

	(void)state;
	export_share__init(&share, 20000000);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, export_by_the_rate, &s[i]), 0);
	for (int i = 0; i < 2; i++) {
		pthread_join(threads[i], &failed);
		assert_null(failed);
		assert_int_equal(unlinkat(rootfd, s[i].name, 0), 0);
		close(s[i].src);
	}
	assert_true(now_ns() - since > 400000000); /* but for the last steps and the burst */
}

static void sizes_that_cannot_be(void **state)
{
	struct export_result r;
	int src = memfd_create("source", 0), pipes[2];

	(void)state;
	assert_int_equal(ftruncate(src, INT64_MAX), 0);
	assert_int_equal(export__copy(worker, src, rootfd, "s", &no_hooks, &r), -EFBIG);
	assert_int_equal(faccessat(rootfd, "s", F_OK, 0), -1);
	close(src);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(export__copy(worker, pipes[0], rootfd, "s", &no_hooks, &r), -EINVAL);
	assert_int_equal(faccessat(rootfd, "s", F_OK, 0), -1);
	close(pipes[0]);
	close(pipes[1]);
}

static long rss_kb(const char *key)
{
	char line[128];
	long kb = -1;
	FILE *f = fopen("/proc/self/status", "r");

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)))
			kb = strtol(line + strlen(key), NULL, 10);
	fclose(f);
	return kb;
}

#define QUEUED	1000
#define WORKERS 3

struct drain {
	atomic_int next, failed;
	int fds[QUEUED];
};

static void *drain(void *arg)
{
	struct drain *d = arg;
	struct export_worker *w;
	int i;

	if (export_worker__start(&w, &counters)) {
		atomic_fetch_add(&d->failed, 1);
		return NULL;
	}
	while ((i = atomic_fetch_add(&d->next, 1)) < QUEUED) {
		struct export_result r;
		char name[16];

		snprintf(name, sizeof(name), "q%d", i);
		if (export__copy(w, d->fds[i], rootfd, name, &no_hooks, &r) ||
		    unlinkat(rootfd, name, 0))
			atomic_fetch_add(&d->failed, 1);
	}
	export_worker__stop(w);
	return NULL;
}

/* The cap: workers x slots x slot size, and what the threads themselves need. */
static void memory_is_capped(void **state)
{
	const long cap_kb = WORKERS * POOL_SLOTS * (POOL_SLOT_BYTES >> 10);
#ifdef __SANITIZE_ADDRESS__
	const long own_kb = 65536; /* shadow memory */
#else
	const long own_kb = 1024;
#endif
	const struct rlimit many = { 4096, 4096 };
	static struct drain d;
	static char data[200000];
	pthread_t threads[WORKERS];
	long before;

	(void)state;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &many), 0);
	memset(data, 'q', sizeof(data));
	for (int i = 0; i < QUEUED; i++) {
		d.fds[i] = memfd_create("queued", 0);
		assert_int_equal(write(d.fds[i], data, sizeof(data)), sizeof(data));
	}
	/* the highest so far is forgotten */
	assert_int_equal(system("echo 5 >/proc/$PPID/clear_refs"), 0);
	before = rss_kb("VmRSS:");
	for (int i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, drain, &d), 0);
	for (int i = 0; i < WORKERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&d.failed), 0);
	print_message("# %d files by %d workers: +%ld kB, cap %ld kB\n", QUEUED, WORKERS,
		      rss_kb("VmHWM:") - before, cap_kb + own_kb);
	/* all of it is touched in advance; a page or two of ours may have gone meanwhile */
	assert_true(rss_kb("VmHWM:") - before >= cap_kb - 256);
	assert_true(rss_kb("VmHWM:") - before <= cap_kb + own_kb);
	for (int i = 0; i < QUEUED; i++)
		close(d.fds[i]);
}

static void counters_are_seen_from_outside(void **state)
{
	struct export_counters *shared, copy;

	(void)state;
	assert_int_equal(export_counters__of(getpid(), &copy), -ENOENT);
	assert_int_equal(export_counters__share(&shared), 0);
	atomic_store(&shared->files, 7);
	assert_int_equal(export_counters__of(getpid(), &copy), 0);
	assert_int_equal(atomic_load(&copy.files), 7);
}

static void another_ones_file_is_not_touched(void **state)
{
	struct export_result r;
	char text[8] = "";
	int src = source("x", 1, 0, 1), fd;

	(void)state;
	/* under the temporary name */
	fd = openat(rootfd, "t", O_CREAT | O_RDWR, 0600);
	assert_int_equal(write(fd, "mine", 4), 4);
	assert_int_equal(export__copy(worker, src, rootfd, "t", &no_hooks, &r), -EEXIST);
	assert_int_equal(pread(fd, text, 4, 0), 4);
	assert_string_equal(text, "mine");
	close(fd);
	/* in the place of the link */
	assert_int_equal(export__copy(worker, src, rootfd, "t2", &no_hooks, &r), 0);
	assert_int_equal(export__commit(rootfd, "t2", "t", "/our/target"), -ENOENT);
	assert_int_equal(faccessat(rootfd, "t2", F_OK, 0), -1);
	fd = openat(rootfd, "t", O_RDONLY);
	assert_int_equal(read(fd, text, 8), 4);
	close(fd);
	close(src);
}

static void commit_and_back(void **state)
{
	struct export_result r;
	struct stat st;
	int src = source("x", 1, 0, 1);

	(void)state;
	assert_int_equal(symlinkat("/our/target", rootfd, "l"), 0);
	assert_int_equal(export__copy(worker, src, rootfd, "l2", &no_hooks, &r), 0);
	assert_int_equal(export__commit(rootfd, "l2", "l", "/our/target"), 0);
	assert_int_equal(fstatat(rootfd, "l", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_int_equal(faccessat(rootfd, "l2", F_OK, AT_SYMLINK_NOFOLLOW), -1);
	assert_int_equal(export__relink(rootfd, "l2", "l", "/our/target", st.st_dev, st.st_ino + 1),
			 -ENOENT);
	assert_int_equal(faccessat(rootfd, "l2", F_OK, AT_SYMLINK_NOFOLLOW), -1);
	assert_int_equal(export__relink(rootfd, "l2", "l", "/our/target", st.st_dev, st.st_ino), 0);
	assert_true(export__is_link(rootfd, "l", "/our/target"));
	assert_false(export__is_link(rootfd, "l", "/our/other"));
	close(src);
}

#define MOVED_FILES 3000

/* Moves files onto "busy"; each has a second name, so that no number comes twice. */
struct mover {
	ino_t replaced[MOVED_FILES]; /* by somebody else, before the next one came; 0 = was not */
	atomic_bool done;
};

static void make_files(void)
{
	char kept[16], name[16];

	for (int i = 0; i < MOVED_FILES; i++) {
		snprintf(kept, sizeof(kept), "kept-%d", i);
		snprintf(name, sizeof(name), "new-%d", i);
		close(openat(rootfd, kept, O_CREAT | O_EXCL | O_RDWR, 0600));
		assert_int_equal(linkat(rootfd, kept, rootfd, name, 0), 0);
	}
}

static void *move_files(void *arg)
{
	struct mover *m = arg;
	char kept[16], name[16];
	struct stat st;

	for (int i = 0; i < MOVED_FILES; i++) {
		snprintf(name, sizeof(name), "new-%d", i);
		renameat(rootfd, name, rootfd, "busy");
		snprintf(kept, sizeof(kept), "kept-%d", i);
		if (!fstatat(rootfd, kept, &st, 0) && st.st_nlink == 1)
			m->replaced[i] = st.st_ino;
	}
	atomic_store(&m->done, true);
	return NULL;
}

/* A link takes the place of the one file that was meant, whatever others move there meanwhile. */
static void only_what_was_meant_is_replaced(void **state)
{
	static struct mover m;
	static ino_t meant[MOVED_FILES];
	int cnt = 0, lost = 0;
	pthread_t thread;
	struct stat st;

	(void)state;
	make_files();
	assert_int_equal(pthread_create(&thread, NULL, move_files, &m), 0);
	while (!atomic_load(&m.done)) {
		if (fstatat(rootfd, "busy", &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode))
			continue;
		if (!export__relink(rootfd, "busy2", "busy", "/our/target", st.st_dev, st.st_ino))
			meant[cnt++] = st.st_ino;
	}
	pthread_join(thread, NULL);
	for (int i = 0; i < MOVED_FILES; i++) {
		bool is_meant = !m.replaced[i];

		for (int k = 0; !is_meant && k < cnt; k++)
			is_meant = meant[k] == m.replaced[i];
		lost += !is_meant;
	}
	assert_int_equal(lost, 0);
	assert_true(cnt > 0);
	assert_int_equal(faccessat(rootfd, "busy2", F_OK, AT_SYMLINK_NOFOLLOW), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_shape_of_file),
		cmocka_unit_test(empty_and_all_hole),
		cmocka_unit_test(times_and_mode_come_along),
		cmocka_unit_test(cancelled_leaves_nothing),
		cmocka_unit_test(another_ones_file_is_not_touched),
		cmocka_unit_test(commit_and_back),
		cmocka_unit_test(every_way_writes_the_same),
		cmocka_unit_test(a_refused_way_is_not_taken),
		cmocka_unit_test(only_known_modes),
		cmocka_unit_test(reading_back_tells_whose_fault),
		cmocka_unit_test(it_asks_before_each_write),
		cmocka_unit_test(the_rate_is_kept),
		cmocka_unit_test(the_rate_is_shared),
		cmocka_unit_test(sizes_that_cannot_be),
		cmocka_unit_test(memory_is_capped),
		cmocka_unit_test(counters_are_seen_from_outside),
		cmocka_unit_test(only_what_was_meant_is_replaced),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
