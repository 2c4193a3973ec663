// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Names for the user addresses that occur, while the files that hold them are at hand. */
#include "proc_maps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "../log.h"
#include "demangle.h"

/*
 * The vdso of another process is the image of ours, if it is as long as ours; a 32-bit process has
 * another one and stays without names there.
 */
static int open_vdso(struct elf_file **f, const struct rec_map *map)
{
	const void *image = (const void *)getauxval(AT_SYSINFO_EHDR);
	struct proc_maps *own;
	const struct proc_map *m;
	int err;

	*f = NULL;
	if (!image || proc_maps__read(&own, getpid()))
		return -ENOENT;
	m = proc_maps__find(own, (uint64_t)(uintptr_t)image);
	err = m && m->rec.end - m->rec.start == map->end - map->start
		      ? elf_file__open_memory(f, image, map->end - map->start)
		      : -ENOENT;
	proc_maps__free(own);
	return err;
}

static int by_value(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static int add_func(struct sym_table *t, const struct elf_func *func, uint64_t addr, uint64_t vaddr)
{
	char *plain = demangle(func->name);
	uint64_t start = addr - (vaddr - func->vaddr);
	int err = sym_table__add(t, start,
				 func->size < UINT32_MAX ? (uint32_t)func->size : UINT32_MAX,
				 plain ? plain : func->name);

	free(plain);
	return err;
}

/* Names the function around `addr`, which lies in `map` of the file `elf`. */
static int resolve_one(struct sym_table *t, struct elf_file *elf, const struct rec_map *map,
		       uint64_t addr)
{
	const struct rec_sym *last = t->cnt ? &t->syms[t->cnt - 1] : NULL;
	struct elf_func func;
	uint64_t vaddr;
	int err;

	if (last && addr >= last->addr && addr - last->addr < last->size)
		return 0; /* in the function found just before */
	if (!elf_file__vaddr(elf, addr - map->start + map->offset, &vaddr))
		return 0;
	err = elf_file__find(elf, vaddr, &func);
	if (err == -ENOENT)
		return 0;
	return err ? err : add_func(t, &func, addr, vaddr);
}

static int open_file(const struct proc_maps *m, const struct proc_map *map, struct elf_file **elf)
{
	if (map->file != NO_FILE && m->files[map->file].fd >= 0)
		return elf_file__open(elf, m->files[map->file].fd);
	if (!strcmp(m->names.buf + map->rec.path, "[vdso]"))
		return open_vdso(elf, &map->rec);
	*elf = NULL;
	return -ENOENT;
}

static bool is_same_image(const struct proc_map *a, const struct proc_map *b)
{
	return a == b || (a && b && a->file != NO_FILE && a->file == b->file);
}

/* Sorted addresses come file by file, so that one is open at a time. */
static int resolve(struct sym_table *t, const struct proc_maps *m, const uint64_t *addrs,
		   size_t cnt)
{
	const struct proc_map *map = NULL;
	struct elf_file *elf = NULL;
	int err = 0;

	for (size_t i = 0; i < cnt && !err; i++) {
		const struct proc_map *next = proc_maps__find(m, addrs[i]);

		if (!next)
			continue;
		if (!is_same_image(map, next)) {
			elf_file__close(elf);
			err = open_file(m, next, &elf);
		}
		map = next;
		if (elf)
			err = resolve_one(t, elf, &map->rec, addrs[i]);
		else if (err != -ENOMEM)
			err = 0; /* no ELF, or not to be opened: its frames stay without names */
	}
	elf_file__close(elf);
	return err;
}

int usyms__write(struct trace_writer *w, const struct proc_maps *m, const uint64_t *addrs,
		 size_t cnt)
{
	struct rec_syms head = { .tgid = (uint32_t)m->tgid };
	uint64_t *sorted = malloc((cnt ? cnt : 1) * sizeof(*sorted));
	struct sym_table t = { 0 };
	int err = sorted ? 0 : -ENOMEM;

	if (!err && cnt) {
		memcpy(sorted, addrs, cnt * sizeof(*sorted));
		qsort(sorted, cnt, sizeof(*sorted), by_value);
		err = resolve(&t, m, sorted, cnt);
	}
	free(sorted);
	if (err) {
		err = log_err(err, "cannot name the functions of process %d", m->tgid);
	} else if (t.cnt) {
		sym_table__sort(&t);
		head.syms_cnt = (uint32_t)t.cnt;
		head.names_size = (uint32_t)t.names.size;
		err = trace_writer__chunk(
			w, REC_SYMS,
			(struct trace_part[]){ { &head, sizeof(head) },
					       { t.syms, t.cnt * sizeof(*t.syms) },
					       { t.names.buf, t.names.size } },
			3);
	}
	sym_table__free(&t);
	return err;
}
