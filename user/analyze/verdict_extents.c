// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Blocks in advance, in words: which files had them, what undid that, and where they were kept. Said
 * of any verdict, as whoever preallocates believes to have done something about it.
 */
#include "verdict.h"

#include <errno.h>

#include "../../reports/summary.h"
#include "../cli/params.h"

#define NUM	   32
#define GROUPS_MAX 8
#define SAID_MAX   2

/* The windows in which it went one way, and what was allocated in them all the same. */
struct tried {
	uint32_t windows;
	uint64_t alloc_bytes, alloc_ns;
	bool bytes_unknown; /* of one of them */
};

/* Files of one name, each in the window that it was prepared for. */
struct group {
	const char *name;
	const struct finding_window *window; /* of the one that is told of: slow, if there is one */
	const struct finding_file *file;
	bool slow;
	uint32_t windows, redone;
	struct tried undone, kept;
};

struct groups {
	struct group v[GROUPS_MAX];
	size_t cnt;
};

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path[0] ? path : "an unnamed file";
}

static struct group *group_of(struct groups *g, const char *name)
{
	for (size_t i = 0; i < g->cnt; i++)
		if (!strcmp(g->v[i].name, name))
			return &g->v[i];
	if (g->cnt == GROUPS_MAX)
		return NULL;
	g->v[g->cnt] = (struct group){ .name = name };
	return &g->v[g->cnt++];
}

/* Once each: a file that was undone for an earlier window is an old story. */
static bool is_of_window(const struct finding_file *x, uint64_t since_ns)
{
	bool fresh = x->preallocated.at_ns >= since_ns || x->undone.at_ns >= since_ns;

	return x->extents == FINDING_EXTENTS_LOST
		       ? x->undone.at_ns >= since_ns
		       : x->extents == FINDING_EXTENTS_KEPT && (fresh || x->bytes_written);
}

static void add_file(struct groups *g, const struct finding_window *w, const struct finding_file *x,
		     bool slow)
{
	struct group *r = group_of(g, base_name(x->path));
	bool undone = x->extents == FINDING_EXTENTS_LOST, was;
	struct tried *t;

	if (!r)
		return;
	was = r->file && r->file->extents == FINDING_EXTENTS_LOST;
	/* What is told of is an undone one, of a slow window. */
	if (!r->file || (undone && !was) || (undone == was && slow && !r->slow)) {
		r->window = w;
		r->file = x;
		r->slow = slow;
	}
	r->windows++;
	r->redone += !undone && x->undone.at_ns;
	t = undone ? &r->undone : &r->kept;
	t->windows++;
	t->alloc_ns += x->alloc_ns;
	t->bytes_unknown |= x->alloc_bytes == FINDING_BYTES_NONE;
	t->alloc_bytes += t->bytes_unknown ? 0 : x->alloc_bytes;
}

static struct groups gather(const struct findings *f, const struct contrast *c, bool slow_only)
{
	struct groups g = { .cnt = 0 };
	uint64_t since_ns = 0;

	for (size_t w = 0; w < f->windows_cnt; w++) {
		const struct finding_window *fw = &f->windows[w];
		bool slow = contrast__is_slow(c, fw);

		for (size_t i = 0; i < fw->files_cnt && (slow || !slow_only); i++)
			if (is_of_window(&fw->files[i], since_ns))
				add_file(&g, fw, &fw->files[i], slow);
		since_ns = fw->begin_ns + fw->duration_ns;
	}
	return g;
}

/* " (256 MiB by branch/671)" */
static void say_made(FILE *out, const struct finding_file *x)
{
	bool by = *text_or_empty(x->preallocated.by);
	char bytes[NUM];

	if (!by && !x->preallocated_bytes)
		return;
	fprintf(out, " (%s%s%s%s)",
		x->preallocated_bytes ? format_bytes(x->preallocated_bytes, bytes, NUM) : "",
		x->preallocated_bytes && by ? " " : "", by ? "by " : "",
		text_or_empty(x->preallocated.by));
}

static void say_window(FILE *out, const struct findings *f, const struct group *r)
{
	fprintf(out, " %s window %u", r->file->undone.at_ns < r->window->begin_ns ? "before" : "in",
		r->window->index);
	if (f->curve.sweeps > 1)
		fprintf(out, " of sweep %u", r->window->sweep);
}

static void say_undone(FILE *out, const struct findings *f, const struct group *r)
{
	char by[HEADLINE_SIZE];

	fprintf(out, "%s was preallocated", r->name);
	say_made(out, r->file);
	fprintf(out, " and that was undone by %s", undone_by(by, r->file));
	say_window(out, f, r);
	if (r->undone.windows > 1)
		fprintf(out, ", and so for %u of %zu windows", r->undone.windows, f->windows_cnt);
}

void verdict__say_undone(FILE *out, const struct findings *f, const struct contrast *c)
{
	struct groups g = gather(f, c, false);
	int said = 0;

	for (size_t i = 0; i < g.cnt && said < SAID_MAX; i++) {
		if (!g.v[i].undone.windows)
			continue;
		fputc(' ', out);
		say_undone(out, f, &g.v[i]);
		fputc('.', out);
		said++;
	}
}

static void say_allocated(FILE *out, const struct tried *t)
{
	char bytes[NUM], ns[NUM];

	if (t->bytes_unknown)
		return;
	fprintf(out, ", %s allocated in the windows", format_bytes(t->alloc_bytes, bytes, NUM));
	if (t->alloc_bytes && t->alloc_ns)
		fprintf(out, " in %s", format_ns(t->alloc_ns, ns, NUM));
}

static void say_group(FILE *out, const struct group *r)
{
	char by[HEADLINE_SIZE];

	fprintf(out, "%s was preallocated", r->name);
	say_made(out, r->file);
	fprintf(out, " for %u window%s", r->windows, r->windows == 1 ? "" : "s");
	if (r->undone.windows) {
		fprintf(out, "; undone for %u by %s", r->undone.windows, undone_by(by, r->file));
		say_allocated(out, &r->undone);
	}
	if (r->kept.windows) {
		fprintf(out, "; kept for %u", r->kept.windows);
		if (r->redone)
			fprintf(out, " (for %u made again after it was undone)", r->redone);
		say_allocated(out, &r->kept);
	}
}

int verdict__list_extents(struct findings *f, const struct contrast *c)
{
	struct groups g = gather(f, c, false);

	for (size_t i = 0; i < g.cnt; i++) {
		char **line = FINDING_APPEND(&f->verdict.evidence, &f->verdict.evidence_cnt);
		FILE *out;
		size_t size;

		if (!line)
			return -ENOMEM;
		out = open_memstream(line, &size);
		if (out)
			say_group(out, &g.v[i]);
		if (out && !fclose(out))
			continue;
		free(*line);
		*line = NULL;
		f->verdict.evidence_cnt--;
		return -ENOMEM;
	}
	return 0;
}

const char *verdict__extents_note(const struct findings *f, const struct contrast *c)
{
	struct groups g = gather(f, c, true);
	bool kept = false;

	for (size_t i = 0; i < g.cnt; i++) {
		if (g.v[i].undone.windows)
			return "a preallocation was undone";
		kept = true;
	}
	return kept ? "preallocated, and kept" : "";
}
