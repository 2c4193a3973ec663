// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "../../../user/symbols/demangle.h"

static void assert_name(const char *mangled, const char *plain)
{
	char *got = demangle(mangled);

	if (plain) {
		assert_non_null(got);
		assert_string_equal(got, plain);
	} else {
		assert_null(got);
	}
	free(got);
}

static void rust_names_lose_their_hash(void **state)
{
	assert_name("_ZN4core3ptr13drop_in_place17h0123456789abcdefE", "core::ptr::drop_in_place");
	assert_name("_RNvCskwGfYPst2Cb_3foo3bar", "foo::bar");
	assert_name("_RNvNtCs1234_7mycrate4util4main", "mycrate::util::main");
}

static void cpp_names_have_no_parameters(void **state)
{
	assert_name("_ZN3foo3barEi", "foo::bar");
	assert_name("_ZNSt6vectorIiSaIiEE9push_backERKi",
		    "std::vector<int, std::allocator<int> >::push_back");
}

static void other_names_are_left_alone(void **state)
{
	assert_name("main", NULL);
	assert_name("", NULL);
	assert_name("_", NULL);
	assert_name("_R", NULL);
	assert_name("_ZZZZZ", NULL);
	assert_name("_start", NULL);
}

static void a_name_without_end_is_not_looked_at(void **state)
{
	char *name = malloc(100001);

	assert_non_null(name);
	memset(name, 'P', 100000);
	memcpy(name, "_Z1f", 4);
	name[100000] = '\0';
	assert_name(name, NULL);
	free(name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rust_names_lose_their_hash),
		cmocka_unit_test(cpp_names_have_no_parameters),
		cmocka_unit_test(other_names_are_left_alone),
		cmocka_unit_test(a_name_without_end_is_not_looked_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
