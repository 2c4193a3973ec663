// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* What a trace alone can name, and that its tables are not trusted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../../../user/symbols/symbols.h"
#include "../trace_builder.h"

#define R  1
#define RW 3
#define RX 5

/* Frees the reader at once: names must not need it. */
static struct symbols *load(struct trace_builder *b)
{
	struct trace_reader *r;
	struct symbols *s;

	assert_int_equal(trace_reader__open(&r, tb__path(b)), 0);
	assert_int_equal(symbols__load(&s, r), 0);
	trace_reader__close(r);
	return s;
}

/* The frames of the first stack in the trace. */
static uint16_t first_stack(struct trace_builder *b, uint64_t frames[FP_MAX_FRAMES])
{
	struct trace_reader *r;
	struct trace_event ev;
	uint16_t cnt = 0;

	assert_int_equal(trace_reader__open(&r, tb__path(b)), 0);
	while (!cnt && trace_reader__next(r, &ev) > 0) {
		const struct ev_stack *stack = (const void *)ev.hdr;

		if (ev.hdr->kind != EV_STACK)
			continue;
		cnt = stack->frames_cnt;
		memcpy(frames, stack->frames, cnt * sizeof(*frames));
	}
	trace_reader__close(r);
	return cnt;
}

static void kernel_functions_lose_compiler_suffixes(void **state)
{
	struct trace_builder *b = tb__open(NULL, 1);
	uint64_t frames[FP_MAX_FRAMES];
	struct symbols *s;

	tb_kstack(b, "io_schedule;balance_dirty_pages.isra.0;.hidden");
	assert_int_equal(tb__finish(b), 0);
	s = load(b);
	assert_int_equal(first_stack(b, frames), 3);
	assert_string_equal(symbols__kernel(s, frames[0]), "io_schedule");
	assert_string_equal(symbols__kernel(s, frames[1]), "balance_dirty_pages");
	assert_string_equal(symbols__kernel(s, frames[2]), ".hidden");
	assert_null(symbols__kernel(s, 0));
	assert_null(symbols__kernel(s, 0x1000));
	assert_null(symbols__kernel(s, ~0ull));
	symbols__free(s);
	tb__free(b);
}

static void user_functions_belong_to_their_process(void **state)
{
	struct trace_builder *b = tb__open(NULL, 1);
	uint64_t frames[FP_MAX_FRAMES];
	struct symbols *s;

	tb_ustack(b, 100, "vmm::write;main");
	assert_int_equal(tb__finish(b), 0);
	s = load(b);
	assert_int_equal(first_stack(b, frames), 2);
	assert_string_equal(symbols__user(s, 100, frames[0]), "vmm::write");
	assert_string_equal(symbols__user(s, 100, frames[1]), "main");
	assert_string_equal(symbols__user(s, 200, frames[0]), "[unknown]");
	symbols__free(s);
	tb__free(b);
}

static void an_address_without_a_function_names_its_mapping(void **state)
{
	struct trace_builder *b = tb__open(NULL, 1);
	const char *first;
	struct symbols *s;

	tb_map(b, 100, 0x10000, 0x20000, RX, 0x3000, "/usr/lib/libc.so.6");
	tb_map(b, 100, 0x30000, 0x31000, RX, 0, "[vdso]");
	tb_map(b, 100, 0x40000, 0x41000, RX, 0, "");
	tb_map(b, 100, 0x50000, 0x51000, RW, 0, "/usr/lib/libc.so.6"); /* data: no code */
	assert_int_equal(tb__finish(b), 0);
	s = load(b);
	first = symbols__user(s, 100, 0x10034);
	assert_string_equal(first, "[libc.so.6+0x3034]");
	assert_string_equal(symbols__user(s, 100, 0x30010), "[vdso+0x10]");
	assert_string_equal(symbols__user(s, 100, 0x40010), "[anon+0x10]");
	assert_string_equal(symbols__user(s, 100, 0x50010), "[unknown]");
	assert_string_equal(symbols__user(s, 100, 0x20000), "[unknown]");
	assert_ptr_equal(symbols__user(s, 100, 0x10034), first);
	symbols__free(s);
	tb__free(b);
}

