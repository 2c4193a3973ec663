// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The {words} in advice: directories, devices, processes and culprits that this trace knows. */
#include "registry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../reports/numbers.h"
#include "../reports/summary.h"

#define WORD_BYTES 4200

static const char *fact(const struct findings *f, const char *name)
{
	for (size_t i = 0; i < f->host_cnt; i++)
		if (!strcmp(f->host[i].name, name))
			return f->host[i].value;
	return NULL;
}

/* ---- where it is written to ---- */

static void say_dir(const struct findings *f, char *buf)
{
	if (snapshot_root(f, buf, WORD_BYTES))
		snprintf(buf, WORD_BYTES, "DIR");
}

static void say_file(const struct findings *f, char *buf)
{
	const struct finding_file *file = slow_file(f);

	snprintf(buf, WORD_BYTES, "%s", file ? file->path : "FILE");
}

/* The name of the disk whose fact ".dev" is that of the file: "sda" of "disk.sda.dev". */
static bool find_disk(const struct findings *f, char *name, size_t size)
{
	const struct finding_file *file = slow_file(f);
	char dev[32];

	if (!file)
		return false;
	snprintf(dev, sizeof(dev), "%u:%u", file->dev >> 20, file->dev & 0xfffff);
	for (size_t i = 0; i < f->host_cnt; i++) {
		const char *n = f->host[i].name, *end = strchr(n, '\0');

		if (strncmp(n, "disk.", 5) || end - n < 10 || strcmp(end - 4, ".dev") ||
		    strcmp(f->host[i].value, dev))
			continue;
		snprintf(name, size, "%.*s", (int)(end - 4 - (n + 5)), n + 5);
		return true;
	}
	return false;
}

static void say_disk(const struct findings *f, char *buf)
{
	if (!find_disk(f, buf, WORD_BYTES))
		snprintf(buf, WORD_BYTES, "DISK");
}

static void say_disk_fact(const struct findings *f, const char *what, const char *otherwise,
			  char *buf)
{
	char disk[64], name[128];
	const char *value = NULL;

	if (find_disk(f, disk, sizeof(disk))) {
		snprintf(name, sizeof(name), "disk.%s.%s", disk, what);
		value = fact(f, name);
	}
	snprintf(buf, WORD_BYTES, "%s", value ? value : otherwise);
}

static void say_mount(const struct findings *f, char *buf)
{
	say_disk_fact(f, "mount", "MOUNTPOINT", buf);
}

static void say_requests(const struct findings *f, char *buf)
{
	say_disk_fact(f, "nr_requests", "OLD", buf);
}

static void say_devno(const struct findings *f, char *buf)
{
	const struct finding_file *file = slow_file(f);

	if (file)
		snprintf(buf, WORD_BYTES, "%u:%u", file->dev >> 20, file->dev & 0xfffff);
	else
		snprintf(buf, WORD_BYTES, "MAJOR:MINOR");
}

/* ---- whose limits ---- */

/* The process whose thread ends the slow windows; 0 = not known. */
static uint32_t closer_tgid(const struct findings *f)
{
	for (size_t w = 0; w < f->windows_cnt; w++) {
		const struct finding_window *fw = &f->windows[w];

		for (size_t i = 0; window_counts(f, w) && i < fw->threads_cnt; i++)
			if (fw->threads[i].tid == fw->closer_tid)
				return fw->threads[i].tgid;
	}
	return 0;
}

static void say_pid(const struct findings *f, char *buf)
{
	uint32_t tgid = closer_tgid(f);

	if (tgid)
		snprintf(buf, WORD_BYTES, "%u", tgid);
	else
		snprintf(buf, WORD_BYTES, "PID");
}

static const char *target_fact(const struct findings *f, const char *what)
{
	char name[64];

	snprintf(name, sizeof(name), "target.%u.%s", closer_tgid(f), what);
	return fact(f, name);
}

/* A limit under both versions of control groups; the trace tells which one the host has. */
struct limit {
	const char *controller;
	const char *v2, *v2_none;
	const char *v1, *v1_none;
	const char *v1_fact;
};

static const struct limit cpu_limit = {
	.controller = "cpu",
	.v2 = "cpu.max",
	.v2_none = "max",
	.v1 = "cpu.cfs_quota_us",
	.v1_none = "-1",
	.v1_fact = "cpu.cfs_quota_us",
};
static const struct limit memory_limit = {
	.controller = "memory",
	.v2 = "memory.high",
	.v2_none = "max",
	.v1 = "memory.limit_in_bytes",
	.v1_none = "-1",
	.v1_fact = "memory.limit_in_bytes",
};
static const struct limit io_limit = {
	.controller = "blkio",
	.v2 = "io.max",
	.v2_none = "rbps=max wbps=max riops=max wiops=max",
	.v1 = "blkio.throttle.write_bps_device",
	.v1_none = "0",
	.v1_fact = "blkio.write_bps",
};

