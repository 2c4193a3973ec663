// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "fixer/beneath.h"
#include "fixer/state.h"

/* The intent through a journal, and back out of it as every later run reads it. */
static void write_and_load(const struct fix_conf *conf, struct state *s)
{
	int fd = memfd_create("journal", 0);
	struct journal j;

	assert_true(fd >= 0);
	assert_int_equal(journal__begin(&j, fd), 0);
	assert_int_equal(journal__append(&j, REC_INTENT, conf__to_json(conf), 0), 0);
	assert_int_equal(state__load(fd, "/state/1.journal", s), 0);
	close(fd);
}

static struct fix_conf any_conf(void)
{
	return (struct fix_conf){ .mitigation = MITIGATION_FALLOCATE, .export_workers = 1 };
}

static void check_names(const struct fix_conf *conf)
{
	struct state s;

	write_and_load(conf, &s);
	assert_string_equal(s.conf.dir, conf->dir);
	assert_string_equal(s.conf.match, conf->match);
	assert_string_equal(s.conf.name, conf->name);
	assert_string_equal(s.conf.size_path, conf->size_path);
	state__free(&s);
}

static void an_intent_keeps_every_byte_of_its_names(void **state)
{
	struct fix_conf conf = any_conf();

	(void)state;
	strcpy(conf.dir, "/srv/caf\xe9\n\\x41");
	strcpy(conf.match, "m\xff[\\*]*");
	strcpy(conf.name, "\xc0\xaf\\x41.bin");
	strcpy(conf.size_path, "/old/\xed\xa0\x80");
	check_names(&conf);
}

static void the_longest_names_fit(void **state)
{
	struct fix_conf conf = any_conf();

	(void)state;
	memset(conf.dir, 0xff, sizeof(conf.dir) - 1);
	memset(conf.match, 0xfe, sizeof(conf.match) - 1);
	memset(conf.name, 0xfd, sizeof(conf.name) - 1 - NAME_ROOM);
	memset(conf.size_path, 0xfc, sizeof(conf.size_path) - 1);
	conf.dir[0] = conf.size_path[0] = '/';
	check_names(&conf);
}

static void a_name_that_is_no_text_is_refused(void **state)
{
	static const char *const keys[] = { "dir", "match", "name", "size_path" };

	(void)state;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		struct fix_conf conf = any_conf(), read;
		json_t *j = conf__to_json(&conf);

		assert_int_equal(conf__from_json(j, &read), 0);
		json_object_set_new(j, keys[i], json_integer(7));
		assert_int_equal(conf__from_json(j, &read), -EINVAL);
		json_decref(j);
	}
}

static void of_an_earlier_version_without_a_file_of_that_size(void **state)
{
	struct fix_conf conf = any_conf(), read;
	json_t *j = conf__to_json(&conf);

	(void)state;
	json_object_del(j, "size_path");
	assert_int_equal(conf__from_json(j, &read), 0);
	assert_string_equal(read.size_path, "");
	json_decref(j);
}

static void what_is_below_a_directory(void **state)
{
	(void)state;
	assert_true(path_is_below("/srv/a", "/srv/a"));
	assert_true(path_is_below("/srv/a", "/srv/a/b"));
	assert_false(path_is_below("/srv/a", "/srv/ab"));
	assert_false(path_is_below("/srv/a", "/srv"));
	assert_false(path_is_below("/srv/a", "/"));
	assert_true(path_is_below("/", "/srv/a"));
	assert_true(path_is_below("/", "/"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_intent_keeps_every_byte_of_its_names),
		cmocka_unit_test(the_longest_names_fit),
		cmocka_unit_test(a_name_that_is_no_text_is_refused),
		cmocka_unit_test(what_is_below_a_directory),
		cmocka_unit_test(of_an_earlier_version_without_a_file_of_that_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
