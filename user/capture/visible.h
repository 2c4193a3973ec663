/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What the table of causes can see on this kernel, for doctor and for those who read the trace. */
#ifndef FLATPAUSE_CAPTURE_VISIBLE_H
#define FLATPAUSE_CAPTURE_VISIBLE_H

#include <jansson.h>
#include <stdbool.h>

#include "../../probes/sight.h"
#include "../host/facts.h"

/* Asks this kernel. -errno, said: it shows neither its symbols nor its BTF. */
int visible__check(struct sight *s);

/*
 * Adds "causes.blind" and "causes.absent", ids with ", " between them, where there are any. A
 * kernel that cannot be asked has neither fact.
 */
void facts__causes(struct facts *f);

/* {"seen": n, "blind": [{"id", "needs"}], "absent": [id]}; NULL on no memory. */
json_t *visible__json(const struct sight *s);

#endif
