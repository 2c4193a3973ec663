// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "user/capture/frame_set.h"

static size_t count(const struct frame_set *s)
{
	size_t cnt = 0;

	for (size_t i = 0; i < s->slots_cnt; i++)
		cnt += s->slots[i].addr != 0;
	return cnt;
}

static bool has(const struct frame_set *s, uint32_t tgid, uint64_t addr)
{
	for (size_t i = 0; i < s->slots_cnt; i++)
		if (s->slots[i].addr == addr && s->slots[i].tgid == tgid)
			return true;
	return false;
}

static void keeps_each_once(void **state)
{
	struct frame_set s = { 0 };

	for (int round = 0; round < 2; round++) {
		assert_int_equal(frame_set__add(&s, 0, 0xffffffff81000000), 0);
		assert_int_equal(frame_set__add(&s, 7, 0xffffffff81000000), 0);
		assert_int_equal(frame_set__add(&s, 7, 0x400000), 0);
	}
	assert_int_equal(s.used, 3);
	assert_int_equal(count(&s), 3);
	frame_set__free(&s);
	assert_int_equal(count(&s), 0);
}

static void ignores_address_zero(void **state)
{
	struct frame_set s = { 0 };

	assert_int_equal(frame_set__add(&s, 1, 0), 0);
	assert_int_equal(s.used, 0);
	frame_set__free(&s);
}

static void grows_without_losing(void **state)
{
	struct frame_set s = { 0 };

	for (uint64_t i = 1; i <= 50000; i++)
		assert_int_equal(frame_set__add(&s, (uint32_t)(i % 3), i * 16), 0);
	assert_int_equal(s.used, 50000);
	assert_int_equal(count(&s), 50000);
	for (uint64_t i = 1; i <= 50000; i += 4999)
		assert_true(has(&s, (uint32_t)(i % 3), i * 16));
	assert_false(has(&s, 2, 16));
	frame_set__free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_each_once),
		cmocka_unit_test(ignores_address_zero),
		cmocka_unit_test(grows_without_losing),
	};

	return cmocka_run_group_tests_name("frame_set", tests, NULL, NULL);
}
