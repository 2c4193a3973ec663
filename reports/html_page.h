/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What the files of the HTML page share; html.h is what others use. */
#ifndef FLATPAUSE_REPORTS_HTML_PAGE_H
#define FLATPAUSE_REPORTS_HTML_PAGE_H

#include <stdio.h>
#include "finding.h"

#define PALETTE_COLOURS 9

/* The causes that take most of the time get a colour of their own, the same on the whole page. */
struct palette {
	const char *causes[PALETTE_COLOURS]; /* owned by the findings */
	size_t cnt;
};

struct page {
	FILE *out;
	const struct report *report;
	struct palette palette;
};

/* 0 or -ENOMEM */
int palette__build(struct palette *p, const struct report *r);
/* "c0".."c8", "cu" for unknown.*, "co" for the rest; a CSS class. */
const char *palette_class(const struct palette *p, const char *cause);

/* Text of a paragraph or cell, escaped; NULL is nothing. What is absurdly long is cut. */
void page_text(const struct page *p, const char *s);
/* The same for headings, labels and names of threads: short, on one line. */
void page_name(const struct page *p, const char *s);

/*
 * Panels of which one is shown, without a script: page_tabs_begin(), one page_tab() per panel, then
 * each panel between page_panel_begin() and page_panel_end(), then page_tabs_end(). `id` is unique.
 */
void page_tabs_begin(const struct page *p, const char *label);
void page_tab(const struct page *p, const char *id, size_t i, size_t chosen, const char *label);
void page_panel_begin(const struct page *p);
void page_panel_end(const struct page *p);
void page_tabs_end(const struct page *p);

/* The colours of thread states, with the parts of a flame graph unless `root` is NULL. */
struct flame_node;
void page_state_legend(const struct page *p, const struct flame_node *root);

/* "a-before", "a-control", "a-m0".."a-m3": the CSS class of an arm's colour. */
const char *arm_class(const struct comparison *c, const struct arm *a);

/* The chart of pauses: every arm of a comparison, linear and logarithmic. */
void page_curves(const struct page *p, const struct comparison *c, size_t section);

/* Stacked bars, one per window, and the table of causes. 0 or -ENOMEM */
int page_ledger(const struct page *p, const struct findings *f, const char *id);

/* Threads, futexes and files of each window. */
void page_windows(const struct page *p, const struct findings *f, const char *id);

/* Which windows page_windows() shows, so that charts link to no other. `w`: an index of windows[]. */
bool page_shows_window(const struct findings *f, size_t w);

/* Advice with its commands; rejected causes. */
void page_advice(const struct page *p, const struct findings *f);
void page_rejected(const struct page *p, const struct findings *f);

/* What simpler tools would have concluded. */
void page_rounds(const struct page *p, const struct findings *f);

/* Threads by kernel function, sizes of calls, latencies of devices. 0 or -ENOMEM */
int page_load(const struct page *p, const struct findings *f);
void page_window_states(const struct page *p, const struct finding_window *w);
void page_window_devices(const struct page *p, const struct finding_window *w);

/* The critical path, and whose dirty data it waited for. */
void page_window_path(const struct page *p, const struct finding_window *w);

/* Host, hooks with what is lost, cost, loss. */
void page_facts(const struct page *p, const struct findings *f);

#endif
