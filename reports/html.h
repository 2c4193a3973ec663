/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The report as ONE self-contained page: no network, no script needed for the verdict, the curves
 * and the tables. 0, -ENOMEM or -EIO.
 */
#ifndef FLATPAUSE_REPORTS_HTML_H
#define FLATPAUSE_REPORTS_HTML_H

#include <stdio.h>
#include "finding.h"

int report__write_html(FILE *out, const struct report *r);

#endif
