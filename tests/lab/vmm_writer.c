// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Writes a memory file the way one kind of VMM or copier does, and says where its extents were at
 * the first write, after fsync and after close.
 *
 *   vmm_writer MODE SOURCE FILE [FIFO]    FIFO: waited for between fsync and close
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../fixer/prealloc.h"

#define CHUNK (256u << 10)

struct writing {
	int in, out;
	off_t bytes;
	bool first_seen;
};

static void die(const char *what)
{
	fprintf(stderr, "vmm_writer: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void say(const char *when, int fd)
{
	struct extents e;
	int err = extents__read(fd, 0, &e);

	if (err == -EOPNOTSUPP) { /* a file in memory has none */
		printf("%s extents unknown\n", when);
		return;
	}
	if (err) {
		errno = -err;
		die("FIEMAP");
	}
	printf("%s mapped %llu delayed %llu\n", when, (unsigned long long)e.mapped_bytes,
	       (unsigned long long)e.delalloc_bytes);
}

static void written(struct writing *w)
{
	if (!w->first_seen)
		say("first", w->out);
	w->first_seen = true;
}

static void by_write(struct writing *w, size_t step)
{
	char *buf = aligned_alloc(4096, CHUNK);
	ssize_t n;

	while (buf && (n = read(w->in, buf, step)) > 0) {
		if (write(w->out, buf, (size_t)n) != n)
			die("write");
		written(w);
	}
	free(buf);
}

static void by_copy_file_range(struct writing *w)
{
	ssize_t n;

	while ((n = copy_file_range(w->in, NULL, w->out, NULL, CHUNK, 0)) > 0)
		written(w);
	if (n < 0)
		die("copy_file_range");
}

static void by_sendfile(struct writing *w)
{
	ssize_t n;

	while ((n = sendfile(w->out, w->in, NULL, CHUNK)) > 0)
		written(w);
	if (n < 0)
		die("sendfile");
}

static void by_splice(struct writing *w)
{
	int p[2];
	ssize_t n;

	if (pipe(p))
		die("pipe");
	while ((n = splice(w->in, NULL, p[1], NULL, 65536, 0)) > 0) {
		while (n > 0) {
			ssize_t m = splice(p[0], NULL, w->out, NULL, (size_t)n, 0);

			if (m <= 0)
				die("splice");
			n -= m;
			written(w);
		}
	}
	if (n < 0)
		die("splice");
}

static void by_mmap(struct writing *w)
{
	char *to;
	off_t at = 0;

	if (ftruncate(w->out, w->bytes))
		die("ftruncate");
	to = mmap(NULL, (size_t)w->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, w->out, 0);
	if (to == MAP_FAILED)
		die("mmap");
	while (at < w->bytes) {
		ssize_t n = pread(w->in, to + at, CHUNK, at);

		if (n <= 0)
			die("read");
		at += n;
		written(w);
	}
	munmap(to, (size_t)w->bytes);
}

struct mode {
	const char *name;
	int flags;
	bool sized; /* ftruncate before the first write */
	void (*copy)(struct writing *w);
};

static void by_chunks(struct writing *w)
{
	by_write(w, CHUNK);
}

static void by_pages(struct writing *w)
{
	by_write(w, 4096);
}

static const struct mode modes[] = {
	{ "firecracker", O_CREAT, true, by_pages },
	{ "qemu", O_CREAT | O_TRUNC, false, by_pages },
	{ "cloud-hypervisor", O_CREAT | O_EXCL, false, by_chunks },
	{ "fs-copy", O_CREAT | O_TRUNC, false, by_copy_file_range },
	{ "copy-file-range", O_CREAT, false, by_copy_file_range },
	{ "sendfile", O_CREAT | O_TRUNC, false, by_sendfile },
	{ "splice", O_CREAT | O_TRUNC, false, by_splice },
	{ "direct", O_CREAT | O_TRUNC | O_DIRECT, false, by_chunks },
	{ "mmap", O_CREAT | O_TRUNC, false, by_mmap },
};

static const struct mode *find(const char *name)
{
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (!strcmp(modes[i].name, name))
			return &modes[i];
	return NULL;
}

int main(int argc, char **argv)
{
	const struct mode *m = argc == 4 || argc == 5 ? find(argv[1]) : NULL;
	struct writing w = { 0 };
	struct stat st;
	char byte;
	int fd;

	if (!m) {
		fputs("usage: vmm_writer MODE SOURCE FILE [FIFO]; modes:", stderr);
		for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
			fprintf(stderr, " %s", modes[i].name);
		fputc('\n', stderr);
		return 2;
	}
	w.in = open(argv[2], O_RDONLY | O_CLOEXEC);
	if (w.in < 0 || fstat(w.in, &st))
		die(argv[2]);
	w.bytes = st.st_size;
	w.out = open(argv[3], m->flags | O_RDWR | O_CLOEXEC, 0644);
	if (w.out < 0)
		die(argv[3]);
	if (m->sized && ftruncate(w.out, w.bytes))
		die("ftruncate");
	m->copy(&w);
	if (fsync(w.out))
		die("fsync");
	say("fsync", w.out);
	if (argc == 5) {
		fd = open(argv[4], O_RDONLY | O_CLOEXEC);
		if (fd < 0 || read(fd, &byte, 1) < 0)
			die(argv[4]);
		close(fd);
	}
	if (close(w.out))
		die("close");
	fd = open(argv[3], O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die(argv[3]);
	say("close", fd);
	close(fd);
	return 0;
}
