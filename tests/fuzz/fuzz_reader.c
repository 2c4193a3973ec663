// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Damages traces in ways that a random byte would not find (most keep every CRC right) and reads
 * them as the analysis does. The same seeds make the same files each time; a seed and a number of
 * rounds can be given: fuzz_reader [SEED [ROUNDS]].
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "../../user/symbols/symbols.h"
#include "../../user/trace/reader.h"
#include "../unit/trace_builder.h"

#define ROUNDS	   5000
#define MAX_CHUNKS 96
#define MAX_FILE   (1u << 20)

static const uint64_t seeds[] = { 0x9e3779b97f4a7c15, 0xf1a75a05e, 42, 20251101 };

/* A chunk taken apart: head, and payload as the reader is to see it. */
struct piece {
	struct rec_chunk head;
	uint8_t *raw;
	size_t size;
};

struct trace {
	struct rec_file file;
	struct piece pieces[MAX_CHUNKS];
	size_t cnt;
};

struct stats {
	uint64_t opened, refused, records, bad_records, bad_chunks;
};

struct fuzz {
	uint64_t rng;
	struct trace base;
	int fd; /* the file under test, in memory */
	char path[64];
	uint8_t *out; /* MAX_FILE */
	size_t out_size;
	struct stats stats;
	volatile uint64_t sink; /* what was read is used, or the compiler would not read it */
};

/* ---- chance ---- */

static uint64_t next_random(struct fuzz *f)
{
	f->rng ^= f->rng << 13;
	f->rng ^= f->rng >> 7;
	f->rng ^= f->rng << 17;
	return f->rng;
}

static uint64_t below(struct fuzz *f, uint64_t limit)
{
	return limit ? next_random(f) % limit : 0;
}

/* Numbers at which checks of lengths tend to break. */
static uint64_t a_nasty_number(struct fuzz *f)
{
	static const uint64_t nasty[] = { 0,
					  1,
					  7,
					  8,
					  15,
					  16,
					  24,
					  64,
					  65,
					  0x7f,
					  0x80,
					  0xff,
					  0xffff,
					  0x7fffffff,
					  0x80000000,
					  0xffffffff,
					  REC_MAX_CHUNK,
					  REC_MAX_CHUNK + 1,
					  REC_MAX_EVENTS,
					  REC_MAX_EVENTS + 1,
					  ~0ull,
					  ~0ull - 7,
					  1ull << 63 };

	return nasty[below(f, sizeof(nasty) / sizeof(nasty[0]))];
}

/* ---- the trace that is damaged ---- */

static struct trace_builder *tell_a_story(void)
{
	struct trace_builder *b = tb__open(NULL, 3);

	if (!b)
		return NULL;
	tb_meta(b, "{\"window\":\"auto\",\"tool\":\"fuzz\"}");
	tb_cost(b, "{\"cpu_ns\":5}");
	tb_map(b, 100, 0x1000, 0x2000, 5, 0, "/bin/x");
	tb_map(b, 100, 0x2000, 0x3000, 3, 0x1000, "/bin/x");
	tb_map(b, 100, 0x3000, 0x4000, 3, 0, "");
	tb_fd(b, 100, 3, 1, 2, 3, "/mnt/file");
	tb_fd(b, 100, 4, 1, 2, 3, "socket:[7]");
	for (uint32_t i = 0; i < 24; i++) {
		tb_cpu(b, i % 3);
		tb_pass(b, 100 * TB_MS);
		tb_thread(b, 100 + i, 100, "fc_vcpu", FP_TASK_TARGET);
		tb_block(b, 100, TB_UNINTERRUPTIBLE);
		tb_wake_io(b, 100, i);
		tb_resume(b, 100, i % 2 ? "io_schedule;wbt_wait" : "schedule;futex_wait", 1000);
		tb_sample(b, 100, 100, NULL, "vmm::run;main");
		tb_open(b, 100, tb_now(b), "/mnt/memory.bin", 1, 1, 12, 5);
		tb_rename(b, 100, "/mnt/a", "/mnt/b", 0);
		tb_api(b, 100, 4, "PATCH /vm HTTP/1.1");
		tb_extents(b, 100, "forkd", FP_EXTENTS_MADE, FP_SYS_FALLOCATE, 1, 7, 4096, "d/f");
		tb_syscall_args(b, 100, FP_SYS_FALLOCATE, tb_now(b), 5, 0, 1, 2, 3);
		tb_span(b, 100, FP_SPAN_EXT4_SYNC, tb_now(b), 1, 12, 0);
		tb_exec(b, 100, 100, "renamed");
	}
	tb_mark(b, REC_MARK_BEGIN, "pause");
	tb_run(b, 1, 1, 0, TB_S, REC_NS_NONE);
	tb_loss(b, 1, 5, 0, 10);
	return b;
}