static bool is_v1(const struct findings *f, const struct limit *l)
{
	return target_fact(f, l->v1_fact) && !target_fact(f, l->v2);
}

/* "cpu,cpuacct" of the fact "target.12.cgroup.cpu,cpuacct", whose value is the path in it. */
static const struct finding_fact *v1_group(const struct findings *f, const char *controller)
{
	char before[64];
	size_t n = strlen(controller), at;

	at = snprintf(before, sizeof(before), "target.%u.cgroup.", closer_tgid(f));
	for (size_t i = 0; i < f->host_cnt; i++) {
		const char *p = f->host[i].name;

		if (strncmp(p, before, at))
			continue;
		for (p += at; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
			if (!strncmp(p, controller, n) && (!p[n] || p[n] == ','))
				return &f->host[i];
	}
	return NULL;
}

/* A limit lies at the group itself or above it; the group is what the trace knows. */
static void say_group(const struct findings *f, char *buf)
{
	const char *path = target_fact(f, "cgroup");

	snprintf(buf, WORD_BYTES, "/sys/fs/cgroup%s", path ? path : "/GROUP");
}

static void say_limit_file(const struct findings *f, const struct limit *l, char *buf)
{
	const struct finding_fact *group = is_v1(f, l) ? v1_group(f, l->controller) : NULL;
	size_t n;

	if (is_v1(f, l)) {
		snprintf(buf, WORD_BYTES, "/sys/fs/cgroup/%s%s/%s",
			 group ? strstr(group->name, ".cgroup.") + strlen(".cgroup.")
			       : l->controller,
			 group ? group->value : "/GROUP", l->v1);
		return;
	}
	say_group(f, buf);
	n = strlen(buf);
	snprintf(buf + n, WORD_BYTES - n, "/%s", l->v2);
}

static void say_limit_old(const struct findings *f, const struct limit *l, char *buf)
{
	const char *old = target_fact(f, is_v1(f, l) ? l->v1_fact : l->v2);

	snprintf(buf, WORD_BYTES, "%s", old ? old : "OLD");
}

static void say_limit_none(const struct findings *f, const struct limit *l, char *buf)
{
	snprintf(buf, 64, "%s", is_v1(f, l) ? l->v1_none : l->v2_none);
}

/* A device stands before its limit. */
static void say_device_none(const struct findings *f, const struct limit *l, char *buf)
{
	size_t n;

	say_devno(f, buf);
	n = strlen(buf);
	buf[n] = ' ';
	say_limit_none(f, l, buf + n + 1);
}

/* ---- who ---- */

static void say_lost(const struct findings *f, char *buf)
{
	const struct finding_file *lost = lost_extents_file(f), *file = slow_file(f);
	char by[HEADLINE_SIZE], bytes[NUMBER_SIZE];

	if (lost) {
		snprintf(buf, WORD_BYTES,
			 " (what was preallocated in %s was undone by %s, and would be again: with "
			 "--redo, as `flatpause fix guard` does, it is made again at the first "
			 "write, by Linux 6.14 and newer; else memfd)",
			 lost->path[0] ? lost->path : "a file", undone_by(by, lost));
		return;
	}
	if (!file || file->extents != FINDING_EXTENTS_KEPT ||
	    file->alloc_bytes == FINDING_BYTES_NONE)
		return;
	if (file->alloc_bytes)
		snprintf(buf, WORD_BYTES,
			 " (what was preallocated in %s was kept, but %s more were allocated to it "
			 "in the window: preallocate all of it)",
			 file->path, number_bytes(bytes, file->alloc_bytes));
	else
		snprintf(buf, WORD_BYTES,
			 " (%s was preallocated and kept that: the blocks are another file's)",
			 file->path);
}

/* The longest wait of the path on a futex that another thread held. */
static void say_holder(const struct findings *f, char *buf)
{
	const struct finding_futex *best = NULL;

	for (size_t w = 0; w < f->windows_cnt; w++)
		for (size_t i = 0; window_counts(f, w) && i < f->windows[w].futexes_cnt; i++) {
			const struct finding_futex *x = &f->windows[w].futexes[i];

			if (x->class == FUTEX_CONTENDED && x->waker_tid &&
			    (!best || x->path_ns > best->path_ns))
				best = x;
		}
	if (best)
		snprintf(buf, WORD_BYTES, " (%s/%u: %.1f ms of %s/%u)",
			 best->waker_comm && best->waker_comm[0] ? best->waker_comm : "thread",
			 best->waker_tid, best->path_ns / 1e6,
			 best->comm && best->comm[0] ? best->comm : "thread", best->tid);
}

/* The longest stretch of the path with the verdict's cause, whose it was, and who held it up. */
static void say_actor(const struct findings *f, char *buf)
{
	const struct finding_segment *best = NULL;
	const char *holder;

	for (size_t w = 0; w < f->windows_cnt; w++)
		for (size_t i = 0; window_counts(f, w) && i < f->windows[w].path_cnt; i++) {
			const struct finding_segment *s = &f->windows[w].path[i];

			if (s->actor && s->actor[0] && !strcmp(s->cause, f->verdict.cause) &&
			    (!best || s->ns > best->ns))
				best = s;
		}
	if (!best)
		return;
	holder = path_last_hop(best->via ? best->via : "");
	if (!path_hop_is_holder(holder))
		holder = "";
	snprintf(buf, WORD_BYTES, " (longest: %.1f ms of %s%s%s)", best->ns / 1e6, best->actor,
		 holder[0] ? ", " : "", holder);
}

static void say_blame(const struct findings *f, char *buf)
{
	const struct finding_blame *best = NULL;

	for (size_t w = 0; w < f->windows_cnt; w++)
		for (size_t i = 0; window_counts(f, w) && i < f->windows[w].blame_cnt; i++)
			if (!best || f->windows[w].blame[i].ns > best->ns)
				best = &f->windows[w].blame[i];
	if (best && best->dirtied_by && best->dirtied_by[0])
		snprintf(buf, WORD_BYTES, " (%s, %s %s)", best->file, blame_by(best),
			 best->dirtied_by);
	else if (best)
		snprintf(buf, WORD_BYTES, " (%s)", best->file);
}

/* ---- the texts ---- */

static const struct word {
	const char *name;
	void (*say)(const struct findings *f, char *buf);
	void (*say_limit)(const struct findings *f, const struct limit *l, char *buf);
	const struct limit *limit;
} words[] = {
	{ "dir", .say = say_dir },
	{ "file", .say = say_file },
	{ "disk", .say = say_disk },
	{ "mount", .say = say_mount },
	{ "requests", .say = say_requests },
	{ "pid", .say = say_pid },
	{ "group", .say = say_group },
	{ "cpu_file", NULL, say_limit_file, &cpu_limit },
	{ "cpu_old", NULL, say_limit_old, &cpu_limit },
	{ "cpu_none", NULL, say_limit_none, &cpu_limit },
	{ "memory_file", NULL, say_limit_file, &memory_limit },
	{ "memory_old", NULL, say_limit_old, &memory_limit },
	{ "memory_none", NULL, say_limit_none, &memory_limit },
	{ "io_file", NULL, say_limit_file, &io_limit },
	{ "io_none", NULL, say_device_none, &io_limit },
	{ "holder", .say = say_holder },
	{ "actor", .say = say_actor },
	{ "blame", .say = say_blame },
	{ "lost", .say = say_lost },
};

static const struct word *find_word(const char *text, size_t len)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strlen(words[i].name) == len && !strncmp(words[i].name, text, len))
			return &words[i];
	return NULL;
}

