// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Numbers with units, in and out. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "params.h"

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit duration_units[] = {
	{ "ns", 1 },
	{ "us", 1000 },
	{ "ms", 1000000 },
	{ "s", 1000000000ull },
	{ "", 1000000000ull },
	{ "m", 60000000000ull },
	{ "h", 3600000000000ull },
	{ NULL, 0 },
};

static const struct unit size_units[] = {
	{ "", 1 },	     { "B", 1 },
	{ "K", 1ull << 10 }, { "KiB", 1ull << 10 },
	{ "M", 1ull << 20 }, { "MiB", 1ull << 20 },
	{ "G", 1ull << 30 }, { "GiB", 1ull << 30 },
	{ "T", 1ull << 40 }, { "TiB", 1ull << 40 },
	{ NULL, 0 },
};

int parse_u64(const char *s, uint64_t *out)
{
	char *end;

	if (!isdigit((unsigned char)*s))
		return -EINVAL;
	errno = 0;
	*out = strtoull(s, &end, 10);
	if (*end)
		return -EINVAL;
	return errno ? -ERANGE : 0;
}

/* A decimal number, with a fraction if wanted, and one of `units`. */
static int parse_with_unit(const char *s, const struct unit *units, uint64_t *out)
{
	long double v;
	char *end;

	if (!isdigit((unsigned char)*s))
		return -EINVAL;
	if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X'))
		return -EINVAL;
	errno = 0;
	v = strtold(s, &end);
	if (errno)
		return -ERANGE;
	for (; units->name; units++) {
		if (strcmp(end, units->name) != 0)
			continue;
		v *= (long double)units->factor;
		if (v >= 18446744073709551615.0L)
			return -ERANGE;
		*out = (uint64_t)(v + 0.5L);
		return 0;
	}
	return -EINVAL;
}

int parse_duration_ns(const char *s, uint64_t *out)
{
	return parse_with_unit(s, duration_units, out);
}

int parse_size_bytes(const char *s, uint64_t *out)
{
	return parse_with_unit(s, size_units, out);
}

const char *format_ns(uint64_t ns, char *buf, size_t size)
{
	double v = (double)ns;

	if (ns < 1000)
		snprintf(buf, size, "%u ns", (unsigned int)ns);
	else if (ns < 1000000)
		snprintf(buf, size, "%.*f us", ns < 10000 ? 1 : 0, v / 1e3);
	else if (ns < 1000000000)
		snprintf(buf, size, "%.*f ms", ns < 100000000 ? 1 : 0, v / 1e6);
	else
		snprintf(buf, size, "%.*f s", ns < 10000000000ull ? 2 : 1, v / 1e9);
	return buf;
}

const char *format_bytes(uint64_t bytes, char *buf, size_t size)
{
	static const char *const names[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double v = (double)bytes;
	size_t i = 0;

	for (; v >= 1024 && i + 1 < sizeof(names) / sizeof(names[0]); i++)
		v /= 1024;
	snprintf(buf, size, "%.*f %s", i && v < 100 ? 1 : 0, v, names[i]);
	return buf;
}
