// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "kernel_names.h"

#include <bpf/btf.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRACEPOINT  "btf_trace_"
#define MODULES_BTF "/sys/kernel/btf"

/* "ffffffff81000000 T name" or, of a module, "... t name\t[module]"; addresses may all be 0 */
static void take_line(struct sight *s, const char *line)
{
	const char *type = strchr(line, ' ');

	if (type && type[1] && type[2] == ' ' && strchr("tTwW", type[1]))
		sight__met_function(s, type + 3, strcspn(type + 3, " \t\n"));
}

int kernel_names__functions(struct sight *s, const char *path)
{
	FILE *f = fopen(path, "re");
	char *line = NULL;
	size_t room = 0;
	int err;

	if (!f)
		return -errno;
	while (getline(&line, &room, f) > 0)
		take_line(s, line);
	err = ferror(f) ? -EIO : 0;
	free(line);
	fclose(f);
	return err;
}

/* Types from `first` on: those of a module stand behind the kernel's own. */
static void take_types(struct sight *s, const struct btf *btf, uint32_t first, bool functions)
{
	uint32_t cnt = btf__type_cnt(btf);

	for (uint32_t i = first; i < cnt; i++) {
		const struct btf_type *t = btf__type_by_id(btf, i);
		const char *name = t ? btf__name_by_offset(btf, t->name_off) : NULL;

		if (!name)
			continue;
		if (btf_is_typedef(t) && !strncmp(name, TRACEPOINT, strlen(TRACEPOINT)))
			sight__met_tracepoint(s, name + strlen(TRACEPOINT));
		else if (functions && btf_is_func(t))
			sight__met_function(s, name, strlen(name));
	}
}

static void take_modules(struct sight *s, struct btf *kernel, bool functions)
{
	DIR *dir = opendir(MODULES_BTF);
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		struct btf *btf;

		if (e->d_name[0] == '.' || !strcmp(e->d_name, "vmlinux"))
			continue;
		btf = btf__load_module_btf(e->d_name, kernel);
		if (!btf) /* gone since, or not ours to read: what it has is not met */
			continue;
		take_types(s, btf, btf__type_cnt(kernel), functions);
		btf__free(btf);
	}
	if (dir)
		closedir(dir);
}

int kernel_names__btf(struct sight *s, bool functions)
{
	struct btf *kernel = btf__load_vmlinux_btf();

	if (!kernel)
		return -errno;
	take_types(s, kernel, 1, functions);
	take_modules(s, kernel, functions);
	btf__free(kernel);
	return 0;
}
