// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Names for addresses from what one trace carries; no /proc, no ELF, any machine. */
#include "symbols.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "../log.h"
#include "table.h"

/* One checked chunk: cnt records of its kind, then names that end with a zero. */
struct part {
	uint32_t tgid; /* 0 = kernel */
	uint32_t cnt;
	const void *recs;
	char *names;
	uint32_t names_size;
	uint8_t *
		payload; /* our own copy: names outlive the reader, and those of the kernel change */
};

struct part_list {
	struct part *parts;
	size_t cnt, cap;
};

enum text_use { TEXT_FRAME, TEXT_MAPPING, TEXT_REGION };

/* A text that was put together for one (tgid, addr). */
struct made_text {
	struct {
		uint64_t addr;
		uint32_t tgid;
		uint32_t use; /* enum text_use */
	} key;
	UT_hash_handle hh;
	char text[];
};

struct symbols {
	struct part_list ksyms, syms, maps, fds, regions;
	struct made_text *made;
};

/* ---- loading ---- */

static int add_part(struct part_list *l, const struct part *part)
{
	struct part *grown = grow_list(l->parts, l->cnt, &l->cap, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	l->parts = grown;
	grown[l->cnt++] = *part;
	return 0;
}

/* Splits a payload behind its head of head_size bytes. False: its counts do not fit. */
static bool split(struct part *part, uint8_t *payload, size_t size, size_t head_size,
		  size_t rec_size)
{
	uint64_t recs_size = (uint64_t)part->cnt * rec_size;

	if (head_size + recs_size + part->names_size > size)
		return false;
	part->recs = payload + head_size;
	part->names = (char *)payload + head_size + recs_size;
	return part->names_size ? !part->names[part->names_size - 1] : !part->cnt;
}

static bool check_syms(const struct part *part)
{
	const struct rec_sym *syms = part->recs;

	for (uint32_t i = 0; i < part->cnt; i++)
		if (syms[i].name >= part->names_size || (i && syms[i].addr < syms[i - 1].addr))
			return false;
	return true;
}

static bool check_maps(const struct part *part)
{
	const struct rec_map *maps = part->recs;

	for (uint32_t i = 0; i < part->cnt; i++)
		if (maps[i].path >= part->names_size || maps[i].start >= maps[i].end)
			return false;
	return true;
}

static bool check_fds(const struct part *part)
{
	const struct rec_fd *fds = part->recs;

	for (uint32_t i = 0; i < part->cnt; i++)
		if (fds[i].path >= part->names_size)
			return false;
	return true;
}

static bool read_ksyms(struct part *part, void *payload, size_t size)
{
	const struct rec_ksyms *head = payload;

	if (size < sizeof(*head))
		return false;
	*part = (struct part){ .cnt = head->syms_cnt, .names_size = head->names_size };
	return split(part, payload, size, sizeof(*head), sizeof(struct rec_sym)) &&
	       check_syms(part);
}

static bool read_syms(struct part *part, void *payload, size_t size)
{
	const struct rec_syms *head = payload;

	if (size < sizeof(*head))
		return false;
	*part = (struct part){ head->tgid, head->syms_cnt, NULL, NULL, head->names_size, NULL };
	return split(part, payload, size, sizeof(*head), sizeof(struct rec_sym)) &&
	       check_syms(part);
}

static bool read_maps(struct part *part, void *payload, size_t size)
{
	const struct rec_maps *head = payload;

	if (size < sizeof(*head))
		return false;
	*part = (struct part){ head->tgid, head->maps_cnt, NULL, NULL, head->names_size, NULL };
	return split(part, payload, size, sizeof(*head), sizeof(struct rec_map)) &&
	       check_maps(part);
}

static bool read_fds(struct part *part, void *payload, size_t size)
{
	const struct rec_fds *head = payload;

	if (size < sizeof(*head))
		return false;
	*part = (struct part){ head->tgid, head->fds_cnt, NULL, NULL, head->names_size, NULL };
	return split(part, payload, size, sizeof(*head), sizeof(struct rec_fd)) && check_fds(part);
}

static bool check_regions(const struct part *part)
{
	const struct rec_region *r = part->recs;

	for (uint32_t i = 0; i < part->cnt; i++)
		if (r[i].name >= part->names_size || r[i].start >= r[i].end)
			return false;
	return true;
}

static bool read_regions(struct part *part, void *payload, size_t size)
{
	const struct rec_regions *head = payload;

	if (size < sizeof(*head))
		return false;
	*part = (struct part){ head->tgid, head->regions_cnt, NULL, NULL, head->names_size, NULL };
	return split(part, payload, size, sizeof(*head), sizeof(struct rec_region)) &&
	       check_regions(part);
}

static int load(struct part_list *l, struct trace_reader *r, enum rec_type type,
		bool (*read)(struct part *part, void *payload, size_t size))
{
	const void *payload;
	size_t size;

	for (uint32_t n = 0; (payload = trace_reader__chunk(r, type, n, &size)); n++) {
		uint8_t *copy = malloc(size + 1);
		struct part part;

		if (!copy)
			return -ENOMEM;
		memcpy(copy, payload, size);
		if (!read(&part, copy, size)) {
			log_warn("a table of names in the trace is damaged and left out");
			free(copy);
			continue;
		}
		part.payload = copy;
		if (add_part(l, &part)) {
			free(copy);
			return -ENOMEM;
		}
	}
	return 0;
}

/*
 * ".isra.0", ".constprop.0", ".part.0", ".llvm.123" are the compiler's: the function is the one
 * before the dot, and signatures and folded stacks name that one.
 */
static void cut_suffixes(struct part_list *l)
{
	for (size_t i = 0; i < l->cnt; i++) {
		const struct rec_sym *syms = l->parts[i].recs;

		for (uint32_t n = 0; n < l->parts[i].cnt; n++) {
			char *name = l->parts[i].names + syms[n].name;
			char *dot = strchr(name, '.');

			if (dot && dot != name)
				*dot = '\0';
		}
	}
}

static void free_parts(struct part_list *l)
{
	for (size_t i = 0; i < l->cnt; i++)
		free(l->parts[i].payload);
	free(l->parts);
}

int symbols__load(struct symbols **out, struct trace_reader *r)
{
	struct symbols *s = calloc(1, sizeof(*s));
	int err = s ? 0 : -ENOMEM;

	*out = NULL;
	if (!err)
		err = load(&s->ksyms, r, REC_KSYMS, read_ksyms);
	if (!err)
		err = load(&s->syms, r, REC_SYMS, read_syms);
	if (!err)
		err = load(&s->maps, r, REC_MAPS, read_maps);
	if (!err)
		err = load(&s->fds, r, REC_FDS, read_fds);
	if (!err)
		err = load(&s->regions, r, REC_REGIONS, read_regions);
	if (err) {
		symbols__free(s);
		return log_err(err, "cannot load the names of the trace");
	}
	cut_suffixes(&s->ksyms);
	*out = s;
	return 0;
}

void symbols__free(struct symbols *s)
{
	struct made_text *m, *next;

	if (!s)
		return;
	HASH_ITER (hh, s->made, m, next) {
		HASH_DEL(s->made, m);
		free(m);
	}
	free_parts(&s->ksyms);
	free_parts(&s->syms);
	free_parts(&s->maps);
	free_parts(&s->fds);
	free_parts(&s->regions);
	free(s);
}

/* ---- looking up ---- */

static const char *find_sym(const struct part *part, uint64_t addr)
{
	const struct rec_sym *syms = part->recs;
	uint32_t low = 0, high = part->cnt;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (syms[mid].addr <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	if (!low || addr - syms[low - 1].addr >= syms[low - 1].size)
		return NULL;
	return part->names + syms[low - 1].name;
}

/* The newest part comes first: a process that called exec has several. */
static const char *find_in(const struct part_list *l, uint32_t tgid, uint64_t addr)
{
	for (size_t i = l->cnt; i-- > 0;) {
		const char *name = l->parts[i].tgid == tgid ? find_sym(&l->parts[i], addr) : NULL;

		if (name)
			return name;
	}
	return NULL;
}

const char *symbols__kernel(const struct symbols *s, uint64_t addr)
{
	return find_in(&s->ksyms, 0, addr);
}

/* The mapping that covers addr; `before`: the one that ends where it begins, or NULL. */
static const struct rec_map *find_map(const struct symbols *s, uint32_t tgid, uint64_t addr,
				      const struct part **part, const struct rec_map **before)
{
	for (size_t i = s->maps.cnt; i-- > 0;) {
		const struct part *p = &s->maps.parts[i];
		const struct rec_map *maps = p->recs;

		for (uint32_t n = 0; n < p->cnt && p->tgid == tgid; n++) {
			if (addr < maps[n].start || addr >= maps[n].end)
				continue;
			*part = p;
			*before = n && maps[n - 1].end == maps[n].start ? &maps[n - 1] : NULL;
			return &maps[n];
		}
	}
	return NULL;
}

/* The text that was made for this key before, or the one that `text` says; NULL: no memory. */
static const char *keep_text(struct symbols *s, uint32_t tgid, uint64_t addr, enum text_use use,
			     const char *text)
{
	struct made_text *m, key = { .key = { addr, tgid, use } };

	HASH_FIND(hh, s->made, &key.key, sizeof(key.key), m);
	if (m || !text)
		return m ? m->text : NULL;
	m = calloc(1, sizeof(*m) + strlen(text) + 1);
	if (!m)
		return NULL;
	m->key = key.key;
	strcpy(m->text, text);
	HASH_ADD(hh, s->made, key, sizeof(m->key), m);
	return m->text;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

const char *symbols__user(struct symbols *s, uint32_t tgid, uint64_t addr)
{
	const char *name = find_in(&s->syms, tgid, addr);
	const struct rec_map *map, *before;
	const struct part *part;
	char text[FP_MAX_PATH + 32];

	if (!name)
		name = keep_text(s, tgid, addr, TEXT_FRAME, NULL);
	if (name)
		return name;
	map = find_map(s, tgid, addr, &part, &before);
	/* What a walk without frame pointers takes for a return address often lies in data. */
	if (!map || !(map->prot & 4))
		return "[unknown]";
	name = base_name(part->names + map->path);
	if (name[0] == '[') /* "[vdso]" has its brackets already */
		snprintf(text, sizeof(text), "[%.*s+0x%llx]", (int)strcspn(name + 1, "]"), name + 1,
			 (unsigned long long)(addr - map->start));
	else
		snprintf(text, sizeof(text), "[%.*s+0x%llx]", FP_MAX_PATH, name[0] ? name : "anon",
			 (unsigned long long)(addr - map->start + map->offset));
	name = keep_text(s, tgid, addr, TEXT_FRAME, text);
	return name ? name : "[unknown]";
}

/* What the kernel maps behind the last writable page of a file is its .bss, without a name. */
static bool is_bss(const struct rec_map *before, const char *before_path)
{
	return before && before->prot & 2 && before_path[0] == '/';
}

static const struct rec_region *find_region(const struct symbols *s, uint32_t tgid, uint64_t addr,
					    const char **name)
{
	for (size_t i = s->regions.cnt; i-- > 0;) {
		const struct part *part = &s->regions.parts[i];
		const struct rec_region *r = part->recs;

		for (uint32_t n = 0; n < part->cnt && part->tgid == tgid; n++) {
			*name = part->names + r[n].name;
			if (addr >= r[n].start && addr < r[n].end)
				return &r[n];
		}
	}
	return NULL;
}

static bool place_in_region(struct symbols *s, uint32_t tgid, uint64_t addr, struct place *out)
{
	const char *name, *text;
	const struct rec_region *r = find_region(s, tgid, addr, &name);
	char made[FP_MAX_PATH + 32];

	if (!r)
		return false;
	switch (r->kind) {
	case REC_REGION_DATA:
		*out = (struct place){ .kind = "data" };
		snprintf(made, sizeof(made), ".data of %.*s", FP_MAX_PATH, name);
		break;
	case REC_REGION_BSS:
		*out = (struct place){ .kind = "bss" };
		snprintf(made, sizeof(made), ".bss of %.*s", FP_MAX_PATH, name);
		break;
	case REC_REGION_STACK:
		*out = (struct place){ .kind = "stack", .tid = r->tid };
		snprintf(made, sizeof(made), "stack of thread %u", r->tid);
		break;
	default: /* of a newer recorder */
		return false;
	}
	text = keep_text(s, tgid, r->start, TEXT_REGION, made);
	out->text = text ? text : out->kind;
	return true;
}

static struct place named_place(uint32_t tgid, const struct rec_map *map, const char *path)
{
	if (!strcmp(path, "[heap]"))
		return (struct place){ .kind = "heap", .text = path };
	if (!strcmp(path, "[stack]"))
		return (struct place){ .kind = "stack", .text = path, .tid = tgid };
	if (!strncmp(path, "[anon", 5)) /* named by prctl() */
		return (struct place){ .kind = "anon", .text = path };
	if (path[0] == '[')
		return (struct place){ .kind = "other", .text = path };
	if (path[0] == '/' && (map->prot & 2) && !(map->prot & 8))
		return (struct place){ .kind = "data", .text = path };
	return (struct place){ .kind = "file", .text = path };
}

void symbols__place(struct symbols *s, uint32_t tgid, uint64_t addr, struct place *out)
{
	const struct rec_map *map, *before;
	const struct part *part;
	const char *path, *text;
	char made[FP_MAX_PATH + 32];

	*out = (struct place){ .kind = "unknown", .text = "[unknown]" };
	if (place_in_region(s, tgid, addr, out))
		return;
	map = find_map(s, tgid, addr, &part, &before);
	path = map ? part->names + map->path : "";
	if (!map)
		return;
	*out = (struct place){ .kind = "anon", .text = "anon" };
	if (*path) {
		*out = named_place(tgid, map, path);
	} else if (before && !before->prot && (map->prot & 2)) {
		*out = (struct place){ .kind = "stack", .text = "thread stack" };
	} else if (is_bss(before, before ? part->names + before->path : "")) {
		snprintf(made, sizeof(made), "anon next to .bss of %.*s", FP_MAX_PATH,
			 part->names + before->path);
		text = keep_text(s, tgid, map->start, TEXT_MAPPING, made);
		*out = (struct place){ .kind = "anon_next_to_bss", .text = text ? text : "anon" };
	}
}

const char *symbols__mapping(struct symbols *s, uint32_t tgid, uint64_t addr)
{
	struct place at;

	symbols__place(s, tgid, addr, &at);
	return at.text;
}

const struct rec_fd *symbols__fd(const struct symbols *s, uint32_t tgid, int fd, const char **path)
{
	for (size_t i = s->fds.cnt; i-- > 0;) {
		const struct part *part = &s->fds.parts[i];
		const struct rec_fd *fds = part->recs;

		for (uint32_t n = 0; n < part->cnt && part->tgid == tgid; n++) {
			if (fds[n].fd != fd)
				continue;
			if (path)
				*path = part->names + fds[n].path;
			return &fds[n];
		}
	}
	return NULL;
}
