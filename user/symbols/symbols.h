/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Names for addresses. On the recording host: /proc/kallsyms, and ELF symbol tables of what the
 * targets map. In analysis: only what the trace carries (REC_KSYMS, REC_SYMS, REC_MAPS).
 */
#ifndef FLATPAUSE_SYMBOLS_H
#define FLATPAUSE_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "../trace/reader.h"
#include "../trace/writer.h"

/* ---- recording ---- */

#define KALLSYMS "/proc/kallsyms"

/*
 * Writes REC_KSYMS with the text symbols, those of modules too, that cover `addrs` (any order,
 * duplicates fine). `path` is KALLSYMS but in tests. -EPERM if its addresses are hidden, other
 * -errno; said.
 */
int ksyms__write(struct trace_writer *w, const char *path, const uint64_t *addrs, size_t cnt);

/* Snapshots /proc/PID/fd: REC_FDS. -ESRCH, unsaid, if the process has ended. */
int proc__write_fds(struct trace_writer *w, pid_t tgid);

/*
 * User symbols of `tgid` for `addrs`, resolved by ELF (.symtab, else .dynsym) through
 * /proc/PID/map_files or the path, and demangled; writes REC_SYMS. `maps` was taken by
 * proc_maps__read while the process lived, so that this works after its death: it holds the files
 * that code was mapped from open until proc_maps__free. -ESRCH, unsaid, if the process has ended or
 * has no mappings.
 */
struct proc_maps;
int proc_maps__read(struct proc_maps **m, pid_t tgid);
void proc_maps__free(struct proc_maps *m);
int proc_maps__write(const struct proc_maps *m, struct trace_writer *w);
int usyms__write(struct trace_writer *w, const struct proc_maps *m, const uint64_t *addrs,
		 size_t cnt);

/* ---- analysis ---- */

struct symbols; /* everything that one trace can name */

int symbols__load(struct symbols **s, struct trace_reader *r);
void symbols__free(struct symbols *s);

/*
 * NULL when unknown. Names live as long as s, which does not need the reader any more. Compiler
 * suffixes (".isra.0") are cut off.
 */
const char *symbols__kernel(const struct symbols *s, uint64_t addr);

/* "func", or "[libc.so.6+0x1234]" where only the mapping is known, or "[unknown]" (no code). */
const char *symbols__user(struct symbols *s, uint32_t tgid, uint64_t addr);

/* What an address of data lies in. */
struct place {
	const char *kind; /* "heap", "bss", "data", "stack", "anon_next_to_bss", "anon", "file",
			     "other" ("[vdso]"), "unknown"; constants */
	const char *text; /* as said of symbols__mapping(); lives as long as the symbols */
	uint32_t tid;	  /* whose stack; 0 = none, or not known */
};

void symbols__place(struct symbols *s, uint32_t tgid, uint64_t addr, struct place *out);

/*
 * In words: "[heap]", ".bss of /bin/x", ".data of /bin/x", "stack of thread 12", "[stack]",
 * "thread stack" (behind a guard page), "anon next to .bss of /bin/x" (the anonymous mapping
 * directly behind a file's writable one; the .bss itself is part of it where the trace does not say
 * how long that is), "anon", "/bin/x", "[unknown]".
 */
const char *symbols__mapping(struct symbols *s, uint32_t tgid, uint64_t addr);

/* Path behind a descriptor that was open before recording; NULL = not known. */
const struct rec_fd *symbols__fd(const struct symbols *s, uint32_t tgid, int fd, const char **path);

#endif
