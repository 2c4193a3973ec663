// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Advice for the verdict: the rows of remedies.c, filled with what this trace knows. */
#include "registry.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../reports/summary.h"

bool cause_under(const char *id, const char *prefix)
{
	size_t n = strlen(prefix);

	return !strncmp(id, prefix, n) && (id[n] == '\0' || id[n] == '.');
}

bool window_counts(const struct findings *f, size_t w)
{
	bool any_slow = false;

	for (size_t i = 0; i < f->windows_cnt; i++)
		any_slow = any_slow || f->windows[i].slow;
	return f->windows[w].slow || !any_slow;
}

const struct finding_file *slow_file(const struct findings *f)
{
	const struct finding_file *best = NULL;

	for (size_t w = 0; w < f->windows_cnt; w++) {
		if (!window_counts(f, w))
			continue;
		for (size_t i = 0; i < f->windows[w].files_cnt; i++) {
			const struct finding_file *file = &f->windows[w].files[i];

			if (file->path[0] == '/' &&
			    (!best || file->bytes_written > best->bytes_written))
				best = file;
		}
	}
	return best;
}

uint64_t slow_ns(const struct findings *f, const char *prefix, uint64_t *all_ns)
{
	uint64_t ns = 0;

	*all_ns = 0;
	for (size_t w = 0; w < f->windows_cnt; w++) {
		const struct finding_window *fw = &f->windows[w];

		for (size_t i = 0; window_counts(f, w) && i < fw->ledger_cnt; i++) {
			*all_ns += fw->ledger[i].ns;
			if (cause_under(fw->ledger[i].cause, prefix))
				ns += fw->ledger[i].ns;
		}
	}
	return ns;
}

const struct finding_file *lost_extents_file(const struct findings *f)
{
	for (size_t w = 0; w < f->windows_cnt; w++)
		for (size_t i = 0; window_counts(f, w) && i < f->windows[w].files_cnt; i++)
			if (f->windows[w].files[i].extents == FINDING_EXTENTS_LOST)
				return &f->windows[w].files[i];
	return NULL;
}

static bool has_digit(const char *s, const char *end)
{
	for (; s < end; s++)
		if (*s >= '0' && *s <= '9')
			return true;
	return false;
}

int snapshot_root(const struct findings *f, char *buf, size_t size)
{
	const struct finding_file *file = slow_file(f);
	const char *end, *up;

	if (!file)
		return -ENOENT;
	end = strrchr(file->path, '/');
	up = memrchr(file->path, '/', end - file->path);
	/* One directory per BRANCH has its number in its name; what is watched is its parent. */
	if (up && up > file->path && has_digit(up, end))
		end = up;
	if (end == file->path || (size_t)(end - file->path) >= size)
		return -ENOENT;
	snprintf(buf, size, "%.*s", (int)(end - file->path), file->path);
	return 0;
}

/* How the reasons begin that preallocation is measured against. */
#define NO_FALLOCATE "fallocate will not help"

static bool is_for(const struct remedy *r, const char *cause)
{
	for (const char *const *c = r->causes; *c; c++)
		if (cause_under(cause, *c))
			return true;
	return false;
}

static int set_text(char **field, const struct findings *f, const char *text, bool quoted)
{
	char *filled;
	int err = advice_text(f, text, quoted, &filled);

	if (err)
		return err;
	err = finding_set(field, filled);
	free(filled);
	return err;
}

static int set_commands(const struct findings *f, struct finding_advice *a, const struct remedy *r)
{
	bool redo = !strcmp(r->mitigation, "fallocate") && lost_extents_file(f);
	char command[80];
	bool own = r->command || !strcmp(r->mitigation, "none") || !strcmp(r->mitigation, "app");
	int err;

	if (own)
		err = set_text(&a->command, f, r->command ? r->command : "", true);
	else {
		snprintf(command, sizeof(command), "flatpause fix apply --mitigation %s%s%s {dir}",
			 r->mitigation, strcmp(r->mitigation, "tune") ? "" : " --max-bytes 64M",
			 redo ? " --redo" : "");
		err = set_text(&a->command, f, command, true);
	}
	if (err)
		return err;
	return set_text(&a->undo, f,
			r->undo ? r->undo
			: own	? ""
				: "flatpause fix revert {dir}",
			true);
}

static bool truncates_at_open(const struct findings *f)
{
	for (size_t w = 0; w < f->windows_cnt; w++)
		for (size_t i = 0; i < f->windows[w].files_cnt; i++)
			if (f->windows[w].files[i].open_flags & O_TRUNC)
				return true;
	return false;
}

/*
 * What preallocation could gain at most is what the allocator took. A file that has blocks and is
 * truncated at open is flushed by ext4 when it is closed (auto_da_alloc): a preallocation that is
 * undone can still start the writeback earlier.
 */
static int say_why_not(const struct findings *f, char **why)
{
	const struct finding_file *lost = lost_extents_file(f);
	char by[HEADLINE_SIZE];
	uint64_t all, alloc = 0;
	static const char *const allocator[] = { "ext4.alloc", "ext4.bitmap_io", "ext4.csum",
						 "ext4.delalloc_reserve" };

	for (size_t i = 0; i < sizeof(allocator) / sizeof(allocator[0]); i++)
		alloc += slow_ns(f, allocator[i], &all);
	if (all && finding_setf(why, "%s (the allocator has %.1f of %.1f ms there)", *why,
				alloc / 1e6, all / 1e6))
		return -ENOMEM;
	if (lost && finding_setf(why, "%s; and what was preallocated in %s was undone by %s", *why,
				 lost->path[0] ? lost->path : "a file", undone_by(by, lost)))
		return -ENOMEM;
	if (!truncates_at_open(f))
		return 0;
	return finding_setf(why,
			    "%s. A file opened with O_TRUNC is flushed when it is closed if it had "
			    "blocks, which may help: measure it",
			    *why);
}

static int add(struct findings *f, const struct remedy *r)
{
	struct finding_advice *a = FINDING_APPEND(&f->advice, &f->advice_cnt);
	int err;

	if (!a)
		return -ENOMEM;
	if (finding_set(&a->mitigation, r->mitigation) || finding_set(&a->why, "") ||
	    finding_set(&a->command, "") || finding_set(&a->undo, ""))
		return -ENOMEM;
	err = set_text(&a->why, f, r->why, false);
	if (!err && !strcmp(r->mitigation, "none") && strstr(r->why, NO_FALLOCATE))
		err = say_why_not(f, &a->why);
	return err ? err : set_commands(f, a, r);
}

int advise__verdict(struct findings *f)
{
	int err = 0;

	for (size_t i = 0; i < remedies_cnt && !err; i++)
		if (is_for(&remedies[i], f->verdict.cause))
			err = add(f, &remedies[i]);
	return err;
}
