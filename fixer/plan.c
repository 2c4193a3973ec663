// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "plan.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../user/cli/params.h"
#include "../user/cli/wrap.h"
#include "beneath.h"
#include "name_text.h"
#include "state.h"

static const char *text_of(const json_t *o, const char *key, const char *otherwise)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text && *text ? text : otherwise;
}

static void best_file(const json_t *window, const char *match, const char **path, double *most)
{
	const json_t *file;
	size_t i;

	json_array_foreach (json_object_get(window, "files"), i, file) {
		const char *p = text_of(file, "path", "");
		const char *slash = strrchr(p, '/');
		double bytes = json_number_value(json_object_get(file, "bytes_written"));

		if (*p != '/' || !name_matches(match, slash + 1) || bytes < *most)
			continue;
		*most = bytes;
		*path = p;
	}
}

static bool has_digit(const char *s)
{
	for (; *s; s++)
		if (isdigit((unsigned char)*s))
			return true;
	return false;
}

int plan__dir(const json_t *diagnosis, const char *match, char dir[PATH_MAX])
{
	const char *path = NULL;
	const json_t *window;
	double most = 0;
	char *slash;
	size_t i;

	json_array_foreach (json_object_get(diagnosis, "windows"), i, window)
		best_file(window, match, &path, &most);
	if (!path || strlen(path) >= PATH_MAX)
		return -ENOENT;
	strcpy(dir, path);
	*strrchr(dir, '/') = '\0';
	slash = strrchr(dir, '/');
	if (slash && slash > dir && has_digit(slash + 1)) /* one directory per BRANCH */
		*slash = '\0';
	return *dir ? 0 : -ENOENT;
}

bool plan__was_undone(const json_t *diagnosis, const char *match)
{
	const json_t *window, *file;
	size_t i, k;

	json_array_foreach (json_object_get(diagnosis, "windows"), i, window)
		json_array_foreach (json_object_get(window, "files"), k, file) {
			const char *path = text_of(file, "path", ""), *slash = strrchr(path, '/');

			if (json_is_false(json_object_get(file, "extents_kept")) &&
			    name_matches(match, slash ? slash + 1 : path))
				return true;
		}
	return false;
}

