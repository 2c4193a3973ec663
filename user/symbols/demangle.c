// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "demangle.h"

#include <stddef.h>
#include <string.h>
#include <libiberty/demangle.h>

/* A name that long is an attack on the demangler, or of no use to a reader. */
#define MAX_NAME_LEN 8192

char *demangle(const char *name)
{
	if (name[0] != '_' || (name[1] != 'R' && name[1] != 'Z') ||
	    strnlen(name, MAX_NAME_LEN) == MAX_NAME_LEN)
		return NULL;
	/* Automatic: Rust is tried first, and refuses what is plain C++. */
	return cplus_demangle(name, DMGL_AUTO | DMGL_ANSI);
}