static void mappings_are_named_as_in_proc(void **state)
{
	struct trace_builder *b = tb__open(NULL, 1);
	struct symbols *s;

	tb_map(b, 100, 0x1000, 0x2000, RX, 0, "/usr/bin/x");
	tb_map(b, 100, 0x2000, 0x3000, RW, 0x1000, "/usr/bin/x");
	tb_map(b, 100, 0x3000, 0x4000, RW, 0, "");
	tb_map(b, 100, 0x5000, 0x6000, RW, 0, "");
	tb_map(b, 100, 0x6000, 0x7000, R, 0, "/usr/bin/x");
	tb_map(b, 100, 0x7000, 0x8000, RW, 0, "");
	tb_map(b, 100, 0x8000, 0x9000, RW, 0, "[heap]");
	assert_int_equal(tb__finish(b), 0);
	s = load(b);
	assert_string_equal(symbols__mapping(s, 100, 0x2010), "/usr/bin/x");
	assert_string_equal(symbols__mapping(s, 100, 0x3fff), "anon next to .bss of /usr/bin/x");
	assert_string_equal(symbols__mapping(s, 100, 0x5000), "anon"); /* a gap before it */
	assert_string_equal(symbols__mapping(s, 100, 0x7000),
			    "anon"); /* behind what is read-only */
	assert_string_equal(symbols__mapping(s, 100, 0x8000), "[heap]");
	assert_string_equal(symbols__mapping(s, 100, 0x9000), "[unknown]");
	assert_string_equal(symbols__mapping(s, 101, 0x2010), "[unknown]");
	symbols__free(s);
	tb__free(b);
}

#define GUARD 0

/* The recorder says what /proc/PID/maps cannot; where it did not, the layout is what there is. */
static void places_have_a_kind(void **state)
{
	struct trace_builder *b = tb__open(NULL, 1);
	static const struct {
		uint64_t addr;
		const char *kind, *text;
		uint32_t tid;
	} want[] = {
		{ 0x2010, "data", ".data of /bin/x", 0 },
		{ 0x2f00, "bss", ".bss of /bin/x", 0 },
		{ 0x37ff, "bss", ".bss of /bin/x", 0 },
		{ 0x3800, "anon_next_to_bss", "anon next to .bss of /bin/x", 0 },
		{ 0x5010, "stack", "stack of thread 102", 102 },
		{ 0x6010, "stack", "thread stack", 0 },
		{ 0x8010, "heap", "[heap]", 0 },
		{ 0x9010, "anon", "anon", 0 },
		{ 0xa010, "file", "/dev/shm/ring", 0 },
		{ 0xb010, "data", "/lib/y.so", 0 },
		{ 0xc010, "stack", "[stack]", 100 },
		{ 0xd010, "other", "[vdso]", 0 },
		{ 0xe010, "unknown", "[unknown]", 0 },
	};
	struct symbols *s;

	tb_map(b, 100, 0x1000, 0x2000, RX, 0, "/bin/x");
	tb_map(b, 100, 0x2000, 0x3000, RW, 0x1000, "/bin/x");
	tb_map(b, 100, 0x3000, 0x4000, RW, 0, "");
	tb_map(b, 100, 0x5000, 0x5800, RW, 0, "");
	tb_map(b, 100, 0x5f00, 0x6000, GUARD, 0, "");
	tb_map(b, 100, 0x6000, 0x7000, RW, 0, "");
	tb_map(b, 100, 0x8000, 0x9000, RW, 0, "[heap]");
	tb_map(b, 100, 0x9000, 0x9800, RW, 0, "");
	tb_map(b, 100, 0xa000, 0xb000, RW | 8, 0, "/dev/shm/ring");
	tb_map(b, 100, 0xb000, 0xb800, RW, 0, "/lib/y.so");
	tb_map(b, 100, 0xc000, 0xd000, RW, 0, "[stack]");
	tb_map(b, 100, 0xd000, 0xe000, RX, 0, "[vdso]");
	tb_region(b, 100, REC_REGION_DATA, 0x2000, 0x2e00, 0, "/bin/x");
	tb_region(b, 100, REC_REGION_BSS, 0x2e00, 0x3800, 0, "/bin/x");
	tb_region(b, 100, REC_REGION_STACK, 0x5000, 0x5800, 102, "");
	assert_int_equal(tb__finish(b), 0);
	s = load(b);
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		struct place at;

		symbols__place(s, 100, want[i].addr, &at);
		assert_string_equal(at.kind, want[i].kind);
		assert_string_equal(at.text, want[i].text);
		assert_int_equal(at.tid, want[i].tid);
	}
	symbols__free(s);
	tb__free(b);
}

/* A table that does not fit is left out, and what it would have said falls back to the mapping. */
static void damaged_regions_are_left_out(void **state)
{
	struct trace_builder *b = tb__open(NULL, 1);
	struct symbols *s;

	tb_map(b, 100, 0x3000, 0x4000, RW, 0, "");
	tb_region(b, 100, REC_REGION_STACK, 0x4000, 0x3000, 102, ""); /* ends before it begins */
	assert_int_equal(tb__finish(b), 0);
	s = load(b);
	assert_string_equal(symbols__mapping(s, 100, 0x3010), "anon");
	symbols__free(s);
	tb__free(b);
}

