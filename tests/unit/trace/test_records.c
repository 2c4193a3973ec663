// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Which records may reach code that trusts their lengths. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "../../../user/trace/reader_internal.h"

union record {
	struct ev_hdr h;
	struct ev_stack stack;
	struct ev_open open;
	struct ev_path path;
	struct ev_api api;
	struct ev_task task;
	struct ev_task_state state;
	struct ev_extents extents;
	uint8_t bytes[1024];
};

static union record make(enum ev_kind kind, uint16_t size)
{
	union record rec;

	memset(&rec, 'x', sizeof(rec)); /* nothing is terminated by accident */
	rec.h = (struct ev_hdr){ .ts_ns = 1, .tid = 1, .size = size, .kind = (uint8_t)kind };
	return rec;
}

static void assert_state(const union record *rec, enum record_state expected)
{
	assert_int_equal(check_record(&rec->h, sizeof(*rec)), expected);
}

static void sizes_that_lead_nowhere_end_the_chunk(void **state)
{
	static const uint16_t sizes[] = { 0, 8, 15, 17, 33, 39 };
	union record rec = make(EV_WAKE, 32);

	assert_state(&rec, RECORD_OK);
	assert_int_equal(check_record(&rec.h, 31), RECORD_BROKEN);
	assert_int_equal(check_record(&rec.h, 8), RECORD_BROKEN);
	assert_int_equal(check_record(&rec.h, 0), RECORD_BROKEN);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		rec.h.size = sizes[i];
		assert_state(&rec, RECORD_BROKEN);
	}
}

static void a_record_covers_its_kind(void **state)
{
	/* One multiple of 8 less than each kind's struct must not pass. */
	static const struct {
		enum ev_kind kind;
		size_t size;
	} kinds[] = {
		{ EV_LOST, sizeof(struct ev_lost) },
		{ EV_SWITCH, sizeof(struct ev_switch) },
		{ EV_WAKE, sizeof(struct ev_wake) },
		{ EV_SLEEP_USTACK, sizeof(struct ev_sleep_ustack) },
		{ EV_SAMPLE, sizeof(struct ev_sample) },
		{ EV_SYSCALL, sizeof(struct ev_syscall) },
		{ EV_SYSCALL_ARGS, sizeof(struct ev_syscall_args) },
		{ EV_FUTEX, sizeof(struct ev_futex) },
		{ EV_SPAN, sizeof(struct ev_span) },
		{ EV_POINT, sizeof(struct ev_point) },
		{ EV_BIO, sizeof(struct ev_bio) },
		{ EV_RQ, sizeof(struct ev_rq) },
		{ EV_DIRTY, sizeof(struct ev_dirty) },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		union record rec = make(kinds[i].kind, (uint16_t)kinds[i].size);

		assert_state(&rec, RECORD_OK);
		rec.h.size -= 8;
		assert_state(&rec, RECORD_BAD);
		rec.h.size += 16; /* a newer minor version may append fields */
		assert_state(&rec, RECORD_OK);
	}
}

static void kinds_of_a_newer_writer_are_skipped(void **state)
{
	union record rec = make(EV_KIND_END, 16);

	assert_state(&rec, RECORD_UNKNOWN);
	rec.h.kind = 255;
	assert_state(&rec, RECORD_UNKNOWN);
	rec.h.kind = 0;
	assert_state(&rec, RECORD_UNKNOWN);
}

static void a_stack_holds_its_frames(void **state)
{
	union record rec = make(EV_STACK, sizeof(struct ev_stack) + 16);

	rec.stack.frames_cnt = 2;
	assert_state(&rec, RECORD_OK);
	rec.stack.frames_cnt = 3;
	assert_state(&rec, RECORD_BAD);
	rec.stack.frames_cnt = 0xffff;
	assert_state(&rec, RECORD_BAD);
	rec.h.size = sizeof(struct ev_stack) + 8 * (FP_MAX_FRAMES + 1);
	rec.stack.frames_cnt = FP_MAX_FRAMES;
	assert_state(&rec, RECORD_OK);
	rec.stack.frames_cnt = FP_MAX_FRAMES + 1; /* readers have arrays of that many */
	assert_state(&rec, RECORD_BAD);
	rec.h.size = sizeof(struct ev_stack) - 8;
	assert_state(&rec, RECORD_BAD);
}

