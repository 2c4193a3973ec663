/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Random numbers for the permutation tests: the same seed gives the same p on every machine, which
 * the C library's generators do not promise. xoshiro256** seeded by splitmix64 (public domain,
 * Blackman and Vigna).
 */
#ifndef FLATPAUSE_CURVE_RNG_H
#define FLATPAUSE_CURVE_RNG_H

#include <stdbool.h>
#include <stdint.h>

struct curve_rng {
	uint64_t s[4];
	double spare; /* normals come in pairs */
	bool has_spare;
};

void curve_rng__init(struct curve_rng *rng, uint64_t seed);

static inline uint64_t curve_rng__rotate(uint64_t x, int k)
{
	return (x << k) | (x >> (64 - k));
}

static inline uint64_t curve_rng__next(struct curve_rng *rng)
{
	uint64_t *s = rng->s;
	uint64_t result = curve_rng__rotate(s[1] * 5, 7) * 9, t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = curve_rng__rotate(s[3], 45);
	return result;
}

/* 32 random bits to 0 .. n-1; the bias is below n / 2^32. */
static inline uint32_t curve_rng__scale(uint32_t bits, uint32_t n)
{
	return (uint32_t)(((uint64_t)bits * n) >> 32);
}

static inline uint32_t curve_rng__below(struct curve_rng *rng, uint32_t n)
{
	return curve_rng__scale((uint32_t)(curve_rng__next(rng) >> 32), n);
}

double curve_rng__uniform(struct curve_rng *rng); /* within (0, 1) */
double curve_rng__normal(struct curve_rng *rng);
double curve_rng__chi2(struct curve_rng *rng, double df); /* df >= 0 */

#endif