static void descriptors_of_before_have_paths(void **state)
{
	struct trace_builder *b = tb__open(NULL, 1);
	const struct rec_fd *fd;
	const char *path = NULL;
	struct symbols *s;

	tb_fd(b, 100, 3, FP_DEV(8, 1), 77, 2, "/mnt/memory.bin");
	tb_fd(b, 100, 4, 0, 0, 2, "socket:[1]");
	assert_int_equal(tb__finish(b), 0);
	s = load(b);
	fd = symbols__fd(s, 100, 3, &path);
	assert_non_null(fd);
	assert_int_equal(fd->ino, 77);
	assert_string_equal(path, "/mnt/memory.bin");
	assert_non_null(symbols__fd(s, 100, 4, NULL));
	assert_null(symbols__fd(s, 100, 5, &path));
	assert_null(symbols__fd(s, 101, 3, &path));
	symbols__free(s);
	tb__free(b);
}

/* Writes a trace with one chunk of the given words and loads it. */
static struct symbols *load_words(enum rec_type type, const uint32_t *words, size_t cnt)
{
	const struct trace_writer_opts opts = { .cpus_cnt = 1, .start_ns = 1 };
	struct trace_builder *b = tb__open(NULL, 1);
	const struct trace_part part = { words, cnt * sizeof(*words) };
	char path[600];
	struct trace_writer *w;
	struct trace_reader *r;
	struct symbols *s;

	/* tb knows no damaged tables: its name only */
	snprintf(path, sizeof(path), "%s.words", tb__path(b));
	tb__free(b);
	assert_int_equal(trace_writer__open(&w, path, &opts), 0);
	assert_int_equal(trace_writer__chunk(w, type, &part, 1), 0);
	assert_int_equal(trace_writer__finish(w, 2, 0), 0);
	assert_int_equal(trace_reader__open(&r, path), 0);
	unlink(path);
	assert_int_equal(symbols__load(&s, r), 0);
	trace_reader__close(r);
	return s;
}

static void tables_that_lie_are_left_out(void **state)
{
	static const enum rec_type types[] = { REC_KSYMS, REC_SYMS, REC_MAPS, REC_FDS };
	/* counts and sizes that overflow, offsets behind the names, names without an end, nothing */
	static const uint32_t lies[][12] = {
		{ 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff },
		{ 0x10000000, 0x10000000, 0x10000000, 0x10000000 },
		{ 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0x41414141 },
		{ 1, 4, 4, 0, 0, 0, 0, 0x41414141, 0x41414141, 0, 0, 0 },
		{ 0, 0xffffffff },
	};

	for (size_t t = 0; t < 4; t++)
		for (size_t l = 0; l < sizeof(lies) / sizeof(lies[0]); l++)
			for (size_t cnt = 0; cnt <= 12; cnt++) {
				struct symbols *s = load_words(types[t], lies[l], cnt);
				const char *path;

				symbols__kernel(s, 1);
				symbols__user(s, 1, 1);
				symbols__mapping(s, 1, 1);
				symbols__fd(s, 1, 1, &path);
				symbols__free(s);
			}
}

static void unsorted_symbols_are_left_out(void **state)
{
	/* 2 symbols of size 16 at 0x200, 0x100; names "a", "b" */
	static const uint32_t words[] = { 2, 4, 0x200, 0, 16, 0, 0x100, 0, 16, 2, 0x00620061 };
	static const uint32_t sorted[] = { 2, 4, 0x100, 0, 16, 0, 0x200, 0, 16, 2, 0x00620061 };
	struct symbols *s = load_words(REC_KSYMS, words, 11);

	assert_null(symbols__kernel(s, 0x201));
	symbols__free(s);
	s = load_words(REC_KSYMS, sorted, 11);
	assert_string_equal(symbols__kernel(s, 0x201), "b");
	assert_null(symbols__kernel(s, 0x110));
	symbols__free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kernel_functions_lose_compiler_suffixes),
		cmocka_unit_test(user_functions_belong_to_their_process),
		cmocka_unit_test(an_address_without_a_function_names_its_mapping),
		cmocka_unit_test(mappings_are_named_as_in_proc),
		cmocka_unit_test(places_have_a_kind),
		cmocka_unit_test(damaged_regions_are_left_out),
		cmocka_unit_test(descriptors_of_before_have_paths),
		cmocka_unit_test(tables_that_lie_are_left_out),
		cmocka_unit_test(unsorted_symbols_are_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
