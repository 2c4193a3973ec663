// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* What the walk found: kept in pieces, summed by actor, and written down as a list. */
#include "critical_path.h"

#include <errno.h>
#include <stdio.h>

#define LISTED	  64   /* stretches of a path that are written */
#define MAX_HOPS  1024 /* told apart; behind that, the way there is not told */
#define VIA_BYTES 480

void path__free_inside(struct path *p)
{
	struct path_actor *actor, *next;

	HASH_ITER (hh, p->actors, actor, next) {
		HASH_DEL(p->actors, actor);
		free(actor);
	}
	for (uint32_t i = 0; i < p->pools_cnt; i++)
		tally__free(&p->pools[i].samples);
	tally__free(&p->journal);
	vec__free(&p->pieces);
	vec__free(&p->hops);
}

/* ---- hops ---- */

uint32_t path__hop(struct path *p, uint32_t from, const char *cause, const struct thread *t)
{
	size_t cnt = vec__cnt(&p->hops);
	struct hop *h;

	for (size_t i = cnt; i-- > 1;) { /* the one of a moment ago, mostly */
		h = VEC_AT(&p->hops, struct hop, i);
		if (h->from == from && h->t == t && h->cause == cause)
			return i;
	}
	if (cnt >= MAX_HOPS)
		return from;
	h = VEC_PUSH(&p->hops, struct hop);
	if (!h)
		return UINT32_MAX;
	*h = (struct hop){ .from = from, .cause = cause, .t = t };
	return cnt;
}

/* ---- actors ---- */

static struct path_actor *actor_of(struct path *p, uint32_t tid)
{
	struct path_actor *actor;

	HASH_FIND(hh, p->actors, &tid, sizeof(tid), actor);
	if (actor)
		return actor;
	actor = calloc(1, sizeof(*actor));
	if (!actor)
		return NULL;
	actor->tid = tid;
	HASH_ADD(hh, p->actors, tid, sizeof(actor->tid), actor);
	if (actor->hh.tbl)
		return actor;
	free(actor);
	return NULL;
}

uint64_t path__ns(const struct path *p, uint32_t tid)
{
	struct path_actor *actor;

	HASH_FIND(hh, p->actors, &tid, sizeof(tid), actor);
	return actor ? actor->ns : 0;
}

uint64_t path__ended_ns(const struct path *p, uint32_t tid)
{
	struct path_actor *actor;

	HASH_FIND(hh, p->actors, &tid, sizeof(tid), actor);
	return actor ? actor->ended_ns : 0;
}