static int take_apart(struct trace *t, const uint8_t *bytes, size_t size)
{
	memcpy(&t->file, bytes, sizeof(t->file));
	for (size_t at = sizeof(t->file); at < size && t->cnt < MAX_CHUNKS;) {
		struct piece *p = &t->pieces[t->cnt];

		memcpy(&p->head, bytes + at, sizeof(p->head));
		p->size = p->head.size;
		p->raw = malloc(p->size + 1);
		if (!p->raw)
			return -ENOMEM;
		memcpy(p->raw, bytes + at + sizeof(p->head), p->size);
		t->cnt++;
		at += sizeof(p->head) + ((p->size + 7) & ~(size_t)7);
	}
	return t->cnt > 8 ? 0 : -EINVAL;
}

static int make_base(struct fuzz *f)
{
	struct trace_builder *b = tell_a_story();
	FILE *file = NULL;
	int err = b ? tb__finish(b) : -ENOMEM;

	if (!err)
		file = fopen(tb__path(b), "re");
	if (file) {
		size_t size = fread(f->out, 1, MAX_FILE, file);

		err = take_apart(&f->base, f->out, size);
		fclose(file);
	} else {
		err = -EIO;
	}
	tb__free(b);
	return err;
}

/* ---- damage ---- */

static void damage_bytes(struct fuzz *f, uint8_t *bytes, size_t size)
{
	size_t at = below(f, size);
	uint64_t nasty = a_nasty_number(f);
	size_t width = 1ull << below(f, 4);

	if (!size)
		return;
	if (below(f, 2)) { /* a field: aligned, as fields are */
		at &= ~(width - 1);
		if (at + width <= size)
			memcpy(bytes + at, &nasty, width);
	} else {
		bytes[at] ^= (uint8_t)(1u << below(f, 8));
	}
}

/* As the writer lays a chunk out; whether its CRCs are right depends on what was decided. */
static void emit_piece(struct fuzz *f, const struct piece *p, const uint8_t *raw, size_t size)
{
	struct rec_chunk head = p->head;
	uLongf packed_size = MAX_FILE - f->out_size;
	uint8_t *to = f->out + f->out_size + sizeof(head);

	if (f->out_size + sizeof(head) + compressBound(size) + 8 > MAX_FILE)
		return;
	head.size = head.raw_size = (uint32_t)size;
	packed_size -= sizeof(head);
	if (!below(f, 4) && compress2(to, &packed_size, raw, size, 1) == Z_OK) {
		head.flags |= REC_F_DEFLATE;
		head.size = (uint32_t)packed_size;
	} else {
		memcpy(to, raw, size);
	}
	if (!below(f, 30))
		damage_bytes(f, to, head.size);
	head.crc32 = (uint32_t)crc32(0, to, head.size);
	size = head.size;
	if (!below(f, 20))
		damage_bytes(f, (uint8_t *)&head, offsetof(struct rec_chunk, crc32));
	head.head_crc = (uint32_t)crc32(0, (const Bytef *)&head,
					offsetof(struct rec_chunk, head_crc));
	memcpy(f->out + f->out_size, &head, sizeof(head));
	memset(to + size, 0, -size % 8);
	f->out_size += sizeof(head) + ((size + 7) & ~(size_t)7);
}

