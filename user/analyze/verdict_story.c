// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Who waited, for what, and who left it behind: the half of the sentence that a person can go and
 * look at. Each part of it is there only where it was measured.
 */
#include "verdict.h"

#include "../cli/params.h"

#define NUM	    32
#define HALF(x)	    ((x) / 2)
#define NAME_WIDTH  40
#define VIA_WIDTH   80
#define ACTORS_SEEN 64

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

/* ---- a file, and what the device had to do before it ---- */

struct subject {
	const struct finding_window *window;
	const struct finding_file *file;
};

/* The longest fsync of the slow windows, where it accounts for the cause. */
static struct subject longest_fsync(const struct findings *f, const struct contrast *c,
				    const struct contrast_row *top)
{
	struct subject s = { 0 };

	for (size_t w = 0; w < f->windows_cnt; w++)
		for (size_t i = 0; i < f->windows[w].files_cnt; i++) {
			const struct finding_file *file = &f->windows[w].files[i];

			if (!contrast__is_slow(c, &f->windows[w]) || !file->fsync_ns ||
			    (s.file && file->fsync_ns <= s.file->fsync_ns))
				continue;
			s = (struct subject){ &f->windows[w], file };
		}
	if (s.file && s.file->fsync_ns < HALF(top->slow_ns))
		s = (struct subject){ 0 };
	return s;
}

/* The slow window with the most of it: what is said of one window is said of that. */
static const struct finding_window *worst_window(const struct findings *f, const struct contrast *c,
						 const char *cause)
{
	const struct finding_window *worst = NULL;
	uint64_t most = 0;

	for (size_t w = 0; w < f->windows_cnt; w++)
		for (size_t i = 0; i < f->windows[w].ledger_cnt; i++) {
			const struct finding_share *s = &f->windows[w].ledger[i];

			if (strcmp(s->cause, cause) || s->ns <= most ||
			    !contrast__is_slow(c, &f->windows[w]))
				continue;
			most = s->ns;
			worst = &f->windows[w];
		}
	return worst;
}

static uint32_t left_by_window(const struct finding_window *w, const char *cause)
{
	for (size_t i = 0; w && i < w->ledger_cnt; i++)
		if (!strcmp(w->ledger[i].cause, cause))
			return w->ledger[i].carry_over_prev_window;
	return 0;
}

/* Whose dirty data it was, where one file is half of the cause or more. */
static const struct finding_blame *main_blame(const struct finding_window *w,
					      const struct contrast_row *top)
{
	if (!w || !w->blame_cnt || !w->blame[0].dirtied_by[0])
		return NULL;
	return w->blame[0].ns >= HALF(top->slow_ns) ? &w->blame[0] : NULL;
}

static void say_backlog(FILE *out, const struct contrast *c, const struct finding_window *w,
			const char *cause)
{
	uint32_t by = left_by_window(w, cause);
	char a[NUM];

	fprintf(out, " behind %s", format_bytes(c->slow.old_bytes, a, NUM));
	if (by)
		fprintf(out, " that window %u left dirty", by);
	else
		fprintf(out, " of earlier writes");
	if (c->slow.carry_dev)
		fprintf(out, " on %u:%u", c->slow.carry_dev >> 20, c->slow.carry_dev & 0xfffff);
}

static void say_carry(FILE *out, const struct contrast_row *top, const struct finding_blame *b)
{
	char a[NUM];

	if (!top->carry_ns && !b)
		return;
	fputs(" (", out);
	if (top->carry_ns)
		fprintf(out, "carry-over %s%s", format_ns(top->carry_ns, a, NUM), b ? ", " : "");
	if (b)
		fprintf(out, "mostly %.*s of %.*s", NAME_WIDTH, base_name(b->file), NAME_WIDTH,
			b->dirtied_by);
	fputc(')', out);
}

/* ": the fsync of diff-6.bin (412 KB) waits behind 268 MB that window 5 left dirty on 7:0 (...)" */
static bool say_disk(FILE *out, const struct findings *f, const struct contrast *c,
		     const struct contrast_row *top)
{
	struct subject s = longest_fsync(f, c, top);
	const struct finding_window *w = s.window ? s.window : worst_window(f, c, top->cause);
	const struct finding_blame *b = main_blame(w, top);
	bool behind = c->slow.old_bytes > 0;
	char a[NUM], d[NUM];

	if (!s.file && !behind && !top->carry_ns && !b)
		return false;
	if (s.file)
		fprintf(out, ": the fsync of %.*s (%s)%s", NAME_WIDTH,
			s.file->path[0] ? base_name(s.file->path) : "an unnamed file",
			format_bytes(s.file->bytes_written, a, NUM), behind ? " waits" : "");
	else if (behind)
		fputs(": it waits", out);
	if (behind)
		say_backlog(out, c, w, top->cause);
	else if (s.file)
		fprintf(out, " takes %s", format_ns(s.file->fsync_ns, d, NUM));
	say_carry(out, top, b);
	return true;
}

/* ---- a thread, and how the path came to it ---- */

struct actor {
	const char *name, *via;
	uint64_t ns;
};

struct actors {
	struct actor v[ACTORS_SEEN];
	size_t cnt;
	uint64_t ns; /* of all */
};

static void add_segment(struct actors *all, const struct finding_segment *s)
{
	size_t i = 0;

	all->ns += s->ns;
	while (i < all->cnt && (strcmp(all->v[i].name, s->actor) || strcmp(all->v[i].via, s->via)))
		i++;
	if (i == ACTORS_SEEN)
		return;
	if (i == all->cnt)
		all->v[all->cnt++] = (struct actor){ .name = s->actor, .via = s->via };
	all->v[i].ns += s->ns;
}

/* The one that has half or more of the cause's time in the slow windows; NULL = nobody. */
static const struct actor *main_actor(struct actors *all, const struct findings *f,
				      const struct contrast *c, const char *cause)
{
	for (size_t w = 0; w < f->windows_cnt; w++)
		for (size_t i = 0; i < f->windows[w].path_cnt; i++) {
			const struct finding_segment *s = &f->windows[w].path[i];

			if (contrast__is_slow(c, &f->windows[w]) && !strcmp(s->cause, cause))
				add_segment(all, s);
		}
	for (size_t i = 0; i < all->cnt; i++)
		if (all->v[i].name[0] && all->v[i].ns >= HALF(all->ns))
			return &all->v[i];
	return NULL;
}

static void say_actor(FILE *out, const struct findings *f, const struct contrast *c,
		      const char *cause)
{
	struct actors all = { .cnt = 0 };
	const struct actor *a = main_actor(&all, f, c, cause);

	if (!a)
		return;
	fprintf(out, " of %.*s", NAME_WIDTH, a->name);
	if (a->via[0])
		fprintf(out, ", reached by %.*s", VIA_WIDTH, a->via);
}

void verdict__story(FILE *out, const struct findings *f, const struct contrast *c,
		    const struct contrast_row *top)
{
	static const char *const disk[] = { "io",	 "jbd2", "fs.writeback_wait",
					    "writeback", "ext4", "discard" };

	for (size_t i = 0; i < sizeof(disk) / sizeof(disk[0]); i++)
		if (cause_is_under(top->cause, disk[i]) && say_disk(out, f, c, top))
			return;
	say_actor(out, f, c, top->cause);
}
