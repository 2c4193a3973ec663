// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Kinds of hosts: what makes two of them the same, and facts that nobody honest wrote. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "user/host/host_class.h"

struct pair {
	const char *name, *value;
};

static void is_class(const struct pair *facts, const char *dev, const char *want)
{
	struct host_class h = { 0 };
	char buf[HOST_CLASS_SIZE];

	for (; facts->name; facts++)
		host_class__take(&h, facts->name, facts->value);
	assert_string_equal(host_class__name(&h, dev, buf), want);
	assert_true(is_host_class(buf));
}

static void the_lab(void **state)
{
	const struct pair facts[] = {
		{ "kernel", "6.18.44-fc-v657" },
		{ "cpus", "2" },
		{ "memory.total", "24684092 kB" },
		{ "disk.vda.dev", "254:0" },
		{ "disk.vda.fs_type", "ext4" },
		{ "disk.vda.rotational", "1" },
		{ "disk.loop0.dev", "7:0" },
		{ "disk.loop0.fs_type", "xfs" },
		{ "disk.0:27.dev", "0:27" },
		{ "disk.0:27.fs_type", "tmpfs" },
		{ NULL, NULL },
	};

	is_class(facts, "7:0", "linux-6.18/2-3cpu/16-31G/loop/xfs");
	is_class(facts, "0:27", "linux-6.18/2-3cpu/16-31G/none/tmpfs");
	is_class(facts, NULL, "linux-6.18/2-3cpu/16-31G/virtual/ext4");
	is_class(facts, "9:9", "linux-6.18/2-3cpu/16-31G/virtual/ext4");
}

/* Eight gigabytes that were bought are 7.7 that the kernel shows: of one kind with the next. */
static void memory_is_as_it_was_bought(void **state)
{
	const struct pair shown[] = { { "cpus", "1" },
				      { "memory.total", "8052000 kB" },
				      { NULL, NULL } };
	const struct pair whole[] = { { "cpus", "1" },
				      { "memory.total", "8388608 kB" },
				      { NULL, NULL } };

	is_class(shown, NULL, "linux-?/1cpu/8-15G/?/?");
	is_class(whole, NULL, "linux-?/1cpu/8-15G/?/?");
}

static void disks_by_what_they_are(void **state)
{
	const struct pair facts[] = {
		{ "kernel", "5.15.0" },
		{ "disk.nvme0n1p2.dev", "259:2" },
		{ "disk.sda1.dev", "8:1" },
		{ "disk.sda1.rotational", "0" },
		{ "disk.sdb.dev", "8:16" },
		{ "disk.sdb.rotational", "1" },
		{ "disk.dm-0.dev", "253:0" },
		{ "disk.sdb.fs_type", "btrfs" },
		{ NULL, NULL },
	};

	is_class(facts, "259:2", "linux-5.15/?cpu/?G/nvme/?");
	is_class(facts, "8:1", "linux-5.15/?cpu/?G/ssd/?");
	is_class(facts, "8:16", "linux-5.15/?cpu/?G/hdd/btrfs");
	is_class(facts, "253:0", "linux-5.15/?cpu/?G/mapped/?");
}

static void hostile_facts(void **state)
{
	const struct pair facts[] = {
		{ "kernel", "six" },
		{ "cpus", "-3" },
		{ "memory.total", "lots" },
		{ "disk.", "x" },
		{ "disk.a-name-that-is-longer-than-any.dev", "1:1" },
		{ "disk.vda.dev", "254:0" },
		{ "disk.vda.fs_type", "ext4\n::error::" },
		{ "disk.vda.rotational", "yes" },
		{ NULL, NULL },
	};
	struct host_class h = { 0 };
	char buf[HOST_CLASS_SIZE], name[32];

	is_class((const struct pair[]){ { "cpus", "99999999999999999999" }, { NULL, NULL } }, NULL,
		 "linux-?/?cpu/?G/?/?");
	for (int i = 0; facts[i].name; i++)
		host_class__take(&h, facts[i].name, facts[i].value);
	host_class__name(&h, "254:0", buf);
	assert_string_equal(buf, "linux-?/?cpu/?G/virtual/?");
	assert_true(is_host_class(buf));
	/* more disks than there is room for */
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "disk.sd%d.dev", i);
		host_class__take(&h, name, "8:0");
	}
	assert_int_equal(h.disks_cnt, HOST_CLASS_DISKS);
}

static void names_that_are_none(void **state)
{
	char longest[HOST_CLASS_SIZE + 1];

	memset(longest, 'x', sizeof(longest));
	longest[HOST_CLASS_SIZE] = '\0';
	assert_false(is_host_class(""));
	assert_false(is_host_class("two words"));
	assert_false(is_host_class("a\"b"));
	assert_false(is_host_class("line\n"));
	assert_false(is_host_class("\xff"));
	assert_false(is_host_class(longest));
	assert_true(is_host_class(longest + 1));
}

static void this_host_has_one(void **state)
{
	char buf[HOST_CLASS_SIZE];

	assert_int_equal(host_class__here("/", buf), 0);
	assert_true(is_host_class(buf));
	assert_memory_equal(buf, "linux-", 6);
	assert_true(host_class__here("/no/such/place", buf) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_lab),
		cmocka_unit_test(memory_is_as_it_was_bought),
		cmocka_unit_test(disks_by_what_they_are),
		cmocka_unit_test(hostile_facts),
		cmocka_unit_test(names_that_are_none),
		cmocka_unit_test(this_host_has_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