static void emit_damaged(struct fuzz *f, const struct piece *p)
{
	uint8_t raw[1 << 16];
	size_t size = p->size < sizeof(raw) ? p->size : sizeof(raw);
	uint64_t hits = below(f, 3) ? 0 : 1 + below(f, 4);

	memcpy(raw, p->raw, size);
	while (hits--)
		damage_bytes(f, raw, below(f, 2) && size > 64 ? 64 : size);
	if (!below(f, 40))
		size = below(f, size + 1);
	emit_piece(f, p, raw, size);
}

static void damage_trace(struct fuzz *f)
{
	struct rec_file file = f->base.file;

	if (!below(f, 50))
		damage_bytes(f, (uint8_t *)&file, sizeof(file));
	memcpy(f->out, &file, sizeof(file));
	f->out_size = sizeof(file);
	for (size_t i = 0; i < f->base.cnt; i++) {
		uint64_t dice = below(f, 60);
		size_t from = dice == 0 ? below(f, f->base.cnt) : i; /* out of order */

		if (dice == 1)
			continue; /* lost */
		emit_damaged(f, &f->base.pieces[from]);
		if (dice == 2) /* twice */
			emit_damaged(f, &f->base.pieces[from]);
	}
	/* And now and then what a disk or a copy does: no CRC knows of it. */
	while (!below(f, 4))
		damage_bytes(f, f->out, f->out_size);
	if (!below(f, 8))
		f->out_size = below(f, f->out_size + 1);
}

/* ---- reading as the analysis does ---- */

/* Touches every byte, so that a sanitizer sees each that lies outside. */
static uint64_t sum_of(const void *bytes, size_t size)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < size; i++)
		sum += ((const uint8_t *)bytes)[i];
	return sum;
}

static uint64_t use_tail(const void *e)
{
	const struct ev_stack *stack = e;
	const struct ev_path *path = e;
	const struct ev_api *api = e;
	const struct ev_extents *extents = e;
	uint64_t sum = 0;

	switch (stack->h.kind) {
	case EV_STACK:
		return sum + sum_of(stack->frames, stack->frames_cnt * sizeof(stack->frames[0]));
	case EV_OPEN:
		return sum + strlen(((const struct ev_open *)e)->path);
	case EV_PATH:
		return sum + strlen(path->paths) + strlen(path->paths + path->old_len);
	case EV_API:
		return sum + sum_of(api->data, api->len);
	case EV_EXEC:
		return sum + strlen(((const struct ev_task *)e)->comm);
	case EV_TASK:
		return sum + strlen(((const struct ev_task_state *)e)->comm);
	case EV_EXTENTS:
		return sum + strlen(extents->comm) + strlen(extents->dir) + strlen(extents->name);
	default:
		return sum;
	}
}

/* In a block of its own size: a step beyond the record is one that a sanitizer sees. */
static uint64_t use_record(const struct ev_hdr *hdr)
{
	void *copy = malloc(hdr->size);
	uint64_t sum;

	if (!copy)
		return 0;
	memcpy(copy, hdr, hdr->size);
	sum = sum_of(copy, hdr->size) + use_tail(copy);
	free(copy);
	return sum;
}

/* Whether the records of a pass came as promised: none before from_ns, whole and aligned. */
static bool read_pass(struct fuzz *f, struct trace_reader *r, uint64_t from_ns)
{
	struct trace_event ev;
	uint64_t sum = 0;
	int got = trace_reader__rewind(r, from_ns);

	while (!got && (got = trace_reader__next(r, &ev)) > 0) {
		if (ev.hdr->ts_ns < from_ns || (uintptr_t)ev.hdr % 8 || !ev.hdr->kind ||
		    ev.hdr->kind >= EV_KIND_END || ev.cpu >= trace_reader__info(r)->file->cpus_cnt)
			return false;
		sum += use_record(ev.hdr);
		f->stats.records++;
		got = 0;
	}
	f->stats.bad_records += trace_reader__bad_records(r);
	f->sink = sum;
	return got == 0;
}

