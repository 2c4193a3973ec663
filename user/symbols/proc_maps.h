/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What proc_maps__read() keeps; shared with usyms.c. */
#ifndef FLATPAUSE_SYMBOLS_PROC_MAPS_H
#define FLATPAUSE_SYMBOLS_PROC_MAPS_H

#include "symbols.h"
#include "elf_file.h"
#include "table.h"

#define NO_FILE (~(size_t)0)

/* A file whose code is mapped, held open: its path may name another file by the time we read it. */
struct mapped_file {
	uint32_t dev;
	uint64_t ino;
	int fd;
	uint8_t build_id[BUILD_ID_MAX];
	uint32_t build_id_len;
};

struct proc_map {
	struct rec_map rec; /* path: offset into names */
	size_t file;	    /* in files; NO_FILE */
};

struct proc_maps {
	pid_t tgid;
	uint64_t ts_ns;
	struct proc_map *maps;
	size_t cnt, cap;
	struct mapped_file *files;
	size_t files_cnt, files_cap;
	struct names names;
	struct rec_region *regions; /* name: offset into names */
	size_t regions_cnt, regions_cap;
};

const struct proc_map *proc_maps__find(const struct proc_maps *m, uint64_t addr);

/*
 * What /proc/PID/maps has no name for (proc_regions.c): the stacks of threads that are asleep or
 * stopped, .data and .bss of files. What cannot be read is left out. 0 or -ENOMEM.
 */
int proc_regions__read(struct proc_maps *m);
int proc_regions__write(const struct proc_maps *m, struct trace_writer *w);

/* The stack pointer in a line of /proc/PID/task/TID/syscall. False: it says none. */
bool parse_syscall_line(const char *line, uint64_t *sp);

/* One line of /proc/PID/maps. False if it is none. `path` points into line, which loses its \n. */
bool parse_map_line(char *line, struct rec_map *map, const char **path);

#endif
