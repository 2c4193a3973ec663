// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fixer/plan.h"

static json_t *diagnosis(const char *text)
{
	json_error_t e;
	json_t *j = json_loads(text, 0, &e);

	if (!j)
		fail_msg("%s", e.text);
	return j;
}

#define NOTHING_TO_TUNE                            \
	{                                          \
		TUNE_LEAVE, TUNE_LEAVE, TUNE_LEAVE \
	}

static const char two[] =
	"{\"verdict\":{\"cause\":\"io.throttle.wbt\",\"text\":\"slow\"},"
	"\"windows\":[{\"files\":[{\"path\":\"/s/snap-1/memory.bin\",\"bytes_written\":10},"
	"{\"path\":\"/s/snap-1/vmstate\",\"bytes_written\":99},"
	"{\"path\":\"/other/x7/memory.bin\",\"bytes_written\":3}]}],"
	"\"advice\":[{\"mitigation\":\"memfd\",\"why\":\"w1\"},"
	"{\"mitigation\":\"tune\",\"why\":\"w2\",\"command\":\"echo 0 > x\",\"undo\":\"u\"}]}";

static void steps_in_the_order_of_the_advice(void **state)
{
	struct plan_facts f = {
		.dir = "/s", .match = "memory.bin", .state_dir = "/state", .tune = NOTHING_TO_TUNE
	};
	json_t *d = diagnosis(two), *p = plan__build(d, &f), *steps, *first, *second;

	(void)state;
	assert_non_null(p);
	assert_string_equal(json_string_value(json_object_get(p, "cause")), "io.throttle.wbt");
	steps = json_object_get(p, "steps");
	assert_int_equal(json_array_size(steps), 2);
	first = json_array_get(steps, 0);
	second = json_array_get(steps, 1);
	assert_string_equal(json_string_value(json_object_get(first, "mitigation")), "memfd");
	assert_true(json_is_true(json_object_get(first, "supported")));
	assert_non_null(
		strstr(json_string_value(json_object_get(first, "command")), "--mitigation memfd"));
	assert_string_equal(json_string_value(json_object_get(first, "undo")),
			    "flatpause fix revert '/s'");
	assert_true(json_array_size(json_object_get(first, "changes")) >= 4);
	assert_true(json_is_false(json_object_get(second, "supported")));
	assert_string_equal(json_string_value(json_object_get(second, "command")), "echo 0 > x");
	assert_int_equal(json_array_size(json_object_get(second, "changes")), 0);
	json_decref(p);
	json_decref(d);
}

static void tuning_names_each_setting(void **state)
{
	const struct knob knob = { .path = "/sys/class/bdi/7:0/max_ratio_fine",
				   .old = "1000000",
				   .now = "6800",
				   .why = "at most 32 MiB dirty" };
	struct plan_facts f = { .dir = "/s",
				.match = "memory.bin",
				.state_dir = "/state",
				.tune = { 32 << 20, TUNE_LEAVE, TUNE_LEAVE },
				.knobs = &knob,
				.knobs_cnt = 1 };
	json_t *d = diagnosis(two), *p = plan__build(d, &f);
	json_t *step = json_array_get(json_object_get(p, "steps"), 1), *changes;

	(void)state;
	assert_true(json_is_true(json_object_get(step, "supported")));
	assert_string_equal(json_string_value(json_object_get(step, "command")),
			    "flatpause fix apply --mitigation tune --max-bytes 33554432 '/s'");
	assert_string_equal(json_string_value(json_object_get(step, "undo")),
			    "flatpause fix revert '/s'");
	changes = json_object_get(step, "changes");
	assert_int_equal(json_array_size(changes), 2);
	assert_string_equal(json_string_value(json_array_get(changes, 1)),
			    "write 6800 to /sys/class/bdi/7:0/max_ratio_fine (1000000 now): at "
			    "most 32 MiB dirty");
	changes = json_object_get(step, "revert_changes");
	assert_string_equal(
		json_string_value(json_array_get(changes, 0)),
		"write 1000000 to /sys/class/bdi/7:0/max_ratio_fine, if it is 6800 still");
	json_decref(p);
	json_decref(d);
}

static bool lists(const json_t *list, const char *text)
{
	const json_t *line;
	size_t i;

	json_array_foreach (list, i, line)
		if (strstr(json_string_value(line), text))
			return true;
	return false;
}

