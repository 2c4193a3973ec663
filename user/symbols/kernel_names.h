/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Which functions and tracepoints this kernel has, by name alone: hidden addresses do not matter. */
#ifndef FLATPAUSE_SYMBOLS_KERNEL_NAMES_H
#define FLATPAUSE_SYMBOLS_KERNEL_NAMES_H

#include "../../probes/sight.h"

/* Functions of the kernel and its modules from `path` (KALLSYMS but in tests). -errno, unsaid. */
int kernel_names__functions(struct sight *s, const char *path);

/*
 * Tracepoints that programs can attach to, by the BTF of the kernel and of loaded modules. With
 * `functions` those that BTF lists are met as well: for a kernel whose symbols cannot be read.
 * -errno, unsaid, if the kernel has no BTF.
 */
int kernel_names__btf(struct sight *s, bool functions);

#endif
