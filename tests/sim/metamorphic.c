// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The same run told in another way: in another order, on another clock, with other numbers, beside
 * strangers, without those who only waited, in two parts, with holes. What may change is known.
 */
#include "properties.h"

#include <stdlib.h>
#include <string.h>

#include "../../reports/json.h"

static bool ledger_of(const struct run *r, const struct variant *v, struct sums *out,
		      struct failure *f)
{
	struct findings *found = diagnose_run(r, v, f);

	memset(out, 0, sizeof(*out));
	for (size_t w = 0; found && w < found->windows_cnt; w++)
		sums__window(out, &found->windows[w]);
	findings__free(found);
	return found;
}

/* Both ledgers, and that the second is `times` the first. `what` names the property. */
static bool same_ledger(const struct run *r, const struct variant *v, uint32_t times,
			const char *what, struct failure *f)
{
	struct variant plain = VARIANT_PLAIN;
	struct sums before, after;
	char why[sizeof(f->why)];

	if (!ledger_of(r, &plain, &before, f) || !ledger_of(r, v, &after, f))
		return false;
	if (sums__equal(&after, &before, times, f))
		return true;
	memcpy(why, f->why, sizeof(why));
	return failed(f, "%s: %.300s", what, why);
}

/* ---- L9 ---- */

static char *report_of(const struct run *r, const struct variant *v, struct failure *f)
{
	struct findings *found = diagnose_run(r, v, f);
	char *text = NULL;
	size_t size;
	FILE *to;

	if (!found)
		return NULL;
	to = open_memstream(&text, &size);
	if (!to || finding_set(&found->source, "") || findings__write_json(to, found))
		failed(f, "no report");
	if (to)
		fclose(to);
	findings__free(found);
	return text;
}

bool check_deterministic(const struct run *r, struct tally_of_checks *n, struct failure *f)
{
	struct variant plain = VARIANT_PLAIN, reversed = VARIANT_PLAIN;
	char *a = report_of(r, &plain, f), *b, *c;
	bool good;

	reversed.reverse_cpus = true;
	b = report_of(r, &plain, f);
	c = report_of(r, &reversed, f);
	good = a && b && c;
	if (good && strcmp(a, b))
		good = failed(f, "L9: two reports of one trace differ");
	if (good && strcmp(a, c))
		good = failed(f, "L9: the order of the CPUs in the file changes the report");
	free(a);
	free(b);
	free(c);
	return good;
}

/* ---- M1, M2, M3 ---- */

bool check_scaled(const struct run *r, struct tally_of_checks *n, struct failure *f)
{
	struct variant v = VARIANT_PLAIN;

	v.scale = 3;
	return same_ledger(r, &v, 3, "M1", f);
}

bool check_relabelled(const struct run *r, struct tally_of_checks *n, struct failure *f)
{
	struct variant v = VARIANT_PLAIN;

	v.relabel = true;
	return same_ledger(r, &v, 1, "M2", f);
}

/* A thread that the path never went through; -1 = all are on it. */
static int not_on_path(const struct run *r)
{
	struct truth truth;
	bool on[SIM_TASKS] = { true };
	int found = -1;

	if (truth__walk(r, r->begin_ns, r->end_ns, &truth))
		return -1;
	for (size_t i = 0; i < vec__cnt(&truth.pieces); i++)
		on[VEC_AT(&truth.pieces, struct truth_piece, i)->task] = true;
	truth__free(&truth);
	for (uint32_t i = 1; i < r->p->threads_cnt; i++)
		if (!on[i] && (found < 0 || (r->p->seed + i) % 3 == 0))
			found = i;
	return found;
}

bool check_bystanders(const struct run *r, struct tally_of_checks *n, struct failure *f)
{
	struct variant strangers = VARIANT_PLAIN, without = VARIANT_PLAIN;

	strangers.strangers = true;
	without.leave_out = not_on_path(r);
	return same_ledger(r, &strangers, 1, "M3, strangers", f) &&
	       (without.leave_out < 0 || same_ledger(r, &without, 1, "M3, without a thread", f));
}

/* ---- M4 ---- */

