/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Growing lists of names and symbols, laid out as a trace holds them. */
#ifndef FLATPAUSE_SYMBOLS_TABLE_H
#define FLATPAUSE_SYMBOLS_TABLE_H

#include <stddef.h>
#include <stdint.h>
#include "../grow_list.h"
#include "../trace/format.h"

struct names {
	char *buf;
	size_t size, cap;
	uint32_t last; /* where the name added last stands: neighbours are often the same */
};

/* -ENOMEM, -EOVERFLOW */
int names__add(struct names *n, const char *name, size_t len, uint32_t *offset);
void names__free(struct names *n);

struct sym_table {
	struct rec_sym *syms;
	size_t cnt, cap;
	struct names names;
};

int sym_table__add(struct sym_table *t, uint64_t addr, uint32_t size, const char *name);
void sym_table__sort(struct sym_table *t); /* by address */
void sym_table__free(struct sym_table *t);

#endif
