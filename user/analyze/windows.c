// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "windows.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "../log.h"

#define AUTO_GLOB   "*mem*"
#define MAX_DIFF_NS 2000000ull

static const char *const names[SIGNALS] = { "mark", "api", "reported", "file", "exec" };

const char *signal_name(enum signal_kind kind)
{
	return names[kind];
}

int add_warning(struct findings *f, const char *fmt, ...)
{
	char **w = FINDING_APPEND(&f->warnings, &f->warnings_cnt);
	va_list ap;
	int n;

	if (!w)
		return -ENOMEM;
	va_start(ap, fmt);
	n = vasprintf(w, fmt, ap);
	va_end(ap);
	if (n < 0) {
		*w = NULL;
		f->warnings_cnt--;
		return -ENOMEM;
	}
	return 0;
}

static int kind_of(const char *spec)
{
	if (!strncmp(spec, "file:", 5))
		return SIGNAL_FILE;
	for (int i = 0; i < SIGNALS; i++)
		if (!strcmp(spec, names[i]))
			return i;
	return strcmp(spec, "auto") ? -EINVAL : SIGNALS;
}

int windows__glob(const char *spec, const char **glob)
{
	if (kind_of(spec) < 0)
		return log_err(
			-EINVAL,
			"no window detector '%s' (auto, mark, api, reported, file:GLOB, exec)",
			spec);
	*glob = !strncmp(spec, "file:", 5) && spec[5] ? spec + 5 : AUTO_GLOB;
	return 0;
}

/* The files of the VMM are the pause's; those of the command itself count only without them. */
static bool of_command_beside_vmm(const struct scan *s, const struct signal *sig)
{
	const struct vec *all = &s->signals[SIGNAL_FILE];

	if (!scan__is_command(s, sig->closer_tid))
		return false;
	for (size_t i = 0; i < vec__cnt(all); i++)
		if (!scan__is_command(s, VEC_AT(all, struct signal, i)->closer_tid))
			return true;
	return false;
}

static int take_signals(const struct scan *s, enum signal_kind kind, struct vec *out)
{
	for (size_t i = 0; i < vec__cnt(&s->signals[kind]); i++) {
		const struct signal *sig = VEC_AT(&s->signals[kind], struct signal, i);
		struct window *w;

		if (kind == SIGNAL_FILE && of_command_beside_vmm(s, sig))
			continue;
		w = VEC_PUSH(out, struct window);
		if (!w)
			return -ENOMEM;
		w->begin_ns = sig->begin_ns;
		w->end_ns = sig->end_ns;
		w->reported_ns = FINDING_NS_NONE;
		w->closer_tid = sig->closer_tid;
		w->tgid = sig->tgid;
		w->open = sig->open;
		w->kind = kind;
		memcpy(w->label, sig->label, sizeof(w->label));
	}
	return 0;
}

/* Windows count from 1 in each sweep; one that began between runs belongs to the run before. */
static void number(const struct scan *s, struct vec *out)
{
	uint32_t sweep = 1, index = 0, run = 0;

	for (size_t i = 0; i < vec__cnt(out); i++) {
		struct window *w = VEC_AT(out, struct window, i);
		uint32_t its_sweep = sweep;

		while (run < s->runs_cnt && s->runs[run].begin_ns <= w->begin_ns)
			its_sweep = s->runs[run++].sweep;
		if (its_sweep != sweep && index)
			index = 0;
		sweep = its_sweep ? its_sweep : 1;
		w->sweep = sweep;
		w->index = ++index;
	}
}

