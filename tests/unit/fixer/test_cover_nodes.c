// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The numbers of a cover: given once, found again, free when forgotten, understood by a successor. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixer/cover/nodes.h"

struct fixture {
	struct node_table *table;
	struct nodes ns;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->table = node_table__new();
	assert_non_null(f->table);
	assert_int_equal(nodes__init(&f->ns, f->table), 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	nodes__free(&f->ns);
	node_table__delete(f->table);
	free(f);
	return 0;
}

static struct node_key key_of(uint64_t ino, uint8_t seed)
{
	struct node_key key = { .kind = NODE_REAL, .dev = 7, .ino = ino, .links = 1 };

	key.handle_type = 1;
	key.handle_bytes = 8;
	memset(key.handle, seed, 8);
	return key;
}

static uint64_t take(struct fixture *f, uint64_t ino, uint8_t seed)
{
	struct node_key key = key_of(ino, seed);
	uint64_t generation = 0, id = nodes__take(&f->ns, &key, NODE_ROOT, "name", &generation);

	assert_int_not_equal(generation, 0);
	return id;
}

static void test_the_first_is_the_root(void **state)
{
	assert_int_equal(take(*state, 2, 0), NODE_ROOT);
}

static void test_a_file_keeps_its_number(void **state)
{
	struct fixture *f = *state;
	uint64_t id;

	take(f, 2, 0);
	id = take(f, 11, 1);
	assert_int_equal(take(f, 11, 1), id);
	assert_int_not_equal(take(f, 12, 1), id);
	/* the same inode number, of a file that came behind one that was deleted */
	assert_int_not_equal(take(f, 11, 2), id);
}

static void test_a_memory_file_is_another(void **state)
{
	struct fixture *f = *state;
	struct node_key key = key_of(11, 1);
	uint64_t generation, id;

	take(f, 2, 0);
	id = take(f, 11, 1);
	key.kind = NODE_MEMORY;
	key.n = 3;
	assert_int_not_equal(nodes__take(&f->ns, &key, NODE_ROOT, "m", &generation), id);
}

static void test_forgotten_numbers_are_given_again(void **state)
{
	struct fixture *f = *state;
	struct node node;
	uint64_t id, before;

	take(f, 2, 0);
	id = take(f, 11, 1);
	take(f, 11, 1);
	assert_true(nodes__get(&f->ns, id, &node));
	before = node.generation;
	nodes__forget(&f->ns, id, 1);
	assert_true(nodes__get(&f->ns, id, &node)); /* looked up twice */
	nodes__forget(&f->ns, id, 1);
	assert_false(nodes__get(&f->ns, id, &node));
	assert_int_equal(take(f, 99, 5), id);
	assert_true(nodes__get(&f->ns, id, &node));
	assert_int_equal(node.ino, 99);
	assert_true(node.generation > before);
}

static void test_an_open_file_is_not_forgotten(void **state)
{
	struct fixture *f = *state;
	struct node node;
	uint64_t id;

	take(f, 2, 0);
	id = take(f, 11, 1);
	nodes__at(&f->ns, id)->opens = 1;
	nodes__forget(&f->ns, id, 1);
	assert_true(nodes__get(&f->ns, id, &node));
	nodes__at(&f->ns, id)->opens = 0;
	nodes__forget(&f->ns, id, 0); /* as its release does */
	assert_false(nodes__get(&f->ns, id, &node));
}

static void test_too_many_forgets_and_wrong_numbers(void **state)
{
	struct fixture *f = *state;
	struct node node;

	take(f, 2, 0);
	take(f, 11, 1);
	nodes__forget(&f->ns, NODE_ROOT, 1000); /* the root stays */
	assert_true(nodes__get(&f->ns, NODE_ROOT, &node));
	nodes__forget(&f->ns, 0, 1);
	nodes__forget(&f->ns, 3, 1);
	nodes__forget(&f->ns, UINT64_MAX, 1);
	assert_null(nodes__at(&f->ns, 0));
	assert_null(nodes__at(&f->ns, 3));
	assert_null(nodes__at(&f->ns, UINT64_MAX));
	nodes__forget(&f->ns, 2, UINT64_MAX);
	assert_false(nodes__get(&f->ns, 2, &node));
}

static void test_a_successor_knows_all(void **state)
{
	struct fixture *f = *state;
	struct node node;
	uint64_t kept, gone;

	take(f, 2, 0);
	kept = take(f, 11, 1);
	gone = take(f, 12, 2);
	nodes__forget(&f->ns, gone, 1);
	nodes__free(&f->ns);
	assert_int_equal(nodes__init(&f->ns, f->table), 0);
	assert_int_equal(take(f, 11, 1), kept);
	assert_true(nodes__get(&f->ns, kept, &node));
	assert_int_equal(node.lookups, 2);
	assert_string_equal(node.name, "name");
	assert_int_equal(node.parent, NODE_ROOT);
	assert_int_equal(take(f, 77, 3), gone);
}

static void test_another_file_in_its_place(void **state)
{
	struct fixture *f = *state;
	struct node_key key = key_of(50, 9);
	struct node node;
	uint64_t id;

	take(f, 2, 0);
	id = take(f, 11, 1);
	key.kind = NODE_MEMORY;
	key.n = 4;
	nodes__replace(&f->ns, id, &key);
	assert_true(nodes__get(&f->ns, id, &node));
	assert_int_equal(node.kind, NODE_MEMORY);
	assert_int_equal(node.n, 4);
	assert_int_equal(node.lookups, 1);
	assert_int_not_equal(take(f, 11, 1), id);
}

static void test_many(void **state)
{
	struct fixture *f = *state;

	for (uint64_t i = 0; i < 200000; i++)
		assert_int_equal(take(f, i * 64, 1), i + 1);
	for (uint64_t i = 0; i < 200000; i += 997)
		assert_int_equal(take(f, i * 64, 1), i + 1);
}

static void test_handles_open_what_they_were_of(void **state)
{
	char path[] = "/dev/shm/test-nodes-XXXXXX", text[8] = "";
	int fd = mkstemp(path), again;
	int anchor = open("/dev/shm", O_RDONLY | O_DIRECTORY);
	struct node_key key;
	struct node node = { 0 };

	assert_true(fd >= 0 && anchor >= 0);
	assert_int_equal(write(fd, "content", 7), 7);
	assert_int_equal(node_key__of(fd, NODE_REAL, 0, &key), 0);
	node.handle_type = key.handle_type;
	node.handle_bytes = key.handle_bytes;
	memcpy(node.handle, key.handle, sizeof(node.handle));
	unlink(path); /* open, and without a name */
	again = node__open(&node, anchor, O_RDONLY);
	if (again == -EPERM) { /* CAP_DAC_READ_SEARCH */
		close(fd);
		close(anchor);
		skip();
	}
	assert_true(again >= 0);
	assert_int_equal(pread(again, text, 7, 0), 7);
	assert_string_equal(text, "content");
	close(again);
	close(fd);
	assert_int_equal(node__open(&node, anchor, O_RDONLY), -ESTALE);
	node.handle_bytes = NODE_HANDLE_MAX + 1;
	assert_int_equal(node__open(&node, anchor, O_RDONLY), -EINVAL);
	close(anchor);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_the_first_is_the_root, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_file_keeps_its_number, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_memory_file_is_another, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_forgotten_numbers_are_given_again, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_an_open_file_is_not_forgotten, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_too_many_forgets_and_wrong_numbers, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_a_successor_knows_all, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_another_file_in_its_place, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_many, set_up, tear_down),
		cmocka_unit_test(test_handles_open_what_they_were_of),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
