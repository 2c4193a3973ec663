/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef FLATPAUSE_SYMBOLS_DEMANGLE_H
#define FLATPAUSE_SYMBOLS_DEMANGLE_H

/*
 * The name as its author wrote it: Rust (v0, and legacy without its hash), C++ without parameters.
 * To be freed. NULL: it is not mangled, or not in a way that libiberty knows.
 */
char *demangle(const char *name);

#endif