/* Each call on a file that apply, the guard, its export and the revert make stands in the plan. */
static void every_unlink_and_rename_is_named(void **state)
{
	struct plan_facts f = {
		.dir = "/s", .match = "memory.bin", .state_dir = "/state", .tune = NOTHING_TO_TUNE
	};
	static const char *const fallocate[] = {
		"unlink /s/.flatpause/spare, where one lies there without a journal",
		"create (O_EXCL, 0600) and fallocate /s/.flatpause/spare",
		"rename the spare to /s/NEW-DIRECTORY/memory.bin (RENAME_NOREPLACE)",
		"ftruncate such a file to its own size",
	};
	static const char *const fallocate_back[] = {
		"end the guard",
		"unlink /s/NEW-DIRECTORY/memory.bin where it is a spare",
		"unlink /s/.flatpause/spare, rmdir /s/.flatpause",
		"unlink /state/DEVICE-INODE.journal",
	};
	static const char *const memfd[] = {
		"chmod /dev/shm/flatpause-ID (0711); create and unlink .../probe",
		"symlink /s/NEW-DIRECTORY/memory.bin -> /dev/shm/flatpause-ID/N/memory.bin",
		"copy to /s/NEW-DIRECTORY/.memory.bin.flatpause (O_EXCL; fallocate, fchown",
		"create /run/flatpause (0755) and window-MAJOR:MINOR",
		"RENAME_EXCHANGE: the link comes out), unlink the link, fsync the directory",
		"unlink /dev/shm/flatpause-ID/N/memory.bin, rmdir N",
	};
	static const char *const memfd_back[] = {
		"(RENAME_EXCHANGE), unlink the link that comes out",
		"rename it over the link, for other names",
		"unlink /s/NEW-DIRECTORY/memory.bin where it is a link that nobody wrote to",
		"rmdir each N and /dev/shm/flatpause-ID",
		"unlink /state/DEVICE-INODE.journal",
	};
	json_t *l;

	(void)state;
	l = plan__changes(MITIGATION_FALLOCATE, &f);
	for (size_t i = 0; i < sizeof(fallocate) / sizeof(fallocate[0]); i++)
		assert_true(lists(l, fallocate[i]));
	assert_false(lists(l, "again at its first write"));
	json_decref(l);
	l = plan__reverts(MITIGATION_FALLOCATE, &f);
	for (size_t i = 0; i < sizeof(fallocate_back) / sizeof(fallocate_back[0]); i++)
		assert_true(lists(l, fallocate_back[i]));
	json_decref(l);
	l = plan__changes(MITIGATION_MEMFD, &f);
	for (size_t i = 0; i < sizeof(memfd) / sizeof(memfd[0]); i++)
		assert_true(lists(l, memfd[i]));
	json_decref(l);
	l = plan__reverts(MITIGATION_MEMFD, &f);
	for (size_t i = 0; i < sizeof(memfd_back) / sizeof(memfd_back[0]); i++)
		assert_true(lists(l, memfd_back[i]));
	json_decref(l);
	l = plan__reverts(MITIGATION_NONE, &f);
	assert_int_equal(json_array_size(l), 0);
	json_decref(l);
}

/* What the diagnosis shows to be undone at open is made again at the first write, or not at all. */
static void undone_is_made_again(void **state)
{
	struct plan_facts f = { .dir = "/s", .match = "memory.bin", .state_dir = "/state" };
	json_t *d = diagnosis(
		"{\"windows\":[{\"files\":[{\"path\":\"/s/snap-1/memory.bin\","
		"\"extents_kept\":false},{\"path\":\"/s/x\",\"extents_kept\":true}]}],"
		"\"advice\":[{\"mitigation\":\"fallocate\",\"why\":\"w\"}]}");
	json_t *p, *step;

	(void)state;
	assert_false(plan__was_undone(d, "x"));
	f.redo = plan__was_undone(d, "memory.bin");
	assert_true(f.redo);
	p = plan__build(d, &f);
	step = json_array_get(json_object_get(p, "steps"), 0);
	assert_string_equal(
		json_string_value(json_object_get(step, "command")),
		"flatpause fix apply --mitigation fallocate --redo --match 'memory.bin' "
		"'/s'");
	assert_true(lists(json_object_get(step, "changes"), "again at its first write"));
	assert_true(lists(json_object_get(step, "revert_changes"), "rmdir /s/.flatpause"));
	json_decref(p);
	json_decref(d);
}

static bool has_change(json_t *changes, const char *text)
{
	json_t *line;
	size_t i;

	json_array_foreach (changes, i, line)
		if (strstr(json_string_value(line), text))
			return true;
	return false;
}

/* What the export is asked for stands in the plan; where nothing is asked, what `apply` does then. */
static void how_the_export_goes(void **state)
{
	struct apply_cfg asked = { .export_workers = 3,
				   .export_rate_bytes = 10 << 20,
				   .memory_bytes = 1 << 30,
				   .no_readback = true };
	struct plan_facts f = { .dir = "/s", .match = "memory.bin", .state_dir = "/state" };
	json_t *own = plan__changes(MITIGATION_MEMFD, &f), *told;

	(void)state;
	assert_true(has_change(own, "2 files side by side at most, as fast as"));
	assert_true(has_change(own, "half of what is free"));
	assert_true(has_change(own, "read it back"));
	f.apply = &asked;
	told = plan__changes(MITIGATION_MEMFD, &f);
	assert_true(has_change(told, "3 files side by side at most, 10.0 MiB a second together"));
	assert_true(has_change(told, "1.0 GiB of all at most"));
	assert_true(has_change(told, "--no-readback"));
	assert_false(has_change(told, "read it back"));
	json_decref(own);
	json_decref(told);
}

