// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "nodes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "../beneath.h"

#define HEADS (1u << 16)

bool open_writes(uint32_t flags)
{
	return (flags & O_ACCMODE) != O_RDONLY;
}

struct node_table *node_table__new(void)
{
	struct node_table *t = mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return t == MAP_FAILED ? NULL : t;
}

void node_table__delete(struct node_table *t)
{
	if (t)
		munmap(t, sizeof(*t));
}

static uint32_t head_of(uint64_t dev, uint64_t ino)
{
	return (uint32_t)((ino * 0x9e3779b97f4a7c15ull ^ dev * 0xff51afd7ed558ccdull) >> 48) %
	       HEADS;
}

static void chain(struct nodes *ns, uint32_t i)
{
	uint32_t *head = &ns->heads[head_of(ns->table->v[i].dev, ns->table->v[i].ino)];

	ns->next[i] = *head;
	*head = i + 1;
}

static void unchain(struct nodes *ns, uint32_t i)
{
	uint32_t *at = &ns->heads[head_of(ns->table->v[i].dev, ns->table->v[i].ino)];

	while (*at && *at != i + 1)
		at = &ns->next[*at - 1];
	if (*at)
		*at = ns->next[i];
}

struct node *nodes__at(struct nodes *ns, uint64_t id)
{
	if (!id || id > ns->table->used || ns->table->v[id - 1].kind == NODE_FREE)
		return NULL;
	return &ns->table->v[id - 1];
}

/* What a killed server was about to count is counted by its slots. */
static void recount(struct nodes *ns)
{
	struct node_table *t = ns->table;

	for (uint32_t i = 0; i < t->used; i++)
		t->v[i].opens = t->v[i].writers = 0;
	for (uint32_t i = 0; i < t->opens_used; i++) {
		struct node *v = nodes__at(ns, t->opens[i].node);

		if (!v) {
			t->opens[i].node = 0;
			ns->open_free[ns->open_free_cnt++] = i;
			continue;
		}
		v->opens++;
		v->writers += open_writes(t->opens[i].flags);
	}
}

int nodes__init(struct nodes *ns, struct node_table *table)
{
	memset(ns, 0, sizeof(*ns));
	pthread_mutex_init(&ns->lock, NULL);
	ns->table = table;
	ns->heads = calloc(HEADS, sizeof(*ns->heads));
	ns->next = calloc(NODES_MAX, sizeof(*ns->next));
	ns->free = calloc(NODES_MAX, sizeof(*ns->free));
	ns->open_free = calloc(OPENS_MAX, sizeof(*ns->open_free));
	if (!ns->heads || !ns->next || !ns->free || !ns->open_free)
		return -ENOMEM;
	for (uint32_t i = 0; i < table->used && i < NODES_MAX; i++) {
		if (table->v[i].kind != NODE_FREE)
			chain(ns, i);
		else
			ns->free[ns->free_cnt++] = i;
	}
	recount(ns);
	return 0;
}

void nodes__free(struct nodes *ns)
{
	free(ns->heads);
	free(ns->next);
	free(ns->free);
	free(ns->open_free);
	ns->heads = ns->next = ns->free = ns->open_free = NULL;
}

int node_key__of(int fd, enum node_kind kind, uint32_t n, struct node_key *key)
{
	union handle_room u = { .h.handle_bytes = MAX_HANDLE_SZ };
	struct stat st;
	int mount_id;

	if (fstat(fd, &st) || name_to_handle_at(fd, "", &u.h, &mount_id, AT_EMPTY_PATH))
		return -errno;
	if (u.h.handle_bytes > NODE_HANDLE_MAX)
		return -EOVERFLOW;
	*key = (struct node_key){ .kind = kind, .n = n, .dev = st.st_dev, .ino = st.st_ino };
	key->links = (uint32_t)st.st_nlink;
	key->handle_type = u.h.handle_type;
	key->handle_bytes = u.h.handle_bytes;
	memcpy(key->handle, u.h.f_handle, u.h.handle_bytes);
	return 0;
}

/* An inode number is given out again; a handle is not. */
static bool is_same(const struct node *v, const struct node_key *key)
{
	return v->kind == key->kind && v->ino == key->ino && v->dev == key->dev && v->n == key->n &&
	       v->handle_type == key->handle_type && v->handle_bytes == key->handle_bytes &&
	       !memcmp(v->handle, key->handle, key->handle_bytes);
}

static uint32_t find(const struct nodes *ns, const struct node_key *key)
{
	uint32_t at = ns->heads[head_of(key->dev, key->ino)];

	while (at && !is_same(&ns->table->v[at - 1], key))
		at = ns->next[at - 1];
	return at;
}

static void fill(struct node *v, const struct node_key *key)
{
	v->n = key->n;
	v->links = key->links;
	v->dev = key->dev;
	v->ino = key->ino;
	v->handle_type = key->handle_type;
	v->handle_bytes = key->handle_bytes;
	memcpy(v->handle, key->handle, key->handle_bytes);
	__atomic_store_n(&v->kind, key->kind, __ATOMIC_RELEASE);
}

static uint32_t put(struct nodes *ns, const struct node_key *key)
{
	struct node_table *t = ns->table;
	struct node *v;
	uint32_t i;

	if (!ns->free_cnt && t->used == NODES_MAX)
		return 0;
	i = ns->free_cnt ? ns->free[--ns->free_cnt] : t->used;
	v = &t->v[i];
	memset(v, 0, sizeof(*v));
	v->generation = ++t->generations;
	if (i == t->used)
		__atomic_store_n(&t->used, i + 1, __ATOMIC_RELEASE);
	fill(v, key);
	chain(ns, i);
	return i + 1;
}

