// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Time without a name, on a kernel that could not have shown some of the names. */
#include "analysis.h"

#include <string.h>

/* Below it the causes that no stack of that kernel shows cannot change the answer. */
#define MIN_UNKNOWN 0.02

static double unknown_share(const struct findings *f)
{
	double all = 0, unknown = 0;

	for (size_t w = 0; w < f->windows_cnt; w++)
		for (size_t i = 0; i < f->windows[w].ledger_cnt; i++) {
			const struct finding_share *s = &f->windows[w].ledger[i];

			all += s->ns;
			if (!strncmp(s->cause, "unknown.", strlen("unknown.")))
				unknown += s->ns;
		}
	return all > 0 ? unknown / all : 0;
}

int blind__warn(struct analysis *a)
{
	double share = unknown_share(a->f);

	if (share <= MIN_UNKNOWN)
		return 0;
	for (size_t i = 0; i < a->f->host_cnt; i++)
		if (!strcmp(a->f->host[i].name, "causes.blind"))
			return add_warning(
				a->f,
				"%.1f %% of the time has no name, and the kernel that was "
				"recorded is blind for: %s",
				100 * share, a->f->host[i].value);
	return 0;
}