/* The same question has the same answer, and asking changes nothing. */
static void is_pure(void **state)
{
	struct plan_facts f = { .dir = "/s", .match = "memory.bin", .state_dir = "/state" };
	json_t *d = diagnosis(two), *copy = json_deep_copy(d);
	json_t *a = plan__build(d, &f), *b = plan__build(d, &f);

	(void)state;
	assert_true(json_equal(a, b));
	assert_true(json_equal(d, copy));
	json_decref(a);
	json_decref(b);
	json_decref(copy);
	json_decref(d);
}

static void directory_from_the_files(void **state)
{
	char dir[PATH_MAX];
	json_t *d = diagnosis(two);

	(void)state;
	assert_int_equal(plan__dir(d, "memory.bin", dir), 0);
	assert_string_equal(dir, "/s");
	assert_int_equal(plan__dir(d, "*.img", dir), -ENOENT);
	json_decref(d);
	d = diagnosis("{\"windows\":[{\"files\":[{\"path\":\"/dumps/memory.bin\"}]}]}");
	assert_int_equal(plan__dir(d, "memory.bin", dir), 0);
	assert_string_equal(dir, "/dumps");
	json_decref(d);
}

/* A diagnosis is a file from somewhere: nothing in it may be taken for granted. */
static void odd_input(void **state)
{
	static const char *const odd[] = {
		"{}",
		"[]",
		"{\"advice\":3,\"windows\":{\"files\":1},\"verdict\":[]}",
		"{\"advice\":[null,{},{\"mitigation\":7}],\"windows\":[null,{\"files\":[1,{}]}]}",
		"{\"windows\":[{\"files\":[{\"path\":\"relative/memory.bin\"},{\"path\":\"/\"}]}]}",
		"{\"windows\":[{\"files\":[{\"path\":\"/memory.bin\",\"bytes_written\":\"x\"}]}]}",
	};
	struct plan_facts f = { .match = "memory.bin", .state_dir = "/state" };
	char dir[PATH_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		json_t *d = diagnosis(odd[i]), *p = plan__build(d, &f);

		assert_non_null(p);
		assert_int_equal(plan__dir(d, "memory.bin", dir), -ENOENT);
		json_decref(p);
		json_decref(d);
	}
}

static void tmpfs_is_said(void **state)
{
	struct plan_facts f = {
		.dir = "/s", .match = "m", .state_dir = "/state", .dir_on_tmpfs = true
	};
	json_t *d = diagnosis("{\"advice\":[{\"mitigation\":\"fallocate\",\"why\":\"w\"}]}");
	json_t *p = plan__build(d, &f);
	char *text = json_dumps(p, 0);

	(void)state;
	assert_non_null(strstr(text, "on tmpfs"));
	free(text);
	json_decref(p);
	json_decref(d);
}

/* A directory and a pattern of any bytes: every change is in the plan all the same. */
static void names_that_are_no_text(void **state)
{
	struct plan_facts f = { .dir = "/s\xe4",
				.match = "m\xff*",
				.state_dir = "/state\xfe",
				.tune = NOTHING_TO_TUNE };
	struct plan_facts plain = {
		.dir = "/s", .match = "m*", .state_dir = "/t", .tune = NOTHING_TO_TUNE
	};
	json_t *d = diagnosis(two), *p = plan__build(d, &f), *like = plan__build(d, &plain), *step;
	static const char *const lists[] = { "changes", "revert_changes" };

	(void)state;
	assert_non_null(p);
	assert_string_equal(json_string_value(json_object_get(p, "dir")), "/s\\xe4");
	assert_string_equal(json_string_value(json_object_get(p, "match")), "m\\xff*");
	step = json_array_get(json_object_get(p, "steps"), 0);
	assert_non_null(strstr(json_string_value(json_object_get(step, "command")), "'/s\\xe4'"));
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(
			json_array_size(json_object_get(step, lists[i])),
			json_array_size(json_object_get(
				json_array_get(json_object_get(like, "steps"), 0), lists[i])));
	json_decref(p);
	json_decref(like);
	json_decref(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(steps_in_the_order_of_the_advice),
		cmocka_unit_test(tuning_names_each_setting),
		cmocka_unit_test(how_the_export_goes),
		cmocka_unit_test(every_unlink_and_rename_is_named),
		cmocka_unit_test(undone_is_made_again),
		cmocka_unit_test(is_pure),
		cmocka_unit_test(directory_from_the_files),
		cmocka_unit_test(odd_input),
		cmocka_unit_test(tmpfs_is_said),
		cmocka_unit_test(names_that_are_no_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
