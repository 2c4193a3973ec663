// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * How long devices took for requests, by what these were for. Within a window percentiles are exact;
 * over the windows of a regime, which is known only when all of them were read, they come from
 * log-linear histograms and are at most 1/32 too high.
 */
#include "analysis.h"

#include <errno.h>

#define SUB_BITS 5
#define SUB	 (1u << SUB_BITS)
#define OCTAVES	 40 /* up to 550 s */
#define SLOTS	 (OCTAVES * SUB)

/* A histogram is 5 KiB: what a file with a device for each request may ask for. */
#define WINDOW_ROWS_MAX 1024
#define ROWS_MAX	32768

enum request_class { CLASS_READ, CLASS_WRITE, CLASS_META, CLASS_FLUSH, CLASS_DISCARD, CLASSES };

static const char *const class_names[CLASSES] = { "read", "write", "meta", "flush", "discard" };

/* The requests of one class that one device completed in one window. */
struct request_row {
	uint32_t dev;
	enum request_class class;
	uint64_t requests, timed, bytes, max_ns;
	uint64_t buckets[SIZE_BUCKETS];
	struct vec ns;	 /* uint64_t; only while its window is worked on */
	uint32_t *slots; /* SLOTS counts */
};

static enum request_class class_of(uint32_t opf)
{
	if (OPF_OP(opf) == OP_FLUSH || (opf & (OPF_FUA | OPF_PREFLUSH)))
		return CLASS_FLUSH;
	if (OPF_OP(opf) == OP_DISCARD || OPF_OP(opf) == OP_SECURE_ERASE)
		return CLASS_DISCARD;
	if (opf & OPF_META)
		return CLASS_META;
	return OPF_OP(opf) == OP_READ ? CLASS_READ : CLASS_WRITE;
}

/* Values below SUB have a slot each; above, each octave has SUB of them. */
static uint32_t slot_of(uint64_t ns)
{
	uint32_t shift = 0, slot;

	while (ns >> shift >= 2 * SUB)
		shift++;
	slot = shift * SUB + (uint32_t)(ns >> shift);
	return slot < SLOTS ? slot : SLOTS - 1;
}

static uint64_t slot_limit(uint32_t slot)
{
	uint32_t shift = slot < 2 * SUB ? 0 : slot / SUB - 1;

	return ((uint64_t)(slot - shift * SUB + 1) << shift) - 1;
}

static struct request_row *row_of(struct vec *rows, uint32_t dev, enum request_class class,
				  bool add)
{
	struct request_row *r;

	for (size_t i = 0; i < vec__cnt(rows); i++) {
		r = VEC_AT(rows, struct request_row, i);
		if (r->dev == dev && r->class == class)
			return r;
	}
	r = add ? VEC_PUSH(rows, struct request_row) : NULL;
	if (!r)
		return NULL;
	r->dev = dev;
	r->class = class;
	r->slots = calloc(SLOTS, sizeof(r->slots[0]));
	if (r->slots)
		return r;
	rows->end--;
	return NULL;
}

static int add_request(struct analysis *a, struct vec *rows, const struct done *d)
{
	size_t before = vec__cnt(rows);
	bool full = before >= WINDOW_ROWS_MAX || a->request_rows >= ROWS_MAX;
	struct request_row *r = row_of(rows, d->dev, class_of(d->opf), !full);
	uint64_t ns, *kept;

	a->request_rows += vec__cnt(rows) - before;
	a->unlisted_requests += !r && full;
	if (!r)
		return full ? 0 : -ENOMEM;
	r->requests++;
	r->bytes += d->bytes;
	r->buckets[size_bucket(d->bytes)]++;
	if (!d->issue_ns) /* before the recording: how long it took is not known */
		return 0;
	ns = d->complete_ns - d->issue_ns;
	kept = VEC_PUSH(&r->ns, uint64_t);
	if (!kept)
		return -ENOMEM;
	*kept = ns;
	r->timed++;
	r->max_ns = ns > r->max_ns ? ns : r->max_ns;
	r->slots[slot_of(ns)]++;
	return 0;
}

static int compare_ns(const void *x, const void *y)
{
	const uint64_t *a = x, *b = y;

	return *a < *b ? -1 : *a > *b;
}

/* The smallest value that at least that part of all values does not exceed. */
static uint64_t rank_of(uint64_t cnt, unsigned int percent)
{
	return (cnt * percent + 99) / 100;
}

static struct finding_latency *new_latency(struct finding_latency **list, size_t *cnt,
					   const struct request_row *r)
{
	struct finding_latency *l = FINDING_APPEND(list, cnt);

	if (!l)
		return NULL;
	l->dev = r->dev;
	l->class = class_names[r->class];
	l->requests = r->requests;
	l->bytes = r->bytes;
	l->max_ns = r->max_ns;
	memcpy(l->buckets, r->buckets, sizeof(l->buckets));
	return l;
}

