// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Time without a name is said together with the causes that the recorded kernel could not show. */
#include "one_window.h"

#define BLIND "{\"host\": {\"causes.blind\": \"jbd2.buffer, lock.spin\"}}"

/* The thread sleeps for `ms` of 100 on a stack that no cause knows. */
static struct findings *unnamed(const char *meta, uint64_t ms)
{
	struct trace_builder *b = begin();
	struct findings *f;

	tb_meta(b, meta);
	tb_at(b, 130 * MS);
	tb_block(b, 10, TB_UNINTERRUPTIBLE);
	tb_at(b, (130 + ms) * MS);
	tb_resume(b, 10, "schedule;some_unknown_function", 0);
	f = end(b);
	tb__free(b);
	return f;
}

static void unnamed_time_on_a_blind_kernel(void **state)
{
	struct findings *f = unnamed(BLIND, 20);

	assert_int_equal(ledger_ns(&f->windows[0], "unknown.stack"), 20 * MS);
	assert_true(warns_of(f, "20.0 % of the time has no name, and the kernel that was recorded "
				"is blind for: jbd2.buffer, lock.spin"));
	findings__free(f);
}

static void nothing_to_say(void **state)
{
	struct findings *f = unnamed(BLIND, 1);

	assert_false(warns_of(f, "blind")); /* all that matters has a name */
	findings__free(f);
	f = unnamed("{\"host\": {}}", 20);
	assert_false(warns_of(f, "blind")); /* nothing was hidden */
	findings__free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unnamed_time_on_a_blind_kernel),
		cmocka_unit_test(nothing_to_say),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
