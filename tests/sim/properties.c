// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The ledger against the truth, and the truth against the machine. */
#include "properties.h"

#include <stdarg.h>
#include <string.h>

#include "../../user/analyze/analyze.h"
#include "../unit/trace_builder.h"

/* How much an item is made shorter: less than what usually lies between two events. */
#define SHORTER_NS 16

bool failed(struct failure *f, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(f->why, sizeof(f->why), fmt, ap);
	va_end(ap);
	return false;
}

/* ---- sums ---- */

static const char *merged(const char *cause)
{
	return !strncmp(cause, "cpu.runqueue", 12) ? "cpu.runqueue" : cause;
}

void sums__add(struct sums *s, const char *cause, uint64_t ns)
{
	uint32_t i = 0;

	cause = merged(cause);
	while (i < s->cnt && strcmp(s->row[i].cause, cause))
		i++;
	if (i == sizeof(s->row) / sizeof(s->row[0]))
		return;
	s->cnt = i == s->cnt ? i + 1 : s->cnt;
	snprintf(s->row[i].cause, sizeof(s->row[i].cause), "%s", cause);
	s->row[i].ns += ns;
}

void sums__window(struct sums *s, const struct finding_window *w)
{
	for (size_t i = 0; i < w->ledger_cnt; i++)
		sums__add(s, w->ledger[i].cause, w->ledger[i].ns);
}

uint64_t sums__of(const struct sums *s, const char *cause)
{
	for (uint32_t i = 0; i < s->cnt; i++)
		if (!strcmp(s->row[i].cause, merged(cause)))
			return s->row[i].ns;
	return 0;
}

static bool covers(const struct sums *a, const struct sums *b, uint32_t times, struct failure *f)
{
	for (uint32_t i = 0; i < b->cnt; i++) {
		uint64_t ns = sums__of(a, b->row[i].cause);

		if (ns != b->row[i].ns * times)
			return failed(f, "%s: %llu ns, expected %llu", b->row[i].cause,
				      (unsigned long long)ns,
				      (unsigned long long)b->row[i].ns * times);
	}
	return true;
}

static bool covered(const struct sums *a, const struct sums *b, struct failure *f)
{
	for (uint32_t i = 0; i < a->cnt; i++)
		if (a->row[i].ns && !sums__of(b, a->row[i].cause))
			return failed(f, "%s: %llu ns, expected none", a->row[i].cause,
				      (unsigned long long)a->row[i].ns);
	return true;
}

bool sums__equal(const struct sums *a, const struct sums *b, uint32_t times, struct failure *f)
{
	return covers(a, b, times, f) && covered(a, b, f);
}

/* ---- analysis ---- */

struct findings *diagnose_run(const struct run *r, const struct variant *v, struct failure *f)
{
	const struct analyze_opts opts = { .window = "mark", .max_loss_percent = 100 };
	struct trace_builder *b = emit__trace(r, v);
	struct findings *found = NULL;
	int err = b ? tb__finish(b) : -1;

	if (!err)
		err = analyze__trace(tb__path(b), &opts, &found);
	if (err)
		failed(f, "no findings: %d", err);
	tb__free(b);
	return found;
}

static bool window_sums(const struct finding_window *w, struct failure *f)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < w->ledger_cnt; i++)
		sum += w->ledger[i].ns;
	if (sum != w->duration_ns)
		return failed(f, "L1: the ledger sums to %llu of %llu ns", (unsigned long long)sum,
			      (unsigned long long)w->duration_ns);
	for (size_t t = 0; t < w->threads_cnt; t++) {
		const struct finding_thread *th = &w->threads[t];

		sum = th->running_user_ns + th->running_kernel_ns + th->runnable_ns;
		for (size_t i = 0; i < th->blocked_cnt; i++)
			sum += th->blocked[i].ns;
		if (sum != th->wall_ns)
			return failed(f, "L10: thread %u sums to %llu of %llu ns", th->tid,
				      (unsigned long long)sum, (unsigned long long)th->wall_ns);
	}
	return true;
}

bool all_sums(const struct findings *found, struct failure *f)
{
	for (size_t w = 0; w < found->windows_cnt; w++)
		if (!window_sums(&found->windows[w], f))
			return false;
	return true;
}

/* ---- states of threads ---- */

static uint64_t overlap(uint64_t a, uint64_t b, uint64_t lo, uint64_t hi)
{
	a = a > lo ? a : lo;
	b = b < hi ? b : hi;
	return b > a ? b - a : 0;
}

