// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Waits for a kernel lock that are too short for a stack: the contention says which kind it is. */
#include "one_window.h"

#define LCB_F_READ   2
#define LCB_F_WRITE  4
#define LCB_F_PERCPU 16
#define LCB_F_MUTEX  32

static void the_kind_of_lock(void **state)
{
	static const struct {
		uint32_t flags;
		const char *cause;
	} rows[] = {
		{ LCB_F_MUTEX, "lock.mutex" }, { LCB_F_READ, "lock.rwsem" },
		{ LCB_F_WRITE, "lock.rwsem" }, { LCB_F_PERCPU | LCB_F_READ, "lock.percpu" },
		{ 0, "unknown.no_stack" }, /* a lock of no kind that is known */
	};
	struct trace_builder *b = begin();
	struct findings *f;

	/* in one trace, so that an answer for one kind is not taken for another */
	for (int i = 0; i < 5; i++) {
		uint64_t at = (110 + 10 * i) * MS;

		tb_at(b, at);
		tb_block(b, 10, TB_UNINTERRUPTIBLE);
		tb_at(b, at + (i + 1) * MS);
		tb_resume(b, 10, NULL, 0);
		tb_lock(b, 10, at, 0xffff888000001000, rows[i].flags);
	}
	f = end(b);
	assert_int_equal(ledger_ns(&f->windows[0], "lock.mutex"), 1 * MS);
	assert_int_equal(ledger_ns(&f->windows[0], "lock.rwsem"), (2 + 3) * MS);
	assert_int_equal(ledger_ns(&f->windows[0], "lock.percpu"), 4 * MS);
	assert_int_equal(ledger_ns(&f->windows[0], rows[4].cause), 5 * MS);
	findings__free(f);
	tb__free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_kind_of_lock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
