// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Whose stack an anonymous mapping is, and where .data ends and .bss begins: known while a process
 * lives and its files are at hand, and nowhere later.
 */
#include "proc_maps.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../log.h"

#define PROT_W	    2
#define PROT_SHARED 8

static int add_region(struct proc_maps *m, const struct rec_region *region)
{
	struct rec_region *grown = grow_list(m->regions, m->regions_cnt, &m->regions_cap,
					     sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	m->regions = grown;
	grown[m->regions_cnt++] = *region;
	return 0;
}

/* ---- stacks ---- */

/* "202 0x7f.. 0x89 ... 0x7ffd.. 0x7f12..", "-1 0x7ffd.. 0x7f12..", or "running" */
bool parse_syscall_line(const char *line, uint64_t *sp)
{
	unsigned long long fields[9] = { 0 };
	int cnt = 0;
	char *end;

	if (strtoll(line, &end, 10) < -1 || end == line)
		return false;
	while (cnt < 9 && *end == ' ') {
		const char *at = end + 1;

		fields[cnt] = strtoull(at, &end, 16);
		if (end == at)
			return false;
		cnt++;
	}
	if (cnt != 8 && cnt != 2)
		return false;
	*sp = fields[cnt - 2];
	return *sp != 0;
}

static bool read_sp(pid_t tgid, const char *tid, uint64_t *sp)
{
	char path[300], line[512];
	bool found;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%s/syscall", tgid, tid);
	f = fopen(path, "re");
	if (!f) /* it ended, or we may not look at it */
		return false;
	found = fgets(line, sizeof(line), f) && parse_syscall_line(line, sp);
	fclose(f);
	return found;
}

static int add_stack(struct proc_maps *m, uint32_t tid, uint64_t sp)
{
	const struct proc_map *map = proc_maps__find(m, sp);
	struct rec_region region = { .kind = REC_REGION_STACK, .tid = tid };
	const char *name = map ? m->names.buf + map->rec.path : "";

	if (!map || (*name && strncmp(name, "[anon", 5))) /* as the main thread's "[stack]" */
		return 0;
	region.start = map->rec.start;
	region.end = map->rec.end;
	/* Stacks without a guard between them are one mapping: whose it is cannot be said. */
	for (size_t i = 0; i < m->regions_cnt; i++)
		if (m->regions[i].start == region.start) {
			m->regions[i].tid = 0;
			return 0;
		}
	return names__add(&m->names, "", 0, &region.name) ?: add_region(m, &region);
}

static int read_stacks(struct proc_maps *m)
{
	const struct dirent *d;
	char path[64];
	int err = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", m->tgid);
	dir = opendir(path);
	while (dir && !err && (d = readdir(dir))) {
		uint64_t sp;

		if (d->d_name[0] != '.' && read_sp(m->tgid, d->d_name, &sp))
			err = add_stack(m, (uint32_t)strtoul(d->d_name, NULL, 10), sp);
	}
	if (dir)
		closedir(dir);
	return err;
}

static void drop_shared_stacks(struct proc_maps *m)
{
	size_t kept = 0;

	for (size_t i = 0; i < m->regions_cnt; i++)
		if (m->regions[i].kind != REC_REGION_STACK || m->regions[i].tid)
			m->regions[kept++] = m->regions[i];
	m->regions_cnt = kept;
}

/* ---- .data and .bss ---- */

static int add_segment(struct proc_maps *m, const struct rec_map *map,
		       const struct elf_segment *seg)
{
	uint64_t begin = map->start - map->offset + seg->offset;
	uint64_t data_end = begin + seg->file_size, end = begin + seg->mem_size;
	struct rec_region data = { .start = map->start,
				   .end = data_end < map->end ? data_end : map->end,
				   .kind = REC_REGION_DATA,
				   .name = map->path };
	struct rec_region bss = {
		.start = data_end, .end = end, .kind = REC_REGION_BSS, .name = map->path
	};
	int err = 0;

	if (data.end > data.start)
		err = add_region(m, &data);
	/* The part that was made read-only again after relocation ends before the data do. */
	if (!err && bss.end > bss.start && data_end <= map->end && data_end >= map->start)
		err = add_region(m, &bss);
	return err;
}

static int read_data(struct proc_maps *m, size_t file)
{
	struct elf_segment seg;
	struct elf_file *elf;
	int err = 0;

	if (m->files[file].fd < 0 || elf_file__open(&elf, m->files[file].fd))
		return 0;
	for (size_t i = 0; i < m->cnt && !err; i++) {
		const struct rec_map *map = &m->maps[i].rec;

		if (m->maps[i].file == file && (map->prot & PROT_W) && !(map->prot & PROT_SHARED) &&
		    elf_file__segment(elf, map->offset, &seg))
			err = add_segment(m, map, &seg);
	}
	elf_file__close(elf);
	return err;
}

int proc_regions__read(struct proc_maps *m)
{
	int err = read_stacks(m);

	drop_shared_stacks(m);
	for (size_t i = 0; i < m->files_cnt && !err; i++)
		err = read_data(m, i);
	return err;
}

int proc_regions__write(const struct proc_maps *m, struct trace_writer *w)
{
	struct rec_regions head = { .tgid = (uint32_t)m->tgid,
				    .regions_cnt = (uint32_t)m->regions_cnt,
				    .ts_ns = m->ts_ns,
				    .names_size = (uint32_t)m->names.size };

	if (!m->regions_cnt)
		return 0;
	return trace_writer__chunk(
		w, REC_REGIONS,
		(struct trace_part[]){ { &head, sizeof(head) },
				       { m->regions, m->regions_cnt * sizeof(*m->regions) },
				       { m->names.buf, m->names.size } },
		3);
}
