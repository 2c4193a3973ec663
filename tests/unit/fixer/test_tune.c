// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <cmocka.h>

#include "fixer/tune.h"

#define BDI   "/sys/class/bdi/7:3"
#define BLOCK "/sys/dev/block/7:3"
#define VM    "/proc/sys/vm"

static char root[64];

static void put(const char *path, const char *value)
{
	char full[256], *slash;
	FILE *f;

	snprintf(full, sizeof(full), "%s%s", root, path);
	for (slash = full + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		mkdir(full, 0755);
		*slash = '/';
	}
	f = fopen(full, "w");
	assert_non_null(f);
	fputs(value, f);
	assert_int_equal(fclose(f), 0);
}

/* Writing to a plain file leaves the tail of a longer value, which no setting of a kernel does. */
static void make_exact(const char *path, const char *value)
{
	char full[256];

	snprintf(full, sizeof(full), "%s%s", root, path);
	assert_int_equal(truncate(full, (off_t)strlen(value)), 0);
}

static void expect(const char *path, const char *value)
{
	char full[256], got[64] = "";
	FILE *f;

	snprintf(full, sizeof(full), "%s%s", root, path);
	f = fopen(full, "r");
	assert_non_null(f);
	assert_non_null(fgets(got, sizeof(got), f));
	fclose(f);
	got[strcspn(got, "\n")] = '\0';
	assert_string_equal(got, value);
}

static int make_host(void **state)
{
	(void)state;
	strcpy(root, "/tmp/tune-test.XXXXXX");
	assert_non_null(mkdtemp(root));
	put(BDI "/max_bytes", "4000000000\n"); /* the whole limit, as the ratio says */
	put(BDI "/max_ratio_fine", "1000000\n");
	put(BDI "/strict_limit", "0\n");
	put(BLOCK "/queue/wbt_lat_usec", "2000\n");
	put(VM "/dirty_background_bytes", "0\n");
	put(VM "/dirty_background_ratio", "10\n");
	return 0;
}

static int drop_host(void **state)
{
	char command[96];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", root);
	return system(command);
}

static int look(struct tune_conf *c, struct knob knobs[KNOBS_MAX])
{
	return tune__knobs(c, makedev(7, 3), root, knobs);
}

static void bytes_become_a_share(void **state)
{
	struct knob k[KNOBS_MAX];
	struct tune_conf c;

	(void)state;
	tune_conf__defaults(&c);
	assert_true(tune_conf__is_empty(&c));
	c.max_bytes = 40000000; /* 1 % */
	assert_int_equal(look(&c, k), 2);
	assert_string_equal(k[0].path, BDI "/max_ratio_fine");
	assert_string_equal(k[0].old, "1000000");
	assert_string_equal(k[0].now, "10000");
	assert_string_equal(k[1].path, BDI "/strict_limit");
	/* a limit is there already: its bytes stand for its share */
	put(BDI "/max_bytes", "400000000\n");
	put(BDI "/max_ratio_fine", "100000\n");
	assert_int_equal(look(&c, k), 2);
	assert_string_equal(k[0].now, "10000");
	/* more than there is to share out */
	c.max_bytes = 1ull << 62;
	assert_int_equal(look(&c, k), 2);
	assert_string_equal(k[0].now, "1000000");
	c.max_bytes = 1;
	assert_int_equal(look(&c, k), -EINVAL);
}

static void what_is_so_already_is_left_out(void **state)
{
	struct knob k[KNOBS_MAX];
	struct tune_conf c;

	(void)state;
	tune_conf__defaults(&c);
	c.wbt_lat_usec = 2000;
	assert_int_equal(look(&c, k), 0);
	c.wbt_lat_usec = 0;
	assert_int_equal(look(&c, k), 1);
	assert_string_equal(k[0].path, BLOCK "/queue/wbt_lat_usec");
	assert_int_equal(tune__knobs(&c, makedev(9, 9), root, k), -EOPNOTSUPP);
}

static int new_journal(struct journal *j)
{
	int fd = memfd_create("journal", 0);

	assert_true(fd >= 0);
	assert_int_equal(journal__begin(j, fd), 0);
	return fd;
}

static int collect(const struct journal_rec *rec, json_t *body, void *arg)
{
	assert_int_equal(rec->kind, REC_KNOB);
	return json_array_append(arg, body);
}

static json_t *journaled(int fd)
{
	json_t *knobs = json_array();
	struct journal_read read;
	const char *why;

	assert_int_equal(journal__read(fd, collect, knobs, &read, &why), 0);
	return knobs;
}

static void set_and_put_back(void **state)
{
	struct knob k[KNOBS_MAX];
	struct tune_conf c;
	struct journal j;
	json_t *knobs;
	int fd = new_journal(&j);

	(void)state;
	tune_conf__defaults(&c);
	c.wbt_lat_usec = 7000;
	c.background_bytes = 33554432;
	assert_int_equal(look(&c, k), 2);
	make_exact(VM "/dirty_background_bytes", "");
	assert_int_equal(tune__set(&j, k, 2, root), 0);
	expect(BLOCK "/queue/wbt_lat_usec", "7000");
	expect(VM "/dirty_background_bytes", "33554432");
	knobs = journaled(fd);
	assert_int_equal(json_array_size(knobs), 2);
	assert_int_equal(tune__revert(knobs, root), 0);
	expect(BLOCK "/queue/wbt_lat_usec", "2000");
	/* bytes had not been in force: the ratio is what brings that back */
	expect(VM "/dirty_background_ratio", "10");
	json_decref(knobs);
	close(fd);
}

