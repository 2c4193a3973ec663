// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Rounds, threads by kernel function, sizes of calls, latencies of devices: tables of the page. */
#include <string.h>

#include "html_page.h"
#include "numbers.h"
#include "summary.h"
#include "table_sums.h"

#define STATES_MAX	  16
#define WINDOW_STATES_MAX 8

/* ---- rounds ---- */

static void write_round_rows(const struct page *p, const struct finding_round *r)
{
	char ns[NUMBER_SIZE];

	if (!r->rows_cnt)
		return;
	fputs("<details><summary class=\"small\">its numbers</summary>\n<div class=\"scroll\">"
	      "<table class=\"facts\"><tbody>\n",
	      p->out);
	for (size_t i = 0; i < r->rows_cnt; i++) {
		const struct finding_round_row *row = &r->rows[i];

		fputs("<tr><td><code>", p->out);
		page_name(p, row->name);
		fputs("</code></td><td class=\"n\">", p->out);
		if (row->count)
			fprintf(p->out, "%llu", (unsigned long long)row->count);
		fprintf(p->out, "</td><td class=\"n\">%s</td><td>",
			row->ns ? number_ns(ns, row->ns) : "");
		page_text(p, row->note);
		fputs("</td></tr>\n", p->out);
	}
	fputs("</tbody></table></div>\n</details>\n", p->out);
}

static void write_round(const struct page *p, const struct finding_round *r)
{
	fputs("<li><b>", p->out);
	page_name(p, r->name);
	fputs("</b> ", p->out);
	if (*text_or_empty(r->cause)) {
		fprintf(p->out, "<span class=\"chip\"><i class=\"%s\"></i>",
			palette_class(&p->palette, r->cause));
		page_name(p, r->cause);
		fputs("</span> ", p->out);
	}
	fprintf(p->out, "<span class=\"badge %s\">%s</span>\n<p class=\"small\">",
		r->agrees ? "good" : "bad", r->agrees ? "agrees" : "misleads");
	page_text(p, r->method);
	fputs("</p>\n<p>", p->out);
	page_text(p, r->conclusion);
	fputs("</p>\n", p->out);
	if (*text_or_empty(r->why)) {
		fprintf(p->out, "<p class=\"small\">%s", r->agrees ? "" : "why it misleads: ");
		page_text(p, r->why);
		fputs("</p>\n", p->out);
	}
	write_round_rows(p, r);
	fputs("</li>\n", p->out);
}

void page_rounds(const struct page *p, const struct findings *f)
{
	if (!f->rounds.cnt)
		return;
	fputs("<details class=\"host\"><summary>What simpler tools would have concluded from this "
	      "recording</summary>\n<ol class=\"rounds\">\n",
	      p->out);
	for (size_t i = 0; i < f->rounds.cnt; i++)
		write_round(p, &f->rounds.list[i]);
	fputs("</ol>\n</details>\n", p->out);
}

/* ---- threads by kernel function ---- */

static void write_frame(const struct page *p, const char *frame, const char *cause)
{
	fputs("<tr><td><code>", p->out);
	page_name(p, frame);
	fputs("</code></td><td>", p->out);
	if (*text_or_empty(cause)) {
		fprintf(p->out, "<span class=\"chip\"><i class=\"%s\"></i>",
			palette_class(&p->palette, cause));
		page_name(p, cause);
		fputs("</span>", p->out);
	}
	fputs("</td>", p->out);
}

static int write_states(const struct page *p, const struct findings *f)
{
	struct state_table t;
	int err = state_table__build(f, &t);
	bool fast = t.of.fast_windows != 0;

	if (err || !t.cnt)
		goto out;
	fprintf(p->out,
		"<h5>Mean number of threads by innermost kernel function</h5>\n"
		"<div class=\"scroll\"><table>\n<thead><tr><th>function</th><th>cause</th>"
		"<th class=\"n\">%s</th>%s</tr></thead>\n<tbody>\n",
		fast ? "slow windows" : "all windows",
		fast ? "<th class=\"n\">fast windows</th>" : "");
	for (size_t i = 0; i < t.cnt && i < STATES_MAX; i++) {
		write_frame(p, t.rows[i].frame, t.rows[i].cause);
		fprintf(p->out, "<td class=\"n\">%.3f</td>", t.rows[i].slow_threads);
		if (fast)
			fprintf(p->out, "<td class=\"n\">%.3f</td>", t.rows[i].fast_threads);
		fputs("</tr>\n", p->out);
	}
	fputs("</tbody></table></div>\n", p->out);
	if (t.cnt > STATES_MAX)
		fprintf(p->out, "<p class=\"small\">%zu more are in the JSON.</p>\n",
			t.cnt - STATES_MAX);
out:
	state_table__free_inside(&t);
	return err;
}

void page_window_states(const struct page *p, const struct finding_window *w)
{
	char ns[NUMBER_SIZE];

	if (!w->states_cnt)
		return;
	fputs("<h5>Threads by innermost kernel function</h5>\n<div class=\"scroll\"><table>\n"
	      "<thead><tr><th>function</th><th>cause</th><th class=\"n\">time of all<br/>threads"
	      "</th><th class=\"n\">threads,<br/>mean</th></tr></thead>\n<tbody>\n",
	      p->out);
	for (size_t i = 0; i < w->states_cnt && i < WINDOW_STATES_MAX; i++) {
		const struct finding_state *s = &w->states[i];

		write_frame(p, s->frame, s->cause);
		fprintf(p->out, "<td class=\"n\">%s</td><td class=\"n\">%.3f</td></tr>\n",
			number_ns(ns, s->ns),
			w->duration_ns ? (double)s->ns / (double)w->duration_ns : 0);
	}
	fputs("</tbody></table></div>\n", p->out);
}