static size_t window_from(const struct vec *windows, uint64_t ns)
{
	size_t lo = 0, hi = vec__cnt(windows);

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (VEC_AT(windows, struct window, mid)->begin_ns < ns)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* What a run reported is the length of its longest window. */
static void attach_reports(const struct scan *s, struct vec *out)
{
	for (uint32_t r = 0; r < s->runs_cnt; r++) {
		const struct rec_run *run = &s->runs[r];
		struct window *longest = NULL;

		if (run->reported_ns == REC_NS_NONE)
			continue;
		for (size_t i = window_from(out, run->begin_ns); i < vec__cnt(out); i++) {
			struct window *w = VEC_AT(out, struct window, i);

			if (w->begin_ns >= run->end_ns)
				break;
			if (!longest ||
			    w->end_ns - w->begin_ns > longest->end_ns - longest->begin_ns)
				longest = w;
		}
		if (longest)
			longest->reported_ns = run->reported_ns;
	}
}

static uint64_t difference(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

static bool disagree(uint64_t a, uint64_t b)
{
	uint64_t limit = a / 100 > MAX_DIFF_NS ? a / 100 : MAX_DIFF_NS;

	return difference(a, b) > limit;
}

/* A file is open for a part of the pause, and a run is longer than it: no check on each other. */
static int check_reported(struct findings *f, const struct vec *out)
{
	const struct window *worst = NULL;
	size_t cnt = 0, all = 0;

	for (size_t i = 0; i < vec__cnt(out); i++) {
		const struct window *w = VEC_AT(out, struct window, i);
		uint64_t len = w->end_ns - w->begin_ns;

		if (w->reported_ns == FINDING_NS_NONE || w->open ||
		    (w->kind != SIGNAL_MARK && w->kind != SIGNAL_API))
			continue;
		all++;
		if (!disagree(len, w->reported_ns))
			continue;
		cnt++;
		if (!worst ||
		    difference(len, w->reported_ns) >
			    difference(worst->end_ns - worst->begin_ns, worst->reported_ns))
			worst = w;
	}
	if (!worst)
		return 0;
	return add_warning(
		f,
		"%zu of %zu windows differ from what the command reported, most in window "
		"%u: %s says %.1f ms, the command %.1f ms",
		cnt, all, worst->index, signal_name(worst->kind),
		(worst->end_ns - worst->begin_ns) / 1e6, worst->reported_ns / 1e6);
}

/* Marks and the API see the same pause from two sides. */
static int check_api(const struct scan *s, struct findings *f, const struct vec *out)
{
	const struct vec *api = &s->signals[SIGNAL_API];

	for (size_t i = 0; i < vec__cnt(out); i++) {
		const struct window *w = VEC_AT(out, struct window, i);
		uint64_t len = w->end_ns - w->begin_ns;

		if (w->kind != SIGNAL_MARK && w->kind != SIGNAL_REPORTED)
			continue;
		for (size_t k = 0; k < vec__cnt(api); k++) {
			const struct signal *a = VEC_AT(api, struct signal, k);

			if (a->begin_ns >= w->end_ns || a->end_ns <= w->begin_ns || a->open ||
			    !disagree(len, a->end_ns - a->begin_ns))
				continue;
			return add_warning(f,
					   "window %u: %s says %.1f ms, the control socket %.1f ms",
					   w->index, signal_name(w->kind), len / 1e6,
					   (a->end_ns - a->begin_ns) / 1e6);
		}
	}
	return 0;
}

int windows__find(const struct scan *s, const char *spec, struct findings *f, struct vec *out)
{
	int kind = kind_of(spec), err;
	size_t open = 0;

	for (int i = 0; kind == SIGNALS && i < SIGNALS; i++)
		if (vec__cnt(&s->signals[i]))
			kind = i;
	if (kind == SIGNALS)
		return log_err(-ENODATA,
			       "no pause in this trace: no mark, no control request, no run of a "
			       "command, and no file '%s' written by a target",
			       s->glob);
	err = take_signals(s, kind, out);
	if (err)
		return err;
	if (!vec__cnt(out))
		return log_err(-ENODATA,
			       "detector '%s' found no pause in this trace; try --window auto",
			       spec);
	number(s, out);
	attach_reports(s, out);
	for (size_t i = 0; i < vec__cnt(out); i++)
		open += VEC_AT(out, struct window, i)->open;
	if (open)
		err = add_warning(f, "%zu of %zu windows never closed: cut at the end of recording",
				  open, vec__cnt(out));
	if (!err)
		err = check_reported(f, out);
	return err ? err : check_api(s, f, out);
}
