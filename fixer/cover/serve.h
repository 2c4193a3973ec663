/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Inside the cover: one request, and who answers it. */
#ifndef FLATPAUSE_FIXER_COVER_SERVE_H
#define FLATPAUSE_FIXER_COVER_SERVE_H

#include <stddef.h>
#include <sys/stat.h>

#include "cover.h"
#include "proto.h"

#define COVER_WRITE_MAX (1u << 20)
/* Names and modes of directories change only through us; what a name leads to, by exports too. */
#define DIR_VALID_S 1

struct request {
	struct cover *c;
	const struct fuse_in_header *h;
	const void *arg; /* behind the header */
	size_t len;	 /* of arg */
	bool again;	 /* a killed server may have done it already */
	bool was_done;	 /* ... and has: with this result */
	int result;
	struct op_note *note;	 /* of this thread */
	struct op_note *carried; /* of a killed server; NULL = it had not begun */
	void *room;		 /* COVER_WRITE_MAX bytes for what is read */
};

/* A handler's value where it has answered by itself, or no answer is due; else 0 or -errno. */
#define ANSWERED 1

typedef int (*handler_fn)(struct request *r);

/* 0 or -errno: -ENOENT where nobody waits for it any more. */
int reply(const struct request *r, int err, const void *data, size_t len);
/* The same from two places. */
int reply2(const struct request *r, const void *a, size_t a_len, const void *b, size_t b_len);

/*
 * What may not be done twice stands between these: `if (op__begin(r)) err = op__end(r, do_it());`
 * The first is false where a killed server has done it already: then its result is in r->result.
 */
bool op__begin(struct request *r);
int op__end(struct request *r, int err);

/* One request in `buf`, by server `note`'s. */
void serve__handle(struct cover *c, struct op_note *note, char *buf, size_t len);
#define SERVE_BUFFER_BYTES (COVER_WRITE_MAX + 8192)

/* The node of the request, and a descriptor of it. */
int request__node(const struct request *r, struct node *node);
int request__open(const struct request *r, int flags);
/* A descriptor of any node: O_PATH is enough for names and attributes. */
int cover__open_node(struct cover *c, uint64_t id, int flags);
int cover__open_copy(struct cover *c, const struct node *node, int flags);

/* A name in a request, which ends inside of it; NULL where it is none. */
const char *request__name(const struct request *r, size_t at);

/* ---- names.c ---- */

int names__lookup(struct request *r);
int names__mknod(struct request *r);
int names__mkdir(struct request *r);
int names__unlink(struct request *r);
int names__rmdir(struct request *r);
int names__symlink(struct request *r);
int names__readlink(struct request *r);
int names__rename(struct request *r);
int names__rename2(struct request *r);
int names__link(struct request *r);
int names__opendir(struct request *r);
int names__readdir(struct request *r);
int names__fsyncdir(struct request *r);

/* Looks `name` up below `parent` and fills in what the kernel is told. 0 or -errno. */
int names__find(struct cover *c, uint64_t parent, int parentfd, const char *name,
		struct fuse_entry_out *out);
/* Gives what was just made to who made it: to the group of a set-group-ID directory. 0, -errno. */
int names__give(const struct request *r, int parentfd, const char *name, mode_t mode);
/* The mode as the writer's umask leaves it, unless the directory's default ACL decides. */
mode_t names__mode(int parentfd, mode_t mode, uint32_t mask);

/* ---- attrs.c ---- */

int attrs__get(struct request *r);
int attrs__set(struct request *r);
int attrs__statfs(struct request *r);
int attrs__setxattr(struct request *r);
int attrs__getxattr(struct request *r);
int attrs__listxattr(struct request *r);
int attrs__removexattr(struct request *r);

void attrs__fill(struct fuse_attr *a, const struct stat *st, const struct node *node);
/* Whether a file or directory (O_PATH) has an extended attribute. */
bool attrs__has(int fd, const char *name);
/* Who changes a file that is not root takes these away: set-user-ID, set-group-ID, capabilities. */
int attrs__kill_priv(int fd);

/* ---- files.c ---- */

int files__open(struct request *r);
int files__create(struct request *r);
int files__release(struct request *r);
int files__read(struct request *r);
int files__write(struct request *r);
int files__fsync(struct request *r);
int files__fallocate(struct request *r);
int files__lseek(struct request *r);
int files__copy(struct request *r);

/* What is open since another server: its writers keep the export away as before. */
void files__take_over(struct cover *c);

/* A descriptor of the caller's for changing the node's bytes; waits for an export. -errno. */
int files__writable(struct cover *c, uint64_t id);

/* ---- memory.c ---- */

/* The number of the memory file that our link `linkfd` (O_PATH) leads to; 0 = it is none of ours. */
uint32_t memory__number(const struct cover *c, int linkfd, char path[NAME_MAX + 32]);
/* Whether a file of that name is wanted in memory. */
bool memory__wants(const struct cover *c, const char *name);
/*
 * A memory file and its link, `name` in `parentfd`. 0, -EEXIST where the name is taken, another
 * -errno (noted) where the file has to go to disk.
 */
int memory__make(struct request *r, int parentfd, const char *name, mode_t mode);
/* For an old file that is about to be emptied by its opener: its node is a memory file then. */
int memory__replace(struct request *r, uint64_t id);
/* The link of a memory file, to give it another name; O_PATH, the caller's. -ENOENT once it is gone. */
int memory__link(const struct cover *c, uint32_t n);

/* A window is about to open: what is held warm for the next file is let go. */
void memory__expect(struct cover *c);

/* A writer has come, or gone. */
void memory__opened(struct cover *c, const struct node *node, pid_t pid);
void memory__closed(struct cover *c, const struct node *node);

#endif
