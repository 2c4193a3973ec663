/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Lists that grow by one item at a time. */
#ifndef FLATPAUSE_GROW_LIST_H
#define FLATPAUSE_GROW_LIST_H

#include <stddef.h>
#include <stdlib.h>

/* Room for one more item; NULL: out of memory, and `list` is as it was. */
static inline void *grow_list(void *list, size_t cnt, size_t *cap, size_t item_size)
{
	size_t room = *cap ? *cap + *cap / 2 : 64;
	void *grown;

	if (cnt < *cap)
		return list;
	grown = reallocarray(list, room, item_size);
	if (grown)
		*cap = room;
	return grown;
}

#endif