uint64_t nodes__take(struct nodes *ns, const struct node_key *key, uint64_t parent,
		     const char *name, uint64_t *generation)
{
	struct node *v;
	uint32_t id;

	pthread_mutex_lock(&ns->lock);
	id = find(ns, key);
	if (!id)
		id = put(ns, key);
	if (id) {
		v = &ns->table->v[id - 1];
		v->lookups++; /* before the kernel hears of it: too many is only a leak */
		v->links = key->links;
		v->parent = parent;
		snprintf(v->name, sizeof(v->name), "%s", name);
		*generation = v->generation;
	}
	pthread_mutex_unlock(&ns->lock);
	return id;
}

void nodes__forget(struct nodes *ns, uint64_t id, uint64_t cnt)
{
	struct node *v;

	pthread_mutex_lock(&ns->lock);
	v = nodes__at(ns, id);
	if (v && id != NODE_ROOT) {
		v->lookups -= cnt < v->lookups ? cnt : v->lookups;
		if (!v->lookups && !v->opens) {
			unchain(ns, (uint32_t)id - 1);
			__atomic_store_n(&v->kind, NODE_FREE, __ATOMIC_RELEASE);
			ns->free[ns->free_cnt++] = (uint32_t)id - 1;
		}
	}
	pthread_mutex_unlock(&ns->lock);
}

void nodes__unlinked(struct nodes *ns, const struct node_key *key)
{
	uint32_t id;

	pthread_mutex_lock(&ns->lock);
	id = find(ns, key);
	if (id && ns->table->v[id - 1].links)
		ns->table->v[id - 1].links--;
	pthread_mutex_unlock(&ns->lock);
}

bool nodes__get(struct nodes *ns, uint64_t id, struct node *copy)
{
	struct node *v;

	pthread_mutex_lock(&ns->lock);
	v = nodes__at(ns, id);
	if (v)
		*copy = *v;
	pthread_mutex_unlock(&ns->lock);
	return v;
}

void nodes__replace(struct nodes *ns, uint64_t id, const struct node_key *key)
{
	pthread_mutex_lock(&ns->lock);
	unchain(ns, (uint32_t)id - 1);
	fill(&ns->table->v[id - 1], key);
	chain(ns, (uint32_t)id - 1);
	pthread_mutex_unlock(&ns->lock);
}

int node__open(const struct node *node, int anchor, int flags)
{
	union handle_room u = { .h.handle_bytes = 0 };
	int fd;

	if (node->handle_bytes > NODE_HANDLE_MAX)
		return -EINVAL;
	u.h.handle_type = node->handle_type;
	u.h.handle_bytes = node->handle_bytes;
	memcpy(u.h.f_handle, node->handle, node->handle_bytes);
	fd = open_by_handle_at(anchor, &u.h, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* ---- opens ---- */

static uint64_t handle_of(const struct node_table *t, uint32_t i)
{
	return (uint64_t)t->opens[i].serial << 32 | (i + 1);
}

static struct open_slot *slot_of(struct nodes *ns, uint64_t fh)
{
	uint32_t i = (uint32_t)fh - 1;

	if (!(uint32_t)fh || i >= ns->table->opens_used || !ns->table->opens[i].node ||
	    ns->table->opens[i].serial != fh >> 32)
		return NULL;
	return &ns->table->opens[i];
}

uint64_t opens__take(struct nodes *ns, uint64_t unique, uint64_t id, uint32_t flags)
{
	struct node_table *t = ns->table;
	struct open_slot *o;
	uint64_t fh = 0;
	struct node *v;
	uint32_t i;

	pthread_mutex_lock(&ns->lock);
	v = nodes__at(ns, id);
	if (v && (ns->open_free_cnt || t->opens_used < OPENS_MAX)) {
		i = ns->open_free_cnt ? ns->open_free[--ns->open_free_cnt] : t->opens_used++;
		o = &t->opens[i];
		*o = (struct open_slot){ .unique = unique, .flags = flags };
		o->serial = ++t->serials;
		__atomic_store_n(&o->node, (uint32_t)id, __ATOMIC_RELEASE);
		v->opens++;
		v->writers += open_writes(flags);
		fh = handle_of(t, i);
	}
	pthread_mutex_unlock(&ns->lock);
	return fh;
}

uint64_t opens__adopt(struct nodes *ns, uint64_t unique, uint64_t id)
{
	struct node_table *t = ns->table;
	uint64_t fh = 0;

	pthread_mutex_lock(&ns->lock);
	for (uint32_t i = 0; i < t->opens_used && !fh; i++)
		if (t->opens[i].node == id && t->opens[i].unique == unique)
			fh = handle_of(t, i);
	pthread_mutex_unlock(&ns->lock);
	return fh;
}

bool opens__get(struct nodes *ns, uint64_t fh, struct open_slot *copy)
{
	struct open_slot *o;

	pthread_mutex_lock(&ns->lock);
	o = slot_of(ns, fh);
	if (o)
		*copy = *o;
	pthread_mutex_unlock(&ns->lock);
	return o;
}

void opens__drop(struct nodes *ns, uint64_t fh)
{
	struct open_slot *o;
	struct node *v;

	pthread_mutex_lock(&ns->lock);
	o = slot_of(ns, fh);
	if (o) {
		v = nodes__at(ns, o->node);
		__atomic_store_n(&o->node, 0, __ATOMIC_RELEASE);
		ns->open_free[ns->open_free_cnt++] = (uint32_t)(o - ns->table->opens);
		v->opens--;
		v->writers -= open_writes(o->flags);
	}
	pthread_mutex_unlock(&ns->lock);
}
