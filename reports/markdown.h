/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Findings for a comment on a pull request: verdict first, tables after it. 0, -ENOMEM or -EIO. */
#ifndef FLATPAUSE_REPORTS_MARKDOWN_H
#define FLATPAUSE_REPORTS_MARKDOWN_H

#include <stdio.h>
#include "finding.h"

int findings__write_markdown(FILE *out, const struct findings *f);
int comparison__write_markdown(FILE *out, const struct comparison *c);
int report__write_markdown(FILE *out, const struct report *r);

#endif
