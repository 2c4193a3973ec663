// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The marked pause, and the small things that every verb needs. */
#include "load.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct {
	uint64_t begin_ns;
	int fd;
	struct sockaddr_un addr;
} pause_state = { .fd = -1 };

static int open_marks(void)
{
	const char *dir = getenv("FLATPAUSE_RUN_DIR");
	int n;

	pause_state.addr.sun_family = AF_UNIX;
	n = snprintf(pause_state.addr.sun_path, sizeof(pause_state.addr.sun_path), "%s/mark.sock",
		     dir && *dir ? dir : "/run/flatpause");
	if (n < 0 || (size_t)n >= sizeof(pause_state.addr.sun_path))
		return log_err(-ENAMETOOLONG, "the mark socket");
	pause_state.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return pause_state.fd < 0 ? log_err(-errno, "socket") : 0;
}

static int send_mark(const char *kind, uint64_t ts_ns)
{
	char line[64];
	int n = snprintf(line, sizeof(line), "@%llu %s\n", (unsigned long long)ts_ns, kind);

	if (sendto(pause_state.fd, line, (size_t)n, 0, (struct sockaddr *)&pause_state.addr,
		   sizeof(pause_state.addr)) >= 0)
		return 0;
	/* without a recorder a victim can be tried by hand */
	return errno == ENOENT || errno == ECONNREFUSED ? 0 : log_err(-errno, "cannot mark");
}

int pause__begin(void)
{
	int err = open_marks();

	if (err)
		return err;
	pause_state.begin_ns = now_ns();
	return send_mark("begin", pause_state.begin_ns);
}

int pause__end(uint64_t injected_ns)
{
	uint64_t end_ns = now_ns();
	int err = send_mark("end", end_ns);

	close(pause_state.fd);
	printf("{\"pause_ms\": %.6f, \"injected_ms\": %.6f}\n",
	       (double)(end_ns - pause_state.begin_ns) / NS_PER_MS,
	       (double)injected_ns / NS_PER_MS);
	return fflush(stdout) ? log_err(-errno, "stdout") : err;
}

void sleep_ns(uint64_t ns)
{
	struct timespec left = { .tv_sec = (time_t)(ns / 1000000000u),
				 .tv_nsec = (long)(ns % 1000000000u) };

	while (nanosleep(&left, &left) && errno == EINTR)
		;
}

void burn_cpu_ns(uint64_t ns)
{
	uint64_t until = clock_ns(CLOCK_THREAD_CPUTIME_ID) + ns;
	volatile uint64_t x = 1;

	/* asking for the time is a system call: seldom, or it is a part of what is computed */
	while (clock_ns(CLOCK_THREAD_CPUTIME_ID) < until)
		for (int i = 0; i < 20000; i++)
			x = x * 6364136223846793005ull + 1442695040888963407ull;
}

int pin_to(uint64_t cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) ? log_err(-errno, "CPU %d", (int)cpu) : 0;
}

int write_all(int fd, uint64_t bytes, uint64_t chunk)
{
	char *data = NULL;
	int err = 0;

	if (!chunk || posix_memalign((void **)&data, 4096, chunk))
		return -EINVAL;
	memset(data, 'x', chunk);
	for (uint64_t done = 0; !err && done < bytes;) {
		uint64_t want = bytes - done < chunk ? bytes - done : chunk;
		ssize_t n = write(fd, data, want);

		if (n < 0)
			err = -errno;
		else
			done += (uint64_t)n;
	}
	free(data);
	return err;
}

void say_ready(void)
{
	puts("ready");
	fflush(stdout);
}
