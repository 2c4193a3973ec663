// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define VMSTATE_BYTES  16384
#define READ_PER_SLICE 16
#define WORDS_PER_PAGE (GUEST_PAGE_BYTES / sizeof(uint64_t))

static uint64_t next_random(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	*state = x;
	return x;
}

int guest__init(struct guest *g, size_t size_bytes, size_t dirty_max, uint64_t seed)
{
	size_t pages = size_bytes / GUEST_PAGE_BYTES;
	uint64_t *words;

	if (!pages || size_bytes % GUEST_PAGE_BYTES || dirty_max > pages)
		return -EINVAL;
	/* xorshift stands still at zero */
	*g = (struct guest){ .size_bytes = size_bytes, .dirty_max = dirty_max, .seed = seed | 1 };
	g->dirty = calloc(pages / 64 + 1, sizeof(*g->dirty));
	if (!g->dirty)
		return -ENOMEM;
	words = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (words == MAP_FAILED) {
		guest__destroy(g);
		return -ENOMEM;
	}
	g->mem = (uint8_t *)words;
	for (size_t i = 0; i < pages * WORDS_PER_PAGE; i++)
		words[i] = next_random(&g->seed);
	return 0;
}

void guest__destroy(struct guest *g)
{
	if (g->mem)
		munmap(g->mem, g->size_bytes);
	free(g->dirty);
	*g = (struct guest){ 0 };
}

static bool is_dirty(const struct guest *g, size_t page)
{
	return g->dirty[page / 64] >> (page % 64) & 1;
}

static void write_page(struct guest *g, size_t page)
{
	uint64_t *word = (uint64_t *)(g->mem + page * GUEST_PAGE_BYTES);

	word[next_random(&g->seed) % WORDS_PER_PAGE] = g->seed;
	if (!is_dirty(g, page)) {
		g->dirty[page / 64] |= 1ULL << (page % 64);
		g->dirty_cnt++;
	}
}

void guest__run(struct guest *g, unsigned int pages)
{
	size_t cnt = g->size_bytes / GUEST_PAGE_BYTES;
	volatile uint64_t sum = 0;

	for (unsigned int i = 0; i < READ_PER_SLICE; i++) {
		const uint64_t *word =
			(uint64_t *)(g->mem + next_random(&g->seed) % cnt * GUEST_PAGE_BYTES);

		for (size_t w = 0; w < WORDS_PER_PAGE; w++)
			sum += word[w];
	}
	for (unsigned int i = 0; i < pages && g->dirty_cnt < g->dirty_max; i++)
		write_page(g, next_random(&g->seed) % cnt);
}

static int write_all(int fd, const uint8_t *buf, size_t len)
{
	while (len) {
		ssize_t n = write(fd, buf, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ENOSPC;
		buf += n;
		len -= (size_t)n;
	}
	return 0;
}

/* lseek over what is clean, one write per run of dirty pages. */
static int write_dirty_runs(const struct guest *g, int fd)
{
	size_t cnt = g->size_bytes / GUEST_PAGE_BYTES, page = 0, at = 0;

	while (page < cnt) {
		size_t first = page;
		int err;

		while (page < cnt && is_dirty(g, page))
			page++;
		if (page == first) {
			page++;
			continue;
		}
		if (lseek(fd, (off_t)((first - at) * GUEST_PAGE_BYTES), SEEK_CUR) < 0)
			return -errno;
		err = write_all(fd, g->mem + first * GUEST_PAGE_BYTES,
				(page - first) * GUEST_PAGE_BYTES);
		if (err)
			return err;
		at = page;
	}
	return 0;
}

/* Firecracker: a file of another size is emptied first, then every file gets the guest's size. */
static int set_size(const struct guest *g, int fd, bool existed)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if (existed && (size_t)st.st_size != g->size_bytes && ftruncate(fd, 0))
		return -errno;
	if (ftruncate(fd, (off_t)g->size_bytes))
		return -errno;
	return 0;
}

int guest__write_memory(struct guest *g, const char *path, bool diff, bool fsync_it,
			const char **step)
{
	struct stat st;
	bool existed = !stat(path, &st);
	int err = 0, fd;

	*step = "open";
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	*step = "set the size of";
	err = set_size(g, fd, existed);
	if (!err) {
		*step = "write";
		err = diff ? write_dirty_runs(g, fd) : write_all(fd, g->mem, g->size_bytes);
	}
	if (!err && fsync_it) {
		*step = "fsync";
		err = fsync(fd) ? -errno : 0;
	}
	if (close(fd) && !err)
		err = -errno;
	if (!err) {
		memset(g->dirty, 0, (g->size_bytes / GUEST_PAGE_BYTES / 64 + 1) * sizeof(uint64_t));
		g->dirty_cnt = 0;
	}
	return err;
}

int guest__write_vmstate(const struct guest *g, const char *path, bool fsync_it, const char **step)
{
	uint64_t state[VMSTATE_BYTES / sizeof(uint64_t)];
	uint64_t seed = g->seed;
	int err, fd;

	for (size_t i = 0; i < VMSTATE_BYTES / sizeof(uint64_t); i++)
		state[i] = next_random(&seed);
	*step = "open";
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	*step = "write";
	err = write_all(fd, (uint8_t *)state, sizeof(state));
	if (!err && fsync_it) {
		*step = "fsync";
		err = fsync(fd) ? -errno : 0;
	}
	if (close(fd) && !err)
		err = -errno;
	return err;
}
