// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Who waited, for what, and who left it behind: the half of the sentence that a person can go and
 * look at. Each part of it is there only where it was measured.
 */
#include "verdict.h"

#include "../../reports/summary.h"
#include "../cli/params.h"

#define NUM	    32
#define HALF(x)	    ((x) / 2)
#define NAME_WIDTH  40
#define ACTORS_SEEN 64
#define ACTOR_SIZE  96
#define CARRY_SHARE 0.1 /* of the cause: from here on what was left behind is the story */

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

/* "comm/tid" as a person says it; of a thread that was not seen to begin only the tid is known. */
static void say_thread(FILE *out, const char *actor)
{
	if (!strncmp(actor, "?/", 2))
		fprintf(out, "thread %.*s", NAME_WIDTH, actor + 2);
	else
		fprintf(out, "%.*s", NAME_WIDTH, actor);
}

static void say_carry(FILE *out, uint64_t carry_ns, const struct finding_blame *b,
		      const struct finding_file *said)
{
	bool sent = b && strcmp(blame_by(b), "dirtied by"); /* then no file is known */
	char a[NUM];

	if (!carry_ns && !b)
		return;
	fputs(" (", out);
	if (carry_ns)
		fprintf(out, "carry-over %s%s", format_ns(carry_ns, a, NUM), b ? ", " : "");
	if (b && (!said || strcmp(said->path, b->file)) && !sent)
		fprintf(out, "mostly %.*s, ", NAME_WIDTH, base_name(b->file));
	if (b) {
		fprintf(out, "%s ", blame_by(b));
		say_thread(out, b->dirtied_by);
	}
	fputc(')', out);
}

static void say_fsync(FILE *out, const struct finding_file *file)
{
	char a[NUM];

	fprintf(out, ": the fsync of %.*s", NAME_WIDTH,
		file->path[0] ? base_name(file->path) : "an unnamed file");
	if (file->bytes_written)
		fprintf(out, " (%s)", format_bytes(file->bytes_written, a, NUM));
}

/* ": the fsync of diff-6.bin (412 KB) waits behind 268 MB that window 5 left dirty on 7:0 (...)" */
static bool say_disk(FILE *out, const struct findings *f, const struct contrast *c,
		     const struct contrast_row *top)
{
	struct subject s = longest_fsync(f, c, top);
	const struct finding_window *w = s.window ? s.window : worst_window(f, c, top->cause);
	const struct finding_blame *b = main_blame(w, top);
	bool carried = top->carry_ns >= CARRY_SHARE * top->slow_ns;
	bool behind = carried && c->slow.old_bytes;
	char a[NUM];

	if (!s.file && !carried && !b)
		return false;
	if (s.file)
		say_fsync(out, s.file);
	if (behind)
		fputs(s.file ? " waits" : ": it waits", out);
	if (behind)
		say_backlog(out, c, w, top->cause);
	else if (s.file)
		fprintf(out, " takes %s", format_ns(s.file->fsync_ns, a, NUM));
	say_carry(out, carried ? top->carry_ns : 0, b, s.file);
	return true;
}

/* ---- a thread, and how the path came to it ---- */

struct actor {
	char name[ACTOR_SIZE], via[ACTOR_SIZE];
	uint64_t ns;
};

struct actors {
	struct actor v[ACTORS_SEEN];
	size_t cnt;
	uint64_t ns; /* of all */
};

/*
 * Names without their thread ids: each window may have processes of its own, which are the same
 * to a reader. "held by vmm/12, which was in x" becomes "held by vmm, which was in x".
 */
static void drop_tids(const char *from, char *to)
{
	size_t n = 0;

	while (*from && n + 1 < ACTOR_SIZE) {
		size_t digits = *from == '/' ? strspn(from + 1, "0123456789") : 0;

		if (digits && (!from[1 + digits] || strchr(" ,", from[1 + digits])))
			from += 1 + digits;
		else
			to[n++] = *from++;
	}
	to[n] = '\0';
}

static void add_segment(struct actors *all, const struct finding_segment *s)
{
	struct actor a = { .ns = s->ns };
	size_t i = 0;

	drop_tids(s->actor, a.name);
	drop_tids(path_last_hop(s->via), a.via);
	all->ns += s->ns;
	while (i < all->cnt && (strcmp(all->v[i].name, a.name) || strcmp(all->v[i].via, a.via)))
		i++;
	if (i < all->cnt)
		all->v[i].ns += s->ns;
	else if (i < ACTORS_SEEN)
		all->v[all->cnt++] = a;
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

/* " of vmm, held by x, which was in y"; " of client, reached by ipc.wait of api" */
static void say_actor(FILE *out, const struct findings *f, const struct contrast *c,
		      const char *cause)
{
	struct actors all = { .cnt = 0 };
	const struct actor *a = main_actor(&all, f, c, cause);

	if (!a)
		return;
	fprintf(out, " of %s", a->name);
	if (path_hop_is_holder(a->via))
		fprintf(out, ", %s", a->via);
	else if (a->via[0])
		fprintf(out, ", reached by %s", a->via);
}

void verdict__story(FILE *out, const struct findings *f, const struct contrast *c,
		    const struct contrast_row *top)
{
	static const char *const disk[] = { "io",	 "jbd2", "fs.writeback_wait",
					    "writeback", "ext4", "discard" };

	for (size_t i = 0; i < sizeof(disk) / sizeof(disk[0]); i++)
		if (cause_under(top->cause, disk[i]) && say_disk(out, f, c, top))
			return;
	say_actor(out, f, c, top->cause);
}
