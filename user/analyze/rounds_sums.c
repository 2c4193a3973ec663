// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The rounds that are sums: of futex waits, of samples, and the ledger that they are held against. */
#include "rounds_say.h"

#include <errno.h>
#include <stdio.h>

/* ---- 3: futex waits ---- */

struct futex_sum {
	const struct finding_futex *first;
	uint64_t waits, ns, path_ns;
	uint32_t windows[3]; /* by class */
};

static struct futex_sum *futex_sum(struct vec *sums, const struct finding_futex *x)
{
	struct futex_sum *sum;

	for (size_t i = 0; i < vec__cnt(sums); i++) {
		sum = VEC_AT(sums, struct futex_sum, i);
		if (sum->first->uaddr == x->uaddr)
			return sum;
	}
	sum = VEC_PUSH(sums, struct futex_sum);
	if (sum)
		sum->first = x;
	return sum;
}

static int sum_futexes(const struct story *s, struct vec *sums)
{
	for (size_t w = 0; w < s->f->windows_cnt; w++)
		for (size_t i = 0; i < s->f->windows[w].futexes_cnt; i++) {
			const struct finding_futex *x = &s->f->windows[w].futexes[i];
			struct futex_sum *sum = story__counts(s, &s->f->windows[w])
							? futex_sum(sums, x)
							: NULL;

			if (!story__counts(s, &s->f->windows[w]))
				continue;
			if (!sum)
				return -ENOMEM;
			sum->waits += x->waits;
			sum->ns += x->wait_ns;
			sum->path_ns += x->path_ns;
			sum->windows[x->class]++;
		}
	return 0;
}

static int by_wait(const void *x, const void *y)
{
	const struct futex_sum *a = x, *b = y;

	if (a->ns != b->ns)
		return a->ns > b->ns ? -1 : 1;
	return a->first->uaddr < b->first->uaddr ? -1 : a->first->uaddr > b->first->uaddr;
}

static int write_futexes(struct story *s, const struct vec *sums)
{
	for (size_t i = 0; i < vec__cnt(sums) && i < ROUND_ROWS_MAX; i++) {
		const struct futex_sum *sum = VEC_AT(sums, struct futex_sum, i);
		struct finding_round_row *row;
		char address[ROUND_NUM];

		snprintf(address, sizeof(address), "0x%llx", (unsigned long long)sum->first->uaddr);
		row = story__add_row(s, address, sum->waits, sum->ns);
		if (!row ||
		    finding_setf(&row->note, "%.0f %% of the pause; %s",
				 percent_of(sum->ns, s->f->rounds.window_ns), sum->first->mapping))
			return -ENOMEM;
	}
	return 0;
}

static int say_futexes(struct story *s, const struct vec *sums)
{
	uint32_t hot = 0, passive = 0;
	uint64_t path_ns = 0;
	char a[ROUND_NUM];

	for (size_t i = 0; i < vec__cnt(sums); i++) {
		const struct futex_sum *sum = VEC_AT(sums, struct futex_sum, i);

		path_ns += sum->path_ns;
		if (percent_of(sum->ns, s->f->rounds.window_ns) < ROUND_MOST)
			continue;
		hot++;
		passive += !sum->windows[FUTEX_CONTENDED] && sum->windows[FUTEX_PASSIVE];
	}
	if (!hot) {
		story__say(s, &s->round->conclusion,
			   "no futex is waited for through half of the "
			   "pause: not the futexes");
		story__say(s, &s->round->why,
			   "the ledger charges %s to futexes; what else held "
			   "the pause is not looked at",
			   ns_text(path_ns, a));
		return story__conclude(s, "");
	}
	story__say(s, &s->round->conclusion,
		   "%u futex%s waited for through the pause: lock contention", hot,
		   hot == 1 ? " is" : "es are");
	if (passive)
		story__say(s, &s->round->why,
			   "%u of %u only released when the path went on: passive; the ledger "
			   "charges %s to futexes",
			   passive, hot, ns_text(path_ns, a));
	else
		story__say(s, &s->round->why, "the ledger charges %s of that to futexes",
			   ns_text(path_ns, a));
	return story__conclude(s, "futex.contended");
}

int tell_futexes(struct story *s)
{
	struct vec sums = { 0 };
	int err = story__begin_round(s, "futex waits");

	if (!err)
		err = finding_set(&s->round->method,
				  "time in futex() by address, summed over all threads");
	if (!err)
		err = sum_futexes(s, &sums);
	if (!err && vec__cnt(&sums))
		qsort(VEC_AT(&sums, struct futex_sum, 0), vec__cnt(&sums), sizeof(struct futex_sum),
		      by_wait);
	if (!err)
		err = write_futexes(s, &sums);
	if (!err)
		err = say_futexes(s, &sums);
	vec__free(&sums);
	return err;
}

/* ---- 4: samples of the CPU ---- */

static int by_count(const void *x, const void *y)
{
	const struct tally_row *a = x, *b = y;

	if (a->ns != b->ns)
		return a->ns > b->ns ? -1 : 1;
	return strcmp(a->cause, b->cause);
}

