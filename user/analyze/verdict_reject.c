// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* What people suspect first, and the number that speaks against it here. */
#include "verdict.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#include "../cli/params.h"

#define NUM	       32
#define UNDER_MAX      4
#define REJECTED_SHARE 0.05 /* more of the growth is a part of the story; less can be rejected */
#define NEEDED	       5    /* of those that nothing points at, and that took no time */

/* Sums over what a suspect stands for. */
struct charge {
	struct contrast_sum sum;
	const struct findings *f;
	const struct contrast *c;
};

struct suspect {
	const char *cause; /* under this id it is rejected */
	const char *name;
	const char *under[UNDER_MAX]; /* what it stands for */
	/* Writes what is said of it beside its time; true: the time is in it, or goes without saying. */
	bool (*tell)(const struct charge *ch, char *buf, size_t size);
	/* Whether this recording gives a reason to suspect it: said first. */
	bool (*is_suspicious)(const struct charge *ch);
};

static const char *say_ns(double ns, char *buf)
{
	if (ns < 1000)
		return "0 ms";
	return format_ns((uint64_t)ns, buf, NUM);
}

/* ---- futexes: the threads that are parked while the path works ---- */

static const char *comm_of(const struct finding_window *w, uint32_t tid)
{
	for (size_t i = 0; i < w->threads_cnt; i++)
		if (w->threads[i].tid == tid)
			return w->threads[i].comm;
	return NULL;
}

static bool is_parked(const struct finding_window *w, uint32_t tid)
{
	for (size_t i = 0; i < w->threads_cnt; i++)
		if (w->threads[i].tid == tid)
			return w->threads[i].passive;
	return false;
}

/* The one thread name that ended all waits of parked threads; NULL: several, or not known. */
static const char *releaser(const struct findings *f, const struct contrast *c)
{
	const char *name = NULL;

	for (size_t i = 0; i < f->windows_cnt; i++) {
		const struct finding_window *w = &f->windows[i];

		for (size_t k = 0; contrast__is_slow(c, w) && k < w->futexes_cnt; k++) {
			const char *comm;

			if (!is_parked(w, w->futexes[k].tid))
				continue;
			comm = comm_of(w, w->futexes[k].waker_tid);
			if (!comm || !comm[0] || (name && strcmp(name, comm)))
				return NULL;
			name = comm;
		}
	}
	return name;
}

static bool tell_futex(const struct charge *ch, char *buf, size_t size)
{
	const struct evidence *e = &ch->c->slow;
	const char *by = releaser(ch->f, ch->c);
	char a[NUM], b[NUM];

	if (e->parked)
		snprintf(buf, size, "%u thread%s parked %s, %sreleased by %.40s, %s attributable",
			 e->parked, e->parked == 1 ? "" : "s", say_ns((double)e->parked_ns, a),
			 e->parked == 1 ? "" : "all ", by ? by : "the path",
			 say_ns(ch->sum.slow_ns, b));
	return e->parked;
}

static bool has_parked(const struct charge *ch)
{
	return ch->c->slow.parked > 0;
}

static bool has_run(const struct charge *ch)
{
	return ch->sum.slow_ns >= 1e6;
}

/* ---- file system and disk ---- */

/* Whether the recorder had eyes for it: "nothing was seen" is no argument of the blind. */
static bool is_seen(const struct findings *f, const char *probe)
{
	for (size_t i = 0; i < f->hooks_cnt; i++)
		if (!strcmp(f->hooks[i].probe, probe) && !strncmp(f->hooks[i].rung, "none", 4))
			return false;
	return true;
}

static bool tell_journal(const struct charge *ch, char *buf, size_t size)
{
	const struct evidence *e = &ch->c->slow;
	uint32_t each, windows = ch->c->slow_cnt ? ch->c->slow_cnt : 1;

	if (!e->commits && ch->sum.slow_ns < 1000 && is_seen(ch->f, "jbd2"))
		snprintf(buf, size, "no commit overlapped");
	if (!e->commits)
		return buf[0];
	each = (e->commits / 2 + windows - 1) / windows;
	snprintf(buf, size, "%u commit%s overlapped", each ? each : 1, each > 1 ? "s" : "");
	return false;
}

static bool has_commits(const struct charge *ch)
{
	return ch->c->slow.commits > 0;
}

static bool tell_alloc(const struct charge *ch, char *buf, size_t size)
{
	const char *note = verdict__extents_note(ch->f, ch->c);
	char a[NUM];

	if (ch->c->slow.alloc_ns > ch->sum.slow_ns + 1e6)
		snprintf(buf, size, "%s in all targets%s%s",
			 say_ns((double)ch->c->slow.alloc_ns, a), note[0] ? ", " : "", note);
	else
		snprintf(buf, size, "%s", note);
	return false;
}

static bool has_allocs(const struct charge *ch)
{
	return ch->c->slow.allocs > 0 || verdict__extents_note(ch->f, ch->c)[0];
}

static bool tell_device(const struct charge *ch, char *buf, size_t size)
{
	char a[NUM];

	if (ch->c->slow.requests)
		snprintf(buf, size, "worst request %s",
			 say_ns((double)ch->c->slow.worst_request_ns, a));
	return false;
}

static bool has_requests(const struct charge *ch)
{
	return ch->c->slow.requests > 0;
}

