// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Snapshots of /proc/PID/maps, with the build-ids of what is mapped. */
#include "proc_maps.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../bpf/abi.h"
#include "../clock.h"
#include "../log.h"

#define MAX_FILES 256 /* descriptors held per process */

static const struct {
	char letter;
	uint32_t bit;
} prot_bits[] = { { 'r', 1 }, { 'w', 2 }, { 'x', 4 }, { 's', 8 } };

bool parse_map_line(char *line, struct rec_map *map, const char **path)
{
	unsigned long long start, end, offset, ino;
	unsigned int major, minor;
	char perms[8];
	int at = 0;

	if (sscanf(line, "%llx-%llx %7s %llx %x:%x %llu %n", &start, &end, perms, &offset, &major,
		   &minor, &ino, &at) < 7 ||
	    !at || end <= start)
		return false;
	*map = (struct rec_map){ .start = start,
				 .end = end,
				 .offset = offset,
				 .ino = ino,
				 .dev = FP_DEV(major, minor) };
	for (size_t i = 0; i < sizeof(prot_bits) / sizeof(prot_bits[0]); i++)
		if (strchr(perms, prot_bits[i].letter))
			map->prot |= prot_bits[i].bit;
	line[strcspn(line, "\n")] = '\0';
	*path = line + at;
	return true;
}

/* Never opens what is no regular file: opening a device can do something. */
static int open_regular(const char *path, uint64_t ino)
{
	struct stat st;
	int fd;

	if (stat(path, &st) || !S_ISREG(st.st_mode) || (ino && st.st_ino != ino))
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd >= 0 && (fstat(fd, &st) || !S_ISREG(st.st_mode) || (ino && st.st_ino != ino))) {
		close(fd);
		return -1;
	}
	return fd;
}

/*
 * map_files is the mapped inode itself, even of a deleted file, but wants CAP_SYS_ADMIN. A path is
 * as good only if it still leads to the same inode, in the mount namespace of the process or ours.
 */
static int open_mapped(pid_t tgid, const struct rec_map *map, const char *path)
{
	char name[4200];
	int fd;

	snprintf(name, sizeof(name), "/proc/%d/map_files/%llx-%llx", tgid,
		 (unsigned long long)map->start, (unsigned long long)map->end);
	fd = open_regular(name, 0);
	if (fd >= 0 || path[0] != '/')
		return fd;
	snprintf(name, sizeof(name), "/proc/%d/root%s", tgid, path);
	fd = open_regular(name, map->ino);
	return fd >= 0 ? fd : open_regular(path, map->ino);
}

static void read_build_id(struct mapped_file *file)
{
	struct elf_file *elf;

	if (file->fd < 0 || elf_file__open(&elf, file->fd))
		return;
	file->build_id_len = (uint32_t)elf_file__build_id(elf, file->build_id);
	elf_file__close(elf);
}

