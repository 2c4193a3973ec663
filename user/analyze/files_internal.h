/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What the two halves of files.h share: what is open, and what files were to windows. Internal. */
#ifndef FLATPAUSE_ANALYZE_FILES_INTERNAL_H
#define FLATPAUSE_ANALYZE_FILES_INTERNAL_H

#include "extents.h"
#include "files.h"

#define MAX_INODES 65536

struct inode_key {
	uint64_t ino;
	uint32_t dev;
	uint32_t zero;
};

/* A file as far as the trace tells, whoever has it open. */
struct inode_entry {
	struct inode_key key;
	char *path;
	uint32_t oflags;
	uint64_t unsynced_bytes; /* written by targets since its last fsync */
	bool ours;		 /* a target has had it open */
	bool gone;		 /* it was deleted, and no other one is known to have its number */
	bool path_is_hint;	 /* its last names, or those of a file that had its number */
	struct extents extents;
	struct inode_entry *next_preallocated;
	UT_hash_handle hh;
	UT_hash_handle hh_path; /* only in the table where it was the last to get its path */
};

struct fd_key {
	uint32_t tgid;
	int32_t fd;
};

struct fd_entry {
	struct fd_key key;
	struct inode_entry *inode; /* NULL: closed; what was open before does not count */
	UT_hash_handle hh;
};

struct file_table {
	struct inode_entry *inodes;
	struct inode_entry *by_path;
	struct inode_entry *preallocated; /* those with a history of it */
	struct fd_entry *fds;
};

/* What one file was to one window. */
struct window_file {
	struct inode_entry *inode;
	bool opened;
	bool prepared; /* its blocks came or went since the window before */
	uint64_t bytes_written, bytes_read;
	struct vec sizes; /* of its calls, by operation */
	uint64_t fsync_call_ns, fsync_span_ns;
	uint64_t alloc_ns;
	UT_hash_handle hh;
};

/* An inode, made where it is not known and `add` says so; NULL: not known, or no more can be. */
struct inode_entry *inode_of(struct file_table *t, uint32_t dev, uint64_t ino, bool add);

/* As it is recorded by a target; NULL = not known. */
struct inode_entry *inode_of_fd(struct analysis *a, uint32_t tgid, int32_t fd);
uint32_t tgid_of(const struct analysis *a, uint32_t tid);
struct dirtier dirtier_now(const struct analysis *a, uint32_t tid);

/* Owns `path` from now on. */
void replace_path(struct file_table *t, struct inode_entry *i, char *path, bool is_hint);

/* What it was to a pending window, from now on; NULL on no memory. */
struct window_file *file_in(struct pending *p, struct inode_entry *inode);

/* ---- files_extents.c: blocks in advance, and what undoes it ---- */

void note_undone(struct analysis *a, struct inode_entry *i, uint64_t begin_ns, uint64_t ns,
		 const struct dirtier *by, const char *how);
void note_gone(struct analysis *a, struct inode_entry *i, uint64_t ns);

void extents_on_record(struct analysis *a, const struct ev_extents *ev);
void extents_on_sized(struct analysis *a, const struct ev_syscall *ev);
void extents_on_span(struct analysis *a, struct inode_entry *i, const struct ev_span *ev);
void extents_on_point(struct analysis *a, const struct ev_point *p);

/*
 * What was done to a file's blocks since the window before belongs to this one: a copy's target is
 * prepared, and undone, before the pause that it runs beside.
 */
void extents_add_prepared(struct analysis *a, struct pending *p);

/* Whether the window's pause may have to do with that file. */
bool extents_concern(const struct pending *p, const struct inode_entry *i);

/* Into the finding. 0 or -ENOMEM. */
int extents_write(const struct analysis *a, struct finding_file *out,
		  const struct finding_window *fw, const struct inode_entry *i);

#endif
