// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Numbers with units: what is taken, what is refused, and how they are printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "user/cli/params.h"

static void test_durations(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} good[] = {
		{ "500ms", 500000000 },
		{ "3s", 3000000000ull },
		{ "3", 3000000000ull },
		{ "2m", 120000000000ull },
		{ "1h", 3600000000000ull },
		{ "100us", 100000 },
		{ "7ns", 7 },
		{ "0", 0 },
		{ "0.5s", 500000000 },
		{ "1.5ms", 1500000 },
	};
	static const char *const bad[] = { "",	  "s",	  "3 s", "3sec", "-3s",	 "+3s",
					   "3x",  "0x10", "1e",	 "3s ",	 " 3s",	 "nan",
					   "inf", "3M",	  "3MS", "1,5s", "..5s", "3s3s" };
	uint64_t ns;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(parse_duration_ns(good[i].text, &ns), 0);
		assert_int_equal(ns, good[i].ns);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (parse_duration_ns(bad[i], &ns) != -EINVAL)
			fail_msg("'%s' was taken for a duration", bad[i]);
	assert_int_equal(parse_duration_ns("99999999999999h", &ns), -ERANGE);
	assert_int_equal(parse_duration_ns("1e5000s", &ns), -ERANGE);
}

static void test_sizes(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{ "4096", 4096 },	    { "64K", 65536 },	  { "4M", 4194304 },
		{ "4MiB", 4194304 },	    { "1G", 1073741824 }, { "1.5K", 1536 },
		{ "16T", 17592186044416u }, { "7B", 7 },
	};
	static const char *const bad[] = { "", "K", "4m", "4MB", "4kB", "-1", "4 M", "1GG" };
	uint64_t bytes;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(parse_size_bytes(good[i].text, &bytes), 0);
		assert_int_equal(bytes, good[i].bytes);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (parse_size_bytes(bad[i], &bytes) != -EINVAL)
			fail_msg("'%s' was taken for a size", bad[i]);
	assert_int_equal(parse_size_bytes("99999999999T", &bytes), -ERANGE);
}

static void test_whole_numbers(void **state)
{
	uint64_t v;

	assert_int_equal(parse_u64("18446744073709551615", &v), 0);
	assert_true(v == UINT64_MAX);
	assert_int_equal(parse_u64("18446744073709551616", &v), -ERANGE);
	assert_int_equal(parse_u64("", &v), -EINVAL);
	assert_int_equal(parse_u64("-1", &v), -EINVAL);
	assert_int_equal(parse_u64(" 1", &v), -EINVAL);
	assert_int_equal(parse_u64("1x", &v), -EINVAL);
}

static void test_printing(void **state)
{
	char buf[32];

	assert_string_equal(format_ns(0, buf, sizeof(buf)), "0 ns");
	assert_string_equal(format_ns(850000, buf, sizeof(buf)), "850 us");
	assert_string_equal(format_ns(1500, buf, sizeof(buf)), "1.5 us");
	assert_string_equal(format_ns(12300000, buf, sizeof(buf)), "12.3 ms");
	assert_string_equal(format_ns(4915000000ull, buf, sizeof(buf)), "4.92 s");
	assert_string_equal(format_bytes(512, buf, sizeof(buf)), "512 B");
	assert_string_equal(format_bytes(1536, buf, sizeof(buf)), "1.5 KiB");
	assert_string_equal(format_bytes(600ull << 20, buf, sizeof(buf)), "600 MiB");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_whole_numbers),
		cmocka_unit_test(test_printing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
