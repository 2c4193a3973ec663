// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "numbers.h"

#include <math.h>
#include <stdio.h>

/* Decimals that leave three significant digits, for a value of 0.0005 and more. */
static int decimals(double v)
{
	if (v < 9.995)
		return 2;
	return v < 99.95 ? 1 : 0;
}

const char *number_ms(char buf[NUMBER_SIZE], double ms)
{
	if (!isfinite(ms))
		snprintf(buf, NUMBER_SIZE, "-");
	else if (ms <= 0)
		snprintf(buf, NUMBER_SIZE, "0 ms");
	else if (ms < 0.9995)
		snprintf(buf, NUMBER_SIZE, "%.*f us", decimals(ms * 1e3), ms * 1e3);
	else if (ms < 999.5)
		snprintf(buf, NUMBER_SIZE, "%.*f ms", decimals(ms), ms);
	else
		snprintf(buf, NUMBER_SIZE, "%.*f s", decimals(ms / 1e3), ms / 1e3);
	return buf;
}

const char *number_tick(char buf[NUMBER_SIZE], double ms)
{
	if (ms <= 0)
		snprintf(buf, NUMBER_SIZE, "0");
	else if (ms < 0.9995)
		snprintf(buf, NUMBER_SIZE, "%.3g us", ms * 1e3);
	else if (ms < 999.5)
		snprintf(buf, NUMBER_SIZE, "%.3g ms", ms);
	else
		snprintf(buf, NUMBER_SIZE, "%.4g s", ms / 1e3);
	return buf;
}

double number_round_up(double v)
{
	static const double steps[] = { 1, 2, 5 };
	double power;

	if (!(v > 0) || !isfinite(v))
		return 1;
	power = pow(10, floor(log10(v)));
	for (int i = 0; i < 3; i++)
		if (v <= steps[i] * power * 1.0000001)
			return steps[i] * power;
	return 10 * power;
}

const char *number_ns(char buf[NUMBER_SIZE], uint64_t ns)
{
	return number_ms(buf, (double)ns / 1e6);
}

const char *number_percent(char buf[NUMBER_SIZE], double part, double whole)
{
	double v = whole > 0 ? 100 * part / whole : 0;

	snprintf(buf, NUMBER_SIZE, v < 0.95 && v > 0 ? "%.2f %%" : "%.1f %%", v);
	return buf;
}

const char *number_bytes(char buf[NUMBER_SIZE], uint64_t bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double v = (double)bytes;
	int unit = 0;

	for (; v >= 1024; unit++)
		v /= 1024;
	snprintf(buf, NUMBER_SIZE, "%.*f %s", unit && v < 99.95 ? 1 : 0, v, units[unit]);
	return buf;
}

const char *number_ratio(char buf[NUMBER_SIZE], double ratio)
{
	if (!isfinite(ratio))
		snprintf(buf, NUMBER_SIZE, "-");
	else
		snprintf(buf, NUMBER_SIZE, "%.*f", decimals(ratio), ratio);
	return buf;
}

const char *number_p(char buf[NUMBER_SIZE], double p)
{
	if (!isfinite(p))
		snprintf(buf, NUMBER_SIZE, "p = -");
	else if (p < 0.0001)
		snprintf(buf, NUMBER_SIZE, "p < 0.0001");
	else
		snprintf(buf, NUMBER_SIZE, "p = %.2g", p);
	return buf;
}
