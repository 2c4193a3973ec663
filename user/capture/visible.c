// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "visible.h"

#include <stdio.h>

#include "../log.h"
#include "../symbols/kernel_names.h"
#include "../symbols/symbols.h"

#define NEEDS_BYTES 512
#define LIST_BYTES  2048

int visible__check(struct sight *s)
{
	int err = sight__init(s), btf;

	if (err)
		return log_err(err, "the table of causes");
	err = kernel_names__functions(s, KALLSYMS);
	btf = kernel_names__btf(s, err != 0);
	if (err && btf) {
		sight__free(s);
		return log_err(err, "neither %s nor BTF can be read", KALLSYMS);
	}
	return 0;
}

static void list_causes(const struct sight *s, enum cause_sight which, char *buf, size_t size)
{
	size_t n = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < cause_tables_cnt; i++)
		for (const struct cause *c = cause_tables[i]; c->id && n < size; c++)
			if (sight__of(s, c) == which)
				n += snprintf(buf + n, size - n, "%s%s", n ? ", " : "", c->id);
}

void facts__causes(struct facts *f)
{
	char list[LIST_BYTES];
	struct sight s;

	if (visible__check(&s))
		return;
	list_causes(&s, CAUSE_BLIND, list, sizeof(list));
	if (list[0])
		facts__add(f, "causes.blind", "%s", list);
	list_causes(&s, CAUSE_ABSENT, list, sizeof(list));
	if (list[0])
		facts__add(f, "causes.absent", "%s", list);
	sight__free(&s);
}

static int add_blind(json_t *blind, const struct cause *c)
{
	char needs[NEEDS_BYTES];

	sight__needs(c, needs, sizeof(needs));
	return json_array_append_new(blind, json_pack("{s:s, s:s}", "id", c->id, "needs", needs));
}

json_t *visible__json(const struct sight *s)
{
	json_t *blind = json_array(), *absent = json_array();
	int seen = 0, err = !blind || !absent;

	for (size_t i = 0; i < cause_tables_cnt; i++)
		for (const struct cause *c = cause_tables[i]; c->id && !err; c++)
			switch (sight__of(s, c)) {
			case CAUSE_SEEN:
				seen++;
				break;
			case CAUSE_BLIND:
				err = add_blind(blind, c);
				break;
			case CAUSE_ABSENT:
				err = json_array_append_new(absent, json_string(c->id));
				break;
			}
	if (err) {
		json_decref(blind);
		json_decref(absent);
		return NULL;
	}
	return json_pack("{s:i, s:o, s:o}", "seen", seen, "blind", blind, "absent", absent);
}
