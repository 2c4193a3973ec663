// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int names__reserve(struct names *n, size_t more)
{
	size_t room = n->cap ? n->cap : 4096;
	char *grown;

	if (n->size + more <= n->cap)
		return 0;
	while (room < n->size + more)
		room += room / 2;
	grown = realloc(n->buf, room);
	if (!grown)
		return -ENOMEM;
	n->buf = grown;
	n->cap = room;
	return 0;
}

int names__add(struct names *n, const char *name, size_t len, uint32_t *offset)
{
	int err;

	if (n->size && n->size - n->last == len + 1 && !memcmp(n->buf + n->last, name, len)) {
		*offset = n->last;
		return 0;
	}
	if (len >= REC_MAX_CHUNK || n->size + len + 1 >= REC_MAX_CHUNK)
		return -EOVERFLOW;
	err = names__reserve(n, len + 1);
	if (err)
		return err;
	memcpy(n->buf + n->size, name, len);
	n->buf[n->size + len] = '\0';
	n->last = (uint32_t)n->size;
	*offset = n->last;
	n->size += len + 1;
	return 0;
}

void names__free(struct names *n)
{
	free(n->buf);
	*n = (struct names){ 0 };
}

int sym_table__add(struct sym_table *t, uint64_t addr, uint32_t size, const char *name)
{
	struct rec_sym *grown = grow_list(t->syms, t->cnt, &t->cap, sizeof(*t->syms));
	struct rec_sym sym = { .addr = addr, .size = size };
	int err;

	if (!grown)
		return -ENOMEM;
	t->syms = grown;
	err = names__add(&t->names, name, strlen(name), &sym.name);
	if (!err)
		t->syms[t->cnt++] = sym;
	return err;
}

static int by_addr(const void *a, const void *b)
{
	const struct rec_sym *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

void sym_table__sort(struct sym_table *t)
{
	if (t->cnt)
		qsort(t->syms, t->cnt, sizeof(*t->syms), by_addr);
}

void sym_table__free(struct sym_table *t)
{
	free(t->syms);
	names__free(&t->names);
	*t = (struct sym_table){ 0 };
}
