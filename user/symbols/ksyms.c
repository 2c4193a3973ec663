// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The kernel's own symbol table, /proc/kallsyms. */
#include "symbols.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../log.h"
#include "table.h"

/* A function longer than this is none: the gap behind the last one before the modules, say. */
#define MAX_FUNC_BYTES (1u << 20)

struct ksym {
	uint64_t addr;
	uint32_t name;
	bool global;
};

struct ksyms {
	struct ksym *syms; /* by address, one each */
	size_t cnt, cap;
	struct names names;
};

static bool is_text(char type)
{
	return strchr("tTwW", type) != NULL;
}

/* Landing pads before functions, which no return address points into: half of all symbols. */
static bool is_padding(const char *name)
{
	return !strncmp(name, "__pfx_", 6) || !strncmp(name, "__cfi_", 6);
}

/* "ffffffff81000000 T _text" or, of a module, "... t name\t[module]" */
static int parse_line(struct ksyms *k, const char *line, bool *visible)
{
	struct ksym sym = { 0 };
	struct ksym *grown;
	char *rest;
	int err;

	sym.addr = strtoull(line, &rest, 16);
	if (rest == line || rest[0] != ' ' || !rest[1] || rest[2] != ' ')
		return 0;
	*visible = *visible || sym.addr;
	if (!sym.addr || !is_text(rest[1]) || is_padding(rest + 3))
		return 0;
	sym.global = isupper((unsigned char)rest[1]);
	err = names__add(&k->names, rest + 3, strcspn(rest + 3, " \t\n"), &sym.name);
	if (err)
		return err;
	grown = grow_list(k->syms, k->cnt, &k->cap, sizeof(*k->syms));
	if (!grown)
		return -ENOMEM;
	k->syms = grown;
	k->syms[k->cnt++] = sym;
	return 0;
}

static int read_kallsyms(struct ksyms *k, FILE *f)
{
	bool visible = false;
	char *line = NULL;
	size_t room = 0;
	int err = 0;

	while (!err && getline(&line, &room, f) > 0)
		err = parse_line(k, line, &visible);
	free(line);
	if (err)
		return log_err(err, "cannot read /proc/kallsyms");
	if (!visible)
		return log_err(-EPERM,
			       "kernel addresses are hidden, kernel functions stay without names: "
			       "run as root with sysctl kernel.kptr_restrict=1 or 0");
	return 0;
}

/* Global names first among those of one address, then as they stood in the file. */
static int by_addr(const void *a, const void *b)
{
	const struct ksym *x = a, *y = b;

	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	if (x->global != y->global)
		return x->global ? -1 : 1;
	return x->name < y->name ? -1 : x->name > y->name;
}

static void drop_aliases(struct ksyms *k)
{
	size_t kept = 0;

	for (size_t i = 0; i < k->cnt; i++)
		if (!kept || k->syms[kept - 1].addr != k->syms[i].addr)
			k->syms[kept++] = k->syms[i];
	k->cnt = kept;
}

int ksyms__load(struct ksyms **out)
{
	FILE *f = fopen("/proc/kallsyms", "re");
	struct ksyms *k;
	int err;

	*out = NULL;
	if (!f)
		return log_err(-errno, "cannot read /proc/kallsyms");
	k = calloc(1, sizeof(*k));
	err = k ? read_kallsyms(k, f) : log_err(-ENOMEM, "cannot read /proc/kallsyms");
	fclose(f);
	if (err) {
		ksyms__free(k);
		return err;
	}
	if (k->cnt)
		qsort(k->syms, k->cnt, sizeof(*k->syms), by_addr);
	drop_aliases(k);
	*out = k;
	return 0;
}

void ksyms__free(struct ksyms *k)
{
	if (!k)
		return;
	free(k->syms);
	names__free(&k->names);
	free(k);
}

static uint32_t func_size(const struct ksyms *k, const struct ksym *s)
{
	bool last = s + 1 == k->syms + k->cnt;
	uint64_t size = last ? MAX_FUNC_BYTES : s[1].addr - s->addr;

	return size < MAX_FUNC_BYTES ? (uint32_t)size : MAX_FUNC_BYTES;
}

static const struct ksym *find(const struct ksyms *k, uint64_t addr)
{
	size_t low = 0, high = k->cnt;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (k->syms[mid].addr <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	if (!low || addr - k->syms[low - 1].addr >= func_size(k, &k->syms[low - 1]))
		return NULL;
	return &k->syms[low - 1];
}

const char *ksyms__name(const struct ksyms *k, uint64_t addr, uint64_t *offset)
{
	const struct ksym *s = find(k, addr);

	if (!s)
		return NULL;
	if (offset)
		*offset = addr - s->addr;
	return k->names.buf + s->name;
}

bool ksyms__has(const struct ksyms *k, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < k->cnt; i++) {
		const char *have = k->names.buf + k->syms[i].name;

		if (!strncmp(have, name, len) && (!have[len] || have[len] == '.'))
			return true;
	}
	return false;
}

static void mark_used(const struct ksyms *k, const uint64_t *addrs, size_t cnt, bool *used)
{
	for (size_t i = 0; i < cnt; i++) {
		const struct ksym *s = find(k, addrs[i]);

		if (s)
			used[s - k->syms] = true;
	}
}

int ksyms__write(const struct ksyms *k, struct trace_writer *w, const uint64_t *addrs, size_t cnt)
{
	struct sym_table t = { 0 };
	bool *used = calloc(k->cnt + 1, sizeof(*used));
	struct rec_ksyms head;
	int err = used ? 0 : -ENOMEM;

	if (!err)
		mark_used(k, addrs, cnt, used);
	for (size_t i = 0; i < k->cnt && !err; i++)
		if (used[i])
			err = sym_table__add(&t, k->syms[i].addr, func_size(k, &k->syms[i]),
					     k->names.buf + k->syms[i].name);
	if (err) {
		err = log_err(err, "cannot write kernel symbols");
	} else if (t.cnt) {
		head = (struct rec_ksyms){ (uint32_t)t.cnt, (uint32_t)t.names.size };
		err = trace_writer__chunk(
			w, REC_KSYMS,
			(struct trace_part[]){ { &head, sizeof(head) },
					       { t.syms, t.cnt * sizeof(*t.syms) },
					       { t.names.buf, t.names.size } },
			3);
	}
	sym_table__free(&t);
	free(used);
	return err;
}