static int write_exact(struct finding_window *fw, struct request_row *r)
{
	struct finding_latency *l = new_latency(&fw->devices, &fw->devices_cnt, r);
	uint64_t *ns = r->timed ? VEC_AT(&r->ns, uint64_t, 0) : NULL;

	if (!l)
		return -ENOMEM;
	if (ns) {
		qsort(ns, r->timed, sizeof(*ns), compare_ns);
		l->p50_ns = ns[rank_of(r->timed, 50) - 1];
		l->p90_ns = ns[rank_of(r->timed, 90) - 1];
		l->p99_ns = ns[rank_of(r->timed, 99) - 1];
	}
	vec__free(&r->ns);
	return 0;
}

static int compare_rows(const void *x, const void *y)
{
	const struct request_row *a = x, *b = y;

	if (a->dev != b->dev)
		return a->dev < b->dev ? -1 : 1;
	return (int)a->class - (int)b->class;
}

static void sort_rows(struct vec *rows)
{
	if (vec__cnt(rows))
		qsort(VEC_AT(rows, struct request_row, 0), vec__cnt(rows),
		      sizeof(struct request_row), compare_rows);
}

int latencies__window(struct analysis *a, uint32_t w)
{
	const struct window *win = WINDOW(a, w);
	struct finding_window *fw = &a->f->windows[w];
	struct vec *rows = VEC_AT(&a->requests, struct vec, w);

	for (size_t i = devices__done_after(&a->devices, win->begin_ns);
	     i < vec__cnt(&a->devices.done); i++) {
		const struct done *d = VEC_AT(&a->devices.done, struct done, i);

		if (d->complete_ns >= win->end_ns)
			break;
		if (add_request(a, rows, d))
			return -ENOMEM;
	}
	sort_rows(rows);
	for (size_t i = 0; i < vec__cnt(rows); i++)
		if (write_exact(fw, VEC_AT(rows, struct request_row, i)))
			return -ENOMEM;
	return 0;
}

/* ---- over the windows of a regime ---- */

static int merge_row(struct vec *all, const struct request_row *r)
{
	struct request_row *to = row_of(all, r->dev, r->class, true);

	if (!to)
		return -ENOMEM;
	to->requests += r->requests;
	to->timed += r->timed;
	to->bytes += r->bytes;
	to->max_ns = r->max_ns > to->max_ns ? r->max_ns : to->max_ns;
	for (int i = 0; i < SIZE_BUCKETS; i++)
		to->buckets[i] += r->buckets[i];
	for (uint32_t i = 0; i < SLOTS; i++)
		to->slots[i] += r->slots[i];
	return 0;
}

static uint64_t percentile(const struct request_row *r, unsigned int percent)
{
	uint64_t rank = rank_of(r->timed, percent), seen = 0;

	for (uint32_t i = 0; i < SLOTS && rank; i++) {
		seen += r->slots[i];
		if (seen >= rank)
			return slot_limit(i) < r->max_ns ? slot_limit(i) : r->max_ns;
	}
	return 0;
}

static void free_rows(struct vec *rows)
{
	for (size_t i = 0; i < vec__cnt(rows); i++) {
		free(VEC_AT(rows, struct request_row, i)->slots);
		vec__free(&VEC_AT(rows, struct request_row, i)->ns);
	}
	vec__free(rows);
}

static int write_regime(struct analysis *a, bool slow, enum finding_regime regime)
{
	struct vec all = { 0 };
	int err = 0;

	for (size_t w = 0; w < vec__cnt(&a->requests); w++) {
		struct vec *rows = VEC_AT(&a->requests, struct vec, w);

		for (size_t i = 0; !err && i < vec__cnt(rows); i++)
			if (a->f->windows[w].slow == slow)
				err = merge_row(&all, VEC_AT(rows, struct request_row, i));
	}
	sort_rows(&all);
	for (size_t i = 0; !err && i < vec__cnt(&all); i++) {
		const struct request_row *r = VEC_AT(&all, struct request_row, i);
		struct finding_latency *l = new_latency(&a->f->devices, &a->f->devices_cnt, r);

		if (!l) {
			err = -ENOMEM;
			break;
		}
		l->regime = regime;
		l->p50_ns = percentile(r, 50);
		l->p90_ns = percentile(r, 90);
		l->p99_ns = percentile(r, 99);
	}
	free_rows(&all);
	return err;
}

int latencies__finish(struct analysis *a)
{
	bool any_slow = false, any_fast = false;
	int err;

	for (size_t w = 0; w < a->f->windows_cnt; w++) {
		any_slow |= a->f->windows[w].slow;
		any_fast |= !a->f->windows[w].slow;
	}
	err = any_slow ? write_regime(a, true, REGIME_SLOW) : 0;
	if (!err && any_fast)
		err = write_regime(a, false, any_slow ? REGIME_FAST : REGIME_ALL);
	if (!err && a->unlisted_requests)
		err = add_warning(
			a->f, "%llu requests of further devices are not in the tables of latencies",
			(unsigned long long)a->unlisted_requests);
	latencies__free(a);
	return err;
}

void latencies__free(struct analysis *a)
{
	for (size_t w = 0; w < vec__cnt(&a->requests); w++)
		free_rows(VEC_AT(&a->requests, struct vec, w));
	vec__free(&a->requests);
}
