// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Victims that wait for memory: cold files, a pager in user space, a held address space. */
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ull

/* ---- guest memory that is a file and not in memory ---- */

static uint64_t touch(const volatile char *at, uint64_t pages, uint64_t stride)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < pages; i++)
		sum += (uint64_t)at[i * stride];
	return sum;
}

/* Reads pages through a mapping; cold=1: they were dropped from the cache before the pause. */
static int map_file(const struct args *a)
{
	int fd = open(arg_str(a, "path", ""), O_RDONLY | O_CLOEXEC), err = 0;
	uint64_t pages = arg_num(a, "pages", 8), stride = arg_num(a, "stride", 256 << 10), begin;
	char *at;

	if (fd < 0)
		return log_err(-errno, "cannot open %s", arg_str(a, "path", ""));
	at = mmap(NULL, pages * stride, PROT_READ, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED) {
		err = log_err(-errno, "mmap");
		goto out;
	}
	madvise(at, pages * stride, MADV_RANDOM); /* each page is its own read */
	if (arg_num(a, "cold", 0))
		posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	else
		readahead(fd, 0, pages * stride), touch(at, pages, stride);
	err = pause__begin();
	burn_cpu_ns(3 * NS_PER_MS);
	begin = now_ns();
	touch(at, pages, stride);
	if (!err)
		err = pause__end(now_ns() - begin);
	munmap(at, pages * stride);
out:
	close(fd);
	return err;
}

/* ---- memory that a handler thread brings, as after a restore with userfaultfd ---- */

struct pager {
	int fd;
	uint64_t delay_ns, delayed_ns;
};

static void *pager_main(void *arg)
{
	static char page[PAGE] __attribute__((aligned(4096)));
	struct pager *p = arg;
	struct uffd_msg msg;

	while (read(p->fd, &msg, sizeof(msg)) == sizeof(msg)) {
		struct uffdio_copy copy = { .src = (unsigned long)page, .len = PAGE };
		uint64_t begin = now_ns();

		if (msg.event != UFFD_EVENT_PAGEFAULT)
			break;
		if (p->delay_ns)
			sleep_ns(p->delay_ns);
		p->delayed_ns += now_ns() - begin;
		copy.dst = msg.arg.pagefault.address & ~(PAGE - 1);
		if (ioctl(p->fd, UFFDIO_COPY, &copy) && errno != EEXIST)
			break;
	}
	return NULL;
}

static int uffd__open(char *at, uint64_t bytes)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .range = { .start = (unsigned long)at, .len = bytes },
				       .mode = UFFDIO_REGISTER_MODE_MISSING };
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &reg))
		return log_err(-errno, "userfaultfd");
	return fd;
}

static int uffd(const struct args *a)
{
	uint64_t pages = arg_num(a, "pages", 4);
	struct pager p = { .delay_ns = arg_ms(a, "delay_ms") };
	char *at = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			0);
	pthread_t thread;
	int err;

	if (at == MAP_FAILED)
		return log_err(-errno, "mmap");
	p.fd = uffd__open(at, pages * PAGE);
	if (p.fd < 0)
		return p.fd;
	err = -pthread_create(&thread, NULL, pager_main, &p);
	if (err)
		return log_err(err, "a thread");
	err = pause__begin();
	burn_cpu_ns(3 * NS_PER_MS);
	touch(at, pages, PAGE);
	if (!err)
		err = pause__end(p.delayed_ns);
	pthread_cancel(thread);
	pthread_join(thread, NULL);
	close(p.fd);
	munmap(at, pages * PAGE);
	return err;
}

/* ---- the address space held by another thread ---- */

struct filler {
	char *at;
	uint64_t bytes;
	sem_t start, begun;
};

/* Fills a mapping page by page with the lock of the address space taken for reading. */
static void *filler_main(void *arg)
{
	struct filler *f = arg;

	sem_wait(&f->start);
	sem_post(&f->begun);
	if (f->bytes)
		madvise(f->at, f->bytes, MADV_POPULATE_WRITE);
	return NULL;
}

static int held_map(const struct args *a)
{
	struct filler f = { .bytes = arg_num(a, "bytes", 0) };
	uint64_t begin, waited;
	pthread_t thread;
	void *got;
	int err;

	sem_init(&f.start, 0, 0);
	sem_init(&f.begun, 0, 0);
	f.at = mmap(NULL, f.bytes + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0);
	if (f.at == MAP_FAILED)
		return log_err(-errno, "mmap");
	madvise(f.at, f.bytes, MADV_NOHUGEPAGE);
	err = -pthread_create(&thread, NULL, filler_main, &f);
	if (err)
		return log_err(err, "a thread");
	err = pause__begin();
	burn_cpu_ns(3 * NS_PER_MS);
	sem_post(&f.start);
	sem_wait(&f.begun);
	burn_cpu_ns(2 * NS_PER_MS); /* by now it holds the lock */
	begin = now_ns();
	got = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	waited = now_ns() - begin;
	if (!err)
		err = got == MAP_FAILED ? log_err(-errno, "mmap") : pause__end(waited);
	pthread_join(thread, NULL);
	munmap(f.at, f.bytes + PAGE);
	return err;
}

/* ---- memory that is shared with a fork ---- */

/* As a fork for a background save: until it ends, each first write copies a page. */
static pid_t share_memory(int release)
{
	pid_t child = fork();
	char word;

	if (!child)
		_exit(read(release, &word, 1) < 0);
	return child;
}

static int copy_on_write(const struct args *a)
{
	uint64_t bytes = arg_num(a, "bytes", 64 << 20), begin;
	int pipe_fd[2], err;
	pid_t child = 0;
	char *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED || pipe(pipe_fd))
		return log_err(-errno, "mmap");
	madvise(at, bytes, MADV_NOHUGEPAGE);
	memset(at, 1, bytes);
	if (arg_num(a, "shared", 0))
		child = share_memory(pipe_fd[0]);
	err = child < 0 ? log_err(-errno, "fork") : pause__begin();
	begin = now_ns();
	for (uint64_t i = 0; i < bytes; i += PAGE)
		at[i] = 2;
	if (!err)
		err = pause__end(now_ns() - begin);
	close(pipe_fd[0]);
	close(pipe_fd[1]);
	if (child > 0)
		kill(child, SIGKILL), waitpid(child, NULL, 0);
	munmap(at, bytes);
	return err;
}

const struct verb memory_verbs[] = {
	{ "map", "path pages stride cold", map_file },
	{ "uffd", "pages delay_ms", uffd },
	{ "heldmap", "bytes", held_map },
	{ "cow", "bytes shared", copy_on_write },
	{ 0 },
};