static void a_path_ends_inside_its_record(void **state)
{
	union record rec = make(EV_OPEN, sizeof(struct ev_open) + 8);

	assert_state(&rec, RECORD_BAD);
	rec.open.path[7] = '\0';
	assert_state(&rec, RECORD_OK);
	rec.open.path[7] = 'x';
	rec.open.path[8] = '\0'; /* the first byte behind it */
	assert_state(&rec, RECORD_BAD);
	rec.h.size = sizeof(struct ev_open);
	assert_state(&rec, RECORD_BAD);
}

static void two_paths_end_inside_their_record(void **state)
{
	union record rec = make(EV_PATH, sizeof(struct ev_path) + 8);

	rec.path.old_len = 4;
	rec.path.new_len = 4;
	assert_state(&rec, RECORD_BAD);
	rec.path.paths[3] = '\0';
	assert_state(&rec, RECORD_BAD);
	rec.path.paths[7] = '\0';
	assert_state(&rec, RECORD_OK);
	rec.path.new_len = 5;
	assert_state(&rec, RECORD_BAD);
	rec.path.new_len = 0;
	assert_state(&rec, RECORD_BAD);
	rec.path.old_len = 0xffff;
	rec.path.new_len = 0xffff;
	assert_state(&rec, RECORD_BAD);
}

static void a_request_lies_inside_its_record(void **state)
{
	union record rec = make(EV_API, sizeof(struct ev_api) + 8);

	rec.api.len = 8;
	assert_state(&rec, RECORD_OK);
	rec.api.len = 9;
	assert_state(&rec, RECORD_BAD);
	rec.api.len = 0xffffffff;
	assert_state(&rec, RECORD_BAD);
	rec.h.size = sizeof(struct ev_api) + FP_MAX_API + 8;
	rec.api.len = FP_MAX_API + 1;
	assert_state(&rec, RECORD_BAD);
}

static void a_thread_name_has_an_end(void **state)
{
	union record rec = make(EV_EXEC, sizeof(struct ev_task));

	assert_state(&rec, RECORD_BAD);
	rec.task.comm[FP_COMM_LEN - 1] = '\0';
	assert_state(&rec, RECORD_OK);
	rec = make(EV_TASK, sizeof(struct ev_task_state));
	assert_state(&rec, RECORD_BAD);
	rec.state.comm[0] = '\0';
	assert_state(&rec, RECORD_OK);
}

static void names_of_a_file_have_an_end(void **state)
{
	union record rec = make(EV_EXTENTS, sizeof(struct ev_extents));

	rec.extents.block_bits = 12;
	assert_state(&rec, RECORD_BAD);
	rec.extents.comm[FP_COMM_LEN - 1] = '\0';
	assert_state(&rec, RECORD_BAD);
	rec.extents.dir[FP_NAME_LEN - 1] = '\0';
	assert_state(&rec, RECORD_BAD);
	rec.extents.name[FP_NAME_LEN - 1] = '\0';
	assert_state(&rec, RECORD_OK);
	rec.extents.block_bits = 255; /* it is shifted by that */
	assert_state(&rec, RECORD_BAD);
	rec.extents.block_bits = 12;
	rec.h.size -= 8;
	assert_state(&rec, RECORD_BAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_that_lead_nowhere_end_the_chunk),
		cmocka_unit_test(a_record_covers_its_kind),
		cmocka_unit_test(kinds_of_a_newer_writer_are_skipped),
		cmocka_unit_test(a_stack_holds_its_frames),
		cmocka_unit_test(a_path_ends_inside_its_record),
		cmocka_unit_test(two_paths_end_inside_their_record),
		cmocka_unit_test(a_request_lies_inside_its_record),
		cmocka_unit_test(a_thread_name_has_an_end),
		cmocka_unit_test(names_of_a_file_have_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
