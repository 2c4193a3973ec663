// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "crc32c.h"

#include <pthread.h>
#include <string.h>

#define POLY 0x82f63b78u /* Castagnoli, bits reversed */

static uint32_t table[256];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void make_table(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int k = 0; k < 8; k++)
			c = c & 1 ? c >> 1 ^ POLY : c >> 1;
		table[i] = c;
	}
}

uint32_t crc32c_table(uint32_t crc, const void *data, size_t len)
{
	const unsigned char *p = data;

	pthread_once(&table_once, make_table);
	crc = ~crc;
	while (len--)
		crc = table[(crc ^ *p++) & 0xff] ^ crc >> 8;
	return ~crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc32c_insn(uint32_t crc, const void *data,
							      size_t len)
{
	const unsigned char *p = data;
	uint64_t c = (uint32_t)~crc;

	for (; len >= 8; len -= 8, p += 8) {
		uint64_t word;

		memcpy(&word, p, sizeof(word));
		c = __builtin_ia32_crc32di(c, word);
	}
	while (len--)
		c = __builtin_ia32_crc32qi((uint32_t)c, *p++);
	return ~(uint32_t)c;
}

static int have_insn(void)
{
	return __builtin_cpu_supports("sse4.2");
}
#else
#define crc32c_insn crc32c_table
static int have_insn(void)
{
	return 0;
}
#endif

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
	return have_insn() ? crc32c_insn(crc, data, len) : crc32c_table(crc, data, len);
}

/*
 * Zero bytes only shift the register, which is linear over GF(2): a 32x32 bit matrix for one zero
 * bit, squared until its power covers the length (the method of zlib's crc32_combine).
 */
static uint32_t times(const uint32_t *matrix, uint32_t vector)
{
	uint32_t sum = 0;

	for (; vector; vector >>= 1, matrix++)
		if (vector & 1)
			sum ^= *matrix;
	return sum;
}

static void square(uint32_t *out, const uint32_t *matrix)
{
	for (int i = 0; i < 32; i++)
		out[i] = times(matrix, matrix[i]);
}

uint32_t crc32c_zeros(uint32_t crc, uint64_t len)
{
	uint32_t one[32], next[32];

	one[0] = POLY;
	for (int i = 1; i < 32; i++)
		one[i] = 1u << (i - 1);
	for (int i = 0; i < 3; i++) { /* one bit -> one byte */
		square(next, one);
		memcpy(one, next, sizeof(one));
	}
	crc = ~crc;
	for (; len; len >>= 1) {
		if (len & 1)
			crc = times(one, crc);
		square(next, one);
		memcpy(one, next, sizeof(one));
	}
	return ~crc;
}
