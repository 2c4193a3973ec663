// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "fixer/memfile.h"

#define SIZE  (1u << 20)
#define BLOCK 65536

static int reopen(const struct memfile *m, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)getpid(), m->fd);
	return open(path, flags | O_CLOEXEC, 0600);
}

static void size_in_use_is_blocks(void **state)
{
	static char data[BLOCK] = "x";
	struct memfile m;
	uint64_t used = 1;
	int fd;

	(void)state;
	assert_int_equal(memfile__open(&m, "t", SIZE, true, geteuid(), getegid()), 0);
	assert_int_equal(memfile__used(&m, &used), 0);
	assert_int_equal(used, 0);
	fd = reopen(&m, O_WRONLY | O_CREAT);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, data, BLOCK, SIZE - BLOCK), BLOCK);
	assert_int_equal(memfile__used(&m, &used), 0);
	assert_int_equal(used, BLOCK);
	close(fd);
	assert_int_equal(memfile__close(&m), 0);
	assert_int_equal(memfile__used(&m, &used), -EBADF);
	assert_int_equal(memfile__close(&m), -EBADF);
}

static void seals_as_asked(void **state)
{
	struct memfile m;
	int fd;

	(void)state;
	assert_int_equal(memfile__open(&m, "t", SIZE, true, geteuid(), getegid()), 0);
	fd = reopen(&m, O_WRONLY | O_CREAT); /* as Firecracker: the same length again */
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, SIZE), 0);
	assert_int_equal(ftruncate(fd, SIZE + 1), -1);
	close(fd);
	assert_int_equal(reopen(&m, O_WRONLY | O_TRUNC), -1);
	assert_int_equal(errno, EPERM);
	memfile__close(&m);
	assert_int_equal(memfile__open(&m, "t", SIZE, false, geteuid(), getegid()), 0);
	fd = reopen(&m, O_WRONLY | O_TRUNC);
	assert_true(fd >= 0);
	close(fd);
	memfile__close(&m);
}

static void sizes_out_of_range(void **state)
{
	struct memfile m;

	(void)state;
	assert_int_equal(memfile__open(&m, "t", 0, true, geteuid(), getegid()), -EINVAL);
	assert_int_equal(memfile__open(&m, "t", 1ull << 63, true, geteuid(), getegid()), -EINVAL);
}

/* Nobody has it open for writing unless he says so: else no lease would ever be had. */
static void a_lease_tells_of_writers(void **state)
{
	struct memfile m;
	int fd;

	(void)state;
	assert_int_equal(memfile__open(&m, "t", SIZE, true, geteuid(), getegid()), 0);
	fd = reopen(&m, O_WRONLY);
	assert_int_equal(fcntl(m.fd, F_SETLEASE, F_RDLCK), -1);
	close(fd);
	assert_int_equal(fcntl(m.fd, F_SETLEASE, F_RDLCK), 0);
	assert_int_equal(fcntl(m.fd, F_SETLEASE, F_UNLCK), 0);
	memfile__close(&m);
}

struct race {
	struct memfile m;
	atomic_bool closed;
	atomic_uint wrong, looked;
};

/* A size is right or an error; the size of what got the descriptor's number next would be neither. */
static void *look(void *arg)
{
	struct race *r = arg;

	for (;;) {
		bool was_closed = atomic_load(&r->closed);
		uint64_t used = 0;
		int err = memfile__used(&r->m, &used);

		atomic_fetch_add(&r->looked, 1);
		if (err ? err != -EBADF : was_closed || used != BLOCK)
			atomic_fetch_add(&r->wrong, 1);
		if (err)
			return NULL;
		usleep(1); /* a reader that never lets go would never let it be closed */
	}
}

static void closing_while_the_size_is_read(void **state)
{
	static char data[BLOCK] = "x";
	unsigned int busy = 0;

	(void)state;
	for (int round = 0; round < 200; round++) {
		struct race r = { .wrong = 0 };
		pthread_t t[3];
		int fd, other, err;

		assert_int_equal(memfile__open(&r.m, "t", SIZE, true, geteuid(), getegid()), 0);
		fd = reopen(&r.m, O_WRONLY);
		assert_int_equal(write(fd, data, BLOCK), BLOCK);
		close(fd);
		for (int i = 0; i < 3; i++)
			assert_int_equal(pthread_create(&t[i], NULL, look, &r), 0);
		while (atomic_load(&r.looked) < 10)
			;
		while ((err = memfile__close(&r.m)) == -EBUSY)
			busy++;
		assert_int_equal(err, 0);
		atomic_store(&r.closed, true);
		other = open("/dev/null", O_RDONLY | O_CLOEXEC); /* gets the number */
		for (int i = 0; i < 3; i++)
			pthread_join(t[i], NULL);
		close(other);
		assert_int_equal(r.wrong, 0);
	}
	print_message("# refused as busy: %u\n", busy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(size_in_use_is_blocks),
		cmocka_unit_test(seals_as_asked),
		cmocka_unit_test(sizes_out_of_range),
		cmocka_unit_test(a_lease_tells_of_writers),
		cmocka_unit_test(closing_while_the_size_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
