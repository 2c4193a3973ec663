// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * ELF by libelf, read section by section (not mapped: the file belongs to somebody else, who may
 * truncate it at any time).
 */
#include "elf_file.h"

#include <errno.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "table.h"

#define MAX_SYMS (8u << 20)
#define NT_GNU	 "GNU"

struct segment {
	uint64_t offset, size, vaddr, mem_size;
};

struct func {
	uint64_t vaddr, size;
	uint32_t name;
	bool global;
};

struct elf_file {
	Elf *elf;
	struct segment *segments;
	size_t segments_cnt, segments_cap;
	struct func *funcs; /* by address, one each */
	size_t funcs_cnt, funcs_cap;
	size_t strings; /* section that holds their names */
	bool loaded;
};

static int add_segment(struct elf_file *f, const GElf_Phdr *ph)
{
	struct segment *grown;

	grown = grow_list(f->segments, f->segments_cnt, &f->segments_cap, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	f->segments = grown;
	grown[f->segments_cnt++] = (struct segment){ ph->p_offset, ph->p_filesz, ph->p_vaddr,
						     ph->p_memsz };
	return 0;
}

static int read_segments(struct elf_file *f)
{
	size_t cnt;
	int err = 0;

	if (elf_getphdrnum(f->elf, &cnt))
		return -ENOEXEC;
	for (size_t i = 0; i < cnt && !err; i++) {
		GElf_Phdr ph;

		if (gelf_getphdr(f->elf, (int)i, &ph) && ph.p_type == PT_LOAD)
			err = add_segment(f, &ph);
	}
	return err;
}

/* Takes `elf`, whatever happens. */
static int open_elf(struct elf_file **out, Elf *elf)
{
	struct elf_file *f;
	int err;

	*out = NULL;
	if (!elf || elf_kind(elf) != ELF_K_ELF) {
		elf_end(elf);
		return -ENOEXEC;
	}
	f = calloc(1, sizeof(*f));
	if (!f) {
		elf_end(elf);
		return -ENOMEM;
	}
	f->elf = elf;
	err = read_segments(f);
	if (err)
		elf_file__close(f);
	else
		*out = f;
	return err;
}

int elf_file__open(struct elf_file **f, int fd)
{
	*f = NULL;
	if (elf_version(EV_CURRENT) == EV_NONE)
		return -ENOTSUP;
	return open_elf(f, elf_begin(fd, ELF_C_READ, NULL));
}

int elf_file__open_memory(struct elf_file **f, const void *image, size_t size)
{
	*f = NULL;
	if (elf_version(EV_CURRENT) == EV_NONE)
		return -ENOTSUP;
	/* libelf does not write to it: it was not opened for that. */
	return open_elf(f, elf_memory((char *)image, size));
}

void elf_file__close(struct elf_file *f)
{
	if (!f)
		return;
	elf_end(f->elf);
	free(f->segments);
	free(f->funcs);
	free(f);
}

static size_t note_build_id(Elf_Data *data, uint8_t id[BUILD_ID_MAX])
{
	GElf_Nhdr note;
	size_t at = 0, next, name, desc;

	while ((next = gelf_getnote(data, at, &note, &name, &desc)) > 0) {
		const char *bytes = data->d_buf;

		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == sizeof(NT_GNU) &&
		    !memcmp(bytes + name, NT_GNU, sizeof(NT_GNU)) && note.n_descsz &&
		    note.n_descsz <= BUILD_ID_MAX) {
			memcpy(id, bytes + desc, note.n_descsz);
			return note.n_descsz;
		}
		at = next;
	}
	return 0;
}

size_t elf_file__build_id(struct elf_file *f, uint8_t id[BUILD_ID_MAX])
{
	size_t cnt, len = 0;

	if (elf_getphdrnum(f->elf, &cnt))
		return 0;
	for (size_t i = 0; i < cnt && !len; i++) {
		Elf_Data *data;
		GElf_Phdr ph;

		if (!gelf_getphdr(f->elf, (int)i, &ph) || ph.p_type != PT_NOTE)
			continue;
		data = elf_getdata_rawchunk(f->elf, (int64_t)ph.p_offset, ph.p_filesz,
					    ph.p_align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR);
		if (data)
			len = note_build_id(data, id);
	}
	return len;
}

bool elf_file__vaddr(const struct elf_file *f, uint64_t offset, uint64_t *vaddr)
{
	for (size_t i = 0; i < f->segments_cnt; i++) {
		const struct segment *s = &f->segments[i];

		if (offset < s->offset || offset - s->offset >= s->size)
			continue;
		*vaddr = offset - s->offset + s->vaddr;
		return true;
	}
	return false;
}

