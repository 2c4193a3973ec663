// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* How probes write advice: which directory it is for, and the lines that apply and undo it. */
#include "registry.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

bool cause_under(const char *id, const char *prefix)
{
	size_t n = strlen(prefix);

	return !strncmp(id, prefix, n) && (id[n] == '\0' || id[n] == '.');
}

const struct finding_file *slow_file(const struct findings *f)
{
	const struct finding_file *best = NULL;
	bool any = true; /* where no window is slower than the others, each counts */

	for (size_t w = 0; w < f->windows_cnt; w++)
		any = any && !f->windows[w].slow;
	for (size_t w = 0; w < f->windows_cnt; w++) {
		if (!any && !f->windows[w].slow)
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

const struct finding_file *lost_extents_file(const struct findings *f)
{
	for (size_t w = 0; w < f->windows_cnt; w++)
		for (size_t i = 0; i < f->windows[w].files_cnt; i++)
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

/* Single quotes, so that the line can be pasted whatever the path holds. */
static int quote(const char *s, char *buf, size_t size)
{
	size_t n = 0;

	if (s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:@")] ==
	    '\0')
		return (size_t)snprintf(buf, size, "%s", s) < size ? 0 : -ENOENT;
	buf[n++] = '\'';
	for (; *s; s++) {
		if (n + 6 > size)
			return -ENOENT;
		if (*s == '\'') {
			memcpy(buf + n, "'\\''", 4);
			n += 4;
		} else {
			buf[n++] = *s;
		}
	}
	buf[n++] = '\'';
	buf[n] = '\0';
	return 0;
}

static int advice_new(struct findings *f, const char *mitigation, const char *why,
		      struct finding_advice **out)
{
	struct finding_advice *a = FINDING_APPEND(&f->advice, &f->advice_cnt);

	if (!a)
		return -ENOMEM;
	if (finding_set(&a->mitigation, mitigation) || finding_set(&a->why, why) ||
	    finding_set(&a->command, "") || finding_set(&a->undo, ""))
		return -ENOMEM;
	*out = a;
	return 0;
}

int advice_add(struct findings *f, const char *mitigation, const char *why)
{
	char root[4096], quoted[4200] = "DIR";
	struct finding_advice *a;

	if (advice_new(f, mitigation, why, &a))
		return -ENOMEM;
	/* `fix` has no hand for knobs yet: what to turn is in the reason. */
	if (!strcmp(mitigation, "none") || !strcmp(mitigation, "tune"))
		return 0;
	if (snapshot_root(f, root, sizeof(root)) || quote(root, quoted, sizeof(quoted)))
		snprintf(quoted, sizeof(quoted), "DIR");
	if (finding_setf(&a->command, "flatpause fix apply --mitigation %s %s", mitigation,
			 quoted) ||
	    finding_setf(&a->undo, "flatpause fix revert %s", quoted))
		return -ENOMEM;
	return 0;
}

int advice_add_tune(struct findings *f, const char *why)
{
	return advice_add(f, "tune", why);
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
 * A file that has blocks and is truncated at open is flushed by ext4 when it is closed
 * (auto_da_alloc): a preallocation that is undone can still start the writeback earlier.
 */
int advise_no_fallocate(struct findings *f, const char *reason)
{
	const struct finding_file *lost = lost_extents_file(f);
	struct finding_advice *a;

	if (advice_new(f, "none", "", &a) ||
	    finding_setf(&a->why, "fallocate will not help by what it allocates: %s", reason))
		return -ENOMEM;
	if (lost && finding_setf(&a->why, "%s; and what was preallocated in %s was lost (%s)",
				 a->why, lost->path, lost->extents_why))
		return -ENOMEM;
	if (!truncates_at_open(f))
		return 0;
	return finding_setf(&a->why,
			    "%s. A file opened with O_TRUNC is flushed when it is closed if it had "
			    "blocks, which may help: measure it",
			    a->why);
}