static void sort_counts(struct tally *t)
{
	if (vec__cnt(&t->rows))
		qsort(VEC_AT(&t->rows, struct tally_row, 0), vec__cnt(&t->rows),
		      sizeof(struct tally_row), by_count);
}

static int say_samples(struct story *s)
{
	struct round_window *r = &s->sum;
	uint64_t all = r->symbols.total_ns;
	const struct tally_row *top = VEC_AT(&r->sample_causes.rows, struct tally_row, 0);
	char a[ROUND_NUM], b[ROUND_NUM];

	story__say(s, &s->round->conclusion, "%.0f %% of the samples are %s; hottest function %s",
		   percent_of(top->ns, all), top->cause,
		   VEC_AT(&r->symbols.rows, struct tally_row, 0)->cause);
	story__say(s, &s->round->why,
		   "%llu sample%s for %s on the CPU, of pauses of %s: what sleeps takes none",
		   (unsigned long long)all, all == 1 ? " stands" : "s stand",
		   ns_text(r->running_ns, a), ns_text(s->f->rounds.window_ns, b));
	return story__conclude(s, top->cause);
}

int tell_samples(struct story *s)
{
	struct round_window *r = &s->sum;
	uint64_t all = r->symbols.total_ns;
	int err = story__begin_round(s, "CPU samples");
	char a[ROUND_NUM], b[ROUND_NUM];

	if (!err)
		err = finding_setf(&s->round->method, "perf record -g at %.0f Hz: %llu sample%s",
				   s->a->sample_hz, (unsigned long long)all, all == 1 ? "" : "s");
	if (err)
		return err;
	sort_counts(&r->symbols);
	sort_counts(&r->sample_causes);
	for (size_t i = 0; i < vec__cnt(&r->symbols.rows) && i < ROUND_ROWS_MAX; i++) {
		const struct tally_row *t = VEC_AT(&r->symbols.rows, struct tally_row, i);
		struct finding_round_row *row = story__add_row(s, t->cause, t->ns, 0);

		if (!row || finding_setf(&row->note, "%.0f %%", percent_of(t->ns, all)))
			return -ENOMEM;
	}
	if (all)
		return say_samples(s);
	story__say(s, &s->round->conclusion, "not one sample hit the process");
	story__say(s, &s->round->why, "it was on the CPU for %s of %s", ns_text(r->running_ns, a),
		   ns_text(s->f->rounds.window_ns, b));
	return story__conclude(s, "");
}

/* ---- 5: the ledger ---- */

static int sum_ledgers(const struct story *s, struct tally *sum)
{
	for (size_t w = 0; w < s->f->windows_cnt; w++)
		for (size_t i = 0; i < s->f->windows[w].ledger_cnt; i++) {
			const struct finding_share *l = &s->f->windows[w].ledger[i];

			if (story__counts(s, &s->f->windows[w]) &&
			    tally__add(sum, l->cause, l->ns, l->carry_over_ns))
				return -ENOMEM;
		}
	sort_counts(sum);
	return 0;
}

static int write_ledger(struct story *s, const struct tally *sum)
{
	char carry[ROUND_NUM];

	for (size_t i = 0; i < vec__cnt(&sum->rows) && i < ROUND_ROWS_MAX; i++) {
		const struct tally_row *t = VEC_AT(&sum->rows, struct tally_row, i);
		struct finding_round_row *row = story__add_row(s, t->cause, 0, t->ns);

		if (!row)
			return -ENOMEM;
		if (t->carry_ns ? finding_setf(&row->note, "%.1f %% of the pause; carry-over %s",
					       percent_of(t->ns, sum->total_ns),
					       ns_text(t->carry_ns, carry))
				: finding_setf(&row->note, "%.1f %% of the pause",
					       percent_of(t->ns, sum->total_ns)))
			return -ENOMEM;
	}
	return 0;
}

static int say_ledger(struct story *s, const struct tally *sum)
{
	const struct finding_verdict *v = &s->f->verdict;
	uint64_t unknown = 0;
	char a[ROUND_NUM];

	for (size_t i = 0; i < vec__cnt(&sum->rows); i++) {
		const struct tally_row *t = VEC_AT(&sum->rows, struct tally_row, i);

		unknown += strncmp(t->cause, "unknown.", 8) ? 0 : t->ns;
	}
	if (!strcmp(v->cause, "none"))
		story__say(s, &s->round->conclusion, "no anomaly");
	else
		story__say(s, &s->round->conclusion, "%.0f %% of the %s", 100 * v->share,
			   s->f->rounds.regime == REGIME_SLOW ? "growth" : "pause");
	story__say(s, &s->round->why,
		   "the rows sum to the pauses to the nanosecond; without a name: %s",
		   ns_text(unknown, a));
	s->round->agrees = true;
	return finding_set(&s->round->cause, v->cause);
}

int tell_ledger(struct story *s)
{
	struct tally sum = { 0 };
	int err = story__begin_round(s, "ledger");

	if (!err)
		err = finding_set(&s->round->method, "each nanosecond of the thread that closes "
						     "the window, and of those it waited for");
	if (!err)
		err = sum_ledgers(s, &sum);
	if (!err)
		err = write_ledger(s, &sum);
	if (!err)
		err = say_ledger(s, &sum);
	tally__free(&sum);
	return err;
}