/* Where the path is with the thread that closes both parts: there, they are two windows. */
static uint64_t middle_of_own_piece(const struct run *r)
{
	struct truth truth;
	uint64_t at = 0;
	uint32_t seen = 0;

	if (truth__walk(r, r->begin_ns, r->end_ns, &truth))
		return 0;
	for (size_t i = 0; i < vec__cnt(&truth.pieces); i++) {
		const struct truth_piece *p = VEC_AT(&truth.pieces, struct truth_piece, i);

		if (p->depth || p->end - p->begin < 4 || r->p->seed % (++seen))
			continue;
		at = p->begin + (p->end - p->begin) / 2;
	}
	truth__free(&truth);
	return at;
}

bool check_split(const struct run *r, struct tally_of_checks *n, struct failure *f)
{
	struct variant v = VARIANT_PLAIN;

	v.split_ns = middle_of_own_piece(r);
	return !v.split_ns || same_ledger(r, &v, 1, "M4", f);
}

/* ---- M5, M6 ---- */

static uint64_t total(const struct sums *s)
{
	uint64_t ns = 0;

	for (uint32_t i = 0; i < s->cnt; i++)
		ns += s->row[i].ns;
	return ns;
}

static bool is_unknown(const char *cause)
{
	return !strncmp(cause, "unknown.", 8);
}

static uint64_t unknown_of(const struct sums *s)
{
	uint64_t ns = 0;

	for (uint32_t i = 0; i < s->cnt; i++)
		ns += is_unknown(s->row[i].cause) ? s->row[i].ns : 0;
	return ns;
}

/* By how much causes with a name are larger in `b` than in `a`, all together. */
static uint64_t growth(const struct sums *a, const struct sums *b)
{
	uint64_t ns = 0;

	for (uint32_t i = 0; i < b->cnt; i++) {
		uint64_t before = sums__of(a, b->row[i].cause);

		if (!is_unknown(b->row[i].cause) && b->row[i].ns > before)
			ns += b->row[i].ns - before;
	}
	return ns;
}

static bool sums_with(const struct run *r, const struct variant *v, struct sums *after,
		      struct failure *f)
{
	if (!ledger_of(r, v, after, f))
		return false;
	if (total(after) == r->end_ns - r->begin_ns)
		return true;
	return failed(f, "M5: with records lost the ledger sums to %llu of %llu ns",
		      (unsigned long long)total(after),
		      (unsigned long long)(r->end_ns - r->begin_ns));
}

bool check_dropped(const struct run *r, struct tally_of_checks *n, struct failure *f)
{
	struct variant plain = VARIANT_PLAIN, lossy = VARIANT_PLAIN;
	struct sums before, after;

	lossy.drop_permille = 5 + r->p->seed % 200;
	lossy.chance = r->p->seed;
	if (!ledger_of(r, &plain, &before, f) || !sums_with(r, &lossy, &after, f))
		return false;
	lossy.keep_spans = true;
	if (!sums_with(r, &lossy, &after, f))
		return false;
	if (growth(&before, &after) && unknown_of(&after) <= unknown_of(&before))
		return failed(f,
			      "M5: records were lost, %llu ns have another name, none is unknown",
			      (unsigned long long)growth(&before, &after));
	return true;
}

bool check_skewed(const struct run *r, struct tally_of_checks *n, struct failure *f)
{
	struct variant plain = VARIANT_PLAIN, skewed = VARIANT_PLAIN;
	struct sums before, after;
	struct truth truth;
	uint64_t limit;

	skewed.skew_ns = 2000;
	if (truth__walk(r, r->begin_ns, r->end_ns, &truth))
		return failed(f, "no memory");
	/* Each border between two pieces may lie on CPUs whose clocks differ. */
	limit = (vec__cnt(&truth.pieces) + 2) * skewed.skew_ns;
	truth__free(&truth);
	if (!ledger_of(r, &plain, &before, f) || !ledger_of(r, &skewed, &after, f))
		return false;
	n->window_ns += total(&before);
	n->unknown_ns += unknown_of(&after);
	if (growth(&before, &after) > limit)
		return failed(f, "M6: 2 us between CPUs give %llu ns another name",
			      (unsigned long long)growth(&before, &after));
	return true;
}