/* The entry of the file behind `map`, opened when it is new. */
static int file_of(struct proc_maps *m, const struct rec_map *map, const char *path, size_t *file)
{
	struct mapped_file *grown;

	*file = NO_FILE;
	for (size_t i = 0; i < m->files_cnt; i++)
		if (m->files[i].ino == map->ino && m->files[i].dev == map->dev) {
			*file = i;
			return 0;
		}
	if (!(map->prot & 4) || !map->ino || m->files_cnt >= MAX_FILES)
		return 0;
	grown = grow_list(m->files, m->files_cnt, &m->files_cap, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	m->files = grown;
	grown[m->files_cnt] = (struct mapped_file){ .dev = map->dev,
						    .ino = map->ino,
						    .fd = open_mapped(m->tgid, map, path) };
	read_build_id(&grown[m->files_cnt]);
	*file = m->files_cnt++;
	return 0;
}

static int add_map(struct proc_maps *m, const struct rec_map *map, const char *path)
{
	struct proc_map *grown = grow_list(m->maps, m->cnt, &m->cap, sizeof(*grown));
	struct proc_map *added;
	int err;

	if (!grown)
		return -ENOMEM;
	m->maps = grown;
	added = &grown[m->cnt];
	*added = (struct proc_map){ .rec = *map };
	err = names__add(&m->names, path, strlen(path), &added->rec.path);
	if (!err)
		err = file_of(m, map, path, &added->file);
	if (!err)
		m->cnt++;
	return err;
}

/* A file's first mapping is of its header and comes before the code for which it was opened. */
static void spread_build_ids(struct proc_maps *m)
{
	for (size_t i = 0; i < m->cnt; i++) {
		struct rec_map *rec = &m->maps[i].rec;

		for (size_t f = 0; f < m->files_cnt && rec->ino; f++) {
			const struct mapped_file *file = &m->files[f];

			if (file->ino != rec->ino || file->dev != rec->dev)
				continue;
			m->maps[i].file = f;
			rec->build_id_len = file->build_id_len;
			memcpy(rec->build_id, file->build_id, file->build_id_len);
		}
	}
}

static int read_maps(struct proc_maps *m, FILE *f)
{
	const char *path;
	struct rec_map map;
	char *line = NULL;
	size_t room = 0;
	int err = 0;

	while (!err && getline(&line, &room, f) > 0)
		if (parse_map_line(line, &map, &path))
			err = add_map(m, &map, path);
	free(line);
	if (!err)
		spread_build_ids(m);
	return err ? err : proc_regions__read(m);
}

int proc_maps__read(struct proc_maps **out, pid_t tgid)
{
	struct proc_maps *m;
	char path[64];
	FILE *f;
	int err;

	*out = NULL;
	snprintf(path, sizeof(path), "/proc/%d/maps", tgid);
	f = fopen(path, "re");
	if (!f && (errno == ENOENT || errno == ESRCH))
		return -ESRCH; /* ended: everyday life of a sweep's children, nothing to say */
	if (!f)
		return log_err(-errno, "cannot read %s", path);
	m = calloc(1, sizeof(*m));
	err = m ? 0 : -ENOMEM;
	if (m) {
		m->tgid = tgid;
		m->ts_ns = now_ns();
		err = read_maps(m, f);
	}
	fclose(f);
	if (err)
		log_err(err, "cannot read %s", path);
	else if (!m->cnt)
		err = -ESRCH; /* a kernel thread, or one that is exiting */
	if (err)
		proc_maps__free(m);
	else
		*out = m;
	return err;
}

void proc_maps__free(struct proc_maps *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->files_cnt; i++)
		if (m->files[i].fd >= 0)
			close(m->files[i].fd);
	free(m->files);
	free(m->maps);
	free(m->regions);
	names__free(&m->names);
	free(m);
}

const struct proc_map *proc_maps__find(const struct proc_maps *m, uint64_t addr)
{
	for (size_t i = 0; i < m->cnt; i++)
		if (addr >= m->maps[i].rec.start && addr < m->maps[i].rec.end)
			return &m->maps[i];
	return NULL;
}

int proc_maps__write(const struct proc_maps *m, struct trace_writer *w)
{
	struct rec_maps head = { .tgid = (uint32_t)m->tgid,
				 .maps_cnt = (uint32_t)m->cnt,
				 .ts_ns = m->ts_ns,
				 .names_size = (uint32_t)m->names.size };
	struct rec_map *recs = calloc(m->cnt ? m->cnt : 1, sizeof(*recs));
	int err;

	if (!recs)
		return log_err(-ENOMEM, "cannot write the mappings of process %d", m->tgid);
	for (size_t i = 0; i < m->cnt; i++)
		recs[i] = m->maps[i].rec;
	err = trace_writer__chunk(w, REC_MAPS,
				  (struct trace_part[]){ { &head, sizeof(head) },
							 { recs, m->cnt * sizeof(*recs) },
							 { m->names.buf, m->names.size } },
				  3);
	free(recs);
	return err ? err : proc_regions__write(m, w);
}
