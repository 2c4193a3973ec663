// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "workloads.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void sleep_ns(long ns)
{
	struct timespec ts = { 0, ns };

	nanosleep(&ts, NULL);
}

/* A system call without a libc frame in between, so that the frame pointers are ours. */
static long raw_nanosleep(const struct timespec *ts)
{
	return syscall(SYS_nanosleep, ts, NULL);
}

__attribute__((noinline, optimize("no-omit-frame-pointer", "no-optimize-sibling-calls"))) void
nap_inner(void)
{
	struct timespec ts = { 0, SLEEP_NS };
#if defined(__x86_64__)
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(SYS_nanosleep), "D"(&ts), "S"(NULL)
			 : "rcx", "r11", "memory");
#else
	raw_nanosleep(&ts);
#endif
	__asm__ volatile("" ::: "memory");
}

__attribute__((noinline, optimize("no-omit-frame-pointer", "no-optimize-sibling-calls"))) void
nap_outer(void)
{
	nap_inner();
	__asm__ volatile("" ::: "memory");
}

int sleep_by_nanosleep(void *told)
{
	struct told *t = told;

	t->tid = gettid();
	(void)raw_nanosleep;
	nap_outer();
	return 0;
}

static void *write_late(void *arg)
{
	struct told *t = arg;

	t->other_tid = gettid();
	sleep_ns(SLEEP_NS);
	return write(t->fd2, "x", 1) == 1 ? NULL : arg;
}

int sleep_by_pipe(void *told)
{
	struct told *t = told;
	pthread_t writer;
	int fds[2];
	char c;

	t->tid = gettid();
	if (pipe(fds))
		return 1;
	t->fd = fds[0];
	t->fd2 = fds[1];
	if (pthread_create(&writer, NULL, write_late, t))
		return 1;
	if (read(fds[0], &c, 1) != 1)
		return 1;
	return pthread_join(writer, NULL);
}

static uint32_t futex_word;