static bool read_names(struct fuzz *f, struct trace_reader *r)
{
	static const uint64_t addrs[] = { 0, 1, 0x1010, 0x2010, 0x3010, 0xffffffff81001042, ~0ull };
	struct symbols *s;
	const char *path;
	size_t len = 0;

	if (symbols__load(&s, r))
		return false;
	for (size_t i = 0; i < sizeof(addrs) / sizeof(addrs[0]); i++) {
		const char *name = symbols__kernel(s, addrs[i]);

		len += name ? strlen(name) : 0;
		len += strlen(symbols__user(s, 100, addrs[i]));
		len += strlen(symbols__mapping(s, 100, addrs[i]));
	}
	if (symbols__fd(s, 100, 3, &path))
		len += strlen(path);
	symbols__free(s);
	return len > 0;
}

static bool read_chunks(struct trace_reader *r)
{
	const void *payload;
	uint64_t sum = 0;
	size_t size;

	for (int type = 0; type <= REC_COST + 1; type++)
		for (uint32_t n = 0; (payload = trace_reader__chunk(r, type, n, &size)); n++)
			sum += sum_of(payload, size + 1);
	return sum < ~0ull;
}

static bool one_round(struct fuzz *f)
{
	struct trace_reader *r;
	bool good;

	damage_trace(f);
	if (ftruncate(f->fd, 0) || pwrite(f->fd, f->out, f->out_size, 0) != (ssize_t)f->out_size)
		return false;
	if (trace_reader__open(&r, f->path)) {
		f->stats.refused++;
		return r == NULL;
	}
	f->stats.opened++;
	f->stats.bad_chunks += trace_reader__info(r)->bad_chunks;
	good = read_pass(f, r, 0) && read_chunks(r) && read_names(f, r) &&
	       read_pass(f, r, TB_START_NS + below(f, 3 * TB_S)) && read_pass(f, r, ~0ull);
	trace_reader__close(r);
	return good;
}

/* ---- one seed, one test ---- */

static void free_fuzz(struct fuzz *f)
{
	for (size_t i = 0; i < f->base.cnt; i++)
		free(f->base.pieces[i].raw);
	free(f->out);
	if (f->fd >= 0)
		close(f->fd);
	free(f);
}

static bool run_seed(int number, uint64_t seed, uint64_t rounds)
{
	struct fuzz *f = calloc(1, sizeof(*f));
	uint64_t round = 0;
	bool good;

	if (!f)
		return false;
	f->rng = seed;
	f->fd = memfd_create("fuzz", MFD_CLOEXEC);
	f->out = malloc(MAX_FILE);
	snprintf(f->path, sizeof(f->path), "/proc/self/fd/%d", f->fd);
	good = f->fd >= 0 && f->out && !make_base(f);
	while (good && round < rounds && (good = one_round(f)))
		round++;
	/* Damage that only ever refuses files, or never hits, would test nothing. */
	if (good && rounds == ROUNDS)
		good = f->stats.opened > rounds / 2 && f->stats.refused && f->stats.bad_records &&
		       f->stats.bad_chunks;
	printf("%sok %d - seed 0x%llx, %llu rounds: %llu opened, %llu refused, %llu records, "
	       "%llu bad records, %llu bad chunks\n",
	       good ? "" : "not ", number, (unsigned long long)seed, (unsigned long long)round,
	       (unsigned long long)f->stats.opened, (unsigned long long)f->stats.refused,
	       (unsigned long long)f->stats.records, (unsigned long long)f->stats.bad_records,
	       (unsigned long long)f->stats.bad_chunks);
	fflush(stdout);
	free_fuzz(f);
	return good;
}

int main(int argc, char **argv)
{
	int failed = 0;
	int cnt = argc > 1 ? 1 : (int)(sizeof(seeds) / sizeof(seeds[0]));
	uint64_t rounds = argc > 2 ? strtoull(argv[2], NULL, 0) : ROUNDS;
	FILE *nowhere = fopen("/dev/null", "we");

	/* Twenty thousand messages about damage; sanitizers write to descriptor 2 all the same. */
	if (nowhere)
		stderr = nowhere;
	printf("1..%d\n", cnt);
	for (int i = 0; i < cnt; i++)
		failed |= !run_seed(i + 1, argc > 1 ? strtoull(argv[1], NULL, 0) : seeds[i],
				    rounds);
	if (nowhere)
		fclose(nowhere);
	return failed;
}
