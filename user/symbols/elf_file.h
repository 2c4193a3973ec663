/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The functions of one ELF file. */
#ifndef FLATPAUSE_SYMBOLS_ELF_FILE_H
#define FLATPAUSE_SYMBOLS_ELF_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BUILD_ID_MAX 20

struct elf_file;

struct elf_func {
	uint64_t vaddr; /* as linked */
	uint64_t size;	/* up to the next function where the table says 0 */
	const char *name;
};

/* `fd` stays the caller's and is read while the file is open. -ENOEXEC: no ELF. Silent. */
int elf_file__open(struct elf_file **f, int fd);

/* An image in memory, as the vdso is one. */
int elf_file__open_memory(struct elf_file **f, const void *image, size_t size);
void elf_file__close(struct elf_file *f);

/* Length of the build-id copied to `id`; 0 = there is none. */
size_t elf_file__build_id(struct elf_file *f, uint8_t id[BUILD_ID_MAX]);

/* The address that a byte of the file was linked to, by the program headers. */
bool elf_file__vaddr(const struct elf_file *f, uint64_t offset, uint64_t *vaddr);

/*
 * The segment of which a mapping of the file at `offset` (page aligned) is a part: where it begins
 * in the file, how long it is there and in memory; what is longer in memory is .bss.
 */
struct elf_segment {
	uint64_t offset, file_size, mem_size;
};

bool elf_file__segment(const struct elf_file *f, uint64_t offset, struct elf_segment *out);

/*
 * .symtab, else .dynsym; read when first asked for. -ENOENT: no function covers vaddr. `func`
 * lives as long as f.
 */
int elf_file__find(struct elf_file *f, uint64_t vaddr, struct elf_func *func);

#endif
