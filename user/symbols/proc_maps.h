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
};

const struct proc_map *proc_maps__find(const struct proc_maps *m, uint64_t addr);

/* One line of /proc/PID/maps. False if it is none. `path` points into line, which loses its \n. */
bool parse_map_line(char *line, struct rec_map *map, const char **path);

#endif
