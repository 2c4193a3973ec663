// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "flame.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1 /* what could not be added has no hh.tbl */
#include <uthash.h>

/*
 * While the tree is built, children are found through one hash of (parent, name) for the whole
 * tree; the names are interned, so that a key is two pointers.
 */
struct name {
	UT_hash_handle hh;
	char text[];
};

struct edge_key {
	struct flame_node *parent;
	const char *name;
};

struct edge {
	struct edge_key key;
	struct flame_node node; /* node.name points into a struct name */
	UT_hash_handle hh;
};

struct flame {
	struct flame_node root;
	struct name *names;
	struct edge *edges;
};

struct flame *flame__new(void)
{
	struct flame *f = calloc(1, sizeof(*f));

	if (f)
		f->root.name = "all";
	return f;
}

void flame__free(struct flame *f)
{
	struct edge *edge, *next_edge;
	struct name *name, *next_name;

	if (!f)
		return;
	HASH_ITER (hh, f->edges, edge, next_edge) {
		HASH_DEL(f->edges, edge);
		free(edge->node.children);
		free(edge);
	}
	HASH_ITER (hh, f->names, name, next_name) {
		HASH_DEL(f->names, name);
		free(name);
	}
	free(f->root.children);
	free(f);
}

static const char *intern(struct flame *f, const char *text)
{
	size_t len = strlen(text);
	struct name *name;

	HASH_FIND(hh, f->names, text, len, name);
	if (name)
		return name->text;
	name = malloc(sizeof(*name) + len + 1);
	if (!name)
		return NULL;
	memcpy(name->text, text, len + 1);
	HASH_ADD_KEYPTR(hh, f->names, name->text, len, name);
	if (!name->hh.tbl) {
		free(name);
		return NULL;
	}
	return name->text;
}

/* Room doubles at powers of two, so that the count alone says how much there is. */
static int append_child(struct flame_node *parent, struct flame_node *child)
{
	size_t n = parent->children_cnt;

	if ((n & (n - 1)) == 0) {
		size_t room = n ? n * 2 : 1;
		struct flame_node **p = realloc(parent->children, room * sizeof(*p));

		if (!p)
			return -ENOMEM;
		parent->children = p;
	}
	parent->children[parent->children_cnt++] = child;
	return 0;
}

static struct flame_node *child_of(struct flame *f, struct flame_node *parent, const char *text)
{
	struct edge_key key = { .parent = parent, .name = intern(f, text) };
	struct edge *edge;

	if (!key.name)
		return NULL;
	HASH_FIND(hh, f->edges, &key, sizeof(key), edge);
	if (edge)
		return &edge->node;
	edge = calloc(1, sizeof(*edge));
	if (!edge)
		return NULL;
	edge->key = key;
	edge->node.name = (char *)key.name;
	HASH_ADD(hh, f->edges, key, sizeof(edge->key), edge);
	if (!edge->hh.tbl) {
		free(edge);
		return NULL;
	}
	if (append_child(parent, &edge->node)) {
		HASH_DEL(f->edges, edge);
		free(edge);
		return NULL;
	}
	return &edge->node;
}

int flame__add(struct flame *f, const char *const *frames, size_t cnt, enum flame_state state,
	       uint64_t ns)
{
	struct flame_node *node = &f->root;

	if (cnt > FLAME_DEPTH_MAX)
		cnt = FLAME_DEPTH_MAX;
	for (size_t i = 0; i < cnt; i++) {
		node = child_of(f, node, frames[i] ? frames[i] : "");
		if (!node)
			return -ENOMEM;
	}
	node->self_ns[state] += ns;
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	const struct flame_node *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

/* As deep as FLAME_DEPTH_MAX. */
static void finish_node(struct flame_node *node)
{
	memcpy(node->state_ns, node->self_ns, sizeof(node->state_ns));
	for (size_t i = 0; i < node->children_cnt; i++) {
		finish_node(node->children[i]);
		for (int s = 0; s < FLAME_STATES; s++)
			node->state_ns[s] += node->children[i]->state_ns[s];
	}
	node->total_ns = 0;
	for (int s = 0; s < FLAME_STATES; s++)
		node->total_ns += node->state_ns[s];
	if (node->children_cnt > 1)
		qsort(node->children, node->children_cnt, sizeof(*node->children), compare_names);
}

void flame__finish(struct flame *f)
{
	finish_node(&f->root);
}

const struct flame_node *flame__root(const struct flame *f)
{
	return &f->root;
}