static void *wake_late(void *arg)
{
	struct told *t = arg;

	t->other_tid = gettid();
	sleep_ns(SLEEP_NS);
	__atomic_store_n(&futex_word, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &futex_word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	return NULL;
}

int sleep_by_futex(void *told)
{
	struct told *t = told;
	pthread_t waker;

	t->tid = gettid();
	t->address = (uint64_t)(uintptr_t)&futex_word;
	if (pthread_create(&waker, NULL, wake_late, t))
		return 1;
	while (!__atomic_load_n(&futex_word, __ATOMIC_SEQ_CST))
		syscall(SYS_futex, &futex_word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
	return pthread_join(waker, NULL);
}

int sleep_in_futex_forever(void *told)
{
	struct told *t = told;

	t->tid = gettid();
	t->address = (uint64_t)(uintptr_t)&futex_word;
	for (;;)
		syscall(SYS_futex, &futex_word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
}

int sleep_in_pipe_forever(void *told)
{
	struct told *t = told;
	int fds[2];
	char c;

	t->tid = gettid();
	if (pipe(fds))
		return 1;
	t->fd = fds[0];
	return read(fds[0], &c, 1) != 1;
}

int use_files(void *told)
{
	struct told *t = told;
	struct stat st;

	t->tid = gettid();
	if (open("/no/such/file", O_RDONLY) >= 0)
		return 1;
	t->fd = open(SOME_FILE, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (t->fd < 0 || fstat(t->fd, &st))
		return 1;
	t->ino = st.st_ino;
	t->dev = (uint32_t)(major(st.st_dev) << 20 | minor(st.st_dev));
	if (ftruncate(t->fd, 123456) || write(t->fd, "hello", 5) != 5)
		return 1;
	if (rename(SOME_FILE, SOME_FILE ".renamed"))
		return 1;
	return close(t->fd) || unlink(SOME_FILE ".renamed");
}

int sync_file(void *told)
{
	struct told *t = told;
	char *block = calloc(1, 1 << 20);
	struct stat st;
	char path[256];
	int err;

	t->tid = gettid();
	snprintf(path, sizeof(path), "%s/file", getenv("FLATPAUSE_EXT4"));
	t->fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (!block || t->fd < 0 || fstat(t->fd, &st))
		return 1;
	memset(block, 'x', 1 << 20);
	t->ino = st.st_ino;
	t->dev = (uint32_t)(major(st.st_dev) << 20 | minor(st.st_dev));
	err = write(t->fd, block, 1 << 20) != 1 << 20 || fsync(t->fd) || ftruncate(t->fd, 0) ||
	      fallocate(t->fd, 0, 0, 1 << 20);
	free(block);
	return err || close(t->fd) || unlink(path);
}

int let_child_sync(void *told)
{
	struct told *t = told;
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(sync_file(told));
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return 1;
	t->other_tid = t->tid;
	t->tid = gettid();
	return status != 0;
}

int mount_again(void *told)
{
	const char *dir = getenv("FLATPAUSE_EXT4"), *dev = getenv("FLATPAUSE_LOOP");

	if (!dev || umount2(dir, 0) || mount(dev, dir, "ext4", 0, NULL))
		return 1;
	return sync_file(told);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void burn_for(uint64_t ns)
{
	uint64_t until = now_ns() + ns;

	while (now_ns() < until)
		;
}

static int stay_on_one_cpu(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(sched_getcpu(), &set);
	return sched_setaffinity(0, sizeof(set), &set);
}

static int rewrite_for(int fd, uint64_t ns)
{
	size_t size = 4 << 20;
	char *block = calloc(1, size);
	uint64_t until = now_ns() + ns;
	int err = !block;

	while (!err && now_ns() < until)
		err = pwrite(fd, block, size, 0) != (ssize_t)size;
	free(block);
	return err;
}

static void *rewrite_too(void *arg)
{
	struct told *t = arg;

	t->other_tid = gettid();
	return rewrite_for(t->fd, 200000000) ? arg : NULL;
}

int write_in_turn(void *told)
{
	struct told *t = told;
	void *failed = NULL;
	pthread_t thread;
	int err;

	t->tid = gettid();
	t->fd = open(SOME_FILE, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (t->fd < 0 || stay_on_one_cpu() || pthread_create(&thread, NULL, rewrite_too, t))
		return 1;
	err = rewrite_for(t->fd, 200000000);
	pthread_join(thread, &failed);
	return unlink(SOME_FILE) || err || failed;
}

int sleep_by_socket(void *told)
{
	struct timeval wait = { 0, SLEEP_NS / 1000 };
	int socks[2];
	char c;

	((struct told *)told)->tid = gettid();
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, socks) ||
	    setsockopt(socks[0], SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)))
		return 1;
	return recv(socks[0], &c, 1, 0) != -1 || errno != EAGAIN;
}

int run_out_of_quota(void *told)
{
	char path[256], pid[16];
	int fd, len = snprintf(pid, sizeof(pid), "%d", getpid());

	((struct told *)told)->tid = gettid();
	snprintf(path, sizeof(path), "%s/cgroup.procs", getenv("FLATPAUSE_GROUP"));
	fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, pid, (size_t)len) != len)
		return 1;
	burn_for(500000000);
	return close(fd);
}

int share_a_cpu(void *told)
{
	struct told *t = told;
	pid_t pid;

	t->tid = gettid();
	if (stay_on_one_cpu())
		return 1;
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prctl(PR_SET_NAME, HOG_NAME);
		for (;;)
			burn_for(1000000000);
	}
	t->other_tid = pid;
	burn_for(300000000);
	t->address = now_ns();
	return pid < 0 || kill(pid, SIGKILL) || waitpid(pid, NULL, 0) != pid;
}

int compact_memory(void *told)
{
	int fd = open("/proc/sys/vm/compact_memory", O_WRONLY);

	((struct told *)told)->tid = gettid();
	return fd < 0 || write(fd, "1", 1) != 1 || close(fd);
}

