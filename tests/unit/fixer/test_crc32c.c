// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fixer/crc32c.h"

/* Vectors of RFC 3720, B.4, and the check value of the CRC catalogue. */
static void vectors(void **state)
{
	unsigned char buf[32];

	(void)state;
	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283u);
	memset(buf, 0, sizeof(buf));
	assert_int_equal(crc32c(0, buf, 32), 0x8a9136aau);
	memset(buf, 0xff, sizeof(buf));
	assert_int_equal(crc32c(0, buf, 32), 0x62a8ab43u);
	for (int i = 0; i < 32; i++)
		buf[i] = (unsigned char)i;
	assert_int_equal(crc32c(0, buf, 32), 0x46dd794eu);
	assert_int_equal(crc32c_table(0, buf, 32), 0x46dd794eu);
	assert_int_equal(crc32c(0, buf, 0), 0);
}

static void pieces_and_table_agree(void **state)
{
	unsigned char buf[1000];
	uint32_t whole, parts;

	(void)state;
	srand(1);
	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = (unsigned char)rand();
	whole = crc32c(0, buf, sizeof(buf));
	assert_int_equal(whole, crc32c_table(0, buf, sizeof(buf)));
	for (size_t cut = 0; cut <= sizeof(buf); cut += 7) {
		parts = crc32c(crc32c(0, buf, cut), buf + cut, sizeof(buf) - cut);
		assert_int_equal(whole, parts);
	}
}

static void zeros_are_what_zero_bytes_are(void **state)
{
	static const unsigned char zeros[5000];
	static const size_t lens[] = { 0, 1, 2, 7, 64, 511, 4096, 5000 };
	uint32_t start = crc32c(0, "abc", 3);

	(void)state;
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++)
		assert_int_equal(crc32c_zeros(start, lens[i]), crc32c(start, zeros, lens[i]));
	assert_int_equal(crc32c_zeros(crc32c_zeros(start, 1ull << 40), 3),
			 crc32c_zeros(start, (1ull << 40) + 3));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors),
		cmocka_unit_test(pieces_and_table_agree),
		cmocka_unit_test(zeros_are_what_zero_bytes_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
