// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "apply_options.h"

void apply_cfg__defaults(struct apply_cfg *cfg)
{
	*cfg = (struct apply_cfg){ .match = "memory.bin",
				   .size_from = "previous",
				   .export_workers = EXPORT_WORKERS };
	tune_conf__defaults(&cfg->tune);
}