static void states_of(const struct run *r, uint32_t task, uint64_t ns[3])
{
	memset(ns, 0, 3 * sizeof(ns[0]));
	for (size_t i = 0; i < vec__cnt(&r->spans[task]); i++) {
		const struct sim_span *s = VEC_AT(&r->spans[task], struct sim_span, i);

		ns[s->state] += overlap(s->begin, s->end, r->begin_ns, r->end_ns);
	}
}

/* L4: what ran and what stood in a runqueue is known to the nanosecond. */
static bool right_states(const struct run *r, const struct finding_window *w, struct failure *f)
{
	for (size_t i = 0; i < w->threads_cnt; i++) {
		const struct finding_thread *th = &w->threads[i];
		uint64_t run = th->running_user_ns + th->running_kernel_ns, ns[3];
		uint32_t task = 0;

		while (task < r->tasks_cnt && r->tid[task] != th->tid)
			task++;
		if (task == r->tasks_cnt)
			return failed(f, "L7: a thread %u that there never was", th->tid);
		states_of(r, task, ns);
		if (run != ns[SIM_RUN] || th->runnable_ns != ns[SIM_READY])
			return failed(
				f, "L4: thread %u ran %llu of %llu ns, was ready %llu of %llu",
				th->tid, (unsigned long long)run, (unsigned long long)ns[SIM_RUN],
				(unsigned long long)th->runnable_ns,
				(unsigned long long)ns[SIM_READY]);
	}
	return true;
}

/* ---- the ledger ---- */

static int by_issue(const void *x, const void *y)
{
	const struct sim_rq *a = x, *b = y;

	return a->issue_ns < b->issue_ns ? -1 : a->issue_ns > b->issue_ns;
}

/* How long any device had something to serve in the window: at most what a path can charge. */
static uint64_t in_service(const struct run *r)
{
	size_t cnt = vec__cnt(&r->rqs);
	struct sim_rq *rqs = calloc(cnt + 1, sizeof(*rqs));
	uint64_t busy = 0, until = r->begin_ns;

	if (!rqs)
		return 0;
	if (cnt)
		memcpy(rqs, VEC_AT(&r->rqs, struct sim_rq, 0), cnt * sizeof(*rqs));
	qsort(rqs, cnt, sizeof(*rqs), by_issue);
	for (size_t i = 0; i < cnt; i++) {
		if (!rqs[i].issue_ns)
			continue;
		busy += overlap(rqs[i].issue_ns, rqs[i].done_ns, until, r->end_ns);
		until = rqs[i].done_ns > until ? rqs[i].done_ns : until;
	}
	free(rqs);
	return busy;
}

/* L5: a path cannot wait for devices for longer than they had something to serve. */
static bool served_at_most(const struct run *r, const struct sums *ledger, struct failure *f)
{
	uint64_t ns = sums__of(ledger, "io.device_service");

	if (ns <= in_service(r))
		return true;
	return failed(f, "L5: %llu ns of io.device_service, but %llu ns with requests in service",
		      (unsigned long long)ns, (unsigned long long)in_service(r));
}

static bool nothing_unknown(const struct sums *ledger, struct failure *f)
{
	for (uint32_t i = 0; i < ledger->cnt; i++)
		if (!strncmp(ledger->row[i].cause, "unknown.", 8))
			return failed(f, "L2: %llu ns of %s, though nothing was lost",
				      (unsigned long long)ledger->row[i].ns, ledger->row[i].cause);
	return true;
}

static bool like_the_truth(const struct run *r, const struct sums *ledger,
			   struct tally_of_checks *n, struct failure *f)
{
	struct sums want = { 0 };
	struct truth truth;
	bool good = !truth__walk(r, r->begin_ns, r->end_ns, &truth);

	for (size_t i = 0; good && i < vec__cnt(&truth.pieces); i++) {
		const struct truth_piece *p = VEC_AT(&truth.pieces, struct truth_piece, i);

		sums__add(&want, p->cause, p->end - p->begin);
		n->pieces++;
		n->walked += p->depth > 0;
	}
	good = good && sums__equal(ledger, &want, 1, f);
	truth__free(&truth);
	return good;
}

bool check_ledger(const struct run *r, struct tally_of_checks *n, struct failure *f)
{
	struct variant v = VARIANT_PLAIN;
	struct findings *found = diagnose_run(r, &v, f);
	struct sums ledger = { 0 };
	bool good;

	if (!found)
		return false;
	sums__window(&ledger, &found->windows[0]);
	good = all_sums(found, f) && right_states(r, &found->windows[0], f) &&
	       like_the_truth(r, &ledger, n, f) && nothing_unknown(&ledger, f) &&
	       served_at_most(r, &ledger, f);
	n->records += vec__cnt(&r->log);
	findings__free(found);
	return good;
}

