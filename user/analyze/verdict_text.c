// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The verdict in words. Every number in it is measured; the sentence is built around them. */
#include "verdict.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "../cli/params.h"

#define NUM 32

struct text {
	char *s; /* NULL once memory ran out */
};

static void add(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add(struct text *t, const char *fmt, ...)
{
	char *more, *all = NULL;
	va_list ap;
	int n;

	if (!t->s)
		return;
	va_start(ap, fmt);
	n = vasprintf(&more, fmt, ap);
	va_end(ap);
	if (n >= 0 && asprintf(&all, "%s%s", t->s, more) < 0)
		all = NULL;
	if (n >= 0)
		free(more);
	free(t->s);
	t->s = all;
}

static int add_evidence(struct findings *f, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static int add_evidence(struct findings *f, const char *fmt, ...)
{
	char **line = FINDING_APPEND(&f->verdict.evidence, &f->verdict.evidence_cnt);
	va_list ap;
	int n;

	if (!line)
		return -ENOMEM;
	va_start(ap, fmt);
	n = vasprintf(line, fmt, ap);
	va_end(ap);
	if (n < 0) {
		*line = NULL;
		f->verdict.evidence_cnt--;
		return -ENOMEM;
	}
	return 0;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

/* The slow window with the longest fsync, and that file: what people can look at. */
static const struct finding_file *longest_fsync(const struct findings *f, bool any,
						const struct finding_window **window)
{
	const struct finding_file *best = NULL;

	for (size_t w = 0; w < f->windows_cnt; w++)
		for (size_t i = 0; i < f->windows[w].files_cnt; i++) {
			const struct finding_file *file = &f->windows[w].files[i];

			if ((!any && !f->windows[w].slow) || !file->fsync_ns ||
			    (best && file->fsync_ns <= best->fsync_ns))
				continue;
			best = file;
			*window = &f->windows[w];
		}
	return best;
}

/* ---- what is not the cause ---- */

static int reject(struct findings *f, const char *cause, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static int reject(struct findings *f, const char *cause, const char *fmt, ...)
{
	struct finding_rejected *r = FINDING_APPEND(&f->verdict.rejected, &f->verdict.rejected_cnt);
	va_list ap;
	int n;

	if (!r || finding_set(&r->cause, cause))
		return -ENOMEM;
	va_start(ap, fmt);
	n = vasprintf(&r->why, fmt, ap);
	va_end(ap);
	if (n < 0) {
		r->why = NULL;
		return finding_set(&r->why, "");
	}
	return 0;
}

static bool same_family(const char *cause, const char *prefix)
{
	return cause && !strncmp(cause, prefix, strlen(prefix));
}

/* A tenth of the growth is a part of the story; less can be rejected. */
static bool can_reject(const struct contrast *c, const struct cause_row *top, const char *prefix)
{
	return !same_family(top ? top->cause : NULL, prefix) && contrast__share(c, prefix) < 0.1;
}

static const char *ms(double ns, char *buf)
{
	return format_ns(ns > 0 ? (uint64_t)ns : 0, buf, NUM);
}

static int reject_futex(struct findings *f, const struct contrast *c, const struct cause_row *top)
{
	char a[NUM], b[NUM];

	if (!can_reject(c, top, "futex"))
		return 0;
	if (!c->slow.parked)
		return reject(f, "futex.contended", "%s of a slow window waited for a futex",
			      ms(contrast__slow_ns(c, "futex"), a));
	return reject(f, "futex.contended",
		      "%u thread%s parked up to %s, released by the path: %s attributable",
		      c->slow.parked, c->slow.parked == 1 ? "" : "s",
		      ms((double)c->slow.parked_ns, a), ms(contrast__slow_ns(c, "futex"), b));
}

static int reject_cpu(struct findings *f, const struct contrast *c, const struct cause_row *top)
{
	char a[NUM];
	int err = 0;

	if (can_reject(c, top, "user.cpu"))
		err = reject(f, "user.cpu", "%s in user space per slow window",
			     ms(contrast__slow_ns(c, "user.cpu"), a));
	if (!err && can_reject(c, top, "cpu.runqueue"))
		err = reject(f, "cpu.runqueue", "%s waiting for a CPU per slow window",
			     ms(contrast__slow_ns(c, "cpu.runqueue"), a));
	return err;
}

static int reject_ext4(struct findings *f, const struct contrast *c, const struct cause_row *top)
{
	char a[NUM], b[NUM];
	int err = 0;

	if (can_reject(c, top, "ext4.alloc"))
		err = reject(f, "ext4.alloc", "mballoc %s per slow window (%s in all targets)",
			     ms(contrast__slow_ns(c, "ext4.alloc"), a),
			     ms((double)c->slow.alloc_ns, b));
	if (err || !can_reject(c, top, "jbd2"))
		return err;
	if (!c->slow.commits)
		return reject(f, "jbd2.commit_wait", "journal %s, no commit overlapped",
			      ms(contrast__slow_ns(c, "jbd2"), a));
	return reject(f, "jbd2.commit_wait", "journal %s per slow window, %u commits overlapped",
		      ms(contrast__slow_ns(c, "jbd2"), a),
		      (c->slow.commits / 2 + c->slow_cnt - 1) / c->slow_cnt ?: 1);
}

static int reject_io(struct findings *f, const struct contrast *c, const struct cause_row *top)
{
	char a[NUM], b[NUM];
	int err = 0;

	if (can_reject(c, top, "io.throttle"))
		err = reject(f, "io.throttle.wbt", "%s under writeback throttling per slow window",
			     ms(contrast__slow_ns(c, "io.throttle"), a));
	if (!err && can_reject(c, top, "writeback"))
		err = reject(f, "writeback.dirty_throttle", "%s per slow window, %u pause%s seen",
			     ms(contrast__slow_ns(c, "writeback"), a), c->slow.dirty_pauses,
			     c->slow.dirty_pauses == 1 ? "" : "s");
	if (!err && can_reject(c, top, "io.device_service") &&
	    can_reject(c, top, "fs.writeback_wait") && can_reject(c, top, "io.flush"))
		err = reject(f, "io.device_service",
			     "%s waiting for the device itself, worst request %s",
			     ms(contrast__slow_ns(c, "io.device_service") +
					contrast__slow_ns(c, "fs.writeback_wait") +
					contrast__slow_ns(c, "io.flush"),
				a),
			     ms((double)c->slow.worst_request_ns, b));
	return err;
}

static int reject_all(struct findings *f, const struct contrast *c, const struct cause_row *top)
{
	int err = reject_futex(f, c, top);

	if (!err)
		err = reject_cpu(f, c, top);
	if (!err)
		err = reject_ext4(f, c, top);
	return err ? err : reject_io(f, c, top);
}

/* ---- evidence ---- */

static int list_evidence(struct findings *f, const struct contrast *c, const struct cause_row *top)
{
	const struct evidence *e = &c->slow;
	char a[NUM], b[NUM], journal[256];
	int err = 0;

	if (top)
		err = add_evidence(f, "%s: %s per slow window, %s per fast one", top->cause,
				   ms(top->slow_ns, a), ms(top->fast_ns, b));
	journal__say(&e->journal, journal, sizeof(journal));
	if (!err && journal[0] && top && same_family(top->cause, "jbd2"))
		err = add_evidence(f, "%s", journal);
	if (!err && e->requests)
		err = add_evidence(f, "%u requests, %s, completed in the slow windows; worst %s",
				   e->requests, format_bytes(e->request_bytes, a, NUM),
				   ms((double)e->worst_request_ns, b));
	if (!err && e->wbt_points)
		err = add_evidence(f, "%u wbt records in the slow windows", e->wbt_points);
	if (!err && e->dirty_pauses)
		err = add_evidence(f, "balance_dirty_pages paused targets %u times, %s asked for",
				   e->dirty_pauses, ms((double)e->dirty_pause_ns, a));
	if (!err && e->allocs)
		err = add_evidence(f, "%u block allocations by targets in the slow windows",
				   e->allocs);
	if (!err && e->commits)
		err = add_evidence(f, "%u begins and ends of journal commits in the slow windows",
				   e->commits);
	if (!err && e->carry_bytes)
		err = add_evidence(f, "up to %s dirty on %u:%u when a slow window began",
				   format_bytes(e->carry_bytes, a, NUM), e->carry_dev >> 20,
				   e->carry_dev & 0xfffff);
	if (!err && c->unknown_share > 0)
		err = add_evidence(f, "%.1f %% of the slow windows has no name",
				   100 * c->unknown_share);
	return err;
}

/* ---- the text ---- */

static const char *title_of(const char *id)
{
	const struct cause *cause = probes__cause(id);

	return cause ? cause->title : "unknown";
}

static void say_growth(struct text *t, const struct findings *f, const struct contrast *c,
		       const struct cause_row *top)
{
	char a[NUM], b[NUM];
	double ratio = c->fast_ns > 0 ? c->slow_ns / c->fast_ns : 0;

	add(t, "Pauses grew %.*fx from window %u on (%s to %s). ", ratio < 10 ? 1 : 0, ratio,
	    f->curve.at_window ? f->curve.at_window : c->first_slow, ms(c->fast_ns, a),
	    ms(c->slow_ns, b));
	if (f->curve.verdict != CURVE_STEPPED)
		add(t, "The curve is %s by its statistics. ", curve_verdict_name(f->curve.verdict));
	add(t, "%.0f %% of the growth is %s (%s)", 100 * top->share, top->cause,
	    title_of(top->cause));
}

static void say_held(struct text *t, const struct findings *f, const struct contrast *c,
		     const struct cause_row *top)
{
	char a[NUM];

	add(t,
	    "The pauses show no step (%s), but all are long: %s on average. %.0f %% of that is %s "
	    "(%s)",
	    curve_verdict_name(f->curve.verdict), ms(c->slow_ns, a), 100 * top->share, top->cause,
	    title_of(top->cause));
}

/* "In window 6 the fsync of diff-6.bin (412 KB written) took 2.4 s, behind 268 MB ..." */
static void say_story(struct text *t, const struct findings *f, const struct contrast *c,
		      const struct cause_row *top)
{
	bool io = !strncmp(top->cause, "io.", 3) || !strncmp(top->cause, "jbd2.", 5) ||
		  !strncmp(top->cause, "fs.writeback", 12) ||
		  !strncmp(top->cause, "writeback.", 10);
	const struct finding_window *w = NULL;
	const struct finding_file *file = io ? longest_fsync(f, c->kind == CONTRAST_NONE, &w)
					     : NULL;
	bool behind = io && c->slow.old_bytes;
	char a[NUM], b[NUM];

	if (file)
		add(t, "In window %u the fsync of %s (%s written) took %s", w->index,
		    file->path[0] ? base_name(file->path) : "an unnamed file",
		    format_bytes(file->bytes_written, a, NUM), ms((double)file->fsync_ns, b));
	if (behind)
		add(t, "%s %s of earlier writes per window that %u:%u had to complete",
		    file ? ", behind" : "It waits behind", format_bytes(c->slow.old_bytes, a, NUM),
		    c->slow.carry_dev >> 20, c->slow.carry_dev & 0xfffff);
	if ((file || behind) && top->carry_ns)
		add(t, " (carry-over %s)", ms((double)top->carry_ns, a));
	if (file || behind)
		add(t, ". ");
}

/* What else has a part worth naming; two at most, as the ledger has them all. */
static void say_others(struct text *t, const struct contrast *c, const struct cause_row *top)
{
	int said = 0;

	for (size_t i = 0; i < vec__cnt(&c->rows) && said < 2; i++) {
		const struct cause_row *r = VEC_AT(&c->rows, struct cause_row, i);

		if (r == top || r->share < 0.1)
			continue;
		add(t, "%s%.0f %% %s", said++ ? ", " : "; ", 100 * r->share, r->cause);
	}
}

/* The alternatives that people suspect first; the findings list all, with what rejects each. */
static void say_rejected(struct text *t, const struct findings *f, const struct contrast *c)
{
	static const char *const suspects[] = { "user.cpu", "ext4.alloc", "futex.contended" };
	char a[NUM];
	int said = 0;

	for (size_t i = 0; i < sizeof(suspects) / sizeof(suspects[0]); i++)
		for (size_t k = 0; k < f->verdict.rejected_cnt; k++)
			if (!strcmp(f->verdict.rejected[k].cause, suspects[i]))
				add(t, "%s%s (%s)", said++ ? ", " : "Not the cause: ", suspects[i],
				    ms(contrast__slow_ns(c, suspects[i]), a));
	if (said)
		add(t, ". ");
}

static void say_none(struct text *t, const struct findings *f, const struct contrast *c)
{
	const struct cause_row *first = vec__cnt(&c->rows) ? VEC_AT(&c->rows, struct cause_row, 0)
							   : NULL;
	char a[NUM];

	add(t, "No anomaly: the pauses are %s, %s on average",
	    f->curve.verdict == CURVE_FLAT ? "flat" : "without a step", ms(c->slow_ns, a));
	if (first)
		add(t, ", %.0f %% of it %s (%s)", 100 * first->share, first->cause,
		    title_of(first->cause));
	add(t, ". ");
}

int verdict__say(struct analysis *a, const struct contrast *c, const struct cause_row *top)
{
	struct findings *f = a->f;
	struct text t = { .s = strdup("") };
	int err = top ? reject_all(f, c, top) : 0;

	if (!err)
		err = list_evidence(f, c, top);
	if (!top) {
		say_none(&t, f, c);
	} else {
		if (c->kind == CONTRAST_GROWTH)
			say_growth(&t, f, c, top);
		else
			say_held(&t, f, c, top);
		say_others(&t, c, top);
		add(&t, ". ");
		say_story(&t, f, c, top);
		say_rejected(&t, f, c);
		add(&t, "Seen in %u of %u %swindows.", top->seen, c->slow_cnt,
		    c->kind == CONTRAST_GROWTH ? "slow " : "");
	}
	if (!t.s)
		return -ENOMEM;
	for (size_t n = strlen(t.s); n && t.s[n - 1] == ' '; n--)
		t.s[n - 1] = '\0';
	if (!err)
		err = finding_set(&f->verdict.text, t.s);
	free(t.s);
	return err;
}