int open_no_output(void *told)
{
	struct told *t = told;
	char fifo[256], log[256];
	struct stat st;

	t->tid = gettid();
	snprintf(fifo, sizeof(fifo), "%s/fifo", getenv("FLATPAUSE_EXT4"));
	snprintf(log, sizeof(log), "%s/log", getenv("FLATPAUSE_EXT4"));
	if (mkfifo(fifo, 0600))
		return 1;
	t->fd = open(fifo, O_RDWR);
	t->fd2 = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (t->fd < 0 || t->fd2 < 0 || fstat(t->fd2, &st))
		return 1;
	t->dev = (uint32_t)(major(st.st_dev) << 20 | minor(st.st_dev));
	sleep_ns(SLEEP_NS); /* the ring is read meanwhile */
	return unlink(fifo) || unlink(log);
}

static int pass(int from, int to, const char *text)
{
	char buf[512];
	ssize_t len = (ssize_t)strlen(text);

	return write(from, text, len) != len || read(to, buf, sizeof(buf)) != len;
}

int serve_api(void *told)
{
	struct told *t = told;
	int socks[2], fds[2];

	t->tid = gettid();
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, socks) || pipe(fds))
		return 1;
	t->fd = socks[1];
	return pass(socks[0], socks[1],
		    "PATCH /vm HTTP/1.1\r\nContent-Length: 18\r\n\r\n{\"state\":\"Paused\"}") ||
	       pass(socks[0], socks[1], "GET /version HTTP/1.1\r\n\r\n") ||
	       pass(socks[0], socks[1], "PATCH /vm HTTP/1.1\r\nContent-Length: 20\r\n\r\n") ||
	       pass(socks[0], socks[1], "{\"state\": \"Resumed\"}") ||
	       pass(socks[0], socks[1], "{\"execute\": \"stop\"}") ||
	       pass(fds[1], fds[0], "PATCH /vm HTTP/1.1 through a pipe");
}

static void *live_shortly(void *arg)
{
	struct told *t = arg;

	t->other_tid = gettid();
	sleep_ns(1000000);
	return NULL;
}

int make_threads(void *told)
{
	struct told *t = told;
	pthread_t thread;

	t->tid = gettid();
	return pthread_create(&thread, NULL, live_shortly, t) || pthread_join(thread, NULL);
}

/* A small ring goes round a few times, slowly enough to be drained, before the thread is made. */
int make_threads_late(void *told)
{
	for (int i = 0; i < 50; i++) {
		for (int k = 0; k < 10; k++)
			close(-1);
		sleep_ns(2000000);
	}
	return make_threads(told);
}

int make_child(void *told)
{
	struct told *t = told;
	pid_t pid = fork();

	if (pid == 0) {
		sleep_ns(1000000);
		_exit(0);
	}
	t->tid = gettid();
	t->other_tid = pid;
	return pid < 0 || waitpid(pid, NULL, 0) != pid;
}

int rename_thread(void *told)
{
	((struct told *)told)->tid = gettid();
	return prctl(PR_SET_NAME, "fc_vcpu 7");
}

int many_calls(void *told)
{
	((struct told *)told)->tid = gettid();
	for (int i = 0; i < MANY_CALLS; i++)
		close(-1);
	return 0;
}

int burn(void *told)
{
	struct timespec ts;
	time_t until;

	((struct told *)told)->tid = gettid();
	clock_gettime(CLOCK_MONOTONIC, &ts);
	until = ts.tv_sec + 2;
	while (ts.tv_sec < until)
		clock_gettime(CLOCK_MONOTONIC, &ts);
	return 0;
}

int touch_memory(void *told)
{
	struct told *t = told;
	size_t size = 64 * 4096;
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	t->tid = gettid();
	t->address = (uint64_t)(uintptr_t)p;
	if (p == MAP_FAILED)
		return 1;
	for (size_t i = 0; i < size; i += 4096)
		p[i] = 1;
	return 0;
}
