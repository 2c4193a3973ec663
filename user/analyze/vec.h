/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* A queue in one array: appended at the end, dropped from the front, searched by index. */
#ifndef FLATPAUSE_ANALYZE_VEC_H
#define FLATPAUSE_ANALYZE_VEC_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct vec {
	char *data;
	size_t head; /* the first element that is still there */
	size_t end;  /* behind the last */
	size_t room;
};

static inline size_t vec__cnt(const struct vec *v)
{
	return v->end - v->head;
}

static inline void *vec__at(const struct vec *v, size_t i, size_t size)
{
	return v->data + (v->head + i) * size;
}

/* Room for one more element, zeroed; NULL on no memory. */
static inline void *vec__push(struct vec *v, size_t size)
{
	if (v->end == v->room) {
		size_t room = v->room ? v->room + v->room / 2 : 8;
		char *p;

		if (v->head > v->end / 2) { /* half of it is free at the front */
			memmove(v->data, v->data + v->head * size, vec__cnt(v) * size);
			v->end -= v->head;
			v->head = 0;
		} else {
			p = realloc(v->data, room * size);
			if (!p)
				return NULL;
			v->data = p;
			v->room = room;
		}
	}
	return memset(v->data + v->end++ * size, 0, size);
}

static inline void vec__drop(struct vec *v, size_t cnt)
{
	v->head += cnt;
	if (v->head == v->end)
		v->head = v->end = 0;
}

static inline void vec__free(struct vec *v)
{
	free(v->data);
	memset(v, 0, sizeof(*v));
}

/* Typed access: VEC_AT(&t->segs, struct seg, i) */
#define VEC_AT(v, type, i) ((type *)vec__at((v), (i), sizeof(type)))
#define VEC_PUSH(v, type)  ((type *)vec__push((v), sizeof(type)))
#define VEC_LAST(v, type)  VEC_AT((v), type, vec__cnt(v) - 1)

#endif
