/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Numbers as people read them: three significant digits and a unit. */
#ifndef FLATPAUSE_REPORTS_NUMBERS_H
#define FLATPAUSE_REPORTS_NUMBERS_H

#include <stddef.h>
#include <stdint.h>

#define NUMBER_SIZE 32

/* "4.92 s", "12.3 ms", "850 us", "0 ms"; what is no number is "-". Returns buf. */
const char *number_ms(char buf[NUMBER_SIZE], double ms);
/* The same for an axis: "1 s", "2.5 s", "200 ms". */
const char *number_tick(char buf[NUMBER_SIZE], double ms);
/* 1, 2 or 5 times a power of ten, not below v; 1 for what is not positive. */
double number_round_up(double v);
const char *number_ns(char buf[NUMBER_SIZE], uint64_t ns);

/* "12.3 %", "0.04 %" of a whole that may be 0. */
const char *number_percent(char buf[NUMBER_SIZE], double part, double whole);

/* "196 MiB" */
const char *number_bytes(char buf[NUMBER_SIZE], uint64_t bytes);

/* "5.07", "12", "0.83": a ratio */
const char *number_ratio(char buf[NUMBER_SIZE], double ratio);

/* "p = 0.0069", "p = 1", "p < 0.0001": no more digits than a permutation test has */
const char *number_p(char buf[NUMBER_SIZE], double p);

#endif