static bool is_plain(const char *s)
{
	return s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
			   "/._-+:@,")] == '\0';
}

/* Single quotes, so that the line can be pasted whatever the path holds. */
static void put_quoted(FILE *out, const char *s)
{
	if (is_plain(s)) {
		fputs(s, out);
		return;
	}
	fputc('\'', out);
	for (; *s; s++) {
		if (*s == '\'')
			fputs("'\\''", out);
		else
			fputc(*s, out);
	}
	fputc('\'', out);
}

/* The text behind a word, or behind one character that begins none. */
static const char *put_next(FILE *out, const struct findings *f, const char *text, bool quoted)
{
	size_t len = *text == '{' ? strcspn(text + 1, "{} ") : 0;
	const struct word *w = len && text[1 + len] == '}' ? find_word(text + 1, len) : NULL;
	char buf[WORD_BYTES];

	if (!w) {
		fputc(*text, out);
		return text + 1;
	}
	buf[0] = '\0';
	if (w->say)
		w->say(f, buf);
	else
		w->say_limit(f, w->limit, buf);
	if (quoted)
		put_quoted(out, buf);
	else
		fputs(buf, out);
	return text + len + 2;
}

int advice_text(const struct findings *f, const char *text, bool quoted, char **out)
{
	size_t size;
	FILE *mem = open_memstream(out, &size);

	if (!mem)
		return -ENOMEM;
	while (*text)
		text = put_next(mem, f, text, quoted);
	if (fclose(mem)) {
		free(*out);
		return -ENOMEM;
	}
	return 0;
}
