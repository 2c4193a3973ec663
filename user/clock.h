/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The clocks that records are stamped with. */
#ifndef FLATPAUSE_CLOCK_H
#define FLATPAUSE_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t timespec_ns(const struct timespec *t)
{
	return (uint64_t)t->tv_sec * 1000000000ull + (uint64_t)t->tv_nsec;
}

static inline uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return timespec_ns(&ts);
}

/* CLOCK_MONOTONIC, as bpf_ktime_get_ns() counts it */
static inline uint64_t now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

#endif
