// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * An ELF file put together here, linked as lld links Rust programs and static PIEs: code lies at
 * another place in memory than in the file, so that only the program headers lead to a name.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../../user/symbols/elf_file.h"

#define CODE_OFFSET 0x400
#define CODE_VADDR  0x201400
#define CODE_BYTES  0x100

struct image {
	Elf64_Ehdr eh;
	Elf64_Phdr ph[3];
	struct {
		Elf64_Nhdr head;
		char name[4];
		uint8_t id[20];
	} note;
	Elf64_Sym syms[8];
	char names[64];
	Elf64_Shdr sh[3];
	uint8_t rest[0x600];
};

static const char names[] = "\0early\0alias\0main_loop\0asm_stub\0$x\0data";

static Elf64_Sym sym(uint32_t name, unsigned char bind, unsigned char type, uint64_t vaddr,
		     uint64_t size)
{
	return (Elf64_Sym){ .st_name = name,
			    .st_info = ELF64_ST_INFO(bind, type),
			    .st_shndx = 1,
			    .st_value = vaddr,
			    .st_size = size };
}

static void fill_headers(struct image *i, uint32_t table_type)
{
	memcpy(i->eh.e_ident, ELFMAG, SELFMAG);
	i->eh.e_ident[EI_CLASS] = ELFCLASS64;
	i->eh.e_ident[EI_DATA] = ELFDATA2LSB;
	i->eh.e_ident[EI_VERSION] = EV_CURRENT;
	i->eh.e_type = ET_DYN;
	i->eh.e_machine = EM_X86_64;
	i->eh.e_version = EV_CURRENT;
	i->eh.e_ehsize = sizeof(i->eh);
	i->eh.e_phoff = offsetof(struct image, ph);
	i->eh.e_phentsize = sizeof(i->ph[0]);
	i->eh.e_phnum = 3;
	i->eh.e_shoff = offsetof(struct image, sh);
	i->eh.e_shentsize = sizeof(i->sh[0]);
	i->eh.e_shnum = 3;
	i->ph[0] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_filesz = 0x200, .p_memsz = 0x200 };
	i->ph[1] = (Elf64_Phdr){ .p_type = PT_LOAD,
				 .p_flags = PF_X | PF_R,
				 .p_offset = CODE_OFFSET,
				 .p_vaddr = CODE_VADDR,
				 .p_filesz = CODE_BYTES,
				 .p_memsz = CODE_BYTES };
	i->ph[2] = (Elf64_Phdr){ .p_type = PT_NOTE,
				 .p_offset = offsetof(struct image, note),
				 .p_filesz = sizeof(i->note),
				 .p_align = 4 };
	i->sh[1] = (Elf64_Shdr){ .sh_type = table_type,
				 .sh_offset = offsetof(struct image, syms),
				 .sh_size = sizeof(i->syms),
				 .sh_entsize = sizeof(i->syms[0]),
				 .sh_link = 2 };
	i->sh[2] = (Elf64_Shdr){ .sh_type = SHT_STRTAB,
				 .sh_offset = offsetof(struct image, names),
				 .sh_size = sizeof(i->names) };
}

static struct image make_image(uint32_t table_type)
{
	struct image i;

	memset(&i, 0, sizeof(i));
	fill_headers(&i, table_type);
	i.note.head = (Elf64_Nhdr){ 4, 20, NT_GNU_BUILD_ID };
	memcpy(i.note.name, "GNU", 4);
	memset(i.note.id, 0xab, 20);
	memcpy(i.names, names, sizeof(names));
	/* Not in order, as tables are not; [0] is the empty one. */
	i.syms[1] = sym(13, STB_GLOBAL, STT_FUNC, CODE_VADDR + 0x40, 0x20); /* main_loop */
	i.syms[2] = sym(7, STB_LOCAL, STT_FUNC, CODE_VADDR + 0x40, 0x20);   /* alias of it */
	i.syms[3] = sym(1, STB_LOCAL, STT_FUNC, CODE_VADDR, 0x10);	    /* early */
	i.syms[4] = sym(23, STB_GLOBAL, STT_NOTYPE, CODE_VADDR + 0x60, 0);  /* asm_stub */
	i.syms[5] = sym(32, STB_LOCAL, STT_NOTYPE, CODE_VADDR + 0x48, 0);   /* $x */
	i.syms[6] = sym(35, STB_GLOBAL, STT_OBJECT, CODE_VADDR + 0x4c, 8);  /* data */
	i.syms[7] = sym(1, STB_LOCAL, STT_FUNC, CODE_VADDR + 0x80, 0x10);   /* early again */
	return i;
}

static struct elf_file *open_image(const struct image *i, int *fd)
{
	struct elf_file *elf;

