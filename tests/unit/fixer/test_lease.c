// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Real leases on a tmpfs: who waits, until when, and whose break it was. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "fixer/lease.h"

static char path[] = "/dev/shm/test-lease.XXXXXX";
static struct lease lease;
static int fd = -1;

static int set_up(void **state)
{
	sigset_t set;
	int made = mkstemp(path);

	(void)state;
	sigemptyset(&set);
	sigaddset(&set, LEASE_SIGNAL);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	lease__init(&lease);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return made < 0 || close(made) || fd < 0;
}

static int tear_down(void **state)
{
	(void)state;
	close(fd);
	return unlink(path);
}

/* A writer's open, as far as it comes without waiting: its descriptor or -errno. */
static int write_now(void)
{
	int w = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);

	return w < 0 ? -errno : w;
}

/* What the watch thread does on the signal. */
static void handle_break(void)
{
	const struct timespec limit = { .tv_sec = 5 };
	sigset_t set;
	siginfo_t si;

	sigemptyset(&set);
	sigaddset(&set, LEASE_SIGNAL);
	assert_int_equal(sigtimedwait(&set, &si, &limit), LEASE_SIGNAL);
	assert_int_equal(si.si_fd, fd);
	lease__break(&lease, si.si_fd);
}

static void a_writer_of_a_copy_goes_on_at_once(void **state)
{
	int w;

	(void)state;
	assert_int_equal(lease__take(&lease, fd), 0);
	assert_false(lease__is_broken(&lease));
	assert_int_equal(write_now(), -EWOULDBLOCK);
	handle_break();
	assert_true(lease__is_broken(&lease));
	w = write_now();
	assert_true(w >= 0);
	assert_false(lease__commit(&lease));
	lease__drop(&lease);
	assert_int_equal(lease__take(&lease, fd), -EAGAIN);
	close(w);
}

static void behind_the_commit_it_waits_for_the_end(void **state)
{
	int w;

	(void)state;
	assert_int_equal(lease__take(&lease, fd), 0);
	assert_true(lease__commit(&lease));
	assert_false(lease__linger(&lease, 1000000));
	assert_int_equal(write_now(), -EWOULDBLOCK);
	handle_break();
	assert_true(lease__linger(&lease, 5000000000ull));
	assert_int_equal(write_now(), -EWOULDBLOCK);
	lease__drop(&lease);
	w = write_now();
	assert_true(w >= 0);
	close(w);
}

/* Between the break and its signal: nobody may take it for whole. */
static void a_break_that_was_not_told_yet_counts(void **state)
{
	(void)state;
	assert_int_equal(lease__take(&lease, fd), 0);
	assert_int_equal(write_now(), -EWOULDBLOCK);
	assert_false(lease__commit(&lease));
	handle_break();
	lease__drop(&lease);
}

/* Signals of a file that had this number before, or of another worker's. */
static void anothers_break_is_not_ours(void **state)
{
	(void)state;
	lease__break(&lease, fd);
	assert_false(lease__is_broken(&lease));
	assert_int_equal(lease__take(&lease, fd), 0);
	lease__break(&lease, fd);
	lease__break(&lease, fd + 1);
	assert_false(lease__is_broken(&lease));
	assert_true(lease__commit(&lease));
	lease__drop(&lease);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_writer_of_a_copy_goes_on_at_once),
		cmocka_unit_test(behind_the_commit_it_waits_for_the_end),
		cmocka_unit_test(a_break_that_was_not_told_yet_counts),
		cmocka_unit_test(anothers_break_is_not_ours),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