/* ---- sizes ---- */

static void write_histogram(const struct page *p, const uint64_t *buckets)
{
	uint64_t max = 1;

	for (int i = 0; i < SIZE_BUCKETS; i++)
		max = buckets[i] > max ? buckets[i] : max;
	fputs("<td><span class=\"hist\">", p->out);
	for (unsigned int i = 0; i < SIZE_BUCKETS; i++) {
		fprintf(p->out, "<i style=\"height:%.0f%%\" title=\"",
			buckets[i] ? 10 + 90.0 * (double)buckets[i] / (double)max : 0);
		page_name(p, size_bucket_name(i));
		fprintf(p->out, ": %llu\"></i>", (unsigned long long)buckets[i]);
	}
	fputs("</span></td>", p->out);
}

static void write_buckets(const struct page *p, const uint64_t *buckets)
{
	fputs("<td class=\"wide small\">", p->out);
	for (unsigned int i = 0, any = 0; i < SIZE_BUCKETS; i++) {
		if (!buckets[i])
			continue;
		fputs(any++ ? ", " : "", p->out);
		page_name(p, size_bucket_name(i));
		fprintf(p->out, ": %llu", (unsigned long long)buckets[i]);
	}
	fputs("</td>", p->out);
}

static void write_sizes(const struct page *p, const char *title, const struct finding_sizes *v,
			size_t cnt)
{
	char bytes[NUMBER_SIZE];

	if (!cnt)
		return;
	fprintf(p->out,
		"<h5>%s</h5>\n<div class=\"scroll\"><table>\n<thead><tr><th>call</th>"
		"<th class=\"n\">calls</th><th class=\"n\">bytes</th><th>512 B to 1 MiB</th>"
		"<th>by size</th></tr></thead>\n<tbody>\n",
		title);
	for (size_t i = 0; i < cnt; i++) {
		fputs("<tr><td>", p->out);
		page_name(p, v[i].op);
		fprintf(p->out, "</td><td class=\"n\">%llu</td><td class=\"n\">%s</td>",
			(unsigned long long)v[i].calls, number_bytes(bytes, v[i].bytes));
		write_histogram(p, v[i].buckets);
		write_buckets(p, v[i].buckets);
		fputs("</tr>\n", p->out);
	}
	fputs("</tbody></table></div>\n", p->out);
}

/* ---- devices ---- */

static void write_device(const struct page *p, const struct finding_latency *l, bool regimes)
{
	const uint64_t ns[] = { l->p50_ns, l->p90_ns, l->p99_ns, l->max_ns };
	char text[NUMBER_SIZE];

	fprintf(p->out, "<tr><td>%u:%u</td><td>%s</td>", l->dev >> 20, l->dev & 0xfffff,
		text_or_empty(l->class));
	if (regimes)
		fprintf(p->out, "<td>%s</td>", regime_name(l->regime));
	fprintf(p->out, "<td class=\"n\">%llu</td><td class=\"n\">%s</td>",
		(unsigned long long)l->requests, number_bytes(text, l->bytes));
	for (size_t i = 0; i < sizeof(ns) / sizeof(ns[0]); i++)
		fprintf(p->out, "<td class=\"n\">%s</td>", number_ns(text, ns[i]));
	write_histogram(p, l->buckets);
	fputs("</tr>\n", p->out);
}

static void write_devices(const struct page *p, const struct finding_latency *v, size_t cnt,
			  bool regimes)
{
	if (!cnt)
		return;
	fprintf(p->out,
		"<h5>Requests of devices, from issue to completion</h5>\n<div class=\"scroll\">"
		"<table>\n<thead><tr><th>device</th><th>class</th>%s<th class=\"n\">requests</th>"
		"<th class=\"n\">bytes</th><th class=\"n\">p50</th><th class=\"n\">p90</th>"
		"<th class=\"n\">p99</th><th class=\"n\">max</th><th>512 B to 1 MiB</th>"
		"</tr></thead>\n<tbody>\n",
		regimes ? "<th>windows</th>" : "");
	for (size_t i = 0; i < cnt; i++)
		write_device(p, &v[i], regimes);
	fputs("</tbody></table></div>\n", p->out);
}

void page_window_devices(const struct page *p, const struct finding_window *w)
{
	write_devices(p, w->devices, w->devices_cnt, false);
}

int page_load(const struct page *p, const struct findings *f)
{
	struct size_table slow;
	int err = size_table__build(f, true, &slow);

	fputs("<details class=\"host\"><summary>Threads, sizes of calls and latencies of devices"
	      "</summary>\n",
	      p->out);
	if (!err)
		err = write_states(p, f);
	write_sizes(p, f->curve.at_window ? "Calls in the slow windows" : "Calls in the windows",
		    slow.rows, slow.cnt);
	write_sizes(p, "Calls in the whole recording", f->sizes, f->sizes_cnt);
	write_devices(p, f->devices, f->devices_cnt, true);
	fputs("</details>\n", p->out);
	size_table__free_inside(&slow);
	return err;
}