static void what_others_changed_is_left(void **state)
{
	struct knob k[KNOBS_MAX];
	char present[KNOB_VALUE];
	struct tune_conf c;
	struct journal j;
	json_t *knobs;
	int fd = new_journal(&j);

	(void)state;
	tune_conf__defaults(&c);
	c.wbt_lat_usec = 7000;
	assert_int_equal(look(&c, k), 1);
	assert_int_equal(tune__set(&j, k, 1, root), 0);
	put(BLOCK "/queue/wbt_lat_usec", "5000\n");
	assert_int_equal(knob__revert(&k[0], root, present), KNOB_FOREIGN);
	assert_string_equal(present, "5000");
	knobs = journaled(fd);
	assert_int_equal(tune__revert(knobs, root), 0);
	expect(BLOCK "/queue/wbt_lat_usec", "5000");
	json_decref(knobs);
	close(fd);
}

/* As after kill -9 between the journal and the write. */
static void announced_and_not_done(void **state)
{
	struct knob k[KNOBS_MAX];
	char present[KNOB_VALUE];
	struct tune_conf c;

	(void)state;
	tune_conf__defaults(&c);
	c.wbt_lat_usec = 7000;
	assert_int_equal(look(&c, k), 1);
	assert_int_equal(knob__revert(&k[0], root, present), KNOB_UNTOUCHED);
	snprintf(k[0].path, sizeof(k[0].path), "/sys/dev/block/7:9/queue/wbt_lat_usec");
	assert_int_equal(knob__revert(&k[0], root, present), KNOB_GONE);
}

/* One that is refused takes back those before it. */
static void half_is_nothing(void **state)
{
	struct knob k[KNOBS_MAX];
	struct tune_conf c;
	struct journal j;
	int fd = new_journal(&j);

	(void)state;
	tune_conf__defaults(&c);
	c.wbt_lat_usec = 7000;
	assert_int_equal(look(&c, k), 1);
	k[1] = k[0];
	snprintf(k[1].path, sizeof(k[1].path), BLOCK "/queue/absent");
	assert_int_equal(tune__set(&j, k, 2, root), -ENOENT);
	expect(BLOCK "/queue/wbt_lat_usec", "2000");
	close(fd);
}

static void journals_name_no_other_files(void **state)
{
	static const char *const paths[] = { "/etc/passwd", "/sys/class/bdi/../../../etc/x",
					     "/sys/dev/block/7:0/../../../../etc/x", "" };
	struct knob k;

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		json_t *j = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "path", paths[i], "old",
				      "1", "now", "2", "undo_path", "", "undo_value", "", "why",
				      "");

		assert_int_equal(knob__from_json(j, &k), -EINVAL);
		json_decref(j);
	}
}

static void the_evidence_chooses(void **state)
{
	static const struct {
		const char *cause, *carry_ms;
		const char *options;
	} cases[] = {
		{ "io.throttle.wbt", "700", "--max-bytes 33554432" },
		{ "io.throttle.wbt", "10", "--wbt-lat-usec 0" },
		{ "jbd2.commit_flush", "700", "--max-bytes 33554432" },
		{ "io.device_service", "10", "" },
		{ "ext4.alloc", "700", "" },
		{ "cpu.runqueue.other", "0", "" },
	};
	char text[512], options[128];
	struct tune_conf c;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *d;

		snprintf(text, sizeof(text),
			 "{\"verdict\":{\"cause\":\"%s\"},\"windows\":["
			 "{\"slow\":false,\"duration_ms\":9000,\"ledger\":[]},"
			 "{\"slow\":true,\"duration_ms\":1000,\"ledger\":[{\"cause\":\"x\","
			 "\"carry_over_ms\":%s}]}]}",
			 cases[i].cause, cases[i].carry_ms);
		d = json_loads(text, 0, NULL);
		assert_non_null(d);
		tune_conf__choose(&c, d);
		tune_conf__options(&c, options, sizeof(options));
		assert_string_equal(options, cases[i].options);
		json_decref(d);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(bytes_become_a_share, make_host, drop_host),
		cmocka_unit_test_setup_teardown(what_is_so_already_is_left_out, make_host,
						drop_host),
		cmocka_unit_test_setup_teardown(set_and_put_back, make_host, drop_host),
		cmocka_unit_test_setup_teardown(what_others_changed_is_left, make_host, drop_host),
		cmocka_unit_test_setup_teardown(announced_and_not_done, make_host, drop_host),
		cmocka_unit_test_setup_teardown(half_is_nothing, make_host, drop_host),
		cmocka_unit_test(journals_name_no_other_files),
		cmocka_unit_test(the_evidence_chooses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
