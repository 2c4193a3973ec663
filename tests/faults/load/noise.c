// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Foreign processes that disturb: CPU hogs, fsync storms, floods of requests, a slow listener. */
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

#define CHILDREN_MAX 32

/* Runs `work` in so many processes for so long; they cannot outlive this one. */
static int in_children(const struct args *a, int (*work)(const struct args *a, uint64_t until_ns))
{
	uint64_t cnt = arg_num(a, "procs", 1), until = now_ns() + arg_ms(a, "ms");
	int status, failed = 0;

	for (uint64_t i = 0; i < cnt && i < CHILDREN_MAX; i++) {
		pid_t child = fork();

		if (child < 0)
			return log_err(-errno, "fork");
		if (child)
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(work(a, until) ? 1 : 0);
	}
	say_ready();
	while (wait(&status) > 0)
		failed |= status;
	return failed ? -EIO : 0;
}

/* In bursts, where nap_ms is given: who shares the CPU gets it in between. */
static int hog_until(const struct args *a, uint64_t until_ns)
{
	struct sched_param fifo = { .sched_priority = 10 };
	uint64_t run_ns = arg_num(a, "run_ms", 100) * NS_PER_MS;
	int err = pin_to(arg_num(a, "cpu", 0));

	if (!err && arg_num(a, "fifo", 0) && sched_setscheduler(0, SCHED_FIFO, &fifo))
		err = log_err(-errno, "SCHED_FIFO");
	while (!err && now_ns() < until_ns) {
		burn_cpu_ns(run_ns);
		sleep_ns(arg_ms(a, "nap_ms"));
	}
	return err;
}

static int hog(const struct args *a)
{
	return in_children(a, hog_until);
}

/* Writes a little and fsyncs it, without an end. */
static int storm_until(const struct args *a, uint64_t until_ns)
{
	char path[4096];
	int fd, err = 0;

	snprintf(path, sizeof(path), "%s/storm-%d", arg_str(a, "dir", "."), getpid());
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return log_err(-errno, "%s", path);
	while (!err && now_ns() < until_ns) {
		err = write_all(fd, arg_num(a, "bytes", 4096), 64 << 10);
		if (!err && fsync(fd))
			err = log_err(-errno, "fsync");
	}
	close(fd);
	unlink(path);
	return err;
}

static int storm(const struct args *a)
{
	return in_children(a, storm_until);
}

/* Keeps requests of its own in the device's queue: O_DIRECT, so that nothing holds them back. */
static int flood_until(const struct args *a, uint64_t until_ns)
{
	uint64_t bytes = arg_num(a, "bytes", 4096);
	int fd = open(arg_str(a, "path", ""), O_WRONLY | O_DIRECT | O_CLOEXEC), err = 0;
	char *data;

	if (fd < 0 || posix_memalign((void **)&data, 4096, bytes))
		return log_err(-errno, "%s", arg_str(a, "path", ""));
	memset(data, 'f', bytes);
	srand((unsigned int)getpid());
	while (!err && now_ns() < until_ns)
		if (pwrite(fd, data, bytes, (off_t)((uint64_t)(rand() % 1024) * bytes)) < 0)
			err = log_err(-errno, "pwrite");
	return err;
}

static int flood(const struct args *a)
{
	return in_children(a, flood_until);
}

/* Appends with O_DIRECT: the inode is held for writing until the disk has each piece. */
static int append_until(const struct args *a, uint64_t until_ns)
{
	int fd = open(arg_str(a, "path", ""), O_WRONLY | O_APPEND | O_DIRECT | O_CLOEXEC), err = 0;

	if (fd < 0)
		return log_err(-errno, "%s", arg_str(a, "path", ""));
	while (!err && now_ns() < until_ns)
		err = write_all(fd, 4096, 4096);
	return err;
}

static int append(const struct args *a)
{
	return in_children(a, append_until);
}

/* ---- a listener that must agree to each open ---- */

static uint64_t delay_of(const char *control)
{
	unsigned long long ms = 0;
	FILE *f = fopen(control, "re");

	if (f) {
		if (fscanf(f, "%llu", &ms) != 1)
			ms = 0;
		fclose(f);
	}
	return ms * NS_PER_MS;
}

static int answer(int group, const struct fanotify_event_metadata *e, const char *control)
{
	struct fanotify_response yes = { .fd = e->fd, .response = FAN_ALLOW };

	sleep_ns(delay_of(control));
	if (write(group, &yes, sizeof(yes)) != sizeof(yes))
		return log_err(-errno, "fanotify answer");
	close(e->fd);
	return 0;
}

/* Takes control=FILE's milliseconds before it agrees, as a scanner does; until it is killed. */
static int listen_opens(const struct args *a)
{
	int group = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC, O_RDONLY | O_LARGEFILE);
	char buf[4096] __attribute__((aligned(8)));
	ssize_t n;

	if (group < 0 ||
	    fanotify_mark(group, FAN_MARK_ADD, FAN_OPEN_PERM, AT_FDCWD, arg_str(a, "path", "")))
		return log_err(-errno, "fanotify on %s", arg_str(a, "path", ""));
	say_ready();
	while ((n = read(group, buf, sizeof(buf))) > 0) {
		struct fanotify_event_metadata *e = (void *)buf;

		for (; FAN_EVENT_OK(e, n); e = FAN_EVENT_NEXT(e, n))
			if (answer(group, e, arg_str(a, "control", "/dev/null")))
				return -EIO;
	}
	return log_err(-errno, "fanotify");
}

const struct verb noise_verbs[] = {
	{ "hog", "ms procs cpu fifo run_ms nap_ms", hog }, { "storm", "ms procs dir bytes", storm },
	{ "flood", "ms procs path bytes", flood },	   { "append", "ms procs path", append },
	{ "listen", "path control", listen_opens },	   { 0 },
};