static size_t piece_after(const struct vec *pieces, uint64_t ns)
{
	size_t lo = 0, hi = vec__cnt(pieces);

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (VEC_AT(pieces, struct path_piece, mid)->hi <= ns)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

uint64_t path__futex_ns(const struct path *p, uint32_t tid, uint64_t begin, uint64_t end)
{
	uint64_t ns = 0;

	for (size_t i = piece_after(&p->pieces, begin); i < vec__cnt(&p->pieces); i++) {
		const struct path_piece *piece = VEC_AT(&p->pieces, struct path_piece, i);
		uint64_t lo = piece->lo > begin ? piece->lo : begin;
		uint64_t hi = piece->hi < end ? piece->hi : end;

		if (piece->lo >= end)
			break;
		if (piece->t && piece->t->tid == tid && !strcmp(piece->cause, "futex.contended"))
			ns += hi - lo;
	}
	return ns;
}

int path__note_ender(struct path *p, uint32_t tid, uint64_t ns)
{
	struct path_actor *actor = actor_of(p, tid);

	if (!actor)
		return -ENOMEM;
	if (ns > actor->ended_ns)
		actor->ended_ns = ns;
	return 0;
}

static int note(struct path *p, const struct thread *t, uint64_t ns)
{
	struct path_actor *actor = actor_of(p, t->tid);

	if (!actor)
		return -ENOMEM;
	actor->ns += ns;
	return 0;
}

/* Who hands over and waits for the answer is not at it himself. */
static bool hands_over(const char *cause)
{
	return !strncmp(cause, "futex.", 6) || !strncmp(cause, "ipc.", 4) ||
	       !strncmp(cause, "wait.", 5);
}

/* The actor of each piece, and who waits for a device, a journal or a work item through it. */
int path__note_actors(struct path *p)
{
	for (size_t i = 0; i < vec__cnt(&p->pieces); i++) {
		const struct path_piece *piece = VEC_AT(&p->pieces, struct path_piece, i);
		uint64_t ns = piece->hi - piece->lo;
		const struct hop *h;

		if (piece->t && note(p, piece->t, ns))
			return -ENOMEM;
		for (uint32_t at = piece->hop; at; at = h->from) {
			h = VEC_AT(&p->hops, struct hop, at);
			if (h->t != piece->t && !hands_over(h->cause) && note(p, h->t, ns))
				return -ENOMEM;
		}
	}
	return 0;
}

/* ---- the list ---- */

static int by_time(const void *x, const void *y)
{
	const struct path_piece *a = x, *b = y;

	return a->lo < b->lo ? -1 : a->lo > b->lo;
}

void path__sort(struct path *p)
{
	if (vec__cnt(&p->pieces))
		qsort(VEC_AT(&p->pieces, struct path_piece, 0), vec__cnt(&p->pieces),
		      sizeof(struct path_piece), by_time);
}

static const char *shown_cause(const struct path_piece *p)
{
	return p->shown ? p->shown : p->cause;
}

static bool alike(const struct path_piece *a, const struct path_piece *b)
{
	return a->hi == b->lo && a->t == b->t && a->dev == b->dev && a->hop == b->hop &&
	       a->by == b->by && a->by_tid == b->by_tid && a->by_cause == b->by_cause &&
	       !strcmp(shown_cause(a), shown_cause(b));
}

/* Neighbours that are alike, as one. */
static int merged(const struct path *p, struct vec *out)
{
	for (size_t i = 0; i < vec__cnt(&p->pieces); i++) {
		const struct path_piece *piece = VEC_AT(&p->pieces, struct path_piece, i);
		struct path_piece *last = vec__cnt(out) ? VEC_LAST(out, struct path_piece) : NULL;

		if (last && alike(last, piece)) {
			last->hi = piece->hi;
			continue;
		}
		last = VEC_PUSH(out, struct path_piece);
		if (!last)
			return -ENOMEM;
		*last = *piece;
	}
	return 0;
}

static int longest_first(const void *x, const void *y)
{
	const struct path_piece *a = x, *b = y;
	uint64_t m = a->hi - a->lo, n = b->hi - b->lo;

	if (m != n)
		return m > n ? -1 : 1;
	return by_time(x, y);
}

static size_t say_hop(const struct path *p, uint32_t at, char *buf, size_t size, int left)
{
	const struct hop *h = VEC_AT(&p->hops, struct hop, at);
	size_t n = 0;

	if (!at || !left)
		return 0;
	n = say_hop(p, h->from, buf, size, left - 1);
	if (n >= size)
		return n;
	return n + snprintf(buf + n, size - n, "%s%s of %s/%u", n ? " > " : "", h->cause,
			    h->t->comm, h->t->tid);
}

static void say_holder(const struct path_piece *p, char *buf, size_t size, size_t n)
{
	const char *sep = n ? " > " : "";

	if (n >= size)
		return;
	if (p->by && p->by_cause && !strncmp(p->by_cause, "unknown.", 8))
		snprintf(buf + n, size - n, "%sheld by %s/%u, of which no more is known", sep,
			 p->by->comm, p->by->tid);
	else if (p->by && p->by_cause)
		snprintf(buf + n, size - n, "%sheld by %s/%u, which was in %s", sep, p->by->comm,
			 p->by->tid, p->by_cause);
	else if (p->by)
		snprintf(buf + n, size - n, "%sbehind %s/%u", sep, p->by->comm, p->by->tid);
	else if (p->by_tid)
		snprintf(buf + n, size - n, "%sbehind tid %u", sep, p->by_tid);
}

static int write_piece(const struct path *p, const struct window *w, struct finding_window *fw,
		       const struct path_piece *piece)
{
	struct finding_segment *s = FINDING_APPEND(&fw->path, &fw->path_cnt);
	char via[VIA_BYTES] = "";
	int err;

	if (!s)
		return -ENOMEM;
	s->begin_ns = piece->lo - w->begin_ns;
	s->ns = piece->hi - piece->lo;
	say_holder(piece, via, sizeof(via), say_hop(p, piece->hop, via, sizeof(via), 6));
	err = finding_set(&s->cause, shown_cause(piece));
	if (!err)
		err = finding_set(&s->via, via);
	if (err)
		return err;
	if (piece->t)
		return finding_setf(&s->actor, "%s/%u", piece->t->comm, piece->t->tid);
	if (!piece->dev)
		return finding_set(&s->actor, "");
	return finding_setf(&s->actor, "device %u:%u", piece->dev >> 20, piece->dev & 0xfffff);
}

int path__write(const struct path *p, const struct window *w, struct finding_window *fw)
{
	struct vec list = { 0 };
	int err = merged(p, &list);
	size_t cnt = vec__cnt(&list);

	if (!err && cnt > LISTED) {
		qsort(VEC_AT(&list, struct path_piece, 0), cnt, sizeof(struct path_piece),
		      longest_first);
		for (size_t i = LISTED; i < cnt; i++) {
			const struct path_piece *rest = VEC_AT(&list, struct path_piece, i);

			fw->path_rest_cnt++;
			fw->path_rest_ns += rest->hi - rest->lo;
		}
		cnt = LISTED;
		qsort(VEC_AT(&list, struct path_piece, 0), cnt, sizeof(struct path_piece), by_time);
	}
	for (size_t i = 0; !err && i < cnt; i++)
		err = write_piece(p, w, fw, VEC_AT(&list, struct path_piece, i));
	vec__free(&list);
	return err;
}