	*fd = memfd_create("elf", MFD_CLOEXEC);
	assert_true(*fd >= 0);
	assert_int_equal(write(*fd, i, sizeof(*i)), sizeof(*i));
	assert_int_equal(elf_file__open(&elf, *fd), 0);
	return elf;
}

static void assert_func(struct elf_file *elf, uint64_t offset, const char *name, uint64_t start)
{
	struct elf_func func;
	uint64_t vaddr;

	assert_true(elf_file__vaddr(elf, offset, &vaddr));
	assert_int_equal(vaddr, offset - CODE_OFFSET + CODE_VADDR);
	if (!name) {
		assert_int_equal(elf_file__find(elf, vaddr, &func), -ENOENT);
		return;
	}
	assert_int_equal(elf_file__find(elf, vaddr, &func), 0);
	assert_string_equal(func.name, name);
	assert_int_equal(func.vaddr, CODE_VADDR + start);
}

static void check_functions(uint32_t table_type)
{
	struct image i = make_image(table_type);
	struct elf_file *elf;
	uint64_t vaddr;
	int fd;

	elf = open_image(&i, &fd);
	assert_func(elf, CODE_OFFSET, "early", 0);
	assert_func(elf, CODE_OFFSET + 0xf, "early", 0);
	assert_func(elf, CODE_OFFSET + 0x10, NULL, 0); /* padding between functions */
	assert_func(elf, CODE_OFFSET + 0x40, "main_loop", 0x40);
	assert_func(elf, CODE_OFFSET + 0x4c, "main_loop", 0x40); /* no marker, no data */
	assert_func(elf, CODE_OFFSET + 0x5f, "main_loop", 0x40);
	assert_func(elf, CODE_OFFSET + 0x7f, "asm_stub", 0x60); /* without size: to the next */
	assert_func(elf, CODE_OFFSET + 0x90, NULL, 0);
	assert_false(elf_file__vaddr(elf, CODE_OFFSET + CODE_BYTES, &vaddr));
	assert_false(elf_file__vaddr(elf, ~0ull, &vaddr));
	elf_file__close(elf);
	close(fd);
}

static void program_headers_lead_to_names(void **state)
{
	check_functions(SHT_SYMTAB);
}

static void a_stripped_library_has_its_dynamic_symbols(void **state)
{
	check_functions(SHT_DYNSYM);
}

static void the_build_id_is_in_a_note(void **state)
{
	struct image i = make_image(SHT_SYMTAB);
	struct elf_file *elf;
	uint8_t id[BUILD_ID_MAX];
	int fd;

	elf = open_image(&i, &fd);
	assert_int_equal(elf_file__build_id(elf, id), 20);
	assert_memory_equal(id, i.note.id, 20);
	elf_file__close(elf);
	close(fd);
	i.note.head.n_descsz = 64; /* longer than its segment */
	elf = open_image(&i, &fd);
	assert_int_equal(elf_file__build_id(elf, id), 0);
	elf_file__close(elf);
	close(fd);
}

static void an_image_in_memory_is_read_as_well(void **state)
{
	struct image i = make_image(SHT_SYMTAB);
	struct elf_file *elf;

	assert_int_equal(elf_file__open_memory(&elf, &i, sizeof(i)), 0);
	assert_func(elf, CODE_OFFSET + 0x41, "main_loop", 0x40);
	elf_file__close(elf);
	assert_int_equal(elf_file__open_memory(&elf, "no ELF at all", 13), -ENOEXEC);
	assert_null(elf);
	elf_file__close(NULL);
}

/* Every field of the tables set to the largest number, one at a time. */
static void tables_that_lie_are_no_danger(void **state)
{
	for (size_t at = 16; at + 8 <= offsetof(struct image, rest); at += 4) {
		struct image i = make_image(SHT_SYMTAB);
		uint8_t id[BUILD_ID_MAX];
		struct elf_func func;
		struct elf_file *elf;
		uint64_t vaddr;
		int fd = memfd_create("elf", MFD_CLOEXEC);

		memset((uint8_t *)&i + at, at % 8 ? 0xff : 0x7f, at % 8 ? 4 : 8);
		assert_int_equal(write(fd, &i, sizeof(i)), sizeof(i));
		if (!elf_file__open(&elf, fd)) {
			elf_file__build_id(elf, id);
			elf_file__vaddr(elf, CODE_OFFSET, &vaddr);
			if (!elf_file__find(elf, CODE_VADDR + 0x41, &func))
				assert_true(strlen(func.name) < sizeof(i));
			elf_file__close(elf);
		}
		close(fd);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(program_headers_lead_to_names),
		cmocka_unit_test(a_stripped_library_has_its_dynamic_symbols),
		cmocka_unit_test(the_build_id_is_in_a_note),
		cmocka_unit_test(an_image_in_memory_is_read_as_well),
		cmocka_unit_test(tables_that_lie_are_no_danger),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