static void change(json_t *list, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void change(json_t *list, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	json_array_append_new(list, name_text__vformat(fmt, ap));
	va_end(ap);
}

static void fallocate_changes(json_t *l, const struct plan_facts *f, const char *dir)
{
	char size[32];

	change(l, "mkdir %s/%s (0700)", dir, HIDDEN_DIR);
	if (f->dir_on_tmpfs) {
		change(l, "nothing else: %s is on tmpfs, where preallocation changes nothing", dir);
		return;
	}
	change(l, "unlink %s/%s/spare, where one lies there without a journal", dir, HIDDEN_DIR);
	change(l, "create (O_EXCL, 0600) and fallocate %s/%s/spare to %s between two BRANCHes", dir,
	       HIDDEN_DIR,
	       f->previous_bytes ? format_bytes(f->previous_bytes, size, sizeof(size))
				 : "the size of the previous memory file (none is there yet)");
	change(l, "fchown and fchmod the spare as the previous memory file");
	change(l, "rename the spare to %s/NEW-DIRECTORY/%s (RENAME_NOREPLACE) when that appears",
	       dir, f->match);
	change(l, "fallocate (KEEP_SIZE) files like '%s' that are created without a spare",
	       f->match);
	if (f->redo)
		change(l, "fallocate (KEEP_SIZE) such a file again at its first write, where "
			  "O_TRUNC or "
			  "ftruncate undid it (Linux 6.14 and newer)");
	change(l, "ftruncate such a file to its own size when it is closed with space behind its "
		  "end");
}

static void export_changes(json_t *l, const struct plan_facts *f, const char *dir)
{
	struct apply_cfg own;
	const struct apply_cfg *a = f->apply ? f->apply : &own;
	char rate[32], budget[32];

	apply_cfg__defaults(&own);
	change(l,
	       "after the writer closed it: copy to %s/NEW-DIRECTORY/.%s%s (O_EXCL; fallocate, "
	       "fchown and fchmod as the memory file), fsync",
	       dir, f->match, EXPORT_SUFFIX);
	change(l,
	       "rename that to %s (RENAME_EXCHANGE: the link comes out), unlink the link, fsync "
	       "the directory; a plain rename over the link where the kernel cannot exchange",
	       f->match);
	change(l,
	       "link that file to .NAME%s and rename it over the link, for other names of the link",
	       EXPORT_SUFFIX);
	change(l, "unlink .%s%s again where a writer came back or the link went away meanwhile",
	       f->match, EXPORT_SUFFIX);
	change(l, "%sunlink /dev/shm/flatpause-ID/N/%s, rmdir N",
	       a->no_readback ? "without reading it back (--no-readback) "
			      : "read it back from the disk, and only then ",
	       f->match);
	change(l, "copy %u file%s side by side at most, %s%s", a->export_workers,
	       a->export_workers == 1 ? "" : "s",
	       a->export_rate_bytes ? format_bytes(a->export_rate_bytes, rate, sizeof(rate))
				    : "as fast as the disk takes it",
	       a->export_rate_bytes ? " a second together" : "");
	change(l,
	       "memory in use until then: the size of each file, %s of all at most; durable only "
	       "after the export",
	       a->memory_bytes ? format_bytes(a->memory_bytes, budget, sizeof(budget))
			       : "half of what is free");
}

static void memfd_changes(json_t *l, const struct plan_facts *f, const char *dir)
{
	change(l,
	       "mkdir and chmod /dev/shm/flatpause-ID (0711); create and unlink .../probe in it, "
	       "to see whether leases work");
	change(l,
	       "mkdir /dev/shm/flatpause-ID/N (0700) for each memory file, create N/%s, chown and "
	       "chmod both for the writer",
	       f->match);
	if (f->apply && f->apply->cover) {
		change(l, "mount a file system (FUSE, nosuid, nodev) over %s", dir);
		change(l,
		       "symlink NAME -> /dev/shm/flatpause-ID/N/NAME below the real directory, for "
		       "what is created there as %s; renamed over a file that its opener empties",
		       f->match);
	} else {
		change(l,
		       "symlink %s/NEW-DIRECTORY/%s -> /dev/shm/flatpause-ID/N/%s when that "
		       "appears",
		       dir, f->match, f->match);
	}
	export_changes(l, f, dir);
}

static void tune_changes(json_t *l, const struct plan_facts *f)
{
	if (f->knobs_cnt < 0)
		change(l, "nothing: this disk or kernel does not have the settings");
	else if (!f->knobs_cnt)
		change(l, "nothing: the disk is not known, or has these values already");
	for (int i = 0; i < f->knobs_cnt; i++)
		change(l, "write %s to %s (%s now): %s", f->knobs[i].now, f->knobs[i].path,
		       f->knobs[i].old, f->knobs[i].why);
}

/* Where no setting is asked for, the advice stands as it was given. */
static bool is_supported(enum mitigation m, const struct plan_facts *f)
{
	return m == MITIGATION_TUNE ? !tune_conf__is_empty(&f->tune) : m != MITIGATION_NONE;
}

static json_t *command_of(const char *name, enum mitigation m, const struct plan_facts *f,
			  const char *dir)
{
	char options[128];

	if (m != MITIGATION_TUNE)
		return name_text__format(
			"flatpause fix apply --mitigation %s%s --match '%s' '%s'", name,
			m == MITIGATION_FALLOCATE && f->redo ? " --redo" : "", f->match, dir);
	tune_conf__options(&f->tune, options, sizeof(options));
	return name_text__format("flatpause fix apply --mitigation %s %s '%s'", name, options, dir);
}

json_t *plan__changes(enum mitigation m, const struct plan_facts *f)
{
	const char *dir = *f->dir ? f->dir : "DIR";
	json_t *changes = json_array();

	if (!is_supported(m, f))
		return changes;
	change(changes, "mkdir %s (0700), write the journal DEVICE-INODE.journal (0600) there",
	       f->state_dir);
	if (m == MITIGATION_TUNE) {
		tune_changes(changes, f);
		return changes;
	}
	change(changes, "create %s/DEVICE-INODE.log (0600), what the guard has to say",
	       f->state_dir);
	change(changes,
	       "create /run/flatpause (0755) and window-MAJOR:MINOR (0600) in it, the lock that "
	       "exports wait for; they stay");
	change(changes, "run a guard: fanotify marks on %s only, gone when it ends",
	       m == MITIGATION_MEMFD && f->apply && f->apply->cover ? "memory files" : dir);
	if (m == MITIGATION_FALLOCATE)
		fallocate_changes(changes, f, dir);
	else
		memfd_changes(changes, f, dir);
	return changes;
}

static void memfd_reverts(json_t *l, const struct plan_facts *f, const char *dir)
{
	if (f->apply && f->apply->cover)
		change(l,
		       "umount -l %s; what is open is served until it is closed, and a mount "
		       "namespace that was made meanwhile until it ends",
		       dir);
	change(l,
	       "of what is in memory still: copy to %s/NEW-DIRECTORY/.%s%s (O_EXCL), fsync, "
	       "compare, rename it to %s (RENAME_EXCHANGE), unlink the link that comes out, "
	       "fsync the directory",
	       dir, f->match, EXPORT_SUFFIX, f->match);
	change(l,
	       "link that file to .NAME%s and rename it over the link, for other names of the link",
	       EXPORT_SUFFIX);
	change(l,
	       "unlink %s/NEW-DIRECTORY/%s where it is a link that nobody wrote to, or whose "
	       "memory "
	       "is gone",
	       dir, f->match);
	change(l, "unlink %s/NEW-DIRECTORY/.%s%s of an export that was killed", dir, f->match,
	       EXPORT_SUFFIX);
	change(l,
	       "unlink what is in /dev/shm/flatpause-ID/N, rmdir each N and /dev/shm/flatpause-ID");
}

static void fallocate_reverts(json_t *l, const struct plan_facts *f, const char *dir)
{
	change(l,
	       "unlink %s/NEW-DIRECTORY/%s where it is a spare without data that nobody has open",
	       dir, f->match);
	change(l, "unlink %s/%s/spare, rmdir %s/%s", dir, HIDDEN_DIR, dir, HIDDEN_DIR);
	change(l, "nothing to files that were written: they keep their blocks");
}

static void tune_reverts(json_t *l, const struct plan_facts *f)
{
	for (int i = 0; i < f->knobs_cnt; i++)
		change(l, "write %s to %s, if it is %s still", f->knobs[i].old, f->knobs[i].path,
		       f->knobs[i].now);
}

json_t *plan__reverts(enum mitigation m, const struct plan_facts *f)
{
	const char *dir = *f->dir ? f->dir : "DIR";
	json_t *reverts = json_array();

	if (!is_supported(m, f))
		return reverts;
	if (m == MITIGATION_TUNE) {
		tune_reverts(reverts, f);
	} else {
		change(reverts, "end the guard (SIGTERM, SIGKILL after 10 s)");
		if (m == MITIGATION_FALLOCATE)
			fallocate_reverts(reverts, f, dir);
		else
			memfd_reverts(reverts, f, dir);
	}
	change(reverts, "unlink %s/DEVICE-INODE.journal and DEVICE-INODE.log", f->state_dir);
	return reverts;
}

static json_t *step(const json_t *advice, const struct plan_facts *f)
{
	const char *name = text_of(advice, "mitigation", "none");
	enum mitigation m = mitigation_from(name, strlen(name));
	const char *dir = *f->dir ? f->dir : "DIR";
	json_t *changes = plan__changes(m, f), *reverts = plan__reverts(m, f), *command, *undo;
	bool supported = is_supported(m, f);

	if (!supported) {
		command = json_string(text_of(advice, "command", ""));
		undo = json_string(text_of(advice, "undo", ""));
	} else {
		command = command_of(name, m, f, dir);
		undo = name_text__format("flatpause fix revert '%s'", dir);
	}
	return json_pack("{s:s, s:s, s:b, s:o, s:o, s:o, s:o}", "mitigation", name, "why",
			 text_of(advice, "why", ""), "supported", supported, "command", command,
			 "undo", undo, "changes", changes, "revert_changes", reverts);
}

json_t *plan__build(const json_t *diagnosis, const struct plan_facts *facts)
{
	const json_t *verdict = json_object_get(diagnosis, "verdict"), *advice;
	json_t *steps = json_array(), *one;
	size_t i;

	json_array_foreach (json_object_get(diagnosis, "advice"), i, advice) {
		one = step(advice, facts);
		if (!one || json_array_append_new(steps, one)) {
			json_decref(steps);
			return NULL;
		}
	}
	return json_pack("{s:i, s:s, s:s, s:o, s:o, s:o}", "schema_version", 1, "cause",
			 text_of(verdict, "cause", "unknown"), "text", text_of(verdict, "text", ""),
			 "dir", name_text__to_json(facts->dir), "match",
			 name_text__to_json(facts->match), "steps", steps);
}

static void print_changes(const json_t *changes)
{
	const json_t *c;
	size_t i;

	json_array_foreach (changes, i, c)
		print_wrapped(stdout, json_string_value(c), "   - ", "     ");
}

void plan__print(const json_t *plan)
{
	const json_t *steps = json_object_get(plan, "steps"), *s;
	char head[64];
	size_t i;

	printf("cause: %s\n", text_of(plan, "cause", "unknown"));
	if (*text_of(plan, "text", ""))
		print_wrapped(stdout, text_of(plan, "text", ""), "", "");
	if (!json_array_size(steps))
		puts("\nnothing would be done: the diagnosis has no advice");
	json_array_foreach (steps, i, s) {
		snprintf(head, sizeof(head), "%zu. %s: ", i + 1, text_of(s, "mitigation", "?"));
		fputc('\n', stdout);
		print_wrapped(stdout, text_of(s, "why", ""), head, "   ");
		if (*text_of(s, "command", ""))
			printf("   do:   %s\n", text_of(s, "command", ""));
		print_changes(json_object_get(s, "changes"));
		if (*text_of(s, "undo", ""))
			printf("   undo: %s\n", text_of(s, "undo", ""));
		print_changes(json_object_get(s, "revert_changes"));
	}
	puts("\nnothing was changed");
}
