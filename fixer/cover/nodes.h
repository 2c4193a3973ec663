/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The inodes that the kernel knows of a covered directory, by the numbers that we gave it. Each is
 * kept as a file handle, not as a descriptor: the table costs no descriptors, and lies in memory
 * that outlives the process, so that one that comes behind a killed server understands every number
 * that the kernel still uses.
 */
#ifndef FLATPAUSE_FIXER_COVER_NODES_H
#define FLATPAUSE_FIXER_COVER_NODES_H

#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define NODES_MAX	(1u << 20)
#define OPENS_MAX	(1u << 16)
#define NODE_HANDLE_MAX 64 /* ext4 8, xfs 24, tmpfs 12, btrfs 40 bytes */
#define NODE_ROOT	1  /* the number of the covered directory itself */

/* An fsync of another's file may take a server for seconds: as many as there are requests. */
#define COVER_THREADS_MAX 256

enum node_kind {
	NODE_FREE = 0,
	NODE_REAL,   /* an inode of the covered file system */
	NODE_MEMORY, /* a memory file, behind a link of ours */
};

/* Shared with the server that comes next: fixed width, no pointers. */
struct node {
	uint32_t kind; /* written last when it is taken, first when it is freed */
	uint32_t n;    /* NODE_MEMORY: its number */
	uint64_t dev, ino;
	uint64_t lookups;    /* that the kernel has not forgotten */
	uint64_t generation; /* of its number */
	int32_t handle_type;
	uint32_t handle_bytes;
	uint8_t handle[NODE_HANDLE_MAX];
	uint32_t opens, writers; /* that the kernel has not released */
	int32_t backing; /* the kernel's number of what it reads and writes itself; 0 = none */
	uint32_t links;	 /* NODE_MEMORY: names of the link, when it was last looked up */
	uint64_t parent; /* where it was last looked up, and as what */
	char name[NAME_MAX + 1];
};

_Static_assert(sizeof(struct node) == 392, "its successor may be of another build");

/* An open that the kernel has not released; its handle is the slot's number and serial. */
struct open_slot {
	uint64_t unique; /* of the request */
	uint32_t serial;
	uint32_t node; /* 0 = slot free; written last */
	uint32_t flags;
	uint32_t zero;
};

enum op_state {
	OP_NONE = 0,
	OP_BEGUN, /* whether it was done, nobody knows */
	OP_DONE,  /* with this result */
};

/* What a server has in hand that may not be done twice. */
struct op_note {
	uint64_t unique;
	int32_t result;
	uint32_t state;
};

struct node_table {
	uint32_t used;	      /* entries from here on were never taken */
	uint32_t opens_used;  /* the same of open slots */
	uint32_t answered;    /* the kernel has been told what this server can do */
	uint32_t passthrough; /* ... and reads and writes open files without it */
	uint32_t resends;     /* the kernel asks again what a dead server has not answered */
	uint32_t mounted;
	uint32_t generations, serials;
	struct op_note notes[COVER_THREADS_MAX];   /* one for each thread that serves */
	struct op_note carried[COVER_THREADS_MAX]; /* of servers before, until they are asked for */
	struct open_slot opens[OPENS_MAX];
	struct node v[NODES_MAX];
};

/* The table, and what this process alone knows of it. */
struct nodes {
	pthread_mutex_t lock;
	struct node_table *table;
	uint32_t *heads, *next; /* chains by (dev, ino); index + 1, 0 = end */
	uint32_t *free;		/* stack of indices below table->used */
	uint32_t free_cnt;
	uint32_t *open_free; /* the same of open slots */
	uint32_t open_free_cnt;
};

/* A table for a new cover: anonymous memory, shared with all children. NULL where there is none. */
struct node_table *node_table__new(void);
void node_table__delete(struct node_table *t);

/* Begins to use a table, whoever used it before. 0 or -ENOMEM. */
int nodes__init(struct nodes *ns, struct node_table *table);
void nodes__free(struct nodes *ns);

/* Whether open(2) flags are those of a writer. */
bool open_writes(uint32_t flags);

/* What a file is called in the table. */
struct node_key {
	enum node_kind kind;
	uint32_t n, links;
	uint64_t dev, ino;
	int handle_type;
	uint32_t handle_bytes;
	uint8_t handle[NODE_HANDLE_MAX];
};

/* From a descriptor (O_PATH will do). 0, -EOVERFLOW for a handle that is too long, -errno. */
int node_key__of(int fd, enum node_kind kind, uint32_t n, struct node_key *key);

/*
 * The number of a file that was looked up as `name` in `parent`; taken from the table or put there,
 * and counted as known to the kernel once more. 0 where the table is full.
 */
uint64_t nodes__take(struct nodes *ns, const struct node_key *key, uint64_t parent,
		     const char *name, uint64_t *generation);

/* The kernel has forgotten `cnt` look-ups; with the last one the number is free. */
void nodes__forget(struct nodes *ns, uint64_t id, uint64_t cnt);

/* A copy of an entry; false where there is none of that number. */
bool nodes__get(struct nodes *ns, uint64_t id, struct node *copy);

/* One name of a memory file is gone. */
void nodes__unlinked(struct nodes *ns, const struct node_key *key);

/* The entry itself, for fields that the caller's own lock guards (opens, writers, backing). */
struct node *nodes__at(struct nodes *ns, uint64_t id);

/*
 * An open of node `id` by the request `unique`; counted. Its handle, 0 where there are too many. The
 * second finds one that a killed server has counted: then it is asked for again, or was not answered.
 */
uint64_t opens__take(struct nodes *ns, uint64_t unique, uint64_t id, uint32_t flags);
uint64_t opens__adopt(struct nodes *ns, uint64_t unique, uint64_t id);
/* What the handle stands for; false where it was released. */
bool opens__get(struct nodes *ns, uint64_t fh, struct open_slot *copy);
/* No longer counted; a second time this is nothing. */
void opens__drop(struct nodes *ns, uint64_t fh);

/* Another file takes the place of `id`'s: under its number, with what the kernel knows of it. */
void nodes__replace(struct nodes *ns, uint64_t id, const struct node_key *key);

/* Opens what a node stands for; `anchor`: a descriptor (no O_PATH) of its file system. fd, -errno. */
int node__open(const struct node *node, int anchor, int flags);

#endif