static bool tell_dirty(const struct charge *ch, char *buf, size_t size)
{
	uint32_t pauses = ch->c->slow.dirty_pauses;

	if (pauses)
		snprintf(buf, size, "%u pause%s", pauses, pauses == 1 ? "" : "s");
	return false;
}

static bool has_pauses(const struct charge *ch)
{
	return ch->c->slow.dirty_pauses > 0;
}

static bool has_wbt(const struct charge *ch)
{
	return ch->c->slow.wbt_points > 0;
}

/* In the order in which they were blamed where this began; what is suspicious here goes first. */
static const struct suspect suspects[] = {
	{ "futex.contended", "futex", { "futex" }, tell_futex, has_parked },
	{ "user.cpu", "user CPU", { "user" }, NULL, has_run },
	{ "ext4.alloc",
	  "mballoc",
	  { "ext4.alloc", "ext4.bitmap_io", "ext4.csum" },
	  tell_alloc,
	  has_allocs },
	{ "jbd2.commit_wait", "journal", { "jbd2" }, tell_journal, has_commits },
	{ "io.device_service",
	  "device latency",
	  { "io.device_service", "io.flush", "fs.writeback_wait", "io.completion_delivery" },
	  tell_device,
	  has_requests },
	{ "writeback.dirty_throttle",
	  "dirty throttling",
	  { "writeback.dirty_throttle" },
	  tell_dirty,
	  has_pauses },
	{ "cpu.runqueue", "CPU contention", { "cpu" }, NULL, NULL },
	{ "io.throttle.wbt", "writeback throttling", { "io.throttle" }, NULL, has_wbt },
	{ "lock", "kernel locks", { "lock" }, NULL, NULL },
	{ "mm.reclaim", "memory", { "mm" }, NULL, NULL },
};

static bool stands_for(const struct suspect *s, const char *cause)
{
	for (int i = 0; i < UNDER_MAX && s->under[i]; i++)
		if (cause_under(cause, s->under[i]))
			return true;
	return false;
}

static struct charge charge_of(const struct findings *f, const struct contrast *c,
			       const struct suspect *s)
{
	struct charge ch = { .f = f, .c = c };

	for (int i = 0; i < UNDER_MAX && s->under[i]; i++) {
		struct contrast_sum sum = contrast__sum(c, s->under[i]);

		ch.sum.slow_ns += sum.slow_ns;
		ch.sum.fast_ns += sum.fast_ns;
		ch.sum.share += sum.share;
	}
	return ch;
}

static bool can_reject(const struct charge *ch, const struct suspect *s,
		       const struct contrast_row *top)
{
	double nameless = ch->c->unknown_growth > 0 ? ch->c->unknown_growth : 0;

	return !stands_for(s, top->cause) && ch->sum.share < REJECTED_SHARE &&
	       ch->sum.share + nameless < top->share;
}

static int write_down(struct findings *f, const struct charge *ch, const char *cause,
		      const char *note, bool alone)
{
	struct finding_rejected *row = FINDING_APPEND(&f->verdict.rejected,
						      &f->verdict.rejected_cnt);
	const char *and = note[0] ? "; " : "";
	char a[NUM], b[NUM];

	if (!row || finding_set(&row->cause, cause))
		return -ENOMEM;
	if (alone && isdigit((unsigned char)note[0])) /* its numbers are all there are */
		return finding_set(&row->why, note);
	if (ch->c->kind == CONTRAST_NONE)
		return finding_setf(&row->why, "%s of a window%s%s", say_ns(ch->sum.slow_ns, a),
				    and, note);
	return finding_setf(&row->why, "%s of a slow window, %s of a fast one%s%s",
			    say_ns(ch->sum.slow_ns, a), say_ns(ch->sum.fast_ns, b), and, note);
}

static int reject(struct findings *f, const struct charge *ch, const struct suspect *s,
		  struct rejections *rs)
{
	struct rejection *r = &rs->v[rs->cnt++];
	char note[SUSPECT_TEXT - NUM] = "", a[NUM];
	bool alone = s->tell && s->tell(ch, note, sizeof(note));

	*r = (struct rejection){ .cause = s->cause, .name = s->name };
	if (alone)
		snprintf(r->brief, sizeof(r->brief), "%s", note);
	else
		snprintf(r->brief, sizeof(r->brief), "%s%s%s", say_ns(ch->sum.slow_ns, a),
			 note[0] ? ", " : "", note);
	return write_down(f, ch, s->cause, note, alone);
}

_Static_assert(sizeof(suspects) / sizeof(suspects[0]) <= REJECTIONS_MAX, "each has its place");

int verdict__reject(struct findings *f, const struct contrast *c, const struct contrast_row *top,
		    struct rejections *rs)
{
	int err = 0;

	rs->cnt = 0;
	for (int suspicious = 1; suspicious >= 0; suspicious--)
		for (size_t i = 0; !err && i < sizeof(suspects) / sizeof(suspects[0]); i++) {
			const struct suspect *s = &suspects[i];
			struct charge ch = charge_of(f, c, s);
			bool first = s->is_suspicious && s->is_suspicious(&ch);

			if (first == suspicious && can_reject(&ch, s, top) &&
			    (first || ch.sum.slow_ns >= 1000 || rs->cnt < NEEDED))
				err = reject(f, &ch, s, rs);
		}
	return err;
}
