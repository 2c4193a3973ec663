// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "facts.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/utsname.h>

#include "read.h"

#define VALUE_MAX	 512
#define KLOG_READ_ALL	 3 /* SYSLOG_ACTION_* of syslog(2) */
#define KLOG_SIZE_BUFFER 10
#define KLOG_BYTES_MAX	 (1 << 20)
#define CPUINFO_MAX	 (1u << 20)

/* Length of the UTF-8 sequence at s, 0 if it is none (jansson refuses a string with one). */
static size_t utf8_len(const unsigned char *s)
{
	size_t n = s[0] < 0x80 ? 1 : (s[0] & 0xe0) == 0xc0 ? 2 : (s[0] & 0xf0) == 0xe0 ? 3 : 0;

	if (s[0] >= 0xf0 && s[0] <= 0xf4)
		n = 4;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	/* overlong forms and surrogates */
	if ((n == 2 && s[0] < 0xc2) || (n == 3 && s[0] == 0xe0 && s[1] < 0xa0) ||
	    (n == 3 && s[0] == 0xed && s[1] > 0x9f) || (n == 4 && s[0] == 0xf0 && s[1] < 0x90) ||
	    (n == 4 && s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

void make_printable(char *value)
{
	unsigned char *s = (unsigned char *)value;

	while (*s) {
		size_t n = utf8_len(s);

		if (n == 1 && (*s == '\n' || *s == '\t'))
			*s = ' ';
		else if (n == 0 || *s < 0x20 || *s == 0x7f)
			*s = '?';
		s += n ? n : 1;
	}
}

static void append(struct facts *f, const char *name, char *value)
{
	struct fact fact = { .name = strdup(name), .value = NULL };

	make_printable(value);
	fact.value = strdup(value);
	if (f->cnt == f->room) {
		size_t room = f->room ? f->room * 2 : 64;
		struct fact *v = reallocarray(f->v, room, sizeof(*v));

		if (v) {
			f->v = v;
			f->room = room;
		}
	}
	if (!fact.name || !fact.value || f->cnt == f->room) {
		free(fact.name);
		free(fact.value);
		f->err = -ENOMEM;
		return;
	}
	f->v[f->cnt++] = fact;
}

void facts__add(struct facts *f, const char *name, const char *fmt, ...)
{
	char value[VALUE_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	append(f, name, value);
}

void facts__add_file(struct facts *f, const char *name, const char *root, const char *fmt, ...)
{
	char path[512], value[VALUE_MAX];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(path))
		return;
	if (read_text(root, value, sizeof(value), "%s", path) > 0)
		append(f, name, value);
}

const char *facts__get(const struct facts *f, const char *name)
{
	for (size_t i = 0; i < f->cnt; i++)
		if (!strcmp(f->v[i].name, name))
			return f->v[i].value;
	return NULL;
}

void facts__free(struct facts *f)
{
	for (size_t i = 0; i < f->cnt; i++) {
		free(f->v[i].name);
		free(f->v[i].value);
	}
	free(f->v);
	memset(f, 0, sizeof(*f));
}

struct cpuinfo {
	unsigned int cpus;
	char model[128];
};

static int take_cpuinfo_line(void *ctx, char *line)
{
	struct cpuinfo *info = ctx;
	const char *colon = strchr(line, ':');

	if (!strncmp(line, "processor", 9))
		info->cpus++;
	if (!info->model[0] && colon && colon[1] &&
	    (!strncmp(line, "model name", 10) || !strncmp(line, "CPU implementer", 15)))
		snprintf(info->model, sizeof(info->model), "%s", colon + 2);
	return 0;
}

static void add_cpus(struct facts *f, const char *root)
{
	struct cpuinfo info = { 0 };
	char *text, p[64], e[64];

	facts__add_file(f, "cpus.online", root, "/sys/devices/system/cpu/online");
	if (!read_whole(root, &text, CPUINFO_MAX, "/proc/cpuinfo")) {
		each_line(text, take_cpuinfo_line, &info);
		free(text);
	}
	if (info.cpus)
		facts__add(f, "cpus", "%u", info.cpus);
	if (info.model[0])
		facts__add(f, "cpu.model", "%s", info.model);
	/* A hybrid CPU has two kinds of cores: samples of one kind alone mislead. */
	if (read_text(root, p, sizeof(p), "/sys/devices/cpu_core/cpus") > 0 &&
	    read_text(root, e, sizeof(e), "/sys/devices/cpu_atom/cpus") > 0)
		facts__add(f, "cpu.hybrid", "P %s, E %s", p, e);
}

static int take_meminfo_line(void *ctx, char *line)
{
	static const char *const wanted[][2] = {
		{ "MemTotal:", "memory.total" },      { "MemAvailable:", "memory.available" },
		{ "SwapTotal:", "memory.swap" },      { "Dirty:", "memory.dirty" },
		{ "Writeback:", "memory.writeback" },
	};

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		size_t n = strlen(wanted[i][0]);

		if (!strncmp(line, wanted[i][0], n))
			facts__add(ctx, wanted[i][1], "%s", line + n + strspn(line + n, " "));
	}
	return 0;
}

static void add_memory(struct facts *f, const char *root)
{
	char *text;

	if (read_whole(root, &text, 65536, "/proc/meminfo"))
		return;
	each_line(text, take_meminfo_line, f);
	free(text);
}

static void add_kernel(struct facts *f, const char *root)
{
	struct utsname u;

	facts__add_file(f, "kernel", root, "/proc/sys/kernel/osrelease");
	facts__add_file(f, "kernel.version", root, "/proc/sys/kernel/version");
	if (!uname(&u))
		facts__add(f, "machine", "%s", u.machine);
}

/* The kernel says in its log that it is locked down, also where securityfs is not mounted. */
static void add_lockdown_from_log(struct facts *f)
{
	int size = klogctl(KLOG_SIZE_BUFFER, NULL, 0);
	char *log, *found;

	if (size <= 0)
		return;
	size = size > KLOG_BYTES_MAX ? KLOG_BYTES_MAX : size;
	log = malloc((size_t)size + 1);
	if (!log)
		return;
	size = klogctl(KLOG_READ_ALL, log, size);
	log[size > 0 ? size : 0] = '\0';
	found = strstr(log, "Kernel is locked down from ");
	if (found) {
		found += strlen("Kernel is locked down from ");
		facts__add(f, "lockdown", "on, from %.*s", (int)strcspn(found, ";\n"), found);
	}
	free(log);
}

/* "none [integrity] confidentiality" -> "integrity" */
static void add_lockdown(struct facts *f, const char *root)
{
	char text[128], *open, *close;

	if (read_text(root, text, sizeof(text), "/sys/kernel/security/lockdown") <= 0) {
		if (!root[0])
			add_lockdown_from_log(f);
		return;
	}
	open = strchr(text, '[');
	close = open ? strchr(open, ']') : NULL;
	if (!close)
		return;
	*close = '\0';
	facts__add(f, "lockdown", "%s", open + 1);
}

static void add_bpf(struct facts *f, const char *root)
{
	char byte[2];

	add_lockdown(f, root);
	facts__add_file(f, "perf_event_paranoid", root, "/proc/sys/kernel/perf_event_paranoid");
	facts__add_file(f, "kptr_restrict", root, "/proc/sys/kernel/kptr_restrict");
	facts__add_file(f, "unprivileged_bpf_disabled", root,
			"/proc/sys/kernel/unprivileged_bpf_disabled");
	facts__add_file(f, "bpf_jit", root, "/proc/sys/net/core/bpf_jit_enable");
	if (read_text(root, byte, sizeof(byte), "/sys/kernel/btf/vmlinux") >= 0)
		facts__add(f, "btf", "/sys/kernel/btf/vmlinux");
}

static void add_dirty_limits(struct facts *f, const char *root)
{
	static const char *const knobs[][2] = {
		{ "dirty.ratio", "dirty_ratio" },
		{ "dirty.bytes", "dirty_bytes" },
		{ "dirty.background_ratio", "dirty_background_ratio" },
		{ "dirty.background_bytes", "dirty_background_bytes" },
		{ "dirty.expire_centisecs", "dirty_expire_centisecs" },
		{ "dirty.writeback_centisecs", "dirty_writeback_centisecs" },
	};

	for (size_t i = 0; i < sizeof(knobs) / sizeof(knobs[0]); i++)
		facts__add_file(f, knobs[i][0], root, "/proc/sys/vm/%s", knobs[i][1]);
}

void facts__host(struct facts *f, const char *root)
{
	add_kernel(f, root);
	add_cpus(f, root);
	add_memory(f, root);
	add_bpf(f, root);
	add_dirty_limits(f, root);
	facts__add_file(f, "clocksource", root,
			"/sys/devices/system/clocksource/clocksource0/current_clocksource");
	facts__add_file(f, "transparent_hugepage", root,
			"/sys/kernel/mm/transparent_hugepage/enabled");
}
