// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The table of probes: every row is well formed, and advice follows from the cause. */
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

/* ---- advice ---- */

static struct findings *finding_of(const char *cause, const char *path,
				   enum finding_extents extents)
{
	struct findings *f = findings__new();
	struct finding_window *w = FINDING_APPEND(&f->windows, &f->windows_cnt);
	struct finding_file *file = FINDING_APPEND(&w->files, &w->files_cnt);

	w->slow = true;
	finding_set(&f->verdict.cause, cause);
	finding_set(&file->path, path);
	finding_set(&file->extents_why, extents == FINDING_EXTENTS_LOST ? "undone by O_TRUNC" : "");
	file->extents = extents;
	file->bytes_written = 1;
	for (size_t i = 0; i < probes_cnt; i++)
		if (probes[i]->advise)
			assert_int_equal(probes[i]->advise(f), 0);
	return f;
}

static void advice_follows_the_cause(void **state)
{
	static const struct {
		const char *cause, *first;
		bool says_no_fallocate;
	} rows[] = {
		{ "io.throttle.wbt", "memfd", true },
		{ "writeback.dirty_throttle", "memfd", true },
		{ "ext4.alloc", "fallocate", false },
		{ "ext4.bitmap_io", "fallocate", false },
		{ "jbd2.commit_wait", "memfd", true },
		{ "io.device_service", "memfd", true },
		{ "fs.writeback_wait", "memfd", true },
		{ "none", "", false },
		{ "unknown.lost", "", false },
		{ "user.cpu", "", false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct findings *f = finding_of(rows[i].cause, "/mnt/snap-3/memory.bin",
						FINDING_EXTENTS_LOST);
		bool no = false;

		assert_string_equal(f->advice_cnt ? f->advice[0].mitigation : "", rows[i].first);
		for (size_t k = 0; k < f->advice_cnt; k++) {
			no |= strstr(f->advice[k].why, "fallocate will not help") != NULL;
			if (!strcmp(f->advice[k].mitigation, "none") ||
			    !strcmp(f->advice[k].mitigation, "tune"))
				assert_string_equal(f->advice[k].command, "");
			else
				assert_non_null(strstr(f->advice[k].command,
						       "flatpause fix apply --mitigation "));
		}
		assert_int_equal(no, rows[i].says_no_fallocate);
		findings__free(f);
	}
}

static void advice_names_the_root(void **state)
{
	struct findings *f = finding_of("ext4.alloc", "/mnt/a b/snap-3/memory.bin",
					FINDING_EXTENTS_UNKNOWN);

	assert_string_equal(f->advice[0].command,
			    "flatpause fix apply --mitigation fallocate '/mnt/a b'");
	findings__free(f);
	f = finding_of("ext4.alloc", "/mnt/it's/snap/memory.bin", FINDING_EXTENTS_UNKNOWN);
	assert_string_equal(f->advice[0].command,
			    "flatpause fix apply --mitigation fallocate '/mnt/it'\\''s/snap'");
	findings__free(f);
	f = finding_of("ext4.alloc", "memory.bin", FINDING_EXTENTS_UNKNOWN);
	assert_string_equal(f->advice[0].command, "flatpause fix apply --mitigation fallocate DIR");
	findings__free(f);
	f = finding_of("ext4.alloc", "/mnt/snap-3/memory.bin", FINDING_EXTENTS_LOST);
	assert_non_null(strstr(f->advice[0].why, "O_TRUNC"));
	findings__free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_well_formed),
		cmocka_unit_test(advice_follows_the_cause),
		cmocka_unit_test(advice_names_the_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