/* ---- the oracle ---- */

/* When it first had any effect; UINT64_MAX = never. */
static uint64_t begin_of_item(const struct run *r, int item)
{
	uint64_t ns = UINT64_MAX;

	for (uint32_t t = 0; t < r->tasks_cnt; t++)
		for (size_t i = 0; i < vec__cnt(&r->spans[t]); i++) {
			const struct sim_span *s = VEC_AT(&r->spans[t], struct sim_span, i);

			if (s->item == item && s->begin < ns)
				ns = s->begin;
		}
	for (size_t i = 0; i < vec__cnt(&r->rqs); i++) {
		const struct sim_rq *q = VEC_AT(&r->rqs, struct sim_rq, i);

		if (q->item == item && q->bio_ns < ns)
			ns = q->bio_ns;
	}
	return ns;
}

/* Of the path, from where on it was the only constraint; how often it stands there. */
static uint64_t charged(const struct truth *t, int item, const char **cause)
{
	uint64_t ns = 0;

	for (size_t i = 0; i < vec__cnt(&t->pieces); i++) {
		const struct truth_piece *p = VEC_AT(&t->pieces, struct truth_piece, i);

		if (p->item != item || p->begin < t->solid_ns)
			continue;
		ns += p->end - p->begin;
		*cause = p->cause;
	}
	return ns;
}

/* The same events of the same threads in the same order: only times differ. */
static bool same_order(const struct run *a, const struct run *b)
{
	if (vec__cnt(&a->log) != vec__cnt(&b->log))
		return false;
	for (size_t i = 0; i < vec__cnt(&a->log); i++) {
		const struct sim_rec *x = VEC_AT(&a->log, struct sim_rec, i);
		const struct sim_rec *y = VEC_AT(&b->log, struct sim_rec, i);

		if (x->kind != y->kind || x->tid != y->tid || x->other != y->other ||
		    x->cpu != y->cpu || x->act != y->act)
			return false;
	}
	return true;
}

static bool judge(const struct run *r, const struct truth *t, int item, int64_t moved,
		  struct failure *f)
{
	const char *cause = "";
	uint64_t ns = charged(t, item, &cause), begin = begin_of_item(r, item);
	/* The journal's two requests of a commit have one length: the end moves for each of them. */
	const int64_t most = r->p->threads[item / (SIM_OPS * 2)].ops[item / 2 % SIM_OPS].kind ==
					     OP_COMMIT
				     ? 2 * SHORTER_NS
				     : SHORTER_NS;

	/* What is left of a slice depends on when others came and went: an item counts more often. */
	if (!r->preempted && (moved < 0 || moved > most))
		return failed(f, "oracle: item %d made shorter by %d moves the end by %lld", item,
			      SHORTER_NS, (long long)moved);
	if (ns >= SHORTER_NS && !moved)
		return failed(f,
			      "oracle: item %d is %llu ns of %s on the path, alone, and yet the "
			      "end does not move",
			      item, (unsigned long long)ns, cause);
	if (!ns && moved && begin >= t->solid_ns)
		return failed(f,
			      "oracle: item %d is not on the path, and yet the end moves by %lld",
			      item, (long long)moved);
	return true;
}

static bool shorten(const struct run *r, const struct truth *t, int item, struct tally_of_checks *n,
		    struct failure *f)
{
	struct program p = *r->p;
	bool good = true;
	struct run *again;
	int64_t moved;

	if (*program__item(&p, item) <= 2 * SHORTER_NS)
		return true;
	*program__item(&p, item) -= SHORTER_NS;
	again = run__new(&p);
	if (!again)
		return failed(f, "no memory");
	moved = (int64_t)(r->end_ns - again->end_ns);
	/* By a part of it: something else was reached on the way, an interrupt's end for one. */
	if (r->tied || !same_order(r, again) || moved % SHORTER_NS) {
		n->reordered++;
	} else {
		n->items++;
		n->moved += moved != 0;
		good = judge(r, t, item, moved, f);
	}
	run__free(again);
	return good;
}

bool check_oracle(const struct run *r, struct tally_of_checks *n, struct failure *f)
{
	struct truth truth;
	bool good = !truth__walk(r, r->begin_ns, r->end_ns, &truth);

	for (uint32_t t = 0; good && t < r->p->threads_cnt; t++)
		for (uint32_t k = 0; good && k < r->p->threads[t].ops_cnt; k++)
			good = shorten(r, &truth, item_of(t, k, 0), n, f) &&
			       shorten(r, &truth, item_of(t, k, 1), n, f);
	truth__free(&truth);
	return good;
}
