// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "curve_text.h"

#include <math.h>
#include <string.h>

#include "curve.h"

#define BAR_WIDTH 52
#define ROWS_MAX  40

/* One unit for all, so that a column compares at a glance. */
static const char *format_ms(double ms, char *buf, size_t size)
{
	snprintf(buf, size, "%.*f ms", ms >= 100 ? 0 : ms >= 10 ? 1 : ms >= 1 ? 2 : 3, ms);
	return buf;
}

const char *curve__short_verdict(const struct finding_curve *c, char *buf, size_t size)
{
	switch (c->verdict) {
	case CURVE_STEPPED:
		snprintf(buf, size, "STEPPED at %u", c->at_window);
		return buf;
	case CURVE_FLAT:
		snprintf(buf, size, "FLAT");
		return buf;
	case CURVE_INCONCLUSIVE:
		break;
	}
	snprintf(buf, size, "INCONCLUSIVE");
	return buf;
}

static double largest_bar(const struct finding_curve *c, uint32_t step)
{
	double largest = 0;

	for (uint32_t i = 1; i <= c->windows; i += step)
		largest = fmax(largest, curve__median_ms(c, i, i + step - 1));
	return largest;
}

static void print_bar(FILE *out, double ms, double largest)
{
	int length = largest > 0 ? (int)lround(ms / largest * BAR_WIDTH) : 0;

	/* what is there is seen */
	for (int i = 0; i < (length ? length : 1); i++)
		fputc('#', out);
	fputc('\n', out);
}

void curve__print_bars(FILE *out, const struct finding_curve *c)
{
	uint32_t step = (c->windows + ROWS_MAX - 1) / ROWS_MAX;
	double largest = largest_bar(c, step);

	for (uint32_t i = 1; i <= c->windows; i += step) {
		uint32_t last = i + step - 1 < c->windows ? i + step - 1 : c->windows;
		double ms = curve__median_ms(c, i, last);
		bool is_step = c->at_window >= i && c->at_window <= last;
		char label[24], value[32];

		if (i == last)
			snprintf(label, sizeof(label), "%u", i);
		else
			snprintf(label, sizeof(label), "%u-%u", i, last);
		fprintf(out, "%c%9s %12s  ", is_step ? '>' : ' ', label,
			format_ms(ms, value, sizeof(value)));
		print_bar(out, ms, largest);
	}
}
