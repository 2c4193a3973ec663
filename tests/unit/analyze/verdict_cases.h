/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Findings as the ledger leaves them, built by hand, and their verdict. */
#ifndef FLATPAUSE_TESTS_VERDICT_CASES_H
#define FLATPAUSE_TESTS_VERDICT_CASES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "../../../user/analyze/verdict.h"

#define MS	 1000000ull
#define ROWS_MAX 6

/* What a window is made of; a NULL cause ends. */
struct row {
	const char *cause;
	double fast_ms, slow_ms;
};

static inline void must(int err)
{
	assert_int_equal(err, 0);
}

/* Repeatable noise of +-8 %, so that windows are alike but not equal. */
static inline double jitter(uint32_t sweep, uint32_t index, size_t row)
{
	return 0.92 + 0.16 * ((sweep * 7919 + index * 104729 + row * 1299709) % 101) / 100.0;
}

static inline struct finding_window *add_window(struct analysis *a, uint32_t sweep, uint32_t index)
{
	struct finding_window *w = FINDING_APPEND(&a->f->windows, &a->f->windows_cnt);

	assert_non_null(w);
	assert_non_null(VEC_PUSH(&a->evidence, struct evidence));
	must(finding_set(&w->detector, "api"));
	must(finding_set(&w->label, ""));
	w->sweep = sweep;
	w->index = index;
	w->reported_ns = FINDING_NS_NONE;
	return w;
}

static inline void add_share(struct finding_window *w, const char *cause, uint64_t ns)
{
	struct finding_share *s;

	for (size_t i = 0; i < w->ledger_cnt; i++)
		if (!strcmp(w->ledger[i].cause, cause)) {
			w->ledger[i].ns += ns;
			w->duration_ns += ns;
			return;
		}
	s = FINDING_APPEND(&w->ledger, &w->ledger_cnt);
	assert_non_null(s);
	must(finding_set(&s->cause, cause));
	s->ns = ns;
	w->duration_ns += ns;
}

/* `sweeps` of `windows`, slow from `step` on (0 = never), made of `rows`. */
static inline void begin_case(struct analysis *a, uint32_t sweeps, uint32_t windows, uint32_t step,
			      const struct row *rows)
{
	*a = (struct analysis){ .f = findings__new() };
	assert_non_null(a->f);
	for (uint32_t s = 1; s <= sweeps; s++)
		for (uint32_t i = 1; i <= windows; i++) {
			struct finding_window *w = add_window(a, s, i);

			for (size_t k = 0; k < ROWS_MAX && rows[k].cause; k++) {
				double ms = step && i >= step ? rows[k].slow_ms : rows[k].fast_ms;

				add_share(w, rows[k].cause, (uint64_t)(ms * jitter(s, i, k) * 1e6));
			}
		}
}

static inline void judge_against(struct analysis *a, const struct findings *baseline)
{
	must(verdict__curve(a));
	must(verdict__judge(a, baseline));
}

static inline void judge(struct analysis *a)
{
	judge_against(a, NULL);
}

static inline void end_case(struct analysis *a)
{
	findings__free(a->f);
	vec__free(&a->evidence);
}

static inline const char *why_not(const struct analysis *a, const char *cause)
{
	const struct finding_verdict *v = &a->f->verdict;

	for (size_t i = 0; i < v->rejected_cnt; i++)
		if (!strcmp(v->rejected[i].cause, cause))
			return v->rejected[i].why;
	return NULL;
}

/* At least three alternatives, each with a number, none of them the cause. */
static inline bool well_rejected(const struct finding_verdict *v)
{
	for (size_t i = 0; i < v->rejected_cnt; i++) {
		const char *p = v->rejected[i].why;

		while (*p && !isdigit((unsigned char)*p))
			p++;
		if (!*p || !strcmp(v->rejected[i].cause, v->cause))
			return false;
	}
	return v->rejected_cnt >= 3;
}

static inline bool says(const struct analysis *a, const char *words)
{
	return strstr(a->f->verdict.text, words) != NULL;
}

#endif
