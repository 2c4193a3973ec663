/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What a postmortem needs to know of the host: ordered pairs of name and value. A fact that cannot
 * be read is absent, never guessed. Names are stable: "kernel", "dirty.ratio", "disk.sda.model".
 */
#ifndef FLATPAUSE_HOST_FACTS_H
#define FLATPAUSE_HOST_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct fact {
	char *name;
	char *value;
};

struct facts {
	struct fact *v;
	size_t cnt;
	size_t room;
	int err; /* sticky -ENOMEM, so that callers look once at the end */
};

/* Adds a pair. Values are cut to 512 bytes, control characters and broken UTF-8 become '?'. */
void facts__add(struct facts *f, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Adds the content of a file below `root`, if it can be read and is not empty. */
void facts__add_file(struct facts *f, const char *name, const char *root, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* What no terminal and no JSON takes, control characters and broken UTF-8, becomes blanks and '?'. */
void make_printable(char *value);

const char *facts__get(const struct facts *f, const char *name); /* NULL = absent */
void facts__free(struct facts *f);

/*
 * Kernel, machine, CPUs, memory, lockdown, what BPF is allowed, dirty limits. `root` is "" for
 * this host, or a directory that stands for / (tests).
 */
void facts__host(struct facts *f, const char *root);

#endif
