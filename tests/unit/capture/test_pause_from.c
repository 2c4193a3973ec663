// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Finding the reported pause in what a command prints. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "user/capture/pause_from.h"

static int find(const char *spec, const char *output, uint64_t *ns)
{
	struct pause_from p;

	assert_int_equal(pause_from__parse(&p, spec), 0);
	*ns = 0;
	return pause_from__find(&p, output, strlen(output), ns);
}

static void test_last_line_with_json(void **state)
{
	uint64_t ns;

	assert_int_equal(find("json:.pause_ms", "{\"pause_ms\": 12.5}\n", &ns), 0);
	assert_int_equal(ns, 12500000);
	assert_int_equal(find("json:.pause_ms", "{\"pause_ms\": 7}", &ns), 0);
	assert_int_equal(ns, 7000000);
	assert_int_equal(find("json:.pause_ms",
			      "hello\n{\"pause_ms\": 1}\n{\"pause_ms\": 2}\ndone\n\n", &ns),
			 0);
	assert_int_equal(ns, 2000000);
	assert_int_equal(find("json:.a.b", "{\"a\": {\"b\": 3}}\r\n", &ns), 0);
	assert_int_equal(ns, 3000000);
}

static void test_not_there(void **state)
{
	uint64_t ns;

	assert_int_equal(find("json:.x", "", &ns), -ENODATA);
	assert_int_equal(find("json:.x", "\n\n\n", &ns), -ENODATA);
	assert_int_equal(find("json:.x", "{\"y\": 1}\n", &ns), -ENODATA);
	assert_int_equal(find("json:.x", "{\"x\": 1\n", &ns), -ENODATA);
	assert_int_equal(find("json:.x", "[1]\n42\n", &ns), -ENODATA);
	assert_int_equal(find("json:.x.y", "{\"x\": 1}\n", &ns), -ENODATA);
}

static void test_no_duration(void **state)
{
	uint64_t ns;

	assert_int_equal(find("json:.x", "{\"x\": \"12\"}", &ns), -EINVAL);
	assert_int_equal(find("json:.x", "{\"x\": null}", &ns), -EINVAL);
	assert_int_equal(find("json:.x", "{\"x\": -1}", &ns), -EINVAL);
	assert_int_equal(find("json:.x", "{\"x\": 1e300}", &ns), -EINVAL);
}

/* Output is a command's own: bytes of any kind, cut at 64 KiB wherever that is. */
static void test_hostile_output(void **state)
{
	static const char bytes[] = "\0\xff\xfe{\"x\": 9}\n\0{\"x\": \xff}\n{\"x\": 5}\n\0\0";
	struct pause_from p;
	uint64_t ns = 0;

	assert_int_equal(pause_from__parse(&p, "json:.x"), 0);
	assert_int_equal(pause_from__find(&p, bytes, sizeof(bytes) - 1, &ns), 0);
	assert_int_equal(ns, 5000000);
}

static void test_specs(void **state)
{
	static const char *const bad[] = {
		"",	    "pause_ms", "json:",      "json:.", "json:x",
		"json:..x", "json:.x.", "json:.x..y", "xml:.x", "json:.a.b.c.d.e.f.g.h.i"
	};
	char longest[400];
	struct pause_from p;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (pause_from__parse(&p, bad[i]) != -EINVAL)
			fail_msg("'%s' was taken", bad[i]);
	memset(longest, 'k', sizeof(longest));
	memcpy(longest, "json:.", 6);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(pause_from__parse(&p, longest), -EINVAL);
	assert_int_equal(pause_from__parse(&p, NULL), 0);
	assert_int_equal(p.keys_cnt, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_last_line_with_json),
		cmocka_unit_test(test_not_there),
		cmocka_unit_test(test_no_duration),
		cmocka_unit_test(test_hostile_output),
		cmocka_unit_test(test_specs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
