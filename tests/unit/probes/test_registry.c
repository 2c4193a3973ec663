// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The table of probes: every row is well formed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "../../../probes/registry.h"

static void rows_are_well_formed(void **state)
{
	for (size_t i = 0; i < probes_cnt; i++) {
		const struct probe *p = probes[i];

		assert_non_null(p->summary);
		assert_ptr_equal(probes__find(p->name), p);
		assert_non_null(p->rungs[0].hook);
		for (int r = 0; r < PROBE_RUNGS && p->rungs[r].hook; r++) {
			assert_non_null(p->rungs[r].programs[0]);
			/* A rung that loses something says how to get to a better one. */
			if (r > 0) {
				assert_true(p->rungs[r].lost[0] != '\0');
				assert_true(p->rungs[r].gain[0] != '\0');
			}
		}
	}
	assert_null(probes__find("no such probe"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_well_formed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
