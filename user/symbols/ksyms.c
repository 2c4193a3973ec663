// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The kernel's own symbol table, /proc/kallsyms: read once, of which only the names that are wanted
 * are kept. The table itself would take more memory than all of recording.
 */
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

/*
 * What was met so far of the symbols behind the wanted address before this one, up to this one.
 * The last of them names the address, the first of the next gap is where that function ends.
 */
struct gap {
	uint64_t addr;	      /* wanted */
	uint64_t first, last; /* 0 = none met */
	bool global;	      /* the last one */
	char *name;	      /* of the last one */
};

struct wanted {
	struct gap *gaps; /* by address; one more than wanted, for what lies behind */
	size_t cnt;
	bool visible; /* an address that is not 0 was met */
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

static struct gap *gap_of(const struct wanted *w, uint64_t addr)
{
	size_t low = 0, high = w->cnt;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (w->gaps[mid].addr < addr)
			low = mid + 1;
		else
			high = mid;
	}
	return &w->gaps[low];
}

/* Of several names for one address the first global one counts, else the first one. */
static int gap__take(struct gap *g, uint64_t addr, bool global, const char *name, size_t len)
{
	if (!g->first || addr < g->first)
		g->first = addr;
	if (g->name && (addr < g->last || (addr == g->last && (g->global || !global))))
		return 0;
	free(g->name);
	g->name = strndup(name, len);
	g->last = addr;
	g->global = global;
	return g->name ? 0 : -ENOMEM;
}

/* "ffffffff81000000 T _text" or, of a module, "... t name\t[module]" */
static int take_line(struct wanted *w, const char *line)
{
	char *rest;
	uint64_t addr = strtoull(line, &rest, 16);

	if (rest == line || rest[0] != ' ' || !rest[1] || rest[2] != ' ')
		return 0;
	w->visible = w->visible || addr;
	if (!addr || !is_text(rest[1]) || is_padding(rest + 3))
		return 0;
	return gap__take(gap_of(w, addr), addr, isupper((unsigned char)rest[1]), rest + 3,
			 strcspn(rest + 3, " \t\n"));
}

static int read_kallsyms(struct wanted *w, const char *path)
{
	FILE *f = fopen(path, "re");
	char *line = NULL;
	size_t room = 0;
	int err = 0;

	if (!f)
		return log_err(-errno, "cannot read %s", path);
	while (!err && getline(&line, &room, f) > 0)
		err = take_line(w, line);
	free(line);
	fclose(f);
	if (err)
		return log_err(err, "cannot read %s", path);
	if (!w->visible)
		return log_err(-EPERM,
			       "kernel addresses are hidden, kernel functions stay without names: "
			       "run as root with sysctl kernel.kptr_restrict=1 or 0");
	return 0;
}

static int by_addr(const void *a, const void *b)
{
	const struct gap *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

static int wanted__init(struct wanted *w, const uint64_t *addrs, size_t cnt)
{
	w->gaps = calloc(cnt + 1, sizeof(*w->gaps));
	if (!w->gaps)
		return log_err(-ENOMEM, "kernel symbols");
	w->cnt = cnt;
	for (size_t i = 0; i < cnt; i++)
		w->gaps[i].addr = addrs[i];
	if (cnt)
		qsort(w->gaps, cnt, sizeof(*w->gaps), by_addr);
	return 0;
}

static void wanted__free(struct wanted *w)
{
	for (size_t i = 0; w->gaps && i <= w->cnt; i++)
		free(w->gaps[i].name);
	free(w->gaps);
}

/* Bytes from the last symbol of gap `i` to the first one behind the addresses that it covers. */
static uint32_t func_size(const struct wanted *w, size_t i)
{
	size_t next = i + 1;

	while (next <= w->cnt && !w->gaps[next].first)
		next++;
	if (next > w->cnt || w->gaps[next].first - w->gaps[i].last > MAX_FUNC_BYTES)
		return MAX_FUNC_BYTES;
	return (uint32_t)(w->gaps[next].first - w->gaps[i].last);
}

/* A function is in the table if one of the wanted addresses lies in it. */
static int make_table(const struct wanted *w, struct sym_table *t)
{
	int err = 0;

	for (size_t i = 0; i < w->cnt && !err; i++) {
		const struct gap *g = &w->gaps[i];
		uint32_t size;

		if (!g->name)
			continue;
		size = func_size(w, i);
		if (g->addr - g->last < size)
			err = sym_table__add(t, g->last, size, g->name);
	}
	return err;
}

int ksyms__write(struct trace_writer *writer, const char *path, const uint64_t *addrs, size_t cnt)
{
	struct wanted w = { 0 };
	struct sym_table t = { 0 };
	struct rec_ksyms head;
	int err = wanted__init(&w, addrs, cnt);

	if (!err)
		err = read_kallsyms(&w, path);
	if (err)
		goto out;
	err = make_table(&w, &t);
	if (err) {
		log_err(err, "cannot write kernel symbols");
	} else if (t.cnt) {
		head = (struct rec_ksyms){ (uint32_t)t.cnt, (uint32_t)t.names.size };
		err = trace_writer__chunk(
			writer, REC_KSYMS,
			(struct trace_part[]){ { &head, sizeof(head) },
					       { t.syms, t.cnt * sizeof(*t.syms) },
					       { t.names.buf, t.names.size } },
			3);
	}
out:
	sym_table__free(&t);
	wanted__free(&w);
	return err;
}