static Elf_Scn *find_section(struct elf_file *f, uint32_t type, GElf_Shdr *sh)
{
	Elf_Scn *scn = NULL;

	while ((scn = elf_nextscn(f->elf, scn)))
		if (gelf_getshdr(scn, sh) && sh->sh_type == type && sh->sh_entsize)
			return scn;
	return NULL;
}

static bool is_func(const GElf_Sym *sym)
{
	unsigned char type = GELF_ST_TYPE(sym->st_info);

	return sym->st_shndx != SHN_UNDEF && sym->st_shndx != SHN_ABS && sym->st_value &&
	       (type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE);
}

/* Assemblers mark data and instructions with names like "$x"; they name no function. */
static bool is_marker(const char *name)
{
	return !name || !*name || *name == '$';
}

static int add_func(struct elf_file *f, const GElf_Sym *sym)
{
	struct func *grown;

	if (is_marker(elf_strptr(f->elf, f->strings, sym->st_name)))
		return 0;
	grown = grow_list(f->funcs, f->funcs_cnt, &f->funcs_cap, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	f->funcs = grown;
	grown[f->funcs_cnt++] = (struct func){ sym->st_value, sym->st_size, sym->st_name,
					       GELF_ST_BIND(sym->st_info) != STB_LOCAL };
	return 0;
}

/* Of names for one address: the one with a size, then the global one, then the first. */
static int by_vaddr(const void *a, const void *b)
{
	const struct func *x = a, *y = b;

	if (x->vaddr != y->vaddr)
		return x->vaddr < y->vaddr ? -1 : 1;
	if (!x->size != !y->size)
		return x->size ? -1 : 1;
	if (x->global != y->global)
		return x->global ? -1 : 1;
	return x->name < y->name ? -1 : x->name > y->name;
}

static void settle_funcs(struct elf_file *f)
{
	size_t kept = 0;

	if (!f->funcs_cnt)
		return;
	qsort(f->funcs, f->funcs_cnt, sizeof(*f->funcs), by_vaddr);
	for (size_t i = 0; i < f->funcs_cnt; i++)
		if (!kept || f->funcs[kept - 1].vaddr != f->funcs[i].vaddr)
			f->funcs[kept++] = f->funcs[i];
	f->funcs_cnt = kept;
	for (size_t i = 0; i + 1 < kept; i++)
		if (!f->funcs[i].size)
			f->funcs[i].size = f->funcs[i + 1].vaddr - f->funcs[i].vaddr;
}

static int load_funcs(struct elf_file *f)
{
	GElf_Shdr sh;
	Elf_Scn *scn = find_section(f, SHT_SYMTAB, &sh);
	Elf_Data *data;
	size_t cnt;
	int err = 0;

	f->loaded = true;
	if (!scn)
		scn = find_section(f, SHT_DYNSYM, &sh);
	data = scn ? elf_getdata(scn, NULL) : NULL;
	if (!data)
		return 0;
	f->strings = sh.sh_link;
	cnt = data->d_size / sh.sh_entsize;
	for (size_t i = 0; i < cnt && i < MAX_SYMS && !err; i++) {
		GElf_Sym sym;

		if (gelf_getsym(data, (int)i, &sym) && is_func(&sym))
			err = add_func(f, &sym);
	}
	settle_funcs(f);
	return err;
}

bool elf_file__segment(const struct elf_file *f, uint64_t offset, struct elf_segment *out)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	for (size_t i = 0; i < f->segments_cnt; i++) {
		const struct segment *s = &f->segments[i];

		if (offset < (s->offset & ~(page - 1)) || offset >= s->offset + s->size)
			continue;
		/* A page that two segments share is mapped for each: the later one is the data's. */
		*out = (struct elf_segment){ s->offset, s->size, s->mem_size };
		if (i + 1 == f->segments_cnt || offset < (f->segments[i + 1].offset & ~(page - 1)))
			return true;
	}
	return false;
}

int elf_file__find(struct elf_file *f, uint64_t vaddr, struct elf_func *func)
{
	int err = f->loaded ? 0 : load_funcs(f);
	size_t low = 0, high = f->funcs_cnt;
	const struct func *found;

	if (err)
		return err;
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (f->funcs[mid].vaddr <= vaddr)
			low = mid + 1;
		else
			high = mid;
	}
	if (!low)
		return -ENOENT;
	found = &f->funcs[low - 1];
	if (vaddr - found->vaddr >= found->size)
		return -ENOENT;
	*func = (struct elf_func){ found->vaddr, found->size,
				   elf_strptr(f->elf, f->strings, found->name) };
	return func->name ? 0 : -ENOENT;
}
