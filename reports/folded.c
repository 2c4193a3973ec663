// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "folded.h"

#include <errno.h>

#include "escape.h"

struct folder {
	FILE *out;
	const char *stack[FLAME_DEPTH_MAX + 1];
	uint64_t rest_ns; /* what whole microseconds left over so far */
};

static uint64_t self_total_ns(const struct flame_node *node)
{
	uint64_t sum = 0;

	for (int s = 0; s < FLAME_STATES; s++)
		sum += node->self_ns[s];
	return sum;
}

static void write_line(struct folder *to, size_t depth, uint64_t us)
{
	for (size_t i = 0; i < depth; i++) {
		if (i)
			fputc(';', to->out);
		escape_folded(to->out, to->stack[i]);
	}
	if (!depth)
		fputs("[unknown]", to->out);
	fprintf(to->out, " %llu\n", (unsigned long long)us);
}

static void fold(struct folder *to, const struct flame_node *node, size_t depth)
{
	uint64_t ns = self_total_ns(node);

	if (ns) {
		ns += to->rest_ns;
		to->rest_ns = ns % 1000;
		if (ns >= 1000)
			write_line(to, depth, ns / 1000);
	}
	for (size_t i = 0; i < node->children_cnt; i++) {
		to->stack[depth] = node->children[i]->name;
		fold(to, node->children[i], depth + 1);
	}
}

int flame__write_folded(FILE *out, const struct flame *f)
{
	struct folder to = { .out = out };

	if (f)
		fold(&to, flame__root(f), 0);
	return ferror(out) ? -EIO : 0;
}
