// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Which causes a kernel can show, asked of a kernel that is made up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../../user/symbols/kernel_names.h"

static void read_symbols(struct sight *s, const char *text)
{
	char path[] = "/tmp/flatpause-kallsyms-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	assert_int_equal(sight__init(s), 0);
	assert_int_equal(kernel_names__functions(s, path), 0);
	unlink(path);
}

static enum cause_sight sight_of(const struct sight *s, const char *id)
{
	const struct cause *c = probes__cause(id);

	assert_non_null(c);
	return sight__of(s, c);
}

static void functions_make_visible(void **state)
{
	struct sight s;

	read_symbols(&s, "0000000000000000 T blk_mq_get_tag\n"
			 "0000000000000000 t wbt_wait.isra.0\n"
			 "0000000000000000 t wbt_init\n"
			 "0000000000000000 d balance_dirty_pages\n"
			 "0000000000000000 t __pfx_handle_userfault\n"
			 "0000000000000000 t userfaultfd_ioctl\n"
			 "0000000000000000 t down_write\n"
			 "0000000000000000 t xfs_log_force\t[xfs]\n");
	assert_int_equal(sight_of(&s, "io.tag_wait"), CAUSE_SEEN);
	assert_int_equal(sight_of(&s, "io.throttle.wbt"), CAUSE_SEEN);
	assert_int_equal(sight_of(&s, "other_fs.xfs"), CAUSE_SEEN);
	assert_int_equal(sight_of(&s, "lock.rwsem"), CAUSE_SEEN);
	/* Data of that name is no function, and a landing pad is no frame. */
	assert_int_equal(sight_of(&s, "writeback.dirty_throttle"), CAUSE_BLIND);
	assert_int_equal(sight_of(&s, "mm.fault.userfault"), CAUSE_BLIND);
	/* One of two groups is not enough. */
	assert_int_equal(sight_of(&s, "lock.i_data_sem"), CAUSE_BLIND);
	assert_int_equal(sight_of(&s, "lock.inode"), CAUSE_BLIND);
	sight__free(&s);
}

static void absent_is_not_blind(void **state)
{
	struct sight s;

	read_symbols(&s, "0000000000000000 t btrfs_rename\t[btrfs]\n");
	assert_int_equal(sight_of(&s, "other_fs.xfs"), CAUSE_ABSENT);
	assert_int_equal(sight_of(&s, "ext4.alloc"), CAUSE_ABSENT);
	assert_int_equal(sight_of(&s, "kvm.dirty_log"), CAUSE_ABSENT);
	/* btrfs is there, but nothing that a commit of it would show */
	assert_int_equal(sight_of(&s, "other_fs.btrfs"), CAUSE_BLIND);
	sight__free(&s);
}

static void tracepoints_make_visible(void **state)
{
	struct sight s;

	read_symbols(&s, "");
	assert_int_equal(sight_of(&s, "io.sched_queue"), CAUSE_BLIND);
	sight__met_tracepoint(&s, "block_rq_issue");
	assert_int_equal(sight_of(&s, "io.sched_queue"), CAUSE_BLIND);
	sight__met_tracepoint(&s, "block_bio_queue");
	assert_int_equal(sight_of(&s, "io.sched_queue"), CAUSE_SEEN);
	assert_int_equal(sight_of(&s, "writeback.dirty_throttle"), CAUSE_BLIND);
	sight__met_tracepoint(&s, "balance_dirty_pages");
	sight__met_tracepoint(&s, "no_such_tracepoint");
	assert_int_equal(sight_of(&s, "writeback.dirty_throttle"), CAUSE_SEEN);
	/* What remains, or is missing, needs no kernel. */
	assert_int_equal(sight_of(&s, "unknown.lost"), CAUSE_SEEN);
	assert_int_equal(sight_of(&s, "user.cpu"), CAUSE_SEEN);
	sight__free(&s);
}

/* An empty kernel sees nothing but what needs nothing, and each blind row says what it needs. */
static void an_empty_kernel(void **state)
{
	struct sight s;
	char needs[512];

	read_symbols(&s, "");
	for (size_t i = 0; i < cause_tables_cnt; i++)
		for (const struct cause *c = cause_tables[i]; c->id; c++) {
			assert_int_equal(sight__of(&s, c), c->always	? CAUSE_SEEN
							   : c->part_of ? CAUSE_ABSENT
									: CAUSE_BLIND);
			sight__needs(c, needs, sizeof(needs));
			assert_true(needs[0] != '\0');
		}
	sight__needs(probes__cause("writeback.dirty_throttle"), needs, sizeof(needs));
	assert_string_equal(needs, "a function of: balance_dirty_pages, "
				   "balance_dirty_pages_ratelimited, "
				   "balance_dirty_pages_ratelimited_flags; or the tracepoints: "
				   "balance_dirty_pages");
	sight__needs(probes__cause("writeback.dirty_throttle"), needs, 20);
	assert_string_equal(needs, "a function of: bala");
	sight__free(&s);
}

static void a_file_that_is_not_there(void **state)
{
	struct sight s;

	assert_int_equal(sight__init(&s), 0);
	assert_true(kernel_names__functions(&s, "/no/such/kallsyms") < 0);
	/* Names longer than any function, or empty ones, are nobody's. */
	sight__met_function(&s, "", 0);
	sight__met_function(&s, ".isra.0", 7);
	assert_int_equal(sight_of(&s, "io.tag_wait"), CAUSE_BLIND);
	sight__free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(functions_make_visible),   cmocka_unit_test(absent_is_not_blind),
		cmocka_unit_test(tracepoints_make_visible), cmocka_unit_test(an_empty_kernel),
		cmocka_unit_test(a_file_that_is_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
